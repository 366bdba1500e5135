"""A growing set of 64-bit values: sorted ones, a heap of new ones, and a look that leaves out most that were seen before.

Sorting costs 40 ns a value on some processors, a look 3. So where values come again and the set is small enough for it, they
are told by a table of slots, one value each. What the table cannot tell is sorted as before: it saves time, never a value,
and values that were chosen to meet in one slot cost what sorting costs. Where hardly any value comes again, nothing is gained
by sorting before the end: a share of the values, chosen by their hash, tells whether it is so each time the heap has doubled.

Not here: what is counted and for whom (`tally`). A change must keep: the set is the same in whatever order and pieces the
values come. Memory: 8 bytes a value, twice while they are sorted, and at most 2 MiB for the tables of a set; what waits
because it was new may be held twice until the heap has doubled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.core.detectors.lanes import Lanes, Places

KNOWN = 1 << 17  # values of a set whose members are looked up: more are seldom met again while they are in the cache
_PENDING = 1 << 15
_AGAIN = 4  # one value in so many that had come before makes looking up worth its time
_SELDOM = 8  # fewer than one in so many had come before: sorting can wait
_SHARE = 6  # bits of a hash: one value in 64 is looked at
_GOLDEN, _OTHER = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xD1342543DE82EF95))  # multiplicative hashing, two ways


def _nothing() -> Lanes:
    return np.zeros(0, np.uint64)


@dataclass
class Distinct:
    """Distinct values, and how many came in how many records; `looked_up` sets have a table of their members."""

    values: Lanes = field(default_factory=_nothing)
    occurrences: int = 0
    records: int = 0
    looked_up: bool = True
    _new: list[Lanes] = field(default_factory=list)
    _waiting: int = 0
    _patience: int = 0  # values that may wait before it is asked whether they are new
    _came: int = 0  # since the last sorting, also those that were looked up
    _members: Members | None = None
    _again: bool = False  # many of the last values had come before

    def add(self, values: Lanes) -> None:
        """Take values in; sorts when enough new ones have come."""
        self.occurrences += values.size
        self._came += values.size
        if self._again and self._members is None and self.values.size < KNOWN:
            self._members = Members(self.values)
        if self._members is not None:
            values = self._members.others(values)
        if not values.size:
            return
        self._new.append(values)
        self._waiting += values.size
        if self._waiting >= max(_PENDING, self.values.size // 2, self._patience):
            if self._members is None and self._seldom_again():
                self._patience = 2 * self._waiting
            else:
                self.settle()

    def settle(self) -> Lanes:
        """Sorted distinct values."""
        if self._new:
            known = self.values.size
            fresh = sorted_distinct(self._new)
            self._new = []  # not kept while they are joined
            self.values = joined_sets([self.values, fresh]) if known else fresh
            self._again = self.looked_up and _AGAIN * (known + self._came - self.values.size) > self._came
            self._waiting, self._patience, self._came, self._members = 0, 0, 0, None
        return self.values

    def _seldom_again(self) -> bool:
        """Whether a share of the waiting values says that nearly all of them are new; one that is too small says nothing."""
        known, waiting = _share(self.values), [_share(part) for part in self._new]
        size = sum(part.size for part in waiting)
        again = known.size + size - sorted_distinct([known, *waiting]).size
        return _SELDOM * again < size and size << _SHARE > self._waiting // 2

    @property
    def held(self) -> int:
        """Values in memory."""
        return self.values.size + self._waiting


class Members:
    """Most members of a set, each in its slot; a free slot holds a member too, so that nothing else is ever taken for one."""

    def __init__(self, members: Lanes) -> None:
        """Take any values, at least one."""
        self._bits = int(
            members.size
        ).bit_length()  # twice the room that the members need, at most: it has to stay in the cache
        self._first = np.full(1 << self._bits, members[0])
        self._second = np.full(1 << self._bits, members[0])
        here = _slots(members, _GOLDEN, self._bits)
        self._first[here] = members
        left = members[np.flatnonzero(self._first[here] != members)]  # another member has the slot
        self._second[_slots(left, _OTHER, self._bits)] = left

    def others(self, values: Lanes) -> Lanes:
        """Those of the values that are no member, and a few that are."""
        values = values[np.flatnonzero(self._first[_slots(values, _GOLDEN, self._bits)] != values)]
        return values[np.flatnonzero(self._second[_slots(values, _OTHER, self._bits)] != values)]


def _share(values: Lanes) -> Lanes:
    """The same one in 64 of all values wherever they come."""
    return values[np.flatnonzero((values * _GOLDEN) >> np.uint64(64 - _SHARE) == 0)]


def _slots(values: Lanes, factor: np.uint64, bits: int) -> Places:
    return ((values * factor) >> np.uint64(64 - bits)).view(np.intp)


def sorted_distinct(parts: list[Lanes]) -> Lanes:
    """Sorted distinct values of several arrays."""
    together = np.concatenate(parts) if parts else _nothing()
    together.sort()
    return _distinct(together)


def joined_sets(sets: list[Lanes]) -> Lanes:
    """Sorted distinct values of several arrays that are; one alone is the answer itself.

    The stable sort joins ascending runs, two in one pass, however many in the logarithm of their number.
    """
    if len(sets) == 1:
        return sets[0]
    together = np.concatenate(sets) if sets else _nothing()
    together.sort(kind="stable")
    return _distinct(together)


def _distinct(values: Lanes) -> Lanes:
    fresh = np.flatnonzero(values[1:] != values[:-1])
    return values if fresh.size + 1 >= values.size else np.concatenate([values[:1], values[fresh + 1]])
