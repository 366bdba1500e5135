"""R data files, .rds and .RData in the binary form (R Internals, section 1.8); their compression is another parser's.

Data frames and matrices are tables, other vectors are tables of one column, names and attributes are text. Members of
bytes are files of their own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.serialized import Item, Reader
from gateway.inspect.source import Source, Stream

_SHORT: Final = 3  # vectors of so many cells are text, as attributes and settings are
_TABLES: Final = 10_000


def inspect(source: Source | Stream, report: Report) -> None:
    """One item, and nothing behind it."""
    reader = Reader(source, report.context.budget)  # type: ignore[arg-type]  # read() is all that is used
    reader.header()
    found = reader.item()
    report.cover(0, reader.taken)
    _Emitter(report).emit("value", found)


class _Emitter:
    """Hands items to the report; each place is a path of names."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._sink: TextSink = report.text("names")
        self._tables = 0

    def emit(self, place: str, item: Item) -> None:
        """An item with all that is in it."""
        for name, attribute in item.attributes.items():
            if name not in ("levels", "row.names", "names") or attribute.kind != "text":
                self.emit(f"{place} {name}", attribute)
        if item.kind == "items":
            self._items(place, item, _texts(item.attributes.get("names")))
        elif item.kind == "pairs":
            for tag, each in item.value:
                self._sink.line(tag)
                self.emit(f"{place} {tag}".strip(), each)
        elif item.kind == "bytes":
            if item.value:
                self._report.member(place, io.BytesIO(item.value))
        elif item.kind in ("text", "numbers"):
            self._vector(place, item)
        elif item.value is not None:
            self._sink.line(str(item.value))

    def _items(self, place: str, item: Item, names: list[str]) -> None:
        if _is_frame(item, names):
            self._frame(place, item, names)
            return
        for name in names:
            self._sink.line(name)
        for number, each in enumerate(item.value):
            self.emit(f"{place} {names[number] if number < len(names) else number + 1}", each)

    def _table(self, place: str, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
        self._tables += 1
        if self._tables > _TABLES:
            raise Unreadable(f"rdata: more than {_TABLES} vectors", kind="archive_limit")
        sink = self._report.table(place, columns)
        sink.extend(rows)
        self._report.close(sink)

    def _frame(self, place: str, item: Item, names: list[str]) -> None:
        columns = [_cells(each) for each in item.value]
        for name, each in zip(names, item.value, strict=True):
            self._attributes(f"{place} {name}", each)
            unused = set(_texts(each.attributes.get("levels"))) - {
                cell for cell in _cells(each) if isinstance(cell, str)
            }
            for level in sorted(unused):
                self._sink.line(level)
        rows = _texts(item.attributes.get("row.names"))
        if len(rows) == len(columns[0]):
            names, columns = ["row.names", *names], [rows, *columns]
        elif rows:
            self._table(f"{place} row.names", ("row.names", "row"), zip(rows, range(len(rows)), strict=True))
        self._table(place, names, iter(zip(*columns, strict=True)))

    def _attributes(self, place: str, item: Item) -> None:
        for name, attribute in item.attributes.items():
            if name != "levels":
                self.emit(f"{place} {name}", attribute)

    def _vector(self, place: str, item: Item) -> None:
        cells = _cells(item)
        levels = _texts(item.attributes.get("levels"))
        for level in sorted(set(levels) - {cell for cell in cells if isinstance(cell, str)}):
            self._sink.line(level)
        dims, names = item.attributes.get("dim"), _texts(item.attributes.get("names"))
        if (
            dims is not None
            and dims.kind == "numbers"
            and len(dims.value) == 2
            and int(np.prod(dims.value)) == len(cells) > 0
        ):
            rows = int(dims.value[0])
            self._table(place, (), iter(cells[at::rows] for at in range(rows)))
        elif names and len(names) == len(cells):
            self._table(place, ("element", place.rpartition(" ")[2]), zip(names, cells, strict=True))
        elif len(cells) <= _SHORT:
            for cell in cells:
                if cell is not None:
                    self._sink.line(str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell))
        else:
            self._table(place, (place.rpartition(" ")[2],), iter([cell] for cell in cells))


def _is_frame(item: Item, names: list[str]) -> bool:
    """A list of vectors of one length, whatever class it says."""
    sizes = {
        len(each.value) for each in item.value if each.kind in ("text", "numbers") and "dim" not in each.attributes
    }
    vectors = all(each.kind in ("text", "numbers") and "dim" not in each.attributes for each in item.value)
    return vectors and len(sizes) == 1 and len(names) == len(item.value) and max(sizes) > 1


def _texts(item: Item | None) -> list[str]:
    return [str(each or "") for each in item.value] if item is not None and item.kind == "text" else []


def _cells(item: Item) -> list[Any]:
    """Factors by their levels."""
    if item.kind == "text":
        return list(item.value)
    cells: list[Any] = item.value.tolist()
    levels = _texts(item.attributes.get("levels"))
    if levels:
        return [levels[int(each) - 1] if 0 < each <= len(levels) else None for each in cells]
    return cells
