"""All detectors over one window.

A change must keep: whether a place is found, and as what, depends on bytes within lanes.PAD of it only, so that cutting
a text elsewhere cannot change what is found in it (a property test cuts at random).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.core.detectors.candidates import Candidates
from gateway.core.detectors.cards import find_bank_cards, find_imeis
from gateway.core.detectors.damage import find_damaged
from gateway.core.detectors.digits import GROUP, SHORTEST, Runs, find_runs
from gateway.core.detectors.documents import LENGTHS, find_documents
from gateway.core.detectors.email import find_emails
from gateway.core.detectors.landlines import find_landlines
from gateway.core.detectors.lanes import Places, Window
from gateway.core.detectors.letters import find_credit_codes, find_hkids
from gateway.core.detectors.mrz import find_machine_readable
from gateway.core.detectors.organisations import find_organisation_codes
from gateway.core.detectors.phones import find_cn_mobiles, find_eights
from gateway.core.detectors.plates import find_plates
from gateway.core.detectors.resident import by_kind, find_old_resident_ids, find_resident_ids, find_rounded
from gateway.core.detectors.tables import DetectorTables

Find = Callable[[Window, Runs, DetectorTables], Candidates]
FindSome = Callable[[Window, Runs, DetectorTables, frozenset[str]], list[Candidates]]

# One pure function a detector, and the lengths of digit runs it starts from (GROUPS: runs of four, one byte apart).
# Those of families give several kinds that share a shape, or need to know which kinds a column names. Reads are spared those
# that their quality strings would only imitate.
# Adding a detector touches these tables and the data.
GROUPS = 0
FROM_DIGITS: tuple[tuple[Find, frozenset[int]], ...] = (
    (find_hkids, frozenset({6, 7})),
    (find_cn_mobiles, frozenset({11, 13, 15, GROUPS})),
    (find_bank_cards, frozenset({*range(13, 20), GROUPS})),
    (find_credit_codes, frozenset(range(7, 19))),
)
OUTSIDE_READS: tuple[tuple[Find, frozenset[int]], ...] = ((find_rounded, frozenset({18})),)
FAMILIES: tuple[tuple[FindSome, frozenset[int]], ...] = (
    (find_eights, frozenset({8, 11, 13, GROUPS})),
    (find_old_resident_ids, frozenset({15})),
)
FAMILIES_OUTSIDE_READS: tuple[tuple[FindSome, frozenset[int]], ...] = (
    (find_imeis, frozenset({6, 15})),
    (find_organisation_codes, frozenset({8, 9})),
    (find_landlines, frozenset({7, 8, GROUPS})),
    (find_documents, LENGTHS),
    (find_machine_readable, frozenset({7})),
)
_RESIDENT = frozenset({6, 17, 18, GROUPS})
_SMALL = 16_384  # bytes of a window that `may_hold` reads faster than thirty array operations begin
_ALIKE = bytes.maketrans(
    b"0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ" + bytes(range(0x80, 0xC0)), b"0" * 10 + b" " + b"A" * 26 + b"\x80" * 64
)
_OF_DIGITS = (b"0" * SHORTEST, b"0" * GROUP + b" " + b"0" * GROUP)
_SHAPES = (*_OF_DIGITS, b"@", b"\x80A")
_POWERS = (b"E+1", b"e+1")
_NOTHING_NAMED = frozenset[str]()


def scan(
    window: Window, tables: DetectorTables, *, reads: bool = False, named: frozenset[str] = _NOTHING_NAMED
) -> list[Candidates]:
    """Candidates of every detector that the window owns; detectors that saw no shape of theirs are left out.

    Args:
        window: What to scan.
        tables: What to look up.
        reads: The text is of reads, whose quality strings imitate what has no check digit: it is left out.
        named: Detectors that a column names: shapes that only a column tells apart are handed back for those.

    A valid resident identity number is nothing else: its digits are not shown to the other detectors.
    """
    if len(window.raw) < _SMALL and not may_hold(window.raw, reads=reads):
        return []
    runs = find_runs(window)
    present = _lengths(runs)
    found = [] if reads else [find_emails(window), find_plates(window), find_damaged(window, tables)]
    if present & _RESIDENT:
        people = find_resident_ids(window, runs, tables)
        found += by_kind(people)
        runs = _without(window, runs, people.start[people.valid])
        present = _lengths(runs)
    singles = FROM_DIGITS if reads else FROM_DIGITS + OUTSIDE_READS
    found += [find(window, runs, tables) for find, lengths in singles if present & lengths]
    for find_some, lengths in FAMILIES if reads else FAMILIES + FAMILIES_OUTSIDE_READS:
        if present & lengths:
            found += find_some(window, runs, tables, named)
    owned = (part.owned(window) for part in _told_apart(found, tables) if part.start.size)
    return [part for part in owned if part.start.size]


def _told_apart(found: list[Candidates], tables: DetectorTables) -> list[Candidates]:
    """A document that its word names (`passport KJ1234567`) is no identity card of Hong Kong, whatever its digits add up to."""
    cards = [part for part in found if part.key == "hkid" and part.valid.any()]
    named = [part.start[part.valid] for part in found if part.key in tables.document_keys]
    if not cards or not any(start.size for start in named):
        return found
    taken = np.concatenate(named)
    return [part.of(np.flatnonzero(~np.isin(part.start, taken))) if part.key == "hkid" else part for part in found]


def may_hold(text: bytes, *, reads: bool = False) -> bool:
    """False only where no detector can find anything: nothing of what they begin with.

    That is a run of digits, two groups, and outside reads an at sign, a capital behind a wide character, a power of ten;
    look-alikes and escapes must have become ASCII before.
    """
    alike = text.translate(_ALIKE)
    for shape in _OF_DIGITS if reads else _SHAPES:  # an expression costs as much again
        if shape in alike:
            return True
    return not reads and b"+" in text and any(shape in text for shape in _POWERS)


def _lengths(runs: Runs) -> frozenset[int]:
    """Lengths that occur, and GROUPS where groups of four do."""
    return runs.lengths | {GROUPS} if runs.pairs.any() else runs.lengths - {GROUPS}


def _without(window: Window, runs: Runs, starts: Places) -> Runs:
    if not starts.size:
        return runs
    taken = np.zeros(window.data.size, np.bool_)
    taken[starts] = True
    return runs.of(~taken.take(runs.start))
