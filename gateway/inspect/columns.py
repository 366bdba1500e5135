"""Arrow record batches as rows of text: nested columns flattened, every cell as the classifier should read it.

Structs become columns of their own (`address.city`); lists and maps become one cell, their elements apart by blanks. Cells
of bytes are text where they are UTF-8, else files of their own. What this is not: a reader of any file format.

A change must keep: nothing of an array is left out; whole numbers have no point and no exponent, whatever their type.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gateway.inspect.categories import Categories
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TableSink

_ROWS: Final = 16_384  # rendered at once
WATCHED: Final = 100_000
_NESTED: Final = 32  # types within types
_CONTROLS: Final = "[\x00-\x1f]"
_WHOLE: Final = 2.0**63

Named = tuple[str, pa.Array]
Leaf = Callable[[str, pa.Array], pa.Array]


@dataclass
class Cells:
    """Feeds batches of one schema to a table of the report.

    Attributes:
        report: Where tables and members go.
        place: Of the table within the file.
        watched: Values that the file repeats outside of its columns; those met in a column are taken out. Categories that
            no cell has stay, as those of rows that were filtered out do.
    """

    report: Report
    place: str
    watched: set[bytes] = field(default_factory=set)
    rows: int = 0
    _sink: TableSink | None = None
    _categories: Categories = field(default_factory=Categories)

    def add(self, batch: pa.RecordBatch) -> None:
        """One batch, however large, in slices.

        Raises:
            Unreadable: Nested too deeply, or the budget is spent.
        """
        if self._sink is None:
            names = [name for name, _ in self._flat(batch.slice(0, 0))]
            self._sink = self.report.table(self.place, names)
        self._unused(self._categories.see(batch))
        for start in range(0, batch.num_rows, _ROWS):
            self._add(batch.slice(start, _ROWS))

    def _add(self, batch: pa.RecordBatch) -> None:
        columns = [clean(array) for _, array in self._flat(batch)]
        text = _joined(columns, batch.num_rows)
        self.report.context.budget.expand(len(text))
        assert self._sink is not None
        self._sink.rendered(text, batch.num_rows)
        self.rows += batch.num_rows

    def _flat(self, batch: pa.RecordBatch) -> Iterator[Named]:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            yield from flattened(name, column, self._leaf)

    def _leaf(self, name: str, array: pa.Array) -> pa.Array:
        """Cells as text; those that the file repeats elsewhere are met here, before lists join them."""
        text = self._named_leaf(name, array)
        if _is_bytes(array.type) or pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            self._meet((array if _is_bytes(array.type) else text).cast(pa.large_binary()))
        return text

    def _named_leaf(self, name: str, array: pa.Array) -> pa.Array:
        return self._opaque(name, array) if _is_bytes(array.type) else _text(array)

    def _opaque(self, name: str, array: pa.Array) -> pa.Array:
        """Bytes as text; cells that are none become members."""
        try:
            return array.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            return pa.array([self._cell(name, cell) for cell in array.to_pylist()], pa.large_string())

    def _cell(self, name: str, cell: bytes | None) -> str | None:
        if cell is None:
            return None
        try:
            return cell.decode()
        except UnicodeDecodeError:
            self.report.member(f"column {name}", io.BytesIO(cell))
            return ""

    def settle(self) -> None:
        """Behind the last batch of those that share dictionaries."""
        self._unused(self._categories.settle())

    def _unused(self, found: Iterator[pa.Array]) -> None:
        for values in found:
            for _, texts in flattened("", values, self._named_leaf):
                self.watched.update(cell.encode() for cell in texts.to_pylist() if cell)
            if len(self.watched) > WATCHED:
                raise Unreadable(f"more than {WATCHED} categories that no cell has", kind="archive_limit")

    def said(self) -> None:
        """What the file says outside of its cells, to be classified as text."""
        self.settle()
        if self.watched:
            sink = self.report.text("outside of cells")
            for text in sorted(self.watched):
                sink.line(text.decode("utf-8", "replace"))

    def _meet(self, cells: pa.Array) -> None:
        if self.watched and len(cells):
            wanted = pa.array(sorted(self.watched), pa.large_binary())
            met = pc.filter(cells, pc.is_in(cells, value_set=wanted))
            self.watched.difference_update(cell for cell in met.unique().to_pylist() if cell is not None)


def flattened(name: str, array: pa.Array, leaf: Leaf, depth: int = 0) -> list[Named]:
    """An array as columns of text.

    Args:
        name: Of the column, `a.b` within structs.
        array: Of any type.
        leaf: Turns an array of a flat type into one of text.
        depth: Types around it.

    Raises:
        Unreadable: Types within types without end.
    """
    if depth > _NESTED:
        raise Unreadable("a column is nested too deeply", kind="archive_limit")
    plain = _plain(array)
    kind = plain.type
    if pa.types.is_struct(kind):
        fields = zip(kind, plain.flatten(), strict=True)
        return [each for part, inner in fields for each in flattened(f"{name}.{part.name}", inner, leaf, depth + 1)]
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([plain.keys, plain.items], ["key", "value"])
        return _lists(name, plain.offsets, entries, leaf, depth)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(name, plain.offsets, plain.values, leaf, depth)
    return [(name, leaf(name, plain))]


def _plain(array: pa.Array) -> pa.Array:
    """Without dictionaries, runs, extensions and views."""
    for _ in range(_NESTED):
        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(kind):
            array = pc.run_end_decode(array)
        elif pa.types.is_fixed_size_list(kind) or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
            array = array.cast(pa.large_list(kind.value_type))
        else:
            return array
    raise Unreadable("a column is nested too deeply", kind="archive_limit")


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _lists(name: str, offsets: pa.Array, values: pa.Array, leaf: Leaf, depth: int) -> list[Named]:
    """Every list as one cell; elements that no list refers to are left outside by the offsets, and refused."""
    found = []
    bounds = offsets.cast(pa.int64())
    first, last = bounds[0].as_py(), bounds[-1].as_py()
    inner = values.slice(first, last - first)
    moved = pc.subtract(bounds, first)
    for part, cells in flattened(name, inner, leaf, depth + 1):
        lists = pa.LargeListArray.from_arrays(moved, cells.fill_null(""))
        found.append((part, pc.binary_join(lists, _large(" "))))
    return found


def _text(array: pa.Array) -> pa.Array:
    """A flat array as text."""
    kind = array.type
    if pa.types.is_floating(kind):
        return _floats(array.cast(pa.float64()))
    if pa.types.is_duration(kind):
        array = array.cast(pa.int64())
    try:
        return array.cast(pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # intervals, unions, times out of a calendar's range
        if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
            width = pa.int64() if kind.bit_width == 64 else pa.int32()
            return array.view(width).cast(pa.large_string())
        return pa.array([None if cell is None else str(cell) for cell in array.to_pylist()], pa.large_string())


def _floats(array: pa.Array) -> pa.Array:
    """Whole numbers as such: identifiers in a column with gaps are floating in pandas."""
    whole = pc.and_(pc.equal(array, pc.floor(array)), pc.less(pc.abs(array), _WHOLE))
    integers = pc.if_else(whole, array, None).cast(pa.int64()).cast(pa.large_string())
    if pc.all(whole).as_py() is not False:
        return integers
    shown = pc.if_else(pc.is_nan(array), None, array).cast(pa.large_string())
    return pc.if_else(pc.fill_null(whole, False), integers, shown)


def clean(array: pa.Array) -> pa.Array:
    """Text whose cells hold no separators."""
    text = array.cast(pa.large_string())
    letters = text.buffers()[2]
    if letters is not None and letters.size and (np.frombuffer(letters, np.uint8) < 0x20).any():
        return pc.replace_substring_regex(text, _CONTROLS, " ")
    return text


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _joined(columns: list[Any], rows: int) -> bytes:
    """Rows as tab-separated UTF-8: joined cell by cell, their letters lie one after another in the result's buffer."""
    if not columns:
        return b"\n" * rows
    lines = pc.binary_join_element_wise(*columns, _large("\t"), null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise(lines, _large(""), _large("\n"))
    offsets = np.frombuffer(lines.buffers()[1], np.int64)[lines.offset : lines.offset + len(lines) + 1]
    letters = lines.buffers()[2]
    return bytes(memoryview(letters)[int(offsets[0]) : int(offsets[-1])]) if letters is not None else b""
