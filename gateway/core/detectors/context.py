"""Words before a number that say what it is.

Eight digits, or a letter and eight digits, say nothing: such a number is taken for what a word shortly before it on its
line says, or for what its column's header says. The words are in `policies/detectors/identifiers.toml`, as `context`.

A word says nothing about what stands behind the next line end, behind the end of a quoted value (`"tel":"...","ref":"81234567"`
has a reference), or behind another number and more words. Underscores and hyphens are blanks (`contact_no`).

A change must keep: only REACH bytes before a place are looked at, fewer than lanes.PAD, so that cutting changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from gateway.core.detectors.bits import united
from gateway.core.detectors.digits import Runs, four_pairs
from gateway.core.detectors.lanes import (
    NEWLINE,
    PAD,
    Bytes,
    Lanes,
    Loads,
    Mask,
    Places,
    Window,
    in_lower_case,
    is_digit,
    is_letter,
    places_of_pairs,
)
from gateway.core.detectors.leads import by_lead
from gateway.core.detectors.tables import DetectorTables

REACH = 48  # bytes before a number in which a word announces it
_ROW = REACH + 1
_ROWS = 1 << 12  # numbers looked before at once
_QUOTE, _APOSTROPHE, _COMMA, _SPACE = (np.uint8(ord(c)) for c in "\"', ")
_UNDERSCORE, _HYPHEN = np.uint8(ord("_")), np.uint8(ord("-"))
_ONES, _LOW7 = np.uint64(0x0101010101010101), np.uint64(0x7F7F7F7F7F7F7F7F)
EIGHT = 8  # digits of the numbers that nothing but a word or a column tells
_SPELT = {small: (small, small - 32) for small in range(ord("a"), ord("z") + 1)} | {32: tuple(b" _-")}
_FEW = 16  # rows that an expression searches in less time than array operations begin
_BLANKS = bytes.maketrans(b"_-", b"  ")
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
    if asked.size:
        known[asked] = by_lead(window, start[asked], lambda places: _are_named(window, places, words))
    return known


def _are_named(window: Window, start: Places, words: tuple[bytes, ...]) -> Mask:
    known = np.zeros(start.size, np.bool_)
    for first in range(0, start.size, _ROWS):
        known[first : first + _ROWS] = _is_named(window.rows(start[first : first + _ROWS] - _ROW, _ROW), words)
    return known


def announced(window: Window, runs: Runs, start: Places, tables: DetectorTables) -> Mask:
    """Which of `start`, places of eight digits or of 4-4, have any word of `tables.announcing` before them.

    Most have none: one look at all of the window's serves every detector that begins with eight digits.
    """
    if not window.announced:
        eights = united(runs.of_length(EIGHT), four_pairs(window, runs))
        known = after_word(window, eights, np.ones(eights.size, np.bool_), tables.announcing)
        window.announced.append(eights[np.flatnonzero(known)])
    (places,) = window.announced
    if not places.size:
        return np.zeros(start.size, np.bool_)
    rank = np.minimum(np.searchsorted(places, start), places.size - 1)
    found: Mask = places[rank] == start
    return found


def _is_named(before: Bytes, words: tuple[bytes, ...]) -> Mask:
    """Whether each row holds a word behind what ends its say; the first byte of a row is not looked at."""
    before[:, 0] = NEWLINE  # so that no word lies in two rows
    named = np.zeros(len(before), np.bool_)
    if len(before) <= _FEW and not _search(words)(before.tobytes().lower().translate(_BLANKS)):
        return named
    row, place = np.divmod(_word_places(before.ravel(), words), _ROW)
    if row.size:
        present, where = np.unique(row, return_inverse=True)
        ends = _ROW - 1 - np.argmax(_ends(before[present])[:, ::-1], axis=1)
        named[row[place > ends[where]]] = True
    return named


@lru_cache(maxsize=64)
def _search(words: tuple[bytes, ...]) -> Callable[[bytes], re.Match[bytes] | None]:
    """Finds any of the words in a text of small letters and blanks."""
    return re.compile(b"|".join(map(re.escape, words))).search


def _ends(before: Bytes) -> Mask:
    """Where a word before says no more of the number behind the row: the line ends, a value does, or another number came."""
    ends: Mask = before == NEWLINE
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
    """Where words begin, in either case: their first two bytes are looked for, and then the rest of each."""
    near = places_of_pairs(text, _heads(words))
    if not near.size:
        return near
    lanes = Loads(np.append(text, np.zeros(PAD - text.size % 8, np.uint8)).view("<u8"))
    front, found = _plain(lanes[near]), [near[:0]]
    for word in words:
        here = near[(front & _first_bytes(len(word))) == np.uint64(int.from_bytes(word[:8], "little"))]
        for at in range(8, len(word) if here.size else 0, 8):
            last = min(at, len(word) - 8)  # overlaps what is known where less than eight bytes are left
            here = here[_plain(lanes[here + last]) == np.uint64(int.from_bytes(word[last : last + 8], "little"))]
        found.append(here)
    return np.concatenate(found)


def _plain(lanes: Lanes) -> Lanes:
    """In lower case, with blanks for underscores and hyphens."""
    lanes = in_lower_case(lanes)
    for character in (_UNDERSCORE, _HYPHEN):
        other = lanes ^ (_ONES * np.uint64(character))
        same = ~(((other & _LOW7) + _LOW7) | other | _LOW7) >> np.uint64(7)
        lanes = lanes ^ same * np.uint64(character ^ _SPACE)
    return lanes


@lru_cache(maxsize=64)
def _heads(words: tuple[bytes, ...]) -> tuple[int, ...]:
    """The first two bytes of every word, as they may be written."""
    spelt = {(a, b) for word in words for a in _SPELT.get(word[0], (word[0],)) for b in _SPELT.get(word[1], (word[1],))}
    return tuple(sorted(a | b << 8 for a, b in spelt))


def _first_bytes(count: int) -> np.uint64:
    return np.uint64((1 << 8 * min(count, 8)) - 1)
