"""Reads a binary file forward, field by field, and knows where it is.

What it is not: seeking. It works on members that are decompressed as they are read, and so its parsers do (`streams`).
Bytes that a field's nature exempts from reading, samples and pixels, are passed over without being held.
"""

from __future__ import annotations

import io
import struct
from typing import Final

from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.source import Source, Stream

_PIECE: Final = 1 << 20
_AHEAD: Final = 1 << 15  # bytes read at once where fields are small


class Cursor:
    """Where the next field begins.

    Args:
        source: Read from its present place, which counts as 0.
        budget: What a field held as a whole is asked of.
        name: Of the format, for messages.

    Attributes:
        at: Bytes passed.
        budget: As given.
    """

    def __init__(self, source: Source | Stream | io.RawIOBase, budget: Budget, name: str) -> None:
        self._source = source
        self._name = name
        self._ahead = b""  # read from the source and not yet passed, from `_start` on
        self._start = 0
        self.budget = budget
        self.at = 0

    def take(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            Unreadable: The file ends before them, or they are too many to hold.
        """
        got = self.some(size)
        if len(got) < size:
            raise Unreadable(f"{self._name}: breaks off")
        return got

    def some(self, size: int) -> bytes:
        """So many bytes, fewer at the end of the file.

        Raises:
            Unreadable: They are too many to hold.
        """
        if size < 0:
            raise Unreadable(f"{self._name}: a size below zero")
        self.budget.room(size)
        end = self._start + size
        if end <= len(self._ahead):
            got = self._ahead[self._start : end]
            self._start = end
            self.at += size
            return got
        pieces, left = [], size
        while left > 0 and (piece := self._piece(left)):
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay; fewer at the end of the file."""
        got = self.some(size)
        if self._start >= len(got):
            self._start -= len(got)
        else:
            self._ahead, self._start = got + self._ahead[self._start :], 0
        self.at -= len(got)
        return got

    def skip(self, size: int) -> None:
        """Pass over so many bytes.

        Raises:
            Unreadable: The file ends before them.
        """
        kept = len(self._ahead) - self._start
        if isinstance(self._source, Source) and size > kept:
            left = size - kept
            if self._source.tell() + left > self._source.size:
                raise Unreadable(f"{self._name}: breaks off")
            self._source.seek(left, io.SEEK_CUR)
            self._ahead, self._start = b"", 0
            self.at += size
            return
        while size > 0:
            piece = self._piece(min(size, _PIECE))
            if not piece:
                raise Unreadable(f"{self._name}: breaks off")
            size -= len(piece)

    def number(self, size: int = 4, *, signed: bool = False) -> int:
        """A little-endian number."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def more(self) -> bool:
        """Whether any bytes are left."""
        return self.ahead() > 0 or bool(self.peek(1))

    def ahead(self) -> int:
        """Bytes at hand without another read; after `more` at least one."""
        return len(self._ahead) - self._start

    def unpack(self, form: str) -> tuple[int, ...]:
        """Fields by a `struct` format."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def zeros(self, size: int) -> bool:
        """Whether the next `size` bytes are all zero; they are passed."""
        clean = True
        while size > 0:
            piece = self.take(min(size, _PIECE))
            clean = clean and not any(piece)
            size -= len(piece)
        return clean

    def _piece(self, size: int) -> bytes:
        if self._start >= len(self._ahead):
            self._ahead, self._start = self._source.read(max(size, _AHEAD)) or b"", 0
        piece = self._ahead[self._start : self._start + size]
        self._start += len(piece)
        self.at += len(piece)
        return piece


class Window(io.RawIOBase):
    """The next `size` bytes of a cursor as a file of their own, for members; read forward."""

    def __init__(self, cursor: Cursor, size: int) -> None:
        super().__init__()
        self._cursor = cursor
        self.left = size

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed asks for any buffer
        """Some bytes; none at the end of the window."""
        got = self.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, none at the end; all that are left for a negative size."""
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        piece = self._cursor.take(wanted) if size is None or size < 0 else self._cursor.take(min(wanted, _PIECE))
        self.left -= len(piece)
        return piece


def plain_text(value: bytes) -> str | None:
    """What bytes say where they are nothing but text, in UTF-8 or GB18030; None where they are not."""
    body = value.rstrip(b"\0 ")
    if any(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in body):
        return None
    for encoding in ("utf-8", "gb18030"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None
