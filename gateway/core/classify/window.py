r"""A block of text becomes a window for the detectors: escapes decoded, look-alikes folded to ASCII.

People write １３８ and （ and ： in Chinese text, and programs write `\u5bc6`. The full-width forms of ASCII, decimal
digits of every script (Unicode category Nd), blanks (Zs), dashes (Pd) and dots between groups become the ASCII that
detectors and header words are written in; characters that are not seen (Cf, such as U+200B and U+00AD) go.

A change must keep: what a character becomes depends on the character alone.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from gateway.core.classify.escapes import decoded, may_escape
from gateway.core.classify.stream import Block
from gateway.core.detectors.bits import places_in
from gateway.core.detectors.lanes import PAD, Bytes, Places, Window, padded

_DROP = 1  # in _BECOMES: the character goes; 0: it stays
_UNSEEN = {0x034F, *range(0xFE00, 0xFE10)}  # grapheme joiner and variation selectors: not Cf, not seen either
_BLANK = {0x00B7, 0x2022, 0x2027, 0x2212, 0x30FB, 0x3164, 0xFFA0, 0x2800}  # dots, minus and fillers between groups
_STARS = {0x2217, 0xFE61}  # look like the asterisk


def _becomes() -> Bytes:
    known = np.zeros(0x10FFFF + 1, np.uint8)
    for code in (*range(0x80, 0x20000), *range(0xE0000, 0xE0080)):
        category = unicodedata.category(chr(code))
        if 0xFF01 <= code <= 0xFF5E:
            known[code] = code - 0xFEE0
        elif category == "Cf" or code in _UNSEEN:
            known[code] = _DROP
        elif category == "Nd":
            known[code] = ord("0") + unicodedata.decimal(chr(code))
        elif category in {"Zs", "Pd"} or code in _BLANK:
            known[code] = ord(" ")
        elif code in _STARS:
            known[code] = ord("*")
    return known


_BECOMES = _becomes()
_SIZES = ((2, 0xC2, 0xE0), (3, 0xE0, 0xF0), (4, 0xF0, 0xF5))  # bytes of a character, and where its first byte lies
_FIRST_WIDE, _FIRST_HAN, _HAN = np.uint8(0xC2), np.uint8(0xE4), np.uint8(6)  # E4 to E9 lead Han, nothing to fold there


def window_of(block: Block, delimiter: int | None, *, escapes: bool = True) -> Window:
    """Put a block between paddings, where it does not lie there; decode escapes and fold it where it has any."""
    parts = [block.before, block.own, block.after]
    if block.margined is None:
        window = _padded(parts, delimiter, plain=block.plain)
    else:
        window = Window(block.margined, PAD, PAD + len(block.own), delimiter, block.plain)
    wide = _may_fold(window)
    if not wide and not (escapes and may_escape(window.raw)):
        return window
    read = [np.frombuffer(part, np.uint8) for part in parts]
    plain = [fold(decoded(part) if escapes else part) for part in read]
    same = all(one is other for one, other in zip(plain, read, strict=True))
    return window if same else _padded([part.data for part in plain], delimiter)


def _padded(parts: list[memoryview], delimiter: int | None, *, plain: bool = False) -> Window:
    before, own, _ = (len(part) for part in parts)
    return padded(parts, before, before + own, delimiter, plain=plain)


def _may_fold(window: Window) -> bool:
    """Whether any character begins with a byte that is not ASCII's and does not lead Han; a least is found at once."""
    if not window.has_wide:
        return False
    return bool(window.data.max() >= _FIRST_HAN + _HAN) or bool(
        (window.data - _FIRST_WIDE).min() < _FIRST_HAN - _FIRST_WIDE
    )


def fold(text: Bytes) -> Bytes:
    """Look-alikes as one byte of ASCII each, unseen characters gone; the same array where there are none."""
    lead = places_in((text >= _FIRST_WIDE) & ((text - _FIRST_HAN) >= _HAN))
    if not lead.size:
        return text
    byte, folded = text[lead], None
    for size, first, end in _SIZES:
        here = lead[np.flatnonzero((byte >= first) & (byte < end))]
        here = here[: np.searchsorted(here, text.size - size, "right")]  # the last may be cut short
        becomes = _BECOMES[_codes(text, here, size)]
        taken = np.flatnonzero(becomes)
        if not taken.size:
            continue
        if folded is None:
            folded, keep = text.copy(), np.ones(text.size, np.bool_)
        here, becomes = here[taken], becomes[taken]
        folded[here] = becomes
        keep[here[becomes == _DROP]] = False
        for nth in range(1, size):
            keep[here + nth] = False
    return text if folded is None else folded[keep]


def _codes(text: Bytes, lead: Places, size: int) -> Places:
    """Code points of characters of `size` bytes (RFC 3629); where no character is, some number below 0x110000."""
    code = (text[lead] & np.uint8(0xFF >> (size + 1))).astype(np.uint32)
    for nth in range(1, size):
        code <<= np.uint32(6)
        code |= text[lead + nth] & np.uint8(0x3F)
    return np.minimum(code, np.uint32(0x10FFFF)).astype(np.intp)
