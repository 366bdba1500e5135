"""Strings of BIFF8 records, over the records that continue them; and text in records that are not read field by field.

Source: [MS-XLS] sections 2.5.293 (XLUnicodeRichExtendedString), 2.5.294 (XLUnicodeString), 2.4.58 (Continue).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.inspect.limits import Unreadable

_LETTERS: Final = re.compile(
    r"[A-Za-z0-9\u00c0-\u00ff][A-Za-z0-9\u00c0-\u00ff_ .,:;/@+*()%&'\"-]{3,}|[\u2e80-\u9fff\uf900-\ufaff★☆0-9]{2,}"
)
_WIDE, _EXTENDED, _RICH = 1, 4, 8


class Parts:
    """The bytes of a record and of those that continue it.

    Args:
        parts: Their bodies.
    """

    def __init__(self, parts: Sequence[bytes]) -> None:
        self._parts = parts
        self._part = 0
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether any byte is left."""
        return any(
            len(part) > (self._at if number == 0 else 0) for number, part in enumerate(self._parts[self._part :])
        )

    def take(self, size: int) -> bytes:
        """The next bytes, wherever one record ends and the next begins.

        Raises:
            Unreadable: There are fewer.
        """
        pieces = []
        while size > 0:
            piece = self._piece(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def number(self, size: int) -> int:
        """A little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def string(self, width: int = 2) -> list[str]:
        """A string whose length has `width` bytes, and what an extension says (how it is pronounced)."""
        count, flags = self.number(width), self.number(1)
        if flags & ~(_WIDE | _EXTENDED | _RICH):
            raise Unreadable("xls: a string of an unknown form")
        runs = self.number(2) if flags & _RICH else 0
        extra = self.number(4) if flags & _EXTENDED else 0
        found = [self.characters(count, wide=bool(flags & _WIDE))]
        self.take(4 * runs)
        return [*found, *salvaged(self.take(extra))] if extra else found

    def characters(self, count: int, *, wide: bool) -> str:
        """Characters; where the record ends between two of them, the next begins with their form."""
        found = []
        while count:
            if self._at == len(self._part_now()):
                self._following()
                wide = bool(self.number(1) & _WIDE)
            width = 1 + wide
            room = (len(self._part_now()) - self._at) // width
            if not room:
                raise Unreadable("xls: a string that breaks off")
            raw = self._piece(min(count, room) * width)
            found.append(raw.decode("utf-16-le" if wide else "latin-1", "replace"))
            count -= min(count, room)
        return "".join(found)

    def _part_now(self) -> bytes:
        if self._part >= len(self._parts):
            raise Unreadable("xls: a record that breaks off")
        return self._parts[self._part]

    def _following(self) -> None:
        self._part, self._at = self._part + 1, 0
        self._part_now()

    def _piece(self, size: int) -> bytes:
        while self._at == len(self._part_now()):
            self._following()
        piece = self._part_now()[self._at : self._at + size]
        self._at += len(piece)
        return piece


def salvaged(raw: bytes) -> list[str]:
    """Runs of letters in bytes whose fields nobody reads: of one byte each, of two at either offset, and of GB18030."""
    texts = [raw.decode("latin-1"), raw.decode("utf-16-le", "replace"), raw[1:].decode("utf-16-le", "replace")]
    if not raw.isascii():
        texts.append(raw.decode("gb18030", "replace"))
    return [run for text in texts for run in _LETTERS.findall(text)]


__all__ = ["Parts", "salvaged"]
