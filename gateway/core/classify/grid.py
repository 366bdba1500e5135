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
import numpy.typing as npt

from gateway.core.detectors.lanes import NEWLINE, Bytes, Mask, Places, Window

_QUOTE, _BRACE, _RETURN = np.uint8(34), np.uint8(125), np.uint8(13)
NO_COLUMN = -1
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
    _rank_at: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32), repr=False)

    def locate(self, window: Window, starts: list[Places]) -> list[tuple[Places, Places]]:
        """Record within the window (0 is the one it begins in) and column of every place, array by array."""
        if not starts:
            return []
        if self.delimiter is None:
            ends = np.flatnonzero(window.data[window.low : window.high] == self.record_end) + window.low
            return [(np.searchsorted(ends, start), np.full(start.size, NO_COLUMN)) for start in starts]
        stops, is_end = self._stops(window)
        ranks = self._ranks(window, stops, starts)
        width = int(is_end.argmax()) + 1 if is_end.any() else 0
        if width and not self._column and _is_even(is_end, width):
            rows = [rank // width for rank in ranks]
            return [(row, rank - row * width) for row, rank in zip(rows, ranks, strict=True)]
        row_at = np.concatenate([_NONE, np.cumsum(is_end)])
        line = np.maximum.accumulate(np.where(is_end, np.arange(1, stops.size + 1), 0))
        column_at = np.arange(stops.size + 1) - np.concatenate([_NONE, line])
        column_at[row_at == 0] += self._column
        return [(row_at[rank], column_at[rank]) for rank in ranks]

    def _ranks(self, window: Window, stops: Places, starts: list[Places]) -> list[Places]:
        """How many stops lie before every place: looked up where a place begins its cell, searched for elsewhere."""
        if self._rank_at.size < window.data.size:
            self._rank_at = np.zeros(window.data.size, np.int32)
        self._rank_at[stops] = np.arange(1, stops.size + 1)
        checked = np.concatenate([_NONE - 1, stops])
        ranks = []
        for start in starts:
            rank = np.minimum(self._rank_at[start - 1], stops.size).astype(np.intp)
            lost = np.flatnonzero(checked[rank] != start - 1)  # a leftover of another block, or inside a cell
            rank[lost] = np.searchsorted(stops, start[lost])
            ranks.append(rank)
        return ranks

    def advance(self, window: Window, *, line_ends: bool) -> None:
        """Count the records of a block after its candidates were placed."""
        own = window.data[window.low : window.high]
        ended = own == self.record_end
        count = int(np.count_nonzero(ended))
        if self.record_end == NEWLINE and count:
            count -= self._blank(own, ended)
        self.records += count
        if not line_ends and self.delimiter is not None:
            last = len(own) - int(np.argmax(ended[::-1])) if ended.any() else 0
            cells = int(np.count_nonzero(own[last:] == self.delimiter))
            self._column = cells if ended.any() else self._column + cells
        else:
            self._column = 0
        self._open = not line_ends if own.size and ended[-1] else bool(own.size)

    def _blank(self, own: Bytes, ended: Mask) -> int:
        blank = int(np.count_nonzero(ended[1:] & ended[:-1])) + int(ended[0] and not self._open)
        first = int(ended.argmax())
        if first and own[first - 1] == _RETURN:
            blank += int(np.count_nonzero(ended[2:] & (own[1:-1] == _RETURN) & ended[:-2]))
        return blank

    def total(self) -> int:
        """Records including one that the end of the file cut short."""
        return self.records + (1 if self._open and self.record_end == NEWLINE else 0)

    def _stops(self, window: Window) -> tuple[Places, Mask]:
        data = window.data[window.low : window.high]
        stops = np.flatnonzero((data == self.delimiter) | (data == NEWLINE))
        is_end = data[stops] == NEWLINE
        quotes = np.flatnonzero(data == _QUOTE)
        if quotes.size:
            rank = np.searchsorted(quotes, stops)
            line = np.maximum.accumulate(np.where(is_end, np.arange(1, stops.size + 1), 0))
            at_line = np.concatenate([np.zeros(1, np.intp), rank])[np.concatenate([np.zeros(1, np.intp), line[:-1]])]
            outside = is_end | ((rank - at_line) % 2 == 0)
            stops, is_end = stops[outside], is_end[outside]
        return stops + window.low, is_end


def _is_even(is_end: Mask, width: int) -> bool:
    """Whether every line but an open last one has `width` cells."""
    lines = is_end.size // width
    return bool(is_end[width - 1 :: width].all()) and int(np.count_nonzero(is_end)) == lines
