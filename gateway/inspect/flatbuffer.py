"""Tables of FlatBuffers (flatbuffers.dev, "FlatBuffers Internals"), as far as Arrow's messages need them.

Offsets that lead out of the buffer raise `struct.error`: a malformed file.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(rb"[\x20-\x7e\x80-\xf4]{3,}")


@dataclass(frozen=True)
class Table:
    """One table of a buffer."""

    raw: bytes
    at: int

    def _slot(self, field: int) -> int:
        """Where a field's value stands; 0 where it is absent."""
        vtable = self.at - _i32(self.raw, self.at)
        if vtable < 0 or 6 + 2 * field > _u16(self.raw, vtable):
            return 0
        offset = _u16(self.raw, vtable + 4 + 2 * field)
        return self.at + offset if offset else 0

    def number(self, field: int, layout: str = "<q") -> int:
        """A scalar; its default is 0."""
        at = self._slot(field)
        return int(struct.unpack_from(layout, self.raw, at)[0]) if at else 0

    def table(self, field: int) -> Table | None:
        """A table referred to."""
        at = self._slot(field)
        return Table(self.raw, at + _u32(self.raw, at)) if at else None

    def text(self, field: int) -> str:
        """A string; empty where there is none."""
        at = self._slot(field)
        if not at:
            return ""
        start = at + _u32(self.raw, at)
        return self.raw[start + 4 : start + 4 + _u32(self.raw, start)].decode("utf-8", "replace")

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        at = self._slot(field)
        if not at:
            return []
        start = at + _u32(self.raw, at)
        count = _u32(self.raw, start)
        if 4 * count > len(self.raw):
            raise struct.error("a vector longer than its buffer")
        places = range(start + 4, start + 4 + 4 * count, 4)
        return [Table(self.raw, place + _u32(self.raw, place)) for place in places]

    def structs(self, field: int, layout: str) -> list[tuple[int, ...]]:
        """A vector of structs."""
        at = self._slot(field)
        if not at:
            return []
        start = at + _u32(self.raw, at)
        count, size = _u32(self.raw, start), struct.calcsize(layout)
        if count * size > len(self.raw):
            raise struct.error("a vector longer than its buffer")
        return [struct.unpack_from(layout, self.raw, start + 4 + each * size) for each in range(count)]


def root_of(raw: bytes) -> Table:
    """The outermost table."""
    return Table(raw, _u32(raw, 0))


def texts_of(raw: bytes) -> list[str]:
    """Whatever reads as text within a buffer, referred to or not."""
    return [run.decode("utf-8", "replace") for run in _TEXT.findall(raw)]


def _u16(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", raw, at)[0])


def _u32(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", raw, at)[0])


def _i32(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", raw, at)[0])
