"""Fixed telephone lines of the mainland, with their area code.

Source: the area codes of the MIIT numbering plan (010, 02x, 0[3-9]xx) and ITU-T E.164 country code 86; seven or eight digits
behind them, the first 2 to 8. Only numbers whose area code stands apart are taken: without it seven digits say nothing.
Behind a word for telephone, behind +86 or in a column that is named so they are `cn_landline`; others `cn_landline_bare`, weak.
Canonical value: the number with its country code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates
from gateway.core.detectors.context import after_word, fills_cell
from gateway.core.detectors.digits import Runs, four_pairs, is_separator, stands_free
from gateway.core.detectors.lanes import Bytes, Lanes, Mask, Places, Window, first_digits, is_alnum, is_digit
from gateway.core.detectors.tables import DetectorTables

_ZERO, _OPEN, _CLOSE, _SPACE, _DOT, _HYPHEN = (np.uint8(ord(c)) for c in "0() .-")
_CN = np.uint64(86)


def find_landlines(window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]) -> list[Candidates]:
    """0755-12345678, (010) 8765 4321 and +86 755 12345678."""
    pairs = four_pairs(window, runs)
    together = runs.of((runs.length == 7) | (runs.length == 8))
    start = np.concatenate([together.start, pairs])
    size = np.concatenate([together.length, np.full(pairs.size, 9)])
    before = window.data[start - 1]
    near = np.flatnonzero(is_separator(before) | (before == _CLOSE))
    if not near.size:
        return []
    near = near[is_digit(window.data[start[near] - 2]) | (window.data[start[near] - 2] == _CLOSE)]
    if not near.size:
        return []
    near = near[np.argsort(start[near], kind="stable")]
    found, area, coded = _judged(window, start[near], size[near])
    worded = coded | after_word(window, area, ~coded, tables.context["cn_landline"])
    cell = fills_cell(window, area) if "cn_landline" in named else np.zeros(area.size, np.bool_)
    plain = found.of(np.flatnonzero(~worded & ~cell))
    found = replace(found, valid=worded).of(np.flatnonzero(worded | cell))
    return [found, replace(plain, key="cn_landline_bare")]


def _judged(window: Window, start: Places, size: Places) -> tuple[Candidates, Places, Mask]:
    """Candidates, where the area codes begin, and whether 86 stands before them."""
    data = window.data
    area = start - 1
    area = area - ((data[area] == _SPACE) & (data[area - 1] == _CLOSE))  # the byte behind the area code
    width = np.zeros(start.size, np.intp)
    for digits in (2, 3, 4):
        width[(width == 0) & _is_area(data, area - digits, digits)] = digits
    first = data[start]
    short = (size == 7) & (_short(data, area, width) | (width == 2))  # those have eight digits behind them
    shape = (width > 0) & (first >= ord("2")) & (first <= ord("8")) & ~short
    here = np.flatnonzero(shape & stands_free(window, start, start + size))
    start, size, area, width = start[here], size[here], area[here], width[here]
    code = first_digits(window.lanes[area - 4], 4) % np.uint64(10) ** np.minimum(width, 3).astype(np.uint64)
    value = (_CN * np.uint64(1000) + code) * np.uint64(10**8) + _number(window, start, size)
    begin = area - width
    begin = begin - (data[begin - 1] == _OPEN)
    coded = (data[begin - 2] == ord("6")) & (data[begin - 3] == ord("8")) & ~is_digit(data[begin - 4])
    every = np.ones(here.size, np.bool_)
    return candidates("cn_landline", start, start + size, value, every), begin, coded & ~is_digit(data[begin - 1])


def _is_area(data: Bytes, place: Places, digits: int) -> Mask:
    """Whether an area code of so many digits begins there: with 0, or without it behind 86."""
    known = np.ones(place.size, np.bool_)
    for nth in range(digits):
        known &= is_digit(data[place + nth])
    before, first, second = data[place - 1], data[place], data[place + 1]
    trunk = first == _ZERO
    coded = ((before == _SPACE) | (before == _HYPHEN)) & (data[place - 2] == ord("6")) & (data[place - 3] == ord("8"))
    coded &= ~is_digit(data[place - 4])
    apart = ~is_alnum(before) & (before != _DOT) & (before != _HYPHEN) | coded
    big = _is_big(second, data[place + 2]) if digits == 3 else second >= ord("3")
    bare = _is_big(first, second) if digits == 2 else first >= ord("3")
    begun: Mask = known & apart & np.where(trunk, big & (digits > 2), coded & bare & (digits < 4))
    return begun


def _is_big(first: Bytes, second: Bytes) -> Mask:
    """10 and 2x: the area codes of two digits."""
    big: Mask = ((first == ord("1")) & (second == _ZERO)) | (first == ord("2"))
    return big


def _short(data: Bytes, area: Places, width: Places) -> Mask:
    """Whether three digits are 0 and one of the area codes of two, which have eight digits behind them."""
    short: Mask = (width == 3) & (data[area - 3] == _ZERO)
    return short


def _number(window: Window, start: Places, size: Places) -> Lanes:
    lanes = window.lanes[start]
    seven, eight = first_digits(lanes, 7), first_digits(lanes, 8)
    split = first_digits(lanes, 4) * np.uint64(10_000) + first_digits(window.lanes[start + 5], 4)
    return np.where(size == 7, seven, np.where(size == 8, eight, split))
