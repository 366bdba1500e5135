"""The machine-readable line of passports and other travel documents.

Source: ICAO Doc 9303 part 4 (passports) and part 6 (the smaller form): number of nine characters, its check digit, nationality,
date of birth and check, sex, date of expiry and check. The checks are modulo 10 with weights 7, 3, 1 (part 3 section
4.9). Found from its dates: two runs of seven digits with one character between. Canonical value: that of `documents` for
passports of China and Hong Kong, for others the nine characters in base 37.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, candidates
from gateway.core.detectors.digits import Runs
from gateway.core.detectors.lanes import Bytes, Mask, Places, Window, is_digit
from gateway.core.detectors.tables import DetectorTables

_WIDTH, _NUMBER, _STATE, _BIRTH, _SEX, _EXPIRY = 28, slice(0, 9), slice(10, 13), slice(13, 19), 20, slice(21, 27)
_WEIGHTS = np.array([7, 3, 1] * 3, np.int64)
_FILLER = np.uint8(ord("<"))
_SEXES = np.frombuffer(b"MFX<", np.uint8)
_NONE = np.uint8(255)
_CHINA = np.frombuffer(b"CHN", np.uint8)


def _values() -> Bytes:
    known = np.full(256, _NONE)
    known[list(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")] = np.arange(36)
    known[_FILLER] = 0
    return known


_VALUE = _values()


def find_machine_readable(
    window: Window, runs: Runs, tables: DetectorTables, _named: frozenset[str]
) -> list[Candidates]:
    """Second lines of passports, whose three check digits all hold."""
    dates = (runs.length[:-1] == 7) & (runs.length[1:] >= 7) & (runs.steps == 8)
    start = runs.start[:-1][np.flatnonzero(dates)] - _BIRTH.start
    start = start[np.flatnonzero(np.isin(window.data[start + _SEX], _SEXES))]  # lists of numbers have line ends there
    if not start.size:
        return []
    rows = window.rows(start, _WIDTH)
    valid = _VALUE[window.data[start - 1]] == _NONE
    valid &= (_VALUE[rows] != _NONE).all(axis=1) & ~is_digit(rows[:, _STATE]).any(axis=1)
    for part, check in ((_NUMBER, 9), (_BIRTH, 19), (_EXPIRY, 27)):
        weighed = _VALUE[rows[:, part]].astype(np.int64)
        valid &= is_digit(rows[:, check])
        valid &= (weighed @ _WEIGHTS[: weighed.shape[1]] - _VALUE[rows[:, check]]) % 10 == 0
    start, rows = start[valid], rows[valid]
    return _by_kind(start, rows, tables) if start.size else []


def _by_kind(start: Places, rows: Bytes, tables: DetectorTables) -> list[Candidates]:
    """Passports of China under their own kinds, so that a document has one value in any form."""
    text, whole = rows[:, _NUMBER], start + _WIDTH
    chinese = (rows[:, _STATE] == _CHINA).all(axis=1)
    letter = ~is_digit(text)
    code = np.where(letter[:, 1], _nth(text[:, 0]) * 27 + _nth(text[:, 1]), _nth(text[:, 0]))
    length = np.where(letter[:, 1], 7, 8)
    digits = np.where(letter[:, 1, None], text[:, 2:9], text[:, 1:8])
    last = np.where(letter[:, 1], 0, text[:, 8] & np.uint8(15))
    number = (digits & np.uint8(15)).astype(np.uint64) @ np.array([10**n for n in range(6, -1, -1)], np.uint64)
    number = np.where(letter[:, 1], number, number * np.uint64(10) + last.astype(np.uint64))
    shape = chinese & letter[:, 0] & ~letter[:, 2:].any(axis=1)
    found, left = [], np.ones(start.size, np.bool_)
    for key in ("cn_passport", "hk_passport"):
        row = tables.document_keys.index(key)
        here = np.flatnonzero(shape & left & tables.document_forms[row, length, np.where(shape, code, 0)])
        left[here] = False
        value = code[here].astype(np.uint64) * np.uint64(10**8) + number[here]
        found.append(candidates(key, start[here], whole[here], value, np.ones(here.size, np.bool_)))
    rest = np.flatnonzero(left)
    value = _VALUE[text[rest]].astype(np.uint64) @ np.array([37**n for n in range(9)], np.uint64)
    return [*found, candidates("passport_mrz", start[rest], whole[rest], value, np.ones(rest.size, np.bool_))]


def _nth(characters: Bytes) -> Places:
    """A to Z as 1 to 26; 0 for digits and fillers."""
    known: Mask = ~is_digit(characters) & (characters != _FILLER)
    return np.where(known, characters.astype(np.int64) - (ord("A") - 1), 0)
