"""Reads exact pieces of a file in order: what parsers of binary formats walk with."""

from __future__ import annotations

from typing import Final

from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.source import Source, Stream

_AHEAD: Final = 1 << 18


class Cursor:
    """A place in a file that moves forward.

    Args:
        source: From where it stands.
        budget: Bounds what is taken at once.
        format_: For the message when the file breaks off.

    Attributes:
        at: Bytes taken so far.
    """

    def __init__(self, source: Source | Stream, budget: Budget, format_: str) -> None:
        self._source = source
        self._budget = budget
        self._format = format_
        self._held = memoryview(b"")
        self.at = 0

    def take(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            Unreadable: There are fewer, or they are more than may be held.
        """
        if size < 0:
            raise Unreadable(f"{self._format}: a size below zero")
        self._budget.room(size)
        if len(self._held) < size and not self._fill(size):
            raise Unreadable(f"{self._format}: the file breaks off")
        piece, self._held = bytes(self._held[:size]), self._held[size:]
        self.at += size
        return piece

    def skip(self, size: int) -> None:
        """Take so many bytes and drop them, whatever their number."""
        while size > 0:
            size -= len(self.take(min(size, _AHEAD)))

    def number(self, size: int = 4, *, signed: bool = False) -> int:
        """A little-endian number."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def more(self) -> bool:
        """Whether any bytes are left."""
        return len(self._held) > 0 or self._fill(1)

    def ahead(self) -> int:
        """Bytes at hand without another read; after `more` at least one."""
        return len(self._held)

    def _fill(self, size: int) -> bool:
        pieces, held = [bytes(self._held)], len(self._held)
        while held < size:
            piece = self._source.read(max(_AHEAD, size - held))
            if not piece:
                break
            pieces.append(piece)
            held += len(piece)
        self._held = memoryview(b"".join(pieces))
        return held >= size
