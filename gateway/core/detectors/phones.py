"""Mobile numbers of the mainland, and the numbers of eight digits of Hong Kong and Macao.

Sources: MIIT numbering plan 2017 (1[3-9] and nine digits, country code 86); OFCA numbering plan (eight digits, 4 to 9
first for mobiles, 2 and 3 for fixed lines, country code 852); CTT numbering plan of Macao (eight digits, 6 first for
mobiles, country code 853). Eight digits alone say nothing, so a number needs its country code, a column that is named so,
or, a mobile or a fixed line, a word shortly before it: for telephone (then it is one of Hong Kong), or for Macao. What follows
other digits (the tail of 0755-61234567) is none. Canonical value: the number with its country code.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.bits import united
from gateway.core.detectors.candidates import Candidates, candidates, joined, nothing
from gateway.core.detectors.context import after_word, announced
from gateway.core.detectors.digits import Runs, follows_digits, four_pairs, is_separator, kept, stands_free
from gateway.core.detectors.lanes import Bytes, Lanes, Places, Window, first_digits, is_digit, polynomial
from gateway.core.detectors.tables import DetectorTables

_EIGHTS = frozenset({"hk_mobile", "hk_landline", "mo_mobile"})
_ZERO = np.uint8(48)
_CN = np.uint64(86 * 10**11)
_HK, _MO = np.uint64(852 * 10**8), np.uint64(853 * 10**8)
_HONG_KONG, _MACAO, _NO_CODE = np.uint8(ord("2")), np.uint8(ord("3")), np.uint8(0)  # the last digits of 852 and 853


def find_cn_mobiles(window: Window, runs: Runs, _tables: DetectorTables) -> Candidates:
    """13800138000, 8613800138000, 008613800138000 and 138-0013-8000, with or without +86 before them."""
    data = window.data
    bare = runs.of_length(11)
    parts = [_cn(window, bare, bare, 0)]
    for size, zeros in ((13, 0), (15, 2)):
        prefixed = runs.of_length(size)
        code = prefixed + zeros
        if not prefixed.size:
            continue
        here = (data[code] == ord("8")) & (data[code + 1] == ord("6"))
        if zeros:
            here &= (data[prefixed] == _ZERO) & (data[prefixed + 1] == _ZERO)
        parts.append(_cn(window, prefixed[here], code[here] + 2, 0))
    pairs = four_pairs(window, runs)
    start = pairs - 4
    three = (
        (data[start] == ord("1"))
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
    free = stands_free(window, start, number + size)
    start, number = kept(start, free), kept(number, free)
    rows = window.rows(number - 5, 16)  # the first three digits end one lane, the last eight are the next
    first, second, third = rows[:, 5], rows[:, 6], rows[:, 7]
    valid = (first == ord("1")) & (second >= ord("3")) & (second <= ord("9"))
    head = (second - _ZERO) * np.uint16(10) + (third - _ZERO) + np.uint16(100)
    tail = _fours(window, number + 4) if separators else polynomial(rows.view("<u8")[:, 1], 10)
    return candidates("cn_mobile", start, number + size, _CN + head * np.uint64(10**8) + tail, valid)


def _fours(window: Window, start: Places) -> Lanes:
    return first_digits(window.lanes[start], 4) * np.uint64(10_000) + first_digits(window.lanes[start + 5], 4)


def find_eights(window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]) -> list[Candidates]:
    """91234567, 9123 4567 and 85291234567, by kind.

    What only a column could name is left out where `named`, the kinds that columns name, does not have it.
    """
    start, number, size = _eights(window, runs)
    if not start.size:
        return []
    code, first = _code_before(window, start), window.data[start]
    mobile, fixed, macao = first >= ord("4"), (first == ord("2")) | (first == ord("3")), first == ord("6")
    local = (code == _NO_CODE) & (mobile | fixed)
    if not _EIGHTS & named:  # most numbers of eight digits: one look for the words of all kinds
        local &= announced(window, runs, start, tables)
    if not (local.any() or code.any()):
        return []
    tail = np.flatnonzero(local)
    local[tail] = ~follows_digits(window, start[tail])  # the tail of a longer number is none
    in_macao = after_word(window, start, macao & local, tables.context["mo_mobile"])
    telephone = after_word(window, start, mobile & local & ~in_macao, tables.context["hk_mobile"])
    line = after_word(window, start, fixed & local, tables.context["hk_landline"])
    kinds = (
        ("hk_mobile", _HK, mobile, code == _HONG_KONG, telephone),
        ("hk_landline", _HK, fixed, code == _HONG_KONG, line),
        ("mo_mobile", _MO, macao, code == _MACAO, in_macao),
    )
    found = []
    for key, prefix, shape, coded, worded in kinds:
        valid = shape & (coded | worded)
        here = np.flatnonzero(shape & (coded | local) if key in named else valid)
        at = start[here]
        every = np.ones(at.size, np.bool_)
        found.append(Candidates(key, at, at + size[here], number[here] + prefix, valid[here], every))
    return found


def _eights(window: Window, runs: Runs) -> tuple[Places, Lanes, Places]:
    """Starts, numbers and sizes of eight digits that stand free, together or as 4-4, behind a country code or not; sorted."""
    data = window.data
    bare, pairs = runs.of_length(8), four_pairs(window, runs)
    coded = _coded(window, runs)
    if pairs.size:  # not the middle of a longer number
        apart = ~is_digit(data[pairs - 2]) | (data[pairs - 1] != data[pairs + 4]) | (_code_at(data, pairs - 4) > 0)
        pairs = pairs[apart & ((data[pairs + 9] != data[pairs + 4]) | ~is_digit(data[pairs + 10]))]
    if not (bare.size or coded.size or pairs.size):
        return bare, bare.astype(np.uint64), bare
    bare = bare[stands_free(window, bare, bare + 8)]
    pairs = pairs[stands_free(window, pairs, pairs + 9)]
    together = united(bare, coded)
    if not pairs.size:
        return together, polynomial(window.lanes[together], 10), np.full(together.size, 8)
    number = np.concatenate([polynomial(window.lanes[together], 10), _fours(window, pairs)])
    start = np.concatenate([together, pairs])
    size = np.concatenate([np.full(together.size, 8), np.full(pairs.size, 9)])
    order = np.argsort(start, kind="stable")
    return start[order], number[order], size[order]


def _coded(window: Window, runs: Runs) -> Places:
    """Starts of the eight digits of 85291234567 and 0085291234567; sorted."""
    data, found = window.data, []
    for size, zeros in ((11, 0), (13, 2)):
        start = runs.of_length(size)
        start = start[np.flatnonzero(data[start + zeros] == ord("8"))]  # most are numbers of the mainland
        if not start.size:
            continue
        if zeros:
            start = start[(data[start] == _ZERO) & (data[start + 1] == _ZERO)]
        start = start[_code_at(data, start + zeros) != _NO_CODE]
        found.append(start[stands_free(window, start, start + size)] + zeros + 3)
    return united(*found) if len(found) > 1 else np.concatenate([start[:0], *found])


def _code_at(data: Bytes, place: Places) -> Bytes:
    """The last digit of a country code that begins there, or _NO_CODE."""
    last = data[place + 2]
    code = (data[place] == ord("8")) & (data[place + 1] == ord("5")) & ((last == _HONG_KONG) | (last == _MACAO))
    return np.where(code, last, _NO_CODE)


def _code_before(window: Window, start: Places) -> Bytes:
    """The same of a code before, with at most two of space, hyphen and closing bracket between."""
    data, known = window.data, np.zeros(start.size, np.uint8)
    asked = np.arange(start.size)  # those with nothing but such a gap so far
    for reach in range(3):
        place = start[asked] - reach - 3
        last = data[place + 2]
        coded = np.flatnonzero((last == _HONG_KONG) | (last == _MACAO))
        place = place[coded]
        zeros = (data[place - 1] == _ZERO) & (data[place - 2] == _ZERO) & ~is_digit(data[place - 3])
        known[asked[coded]] = np.where(is_digit(data[place - 1]) & ~zeros, _NO_CODE, _code_at(data, place))
        asked = asked[np.flatnonzero(is_separator(last) | (last == ord(")")))]
        if not asked.size:
            break
    return known
