"""Old copies of rows that SQLite itself leaves on pages when it balances a tree, in a fresh or vacuumed database too.

When a root becomes full its cells move to a new page, and their bytes stay; a page that is split keeps what moved. Such
bytes are covered only where every cell in them is one that the same tree holds still: its rowid, size and content. The first and
the last may be cut short; then a living cell must hold what is left, but for the four bytes of a page number. Everything
else is a deleted row.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

_WAITING: Final = 20_000  # cells looked for at once
_PIECES: Final = 32
_HEAD: Final = 32
_SHORT: Final = 12
_SIZES: Final = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_ROWID: Final = 1 << 64

Cell = tuple[int, int, bytes]  # rowid, size of the payload, what of it stands in the cell


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes (Database File Format, section 1.6), and where it ends."""
    value = raw[at]
    if value < 128:
        return value, at + 1
    value &= 127
    for place in range(at + 1, at + 8):
        byte = raw[place]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, place + 1
    return value << 8 | raw[at + 8], at + 9


@dataclass
class _Run:
    """Bytes of the file that wait for their cells to be met: whole ones, the end of one, the beginning of one."""

    start: int
    end: int
    cells: set[int] = field(default_factory=set)
    tail: bytes = b""
    head: bytes = b""

    def waits(self, wanted: AbstractSet[int], pieces: AbstractSet[bytes]) -> bool:
        return bool(self.cells & wanted) or self.tail in pieces or self.head in pieces


class Remnants:
    """Of one tree.

    Args:
        local: Bytes of a payload of a size that stand in its cell.
        keyed: Whether cells have a rowid.
    """

    def __init__(self, local: Callable[[int], int], *, keyed: bool) -> None:
        self._local = local
        self._keyed = keyed
        self._runs: list[_Run] = []
        self._wanted: set[int] = set()
        self._pieces: set[bytes] = set()  # ends and beginnings

    @property
    def waits(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._wanted or self._pieces)

    def add(self, page: bytes, start: int, end: int, base: int) -> bool:
        """Bytes [start, end) of a page at `base`; False where they do not read as cells, or too many wait."""
        if len(self._wanted) > _WAITING or len(self._pieces) > _PIECES:
            return False
        runs = (
            self._run(page, first, start, end, child)
            for child in (0, 4)
            for first in range(start, min(end, start + len(page) // 4 + 4))
        )
        run = next((run for run in runs if run is not None), None) or _Run(start, end, tail=page[start:end])
        self._runs.append(_Run(base + start, base + end, run.cells, run.tail, run.head))
        self._wanted |= run.cells
        self._pieces |= {piece for piece in (run.tail, run.head) if piece}
        return True

    def _run(self, page: bytes, first: int, start: int, end: int, child: int) -> _Run | None:
        """Whole cells from `first` on, at least one; of the last there may be a beginning only."""
        cells, at = set(), first
        while at < end:
            cell = self._cell(page, at + child)
            if cell is None or cell[1] > end:
                break
            cells.add(hash(cell[0]))
            at = cell[1]
        if not cells or not self._reaches(page, at + child, end):
            return None
        return _Run(start, end, cells, page[start:first], page[at + child : end])

    def _reaches(self, page: bytes, at: int, end: int) -> bool:
        """Whether a cell that begins here is as long as to the end at least."""
        try:
            size, at = varint(page, at)
            _, at = varint(page, at) if self._keyed else (0, at)
        except IndexError:
            return True
        return at + self._local(size) >= end

    def _cell(self, page: bytes, at: int) -> tuple[Cell, int] | None:
        """A whole cell and where it ends, if its record says of itself what its size says."""
        try:
            size, at = varint(page, at)
            rowid, at = varint(page, at) if self._keyed else (0, at)
            head, place = varint(page, at)
            stop = at + head
            while place < stop:
                kind, place = varint(page, place)
                head += (kind - 12) >> 1 if kind >= 12 else _SIZES[kind]
        except IndexError:
            return None
        kept = self._local(size)
        end = at + kept + (4 if kept < size else 0)
        if head != size or place != stop or end > len(page):
            return None
        return (rowid - _ROWID if rowid >> 63 else rowid, size, page[at : at + kept]), end

    def meet(self, rowid: int, payload: bytes) -> None:
        """A living cell."""
        kept = payload[: self._local(len(payload))]
        self._wanted.discard(hash((rowid, len(payload), kept)))
        if self._pieces:
            met = [piece for piece in self._pieces if self._holds(piece, rowid, payload, kept)]
            self._pieces.difference_update(met)

    def _holds(self, piece: bytes, rowid: int, payload: bytes, kept: bytes) -> bool:
        """Whether a living cell holds it, but for four bytes: the number of a page, or what a shorter cell left."""
        if len(piece) > _HEAD and piece[20:-4] not in kept:  # most cells end here
            return False
        cell = _varint_of(len(payload)) + (_varint_of(rowid % _ROWID) if self._keyed else b"") + kept
        return piece in cell or (len(piece) >= _SHORT and (piece[:-4] in cell or piece[4:] in cell))

    def settled(self) -> tuple[list[tuple[int, int]], int]:
        """Ranges of the file that are copies, and how many are not."""
        known = [(run.start, run.end) for run in self._runs if not run.waits(self._wanted, self._pieces)]
        return known, len(self._runs) - len(known)


def _varint_of(value: int) -> bytes:
    if value >> 56:
        return bytes((value >> shift & 127) | 128 for shift in range(57, 7, -7)) + bytes([value & 255])
    pieces = [value & 127]
    while value := value >> 7:
        pieces.append(value & 127 | 128)
    return bytes(reversed(pieces))
