"""Memory that uploads fill with bytes: pieces, how large each may be, and how many are worked on at once.

What it is not: the work (`upload`).

The rules:
1. An upload has one piece that fills and at most two in work. All of them together take `BUDGET`, however many uploads there
   are: the less of it is left, the smaller is the next piece, down to one segment, which everybody gets.
2. Of all uploads `working` pieces are in work at once, whoever asked first goes first. Who waits takes no bytes meanwhile.
3. A whole piece is used again, not freed and made anew while uploads go on: between packets that live for moments such gaps
   stay open, and with eight uploads half of the heap was gaps.
4. What was in a piece is overwritten by the next upload that has it. Whoever worked on it keeps no view of it.
"""

from __future__ import annotations

import asyncio
from threading import local
from typing import Final

from gateway.wire import crypt4gh

PIECE: Final = 16 * crypt4gh.SEGMENT  # 1 MiB: long enough to amortise a thread switch, short enough to keep memory flat
BUDGET: Final = 24 << 20
SHARE: Final = 4  # the next piece takes at most this part of what is left
WORKING: Final = 4  # pieces whose lanes keep four threads busy
SPARE: Final = 8  # pieces kept for the next upload


class Pieces:
    """What the uploads of a process share. For one loop, but for `sealing`, which every worker thread calls.

    Args:
        working: Pieces in work at once.
        budget: Bytes of all pieces.
    """

    def __init__(self, working: int = WORKING, budget: int = BUDGET) -> None:
        self.turn = asyncio.Semaphore(working)  # first come, first served
        self.left = budget  # below zero by a segment for each upload that came when there was none
        self._spare: list[bytearray] = []
        self._rooms = local()

    def take(self) -> bytearray:
        """A piece to fill, of whole segments; what is in it is nobody's."""
        segments = self.left // SHARE // crypt4gh.SEGMENT
        size = min(PIECE, max(1, segments) * crypt4gh.SEGMENT)
        self.left -= size
        return self._spare.pop() if size == PIECE and self._spare else bytearray(size)

    def give(self, piece: bytearray) -> None:
        """Nobody works on it any more: the next one may have it."""
        self.drop(piece)
        if len(piece) == PIECE and len(self._spare) < SPARE:
            self._spare.append(piece)

    def drop(self, piece: bytearray) -> None:
        """It is given up, and a thread may be at work on it still: nobody gets it."""
        self.left += len(piece)

    def sealing(self, size: int) -> memoryview:
        """Room for sealed bytes, this thread's: what is in it is spent when the next piece is sealed here."""
        room: memoryview | None = getattr(self._rooms, "room", None)
        if room is None or len(room) < size:
            room = self._rooms.room = memoryview(bytearray(size))
        return room[:size]
