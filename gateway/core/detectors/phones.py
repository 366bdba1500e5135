"""Mobile numbers of the mainland and of Hong Kong.

Sources: MIIT numbering plan 2017 (1[3-9] and nine digits, country code 86); OFCA numbering plan (eight digits, 4 to 9
first, country code 852). Eight digits alone say nothing, so a Hong Kong number needs its country code, a word for
telephone shortly before it, or a column that is named so. Canonical value: the number with its country code.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates, joined, nothing
from gateway.core.detectors.digits import Runs, is_separator, stands_free
from gateway.core.detectors.lanes import (
    NEWLINE,
    PAD,
    Bytes,
    Lanes,
    Loads,
    Mask,
    Places,
    Window,
    first_digits,
    is_digit,
    places_of_pairs,
    polynomial,
)
from gateway.core.detectors.tables import DetectorTables

_WORD_REACH = 32  # bytes between a word for telephone and the number it announces
_ROW = _WORD_REACH + 1
_ROWS = 1 << 12  # numbers looked before at once
_QUOTE, _ZERO = ord('"'), np.uint8(48)
_CN, _HK = np.uint64(86 * 10**11), np.uint64(852 * 10**8)


def find_cn_mobiles(window: Window, runs: Runs, _tables: DetectorTables) -> Candidates:
    """13800138000, 8613800138000 and 138-0013-8000, with or without +86 before them."""
    bare, prefixed = runs.start[runs.length == 11], runs.start[runs.length == 13]
    data = window.data
    prefixed = prefixed[(data[prefixed] == ord("8")) & (data[prefixed + 1] == ord("6"))]
    parts = [_cn(window, bare, bare, 0), _cn(window, prefixed, prefixed + 2, 0)]
    pairs = _pairs(window, runs)
    start = pairs - 4
    three = (
        is_digit(data[start])
        & is_digit(data[start + 1])
        & is_digit(data[start + 2])
        & (data[start + 3] == data[pairs + 4])
    )
    parts.append(_cn(window, start[three], start[three], 2))
    return joined(parts)


def _cn(window: Window, start: Places, number: Places, separators: int) -> Candidates:
    """Judge numbers whose digits begin at `number`; with two separators they stand as 3-4-4."""
    if not number.size:
        return nothing("cn_mobile")
    size = 11 + separators
    free = np.flatnonzero(stands_free(window, start, number + size))
    start, number = start[free], number[free]
    rows = window.rows(number - 5, 16)  # the first three digits end one lane, the last eight are the next
    first, second, third = rows[:, 5], rows[:, 6], rows[:, 7]
    valid = (first == ord("1")) & (second >= ord("3")) & (second <= ord("9"))
    head = (second - _ZERO) * np.uint16(10) + (third - _ZERO) + np.uint16(100)
    tail = _fours(window, number + 4) if separators else polynomial(rows.view("<u8")[:, 1], 10)
    return candidates("cn_mobile", start, number + size, _CN + head * np.uint64(10**8) + tail, valid)


def _pairs(window: Window, runs: Runs) -> Places:
    """Starts of two runs of four digits with one space or hyphen between them."""
    start = runs.start[:-1][runs.pairs]
    split: Places = start[is_separator(window.data[start + 4])]
    return split


def _fours(window: Window, start: Places) -> Lanes:
    return first_digits(window.lanes[start], 4) * np.uint64(10_000) + first_digits(window.lanes[start + 5], 4)


def find_hk_mobiles(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """91234567, 9123 4567 and 85291234567."""
    data = window.data
    bare, coded, pairs = runs.start[runs.length == 8], runs.start[runs.length == 11], _pairs(window, runs)
    coded = coded[np.flatnonzero(data[coded] == ord("8"))]  # most are numbers of the mainland
    coded = coded[_is_code(data, coded)]
    pairs = pairs[~is_digit(data[pairs - 2]) | (data[pairs - 1] != data[pairs + 4]) | _is_code(data, pairs - 4)]
    pairs = pairs[
        (data[pairs + 9] != data[pairs + 4]) | ~is_digit(data[pairs + 10])
    ]  # not the middle of a longer number
    parts = [_hk(window, bare, 8), _hk(window, pairs, 9), _hk(window, coded + 3, 8)]
    found = joined(parts)
    if not found.start.size:
        return found
    known = _after_code(window, found.start)
    known |= _after_word(window, found.start, ~known & found.valid, tables.phone_words)
    return Candidates("hk_mobile", found.start, found.end, found.value, found.valid & known, found.valid)


def _hk(window: Window, start: Places, size: int) -> Candidates:
    if not start.size:
        return nothing("hk_mobile")
    data = window.data
    mobile = (data[start] >= ord("4")) & (data[start] <= ord("9"))
    start = start[mobile]
    coded = is_digit(data[start - 1])  # the country code is part of the run
    free = stands_free(window, np.where(coded, start - 3, start), start + size)
    start = start[free]
    number = polynomial(window.lanes[start], 10) if size == 8 else _fours(window, start)
    return candidates("hk_mobile", start, start + size, _HK + number, np.ones(start.size, np.bool_))


def _is_code(data: Bytes, place: Places) -> Mask:
    code: Mask = (data[place] == ord("8")) & (data[place + 1] == ord("5")) & (data[place + 2] == ord("2"))
    return code


def _after_code(window: Window, start: Places) -> Mask:
    """Whether 852 stands before, with at most two of space, hyphen and closing bracket between."""
    data, known = window.data, np.zeros(start.size, np.bool_)
    asked = np.arange(start.size)  # those with nothing but such a gap so far
    for reach in range(3):
        place = start[asked] - reach - 3
        last = data[place + 2]
        coded = np.flatnonzero(last == ord("2"))
        place = place[coded]
        known[asked[coded]] = _is_code(data, place) & ~is_digit(data[place - 1])
        asked = asked[np.flatnonzero(is_separator(last) | (last == ord(")")))]
    return known


def _after_word(window: Window, start: Places, wanted: Mask, words: tuple[bytes, ...]) -> Mask:
    """Whether a word for telephone stands shortly before on the same line.

    In a table a number that fills its cell is named by its column alone: looking for words there costs more than all
    other detectors together and finds the neighbouring cell's words.
    """
    if window.delimiter is not None:
        before = window.data[start - 1]
        wanted = wanted & (before != window.delimiter) & (before != _QUOTE) & (before != NEWLINE)
    known = np.zeros(start.size, np.bool_)
    asked = np.flatnonzero(wanted)
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
