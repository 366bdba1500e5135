"""Which record, and in tables which column, a place belongs to.

A record is a line; in JSON it ends with every closing brace, so that objects over several lines stay one record and
nested objects count apart. A cell ends at the delimiter outside quotes. Quotes are balanced per line on purpose: one
stray quote must not swallow the rest of a file, and a quoted line break only splits a record, which makes the number of
persons by rows larger, never smaller.

Positions of columns and records are carried over lines that were cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.core.detectors.bits import (
    Words,
    between,
    count,
    from_place,
    later,
    odd_before,
    of_places,
    places,
    ranks,
    spots,
)
from gateway.core.detectors.lanes import NEWLINE, PAD, Places, Window

_QUOTE, _RETURN = b'"', 13
NO_COLUMN = -1
_FEW = 1024  # places in a window of text that are numbered one by one
_SMALL = 16_384  # bytes whose records are counted faster than array operations begin
_NONE = np.zeros(1, np.intp)


@dataclass
class Grid:
    """Counts records; `locate` places candidates.

    Attributes:
        delimiter: Byte between cells, None outside tables.
        record_end: Byte that ends a record.
        records: Records that have ended so far, blank lines left out.
    """

    delimiter: int | None
    record_end: int = NEWLINE
    records: int = 0
    _column: int = 0  # cells of the present line that lie before the block
    _open: bool = False  # whether the present record has begun
    _of: Window | None = field(default=None, repr=False)
    _ended: Places = field(default_factory=lambda: _NONE, repr=False)

    def locate(self, window: Window, starts: list[Places]) -> list[tuple[Places, Places]]:
        """Record within the window and column of every place, array by array; every array is sorted.

        Records without any place may be left out of their numbers.
        """
        if not starts:
            return []
        if self.delimiter is None and sum(start.size for start in starts) < _FEW:
            return [(row, np.full(row.size, NO_COLUMN)) for row in self._rows_of_few(window, starts)]
        ended = from_place(window.places_of(self.record_end), window.low)
        if self.delimiter is None:
            records = ranks(ended)
            return [(records.of(start), np.full(start.size, NO_COLUMN)) for start in starts]
        lines = self._ends(window)
        stops = ranks(self._stops(window, ended, lines))
        first = np.zeros(lines.size + 1, np.intp)  # stops before each line
        first[0], first[1:] = -self._column, stops.of(lines) + 1
        filled = [_one_each(start, lines) for start in starts]
        every, before = np.arange(lines.size), ranks(ended) if not all(filled) else None
        placed = list[tuple[Places, Places]]()
        for start, one_each in zip(starts, filled, strict=True):
            asked = spots(start)
            row = every if one_each or before is None else before.of(asked)
            placed.append((row, stops.of(asked) - (first[:-1] if row is every else first[row])))
        return placed

    def cells(self, window: Window, column: int) -> tuple[Places, Places]:
        """Where the cells of a column begin, those that the window owns, and where each ends or the window does."""
        ended = from_place(window.places_of(self.record_end), window.low)
        lines = self._ends(window)
        sets = self._stops(window, ended, lines)
        stops = places(sets)
        first = np.concatenate([[-self._column], ranks(sets).of(lines) + 1])  # stops before each line
        last = np.concatenate([first[1:] - 1, [stops.size]])  # the stop that ends each line
        opening = first + (column - 1)
        here = np.flatnonzero((opening >= 0) & (opening < last) & (opening < stops.size))
        opening = opening[here]
        start = stops[opening] + 1
        if column == self._column and (not self._open or window.data[window.low - 1] == self.delimiter):
            opening, start = np.append(-1, opening), np.append(window.low, start)
        start = start[: np.searchsorted(start, window.high)]
        opening = opening[: start.size]
        return start, np.append(stops, window.data.size - PAD)[np.minimum(opening + 1, stops.size)]

    def _rows_of_few(self, window: Window, starts: list[Places]) -> list[Places]:
        """Records counted from place to place: spares a pass over the text."""
        asked = [start.tolist() for start in starts]
        row, last, rows = 0, window.low, dict[int, int]()
        for place in sorted({place for start in asked for place in start}):
            row += window.raw.find(self.record_end, last, place) >= 0
            rows[place] = row
            last = place
        return [np.array([rows[place] for place in start], np.intp) for start in asked]

    def advance(self, window: Window, *, line_ends: bool) -> None:
        """Count the records of a block after its candidates were placed."""
        end, low, high = bytes([self.record_end]), window.low, window.high
        last = window.raw.rfind(end, low, high)
        if last >= 0:
            self.records += self._ended_in(window)
        if not line_ends and self.delimiter is not None:
            cells = window.raw.count(self.delimiter, last + 1 if last >= 0 else low, high)
            self._column = cells if last >= 0 else self._column + cells
        else:
            self._column = 0
        self._open = not line_ends if last == high - 1 else high > low
        self._of, self._ended = None, _NONE

    def _ended_in(self, window: Window) -> int:
        """Records that end in a block, blank lines left out."""
        low, high = window.low, window.high
        if high - low < _SMALL:
            own, lines = window.raw[low:high], self.record_end == NEWLINE
            if not (lines and (b"\n\n" in own or b"\n\r\n" in own)):
                return own.count(self.record_end) - (lines and own[0] == NEWLINE and not self._open)
        ended = between(window.places_of(self.record_end), low, high)
        return count(ended) - (self._blank(window, ended) if self.record_end == NEWLINE else 0)

    def _blank(self, window: Window, ended: Words) -> int:
        """Lines of nothing, or of nothing but a return where lines end with one: counted in sets, however many."""
        first = window.raw.find(NEWLINE, window.low)
        blank = count(ended & later(ended, 1)) + (first == window.low and not self._open)
        if first > window.low and window.raw[first - 1] == _RETURN:
            blank += count(ended & later(window.places_of(_RETURN), 1) & later(ended, 2))
        return blank

    def _ends(self, window: Window) -> Places:
        """Owned ends of records; kept for the window that was asked about last."""
        if self._of is not window:
            found = places(from_place(window.places_of(self.record_end), window.low))
            self._of, self._ended = window, found[: np.searchsorted(found, window.high)]
        return self._ended

    def total(self) -> int:
        """Records including one that the end of the file cut short."""
        return self.records + (1 if self._open and self.record_end == NEWLINE else 0)

    def _stops(self, window: Window, ended: Words, lines: Places) -> Words:
        """Ends of cells: line ends, and delimiters with an even number of quotes before them on their line."""
        assert self.delimiter is not None
        cells = from_place(window.places_of(self.delimiter), window.low)
        if not window.owns(_QUOTE):
            return cells | ended
        quotes = from_place(window.places_of(_QUOTE[0]), window.low)
        odd = ranks(quotes).of(lines) & 1
        turns = lines[odd != np.concatenate([_NONE, odd[:-1]])]  # where the count of a line begins odd or stops to
        if turns.size:
            quotes |= of_places(turns, quotes.size)
        return cells & ~odd_before(quotes) | ended


def _one_each(start: Places, lines: Places) -> bool:
    """Whether every line that ends holds one of the places, as a filled column does."""
    same = start.size == lines.size and bool((start < lines).all())
    return same and bool((start[1:] > lines[:-1]).all())
