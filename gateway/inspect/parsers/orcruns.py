"""Run length encodings of ORC (Apache ORC specification v1, "Run Length Encoding"): bytes, bits, and numbers in two versions.

Every function wants a known number of values and the stream to end with the last of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gateway.inspect.limits import Unreadable

Numbers = np.ndarray[Any, np.dtype[np.int64]]

_WIDTHS: Final[tuple[int, ...]] = (*range(1, 25), 26, 28, 30, 32, 40, 48, 56, 64)  # of five bits
_SHORT: Final = 3  # values of the shortest run


class Stream:
    """A stream as it is read.

    Attributes:
        at: Where the next run begins.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            Unreadable: There are fewer.
        """
        found = self.raw[self.at : self.at + size]
        if len(found) < size:
            raise Unreadable("orc: a stream breaks off")
        self.at += size
        return found

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self, most: int = 70) -> int:
        """A number of at most so many bits, the low ones first."""
        value = shift = 0
        while shift < most:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise Unreadable("orc: a number without end")

    def end(self) -> None:
        """Nothing is left.

        Raises:
            Unreadable: Something is.
        """
        if self.at != len(self.raw):
            raise Unreadable("orc: a stream holds more than its values")


def signed(value: int) -> int:
    """Zig-zag."""
    return value >> 1 ^ -(value & 1)


def run_bytes(raw: bytes, count: int) -> bytes:
    """Bytes."""
    stream, out = Stream(raw), bytearray()
    while len(out) < count:
        head = stream.byte()
        out += stream.take(1) * (head + _SHORT) if head < 0x80 else stream.take(256 - head)
    stream.end()
    if len(out) != count:
        raise Unreadable("orc: more bytes than values")
    return bytes(out)


def run_bits(raw: bytes, count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Truths, eight to a byte."""
    packed = np.frombuffer(run_bytes(raw, (count + 7) // 8), np.uint8)
    return np.unpackbits(packed)[:count].astype(bool)


def run_numbers(raw: bytes, count: int, *, second: bool, negative: bool) -> Numbers:
    """Numbers, of version 2 where it is the `second`, with signs where they may be `negative`."""
    stream, parts, found = Stream(raw), list[Numbers](), 0
    while found < count:
        part = (_run2 if second else _run1)(stream, negative=negative)
        parts.append(part)
        found += len(part)
    stream.end()
    if found != count:
        raise Unreadable("orc: more numbers than values")
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _run1(stream: Stream, *, negative: bool) -> Numbers:
    head = stream.byte()
    if head >= 0x80:
        return _wrapped([_plain(stream, negative=negative) for _ in range(256 - head)])
    step = int.from_bytes(stream.take(1), "big", signed=True)
    first = _plain(stream, negative=negative)
    return _wrapped([first + step * place for place in range(head + _SHORT)])


def _plain(stream: Stream, *, negative: bool) -> int:
    value = stream.varint()
    return signed(value) if negative else value


def _wrapped(values: list[int]) -> Numbers:
    """As sixty-four bits have them."""
    return np.array([value & (1 << 64) - 1 for value in values], np.uint64).view(np.int64)


def _run2(stream: Stream, *, negative: bool) -> Numbers:
    head = stream.byte()
    kind = head >> 6
    if kind == 0:
        value = int.from_bytes(stream.take((head >> 3 & 7) + 1), "big")
        return _wrapped([signed(value) if negative else value] * ((head & 7) + _SHORT))
    length = ((head & 1) << 8 | stream.byte()) + 1
    code = head >> 1 & 31
    if kind == 1:
        return _unsigned(stream, _WIDTHS[code], length, negative=negative)
    return _delta(stream, code, length, negative=negative) if kind == 3 else _patched(stream, _WIDTHS[code], length)


def _unsigned(stream: Stream, width: int, length: int, *, negative: bool = False) -> Numbers:
    """Numbers of so many bits each, padded to a byte."""
    bits = np.unpackbits(np.frombuffer(stream.take((width * length + 7) // 8), np.uint8))[: width * length]
    powers = np.left_shift(np.uint64(1), np.arange(width - 1, -1, -1, dtype=np.uint64))
    values = bits.reshape(length, width).astype(np.uint64) @ powers
    if negative:
        values = (values >> np.uint64(1)) ^ (np.uint64(0) - (values & np.uint64(1)))
    return values.astype(np.uint64).view(np.int64)


def _delta(stream: Stream, code: int, length: int, *, negative: bool) -> Numbers:
    base, step = _plain(stream, negative=negative), signed(stream.varint())
    if not code:
        return _wrapped([base + step * place for place in range(length)])
    deltas = _unsigned(stream, _WIDTHS[code], max(length - 2, 0))
    rest = np.cumsum(deltas, dtype=np.int64)  # wraps as the writer's numbers do
    ends = _wrapped([base, base + step])
    tail = ends[1] + rest if step >= 0 else ends[1] - rest
    return np.concatenate([ends, tail])[:length]


def _patched(stream: Stream, width: int, length: int) -> Numbers:
    third, fourth = stream.byte(), stream.byte()
    size, patch, gap, patches = (third >> 5) + 1, _WIDTHS[third & 31], (fourth >> 5) + 1, fourth & 31
    if gap + patch > 64:
        raise Unreadable("orc: a patch that is too wide")
    base = int.from_bytes(stream.take(size), "big")
    sign = 1 << 8 * size - 1
    base = -(base & sign - 1) if base & sign else base
    values = [int(value) & (1 << 64) - 1 for value in _unsigned(stream, width, length).tolist()]
    at = 0
    for entry in _unsigned(stream, _closest(gap + patch), patches).tolist() if patches else []:
        at += (entry & (1 << 64) - 1) >> patch
        if at >= length:
            raise Unreadable("orc: a patch of no value")
        values[at] |= (entry & (1 << patch) - 1) << width
    return _wrapped([base + value for value in values])


def _closest(width: int) -> int:
    """The width that a list of patches is written in."""
    return min(each for each in _WIDTHS if each >= width)
