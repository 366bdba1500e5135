"""Identifiers that only their column tells: medical record numbers, and whoever a table follows through places and times.

Every filled cell of such a column is a candidate, and its content, mixed to 64 bits, the value. What the column is shows at
the end, by how many values differ:

1. A column that a header calls a record number and that holds the same few values throughout is a code (a kind of insurance, a
   ward): its header counts for less then, and its cells for nothing.
2. A table has a *track* when it has times, precise coordinates and a subject, and EACH rows and more a subject on average.
   Where the header says that the subject is a person or what a person carries, the track is strong.

Not here: tables of JSON objects and XML, whose records are not rows (`classifier`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gateway.core.classify.grid import Grid
from gateway.core.classify.names import Names
from gateway.core.classify.tally import Source, Tally
from gateway.core.detectors import Candidates, DetectorTables, Window, open_window
from gateway.core.detectors.candidates import candidates
from gateway.core.detectors.email import mixed
from gateway.core.detectors.headers import normal_form
from gateway.core.detectors.lanes import Lanes
from gateway.core.detectors.tables import TrackWords

RECORD, TRACK = "medical_record_number", "track"
EACH = 3  # rows that a subject of a track has, on average
MANY, FEW = 100, 0.02  # filled cells from which few different values are a code, and the share that is few
_LONGEST = 48  # bytes of a cell that are looked at
_BLANK = ("na", "n/a", "nan", "null", "none", "-", "--", "无", "unknown", "不详", '""')


class Cells:
    """Columns of one table; `begin` once its header is read, `settle` at its end."""

    def __init__(self, tables: DetectorTables) -> None:
        self._track = tables.track
        self._columns: dict[int, str] = {}
        self._sure = False
        self._ignored = np.zeros(0, np.uint64)

    def begin(self, names: Names) -> None:
        """Choose the columns."""
        for column, kinds in names.kinds.items():
            if any(RECORD in words.supports for words in kinds):
                self._columns[column] = RECORD
        apart = names.column_of("latitude") is not None and names.column_of("longitude") is not None
        if apart or names.column_of("coordinates") is not None:
            self._follow([normal_form(cell) for cell in names.columns])
        if not self._columns:
            return
        headers = [names.columns[column].lower() for column in self._columns if column < len(names.columns)]
        self._ignored = np.concatenate([_blank(), _values(tuple(headers))])

    def _follow(self, headers: list[str]) -> None:
        """Choose who or what is followed, if there are times; a column of a known subject before any that ends in id."""
        if not any(TrackWords.named(header, self._track.times) for header in headers):
            return
        known = [n for n, header in enumerate(headers) if TrackWords.named(header, self._track.subjects)]
        other = [n for n, header in enumerate(headers) if header.split(" ")[-1] == "id"]
        self._sure = bool(known)
        for column in [*known, *other][:1]:
            self._columns[column] = TRACK

    def find(self, window: Window, grid: Grid) -> list[Candidates]:
        """Filled cells of the columns that the window owns."""
        found = [self._cells(window, grid, column, key) for column, key in sorted(self._columns.items())]
        return [part for part in found if part.start.size]

    def _cells(self, window: Window, grid: Grid, column: int, key: str) -> Candidates:
        start, end = grid.cells(window, column)
        end = end - (window.data[end - 1] == ord("\r"))
        filled = np.flatnonzero(end > start)
        start, end = start[filled], np.minimum(end[filled], start[filled] + _LONGEST)
        value = mixed(window, start, end)
        known = np.flatnonzero(~np.isin(value, self._ignored))
        found = candidates(key, start, end, value, np.ones(start.size, np.bool_))
        return found.of(known)

    def settle(self, tally: Tally, names: Names, *, precise: bool) -> None:
        """Keep what is a record number or a track."""
        for source in [s for s in tally.sources.values() if s.detector.key in {RECORD, TRACK}]:
            distinct = tally.distinct(source)
            if source.detector.key == TRACK:
                self._settle_track(source, tally, names, is_track=precise and source.hits >= EACH * distinct)
            elif source.hits >= MANY and distinct <= FEW * source.hits:
                names.doubt(source.column, source.detector.kind)
                tally.drop(source)

    def _settle_track(self, source: Source, tally: Tally, names: Names, *, is_track: bool) -> None:
        if not is_track:
            tally.drop(source)
        elif self._sure:
            names.lent.add((source.column, TRACK))


def _values(texts: tuple[str, ...]) -> Lanes:
    """What cells of these texts become."""
    whole = [text.encode()[:_LONGEST] for text in texts]
    window = open_window(b"\n".join(whole))
    sizes = np.array([len(text) for text in whole], np.intp)
    start = window.low + np.concatenate([[0], np.cumsum(sizes + 1)])[: sizes.size].astype(np.intp)
    return mixed(window, start, start + sizes)


@lru_cache(maxsize=1)
def _blank() -> Lanes:
    return _values(_BLANK)
