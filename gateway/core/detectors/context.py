"""Words before a number that say what it is.

Eight digits, or a letter and eight digits, say nothing: such a number is taken for what a word shortly before it on its
line says, or for what its column's header says. The words are in `policies/detectors/identifiers.toml`, as `context`.

A word says nothing about what stands behind the next line end, behind the end of a quoted value (`"tel":"...","ref":"81234567"`
has a reference), or behind another number and more words. Underscores and hyphens are blanks (`contact_no`).

A change must keep: only REACH bytes before a place are looked at, fewer than lanes.PAD, so that cutting changes nothing.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.lanes import NEWLINE, PAD, Bytes, Loads, Mask, Places, Window, is_digit, is_letter, places_of_pairs

REACH = 48  # bytes before a number in which a word announces it
_ROW = REACH + 1
_ROWS = 1 << 12  # numbers looked before at once
_QUOTE, _APOSTROPHE, _COMMA, _SPACE = (np.uint8(ord(c)) for c in "\"', ")
_UNDERSCORE, _HYPHEN = np.uint8(ord("_")), np.uint8(ord("-"))
_NUMBER = 6  # digits of a number that a word before it may have announced


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
    """Whether each row holds a word behind what ends its say; the first byte of a row is not looked at."""
    before[:, 0] = NEWLINE  # so that no word lies in two rows
    named = np.zeros(len(before), np.bool_)
    row, place = np.divmod(_word_places(before.ravel(), words), _ROW)
    if row.size:
        present, where = np.unique(row, return_inverse=True)
        ends = _ROW - 1 - np.argmax(_ends(before[present])[:, ::-1], axis=1)
        named[row[place > ends[where]]] = True
    return named


def _ends(before: Bytes) -> Mask:
    """Where a word before says no more of the number behind the row: the line ends, a value does, or another number came."""
    ends = before == NEWLINE
    quote, comma = before == _QUOTE, before == _COMMA
    closed = quote | (before == _APOSTROPHE)  # ", '" goes on: `(id, phone) VALUES (3, '81234567')`
    ends[:, 1:] |= (closed[:, :-1] & comma[:, 1:]) | (comma[:, :-1] & quote[:, 1:])
    ends[:, 2:] |= comma[:, :-2] & (before[:, 1:-1] == _SPACE) & quote[:, 2:]
    digits = is_digit(before)
    apart = (before == _SPACE) | (before == _HYPHEN)
    digits[:, 1:-1] |= apart[:, 1:-1] & digits[:, :-2] & digits[:, 2:]  # 9123 4567 is one number
    run = digits[:, : 1 - _NUMBER].copy()
    for nth in range(1, _NUMBER):
        run &= digits[:, nth : before.shape[1] - _NUMBER + 1 + nth]
    numbered = np.flatnonzero(run.any(axis=1))
    if numbered.size:
        last = run.shape[1] - 1 - np.argmax(run[numbered, ::-1], axis=1)  # the last number begins to end there
        behind = np.arange(before.shape[1]) >= (last + _NUMBER)[:, None]
        worded = (_says(before[numbered]) & behind).any(axis=1)
        ends[numbered[worded], last[worded]] = True
    return ends


def _says(characters: Bytes) -> Mask:
    """Letters and wide characters: between the numbers of a list there are none."""
    letters: Mask = is_letter(characters) | (characters > np.uint8(0x7F))
    return letters


def _word_places(text: Bytes, words: tuple[bytes, ...]) -> Places:
    """Where words begin, in either case."""
    lower = text | (((text - np.uint8(65)) < np.uint8(26)).view(np.uint8) << np.uint8(5))
    lower[np.flatnonzero((text == _UNDERSCORE) | (text == _HYPHEN))] = _SPACE
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
