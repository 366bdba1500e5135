"""Days of birth in columns, keys and tags whose names say so: who is under fourteen.

What it is not: an age on a day (`minors`). Only years from 2000 on are looked for: whoever was born before is no child.
A change must keep: a day that is not told counts as the last one it can be, so that nobody becomes older than said.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from gateway.core.classify.grid import NO_COLUMN, Grid
from gateway.core.classify.names import Names
from gateway.core.detectors import Window

_YEAR = "年".encode()
_MONTH = "月".encode()
_DAY = (
    rb"(?<![0-9.])(?:"
    rb"(20[0-9]{2})(?:"
    + _YEAR
    + rb"|[-/. ]{0,2})(1[0-2]|0?[1-9])?(?:"
    + _MONTH
    + rb"|[-/. ]{0,2})(3[01]|[12][0-9]|0?[1-9])?"
    rb"|([0-9]{1,2})[-/.]([0-9]{1,2})[-/.](20[0-9]{2})"
    rb")(?![0-9])"
)
_DATE = re.compile(_DAY)
_LAST_MONTH, _LAST_DAY = 12, 31


@dataclass
class Births:
    """Grows as blocks are read.

    Attributes:
        kinds: Header kinds that hold days of birth.
        days: How often each day was met, by YYYYMMDD.
    """

    kinds: frozenset[str]
    days: Counter[int] = field(default_factory=Counter)

    def read_table(self, window: Window, grid: Grid, names: Names) -> None:
        """Look at a block of a table, before its records are counted."""
        columns = [
            column
            for column, words in names.kinds.items()
            if column != NO_COLUMN and any(each.kind in self.kinds for each in words)
        ]
        if not columns:
            return
        found = list(_DATE.finditer(window.raw, window.low, window.high))
        starts = np.array([match.start() for match in found], np.intp)
        if not found:
            return
        ((_, places),) = grid.locate(window, [starts])
        self.days.update(_day(found[at]) for at in np.flatnonzero(np.isin(places, columns)).tolist())

    def read_named(self, window: Window, names: Names) -> None:
        """Look at JSON or XML: dates right behind a key, tag or attribute that says so."""
        named = sorted(names.shown[kind] for kind in self.kinds if kind in names.shown)
        if named:
            behind = re.compile(_behind(tuple(named)))
            self.days.update(_day(match) for match in behind.finditer(window.raw, window.low, window.high))


def _behind(named: tuple[str, ...]) -> bytes:
    names = b"|".join(re.escape(name.encode()) for name in named)
    return rb"(?:" + names + rb")[\"']?\s{0,4}[:=>]\s{0,4}[\"']?" + _DAY


def _day(match: re.Match[bytes]) -> int:
    """YYYYMMDD; what is not told is the last it can be, and of two readings of day and month the later."""
    year, month, day, one, two, year_last = match.groups()
    if year is not None:
        return _number(int(year), int(month or _LAST_MONTH), int(day or _LAST_DAY))
    first, second = int(one), int(two)
    readings = [(m, d) for m, d in ((first, second), (second, first)) if 1 <= m <= _LAST_MONTH and 1 <= d <= _LAST_DAY]
    return _number(int(year_last), *max(readings, default=(_LAST_MONTH, _LAST_DAY)))


def _number(year: int, month: int, day: int) -> int:
    return year * 10_000 + month * 100 + day
