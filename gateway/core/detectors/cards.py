"""Bank card numbers: issuer prefix, length and Luhn; and device numbers, which Luhn alone protects.

Source: ISO/IEC 7812-1:2017, annex B for the check digit; issuer ranges in `policies/detectors/identifiers.toml`.
Canonical value: the number itself (at most 19 digits fit 64 bits).
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates, joined, nothing
from gateway.core.detectors.context import after_word
from gateway.core.detectors.digits import Runs, four_fours, gather, is_separator, kept, stands_free
from gateway.core.detectors.lanes import (
    Lanes,
    Mask,
    Places,
    Window,
    first_digits,
    is_digit,
    keep_last,
    luhn_sums,
    polynomial,
    remainder,
)
from gateway.core.detectors.tables import DetectorTables

_IMEI_GROUPS = [0, 1, *range(3, 9), *range(10, 16), 17]
_GROUPS = [*range(4), *range(5, 9), *range(10, 14), *range(15, 19)]


def find_bank_cards(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """13 to 19 digits together, or groups of four with a last group of one to four."""
    return joined([_together(window, runs, tables), _grouped(window, runs, tables)])


def _together(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    cards = runs.of((runs.length >= 13) & (runs.length <= 19))
    cards = cards.of(stands_free(window, cards.start, cards.end))
    if not cards.start.size:
        return nothing("bank_card")
    size = cards.length.astype(np.uint64)
    first = first_digits(window.lanes[cards.start], 4)
    valid = _is_issued(first, size, tables)
    value = np.zeros(size.size, np.uint64)
    issued = np.flatnonzero(valid)
    if issued.size:
        end, size = cards.end[issued], size[issued]
        middle = keep_last(window.lanes[end - 16], np.minimum(size - np.uint64(8), np.uint64(8)))
        value[issued], valid[issued] = _judge(_front(window, end, size), middle, window.lanes[end - 8])
    return candidates("bank_card", cards.start, cards.end, value, valid)


def _front(window: Window, end: Places, size: Lanes) -> Lanes:
    """Digits before the last sixteen; all zero for shorter cards."""
    front = np.zeros(size.size, np.uint64)
    longer = np.flatnonzero(size > 16)
    if longer.size:
        front[longer] = keep_last(window.lanes[end[longer] - 24], size[longer] - np.uint64(16))
    return front


def _is_issued(first: Lanes, size: Lanes, tables: DetectorTables) -> Mask:
    """Whether an issuer with these first four digits uses this length."""
    lengths = tables.issuer_lengths[first.astype(np.intp)]
    issued: Mask = (lengths >> size.astype(np.uint32)) & np.uint32(1) == 1
    return issued


def _judge(front: Lanes, middle: Lanes, last: Lanes) -> tuple[Lanes, Mask]:
    """Value and Luhn check of up to 24 digits, flush right in three lanes."""
    valid = remainder(luhn_sums(front) + luhn_sums(middle) + luhn_sums(last), 10) == 0
    value = polynomial(front, 10) * np.uint64(10**16) + polynomial(middle, 10) * np.uint64(10**8)
    return value + polynomial(last, 10), valid


def _grouped(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    data = window.data
    start = four_fours(window, runs)
    if not start.size:
        return nothing("bank_card")
    tail = np.zeros(start.size, np.intp)
    more = data[start + 19] == data[start + 4]
    for count in (1, 2, 3):
        more &= is_digit(data[start + 19 + count])
        tail[more] = count
    end = start + 19 + np.where(tail > 0, tail + 1, 0)
    free = stands_free(window, start, end)
    parts = [_of_tail(window, start[free & (tail == count)], count, tables) for count in range(4)]
    return joined(parts)


def _of_tail(window: Window, start: Places, count: int, tables: DetectorTables) -> Candidates:
    if not start.size:
        return nothing("bank_card")
    offsets = _GROUPS + list(range(20, 20 + count))
    size = np.full(start.size, 16 + count, np.uint64)
    first = first_digits(window.lanes[start], 4)
    lanes = gather(window, start, offsets[count:])
    front = gather(window, start, offsets[:count])[:, 0] if count else np.zeros(start.size, np.uint64)
    front = front << np.uint64(8 * (8 - count)) if count else front  # flush right, like a card written together
    value, valid = _judge(front, lanes[:, 0], lanes[:, 1])
    end = start + 19 + (count + 1 if count else 0)
    return candidates("bank_card", start, end, value, valid & _is_issued(first, size, tables))


def find_imeis(window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]) -> list[Candidates]:
    """15 digits that pass Luhn (3GPP TS 23.003 section 6.2.1) behind a word for them, or in a column that is named so.

    Together, or as 35-209900-176148-1.
    """
    start, parts = runs.of_length(15), list[Candidates]()
    if start.size:
        start = kept(start, stands_free(window, start, start + 15, letters_before=True))  # IMEI490154203237518
        front = keep_last(window.lanes[start - 1], np.full(start.size, 7, np.uint64))
        parts.append(_imei(window, start, 15, front, window.lanes[start + 7], tables))
    parted = _parted_imeis(window, runs)
    if parted.size:
        lanes = gather(window, parted, _IMEI_GROUPS[7:])
        front = gather(window, parted, _IMEI_GROUPS[:7])[:, 0] << np.uint64(8)  # flush right
        parts.append(_imei(window, parted, 18, front, lanes[:, 0], tables))
    found = joined(parts) if parts else nothing("imei")
    if not found.start.size:
        return []
    return [found if "imei" in named else found.of(np.flatnonzero(found.valid))]


def _imei(window: Window, start: Places, size: int, front: Lanes, last: Lanes, tables: DetectorTables) -> Candidates:
    value, luhn = _judge(np.zeros(start.size, np.uint64), front, last)
    known = luhn & after_word(window, start, luhn, tables.context["imei"])
    return Candidates("imei", start, start + size, value, known, luhn)


def _parted_imeis(window: Window, runs: Runs) -> Places:
    """Starts of 2-6-6-1 digits with the same separator between all."""
    data = window.data
    if 6 not in runs.lengths or not (window.holds(b" ") or window.holds(b"-")):
        return runs.start[:0]
    two = np.flatnonzero((runs.length[:-1] == 6) & (runs.length[1:] == 6) & (runs.steps == 7))
    start = runs.start[two]
    between = data[start - 1]
    whole = is_separator(between) & (data[start + 6] == between) & (data[start + 13] == between)
    whole &= is_digit(data[start - 2]) & is_digit(data[start - 3]) & is_digit(data[start + 14])
    start = start[np.flatnonzero(whole)] - 3
    return start[np.flatnonzero(stands_free(window, start, start + 18, letters_before=True))]
