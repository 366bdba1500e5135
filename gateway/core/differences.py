"""Declared against detected: where the content shows more than the sender said. The stricter wins (`known`); this says where.

What it is not: a verdict. Each difference is a finding (`declared_less`) for officers, and a sentence for the sender.
A change must keep: what was not declared is not declared less (the decision gives it the strictest value); what is unknown
of the content is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.core.classify import is_minor
from gateway.core.declaration import LEVELS

Table = Mapping[str, Any]
_REMEDIES = {"precise_geo": "geo", "secrecy_mark": "mark"}
DETECTED_LEVELS = frozenset({"secret", "core", "important", "important_suspected"})


@dataclass(frozen=True)
class Difference:
    """One thing that was declared lower than it was found.

    Attributes:
        field: Name in the vocabulary, such as `data.level` or `persons.sensitive`.
        declared: What the sender said.
        detected: What the content shows, as the stricter value.
    """

    field: str
    declared: Any
    detected: Any

    @property
    def remedy(self) -> str:
        """Code of what the sender may do about it; no count and no value of the content is in it."""
        section, _, name = self.field.partition(".")
        return f"declared-less-{_REMEDIES.get(name, name) if section == 'data' else section}"

    def finding(self) -> dict[str, Any]:
        """As findings of files are shown (design.md section 8)."""
        count = self.detected if isinstance(self.detected, int) and not isinstance(self.detected, bool) else 1
        return {
            "kind": "declared_less",
            "where": self.field,
            "count": count,
            "distinct": count,
            "confidence": "strong",
            "samples": [],
            "declared": self.declared,
            "detected": self.detected,
        }


def differences(declared: Table, findings: Table, on: date) -> tuple[Difference, ...]:
    """Where the joined findings of a transfer (`flow.findings`) show more than its declaration says.

    Args:
        declared: The declaration.
        findings: Of all files; empty where nothing was classified yet.
        on: The day of the decision, for who is under fourteen.
    """
    if not findings:
        return ()
    data, persons, hgr = (declared.get(section, {}) for section in ("data", "persons", "hgr"))
    found = [*_flags(data, findings, on), *_level(data, findings), *_types(data, findings)]
    found += _less("persons", "sensitive", persons, findings.get("persons_sensitive", 0))
    # Somebody with both kinds of data is in both counts; who was declared with sensitive data was declared.
    if findings.get("persons_nonsensitive", 0) > persons.get("nonsensitive", 0) + persons.get("sensitive", 0):
        found += _less("persons", "nonsensitive", persons, findings["persons_nonsensitive"])
    return tuple(found + _hgr(hgr, findings.get("hgr", {})))


def undeclared_types(types: Any, findings: Table) -> tuple[str, ...]:
    """Categories of sensitive data that were found and that no declared type names; none where no type was declared."""
    said = {str(each).lower() for each in types}
    if not said:
        return ()
    known: Mapping[str, Any] = findings.get("categories", {})
    return tuple(name for name, words in sorted(known.items()) if said.isdisjoint({name, *words}))


def _flags(data: Table, findings: Table, on: date) -> list[Difference]:
    found = {name: bool(findings.get(name)) for name in ("personal", "sensitive", "precise_geo", "secrecy_mark")}
    found["under14"] = is_minor(findings.get("newest_birth", 0), on)
    return [
        Difference(f"data.{name}", declared=False, detected=True)
        for name, seen in found.items()
        if seen and data.get(name) is False
    ]


def _level(data: Table, findings: Table) -> list[Difference]:
    said, seen = data.get("level"), findings.get("level")
    if said is None or seen not in DETECTED_LEVELS or LEVELS.index(said) <= LEVELS.index(seen):
        return []
    return [Difference("data.level", said, seen)]


def _types(data: Table, findings: Table) -> list[Difference]:
    types = list(data.get("types", ()))
    missing = list(undeclared_types(types, findings))
    return [Difference("data.types", types, missing)] if missing else []


def _less(section: str, name: str, said: Table, seen: int) -> list[Difference]:
    return [Difference(f"{section}.{name}", said[name], seen)] if name in said and said[name] < seen else []


def _hgr(said: Table, seen: Table) -> list[Difference]:
    if not seen.get("information"):
        return []
    found = [Difference("hgr.information", declared=False, detected=True)] if said.get("information") is False else []
    if seen.get("aggregate_only"):
        return found
    if said.get("aggregate_only") is True:
        found.append(Difference("hgr.aggregate_only", declared=True, detected=False))
    found += _less("hgr", "subjects", said, seen.get("subjects", 0))
    return found + _less("hgr", "wes_wgs_subjects", said, seen.get("sequencing_subjects", 0))
