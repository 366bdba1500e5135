r"""Characters written as escapes, read as the characters they stand for.

`\u673a` is how Python and Java write JSON by default (RFC 8259 section 7), `&#26426;` and `&#x673a;` how XML and HTML
do (XML 1.0 section 4.1). Both are replaced in a copy of the text that the detectors read, in any kind of text:
backslashes before the backslash, and `amp;` behind the ampersand, go with it, so that text escaped twice is read too.

What structure is made of (controls, quotes, braces, the backslash) becomes a space: an escaped brace ends no record.

A change must keep: `decoded` looks at one escape and, for surrogates, its neighbour only, and `safe_end` never cuts
either; so texts cut elsewhere are read alike.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.bits import places_in
from gateway.core.detectors.lanes import Bytes, Places, is_digit

LONGEST = 20  # bytes that a cut may move back; a surrogate pair escaped twice has 14
_BACKSLASH, _U, _AMPERSAND, _HASH, _SEMICOLON = (np.uint8(ord(c)) for c in "\\u&#;")
_LOWER, _X, _SPACE = np.uint8(0x20), np.uint8(ord("x")), 0x20
_DIGITS = 8  # of one reference
_BARE = b"&amp;#"
_HEX = np.full(256, -1, np.int64)
_HEX[list(b"0123456789")] = np.arange(10)
_HEX[list(b"abcdef")] = _HEX[list(b"ABCDEF")] = np.arange(10, 16)
_STRUCTURE = np.zeros(128, np.bool_)
_STRUCTURE[:32] = True
_STRUCTURE[list(b'"\\{}')] = True


def may_escape(text: bytes) -> bool:
    """Whether any escape can begin in a text; at the speed of memory."""
    return b"\\" in text or b"&" in text


def decoded(text: Bytes) -> Bytes:
    """The text with escapes replaced; the same array where it has none."""
    return _references(_unicode_escapes(text))


def _unicode_escapes(text: Bytes) -> Bytes:
    place = places_in(text[:-5] == _BACKSLASH) if text.size > 5 else np.zeros(0, np.intp)
    place = place[text[place + 1] == _U] if place.size else place
    if not place.size:
        return text
    digits = _HEX[text[place[:, None] + np.arange(2, 6)]]
    whole = (digits >= 0).all(axis=1)
    place, digits = place[whole], digits[whole]
    code = digits @ np.array([4096, 256, 16, 1])
    more = _backslashes_before(text, place)
    place, size = place - more, 6 + more
    high = np.flatnonzero((code[:-1] >> 10 == 0x36) & (code[1:] >> 10 == 0x37) & (place[:-1] + size[:-1] == place[1:]))
    code[high] = 0x10000 + ((code[high] & 0x3FF) << 10) + (code[high + 1] & 0x3FF)
    size[high] += size[high + 1]
    alone = np.ones(place.size, np.bool_)
    alone[high + 1] = False
    return _replaced(text, place[alone], size[alone], code[alone])


def _backslashes_before(text: Bytes, place: Places) -> Places:
    """How many stand before each place, at most three: text escaped twice or three times."""
    count, alive = np.zeros(place.size, np.intp), np.ones(place.size, np.bool_)
    for reach in (1, 2, 3):
        alive = alive & (place >= reach) & (text[place - reach] == _BACKSLASH)
        count += alive
    return count


def _references(text: Bytes) -> Bytes:
    place = places_in(text[:-3] == _AMPERSAND) if text.size > 3 else np.zeros(0, np.intp)
    if not place.size:
        return text
    plain = text.tobytes() if (text[place + 1] == ord("a")).any() else b""
    if _BARE in plain:
        return _references(np.frombuffer(plain.replace(_BARE, b"&#"), np.uint8))
    place = place[text[place + 1] == _HASH]
    if not place.size:
        return text
    hexadecimal = (text[place + 2] | _LOWER) == _X
    base = np.where(hexadecimal, 16, 10)
    at = place + 2 + hexadecimal
    code, count, alive = np.zeros(place.size, np.int64), np.zeros(place.size, np.intp), np.ones(place.size, np.bool_)
    for offset in range(_DIGITS):
        here = text[np.minimum(at + offset, text.size - 1)]
        alive &= (at + offset < text.size) & (_HEX[here] >= 0) & (hexadecimal | is_digit(here))
        code = np.where(alive, code * base + _HEX[here], code)
        count += alive
    after = at + count
    closed = (after < text.size) & (text[np.minimum(after, text.size - 1)] == _SEMICOLON)
    good = (count > 0) & (code < 0x110000)
    return _replaced(text, place[good], (after + closed - place)[good], code[good])


def _replaced(text: Bytes, place: Places, size: Places, code: Places) -> Bytes:
    """Write each code point as UTF-8 over the `size` bytes of its escape, and close the gaps."""
    if not place.size:
        return text
    code = np.where((code < 128) & _STRUCTURE[np.minimum(code, 127)], _SPACE, code)
    code = np.where(code >> 11 == 0x1B, 0xFFFD, code)  # a lone surrogate is no character
    length = 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)
    length = np.minimum(length, size)
    lead = np.choose(length - 1, [code, 0xC0 | code >> 6, 0xE0 | code >> 12, 0xF0 | code >> 18])
    out, keep = text.copy(), np.ones(text.size + 1, np.bool_)
    out[place] = lead
    for nth in (1, 2, 3):
        here = np.flatnonzero(length > nth)
        out[place[here] + nth] = 0x80 | code[here] >> (6 * (length[here] - 1 - nth)) & 0x3F
    for nth in range(1, int(size.max())):
        here = (nth >= length) & (nth < size)
        keep[place[here] + nth] = False
    return out[keep[:-1]]


def safe_end(text: bytes, start: int, end: int) -> int:
    """The last place at or before `end` that lies inside no escape and between no surrogates."""
    low = max(start + 1, end - LONGEST)
    at = text.rfind(b"&", low, end)
    if at >= 0 and b";" not in text[at:end]:
        return at
    at = text.rfind(b"\\", max(low, end - 5), end)
    end = _first_backslash(text, low, at) if at >= 0 else end
    before = text[end - 6 : end].lower()
    if end - 6 > low and before[:3] == b"\\ud" and before[3:4] in b"89ab":
        return _first_backslash(text, low, end - 6)
    return end


def _first_backslash(text: bytes, low: int, at: int) -> int:
    while at > low and text[at - 1] == ord("\\"):
        at -= 1
    return at
