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
from gateway.core.detectors.bits import places_in
from gateway.core.detectors.lanes import Bytes, Mask, Places

_YEAR, _MONTH = "年".encode(), "月".encode()
_DAY = (
    rb"(20[0-9]{2})(?:"
    + _YEAR
    + rb"|[-/. ]{0,2})(1[0-2]|0?[1-9])?(?:"
    + _MONTH
    + rb"|[-/. ]{0,2})(3[01]|[12][0-9]|0?[1-9])?"
    rb"(?![0-9])"
)
_DATE, _YEAR_LAST = re.compile(_DAY), re.compile(rb"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.](20[0-9]{2})(?![0-9])")
_BEHIND = rb"[\"']?\s{0,4}[:=>]\s{0,4}[\"']?(?:([0-9]{1,2})[-/.])?(?:([0-9]{1,2})[-/.])?" + _DAY
_LAST_MONTH, _LAST_DAY = 12, 31
_BEFORE, _SHORT, _LONG = 6, 10, 14  # bytes: 31.12. before a year, 2015-12-31, 2015年12月31
_BETWEEN = 12  # bytes between a key and its value
_TWO, _ZERO, _NINE = np.uint8(ord("2")), np.uint8(ord("0")), np.uint8(ord("9"))


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
        years = _years(window)
        if not years.size:
            return
        ((_, places),) = grid.locate(window, [years])
        years = years[np.isin(places, columns)]
        before = np.isin(window.data[years - 1], np.frombuffer(b"-/.", np.uint8))
        wide = window.data[years + 4] == np.uint8(_YEAR[0])
        self._take(window, years[before], -_BEFORE, 5, _YEAR_LAST)
        self._take(window, years[~before & ~wide], 0, _SHORT, _DATE)
        self._take(window, years[~before & wide], 0, _LONG, _DATE)

    def _take(self, window: Window, years: Places, first: int, last: int, form: re.Pattern[bytes]) -> None:
        """Read the days at these years."""
        for text, count in _texts(window, years, first, last):
            match = form.search(text)
            if match is not None:
                self.days[_year_last(match) if form is _YEAR_LAST else _day(*match.groups())] += count
            elif form is _YEAR_LAST:  # month and year, or something else: the last day of the year it can be
                self.days[_day(text[-5:-1], None, None)] += count

    def read_named(self, window: Window, names: Names) -> None:
        """Look at JSON or XML: dates right behind a key, tag or attribute that says so."""
        named = sorted(names.shown[kind].encode() for kind in self.kinds if kind in names.shown)
        if not named:
            return
        behind = re.compile(rb"(?:" + b"|".join(map(re.escape, named)) + rb")" + _BEHIND)
        before = max(map(len, named)) + _BETWEEN + _BEFORE
        for text, count in _texts(window, _years(window), -before, _LONG):
            match = behind.search(text)
            if match is not None and match.start(3) == before:
                one, two, year, month, day = match.groups()
                self.days[_of_two(int(one), int(two), int(year)) if one and two else _day(year, month, day)] += count


def _texts(window: Window, years: Places, first: int, last: int) -> list[tuple[bytes, int]]:
    """What stands around these places, each different text once with how often: days are few and rows are many."""
    if not years.size:
        return []
    places = np.clip(years[:, None] + np.arange(first, last), 0, window.data.size - 1)
    texts = np.ascontiguousarray(window.data[places]).view(f"S{last - first}")
    found, counts = np.unique(texts, return_counts=True)
    return [
        (text.ljust(last - first, b"\0"), count) for text, count in zip(found.tolist(), counts.tolist(), strict=True)
    ]


def _years(window: Window) -> Places:
    """Places of the years from 2000 on that no digit stands before."""
    data = window.data
    found = places_in(data[window.low : window.high] == _TWO) + window.low
    found = found[(data[found + 1] == _ZERO) & _digit(data[found + 2]) & _digit(data[found + 3])]
    years: Places = found[~_digit(data[found - 1])]
    return years


def _digit(characters: Bytes) -> Mask:
    found: Mask = (characters >= _ZERO) & (characters <= _NINE)
    return found


def _year_last(match: re.Match[bytes]) -> int:
    one, two, year = map(int, match.groups())
    return _of_two(one, two, year)


def _of_two(first: int, second: int, year: int) -> int:
    """Day and month in either order: of two readings the later."""
    readings = [(m, d) for m, d in ((first, second), (second, first)) if 1 <= m <= _LAST_MONTH and 1 <= d <= _LAST_DAY]
    return _number(year, *max(readings, default=(_LAST_MONTH, _LAST_DAY)))


def _day(year: bytes, month: bytes | None, day: bytes | None) -> int:
    """YYYYMMDD; what is not told is the last it can be."""
    return _number(int(year), int(month or _LAST_MONTH), int(day or _LAST_DAY))


def _number(year: int, month: int, day: int) -> int:
    return year * 10_000 + month * 100 + day
