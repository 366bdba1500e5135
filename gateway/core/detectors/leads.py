"""Many numbers stand behind the same few words: what is asked of a number's words is asked once for all that are alike.

The *lead* of a number is what stands between the last end of a say (`context`) and the number: `"value": ` in JSON. Whether a
word names a number is told by its lead alone, so of numbers with the same lead of at most LONGEST bytes one is judged.

Not here: which words there are, and what is judged. A change must keep: every end in `say_ends` ends a say for `context` too,
and only what `context` finds behind it counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.core.detectors.bits import Words, highest, later, next_64
from gateway.core.detectors.lanes import NEWLINE, Lanes, Mask, Places, Window

LONGEST = 16  # bytes of a lead that is compared
_MANY = 512  # numbers: fewer are judged one by one in the time that finding ends takes
_KINDS = 16  # different leads that are compared
_REACH = 64
_QUOTE, _APOSTROPHE, _COMMA, _SPACE = (ord(c) for c in "\"', ")
_EVERY = (1 << 64) - 1


def _kept(first: int) -> Lanes:
    """By size of a lead, the bytes of a lane that belong to it, of which the lane holds those from the `first` last on."""
    sizes = (min(max(size - first, 0), 8) for size in range(LONGEST + 1))
    return np.array([_EVERY << 8 * (8 - size) & _EVERY for size in sizes], np.uint64)


_NEAR, _FAR = _kept(0), _kept(8)


def say_ends(window: Window) -> Words:
    """Line ends, and where a quoted value ends before a comma or begins behind one."""
    ends, comma = window.places_of(NEWLINE), later(window.places_of(_COMMA), 1)
    if window.holds(b"'"):
        ends = ends | window.places_of(_COMMA) & later(window.places_of(_APOSTROPHE), 1)
    if window.holds(b'"'):
        quote = window.places_of(_QUOTE)
        ends = ends | window.places_of(_COMMA) & later(quote, 1)
        ends |= quote & (comma | later(comma & window.places_of(_SPACE), 1))
    return ends


def by_lead(window: Window, start: Places, judge: Callable[[Places], Mask]) -> Mask:
    """What `judge` says of every place, shape (n,); of places with the same short lead it is asked of one."""
    if start.size < _MANY:
        return judge(start)
    size = _REACH - 1 - highest(next_64(window.kept("say ends", lambda: say_ends(window)), start - _REACH))
    left, alike, known = np.flatnonzero(size <= LONGEST), [], np.zeros(start.size, np.bool_)
    near = window.lanes[start[left] - 8] & _NEAR[size[left]]
    far = window.lanes[start[left] - 16] & _FAR[size[left]]
    for _ in range(_KINDS):
        if not left.size:
            break
        same = (near == near[0]) & (far == far[0])
        alike.append(left[np.flatnonzero(same)])
        others = np.flatnonzero(~same)
        left, near, far = left[others], near[others], far[others]
    apart = np.concatenate([np.flatnonzero(size > LONGEST), left])
    first = np.array([places[0] for places in alike], np.intp)
    told = judge(start[np.concatenate([first, apart])])
    for places, named in zip(alike, told.tolist(), strict=False):
        known[places] = named
    known[apart] = told[first.size :]
    return known
