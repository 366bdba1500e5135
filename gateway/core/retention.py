"""Retention: until when a record must be kept, by the table `policies/retention.toml`.

What it is not: deletion, or a reader of records. Whoever deletes asks first.

A change must keep these:
1. A kind that the table does not have is kept by its longest term, never by none.
2. What runs on (a contract in force, an incident not closed) has no last day.
3. The last day is kept: three years from 20 November are over when the 21st begins, Asia/Shanghai; 29 February and three years
   are over when 1 March begins.
4. A setting may lengthen a term and never shorten it.

Source: rules.md section 8.1 (CSL art 23(3), Order 790 art 12, PIPL art 56, Order 16 art 9, incident measures art 8, DSL art 33).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final

from gateway.core.calendar import add_months
from gateway.core.errors import Unusable
from gateway.core.rulebook import Rulebook, recorded
from gateway.core.rulebook.entry import said, spoken
from gateway.core.rulebook.rule import CERTAINTIES

STARTS: Final = ("made", "ended")
_KEYS: Final = frozenset({"id", "months", "from", "citations", "certainty", "what"})
_MOST: Final = 1200  # months; a longer term is a slip of the pen


@dataclass(frozen=True)
class Kept:
    """What a term is counted from.

    Attributes:
        made: Day the record was made, Asia/Shanghai.
        ended: Day on which what it records ended (last valid day, day the closing report was filed); None while it runs.
    """

    made: date
    ended: date | None = None


@dataclass(frozen=True)
class Keep:
    """One row: a kind of record, its least term in calendar months, and what it is counted from."""

    id: str
    months: int
    start: str
    citations: tuple[str, ...]
    certainty: str
    what: Mapping[str, str]


@dataclass(frozen=True)
class Retention:
    """The table, by kind."""

    rows: Mapping[str, Keep]

    def months(self, kind: str) -> int:
        """The least term of a kind, in calendar months; the longest of all where it has no row."""
        row = self.rows.get(kind)
        return row.months if row is not None else max(each.months for each in self.rows.values())

    def keep_until(self, kind: str, facts: Kept, *, years: int = 0) -> date | None:
        """The last day a record must be there, itself included; None while what it records runs.

        Args:
            kind: A row's id; another word is kept by the longest term of all.
            facts: Since when.
            years: What a setting asks for; the longer of the two holds.
        """
        row = self.rows.get(kind)
        start = (facts.ended or facts.made) if row is None else facts.made if row.start == "made" else facts.ended
        return None if start is None else add_months(max(start, facts.made), max(self.months(kind), 12 * years))

    def may_delete(self, kind: str, facts: Kept, on: date) -> bool:
        """Whether a record may be deleted on a day."""
        until = self.keep_until(kind, facts)
        return until is not None and on > until


def deletable_from(until: date) -> date:
    """The first day on which what is kept until a day may be deleted."""
    return until + timedelta(days=1) if until < date.max else date.max


def parse_retention(document: bytes, rulebook: Rulebook) -> Retention:
    """The table from its TOML.

    Args:
        document: Content of `retention.toml`.
        rulebook: Whose instruments are cited.

    Raises:
        Unusable: With every fault found.
    """
    try:
        told = tomllib.loads(document.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"retention: {wrong}") from wrong
    entries = told.get("keep", [])
    if set(told) != {"keep"} or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Unusable("retention: must hold [[keep]] tables and nothing else")
    faults = [
        f"{entry.get('id', 'a row without id')}: {fault}" for entry in entries for fault in _faults(entry, rulebook)
    ]
    ids = [entry.get("id") for entry in entries]
    faults += ["an id is taken twice"] if len({str(each) for each in ids}) < len(ids) else []
    if faults:
        raise Unusable("the retention table cannot be used: " + "; ".join(faults))
    return Retention(MappingProxyType({entry["id"]: _row(entry) for entry in entries}))


def _faults(entry: Mapping[str, Any], rulebook: Rulebook) -> list[str]:
    if set(entry) != _KEYS:
        return [f"keys {sorted(set(entry) ^ _KEYS)} are missing or unknown"]
    faults = [] if spoken(entry["what"]) and said(entry["id"]) else ["id and what need text in every language"]
    if type(entry["months"]) is not int or not 1 <= entry["months"] <= _MOST:
        faults.append(f"months must be 1 to {_MOST}")
    if entry["from"] not in STARTS or entry["certainty"] not in CERTAINTIES:
        faults.append("unknown word in from or certainty")
    if not isinstance(entry["citations"], list) or not entry["citations"]:
        return [*faults, "it cites nothing"]
    return faults + [
        f"it cites {text!r}, which is not recorded"
        for text in entry["citations"]
        if not recorded(text, rulebook.instruments)
    ]


def _row(entry: Mapping[str, Any]) -> Keep:
    return Keep(
        id=entry["id"],
        months=entry["months"],
        start=entry["from"],
        citations=tuple(entry["citations"]),
        certainty=entry["certainty"],
        what=MappingProxyType(dict(entry["what"])),
    )
