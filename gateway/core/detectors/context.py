"""Words before a number that say what it is.

Eight digits, or a letter and eight digits, say nothing: such a number is taken for what a word shortly before it on its
line says, or for what its column's header says. The words are in `policies/detectors/identifiers.toml`, as `context`.

A change must keep: only REACH bytes before a place are looked at, fewer than lanes.PAD, so that cutting changes nothing.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.lanes import NEWLINE, PAD, Bytes, Loads, Mask, Places, Window, places_of_pairs

REACH = 32  # bytes between a word and the number it announces
_ROW = REACH + 1
_ROWS = 1 << 12  # numbers looked before at once
_QUOTE = ord('"')


def fills_cell(window: Window, start: Places) -> Mask:
    """Whether a number begins a cell of a table; False everywhere outside tables."""
    if window.delimiter is None:
        return np.zeros(start.size, np.bool_)
    before = window.data[start - 1]
    begins: Mask = (before == window.delimiter) | (before == _QUOTE) | (before == NEWLINE)
    return begins


def after_word(window: Window, start: Places, wanted: Mask, words: tuple[bytes, ...]) -> Mask:
    """Where `wanted` holds, whether a word stands shortly before on the same line.

    In a table a number that fills its cell is named by its column alone: looking for words there costs more than all
    other detectors together and finds the neighbouring cell's words.
    """
    known = np.zeros(start.size, np.bool_)
    words = words if window.has_wide else tuple(word for word in words if word[0] < 0x80)
    asked = np.flatnonzero(wanted & ~fills_cell(window, start)) if words else np.zeros(0, np.intp)
    for first in range(0, asked.size, _ROWS):
        some = asked[first : first + _ROWS]
        known[some] = _is_named(window.rows(start[some] - _ROW, _ROW), words)
    return known


def _is_named(before: Bytes, words: tuple[bytes, ...]) -> Mask:
    """Whether each row holds a word behind its last line end; the first byte of a row is not looked at."""
    before[:, 0] = NEWLINE  # so that no word lies in two rows
    named = np.zeros(len(before), np.bool_)
    row, place = np.divmod(_word_places(before.ravel(), words), _ROW)
    if row.size:
        lines = _ROW - 1 - np.argmax(before[row, ::-1] == NEWLINE, axis=1)
        named[row[place > lines]] = True
    return named


def _word_places(text: Bytes, words: tuple[bytes, ...]) -> Places:
    """Where words begin, in either case."""
    lower = text | (((text - np.uint8(65)) < np.uint8(26)).view(np.uint8) << np.uint8(5))
    wide = lower.max(initial=0) > 0x7F
    heads = sorted({int.from_bytes(word[:2], "little") for word in words if wide or word[0] < 0x80})
    near = places_of_pairs(lower, heads)
    if not near.size:
        return near
    lanes = Loads(np.append(lower, np.zeros(PAD - lower.size % 8, np.uint8)).view("<u8"))
    front, found = lanes[near], [near[:0]]
    for word in words:
        here = near[(front & _first_bytes(len(word))) == np.uint64(int.from_bytes(word[:8], "little"))]
        if len(word) > 8:
            here = here[lanes[here + len(word) - 8] == np.uint64(int.from_bytes(word[-8:], "little"))]
        found.append(here)
    return np.concatenate(found)


def _first_bytes(count: int) -> np.uint64:
    return np.uint64((1 << 8 * min(count, 8)) - 1)
