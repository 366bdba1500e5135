"""Organisation codes of before the unified social credit code, which holds one as its characters 9 to 17.

Source: GB 11714-1997: eight characters and a check character modulo 11, weights 3, 7, 9, 10, 5, 8, 4, 2. Only codes of
digits are taken, `71526726-X` and joined; one in eleven numbers of nine digits passes, so a word or a column must name them.
They name an organisation and not a person. Canonical value: the eight digits.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates
from gateway.core.detectors.context import after_word, fills_cell
from gateway.core.detectors.digits import Runs, follows_digits, stands_free
from gateway.core.detectors.lanes import Lanes, Mask, Window, is_digit, polynomial, remainder
from gateway.core.detectors.tables import DetectorTables

_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_LETTERS = np.uint64(0xC0C0C0C0C0C0C0C0)  # bits of letters and of wide characters, and of no digit or blank
_HYPHEN, _UPPER, _X = np.uint8(ord("-")), np.uint8(0xDF), np.uint8(ord("X"))


def find_organisation_codes(
    window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]
) -> list[Candidates]:
    """71526726-X and 71526726X behind a word for them, or in a column that is named so."""
    data = window.data
    start = runs.start[np.flatnonzero((runs.length == 8) | (runs.length == 9))]
    check = start + 8 + (data[start + 8] == _HYPHEN)
    shape = np.flatnonzero(is_digit(data[check]) | ((data[check] & _UPPER) == _X))  # most numbers end before
    start, check = start[shape], check[shape]
    if "cn_org_code" not in named:
        worded = (window.lanes[start - 8] & _LETTERS) != 0  # a word stands within eight bytes, or none does
        here = np.flatnonzero(worded & ~fills_cell(window, start))
        start, check = start[here], check[here]
    free = np.flatnonzero(stands_free(window, start, check + 1) & ~follows_digits(window, start))
    if not free.size:
        return []
    start, check = start[free], check[free]
    ends_in_x = ~is_digit(data[check])
    lanes = window.lanes[start]
    character = np.where(ends_in_x, np.uint8(10), data[check] & np.uint8(0x0F)).astype(np.uint64)
    good = np.flatnonzero(_checks(lanes, character))
    start, end, value = start[good], check[good] + 1, polynomial(lanes[good], 10)
    every = np.ones(start.size, np.bool_)
    known = after_word(window, start, every, tables.context["cn_org_code"])
    found = Candidates("cn_org_code", start, end, value, known, every)
    return [found if "cn_org_code" in named else found.of(np.flatnonzero(known))]


def _checks(lanes: Lanes, character: Lanes) -> Mask:
    total = character.copy()
    for place, weight in enumerate(_WEIGHTS):
        total += ((lanes >> np.uint64(8 * place)) & np.uint64(0x0F)) * np.uint64(weight)
    checks: Mask = remainder(total, 11) == 0
    return checks
