"""Reads a file from front to back and covers what it hands out; and text in an encoding that a file may not name."""

from __future__ import annotations

import struct
from typing import Any, Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_GUESSED: Final = ("utf-8", "gb18030")


class Cursor:
    """Fields one after another.

    Attributes:
        at: Where the next field begins.
        order: `<` or `>`, of numbers.
    """

    def __init__(self, source: Source, report: Report, *, at: int = 0, order: str = "<") -> None:
        self._source = source
        self._report = report
        self._format = report.format.name
        self.at = at
        self.order = order

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return self._source.size - self.at

    def take(self, size: int) -> bytes:
        """The next bytes, which the caller interprets: they count as covered.

        Raises:
            Unreadable: There are fewer, or too many for memory.
        """
        raw = self.peek(size)
        if size < 0 or len(raw) < size:
            raise Unreadable(f"{self._format}: breaks off")
        self._report.cover(self.at, self.at + size)
        self.at += size
        return raw

    def peek(self, size: int) -> bytes:
        """The next bytes, or fewer at the end, without moving."""
        self._report.context.budget.room(max(size, 0))
        self._source.seek(self.at)
        return self._source.read(max(size, 0))

    def skip(self, size: int) -> None:
        """Leave bytes uncovered."""
        self.at += size

    def expect(self, wanted: bytes) -> None:
        """Exactly these bytes.

        Raises:
            Unreadable: Others stand there.
        """
        if self.peek(len(wanted)) != wanted:
            raise Unreadable(f"{self._format}: a part is missing or out of order")
        self.take(len(wanted))

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Numbers by a layout of `struct`, in the file's order."""
        return struct.unpack(self.order + layout, self.take(struct.calcsize(self.order + layout)))

    def number(self, layout: str) -> int:
        """One number."""
        return int(self.numbers(layout)[0])


def decoded(raw: bytes, encoding: str = "") -> str:
    """Text in the encoding that the file names, else in one it may be in; never an error, letters only are at stake."""
    for each in (encoding, *_GUESSED):
        try:
            if each:
                return raw.decode(each)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")
