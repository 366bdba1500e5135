r"""Keys of JSON, found from the quotes of a window: a name in quotes with a colon behind it.

What counts is what the expression `"([^"\\\n]{1,100})"\s*:` finds from left to right (a test compares them), at a tenth of its
cost. Not here: what the keys say (`names`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from gateway.core.detectors.bits import packed, ranks
from gateway.core.detectors.lanes import NEWLINE, Bytes, Lanes, Mask, Places, Window

LONGEST = 100
_COLON, _SPACE = np.uint8(ord(":")), np.uint8(ord(" "))
_BACKSLASH, _TAB, _BLANKS = np.uint8(ord("\\")), np.uint8(9), np.uint8(5)  # 9 to 13 are blank as well
_BEHIND = re.compile(rb"\s*:")
_BLANK_STEPS = 16  # blanks skipped for all quotes together; longer ones are searched one by one
_PERIOD = 64  # keys looked at for the step from one object to the next
_DISTINCT = 48  # keys told apart by comparing all with each; the others are cut out one by one
_WHOLE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class Keys:
    """Of one window.

    Attributes:
        named: What stands before a colon as a key.
        quoted: The same, and what a key before it ends with the first quote of.
    """

    named: frozenset[bytes]
    quoted: frozenset[bytes]


def keys_of(window: Window) -> Keys:
    """Distinct keys that the window owns."""
    data = window.data
    quotes = np.flatnonzero(data[window.low : window.high] == ord('"')) + window.low
    closing = np.flatnonzero(_before_colon(window, quotes[1:])) + 1
    start, end = quotes[closing - 1] + 1, quotes[closing]
    size = end - start
    if not (start[1:] - 1 == end[:-1]).any():  # no key ends with the quote that another begins with: all are taken
        fits = np.flatnonzero((size > 0) & (size <= LONGEST))
        found = _distinct(window, start[fits], end[fits])
        quoted = frozenset(key for key in found if b"\n" not in key and b"\\" not in key)
        return Keys(quoted, quoted)
    broken = ranks(packed((data == _BACKSLASH) | (data == np.uint8(NEWLINE))))
    whole = np.flatnonzero((size > 0) & (size <= LONGEST) & (broken.of(start) == broken.of(end)))
    start, end = start[whole], end[whole]
    taken = _taken(start, end)
    return Keys(_distinct(window, start[taken], end[taken]), _distinct(window, start, end))


def _before_colon(window: Window, quotes: Places) -> Mask:
    behind = window.data[quotes + 1]
    known: Mask = behind == _COLON
    if quotes.size and quotes[-1] + 1 == window.high:
        known[-1] = False
    asked = np.flatnonzero(_is_blank(behind))  # those with nothing but blanks so far
    place = quotes[asked] + 1
    for _ in range(_BLANK_STEPS):
        place = place + 1
        inside = np.flatnonzero(place < window.high)
        asked, place = asked[inside], place[inside]
        behind = window.data[place]
        known[asked] = behind == _COLON
        blank = np.flatnonzero(_is_blank(behind))
        asked, place = asked[blank], place[blank]
        if not asked.size:
            return known
    for at in asked.tolist():
        known[at] = _BEHIND.match(window.raw, int(quotes[at]) + 1, window.high) is not None
    return known


def _is_blank(characters: Bytes) -> Mask:
    blank: Mask = (characters == _SPACE) | ((characters - _TAB) < _BLANKS)
    return blank


def _taken(start: Places, end: Places) -> Places:
    """Those left when each key takes its quotes from the next."""
    shared = np.flatnonzero(start[1:] - 1 == end[:-1]) + 1
    if not shared.size:
        return np.arange(start.size)
    free = np.ones(start.size, np.bool_)
    for at in shared.tolist():
        free[at] = not free[at - 1]
    return np.flatnonzero(free)


def _distinct(window: Window, start: Places, end: Places) -> frozenset[bytes]:
    """What stands between the places: up to 16 bytes are compared by their first and last eight."""
    found = set[bytes]()
    short = np.flatnonzero(end - start <= 16)
    first, last, size = _ends(window, start[short], end[short])
    step = 1 + int(np.argmax(first[1:_PERIOD] == first[0])) if short.size > _PERIOD else 0
    if step:  # objects alike: what stands in one as in the one before needs no look
        fresh = (first[step:] != first[:-step]) | (last[step:] != last[:-step]) | (size[step:] != size[:-step])
        other = np.concatenate([np.arange(step), np.flatnonzero(fresh) + step])
        short, first, last, size = short[other], first[other], last[other], size[other]
    for _ in range(_DISTINCT):
        if not short.size:
            break
        found.add(window.text(int(start[short[0]]), int(end[short[0]])))
        other = np.flatnonzero((first != first[0]) | (last != last[0]) | (size != size[0]))
        short, first, last, size = short[other], first[other], last[other], size[other]
    rest = np.concatenate([short, np.flatnonzero(end - start > 16)])
    places = zip(start[rest].tolist(), end[rest].tolist(), strict=True)
    return frozenset(found | {window.raw[low:high] for low, high in places})


def _ends(window: Window, start: Places, end: Places) -> tuple[Lanes, Lanes, Lanes]:
    size = (end - start).astype(np.uint64)
    beyond = (np.uint64(8) - np.minimum(size, np.uint64(8))) << np.uint64(3)
    return window.lanes[start] & (_WHOLE >> beyond), window.lanes[end - 8] >> beyond, size
