"""MATLAB files of level 5, up to version 7 (MathWorks, "MAT-File Format", sections "Level 5"); 7.3 is HDF5.

Numbers, texts, cells, structures and sparse arrays. Tables, strings and other objects of MATLAB's own lie in an
undocumented part of the file, which makes it unreadable. Numbers of up to two bytes are samples, as in NumPy's files.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gateway.inspect.cursor import Cursor, decoded
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_HEADER: Final = 128
_MATRIX, _PACKED = 14, 15  # table "MAT-File Data Types"
_NUMBERS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS: Final = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5  # table "MATLAB Array Types"
_CLASSES: Final = range(6, 16)  # numbers
_COMPLEX: Final = 0x0800
_DEPTH: Final = 32
_ITEMS: Final = 100_000
_WIDE: Final = 4_096
_SAMPLE: Final = 2


def inspect(source: Source, report: Report) -> None:
    """Header, then one variable after another."""
    cursor = Cursor(source, report)
    head = cursor.take(_HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None:
        raise Unreadable("matlab: a header of no byte order")
    if head[116:124].strip(b" \0"):
        raise Unreadable("matlab: objects of MATLAB's own, such as tables and strings; save them as plain arrays")
    report.text("header").line(decoded(head[:116].replace(b"\0", b" ")))
    reader = _Matrices(report, order)
    cursor.order = order
    while cursor.left:
        kind, size = cursor.numbers("II")
        raw = cursor.take(size)
        if kind == _PACKED:
            raw = _inflated(raw, report)
            elements = _Elements(raw, order)
            kind, raw = elements.next()
            elements.finish()
        if kind != _MATRIX:
            raise Unreadable("matlab: something other than a variable")
        reader.read(raw, "", 0)


def _inflated(raw: bytes, report: Report) -> bytes:
    limit = report.context.budget.limits.held
    inflate = zlib.decompressobj()
    plain = inflate.decompress(raw, limit)
    report.context.budget.expand(len(plain))
    if not inflate.eof or inflate.unused_data:
        raise Unreadable("matlab: a compressed variable is damaged or too large", kind="archive_limit")
    return plain


class _Elements:
    """Data elements within bytes (figure "MAT-File Data Element Format", and its small form)."""

    def __init__(self, raw: bytes, order: str) -> None:
        self._raw = raw
        self._word = "little" if order == "<" else "big"
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._raw) - self._at

    def next(self) -> tuple[int, bytes]:
        """Type and content; padding must be zeros."""
        kind, size, start, stop = self._u32(0), self._u32(4), 8, 0
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, 4
            stop = 8
        end = start + size
        stop = max(stop, end + (-end % 8 if kind != _PACKED else 0))
        whole = self._raw[self._at : self._at + stop]
        if size > self.left or len(whole) < end or any(whole[end:]) or (start == 4 and size > 4):
            raise Unreadable("matlab: an element breaks off, or its padding says something")
        self._at += min(stop, self.left)
        return kind, whole[start:end]

    def finish(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise Unreadable("matlab: something stands behind an array")

    def _u32(self, offset: int) -> int:
        at = self._at + offset
        return int.from_bytes(self._raw[at : at + 4], self._word)  # type: ignore[arg-type]  # one of two words


@dataclass
class _Array:
    """What every array begins with."""

    kind: int
    dims: list[int]
    place: str
    imaginary: bool


class _Matrices:
    """Hands arrays to the report."""

    def __init__(self, report: Report, order: str) -> None:
        self._report = report
        self._order = order
        self._sink = report.text("names")
        self._items = 0

    def read(self, raw: bytes, place: str, depth: int) -> None:
        """An array with all that is in it; an empty element is an empty array."""
        self._items += 1
        if depth > _DEPTH or self._items > _ITEMS:
            raise Unreadable("matlab: too many arrays, or nested too deeply", kind="archive_limit")
        if not raw:
            return
        elements = _Elements(raw, self._order)
        flags = self._numbers(*elements.next())
        dims = [int(each) for each in self._numbers(*elements.next())]
        name = decoded(elements.next()[1])
        self._sink.line(name)
        array = _Array(int(flags[0]) & 0xFF, dims, f"{place}.{name}".strip("."), bool(int(flags[0]) & _COMPLEX))
        self._content(array, elements, depth)
        elements.finish()

    def _content(self, array: _Array, elements: _Elements, depth: int) -> None:
        if array.kind == _CHAR:
            self._text(array, *elements.next())
        elif array.kind in _CLASSES:
            for _ in range(2 if array.imaginary else 1):
                self._table(array, self._numbers(*elements.next()))
        elif array.kind == _SPARSE:
            for _ in range(4 if array.imaginary else 3):
                values = self._numbers(*elements.next())
                self._table(_Array(array.kind, [len(values), 1], array.place, imaginary=False), values)
        elif array.kind == _CELL:
            while elements.left:
                self._nested(elements, array.place, depth)
        elif array.kind in (_STRUCT, _OBJECT):
            self._struct(array, elements, depth)
        else:
            raise Unreadable("matlab: an array of a kind that is not read")

    def _nested(self, elements: _Elements, place: str, depth: int) -> None:
        kind, raw = elements.next()
        if kind != _MATRIX:
            raise Unreadable("matlab: something other than an array within one")
        self.read(raw, place, depth + 1)

    def _struct(self, array: _Array, elements: _Elements, depth: int) -> None:
        if array.kind == _OBJECT:
            self._sink.line(decoded(elements.next()[1]))
        width = int(self._numbers(*elements.next())[0])
        raw = elements.next()[1]
        if width < 1:
            raise Unreadable("matlab: names of fields of no width")
        names = [decoded(raw[at : at + width].replace(b"\0", b" ")).strip() for at in range(0, len(raw), width)]
        for name in names:
            self._sink.line(name)
        while elements.left:
            for name in names:
                self._nested(elements, f"{array.place}.{name}", depth)
            if not names:
                raise Unreadable("matlab: values of no field")

    def _numbers(self, kind: int, raw: bytes) -> np.ndarray[Any, Any]:
        if kind not in _NUMBERS:
            raise Unreadable("matlab: numbers of an unknown type")
        return np.frombuffer(raw, self._order + _NUMBERS[kind])

    def _text(self, array: _Array, kind: int, raw: bytes) -> None:
        """Letters in columns: a row of the array is a text."""
        if kind in _TEXTS:
            codec = _TEXTS[kind] + ("" if kind == 16 else "-le" if self._order == "<" else "-be")
            letters = list(raw.decode(codec))
        else:
            letters = [chr(int(code)) for code in self._numbers(kind, raw)]
        rows = array.dims[0] if array.dims and 0 < array.dims[0] <= len(letters) else 1
        sink = self._report.text(array.place)
        for row in range(rows):
            sink.line("".join(letters[row::rows]).encode("utf-8", "replace").decode())
        self._report.close(sink)

    def _table(self, array: _Array, values: np.ndarray[Any, Any]) -> None:
        if not values.size or values.dtype.itemsize <= _SAMPLE:
            return
        rows = (
            array.dims[0]
            if len(array.dims) == 2 and array.dims[0] > 0 and values.size // array.dims[0] <= _WIDE
            else values.size
        )
        if values.size % rows:
            raise Unreadable("matlab: other values than the array has places")
        columns = (
            [f"column {number + 1}" for number in range(values.size // rows)] if rows < values.size else [array.place]
        )
        sink = self._report.table(array.place, columns)
        sink.extend(row.tolist() for row in values.reshape(-1, rows).T)
        self._report.close(sink)
