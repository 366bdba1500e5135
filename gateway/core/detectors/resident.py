"""Resident identity numbers of the mainland, and the residence permits that share their form.

Source: GB 11643-1999. 18 digits: six of region, eight of birth date, three of sequence, one check character, weights
2^(17-i) modulo 11, which must leave 1. 15 digits (before 1999): region, YYMMDD, sequence, no check. Areas 81, 82 and 83
are permits of Hong Kong, Macao and Taiwan residents. The canonical value is the first 17 digits; a 15-digit number
becomes the 17 digits it was converted to (century 19), so both forms are one person.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates, joined, nothing
from gateway.core.detectors.digits import Runs, gather, is_separator, stands_free
from gateway.core.detectors.lanes import Bytes, Lanes, Mask, Places, Window, is_digit, polynomial, remainder
from gateway.core.detectors.tables import DetectorTables

_X, _LOWER = np.uint8(ord("x")), np.uint8(0x20)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_GROUPS = [*range(6), *range(7, 15), *range(16, 20)]  # 6-8-4 with one separator between


def _month_days() -> Mask:
    known = np.zeros(10_000, np.bool_)
    for month, days in enumerate(_DAYS, 1):
        known[month * 100 + 1 : month * 100 + days + 1] = True
    return known


_MONTH_DAY = _month_days()
_LEAP = np.array([year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) for year in range(10_000)])


def find_resident_ids(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """18-digit numbers, written together or as 6-8-4 with spaces or hyphens."""
    return joined([_together(window, runs, tables), _grouped(window, runs, tables)])


def _together(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    ends_in_x = runs.length == 17
    almost = np.flatnonzero(ends_in_x)
    if almost.size:
        ends_in_x[almost] = (window.data[runs.end[almost]] | _LOWER) == _X
    start = runs.start[np.flatnonzero((runs.length == 18) | ends_in_x)]
    if not start.size:
        return nothing("cn_resident_id")
    start = start[np.flatnonzero(stands_free(window, start, start + 18, letters_before=True))]
    rows = window.rows(start, 24)
    lanes = rows.view("<u8")
    value, valid = _judge(lanes[:, 0], lanes[:, 1], rows[:, 16], rows[:, 17], tables)
    return candidates("cn_resident_id", start, start + 18, value, valid)


def _grouped(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    start = _group_starts(window, runs)
    if not start.size:
        return nothing("cn_resident_id")
    lanes = gather(window, start, _GROUPS[:16])
    tail = window.data[start + 18], window.data[start + 19]
    value, valid = _judge(lanes[:, 0], lanes[:, 1], tail[0], tail[1], tables)
    return candidates("cn_resident_id", start, start + 20, value, valid)


def _group_starts(window: Window, runs: Runs) -> Places:
    data = window.data
    start: Places = runs.start[:-1][(runs.length[:-1] == 6) & (runs.length[1:] == 8) & (runs.steps == 7)]
    if not start.size:
        return start
    last = data[start + 19]
    shape = is_separator(data[start + 6]) & (data[start + 6] == data[start + 15])
    shape &= is_digit(data[start + 16]) & is_digit(data[start + 17]) & is_digit(data[start + 18])
    shape &= is_digit(last) | ((last | _LOWER) == _X)
    free: Places = start[shape & stands_free(window, start, start + 20)]
    return free


def _judge(first: Lanes, second: Lanes, digit: Bytes, check: Bytes, tables: DetectorTables) -> tuple[Lanes, Mask]:
    head, middle = polynomial(first, 10), polynomial(second, 10)
    last = (digit & np.uint8(0x0F)).astype(np.uint64)
    character = _check_values(check)
    weighed = polynomial(first, 2) * np.uint64(1024) + polynomial(second, 2) * np.uint64(4) + last * np.uint64(2)
    year = remainder(head, 100) * np.uint64(100) + middle // np.uint64(1_000_000)
    valid = remainder(weighed + character, 11) == 1
    valid &= tables.provinces[(head // np.uint64(1_000_000)).astype(np.intp)]
    valid &= (year >= 1900) & (year < 2100) & _is_date(year, remainder(middle // np.uint64(100), 10_000))
    return head * np.uint64(10**9) + middle * np.uint64(10) + last, valid


def _check_values(check: Bytes) -> Lanes:
    values = (check & np.uint8(0x0F)).astype(np.uint64)
    values[np.flatnonzero(~is_digit(check))] = 10
    return values


def _is_date(year: Lanes, month_day: Lanes) -> Mask:
    real: Mask = _MONTH_DAY[month_day.astype(np.intp)]
    last = np.flatnonzero(month_day == 229)
    if last.size:
        real[last] &= _LEAP[year[last].astype(np.intp)]
    return real


def find_old_resident_ids(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """15-digit numbers: region and date must hold, there is no check digit."""
    start = runs.start[runs.length == 15]
    if not start.size:
        return nothing("cn_resident_id_15")
    start = start[stands_free(window, start, start + 15)]
    head = polynomial(window.lanes[start], 10)  # region and YY
    tail = remainder(polynomial(window.lanes[start + 7], 10), 10_000_000)  # MMDD and sequence
    year = np.uint64(1900) + remainder(head, 100)
    valid = tables.provinces[(head // np.uint64(1_000_000)).astype(np.intp)]
    valid &= _is_date(year, tail // np.uint64(1000))
    region = head // np.uint64(100)
    value = (region * np.uint64(10_000) + year) * np.uint64(10**7) + tail
    return candidates("cn_resident_id_15", start, start + 15, value, valid)
