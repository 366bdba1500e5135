"""Bytes of a connection that are not parsed yet: what was taken from their front is not copied behind it again.

asyncssh (2.24) keeps them as `bytes` and cuts twice for every packet, and each cut copies all that is left: a tenth of the event
loop's time with four uploads. A change must keep: whoever cuts `[n:]` puts the result where the buffer was, as the library does.
"""

from __future__ import annotations

from typing import Any, Final, Self

LIBRARY_CUTS: Final = ("self._inpbuf[idx+1:]", "self._inpbuf[self._recv_blocksize:]", "self._inpbuf[rem:]")


class Inbox:
    """As much of `bytes` as the library asks of its buffer."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def __iadd__(self, more: bytes) -> Self:
        self._data = self._data[self._at :] + more if len(self) else more
        self._at = 0
        return self

    def __getitem__(self, cut: slice) -> Any:
        """`[n:]` takes the front off and gives the buffer itself; with an end it copies out."""
        start = cut.start or 0
        if cut.stop is None:
            self._at = min(self._at + start, len(self._data))
            return self
        return self._data[self._at + start : self._at + cut.stop]

    def find(self, wanted: bytes, start: int, end: int) -> int:
        """As of `bytes`."""
        found = self._data.find(wanted, self._at + start, self._at + end)
        return found if found < 0 else found - self._at
