"""Numbers that a spreadsheet spoilt: 4.40301E+17 was a resident identity number, and nobody can say whose.

Source: spreadsheets keep fifteen digits (IEEE 754 binary64) and show more than eleven in scientific notation. What is
left says that a column held such numbers, not whom: a hit is never a key of a person, and rows are the count. Also a
number of eighteen digits whose last three became zeros. Canonical value: the digits that are left.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.bits import later, places
from gateway.core.detectors.candidates import Candidates, candidates, nothing
from gateway.core.detectors.lanes import Bytes, Mask, Places, Window, is_alnum, is_digit, polynomial
from gateway.core.detectors.tables import DetectorTables

_DOT, _HYPHEN = np.uint8(ord(".")), np.uint8(ord("-"))
_PLUS, _E, _SMALL_E = ord("+"), ord("E"), ord("e")
_MOST, _LEAST = 14, 2  # decimals of the mantissa
_EXPONENTS = (ord("4"), ord("7"))  # 10^14 and 10^17: fifteen and eighteen digits


def find_damaged(window: Window, tables: DetectorTables) -> Candidates:
    """4.40301E+17 and 1.10105E+14, by the two digits of a region."""
    if not window.holds(b"+"):
        return nothing("excel_damage")
    data = window.data
    powers = window.places_of(_PLUS) & later(window.places_of(_E) | window.places_of(_SMALL_E), 1)
    plus = places(powers)
    plus = plus[is_digit(data[plus + 1]) & is_digit(data[plus + 2])]
    plus = plus[~is_alnum(data[plus + 3])]
    if not plus.size:
        return nothing("excel_damage")
    dot, decimals = _dots(data, plus - 1)
    here = np.flatnonzero((decimals >= _LEAST) & is_digit(data[dot - 1]))
    plus, start, decimals = plus[here], dot[here] - 1, decimals[here]
    before = data[start - 1]
    apart = np.flatnonzero(~is_alnum(before) & (before != _DOT) & (before != _HYPHEN))
    plus, start, decimals = plus[apart], start[apart], decimals[apart]
    region = (data[start] & np.uint8(15)) * np.intp(10) + (data[start + 2] & np.uint8(15))
    valid = (data[plus + 1] == ord("1")) & np.isin(data[plus + 2], _EXPONENTS) & tables.provinces[region]
    spare = (8 - np.minimum(decimals, 8)).astype(np.uint64) << np.uint64(3)
    value = polynomial(window.lanes[start + 2] << spare, 10) + (data[start] & np.uint8(15)) * np.uint64(10**8)
    return candidates("excel_damage", start, plus + 3, value, valid)


def _dots(data: Bytes, end: Places) -> tuple[Places, Places]:
    """Where the decimal point stands before each exponent, and how many digits lie between; 0 where none does."""
    dot, decimals = end.copy(), np.zeros(end.size, np.intp)
    alive: Mask = np.ones(end.size, np.bool_)
    for count in range(_MOST + 1):
        character = data[end - 1 - count]
        here = alive & (character == _DOT)
        dot[here], decimals[here] = end[here] - 1 - count, count
        alive &= is_digit(character)
    return dot, decimals
