"""Compound files (OLE2), as legacy Office documents lie in them: streams in chains of sectors.

Source: [MS-CFB], whose section numbers stand beside the fields. Not here: what a stream holds (`workbook`, `legacy`).

A change must keep: every sector belongs to one chain or is free and all zeros, or else it stays a gap; every number is
bounded by the sectors that the file has.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_HEADER: Final = 512
_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX: Final = 0xFFFFFFFA  # section 2.1: numbers past it are no sectors
_DIFAT, _FAT, _END, _FREE = 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
_ENTRY: Final = 128  # bytes of a directory entry
_MINI: Final = 64  # bytes of a sector of the mini stream
_CUTOFF: Final = 4096  # streams below it lie in the mini stream
UNUSED, STORAGE, STREAM, ROOT = 0, 1, 2, 5
_EMPTIED: Final = "Root Entry".encode("utf-16-le").ljust(64, b"\0") + b"\x16\0\x05"  # section 2.6.2

Table = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Entry:
    """A storage or stream (section 2.6).

    Attributes:
        name: Of it.
        kind: STORAGE, STREAM or ROOT.
        size: Bytes of a stream.
        places: Where its bytes lie in the file, in order; together as long as it is.
    """

    name: str
    kind: int
    size: int
    places: tuple[tuple[int, int], ...]


class Compound:
    """A file whose sectors are all accounted for.

    Raises:
        Unreadable: It is damaged, or readers would differ.

    Attributes:
        entries: Storages and streams, in the order of the directory.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        header = self._at(0, _HEADER)
        words = np.frombuffer(header, "<u4")
        version, order, shift, mini = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28, 30, 32))
        if not header.startswith(_MAGIC) or (version, shift) not in {(3, 9), (4, 12)} or (order, mini) != (0xFFFE, 6):
            raise Unreadable("ole2: a damaged header; save it as docx, xlsx or pptx")
        if len(header) < _HEADER or any(header[8:24]) or any(header[34:40]) or words[14] != _CUTOFF:
            raise Unreadable("ole2: a damaged header; save it as docx, xlsx or pptx")
        self._sector = 1 << shift
        self._count = max(source.size // self._sector - 1, 0)
        self._owned = bytearray(self._count)
        self._cover_header()
        self._next = self._fat(words)
        directory = self._chain(int(words[12]))
        self._mini_next = self._table(self._chain(int(words[15])) if words[16] else [])
        self.entries = self._entries(directory)
        self._free()

    def content(self, entry: Entry) -> bytes:
        """All bytes of a stream.

        Raises:
            Unreadable: More than may be held.
        """
        self._report.context.budget.room(entry.size)
        return b"".join(self._at(start, end - start) for start, end in entry.places)

    def cover(self, entry: Entry) -> None:
        """A stream was interpreted to its last byte."""
        for start, end in entry.places:
            self._report.cover(start, end)

    # --- sectors -----------------------------------------------------------------------------------------------------

    def _at(self, offset: int, size: int) -> bytes:
        self._source.seek(offset)
        return self._source.read(size)

    def _where(self, sector: int) -> int:
        return (sector + 1) * self._sector

    def _cover_header(self) -> None:
        rest = self._at(_HEADER, self._sector - _HEADER)
        self._report.cover(0, _HEADER if any(rest) else self._sector)

    def _own(self, sector: int, *, covered: bool = True) -> int:
        if sector >= self._count or self._owned[sector]:
            raise Unreadable("ole2: a sector that does not exist or belongs to two streams", kind="media_mismatch")
        self._owned[sector] = 1
        if covered:
            self._report.cover(self._where(sector), self._where(sector + 1))
        return sector

    def _fat(self, words: Table) -> Table:
        """Sections 2.2, 2.3 and 2.5: sectors of the FAT are listed in the header, and then in a chain of their own."""
        wanted, at, more = int(words[11]), int(words[17]), int(words[18])
        if wanted > self._count or more > self._count:
            raise Unreadable("ole2: more sectors of tables than the file has")
        listed, difat = [int(each) for each in words[19:128]], []
        for _ in range(more):
            difat.append(self._own(at))
            table = self._table([at])
            listed += [int(each) for each in table[:-1]]
            at = int(table[-1])
        if any(each != _FREE for each in listed[wanted:]):
            raise Unreadable("ole2: a list of tables that is longer than it says")
        fat = [self._own(sector) for sector in listed[:wanted]]
        table = self._table(fat)
        marks = {int(table[each]) for each in fat if each < len(table)} | ({_FAT} if not fat else set())
        if marks != {_FAT} or len(table) < self._count or (table[self._count :] != _FREE).any():
            raise Unreadable("ole2: the table of sectors does not fit the file")
        if any(table[each] != _DIFAT for each in difat):
            raise Unreadable("ole2: the table of sectors does not fit the file")
        return table

    def _table(self, sectors: list[int]) -> Table:
        self._report.context.budget.room(len(sectors) * self._sector)
        return np.frombuffer(b"".join(self._at(self._where(each), self._sector) for each in sectors), "<u4")

    def _chain(self, sector: int, *, covered: bool = True) -> list[int]:
        """Sectors of a chain; each belongs to it alone, and so it ends."""
        found = []
        while sector < _MAX:
            found.append(self._own(sector, covered=covered))
            sector = int(self._next[sector])
        if sector != _END:
            raise Unreadable("ole2: a chain that does not end")
        return found

    def _free(self) -> None:
        """What belongs to nothing is free, and zeros; anything else is a gap."""
        for sector in range(self._count):
            if not self._owned[sector] and self._next[sector] == _FREE:
                self._zeros(self._where(sector), self._where(sector + 1))
                self._emptied(self._where(sector))

    def _emptied(self, start: int) -> None:
        """A directory before anything was in it, which LibreOffice leaves behind."""
        raw = self._at(start, self._sector)
        if raw[: len(_EMPTIED)] == _EMPTIED and all(
            _blank(raw[at:][:_ENTRY]) for at in range(0, len(raw), _ENTRY) if at
        ):
            root = raw[66:_ENTRY]
            if _blank(bytes(66) + b"\0" + root[1:]):
                self._report.cover(start, start + self._sector)

    def _zeros(self, start: int, end: int) -> None:
        if end > start and not any(self._at(start, end - start)):
            self._report.cover(start, end)

    # --- the directory -----------------------------------------------------------------------------------------------

    def _entries(self, sectors: list[int]) -> list[Entry]:
        """Section 2.6. All entries count, whether or not the tree of the directory leads to them."""
        places = [(self._where(sector) + at) for sector in sectors for at in range(0, self._sector, _ENTRY)]
        if len(places) > self._report.context.budget.limits.members:
            raise Unreadable("ole2: more streams than members may be", kind="archive_limit")
        raws = [self._at(place, _ENTRY) for place in places]
        if not raws or raws[0][66] != ROOT or any(raw[66] not in {UNUSED, STORAGE, STREAM} for raw in raws[1:]):
            raise Unreadable("ole2: a damaged directory")
        self._mini = self._mini_places(raws[0])
        found = [self._entry(raw) for raw in raws if raw[66] != UNUSED]
        if any(raw[66] == UNUSED and not _blank(raw) for raw in raws):
            self._report.unreadable("ole2: a directory with remnants of deleted streams; save the document anew")
        for at, place in enumerate(self._mini):
            if not self._mini_owned[at]:
                self._zeros(place, place + _MINI)
        return found

    def _mini_places(self, root: bytes) -> list[int]:
        """Where sectors of the mini stream lie."""
        size = int.from_bytes(root[120:124], "little")
        sectors = self._chain(_start(root), covered=False) if size else []
        places = [self._where(sector) + at for sector in sectors for at in range(0, self._sector, _MINI)]
        if (size + _MINI - 1) // _MINI > len(places):
            raise Unreadable("ole2: the mini stream is shorter than it says")
        self._mini_owned = bytearray(len(places))
        return places

    def _entry(self, raw: bytes) -> Entry:
        kind, width = raw[66], int.from_bytes(raw[64:66], "little")
        if not 2 <= width <= 64 or width % 2 or any(raw[width - 2 : 64]):
            raise Unreadable("ole2: a name in the directory that does not end")
        name = raw[: width - 2].decode("utf-16-le", "replace")
        if kind != STREAM:
            return Entry(name, kind, 0, ())
        size = int.from_bytes(raw[120 : 124 if self._sector == _HEADER else 128], "little")
        if not size:
            return Entry(name, kind, 0, ())
        if size < _CUTOFF:
            return Entry(name, kind, size, self._spread(self._mini_chain(_start(raw)), size, _MINI))
        wheres = [self._where(sector) for sector in self._chain(_start(raw), covered=False)]
        return Entry(name, kind, size, self._spread(wheres, size, self._sector))

    def _mini_chain(self, sector: int) -> list[int]:
        found = []
        while sector < _MAX:
            if sector >= min(len(self._mini), len(self._mini_next)) or self._mini_owned[sector]:
                raise Unreadable("ole2: a sector that does not exist or belongs to two streams", kind="media_mismatch")
            self._mini_owned[sector] = 1
            found.append(self._mini[sector])
            sector = int(self._mini_next[sector])
        return found

    def _spread(self, wheres: list[int], size: int, width: int) -> tuple[tuple[int, int], ...]:
        """Ranges of a stream; what is left of its last sector is covered where it is zeros."""
        if len(wheres) != (size + width - 1) // width:
            raise Unreadable("ole2: a stream of another size than its sectors", kind="media_mismatch")
        last = wheres[-1] + size - (len(wheres) - 1) * width
        self._zeros(last, wheres[-1] + width)
        places, start = [], wheres[0]
        for here, following in pairwise([*wheres, -1]):
            if following != here + width:
                places.append((start, min(here + width, last) if following < 0 else here + width))
                start = following
        return tuple(places)


def _start(raw: bytes) -> int:
    return int.from_bytes(raw[116:120], "little")


def _blank(raw: bytes) -> bool:
    """Whether an unused entry says nothing (section 2.6.3); writers differ in how they say that it leads nowhere."""
    nowhere = raw[68:80] in {bytes(12), b"\xff" * 12} and _start(raw) in {0, _END, _FREE}
    return nowhere and raw[67] <= 1 and not any(raw[:67]) and not any(raw[80:116]) and not any(raw[120:])
