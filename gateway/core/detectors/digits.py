"""Runs of digits, the skeleton of nearly every identifier, and what may stand beside them.

One pass marks digits with a bit each; runs begin and end where a set of bits does. Only runs that a detector starts from
are taken out of it: those of six digits and more, and those of exactly four with a separator between them and another
such (card and phone numbers in groups). Text without numbers, decimals and most qualities of reads leave nothing.

A change must keep: `find_runs` is a function of the bytes alone, and runs are sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gateway.core.detectors.bits import Words, earlier, later, packed, places, run_lengths, united
from gateway.core.detectors.lanes import Bytes, Lanes, Mask, Places, Window, is_alnum, is_digit

GROUP = 4  # digits of a group
SHORTEST = 6  # of a run that stands for itself
LONGEST = 32  # longer runs are reported with this length: no identifier has as many digits
_ONE = np.uint64(1)
_ZERO, _DOT = np.uint8(48), np.uint8(46)
_SPACE, _HYPHEN, _CLOSE, _SLASH = np.uint8(32), np.uint8(45), np.uint8(41), np.uint8(47)


@dataclass(frozen=True)
class Runs:
    """Digit runs of a window: shape (n,) each, sorted by start; at least SHORTEST long, or a GROUP beside a GROUP."""

    start: Places
    length: Bytes  # an eighth of what places take: it is compared again and again
    _of_length: dict[int, Places] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def end(self) -> Places:
        """One past the last digit."""
        return self.start + self.length

    @cached_property
    def steps(self) -> Places:
        """Bytes from each start to the next, shape (n - 1,)."""
        return self.start[1:] - self.start[:-1]

    @cached_property
    def pairs(self) -> Mask:
        """Whether a run of four is followed by another one byte behind it, shape (n - 1,) or (0,)."""
        if GROUP not in self.lengths:
            return np.zeros(0, np.bool_)
        pairs: Mask = (self.length[:-1] == GROUP) & (self.length[1:] == GROUP) & (self.steps == GROUP + 1)
        return pairs

    @cached_property
    def lengths(self) -> frozenset[int]:
        """Those that occur."""
        seen = int(np.bitwise_or.reduce(_ONE << self.length.astype(np.uint64), initial=0))
        return frozenset(length for length in range(seen.bit_length()) if seen >> length & 1)

    def of_length(self, digits: int) -> Places:
        """Starts of the runs of so many digits; looked for once."""
        if digits not in self._of_length:
            self._of_length[digits] = kept(self.start, self.length == digits)
        return self._of_length[digits]

    def of(self, mask: Mask) -> Runs:
        """The runs where `mask` holds."""
        if mask.all():
            return self
        places = np.flatnonzero(mask)  # indexing by places is three times faster than by masks
        return Runs(self.start.take(places), self.length.take(places))


def find_runs(window: Window) -> Runs:
    """The digit runs of the window, owned or not; its padding keeps both ends free of digits."""
    digits = packed(is_digit(window.data))
    two = digits & earlier(digits, 1)
    four = two & earlier(two, 2)  # the first of GROUP digits or more
    if not four.any():
        return Runs(np.zeros(0, np.intp), np.zeros(0, np.intp))
    six = four & earlier(two, 4)
    start = places(six & ~later(six, 1))
    groups = _groups(window, four)
    if groups.size:
        start = united(start, groups)
    length = run_lengths(six, start)
    length += np.uint8(SHORTEST - 1)
    if groups.size:
        length[length == SHORTEST - 1] = GROUP
    return Runs(start, np.minimum(length, LONGEST, out=length))


def _groups(window: Window, four: Words) -> Places:
    """Starts of runs of exactly GROUP digits with one separator between them and another such."""
    if not (window.holds(b" ") or window.holds(b"-")):
        return np.zeros(0, np.intp)
    edges = four ^ later(four, 1)
    alone = edges & earlier(edges, 1)
    first = places(alone & earlier(alone, GROUP + 1))
    first = first[np.flatnonzero(is_separator(window.data[first + GROUP]))]
    return united(first, first + (GROUP + 1))


def kept(places: Places, mask: Mask) -> Places:
    """The places where the mask holds: the same array where it holds for all, as it does for most."""
    return places if mask.all() else places.take(np.flatnonzero(mask))


def stands_free(window: Window, start: Places, end: Places, *, letters_before: bool = False) -> Mask:
    """Whether text between two places is a number of its own.

    No letter or digit beside it, and not a part of a decimal number: `.` behind a digit before it, or `.` and digits
    after it, except the `.0` that spreadsheets leave behind whole numbers.
    """
    data = window.data
    before, after = data.take(start - 1), data.take(end)
    free = ~((is_digit if letters_before else is_alnum)(before) | is_alnum(after))
    if (before == _DOT).any():
        free &= ~((before == _DOT) & is_digit(data[start - 2]))
    if (after == _DOT).any():
        whole = (data[end + 1] == _ZERO) & ~is_alnum(data[end + 2])
        free &= ~((after == _DOT) & is_digit(data[end + 1]) & ~whole)
    return free


def follows_digits(window: Window, start: Places) -> Mask:
    """Whether a separator or a bracket ties a number to digits before it, such as those of an area code."""
    data = window.data
    before, tied = data[start - 1], np.zeros(start.size, np.bool_)
    asked = np.flatnonzero(is_separator(before) | (before == _CLOSE) | (before == _SLASH))
    if asked.size:
        second = data[start[asked] - 2]
        tied[asked] = is_digit(second) | (second == _CLOSE) & is_digit(data[start[asked] - 3])
    return tied


def is_separator(characters: Bytes) -> Mask:
    """Space or hyphen, which people put between groups of digits."""
    known: Mask = (characters == _SPACE) | (characters == _HYPHEN)
    return known


def four_pairs(window: Window, runs: Runs) -> Places:
    """Starts of two runs of four digits with one space or hyphen between them."""
    start = runs.start[np.flatnonzero(runs.pairs)]
    split: Places = start[is_separator(window.data[start + GROUP])]
    return split


def four_fours(window: Window, runs: Runs) -> Places:
    """Starts of four groups of four digits with the same space or hyphen between all."""
    near = runs.pairs
    start = runs.start[np.flatnonzero(near[:-2] & near[1:-1] & near[2:])]
    if not start.size:
        return start
    between = window.data[start + 4]
    same = (between == window.data[start + 9]) & (between == window.data[start + 14])
    whole: Places = start[same & is_separator(between)]
    return whole


def gather(window: Window, start: Places, offsets: list[int]) -> Lanes:
    """Digits at `offsets` from every start, packed into lanes of eight, zero-padded at the end: (n, ceil(k/8))."""
    width = -(-len(offsets) // 8) * 8
    picked = np.full((start.size, width), _ZERO)
    picked[:, : len(offsets)] = window.data[start[:, None] + np.array(offsets)]
    return picked.view("<u8")
