r"""Keys of JSON, found from the quotes of a window: a name in quotes with a colon behind it.

What counts is what the expression `"([^"\\\n]{1,100})"\s*:` finds from left to right (a test compares them), at a tenth of its
cost. Not here: what the keys say (`names`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from gateway.core.detectors.bits import between, earlier, places, ranks, united
from gateway.core.detectors.lanes import NEWLINE, Bytes, Lanes, Mask, Places, Window

LONGEST = 100
_QUOTE, _COLON, _SPACE = ord('"'), np.uint8(ord(":")), np.uint8(ord(" "))
_TAB, _BLANKS = np.uint8(9), np.uint8(5)  # 9 to 13 are blank as well
_BEHIND = re.compile(rb"\s*:")
_BLANK = b" \n\r\t\v\f"
_BLANK_STEPS = 16  # blanks skipped for all quotes together; longer ones are searched one by one
_FIRST = 64  # keys cut out to see what the others are like
_WIDTHS = (16, 32, 64)  # bytes before a closing quote that are compared, at most lanes.PAD
_DISTINCT = 48  # keys told apart by comparing all with each; the others are cut out one by one
_EVERY = (1 << 64) - 1


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
    closing = _closing(window)
    found = _texts(window, closing)
    if any(_BEHIND.match(text) for text in found):  # the quote before one ends another
        return _tangled(window, closing)
    keys = frozenset(filter(_is_key, found))
    return Keys(keys, keys)


def _texts(window: Window, closing: Places) -> set[bytes]:
    """What stands between these quotes and the ones before them.

    Most of it is what stands in the first object: every text is compared with the one that had its turn there, and what is
    left with one text after the other.
    """
    texts = [_before(window, end) for end in closing[:_FIRST].tolist()]
    longest = max(map(len, texts), default=0)
    width = next((width for width in _WIDTHS if longest < width), _WIDTHS[-1])
    rows = window.rows(closing - width, width).view("<u8")
    left = _out_of_turn(rows, texts)
    closing, rows, found = closing[left], rows[left], set(texts)
    for _ in range(_DISTINCT):
        if not closing.size:
            break
        text = _before(window, int(closing[0]))
        found.add(text)
        others = np.flatnonzero(~_alike(rows, text))
        closing, rows = closing[others], rows[others]
    return found | {_before(window, end) for end in closing.tolist()}


def _is_key(text: bytes) -> bool:
    return 0 < len(text) <= LONGEST and b"\n" not in text and b"\\" not in text


def _closing(window: Window) -> Places:
    """Owned quotes behind another and before a colon, with nothing but blanks between; sorted."""
    quotes = between(window.places_of(_QUOTE), window.low, max(window.high - 1, window.low))
    near = places(quotes & earlier(window.places_of(ord(":")), 1))
    blanks = np.zeros_like(quotes)
    for blank in _BLANK:
        if window.owns(bytes([blank])):
            blanks |= window.places_of(blank)
    apart = places(quotes & earlier(blanks, 1))
    apart = apart[np.flatnonzero(_before_colon(window, apart))]
    closing = united(near, apart) if apart.size else near
    return closing[int(closing.size > 0 and window.raw.find(b'"', window.low) == closing[0]) :]


def _before(window: Window, end: int) -> bytes:
    """What stands between a closing quote and the quote before it."""
    return window.raw[window.raw.rfind(b'"', window.low, end) + 1 : end]


def _masks(text: bytes, lanes: int) -> list[int]:
    """The bytes of a text and of the quote before it in the lanes that end with them."""
    beyond = 64 * lanes - 8 * (len(text) + 1)
    return [_EVERY << max(beyond - 64 * lane, 0) & _EVERY for lane in range(lanes)]


def _alike(rows: Lanes, text: bytes) -> Mask:
    """Which rows end with a quote and this text, as the first one does; only that one where a row cannot hold them."""
    lanes = rows.shape[1]
    same = np.ones(len(rows), np.bool_)
    if len(text) >= 8 * lanes:
        same[1:] = False
        return same
    for lane, mask in enumerate(_masks(text, lanes)):
        if mask:
            same &= (rows[:, lane] ^ rows[0, lane]) & np.uint64(mask) == 0
    return same


def _out_of_turn(rows: Lanes, texts: list[bytes]) -> Places:
    """Rows that do not end as the one of the first object whose turn it is; all where no key comes again soon."""
    lanes, turns = rows.shape[1], len(rows)
    if not texts or texts[0] not in texts[1:] or max(map(len, texts)) >= 8 * lanes:
        return np.arange(turns)
    step, other = texts.index(texts[0], 1), np.zeros(turns, np.uint64)
    for turn, text in enumerate(texts[:step]):
        for lane, mask in enumerate(_masks(text, lanes)):
            if mask:
                other[turn::step] |= (rows[turn::step, lane] ^ rows[turn, lane]) & np.uint64(mask)
    return np.flatnonzero(other)


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


def _tangled(window: Window, end: Places) -> Keys:
    """Keys of which each takes its quotes from the next."""
    quotes = places(between(window.places_of(_QUOTE), window.low, window.high))
    start = quotes[np.searchsorted(quotes, end) - 1] + 1
    size = end - start
    broken = ranks(window.places_of(ord("\\")) | window.places_of(NEWLINE))
    whole = np.flatnonzero((size > 0) & (size <= LONGEST) & (broken.of(start) == broken.of(end)))
    start, end = start[whole], end[whole]
    return Keys(frozenset(_texts(window, end[_taken(start, end)])), frozenset(_texts(window, end)))


def _taken(start: Places, end: Places) -> Places:
    """Those left when each key takes its quotes from the next."""
    shared = np.flatnonzero(start[1:] - 1 == end[:-1]) + 1
    if not shared.size:
        return np.arange(start.size)
    free = np.ones(start.size, np.bool_)
    for at in shared.tolist():
        free[at] = not free[at - 1]
    return np.flatnonzero(free)
