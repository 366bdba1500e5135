"""All detectors over one window.

A change must keep: whether a place is found, and as what, depends on bytes within lanes.PAD of it only, so that cutting
a text elsewhere cannot change what is found in it (a property test cuts at random).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.core.detectors.candidates import Candidates
from gateway.core.detectors.cards import find_bank_cards
from gateway.core.detectors.digits import GROUP, SHORTEST, Runs, find_runs
from gateway.core.detectors.email import find_emails
from gateway.core.detectors.lanes import Places, Window
from gateway.core.detectors.letters import find_credit_codes, find_hkids
from gateway.core.detectors.phones import find_cn_mobiles, find_hk_mobiles
from gateway.core.detectors.resident import find_old_resident_ids, find_resident_ids
from gateway.core.detectors.tables import DetectorTables

Find = Callable[[Window, Runs, DetectorTables], Candidates]

# One pure function a detector, and the lengths of digit runs it starts from (GROUPS: runs of four, one byte apart).
# The key is the table it belongs to. Adding a detector touches this table and the data.
GROUPS = 0
FROM_DIGITS: dict[str, tuple[Find, frozenset[int]]] = {
    "cn_resident_id_15": (find_old_resident_ids, frozenset({15})),
    "hkid": (find_hkids, frozenset({6, 7})),
    "cn_mobile": (find_cn_mobiles, frozenset({11, 13, GROUPS})),
    "hk_mobile": (find_hk_mobiles, frozenset({8, 11, GROUPS})),
    "bank_card": (find_bank_cards, frozenset({*range(13, 20), GROUPS})),
    "cn_uscc": (find_credit_codes, frozenset(range(7, 19))),
}
_RESIDENT = frozenset({6, 17, 18})
_SMALL = 16_384  # bytes of a window that `may_hold` reads faster than thirty array operations begin
_DIGITS_ALIKE = bytes.maketrans(b"0123456789-", b"0" * 10 + b" ")
_SHAPES = (b"0" * SHORTEST, b"0" * GROUP + b" " + b"0" * GROUP, b"@")


def scan(window: Window, tables: DetectorTables, *, emails: bool = True) -> list[Candidates]:
    """Candidates of every detector that the window owns; detectors that saw no shape of theirs are left out.

    Args:
        window: What to scan.
        tables: What to look up.
        emails: False for formats whose ordinary text imitates addresses (quality strings of reads).

    A valid resident identity number is nothing else: its digits are not shown to the other detectors.
    """
    if len(window.raw) < _SMALL and not may_hold(window.raw):
        return []
    runs = find_runs(window)
    present = _lengths(runs)
    found = [find_emails(window)] if emails else []
    if present & _RESIDENT:
        people = find_resident_ids(window, runs, tables)
        found.append(people)
        runs = _without(window, runs, people.start[people.valid])
        present = _lengths(runs)
    found += [find(window, runs, tables) for find, lengths in FROM_DIGITS.values() if present & lengths]
    owned = (part.owned(window) for part in found if part.start.size)
    return [part for part in owned if part.start.size]


def may_hold(text: bytes) -> bool:
    """False only where no detector can find anything: no run of digits, no two groups, and no at sign.

    Those are what `find_runs` and `find_emails` begin with; look-alikes and escapes must have become ASCII before.
    """
    alike = text.translate(_DIGITS_ALIKE)
    return any(shape in alike for shape in _SHAPES)


def _lengths(runs: Runs) -> set[int]:
    """Lengths that occur, and GROUPS where groups of four do."""
    present = set(np.flatnonzero(np.bincount(runs.length)).tolist())
    return present | {GROUPS} if GROUP in present and runs.pairs.any() else present - {GROUPS}


def _without(window: Window, runs: Runs, starts: Places) -> Runs:
    if not starts.size:
        return runs
    taken = np.zeros(window.data.size, np.bool_)
    taken[starts] = True
    return runs.of(~taken[runs.start])
