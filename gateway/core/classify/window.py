"""A block of text becomes a window for the detectors, with full-width characters folded to ASCII.

People write １３８ and （ and ： in Chinese text. The 94 full-width forms of ASCII (U+FF01 to U+FF5E) and the ideographic
space (U+3000) are folded, so that every detector and every header word is written once.
"""

from __future__ import annotations

import numpy as np

from gateway.core.classify.stream import Block
from gateway.core.detectors.lanes import NEWLINE, PAD, Bytes, Window

_LEAD, _SPACE_LEAD = np.uint8(0xEF), np.uint8(0xE3)


def window_of(block: Block, delimiter: int | None) -> Window:
    """Copy a block between paddings; fold it where it has wide characters."""
    parts = [np.frombuffer(part, np.uint8) for part in (block.before, block.own, block.after)]
    window = _padded(parts, delimiter)
    if not window.has_wide:
        return window
    folded = [fold(part) for part in parts]
    same = all(one is other for one, other in zip(parts, folded, strict=True))
    return window if same else _padded(folded, delimiter)


def _padded(parts: list[Bytes], delimiter: int | None) -> Window:
    before, own, after = (part.size for part in parts)
    data = np.empty(before + own + after + 2 * PAD, np.uint8)
    data[:PAD] = NEWLINE
    data[-PAD:] = NEWLINE
    np.concatenate(parts, out=data[PAD:-PAD])
    return Window(data, PAD + before, PAD + before + own, delimiter)


def fold(text: Bytes) -> Bytes:
    """Full-width forms as ASCII; every folded character becomes two bytes shorter."""
    lead = np.flatnonzero((text[:-2] == _LEAD) | (text[:-2] == _SPACE_LEAD)) if text.size > 2 else np.zeros(0, np.intp)
    if not lead.size:
        return text
    code = (text[lead + 1].astype(np.int32) << 6) + text[lead + 2] - (0xBC << 6) - 0x80  # U+FF00 counts 0
    wide = (text[lead] == _LEAD) & (code >= 1) & (code <= 94)
    space = (text[lead] == _SPACE_LEAD) & (text[lead + 1] == 0x80) & (text[lead + 2] == 0x80)
    taken = wide | space
    if not taken.any():
        return text
    folded, keep = text.copy(), np.ones(text.size, np.bool_)
    folded[lead[taken]] = np.where(space[taken], 0x20, code[taken] + 0x20)
    keep[lead[taken] + 1] = False
    keep[lead[taken] + 2] = False
    return folded[keep]
