"""Runs of digits, the skeleton of nearly every identifier, and what may stand beside them.

A first look samples every fourth byte: a run of four digits or more cannot hide from it, so text without digits costs a
fraction of a nanosecond a byte. Few samples are widened to runs one by one, many by one pass over all bytes; both give
exactly the runs of at least SHORTEST digits (a test compares them).

A change must keep: `find_runs` is a function of the bytes alone, the two ways agree, runs are sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.core.detectors.lanes import (
    Bytes,
    Lanes,
    Mask,
    Places,
    Window,
    is_alnum,
    is_digit,
    leading_digits,
    other_bytes,
)

SHORTEST = 4
LONGEST = 32  # longer runs are reported with this length: no identifier has as many digits
_DENSE = 0.05  # share of sampled bytes that are digits above which one pass over all bytes is cheaper
_FOUR_BYTES = np.uint64(0x80808080)  # top bits of the four bytes before a sampled place
_TO_NIBBLE = np.uint64(0x00204081)  # brings those four bits to 28..31
_DIGITS_BEFORE = np.array([4 - mask.bit_length() for mask in range(16)])  # behind the last byte that is no digit
_ZERO, _DOT, _TEN = np.uint8(48), np.uint8(46), np.uint8(10)
_SPACE, _HYPHEN = np.uint8(32), np.uint8(45)


@dataclass(frozen=True)
class Runs:
    """Digit runs of a window: shape (n,) each, sorted by start, at least SHORTEST long."""

    start: Places
    length: Places

    @cached_property
    def end(self) -> Places:
        """One past the last digit."""
        return self.start + self.length

    @cached_property
    def steps(self) -> Places:
        """Bytes from each start to the next, shape (n - 1,)."""
        return np.diff(self.start)

    @cached_property
    def pairs(self) -> Mask:
        """Whether a run of four is followed by another one byte behind it, shape (n - 1,) or (0,)."""
        pairs: Mask = (self.length[:-1] == 4) & (self.length[1:] == 4) & (self.steps == 5)
        return pairs

    def of(self, mask: Mask) -> Runs:
        """The runs where `mask` holds."""
        places = np.flatnonzero(mask)  # indexing by places is three times faster than by masks
        return Runs(self.start[places], self.length[places])


def find_runs(window: Window) -> Runs:
    """All digit runs of the window, owned or not."""
    data = window.data
    sampled = (data[::SHORTEST] - _ZERO) < _TEN
    count = int(np.count_nonzero(sampled))
    if count > sampled.size * _DENSE:
        return dense_runs(window)
    return sparse_runs(window, np.flatnonzero(sampled) * SHORTEST)


def dense_runs(window: Window) -> Runs:
    """One pass over all bytes; the padding keeps both ends free of digits.

    A place counts when it and the three after it are digits: its rises are the starts of runs, its falls their ends.
    """
    digit = is_digit(window.data)
    two = digit[:-1] & digit[1:]
    four = (two[:-2] & two[2:]).view(np.uint8)
    start = np.flatnonzero(four[1:] > four[:-1]) + 1
    end = np.flatnonzero(four[1:] < four[:-1]) + SHORTEST
    return Runs(start, np.minimum(end - start, LONGEST))


def sparse_runs(window: Window, sampled: Places) -> Runs:
    """Widen sampled digits (places that are multiples of SHORTEST) to the runs they lie in."""
    before = other_bytes(window.lanes[sampled - SHORTEST]) & _FOUR_BYTES
    first = before != 0  # else the sample before lies in the same run
    start = sampled[first] - _DIGITS_BEFORE[((before[first] * _TO_NIBBLE) >> np.uint64(28)).astype(np.intp) & 15]
    length = _lengths(window, start)
    long = length >= SHORTEST
    return Runs(start[long], length[long])


def _lengths(window: Window, start: Places) -> Places:
    length = leading_digits(window.lanes[start]).astype(np.intp)
    for reached in range(8, LONGEST, 8):
        more = np.flatnonzero(length == reached)
        if not more.size:
            break
        length[more] += leading_digits(window.lanes[start[more] + reached]).astype(np.intp)
    return length


def stands_free(window: Window, start: Places, end: Places, *, letters_before: bool = False) -> Mask:
    """Whether text between two places is a number of its own.

    No letter or digit beside it, and not a part of a decimal number: `.` behind a digit before it, or `.` and digits
    after it, except the `.0` that spreadsheets leave behind whole numbers.
    """
    data = window.data
    before, after = data[start - 1], data[end]
    free = ~((is_digit if letters_before else is_alnum)(before) | is_alnum(after))
    if (before == _DOT).any():
        free &= ~((before == _DOT) & is_digit(data[start - 2]))
    if (after == _DOT).any():
        whole = (data[end + 1] == _ZERO) & ~is_alnum(data[end + 2])
        free &= ~((after == _DOT) & is_digit(data[end + 1]) & ~whole)
    return free


def is_separator(characters: Bytes) -> Mask:
    """Space or hyphen, which people put between groups of digits."""
    known: Mask = (characters == _SPACE) | (characters == _HYPHEN)
    return known


def gather(window: Window, start: Places, offsets: list[int]) -> Lanes:
    """Digits at `offsets` from every start, packed into lanes of eight, zero-padded at the end: (n, ceil(k/8))."""
    width = -(-len(offsets) // 8) * 8
    picked = np.full((start.size, width), _ZERO)
    picked[:, : len(offsets)] = window.data[start[:, None] + np.array(offsets)]
    return picked.view("<u8")
