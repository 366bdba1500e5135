"""Thrift's compact protocol, as far as Parquet needs it (Apache Thrift, "Thrift Compact protocol encoding").

Structs become dicts by field number: nothing is skipped, so that fields which nobody knows are seen too.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from gateway.inspect.limits import Unreadable

_DEPTH: Final = 24
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

Struct = dict[int, Any]


class Compact:
    """Reads values one after another.

    Attributes:
        at: Where the next value begins.
    """

    def __init__(self, raw: bytes, at: int = 0) -> None:
        self._raw = raw
        self.at = at

    def struct(self, depth: int = 0) -> Struct:
        """A struct with all its fields.

        Raises:
            Unreadable: It breaks off, is nested too deeply or holds what the protocol does not know.
        """
        if depth > _DEPTH:
            raise Unreadable("thrift: nested too deeply", kind="archive_limit")
        found: Struct = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            if number in found:
                raise Unreadable("thrift: a field stands twice")
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind in (_BYTE, _TRUE, _FALSE):
            return self._byte()
        if kind == _MAP:
            return self._map(depth)
        raise Unreadable("thrift: an unknown type")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        return [self._value(head & 15, depth + 1) for _ in range(self._counted(count, depth))]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        count = self._counted(self._varint(), depth)
        kinds = self._byte() if count else 0
        return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(count)]

    def _counted(self, count: int, depth: int) -> int:
        if count > len(self._raw) - self.at or depth > _DEPTH:  # a value takes a byte at least
            raise Unreadable("thrift: a list longer than its bytes")
        return count

    def _byte(self) -> int:
        if self.at >= len(self._raw):
            raise Unreadable("thrift: breaks off")
        self.at += 1
        return self._raw[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        if size > len(self._raw) - self.at:
            raise Unreadable("thrift: breaks off")
        self.at += size
        return self._raw[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise Unreadable("thrift: a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


def texts(value: Any) -> list[bytes]:
    """All byte strings within a value, in order."""
    if isinstance(value, bytes):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [text for part in parts for text in texts(part)]
