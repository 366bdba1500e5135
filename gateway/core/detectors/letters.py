"""Identifiers of letters and digits: the Hong Kong identity card and the unified social credit code.

Sources: the HKID check character (modulo 11, weights 9 to 1, a missing first letter counts 36, A to Z count 10 to 35);
GB 32100-2015 for the credit code (31 characters without I, O, S, V, Z; weights 3^i modulo 31), which names an
organisation and not a person. Both are found from the digits in them. Canonical values: HKID letters in base 27 and the
six digits; the first 17 characters of the credit code in base 31, modulo 2^64.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates, nothing
from gateway.core.detectors.digits import Runs, stands_free
from gateway.core.detectors.lanes import (
    Bytes,
    Mask,
    Places,
    Window,
    is_alnum,
    is_digit,
    is_letter,
    remainder,
)
from gateway.core.detectors.tables import DetectorTables

_UPPER = np.uint8(0xDF)
_OPEN, _CLOSE, _SPACE, _HYPHEN = ord("("), ord(")"), ord(" "), ord("-")
_HK_WEIGHTS, _SIX = np.arange(7, 1, -1), 10 ** np.arange(5, -1, -1)
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)], np.int64)
_POWERS = np.array([pow(31, i, 1 << 64) for i in range(17)], np.uint64)


def _credit_values() -> Bytes:
    known = np.full(256, 255, np.uint8)
    known[list(_CREDIT.encode())] = np.arange(31)
    return known


_CREDIT_VALUE = _credit_values()
_MAIN, _OTHER = (np.frombuffer(c, np.uint8) for c in (b"159ANY", b"234678"))  # GB 32100-2015 table 1 and its amendments
_KIND, _ANY_KIND = (np.frombuffer(c, np.uint8) for c in (b"1239", b"123459"))


def _is_registered(text: Bytes) -> Mask:
    """Whether a department and a kind begin the code; a rare department needs a letter in it, as nearly all codes have."""
    main = np.isin(text[:, 0], _MAIN) & np.isin(text[:, 1], _KIND)
    other = np.isin(text[:, 0], _OTHER) & np.isin(text[:, 1], _ANY_KIND) & is_letter(text).any(axis=1)
    return main | other


def find_hkids(window: Window, runs: Runs, _tables: DetectorTables) -> Candidates:
    """A123456(3), A1234563, A 123456 (3) and the two-letter forms, in either case."""
    data = window.data
    cards = runs.of((runs.length == 6) | (runs.length == 7))
    before = data.take(cards.start - 1)
    cards = cards.of(is_letter(before) | (before == _SPACE))  # most have neither
    spaced = (cards.length == 6) & (data[cards.start - 1] == _SPACE)
    gap = np.where(spaced, 1, 0)
    cards, gap = _of_both(cards, gap, is_letter(data[cards.start - 1 - gap]))
    if not cards.start.size:
        return nothing("hkid")
    digits = cards.start
    last = digits - 1 - gap
    two = is_letter(data[last - 1])
    start = last - two
    check, end, shape = _check_character(data, digits, cards.length)
    shape &= (gap == 0) | (data[end - 1] == _CLOSE)  # apart, only brackets tell it from words and numbers
    shaped = np.flatnonzero(shape)
    alone = stands_free(window, start[shaped], end[shaped]) & ~_hyphenated(data, start[shaped], end[shaped])
    free = shaped[np.flatnonzero(alone)]
    if not free.size:
        return nothing("hkid")
    start, digits, two, check, end, last = start[free], digits[free], two[free], check[free], end[free], last[free]
    first = np.where(two, _letter(data[last - 1]), 36)
    second = _letter(data[last])
    six = (window.rows(digits, 6) & np.uint8(0x0F)).astype(np.int64)
    valid = remainder((first * 9 + second * 8 + six @ _HK_WEIGHTS + check).view(np.uint64), 11) == 0
    letters = np.where(two, first - 9, 0) * 27 + second - 9
    return candidates("hkid", start, end, (letters * 10**6 + six @ _SIX).view(np.uint64), valid)


def _of_both(runs: Runs, gap: Places, mask: Mask) -> tuple[Runs, Places]:
    these = np.flatnonzero(mask)
    return Runs(runs.start[these], runs.length[these]), gap[these]


def _check_character(data: Bytes, digits: Places, length: Bytes) -> tuple[Places, Places, Mask]:
    """Value of the check character, the end of the whole, and whether the shape is right."""
    place = digits + 6
    place = place + ((length == 6) & (data[place] == _SPACE) & (data[place + 1] == _OPEN))
    bracketed = (length == 6) & (data[place] == _OPEN)
    place = place + bracketed
    character = data[place]
    is_a = (character & _UPPER) == ord("A")
    shape = (is_digit(character) | is_a) & (~bracketed | (data[place + 1] == _CLOSE))
    value = np.where(is_a, 10, character & np.uint8(0x0F)).astype(np.int64)
    return value, place + 1 + bracketed, shape


def _hyphenated(data: Bytes, start: Places, end: Places) -> Mask:
    """Whether a hyphen ties an unbracketed number to more: a part of a UUID or of an order number."""
    behind = (data[end] == _HYPHEN) & is_alnum(data[end + 1])
    before = (data[start - 1] == _HYPHEN) & is_digit(data[start - 2])
    tied: Mask = (behind | before) & (data[end - 1] != _CLOSE)
    return tied


def _letter(characters: Bytes) -> Places:
    """A to Z as 10 to 35."""
    return ((characters & _UPPER) - np.uint8(ord("A") - 10)).astype(np.int64)


def find_credit_codes(window: Window, runs: Runs, tables: DetectorTables) -> Candidates:
    """18 characters: registration department, kind, six digits of region, nine of organisation code, check."""
    data = window.data
    runs = runs.of(
        is_alnum(data.take(runs.end)) | (runs.length == 18)
    )  # the code goes on behind its digits: most runs do not
    if not runs.start.size:
        return nothing("cn_uscc")
    lettered = is_letter(data[runs.start - 1])
    start = (runs.start - lettered)[(runs.length >= 7) & (lettered | (runs.length >= 8))]
    start = start[is_alnum(data[start + 17]) & (data[start] != ord("0"))]
    start = start[stands_free(window, start, start + 18)]
    if not start.size:
        return nothing("cn_uscc")
    text = window.rows(start, 18)
    values = _CREDIT_VALUE[text]
    shape = (values < 31).all(axis=1) & is_alnum(text).all(axis=1)
    weighed = values[:, :17].astype(np.int64) @ _WEIGHTS + values[:, 17]
    province = (text[:, 2] & np.uint8(0x0F)) * np.intp(10) + (text[:, 3] & np.uint8(0x0F))
    valid = shape & (weighed % 31 == 0) & is_digit(text[:, 2:8]).all(axis=1)
    valid &= tables.provinces[np.minimum(province, 99)] & _is_registered(text)
    value = (values[:, :17].astype(np.uint64) * _POWERS).sum(axis=1, dtype=np.uint64)
    return candidates("cn_uscc", start, start + 18, value, valid)
