"""What a detector hands back: places of the right shape, and which of them pass every check.

A change must keep: values are canonical (one person's identifier has one value in whatever form it was written), and
they fit 64 bits, so that millions of them are counted without an object each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.core.detectors.lanes import Lanes, Mask, Places, Window


@dataclass(frozen=True)
class Candidates:
    """Places where a detector's shape was seen; every array has shape (n,).

    Attributes:
        key: The detector.
        start: First byte.
        end: One past the last byte.
        value: Canonical value, meaningless where neither mask holds.
        valid: Passes every check by itself.
        in_column: Passes every check if the column's header names this kind.
    """

    key: str
    start: Places
    end: Places
    value: Lanes
    valid: Mask
    in_column: Mask

    def owned(self, window: Window) -> Candidates:
        """Those whose first byte the window owns."""
        if window.low <= self.start.min(initial=window.high) and self.start.max(initial=0) < window.high:
            return self
        return self.of(np.flatnonzero((self.start >= window.low) & (self.start < window.high)))

    def of(self, these: Places) -> Candidates:
        """Those with these numbers."""
        return Candidates(
            self.key, self.start[these], self.end[these], self.value[these], self.valid[these], self.in_column[these]
        )


def candidates(key: str, start: Places, end: Places, value: Lanes, valid: Mask) -> Candidates:
    """Candidates that no column header is needed for."""
    return Candidates(key, start, end, value, valid, valid)


def nothing(key: str) -> Candidates:
    """No candidates."""
    empty = np.zeros(0, np.intp)
    return candidates(key, empty, empty, np.zeros(0, np.uint64), np.zeros(0, np.bool_))


def joined(parts: list[Candidates]) -> Candidates:
    """Several forms of one kind as one, in the order of their places."""
    filled = [part for part in parts if part.start.size]
    if len(filled) <= 1:
        return (filled or parts)[0]
    start = np.concatenate([p.start for p in filled])
    order = np.argsort(start, kind="stable")
    return Candidates(
        filled[0].key,
        start[order],
        np.concatenate([p.end for p in filled])[order],
        np.concatenate([p.value for p in filled])[order],
        np.concatenate([p.valid for p in filled])[order],
        np.concatenate([p.in_column for p in filled])[order],
    )
