"""SAS data sets, .sas7bdat (M. Shotwell and C. Cummins, "SAS7BDAT Database Binary Format", vignette of the R package sas7bdat).

A header, then pages of one size; a page holds subheaders, which describe the columns or are compressed rows, and rows. SAS writes
whole pages from memory that it does not clean: what stands in the room that a page leaves free is a gap, unless it is zeros, or
repeats what the page before it has at the same place, as the last page of most files does, or is letters alone, which are read.
Sixty-four other bytes of a file are searched for letters and numbers, and let be. Deleted rows stay in their page until the data
set is written anew: a file with such rows is held.

Two passes: columns may be described on any page, rows need all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.inspect.cursor import decoded
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.sas7header import COLUMN_SIZE, COUNTS, ROW_SIZE, TEXT, Layout, header, legible_text, quiet
from gateway.inspect.parsers.sas7meta import Metadata
from gateway.inspect.parsers.sas7rows import Rows, unpacked, whole_numbers
from gateway.inspect.report import Report, TextSink
from gateway.inspect.runs import legible, wide
from gateway.inspect.source import Source

_DELETED, _DATA, _MIX, _AMENDED, _META2, _INDEX = 0x80, 0x100, 0x200, 0x400, 0x4000, 0x9000  # kinds of pages
_KINDS: Final = frozenset({0, _DELETED, _DATA, _DATA | _DELETED, _MIX, _MIX | _DELETED, _AMENDED, _META2, _INDEX})
_FREE, _COMPRESSED, _GONE = 1, 4, 5  # what a pointer points to
_WORD: Final = 4  # letters; fewer may be a number
_STRAY: Final = 64  # such bytes of a file that are searched and count as read: SAS's allocator leaves some 30 in many
_COUNTED: Final = 64  # bytes of counters that differ in an earlier copy
_ROW: Final = 1  # type of a pointer, in compressed files
_INDEXED: Final = 32_767  # an index ends here on larger pages


def inspect(source: Source, report: Report) -> None:
    """Header, columns, rows; then what the text around them says."""
    layout = header(source, report)
    file = _File(source, report, layout, Metadata(layout), report.text("residue"))
    file.describe()
    labels = report.text("labels")
    for line in file.meta.lines():
        labels.line(decoded(line, layout.encoding))
    file.read()


# --- pages ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pointer:
    """To a subheader of the page."""

    start: int
    size: int
    state: int
    kind: int


@dataclass(frozen=True)
class _Page:
    """A page: bytes, kind, how many rows it holds as such, pointers."""

    number: int
    at: int
    raw: bytes
    kind: int
    blocks: int
    pointers: tuple[_Pointer, ...]
    free: int


_NONE: Final = _Page(-1, 0, b"", 0, 0, (), 0)


@dataclass
class _File:
    """The walk over all pages.

    Attributes:
        source: The file.
        report: Where findings go.
        layout: As the header tells it.
        meta: As subheaders tell it.
        residue: Letters that stand where nothing should.
        counters: Pages, and ranges in them, that SAS rewrites at the end, so that earlier copies of them differ.
        stray: Bytes that are no zeros, in room that nothing uses and that was not read otherwise.
        aligned: Whether a page of subheaders and rows was met.
        deleted: Whether a deleted row was.
    """

    source: Source
    report: Report
    layout: Layout
    meta: Metadata
    residue: TextSink
    counters: list[tuple[int, int, int]] = field(default_factory=list)
    stray: int = 0
    aligned: bool = False
    deleted: bool = False

    def describe(self) -> None:
        """First pass: subheaders."""
        for page in self._pages(rows=False):
            for place, pointer in enumerate(page.pointers):
                self._subheader(page, place, pointer)
        if self.meta.rows < 0:
            raise Unreadable("sas7bdat: the size of rows is not told")
        self.meta.columns(self.report.context.budget.limits.columns)

    def read(self) -> None:
        """Second pass: rows, and what is left of each page."""
        meta, layout = self.meta, self.layout
        method, columns = meta.method(), meta.columns(self.report.context.budget.limits.columns)
        self.report.context.budget.room(meta.length)
        rows = Rows(self.report, columns, meta.length, layout.order, layout.encoding)
        before = _NONE
        for page in self._pages(rows=True):
            used = self._rows(page, rows, method)
            self._rest(page, used, before)
            before = page if page.kind != _INDEX else before
        rows.settle()
        if rows.count != meta.rows and meta.length:
            raise Unreadable("sas7bdat: another number of rows than it says")
        if meta.deleted or self.deleted:
            self.report.unreadable("sas7bdat: deleted rows are still in it; write the data set anew")

    def _pages(self, *, rows: bool) -> Iterator[_Page]:
        layout = self.layout
        for number in range(layout.pages):
            at = layout.header + number * layout.page
            self.source.seek(at)
            raw = self.source.read(layout.head)
            kind, blocks, count, free = layout.numbers("HHHH", raw, layout.head - 8)
            if kind not in _KINDS:
                raise Unreadable("sas7bdat: a page of an unknown kind")
            if not rows and (not count or kind == _INDEX):
                continue
            raw += self.source.read(layout.page - layout.head)
            yield _Page(number, at, raw, kind, blocks, () if kind == _INDEX else self._pointers(raw, count), free)

    def _pointers(self, raw: bytes, count: int) -> tuple[_Pointer, ...]:
        layout, found = self.layout, []
        for at in range(layout.head, layout.head + count * layout.pointer, layout.pointer):
            start, size, state, kind = layout.numbers("WWBB", raw, at)
            if raw[at + 2 * layout.word + 2 : at + layout.pointer].strip(b"\0"):
                raise Unreadable("sas7bdat: a pointer with more in it")
            if size and not layout.head + count * layout.pointer <= start <= start + size <= len(raw):
                raise Unreadable("sas7bdat: a subheader lies elsewhere")
            found.append(_Pointer(start, size, state, kind))
        if sum(each.size for each in found if each.state != _FREE) > len(raw):
            raise Unreadable("sas7bdat: subheaders overlap")
        return tuple(found)

    def _is_row(self, page: _Page, place: int, pointer: _Pointer) -> bool:
        """Rows that did not become shorter are kept as they are, and are told from subheaders by where they stand."""
        if pointer.state in (_COMPRESSED, _GONE):
            return True
        late = (page.number + 1, place + 1) > self.meta.last and page.kind != _AMENDED
        return pointer.kind == _ROW and late and pointer.size == self.meta.length

    def _subheader(self, page: _Page, place: int, pointer: _Pointer) -> None:
        if not pointer.size or pointer.state == _FREE or self._is_row(page, place, pointer):
            return
        raw = page.raw[pointer.start : pointer.start + pointer.size]
        signature, start = self.layout.signature(raw), page.at + pointer.start
        self.residue.raw(legible(raw) + b"\n" if signature not in (0, TEXT) else b"")
        if signature and self.meta.add(signature, raw):
            self.report.cover(start, start + pointer.size)
        if signature in (ROW_SIZE, COLUMN_SIZE, COUNTS) and len(self.counters) < 3:
            self.counters.append((page.number, pointer.start, pointer.start + pointer.size))

    def _rows(self, page: _Page, rows: Rows, method: bytes) -> list[tuple[int, int]]:
        """Ranges of the page that belong to something, whether it was read or not."""
        layout, length = self.layout, self.meta.length
        if page.kind == _INDEX:
            return self._index(page)
        ends = layout.head + len(page.pointers) * layout.pointer
        used = [(0, ends)]
        if quiet(page.raw[4 : layout.head]):  # each pointer was read, and ends in zeros
            self.report.cover(page.at, page.at + ends)
        for place, pointer in enumerate(page.pointers):
            if not pointer.size or pointer.state == _FREE:
                continue
            used.append((pointer.start, pointer.start + pointer.size))
            if self._is_row(page, place, pointer):
                self._row(page, pointer, rows, method)
        if page.kind & (_DATA | _MIX) and length:
            start = self._begin(page, ends)
            end = start + (page.blocks - len(page.pointers)) * length
            if not start <= end <= min([each for each, _ in used[1:]], default=len(page.raw)):
                raise Unreadable("sas7bdat: rows reach out of their page")
            self.report.cover(page.at + start, page.at + end)
            rows.add(page.raw[start:end])
            used.append((start, end))
        self.deleted |= bool(page.kind & _DELETED)
        return used

    def _begin(self, page: _Page, ends: int) -> int:
        """Where rows begin: at a multiple of eight. What fills the four bytes before is half a number at most, once a file."""
        if ends % 8 == 0 or not page.pointers:
            return ends
        raw = page.raw[ends : ends + 4]
        if self.layout.packed and raw not in (b"\0\0\0\0", b"    "):
            return ends
        if not self.aligned or not any(raw):
            self.report.cover(page.at + ends, page.at + ends + 4)
        self.aligned = True
        return ends + 4

    def _row(self, page: _Page, pointer: _Pointer, rows: Rows, method: bytes) -> None:
        raw = page.raw[pointer.start : pointer.start + pointer.size]
        self.deleted |= pointer.state == _GONE
        self.report.context.budget.expand(self.meta.length)
        plain = pointer.state not in (_COMPRESSED, _GONE) or (pointer.state == _GONE and len(raw) == self.meta.length)
        rows.add(raw if plain else unpacked(raw, self.meta.length, method))
        self.report.cover(page.at + pointer.start, page.at + pointer.start + pointer.size)

    def _index(self, page: _Page) -> list[tuple[int, int]]:
        """Which rows stand on which page: entries from the end of the page, growing downwards, of rows, page and place."""
        layout = self.layout
        count = layout.numbers("HHH", page.raw, layout.head - 8)[2]
        end = min(len(page.raw), _INDEXED) if layout.wide else len(page.raw)
        size = 2 * layout.word + 2
        start = end - count * size
        head = start - layout.word
        if head != layout.head + page.free or not quiet(page.raw[4 : layout.head]) or page.raw[head:start].strip(b"\0"):
            return []
        raw = page.raw[start:end]
        for at in range(0, len(raw), size):
            told = layout.numbers("W", raw, at + layout.word)[0], int.from_bytes(raw[at : at + layout.word], "big")
            if told[0] > layout.pages or told[1] > self.meta.rows:
                return []
        self.report.cover(page.at, page.at + layout.head)
        self.report.cover(page.at + head, page.at + end)
        return [(0, layout.head), (head, end)]

    # --- what is left ------------------------------------------------------------------------------------------------

    def _rest(self, page: _Page, used: list[tuple[int, int]], before: _Page) -> None:
        at = 0
        for start, end in [*sorted(used), (len(page.raw), len(page.raw))]:
            if start > at:
                self._idle(page, at, start, before)
            at = max(at, end)

    def _idle(self, page: _Page, start: int, end: int, before: _Page) -> None:
        """Room that nothing uses: zeros, a copy of what the page before has there, letters alone, next to nothing."""
        raw = page.raw[start:end]
        if raw.count(0) == len(raw) or self._copied(page, start, end, before) or self._lettered(raw):
            self.report.cover(page.at + start, page.at + end)
            return
        self.residue.raw(legible(raw) + b"\n" + wide(raw) + b"\n")
        for number in whole_numbers(raw, self.layout.order):
            self.residue.line(number)
        self.stray += len(raw) - raw.count(0)
        if self.stray <= _STRAY:
            self.report.cover(page.at + start, page.at + end)

    def _lettered(self, raw: bytes) -> bool:
        """Whether all of it is words, which are told to the classifier."""
        parts = [part for part in raw.split(b"\0") if part]
        if not all(len(part) >= _WORD and legible_text(part, "utf-8") for part in parts):
            return False
        for part in parts:
            self.residue.line(decoded(part))
        return True

    def _copied(self, page: _Page, start: int, end: int, before: _Page) -> bool:
        """Where the copy is older than what it was taken from, only numbers may differ that are counted up to the last row."""
        raw, other = page.raw[start:end], np.ones(end - start, bool)
        if before.raw:
            other = np.frombuffer(raw, np.uint8) != np.frombuffer(before.raw[start:end], np.uint8)
        for number, first, last in self.counters:
            low, high = max(first, start) - start, min(last, end) - start
            if (
                number == before.number
                and low < high
                and other[low:high].sum() <= _COUNTED
                and quiet(raw[low:high].replace(b"\xff", b"\0"))
            ):
                other[low:high] = False
        return not other.any()


__all__ = ["inspect"]
