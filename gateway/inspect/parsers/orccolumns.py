"""Columns of an ORC stripe as Arrow arrays (Apache ORC specification v1, "Column Encodings").

Streams that a column does not want, and values that a stream has too many, are refused: so whatever stands in a stripe was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.parsers.orcruns import Numbers, Stream, run_bits, run_bytes, run_numbers, signed

(BOOLEAN, BYTE, SHORT, INT, LONG, FLOAT, DOUBLE, STRING, BINARY, TIMESTAMP, LIST, MAP, STRUCT, UNION, DECIMAL, DATE, VARCHAR,
 CHAR, INSTANT) = range(19)  # fmt: skip
PRESENT, DATA, LENGTH, DICTIONARY, _, SECONDARY = range(6)  # kinds of streams
_CODED: Final = frozenset({1, 3})  # encodings with a dictionary
_SECOND: Final = frozenset({2, 3})  # encodings with numbers of version 2
_TEXTS: Final = frozenset({STRING, VARCHAR, CHAR})
_WHOLE: Final = frozenset({SHORT, INT, LONG})
_EPOCH: Final = 1_420_070_400  # 2015-01-01
_FAR: Final = 7_500_000_000  # seconds that nanoseconds of 64 bits have
_DAYS: Final = 2**31
_DIGITS: Final = 64  # of a decimal's scale; Hive has 38
_ROWS: Final = 16_384  # rendered at once


@dataclass
class Type:
    """A column: kind, columns within it by number, names of those of a struct."""

    number: int
    kind: int
    children: list[Type] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


@dataclass
class Stripe:
    """The streams of one stripe by column and kind, taken out as they are read; encodings and sizes of dictionaries by column."""

    streams: dict[tuple[int, int], bytes]
    encodings: Mapping[int, tuple[int, int]]
    budget: Budget
    held: int = 0

    def array(self, column: Type, count: int) -> pa.Array:
        """A column of so many values.

        Raises:
            Unreadable: Its streams hold something else.
        """
        self._hold(count)
        raw = self.streams.pop((column.number, PRESENT), None)
        present = None if raw is None else run_bits(raw, count)
        met = count if present is None else int(present.sum())
        values = self._values(column, met)
        if present is None:
            return values
        places = np.cumsum(present) - 1
        return values.take(pa.array(places, pa.int64(), mask=~present))

    def _hold(self, count: int) -> None:
        """So many values more, of all columns, are in memory."""
        self.held += count * 8
        self.budget.room(self.held)
        self.budget.expand(count)

    def _values(self, column: Type, count: int) -> pa.Array:
        kind = column.kind
        if kind == STRUCT:
            return _struct([self.array(each, count) for each in column.children], column.names, count)
        if kind in (LIST, MAP):
            return self._lists(column, count)
        if kind == UNION:
            return self._union(column, count)
        if kind in _TEXTS or kind == BINARY:
            return self._texts(column, count)
        data = self._stream(column, DATA, count)
        if kind == BOOLEAN:
            return pa.array(run_bits(data, count))
        if kind == BYTE:
            return pa.array(np.frombuffer(run_bytes(data, count), np.int8))
        if kind in (FLOAT, DOUBLE):
            return _floats(data, count, 4 if kind == FLOAT else 8)
        if kind == DECIMAL:
            return _decimals(data, self._numbers(column, SECONDARY, count, negative=True))
        numbers = run_numbers(data, count, second=self._second(column), negative=True)
        if kind in (TIMESTAMP, INSTANT):
            return _moments(numbers, self._numbers(column, SECONDARY, count))
        return _dates(numbers) if kind == DATE else pa.array(numbers)

    def _second(self, column: Type) -> bool:
        return self.encodings[column.number][0] in _SECOND

    def _stream(self, column: Type, kind: int, count: int) -> bytes:
        """Taken out; it may be missing only where there is no value."""
        raw = self.streams.pop((column.number, kind), None)
        if raw is None and count:
            raise Unreadable("orc: a column without its values")
        return raw or b""

    def _numbers(self, column: Type, kind: int, count: int, *, negative: bool = False) -> Numbers:
        raw = self._stream(column, kind, count)
        return run_numbers(raw, count, second=self._second(column), negative=negative)

    def _texts(self, column: Type, count: int) -> pa.Array:
        encoding, size = self.encodings[column.number]
        if encoding not in _CODED | _SECOND | {0}:
            raise Unreadable("orc: an encoding that is not read")
        text = column.kind != BINARY
        if encoding not in _CODED:
            return _cells(self._stream(column, DATA, count), self._numbers(column, LENGTH, count), text=text)
        self._hold(size)
        lengths = self._numbers(column, LENGTH, size)
        words = _cells(self._stream(column, DICTIONARY, size), lengths, text=text)
        codes = self._numbers(column, DATA, count)
        if count and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            raise Unreadable("orc: a code that a dictionary has not")
        for start in range(0, count, _ROWS):  # a long word for every row would be as large as one likes
            letters = int(lengths[codes[start : start + _ROWS]].sum())
            self.budget.room(letters)
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int64()), words)

    def _lists(self, column: Type, count: int) -> pa.Array:
        offsets = _offsets(self._numbers(column, LENGTH, count), "items")
        inner = [self.array(each, int(offsets[-1])) for each in column.children]
        items = inner[0] if column.kind == LIST else _struct(inner, ["key", "value"], int(offsets[-1]))
        return pa.LargeListArray.from_arrays(pa.array(offsets), items)

    def _union(self, column: Type, count: int) -> pa.Array:
        tags = np.frombuffer(run_bytes(self._stream(column, DATA, count), count), np.uint8)
        if count and int(tags.max()) >= len(column.children):
            raise Unreadable("orc: a branch that a union has not")
        parts = []
        for place, each in enumerate(column.children):
            mine = tags == place
            values = self.array(each, int(mine.sum()))
            parts.append(values.take(pa.array(np.cumsum(mine) - 1, pa.int64(), mask=~mine)))
        return _struct(parts, [str(place) for place in range(len(parts))], count)


def _struct(parts: list[pa.Array], names: list[str], count: int) -> pa.Array:
    return pa.StructArray.from_arrays(parts, names) if parts else pa.nulls(count)


def _offsets(lengths: Numbers, what: str) -> Numbers:
    """Where each begins, and the end of the last."""
    if len(lengths) and (int(lengths.min()) < 0 or int(lengths.max()) > 1 << 31):
        raise Unreadable(f"orc: {what} without number")
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _cells(raw: bytes, lengths: Numbers, *, text: bool) -> pa.Array:
    """Texts, or bytes, that lie one after another."""
    offsets = _offsets(lengths, "letters")
    if int(offsets[-1]) != len(raw):
        raise Unreadable("orc: other letters than words")
    kind = pa.large_string() if text else pa.large_binary()
    found = pa.Array.from_buffers(kind, len(lengths), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(raw)])
    found.validate(full=True)  # letters are UTF-8
    return found


def _floats(raw: bytes, count: int, size: int) -> pa.Array:
    if len(raw) != count * size:
        raise Unreadable("orc: other numbers than values")
    return pa.array(np.frombuffer(raw, f"<f{size}"))


def _decimals(raw: bytes, scales: Numbers) -> pa.Array:
    stream, found = Stream(raw), []
    for scale in scales.tolist():
        if not -_DIGITS <= scale <= _DIGITS:
            raise Unreadable("orc: a decimal without measure")
        found.append(f"{Decimal(signed(stream.varint(140))).scaleb(-scale):f}")
    stream.end()
    return pa.array(found, pa.large_string())


def _dates(numbers: Numbers) -> pa.Array:
    if len(numbers) and not -_DAYS <= int(numbers.min()) <= int(numbers.max()) < _DAYS:
        return pa.array(numbers)  # no calendar has them
    return pa.array(numbers.astype(np.int32)).cast(pa.date32())


def _moments(seconds: Numbers, parts: Numbers) -> pa.Array:
    """Seconds since 2015, and nanoseconds whose last three bits count zeros that were left out."""
    zeros = parts & 7
    nanos = (parts >> 3) * np.where(zeros == 0, 1, 10 ** (zeros + 1))
    if (len(parts) and not 0 <= int(parts.min()) <= int(parts.max()) < 1 << 33) or (nanos >= 1_000_000_000).any():
        raise Unreadable("orc: a second of more than its parts")
    if len(seconds) and not -_FAR < int(seconds.min()) <= int(seconds.max()) < _FAR:
        return pa.array(seconds)  # no calendar has them
    whole: Any = (seconds + _EPOCH) * 1_000_000_000 + nanos
    return pa.array(whole).cast(pa.timestamp("ns"))
