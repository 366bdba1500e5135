"""Travel documents and identity cards without a public check digit: shape, and a word or a column that names them.

Sources: the forms in `policies/detectors/identifiers.toml`, each with its citation: `letters` before the digits (`?` is any
letter but I and O) and how many `digits`. One pass serves all kinds. Canonical value: the letters in base 27, then the
first eight digits (a home return permit ends with two more that count its issues, and change).
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.candidates import Candidates, nothing
from gateway.core.detectors.context import after_word, announced, fills_cell
from gateway.core.detectors.digits import Runs, follows_digits, is_separator, stands_free
from gateway.core.detectors.lanes import (
    Bytes,
    Lanes,
    Mask,
    Places,
    Window,
    first_digits,
    is_digit,
    is_letter,
    polynomial,
)
from gateway.core.detectors.tables import DetectorTables

LENGTHS = frozenset({6, 7, 8, 10})
_UPPER, _BEFORE_A = np.uint8(0xDF), np.uint8(ord("A") - 1)
_OPEN, _SLASH = np.uint8(ord("(")), np.uint8(ord("/"))
_BARE = frozenset({"taiwan_permit", "mo_bir"})


def find_documents(window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]) -> list[Candidates]:
    """Letters and digits, by kind; `named` are the kinds that columns name, the others need their word."""
    data = window.data
    every, sixes = runs, runs.of_length(6)
    runs = runs.of((runs.length == 7) | (runs.length == 8) | (runs.length == 10))
    letters = is_letter(data[runs.start - 1])
    lettered = np.flatnonzero(letters)
    found = _lettered(window, runs.start[lettered], runs.length[lettered], tables, named)
    alone = ~letters | _ends_bir(window, runs.start)
    bare = runs.start[np.flatnonzero((runs.length == 8) & alone)]
    if bare.size and not _BARE & named:  # most numbers of eight digits: one look for the words of both kinds
        bare = bare[np.flatnonzero(announced(window, every, bare, tables))]
    if bare.size:
        bare = bare[
            np.flatnonzero(stands_free(window, bare, bare + 8, letters_before=True) & ~_is_middle(window, bare))
        ]
        number = polynomial(window.lanes[bare], 10)
        found.append(_named(window, "taiwan_permit", bare, bare + 8, number, tables, named))
        bir = np.flatnonzero(_begins_bir(data[bare]))
        found.append(_named(window, "mo_bir", bare[bir], bare[bir] + 8, number[bir], tables, named))
    return [*found, _macao(window, runs, tables, named), _macao_parted(window, sixes, tables, named)]


def _lettered(
    window: Window, digits: Places, length: Bytes, tables: DetectorTables, named: frozenset[str]
) -> list[Candidates]:
    if not digits.size:
        return []
    last, first = _letter(window.data[digits - 1]), _letter(window.data[digits - 2])
    code = first * 27 + last
    start, end = digits - 1 - (first > 0), digits + length
    possible = np.flatnonzero(tables.any_document[length, code])
    possible = possible[np.flatnonzero(stands_free(window, start[possible], end[possible]))]
    start, end, length, code, digits = (
        start[possible],
        end[possible],
        length[possible],
        code[possible],
        digits[possible],
    )
    if not start.size:
        return []
    lanes = window.lanes[digits]
    number = np.where(length == 7, first_digits(lanes, 7), polynomial(lanes, 10))
    value = code.astype(np.uint64) * np.uint64(10**8) + number
    found = []
    for row, key in enumerate(tables.document_keys):
        here = np.flatnonzero(tables.document_forms[row, length, code])
        found.append(_named(window, key, start[here], end[here], value[here], tables, named))
    return found


def _letter(characters: Bytes) -> Places:
    """A to Z of either case as 1 to 26, everything else as 0."""
    values = ((characters & _UPPER) - _BEFORE_A).astype(np.intp)
    return np.where(is_letter(characters), values, 0)


def _named(
    window: Window, key: str, start: Places, end: Places, value: Lanes, tables: DetectorTables, named: frozenset[str]
) -> Candidates:
    """Candidates of one kind: valid behind a word for it; what only a column could name is left out where none does."""
    if key not in named:
        here = np.flatnonzero(~fills_cell(window, start))
        start, end, value = start[here], end[here], value[here]
    if not start.size:
        return nothing(key)
    every = np.ones(start.size, np.bool_)
    known = after_word(window, start, every, tables.context[key])
    found = Candidates(key, start, end, value, known, every)
    return found if key in named else found.of(np.flatnonzero(known))


def _macao(window: Window, runs: Runs, tables: DetectorTables, named: frozenset[str]) -> Candidates:
    """1234567(8) and 1234567/8."""
    data = window.data
    start = runs.of_length(7)
    if not start.size:
        return nothing("mo_bir")
    behind = data[start + 7]
    start = start[np.flatnonzero(((behind == _OPEN) | (behind == _SLASH)) & is_digit(data[start + 8]))]
    start = start[np.flatnonzero(_begins_bir(data[start]))]
    if not start.size:
        return nothing("mo_bir")
    bracketed = data[start + 7] == _OPEN
    end = start + 9 + bracketed
    free = stands_free(window, start, end) | _ends_bir(window, start)
    shape = np.flatnonzero((~bracketed | (data[start + 9] == ord(")"))) & free)
    start, end = start[shape], end[shape]
    number = first_digits(window.lanes[start], 7) * np.uint64(10) + (data[start + 8] & np.uint8(15))
    return _named(window, "mo_bir", start, end, number, tables, named)


def _macao_parted(window: Window, start: Places, tables: DetectorTables, named: frozenset[str]) -> Candidates:
    """1/234567/8, from its six digits."""
    data = window.data
    if not (start.size and window.holds(b"/")):
        return nothing("mo_bir")
    start = start[np.flatnonzero((data[start - 1] == _SLASH) & (data[start + 6] == _SLASH))]
    start = start[np.flatnonzero(is_digit(data[start + 7]) & _begins_bir(data[start - 2]))] - 2
    start = start[np.flatnonzero(stands_free(window, start, start + 10) | _ends_bir(window, start))]
    if not start.size:
        return nothing("mo_bir")
    first, last = data[start] & np.uint8(15), data[start + 9] & np.uint8(15)
    middle = first_digits(window.lanes[start + 2], 6)
    number = (first * np.uint64(10**6) + middle) * np.uint64(10) + last
    return _named(window, "mo_bir", start, start + 10, number, tables, named)


def _is_middle(window: Window, start: Places) -> Mask:
    """Whether eight digits are a group of a longer number."""
    data = window.data
    behind = is_separator(data[start + 8]) & is_digit(data[start + 9])
    middle: Mask = behind | follows_digits(window, start)
    return middle


def _ends_bir(window: Window, start: Places) -> Mask:
    """Whether the word stands glued to the number: BIR1234567(8)."""
    data = window.data
    glued: Mask = ((data[start - 1] & _UPPER) == ord("R")) & ((data[start - 2] & _UPPER) == ord("I"))
    glued &= (data[start - 3] & _UPPER) == ord("B")
    return glued


def _begins_bir(first: Bytes) -> Mask:
    known: Mask = (first == ord("1")) | (first == ord("5")) | (first == ord("7")) | (first == ord("8"))
    return known
