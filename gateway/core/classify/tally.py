"""Counts people, not hits: distinct identifiers by the company they keep.

A *source* is one detector in one column (or in the text as a whole). The identifiers of one record are one person, so
each distinct value is kept under the set of sources that its record holds (its *pattern*). Only at the end, when weak
sources are known and left out, are persons counted:

1. A record counts the persons of its strongest kind (`strength` in the tables), each value of it (a parent's number in a
   child's record is another person); whatever else it holds belongs to them.
2. So there are never fewer persons than distinct values of the strongest kind of the file, however many records without
   it are added, and a person who has it in one record and not in another may count twice: an upper bound.

Memory: at most `cap` distinct values (`distinct`), tables of members for _LOOKED_UP sets, and SOURCES sources. Past the cap
the values are dropped and occurrences are the count: an upper bound, and said to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from gateway.core.classify.distinct import Distinct, joined_sets, sorted_distinct
from gateway.core.classify.findings import PersonSet
from gateway.core.classify.grid import NO_COLUMN
from gateway.core.detectors.candidates import Candidates
from gateway.core.detectors.lanes import Lanes, Mask, Places, Window
from gateway.core.detectors.resident import SAME_FORM
from gateway.core.detectors.tables import Detector, DetectorTables

CAP = 4_000_000
SOURCES = 64  # bits of a pattern; further columns of a kind are counted together
_PATTERNS = 512
_LOOKED_UP = 4  # the sets that come first: a filled table has no others of many values
_SAMPLES = 3
_BEFORE = 48  # bytes before the first hit, where a word may say what it is; less than lanes.PAD
_COLUMNS = 64  # of one kind in one block; with more, columns are not told apart
_WIDE = 1 << 20  # columns of a table that are counted one by one
_FEW = 16
_MUCH, _LIKELY = 50, 0.5  # candidates of a column, and hits to expect among them, from which chance is judged


@dataclass
class Source:
    """One detector in one column."""

    detector: Detector
    column: int
    bit: int
    hits: int = 0
    candidates: int = 0
    before: list[bytes] = field(default_factory=list)  # what stands before the first few hits on their lines
    samples: dict[int, bytes] = field(default_factory=dict)


class Tally:
    """Sources and sets of one file. `supported` tells whether a column's header names a detector's kind."""

    def __init__(self, tables: DetectorTables, supported: Callable[[int, str], bool], *, cap: int = CAP) -> None:
        self.sources: dict[tuple[str, int], Source] = {}
        self.overflowed = False
        self._tables = tables
        self._supported = supported
        self._cap = cap
        self._sets: dict[tuple[int, int], Distinct] = {}

    def add(self, window: Window, found: list[Candidates], placed: list[tuple[Places, Places]]) -> None:
        """Take in the candidates of one window with their (record, column)."""
        kept: list[tuple[Source, Places, Lanes]] = []
        for part, (rows, columns) in zip(found, placed, strict=True):
            for column, here in _by_column(columns):
                kept += self._count(window, part, column, here, rows)
        self._file(kept)

    def _count(
        self, window: Window, part: Candidates, column: int, here: Mask | None, rows: Places
    ) -> list[tuple[Source, Places, Lanes]]:
        source = self._source(part.key, column)
        valid = part.in_column if self._supported(column, part.key) else part.valid
        source.candidates += valid.size if here is None else int(np.count_nonzero(here))
        values = part.value
        if here is not None or not valid.all():  # most of a column are valid: all of them need no picking
            good = np.flatnonzero(valid if here is None else valid & here)
            part = part.of(good)
            values, rows = part.value, rows[good]
        source.hits += values.size
        if not values.size:
            return []
        if len(source.samples) < _SAMPLES:
            _sample(source, window, part)
        if source.detector.personal:
            return [(source, rows, values)]
        self._store(0, source, values, rows)  # keeps no company: organisations are not people
        return []

    def _source(self, key: str, column: int) -> Source:
        source = self.sources.get((key, column))
        if source is None:
            if len(self.sources) >= SOURCES - len(self._tables.detectors):
                column = NO_COLUMN
            fresh = Source(self._tables.detectors[key], column, len(self.sources))
            source = self.sources.setdefault((key, column), fresh)
        return source

    def _file(self, kept: list[tuple[Source, Places, Lanes]]) -> None:
        """Put values under the pattern of their record."""
        if not kept:
            return
        first = kept[0][1]
        if all(rows is first or np.array_equal(first, rows) for _, rows, _ in kept[1:]):  # a filled table: one pattern
            pattern = sum({1 << source.bit for source, _, _ in kept})
            for source, rows, values in kept:
                self._store(pattern, source, values, rows)
            return
        patterns = np.zeros(max(int(rows[-1]) for _, rows, _ in kept) + 1, np.uint64)
        for source, rows, _ in kept:
            patterns[rows] |= np.uint64(1 << source.bit)
        for source, rows, values in kept:
            mine = patterns[rows]
            if mine[0] == mine.min() == mine.max():
                self._store(int(mine[0]), source, values, rows)
                continue
            for each in _each(mine):
                here = np.flatnonzero(mine == each)
                self._store(int(each), source, values[here], rows[here])

    def _store(self, pattern: int, source: Source, values: Lanes, rows: Places) -> None:
        held = self._sets.get((pattern, source.bit))
        if held is None:
            held = self._sets[pattern, source.bit] = Distinct(looked_up=len(self._sets) < _LOOKED_UP)
        held.records += 1 + int(np.count_nonzero(rows[1:] != rows[:-1]))
        if self.overflowed:
            held.occurrences += values.size
            return
        held.add(values)
        if len(self._sets) > _PATTERNS or sum(part.held for part in self._sets.values()) > self._cap:
            self._settle_or_drop()

    def _settle_or_drop(self) -> None:
        for part in self._sets.values():
            part.settle()
        if len(self._sets) > _PATTERNS or sum(part.held for part in self._sets.values()) > self._cap:
            self.overflowed = True
            for key, part in self._sets.items():
                self._sets[key] = Distinct(occurrences=part.occurrences, records=part.records)

    def of_one_form(self) -> set[tuple[int, str]]:
        """(column, detector) of permits that stand in a column with numbers of their form, where one alone would say little."""
        alike = [source for source in self.sources.values() if source.detector.key in SAME_FORM and source.hits]
        hits = {source.column: 0 for source in alike}
        for source in alike:
            hits[source.column] += source.hits
        return {(source.column, source.detector.key) for source in alike if hits[source.column] > max(1, source.hits)}

    def drop_chance(self) -> None:
        """Forget columns of numbers that no header names and that pass no oftener than chance lets them.

        Three standard deviations more than expected are chance; columns of less than _MUCH candidates say nothing of it.
        """
        for source in list(self.sources.values()):
            expected = source.detector.chance * source.candidates
            chance = expected >= _LIKELY and source.hits <= 1 + expected + 3 * expected**0.5
            named = self._supported(source.column, source.detector.key)
            if chance and source.column != NO_COLUMN and source.candidates >= _MUCH and not named:
                self.drop(source)

    def drop_documents(self) -> None:
        """Forget identity cards of Hong Kong in columns that are named for passports and permits alone."""
        for source in list(self.sources.values()):
            named = [key for key in self._tables.document_keys if self._supported(source.column, key)]
            own = source.column == NO_COLUMN or self._supported(source.column, "hkid")
            if source.detector.key == "hkid" and named and not own:
                self.drop(source)

    def drop(self, source: Source) -> None:
        """Forget a source that turned out to be something else."""
        del self.sources[source.detector.key, source.column]

    def distinct(self, source: Source) -> int:
        """Distinct values of a source; its hits where they were not kept."""
        if self.overflowed:
            return source.hits
        parts = [part.settle() for (_, bit), part in self._sets.items() if bit == source.bit]
        return int(joined_sets(parts).size)

    def records_with(self, strong: list[Source]) -> int:
        """Records that hold an identifier of a person."""
        return sum(_records(self._groups(strong)[1]).values())

    def _groups(self, strong: list[Source]) -> tuple[dict[int, Detector], list[tuple[int, int, Distinct]]]:
        """Detectors of the persons' sources by bit, and (pattern of strong sources, bit, values)."""
        kinds = {source.bit: source.detector for source in strong if source.detector.strength}
        mask = sum(1 << bit for bit in kinds)
        return kinds, [(p & mask, bit, part) for (p, bit), part in self._sets.items() if bit in kinds]

    def persons(self, strong: list[Source]) -> PersonSet:
        """Persons by rule 1 over the strong sources; only `values` and `uncounted` are set."""
        kinds, groups = self._groups(strong)
        chosen: dict[str, list[Distinct]] = {}
        for pattern, bit, part in groups:
            here = {kinds[b].kind: kinds[b].strength for b in kinds if pattern >> b & 1}
            wanted = max(here, key=lambda kind: here[kind])
            if kinds[bit].kind == wanted:
                chosen.setdefault(wanted, []).append(part)
        if self.overflowed:
            return PersonSet(uncounted=sum(part.occurrences for parts in chosen.values() for part in parts))
        return PersonSet({k: joined_sets([p.settle() for p in parts]) for k, parts in sorted(chosen.items())})


def _each(values: Lanes) -> Iterator[np.uint64]:
    """Distinct values, hardly ever more than a few, in some order; `np.unique` hashes, which takes 0.5 µs a value."""
    for _ in range(_FEW):
        if not values.size:
            return
        yield values[0]
        values = values[np.flatnonzero(values != values[0])]
    yield from sorted_distinct([values])


def _records(groups: list[tuple[int, int, Distinct]]) -> dict[int, int]:
    """Records by pattern: the most that any source has there."""
    by_source: dict[tuple[int, int], int] = {}
    for pattern, bit, part in groups:
        by_source[pattern, bit] = by_source.get((pattern, bit), 0) + part.records
    records: dict[int, int] = {}
    for (pattern, _), count in by_source.items():
        records[pattern] = max(records.get(pattern, 0), count)
    return records


def _by_column(columns: Places) -> list[tuple[int, Mask | None]]:
    """Columns present and which candidates lie in each; None where all lie in one."""
    first = int(columns[0])
    if (columns == first).all():
        return [(first, None)]
    present = (
        np.flatnonzero(np.bincount(columns)) if columns.max() < _WIDE else sorted_distinct([columns.view(np.uint64)])
    )
    if present.size > _COLUMNS:
        return [(NO_COLUMN, None)]
    return [(int(column), columns == column) for column in present]


def _sample(source: Source, window: Window, part: Candidates) -> None:
    for at in range(min(4 * _SAMPLES, part.start.size)):
        if len(source.samples) < _SAMPLES:
            start = int(part.start[at])
            line = window.text(start - _BEFORE, start)
            source.before.append(line[line.rfind(b"\n") + 1 :])
            source.samples.setdefault(int(part.value[at]), window.text(start, int(part.end[at])))
