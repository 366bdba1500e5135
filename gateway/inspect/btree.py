"""Pages and b-trees of an SQLite database (sqlite.org, "Database File Format", cited by its section numbers).

The file is read page by page, never through SQLite: an untrusted database is an attack on SQLite itself, and SQLite shows
neither free pages nor what stands between cells. Every page is visited once; what a structure refers to is covered, and
so are zeros beside it. Bytes that were left behind (deleted rows, moved cells) are not.

A change must keep: a page belongs to one structure; a payload is no longer than the file; nothing here decides or decodes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.remnants import Remnants, varint
from gateway.inspect.report import Report
from gateway.inspect.source import Source

HEADER: Final = 100
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13  # section 1.6
_DEPTH: Final = 40
_LEFTOVERS: Final = 10_000
_REMNANT: Final = 4
_SMALL: Final = 8192
_LOCK_BYTE: Final = 1 << 30  # section 1.4

Row = tuple[int, bytes]  # rowid (0 in indexes), payload


class Pages:
    """The pages of a database.

    Attributes:
        encoding: Python's name of the text encoding (1.3.13).
        leftovers: Runs of bytes that no structure refers to and that are no copies.
        count: Pages that the header counts, or the file has where the header is stale (1.3.7).

    Raises:
        Unreadable: The header is none.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        source.seek(0)
        head = source.read(HEADER)
        if len(head) < HEADER or head[18] not in (1, 2) or head[21:24] != b"\x40\x20\x20":
            raise Unreadable("sqlite: no header of a database")
        self.size = 65_536 if head[16:18] == b"\x00\x01" else int.from_bytes(head[16:18], "big")
        if self.size < 512 or self.size & (self.size - 1) or self.size - head[20] < 480:
            raise Unreadable("sqlite: a page size that is none")
        self.usable = self.size - head[20]
        counted, self.freelist, self._free = struct.unpack(">III", head[28:40])
        fresh = head[24:28] == head[92:96] and counted
        self.count = min(counted if fresh else source.size // self.size, source.size // self.size)
        if fresh and counted > source.size // self.size:
            raise Unreadable("sqlite: the file breaks off")
        self.vacuums = head[52:56] != bytes(4)
        self.encoding = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}.get(
            int.from_bytes(head[56:60], "big"), ""
        )
        if not self.encoding or any(head[72:92]):
            raise Unreadable("sqlite: a header of another version")
        self._seen = bytearray(self.count + 1)
        self.leftovers = 0
        self._tree: list[int] = []  # pages of the tree that was read last

    def keyed(self, root: int) -> bool:
        """Whether a tree is ordered by rowid."""
        if not 1 <= root <= self.count:
            raise Unreadable("sqlite: a table lies outside of the file")
        return self._page(root)[HEADER if root == 1 else 0] in (_TABLE_INTERIOR, _TABLE_LEAF)

    def again(self) -> None:
        """Allow the tree that was read last to be read once more."""
        for number in self._tree:
            self._seen[number] = 0

    def _take(self, number: int) -> bytes:
        """A page, once."""
        if not 1 <= number <= self.count or self._seen[number]:
            raise Unreadable("sqlite: a page belongs to two structures or to none")
        self._seen[number] = 1
        self._tree.append(number)
        return self._page(number)

    def _page(self, number: int) -> bytes:
        self._source.seek((number - 1) * self.size)
        page = self._source.read(self.size)
        if len(page) < self.size:
            raise Unreadable("sqlite: a page breaks off")
        return page

    def rows(self, root: int) -> Iterator[Row]:
        """All entries of a b-tree, in order within each page; interior entries of indexes included.

        Raises:
            Unreadable: It is none.
        """
        keyed = self.keyed(root)
        remnants = Remnants(lambda size: self._local(size, table=keyed), keyed=keyed)
        yield from self._walk(root, remnants, first=True)
        if remnants.waits:  # a copy may stand behind what it is a copy of
            self.again()
            for _ in self._walk(root, remnants, first=False):
                pass
        copies, left = remnants.settled()
        self.leftovers += left
        for start, end in copies:
            self._report.cover(start, end)

    def _walk(self, root: int, remnants: Remnants, *, first: bool) -> Iterator[Row]:
        pending, self._tree = [(root, 0)], []
        while pending:
            number, depth = pending.pop()
            if depth > _DEPTH:
                raise Unreadable("sqlite: a tree without end")
            page = self._take(number)
            kind, cells, masked = self._opened(number, page)
            children, rows = self._read(number, page, kind, cells, masked)
            if first:
                clear = _without_remnants(masked, self.count, numbers=kind == _TABLE_INTERIOR)
                self._cover(number, clear, page, remnants)
            pending.extend((child, depth + 1) for child in reversed(children))
            for rowid, payload in rows:
                if remnants.waits:
                    remnants.meet(rowid, payload)
                yield rowid, payload

    def _read(
        self, number: int, page: bytes, kind: int, cells: tuple[int, ...], masked: bytearray
    ) -> tuple[list[int], list[Row]]:
        """Children and entries of a page."""
        found = [self._cell(page, kind, at, masked) for at in cells]
        children = [child for child, _ in found if child]
        if kind in (_INDEX_INTERIOR, _TABLE_INTERIOR):
            base = HEADER if number == 1 else 0
            children.append(int.from_bytes(page[base + 8 : base + 12], "big"))
        return children, [row for _, row in found if row is not None]

    def _opened(self, number: int, page: bytes) -> tuple[int, tuple[int, ...], bytearray]:
        """Kind of page, where its cells are, and a copy in which everything that is referred to becomes zero."""
        masked = bytearray(page)
        base = HEADER if number == 1 else 0
        kind, free, count, _, _ = struct.unpack_from(">BHHHB", page, base)
        if kind not in (_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF):
            raise Unreadable("sqlite: a page that is no b-tree")
        start = base + (12 if kind in (_INDEX_INTERIOR, _TABLE_INTERIOR) else 8)
        end = start + 2 * count
        if end > self.usable:
            raise Unreadable("sqlite: more cells than a page holds")
        cells = struct.unpack_from(f">{count}H", page, start)
        masked[:end] = bytes(end)
        self._old_pointers(page, end, masked)
        self._freeblocks(page, free, masked)
        return kind, cells, masked

    def _old_pointers(self, page: bytes, at: int, masked: bytearray) -> None:
        """Behind the pointers to cells stand old ones.

        On pages of 8 KiB no two letters look so; on larger ones they count while each is less than the one before, as in
        a table that grew.
        """
        last = self.usable
        while at + 2 <= self.usable and 0 < (place := int.from_bytes(page[at : at + 2], "big")) < last:
            masked[at : at + 2] = bytes(2)
            at += 2
            last = self.usable if self.size <= _SMALL else place

    def _freeblocks(self, page: bytes, at: int, masked: bytearray) -> None:
        """Section 1.6: a chain in ascending order; four bytes of each are its header."""
        last = 0
        while at:
            if at <= last or at + 4 > self.usable:
                raise Unreadable("sqlite: free blocks in disorder")
            masked[at : at + 4] = bytes(4)
            last, at = at, int.from_bytes(page[at : at + 2], "big")

    def _cell(self, page: bytes, kind: int, at: int, masked: bytearray) -> tuple[int, Row | None]:
        start, child, rowid = at, 0, 0
        if kind in (_INDEX_INTERIOR, _TABLE_INTERIOR):
            child = int.from_bytes(page[at : at + 4], "big")
            at += 4
        if kind == _TABLE_INTERIOR:
            _, at = varint(page, at)
            masked[start:at] = bytes(at - start)
            return child, None
        size, at = varint(page, at)
        if kind == _TABLE_LEAF:
            rowid, at = varint(page, at)
        local = self._local(size, table=kind == _TABLE_LEAF)
        end = at + local + (4 if local < size else 0)
        if end > self.usable:
            raise Unreadable("sqlite: a cell reaches out of its page")
        stop = max(end, start + 4)  # no cell takes less
        masked[start:stop] = bytes(stop - start)
        payload = page[at : at + local]
        if local < size:
            payload += self._overflow(int.from_bytes(page[end - 4 : end], "big"), size - local)
        return child, (rowid - (1 << 64) if rowid >> 63 else rowid, payload)

    def _local(self, size: int, *, table: bool) -> int:
        """Bytes of a payload that stand in its cell (section 1.6)."""
        usable = self.usable
        most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
        if size <= most:
            return size
        least = (usable - 12) * 32 // 255 - 23
        kept = least + (size - least) % (usable - 4)
        return kept if kept <= most else least

    def _overflow(self, number: int, size: int) -> bytes:
        self._report.context.budget.room(size)
        if size > self._source.size:
            raise Unreadable("sqlite: a row longer than the file")
        pieces = []
        while size > 0:
            page = self._take(number)
            piece = page[4 : 4 + min(size, self.usable - 4)]
            masked = bytearray(page)
            masked[: 4 + len(piece)] = bytes(4 + len(piece))
            self._cover(number, masked)
            pieces.append(piece)
            size -= len(piece)
            number = int.from_bytes(page[:4], "big")
        if number:
            raise Unreadable("sqlite: a row with more pages than bytes")
        return b"".join(pieces)

    def _cover(self, number: int, masked: bytearray, page: bytes = b"", remnants: Remnants | None = None) -> None:
        """All of a page but what no structure refers to and is not zero."""
        base = (number - 1) * self.size
        if masked.count(0) == len(masked):
            self._report.cover(base, base + self.size)
            return
        at = 0
        if self.leftovers > _LEFTOVERS:
            return  # one gap then, whatever is in it
        for start, end in _left(masked):
            if remnants is None or self.leftovers or not remnants.add(page, start, end, base):
                self.leftovers += 1
            self._report.cover(base + at, base + start)
            at = end
        self._report.cover(base + at, base + self.size)

    def rest(self) -> None:
        """Free pages, the pointer map and the lock page: covered where they hold nothing."""
        trunk = self.freelist
        while trunk:
            page = self._take(trunk)
            following, count = struct.unpack_from(">II", page)
            if 8 + 4 * count > self.usable:
                raise Unreadable("sqlite: a list of free pages longer than its page")
            masked = bytearray(page)
            masked[: 8 + 4 * count] = bytes(8 + 4 * count)
            self._cover(trunk, masked)
            for leaf in struct.unpack_from(f">{count}I", page, 8):
                self._cover(leaf, bytearray(self._take(leaf)))
            trunk = following
        if self.vacuums:
            self._pointer_map()
        lock = _LOCK_BYTE // self.size + 1
        if lock <= self.count and not self._seen[lock]:
            self._cover(lock, bytearray(self._take(lock)))

    def _pointer_map(self) -> None:
        """Section 1.8: five bytes for each page that follows, a kind and a page."""
        step = self.usable // 5 + 1
        for number in range(2, self.count + 1, step):
            page = self._take(number)
            masked = bytearray(page)
            for at in range(0, 5 * min(step - 1, self.count - number), 5):
                parent = int.from_bytes(page[at + 1 : at + 5], "big")
                if page[at] <= 5 and parent <= self.count:
                    masked[at : at + 5] = bytes(5)
            self._cover(number, masked)


def _without_remnants(masked: bytearray, pages: int, *, numbers: bool) -> bytearray:
    """Without what SQLite leaves on every page it balances, in a fresh database too, and what can hold nothing.

    That is: up to four bytes alone among zeros, and on interior pages of tables old cells, page and rowid each.
    """
    if masked.count(0) == len(masked):
        return masked
    for start, end in list(_left(masked)):
        if end - start <= _REMNANT or (numbers and _old_cells(masked, start, end, pages)):
            masked[start:end] = bytes(end - start)
    return masked


def _is_page_number(value: int, pages: int) -> bool:
    """Or the header of a free block that overwrote one: its successor and its size, within a page of 4 KiB."""
    return value <= pages or value & 0xF000F000 == 0


def _old_cells(masked: bytearray, start: int, end: int, pages: int) -> bool:
    """Whether bytes read as cells of an interior page from some place near the first on; the first may be cut short."""
    padded = bytes(masked[:end]) + bytes(16)
    for first in range(max(start - 3, 0), start + 13):
        at = first
        while at < end and _is_page_number(int.from_bytes(padded[at : at + 4], "big"), pages):
            _, at = varint(padded, at + 4)
        if at >= end:
            return True
    return False


def _left(masked: bytearray) -> Iterator[tuple[int, int]]:
    """Runs of bytes that are not zero, those with few zeros between them as one."""
    at = 0
    while True:
        rest = masked[at:].lstrip(b"\0")
        if not rest:
            return
        start = len(masked) - len(rest)
        end = masked.find(bytes(8), start)
        end = len(masked) if end < 0 else end
        yield start, end
        at = end
