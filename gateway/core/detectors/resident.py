"""Resident identity numbers of the mainland, and the residence permits that share their form.

Source: GB 11643-1999. 18 digits: six of region, eight of birth date, three of sequence, one check character, weights
2^(17-i) modulo 11, which must leave 1. 15 digits (before 1999): region, YYMMDD, sequence, no check; such a number fills
a cell, stands behind a word that names it, or is none. Regions 810000, 820000 and 830000 are residence permits of Hong
Kong, Macao and Taiwan residents (State Council 2018-08-06); a first 9 and a province behind it is the permanent
residence card of a foreigner (since 2023-12-01). The canonical value is the first 17 digits; a 15-digit number becomes the
17 digits it was converted to (century 19), so both forms are one person.

Eighteen characters are also found in groups: with spaces or hyphens between, or split over neighbouring cells of a table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates, joined, nothing
from gateway.core.detectors.context import after_word, fills_cell
from gateway.core.detectors.digits import Runs, four_fours, gather, is_separator, kept, stands_free
from gateway.core.detectors.lanes import (
    Bytes,
    Lanes,
    Mask,
    Places,
    Window,
    is_digit,
    keep_last,
    luhn_sums,
    of_pairs,
    pairs_and_sum,
    pairs_of,
    polynomial,
    remainder,
)
from gateway.core.detectors.tables import DetectorTables

LAST_YEAR = (
    2049  # nobody is born later yet, and there is no clock here: a later one is a part of what chance would let pass
)
_ZEROS = np.uint64(0x303030)
_QUOTE = np.uint8(ord('"'))
_X, _LOWER = np.uint8(ord("x")), np.uint8(0x20)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAYOUTS = ((6, 8, 4), (6, 4, 4, 4), (6, 4, 2, 2, 4), (6, 8, 3, 1))  # from a run of six digits
_FOURS = (4, 4, 4, 4, 2)  # as bank cards are printed
SAME_FORM = frozenset({"cn_resident_id", "cn_residence_permit", "cn_foreigner_permit"})
_PERMITS = (np.uint64(810_000), np.uint64(820_000), np.uint64(830_000))
_FOREIGN = np.uint64(9)
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_LEAVES_ONE = np.arange(2000) % 11 == 1
_LETTER, _TWO = np.uint8(6), np.uint8(2)  # the bit that letters have and digits do not
_PAIR, _DIGIT = np.uint64(0x7F), np.uint64(0x0F)
_FIRST_YEAR, _YEARS = np.uint64(1900), np.uint64(LAST_YEAR - 1900)


def _month_days() -> Mask:
    known = np.zeros((1 << 7, 1 << 7), np.bool_)
    for month, days in enumerate(_DAYS, 1):
        known[1 : days + 1, month] = True
    return known.ravel()


_MONTH_DAY = _month_days()  # by the month, and the day seven bits above it
_DAY_BITS, _LEAP_DAY = np.uint64(0x7F << 7), 29 << 7 | 2
_LEAP = np.array([year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) for year in range(10_000)])


def find_resident_ids(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """18-digit numbers of every kind, written together or in groups; `by_kind` tells them apart."""
    parts = [_together(window, runs, tables)]
    sixes = runs.of_length(6)
    for start, gap in ((_parted(window, sixes), 1), (_quoted(window, sixes), 3)):
        parts += [_grouped(window, start, layout, gap, tables) for layout in _LAYOUTS if start.size]
    fours = four_fours(window, runs)
    if fours.size:
        parts.append(_grouped(window, fours, _FOURS, 1, tables))
    return joined(parts)


def by_kind(people: Candidates) -> list[Candidates]:
    """Residence permits and permanent residence cards apart from the numbers of residents."""
    if people.value.max(initial=0) < _PERMITS[0] * np.uint64(10**11):  # mostly so
        return [people]
    area = people.value // np.uint64(10**11)
    foreign = people.valid & (area // np.uint64(100_000) == _FOREIGN)
    permit = people.valid & ((area == _PERMITS[0]) | (area == _PERMITS[1]) | (area == _PERMITS[2]))
    if not (foreign.any() or permit.any()):
        return [people]
    found = [people.of(np.flatnonzero(~(foreign | permit)))]
    for key, mask in (("cn_residence_permit", permit), ("cn_foreigner_permit", foreign)):
        found.append(replace(people.of(np.flatnonzero(mask)), key=key))
    return found


def _together(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    ends_in_x = runs.length == 17
    almost = np.flatnonzero(ends_in_x)
    if almost.size:
        ends_in_x[almost] = (window.data[runs.end[almost]] | _LOWER) == _X
    start = runs.start[np.flatnonzero((runs.length == 18) | ends_in_x)]
    if not start.size:
        return nothing("cn_resident_id")
    start = kept(start, stands_free(window, start, start + 18, letters_before=True))
    rows = window.rows(start, 24)
    first, second, _ = rows.view("<u8").T.copy()  # in a row each: they are read a dozen times
    value, valid = _judge(first, second, rows[:, 16], rows[:, 17], tables)
    return candidates("cn_resident_id", start, start + 18, value, valid)


def find_rounded(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """18 digits with a region and a date whose last three became zeros: what a spreadsheet leaves (see `damage`)."""
    start = runs.of_length(18)
    start = start[np.flatnonzero(window.lanes[start + 10] >> np.uint64(40) == _ZEROS)]
    if not start.size:
        return nothing("excel_damage")
    start = start[np.flatnonzero(stands_free(window, start, start + 18))]
    first = window.lanes[start]
    head, middle = pairs_of(first), pairs_of(window.lanes[start + 8])
    value = of_pairs(head) * np.uint64(10**8) + of_pairs(middle)
    return candidates("excel_damage", start, start + 18, value, _is_born(first, head, middle, tables))


def _parted(window: Window, start: Places) -> Places:
    """Those of the runs of six digits with a separator and another digit behind them, and a second such separator of a layout."""
    data = window.data
    between = data.take(start + 6)
    alike = np.flatnonzero((data.take(start + 11) == between) | (data.take(start + 15) == between))
    if alike.size:
        start, between = start[alike], between[alike]
        alike = np.flatnonzero(is_digit(data[start + 7]) & _is_between(window, between))
    return start[alike]


def _quoted(window: Window, start: Places) -> Places:
    """Those of the runs of six digits that fill a quoted cell of a table before another such cell."""
    if window.delimiter is None or not start.size or not window.holds(b'"'):
        return start[:0]
    data = window.data
    start = start[np.flatnonzero((data[start + 6] == _QUOTE) & (data[start + 7] == np.uint8(window.delimiter)))]
    return start[np.flatnonzero((data[start + 8] == _QUOTE) & is_digit(data[start + 9]))]


def _is_between(window: Window, characters: Bytes) -> Mask:
    """Space, hyphen, or what stands between the cells of a table."""
    between = is_separator(characters)
    return between if window.delimiter is None else between | (characters == np.uint8(window.delimiter))


def _grouped(window: Window, start: Places, layout: tuple[int, ...], gap: int, tables: DetectorTables) -> Candidates:
    """Judge groups of so many digits with the same `gap` bytes between all."""
    offsets, place = list[int](), 0
    for number, size in enumerate(layout):
        if number and start.size:
            start = start[np.flatnonzero(_same(window.data, start, layout[0], place - gap, gap))]
        offsets += range(place, place + size)
        place += size + gap
    size = place - gap
    if start.size:
        start = start[_is_digits(window.data, start, offsets[:17]) & stands_free(window, start, start + size)]
    if not start.size:
        return nothing("cn_resident_id")
    lanes = gather(window, start, offsets[:16])
    digit, check = window.data[start + offsets[16]], window.data[start + offsets[17]]
    value, valid = _judge(lanes[:, 0], lanes[:, 1], digit, check, tables)
    valid &= is_digit(check) | ((check | _LOWER) == _X)
    return candidates("cn_resident_id", start, start + size, value, valid)


def _same(data: Bytes, start: Places, first: int, other: int, gap: int) -> Mask:
    """Whether the bytes of two gaps are the same."""
    same = np.ones(start.size, np.bool_)
    for nth in range(gap if first != other else 0):
        same &= data[start + first + nth] == data[start + other + nth]
    return same


def _is_digits(data: Bytes, start: Places, offsets: list[int]) -> Mask:
    known = np.ones(start.size, np.bool_)
    for offset in offsets if start.size else ():
        known &= is_digit(data[start + offset])
    return known


def _judge(first: Lanes, second: Lanes, digit: Bytes, check: Bytes, tables: DetectorTables) -> tuple[Lanes, Mask]:
    """Value and validity of sixteen digits in two lanes, a seventeenth and the check character, which is a digit or an X."""
    (head, weighed), (middle, more) = pairs_and_sum(first, _WEIGHTS[:8]), pairs_and_sum(second, _WEIGHTS[8:16])
    last = digit & np.uint8(0x0F)
    weighed += more
    weighed >>= np.uint64(48)
    weighed += (
        last * _WEIGHTS[16] + (check & np.uint8(0x0F)) + (check >> _LETTER) * _TWO
    )  # X: 8 in its low bits, counts 10
    valid: Mask = _LEAVES_ONE[weighed.view(np.intp)]
    valid &= _is_born(first, head, middle, tables)
    value = of_pairs(head)
    value *= np.uint64(10**9)
    value += of_pairs(middle) * np.uint64(10)
    value += last
    return value, valid


def _is_born(first: Lanes, head: Lanes, middle: Lanes, tables: DetectorTables) -> Mask:
    """Whether sixteen digits begin with a region and a date of birth from 1900 to LAST_YEAR.

    Args:
        first: The first eight.
        head: The same in pairs.
        middle: The last eight in pairs.
        tables: For the provinces.
    """
    province = (head & _PAIR).view(np.intp)
    known: Mask = tables.provinces.take(province)
    if province.max(initial=0) >= _FOREIGN * 10:
        ninth = np.flatnonzero(province >= _FOREIGN * 10)
        behind = (first[ninth] >> np.uint64(8)) & _DIGIT, (first[ninth] >> np.uint64(16)) & _DIGIT
        known[ninth] |= tables.provinces[(behind[0] * np.uint64(10) + behind[1]).astype(np.intp)]
    year = (head >> np.uint64(48)) * np.uint64(100)
    year += middle & _PAIR
    known &= year - _FIRST_YEAR <= _YEARS  # below the first it wraps around
    known &= _is_date(year, middle)
    return known


def _is_date(year: Lanes, pairs: Lanes) -> Mask:
    """Whether the second and the third pair are the month and the day of a year."""
    month_day = ((pairs >> np.uint64(16)) & _PAIR | (pairs >> np.uint64(25)) & _DAY_BITS).view(np.intp)
    real = _MONTH_DAY.take(month_day)
    last = np.flatnonzero(month_day == _LEAP_DAY)
    if last.size:
        real[last] &= _LEAP[year[last].astype(np.intp)]
    return real


def find_old_resident_ids(
    window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]
) -> list[Candidates]:
    """15-digit numbers: region and date must hold, there is no check digit, and a word or a cell of its own must say so."""
    start = runs.of_length(15)
    start = kept(start, stands_free(window, start, start + 15))
    if not start.size:
        return []
    head = polynomial(window.lanes[start], 10)  # region and YY
    tail = remainder(polynomial(window.lanes[start + 7], 10), 10_000_000)  # MMDD and sequence
    year = np.uint64(1900) + remainder(head, 100)
    dated = tables.provinces[(head // np.uint64(1_000_000)).astype(np.intp)]
    dated &= _is_date(year, pairs_of(window.lanes[start + 6]))
    region = head // np.uint64(100)
    value = (region * np.uint64(10_000) + year) * np.uint64(10**7) + tail
    data = window.data
    quoted = (data[start - 1] == _QUOTE) & (data[start + 15] == _QUOTE)
    cell = (fills_cell(window, start) | quoted) & ~_is_charge_card(window, start, head)
    valid = dated & (cell | after_word(window, start, dated, tables.context["cn_resident_id_15"]))
    found = Candidates("cn_resident_id_15", start, start + 15, value, valid, dated)
    return [found if "cn_resident_id_15" in named else found.of(np.flatnonzero(valid | cell))]


def _is_charge_card(window: Window, start: Places, head: Lanes) -> Mask:
    """Whether 15 digits are a card number that begins with 34 or 37, the latter a province as well."""
    card = (head // np.uint64(1_000_000) == 34) | (head // np.uint64(1_000_000) == 37)
    digits = luhn_sums(window.lanes[start + 7]) + luhn_sums(
        keep_last(window.lanes[start - 1], np.full(start.size, 7, np.uint64))
    )
    luhn: Mask = card & (remainder(digits, 10) == 0)
    return luhn
