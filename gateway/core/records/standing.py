"""Powers that stand for a while: a deputy for an officer, and a channel that clears what two officers described beforehand.

What it is not: what follows from them. Who may vote is `gateway.core.review`, what a channel clears is `gateway.core.channel`.
A change must keep: each has a first and a last day, and none says less than everything it needs: what is not named is outside.

Sources: the separation of the three administrators (三员分立) of GB/T 22239-2019; the plan's clause 17 (绿色通道).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

CHANNEL_LIFE = timedelta(days=366)
DELEGATION_LIFE = timedelta(days=92)
MAX_COLUMNS = 2_000
MAX_TOLERANCE = 50


@dataclass(frozen=True)
class Delegation:
    """A deputy: a person qualified for an officer's role who votes in the officer's name on some days.

    Attributes:
        id: Of this record.
        officer: The officer's id.
        person: The deputy.
        key: The deputy's own SSH key, a line of `authorized_keys`; it signs ballots, never changes of the registry.
        valid_from: First day.
        valid_to: Last day, at most 92 later.
        reason: Why; kept with the change.
    """

    id: str
    officer: str
    person: str
    key: str
    valid_from: date
    valid_to: date
    reason: str

    def holds_on(self, day: date) -> bool:
        """Whether it holds on that day, last day included."""
        return self.valid_from <= day <= self.valid_to


@dataclass(frozen=True)
class Channel:
    """A standing clearance (绿色通道): what may pass without waiting for votes, everything named, nothing left open.

    Attributes:
        id: Of this record; totals are counted under it for ever.
        institution: Who sends.
        project: Under which purpose.
        endpoint: Who receives.
        rules: Ids of the rules whose hold it cures; only holds for a judgement can be among them.
        columns: Every column or key that may occur, with the kinds of findings allowed in it.
        formats: Every format that may occur.
        classes: Every class of data that may occur.
        kinds: Kinds of findings allowed elsewhere than in a column.
        files: Files of one transfer, at most.
        bytes: Their bytes, at most.
        persons: Persons of one transfer, as usual; 0 for data about nobody.
        tolerance: By how many percent a transfer may exceed `persons`.
        total_files: Files of all transfers together, at most.
        total_bytes: Their bytes, at most.
        total_persons: Persons of all transfers added up, at most.
        valid_from: First day.
        valid_to: Last day, at most 366 later.
        sample_percent: Share of transfers drawn for a look afterwards (抽检), 1 to 100.
        filings: Filings of the institution that must be in force.
        reason: Why the two officers may answer for it beforehand.
    """

    id: str
    institution: str
    project: str
    endpoint: str
    rules: tuple[str, ...]
    columns: Mapping[str, Any]
    formats: tuple[str, ...]
    files: int
    bytes: int
    persons: int
    total_files: int
    total_bytes: int
    total_persons: int
    valid_from: date
    valid_to: date
    sample_percent: int
    reason: str
    classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tolerance: int = 0
    filings: tuple[str, ...] = field(default=())


def delegation_complaints(record: Delegation) -> Iterator[str]:
    """What is wrong with a delegation that is well typed."""
    yield from _term(record.valid_from, record.valid_to, DELEGATION_LIFE)
    if not record.reason.strip():
        yield "reason is missing: say why the officer needs a deputy"


def channel_complaints(record: Channel) -> Iterator[str]:
    """What is wrong with a channel that is well typed."""
    yield from _term(record.valid_from, record.valid_to, CHANNEL_LIFE)
    if not record.reason.strip():
        yield "reason is missing: say why this may pass without waiting"
    if not record.rules or not record.formats:
        yield "rules and formats must be named: what is not named does not pass"
    if not 1 <= record.sample_percent <= 100:
        yield "sample_percent must be 1 to 100: a channel nobody looks into is no channel"
    if record.tolerance > MAX_TOLERANCE:
        yield f"tolerance must be 0 to {MAX_TOLERANCE} percent"
    if not record.files or not record.bytes:
        yield "files and bytes must be at least 1"
    for name in ("files", "bytes", "persons"):
        if getattr(record, name) > getattr(record, f"total_{name}"):
            yield f"total_{name} is less than one transfer's {name}"
    if len(record.columns) > MAX_COLUMNS or not all(_words(kinds) for kinds in record.columns.values()):
        yield f"columns must be at most {MAX_COLUMNS} names, each with a list of kinds (an empty one for none)"


def _term(first: date, last: date, longest: timedelta) -> Iterator[str]:
    if not first <= last <= first + longest:
        yield f"valid_to must be the day valid_from, or at most {longest.days} later"


def _words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) and word.strip() for word in value)
