"""Feather version 1: columns of Arrow arrays, one behind another, and a table at the end that says where each lies.

Source: feather.fbs and "Feather File Format" of Apache Arrow (MIT/Apache), as its version 1 was written from 2016 to 2020.
Read here and not by pyarrow, whose reader of this version follows what the file says out of its buffers. Arrays are made over the
bytes of the file and validated in full before a cell is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from gateway.inspect.columns import Cells
from gateway.inspect.flatbuffer import Table, root_of, texts_of
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source
from gateway.inspect.unreferred import Unreferred

_MAGIC: Final = b"FEA1"
_TAIL: Final = 8  # length of the table, magic
_ALIGNED: Final = 8
_TYPES: Final = {
    0: pa.bool_(), 1: pa.int8(), 2: pa.int16(), 3: pa.int32(), 4: pa.int64(), 5: pa.uint8(), 6: pa.uint16(), 7: pa.uint32(),
    8: pa.uint64(), 9: pa.float32(), 10: pa.float64(), 11: pa.string(), 12: pa.binary(), 17: pa.large_string(),
    18: pa.large_binary(),
}  # fmt: skip
_OFFSETS: Final = {11: 4, 12: 4, 17: 8, 18: 8}
_CATEGORY, _TIMESTAMP, _DATE, _TIME = 1, 2, 3, 4  # union TypeMetadata
_UNITS: Final = ("s", "ms", "us", "ns")


@dataclass
class _Stored:
    """One array's bytes, given out from their beginning; what is given out is covered."""

    raw: bytes
    start: int
    report: Report
    at: int = 0

    def take(self, size: int) -> pa.Buffer:
        """The next buffer, and the zeros that align what follows."""
        if size > len(self.raw) - self.at:
            raise Unreadable("feather: a column is shorter than it says")
        found = self.raw[self.at : self.at + size]
        end = min(-(-(self.at + size) // _ALIGNED) * _ALIGNED, len(self.raw))
        end = self.at + size if any(self.raw[self.at + size : end]) else end
        self.report.cover(self.start + self.at, self.start + end)
        self.at = end
        return pa.py_buffer(found)


def inspect(source: Source, report: Report) -> None:
    """The table, then column by column, then rows."""
    told = _told(source, report)
    names, arrays = [], []
    for column in told.tables(2):
        names.append(column.text(0))
        arrays.append(_column(source, report, column))
    if len({len(array) for array in arrays}) > 1:
        raise Unreadable("feather: columns of different lengths")
    batch = pa.RecordBatch.from_arrays(arrays, names)
    batch.validate(full=True)
    cells, letters = Cells(report, "rows"), Unreferred()
    letters.add(batch)
    cells.add(batch)
    cells.said()
    if letters.hidden:
        raise Unreadable("feather: letters that no cell shows; write the table again")


def _told(source: Source, report: Report) -> Table:
    source.seek(0)
    head = source.read(_ALIGNED)
    source.seek(max(source.size - _TAIL, 0))
    tail = source.read(_TAIL)
    size = int.from_bytes(tail[:4], "little")
    if head[:4] != _MAGIC or tail[4:] != _MAGIC or size > source.size - 2 * _TAIL:
        raise Unreadable("feather: no table at the end")
    report.cover(0, len(_MAGIC) if any(head[4:]) else _ALIGNED)
    report.context.budget.room(size)
    source.seek(source.size - _TAIL - size)
    raw = source.read(size)
    sink = report.text("metadata")
    for text in texts_of(raw):
        sink.line(text)
    report.cover(source.size - _TAIL - size, source.size)
    return root_of(raw)


def _column(source: Source, report: Report, column: Table) -> pa.Array:
    """One column with what its metadata makes of its values."""
    values, meaning, about = column.table(1), column.number(2, "<B"), column.table(3)
    if values is None:
        raise Unreadable("feather: a column without values")
    array = _array(source, report, values)
    unit = about.number(0, "<b") if about is not None else 0
    if meaning == _CATEGORY:
        levels = about.table(0) if about is not None else None
        if levels is None:
            raise Unreadable("feather: categories without names")
        return pa.DictionaryArray.from_arrays(array, _array(source, report, levels))
    if meaning == _TIMESTAMP:
        return array.view(pa.timestamp(_UNITS[unit]))
    if meaning == _TIME:
        return array.view(pa.time64(_UNITS[unit]) if array.type.bit_width == 64 else pa.time32(_UNITS[unit]))
    return array.view(pa.date32()) if meaning == _DATE else array


def _array(source: Source, report: Report, told: Table) -> pa.Array:
    """An array over the file's bytes: a bitmap where cells are missing, offsets of texts, values."""
    number, offset, length = told.number(0, "<b"), told.number(2), told.number(3)
    missing, size = told.number(4), told.number(5)
    if number not in _TYPES or told.number(1, "<b"):
        raise Unreadable("feather: a column of an unknown type or encoding")
    if not (0 <= size <= source.size and 0 <= offset <= source.size - size and 0 <= length <= 8 * size):
        raise Unreadable("feather: a column lies outside of the file")
    report.context.budget.room(size)
    source.seek(offset)
    stored = _Stored(source.read(size), offset, report)
    bitmap = stored.take(-(-length // 8)) if missing else None
    if width := _OFFSETS.get(number):
        offsets = stored.take((length + 1) * width)
        end = int.from_bytes(offsets.to_pybytes()[-width:], "little", signed=True)
        if end < 0:
            raise Unreadable("feather: a text that ends before the first")
        buffers = [bitmap, offsets, stored.take(end)]
    else:
        buffers = [bitmap, stored.take(-(-length * _TYPES[number].bit_width // 8))]
    array = pa.Array.from_buffers(_TYPES[number], length, buffers)
    array.validate(full=True)
    return array
