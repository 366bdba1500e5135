"""Values of HDF5 on their way to the classifier: strings, rows, and numbers that could identify somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import h5py
import numpy as np

from gateway.inspect.report import Report, TableSink, TextSink
from gateway.inspect.runs import legible

_LOWEST, _HIGHEST = 10_000_000, 10**18  # numbers that identify somebody have 8 to 18 digits
_DISTINCT: Final = 1_000_000  # values of a column told apart; further ones are taken as they come
_COLUMNS: Final = 4_096  # of a numeric table
Take = Callable[[Any], None]


class Values:
    """Hands values over.

    Args:
        report: Hears them.
        rows_are_people: Not where rows are cells or reads: then a column is the values that it has, each once.
    """

    def __init__(self, report: Report, *, rows_are_people: bool) -> None:
        self._report = report
        self._rows = rows_are_people
        self._notes = report.text("attributes")
        self._notes.line("attributes")

    def attribute(self, place: str, value: Any) -> None:
        """A value beside an object."""
        name = place.rpartition("@")[2]
        for each in np.asarray(value, dtype=object).ravel():
            if isinstance(each, str | bytes | np.bytes_):
                self._notes.line(f"{name}: {_text(each)}")
            elif isinstance(each, int | float | np.number):
                self._notes.line(f"{name}: {each}")
            elif isinstance(each, np.void | np.ndarray):
                self._notes.raw(legible(each.tobytes()) + b"\n")

    @contextmanager
    def of(self, place: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[Take]:
        """Where the parts of one dataset go; the sink is closed behind them."""
        take, sink = self._chosen(place, dtype, shape)
        yield take
        if sink is not None:
            self._report.close(sink)

    def _chosen(
        self, place: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> tuple[Take, TableSink | TextSink | None]:
        name = column_of(place)
        if dtype.names is not None:
            table = self._report.table(place, dtype.names)
            return lambda part: _rows(part, table), table
        if dtype.kind == "S" or h5py.check_string_dtype(dtype) is not None:
            return self._strings(place, name, shape)
        if dtype.kind in "OV" or dtype.itemsize == 1:
            text = self._report.text(place)
            text.line(name)
            return lambda part: _spelled(part, text), text
        if (
            dtype.kind in "iuf"
            and dtype.itemsize >= 4
            and (len(shape) == 1 or (len(shape) == 2 and shape[1] < _COLUMNS))
        ):
            numbers = self._report.table(place, [name])
            return lambda part: _numbers(part, numbers), numbers
        return _nothing, None

    def _strings(self, place: str, name: str, shape: tuple[int, ...]) -> tuple[Take, TableSink]:
        table = self._report.table(place, [name])
        if self._rows or len(shape) > 1:
            return lambda part: table.extend([_text(each)] for each in np.asarray(part).ravel()), table
        seen: set[str] = set()

        def take(part: Any) -> None:
            for each in np.asarray(part).ravel():
                text = _text(each)
                if text not in seen:
                    if len(seen) < _DISTINCT:
                        seen.add(text)
                    table.row([text])

        return take, table


def column_of(place: str) -> str:
    """The name of a dataset as a column: of a categorical one its group's."""
    head, _, name = place.rpartition("/")
    return head.rpartition("/")[2] if name in {"categories", "values", "data"} and head else name


def _nothing(part: Any) -> None:
    """Numbers that identify nobody: signals, intensities, counts."""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace").rstrip("\0") if isinstance(value, bytes) else str(value)


def _rows(part: Any, table: TableSink) -> None:
    for row in np.asarray(part).ravel():
        table.row([_cell(row[name]) for name in row.dtype.names])


def _cell(value: Any) -> Any:
    if isinstance(value, bytes | np.bytes_):
        return _text(value)
    if isinstance(value, np.void | np.ndarray):
        return " ".join(_text(each) for each in value.tolist()) if value.size < 1000 else legible(value.tobytes())
    return value.item() if isinstance(value, np.generic) else value


def _spelled(part: Any, sink: TextSink) -> None:
    """Single bytes, opaque values and sequences of any length, as far as they spell something."""
    for each in [part] if part.dtype != object else part.ravel():
        if isinstance(each, np.ndarray) and each.dtype == object:
            sink.feed("\n".join(map(_text, each.ravel())) + "\n")
        elif isinstance(each, np.ndarray):
            sink.raw(legible(each.tobytes()) + b"\n")
        elif isinstance(each, str | bytes):
            sink.line(_text(each))


def _numbers(part: Any, sink: TableSink) -> None:
    values = np.asarray(part).ravel()
    with np.errstate(invalid="ignore"):
        found = values[(values >= _LOWEST) & (values < _HIGHEST)]
        whole = found[found == np.floor(found)] if found.dtype.kind == "f" else found
    if whole.size:
        sink.rendered("".join(f"{int(number)}\n" for number in whole.tolist()).encode(), whole.size)
