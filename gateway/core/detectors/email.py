"""E-mail addresses in the form people use.

Source: RFC 5321 section 4.1.2 and RFC 5322 section 3.4.1 (dot-atom), without comments, quotes and address literals; at
most 64 bytes on either side of the @ (longer ones are not addresses of people). Found from the @: what stands on both
sides is bounded by the nearest byte that no address holds, looked for among the 64 on either side. Canonical value: a
64-bit mix of the lower-case address.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.bits import highest, lowest, next_64, packed, places_in
from gateway.core.detectors.candidates import Candidates, candidates, nothing
from gateway.core.detectors.lanes import Bytes, Lanes, Mask, Places, Window, in_lower_case, is_alnum, is_letter

_AT, _DOT = np.uint8(64), np.uint8(46)
_SIDE = 64  # the places of one word
_HYPHEN, _TWO, _UNDERSCORE, _PLUS, _PERCENT = (np.uint8(n) for n in (45, 2, 95, 43, 37))
_IMAGES = np.array(
    sorted(int.from_bytes(e, "little") for e in (b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp")), np.uint64
)
_GOLDEN, _MIX_A, _MIX_B = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def find_emails(window: Window) -> Candidates:
    """Addresses of the window; shape is local@domain.tld with a top level of at least two letters."""
    if not window.holds(b"@"):
        return nothing("email")
    data = window.data
    at = places_in(data == _AT)
    at = at[_in_address(data[at - 1]) & is_alnum(data[at + 1])]
    if not at.size:
        return nothing("email")
    start, end, near = _bounds(data, at)
    last_dot, valid = _top_level(window, at, end)
    valid &= near & (at > start) & (end - at <= _SIDE) & (last_dot > at)
    valid &= (data[start] != _DOT) & (data[at - 1] != _DOT) & ~_is_image(window, last_dot, end)
    start, end = start[valid], end[valid]
    return candidates("email", start, end, mixed(window, start, end), np.ones(start.size, np.bool_))


def _in_address(characters: Bytes) -> Mask:
    others = ((characters - _HYPHEN) < _TWO) | (characters == _UNDERSCORE)  # hyphen and dot are neighbours
    known: Mask = is_alnum(characters) | others | (characters == _PLUS) | (characters == _PERCENT)
    return known


def _bounds(data: Bytes, at: Places) -> tuple[Places, Places, Mask]:
    """First and one past the last byte around each @ that an address may hold, a closing dot left out.

    The mask says whether both lie within _SIDE bytes; where it does not hold, they are not the true ones.
    """
    outside = ~packed(_in_address(data))
    before = _SIDE - 1 - highest(next_64(outside, at - _SIDE))
    behind = lowest(next_64(outside, at + 1))
    start, end = at - before, at + 1 + behind
    near = (before < _SIDE) | ~_in_address(data[start - 1])
    near &= (behind < _SIDE) | ~_in_address(data[np.minimum(end, data.size - 1)])
    return start, end - ((data[end - 1] == _DOT) | (data[end - 1] == _HYPHEN)), near


def _top_level(window: Window, at: Places, end: Places) -> tuple[Places, Mask]:
    """The last dot behind each @ and before each end (the @ where there is none), and whether letters follow it."""
    data = window.data
    dots = next_64(window.places_of(ord(".")), at + 1)
    inside = (np.uint64(1) << np.minimum(end - at - 1, _SIDE - 1).astype(np.uint64)) - np.uint64(1)
    dot = at + 1 + highest(dots & inside)
    letters = is_letter(data[end - 1]) & is_letter(data[dot + 1]) & (end - dot >= 3)
    return dot, letters & (data[dot - 1] != _DOT) & (dot > at + 1)


def _is_image(window: Window, dot: Places, end: Places) -> Mask:
    """Whether the top level is the ending of a picture, none of which is delegated: `logo@2x.png` is a file."""
    size = np.minimum(end - dot - 1, 8)
    spare = (8 - np.maximum(size, 1)).astype(np.uint64) << np.uint64(3)
    ending = (in_lower_case(window.lanes[dot + 1]) << spare) >> spare
    return np.isin(ending, _IMAGES)


def mixed(window: Window, start: Places, end: Places) -> Lanes:
    """64-bit mix (the finaliser of SplitMix64 after each eight bytes) of what lies between the places, in lower case."""
    mixed = (end - start).astype(np.uint64)
    for offset in range(0, 2 * _SIDE + 8, 8):
        left = end - start - offset
        live = np.flatnonzero(left > 0)
        if not live.size:
            break
        spare = np.maximum(8 - left[live], 0).astype(np.uint64) << np.uint64(3)
        word = (in_lower_case(window.lanes[start[live] + offset]) << spare) >> spare
        mixed[live] = _finalise((mixed[live] ^ word) + _GOLDEN)
    return mixed


def _finalise(lanes: Lanes) -> Lanes:
    lanes = (lanes ^ (lanes >> np.uint64(30))) * _MIX_A
    lanes = (lanes ^ (lanes >> np.uint64(27))) * _MIX_B
    return lanes ^ (lanes >> np.uint64(31))
