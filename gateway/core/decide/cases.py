"""Golden cases: facts with the verdict and the exact rules they must give, so that a pack is judged before it decides.

What it is not: a test of the code alone. Officers read and write cases; a pack is not fit for use while one fails.

A change must keep these:
1. A case names all rules that fire, not only the verdict: "no rule is a hold" would hide a missing hold.
2. Every rule has a case it fires in, and one that is named as a near miss.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.calendar import WorkCalendar
from gateway.core.decide.decision import decide
from gateway.core.errors import Unusable
from gateway.core.rulebook import Rulebook
from gateway.core.situation import Vocabulary, parse_situation

_REQUIRED: Final = frozenset({"id", "title", "verdict", "rules", "facts"})
_OPTIONAL: Final = frozenset({"misses", "flags", "mechanism"})


@dataclass(frozen=True)
class Case:
    """One golden case.

    Attributes:
        id: Unique; `13.5` is case 5 of the brief's section 13.
        title: One line for people.
        facts: A document for `parse_situation`.
        verdict: The verdict expected.
        rules: Ids of all rules that fire, strictest first.
        misses: Rules this case is a near miss of.
        flags: Flags expected.
        mechanism: Mechanism expected; empty where the case does not say.
    """

    id: str
    title: str
    facts: Mapping[str, Any]
    verdict: str
    rules: tuple[str, ...]
    misses: tuple[str, ...]
    flags: tuple[str, ...]
    mechanism: str


@dataclass(frozen=True)
class CaseResult:
    """What a case gave; `faults` is empty where it gave what it should."""

    case: Case
    verdict: str
    rules: tuple[str, ...]
    faults: tuple[str, ...]


def parse_cases(documents: Mapping[str, bytes]) -> tuple[Case, ...]:
    """Cases from TOML documents by path, in the order of the paths.

    Raises:
        Unusable: With every fault found.
    """
    faults: list[str] = []
    found: dict[str, Case] = {}
    for path in sorted(documents):
        for entry in _entries(path, documents[path], faults):
            name = str(entry.get("id", "a case without id"))
            wrong = _REQUIRED - set(entry) | (set(entry) - _REQUIRED - _OPTIONAL)
            if wrong or name in found:
                faults.append(f"{path}: {name}: " + (f"keys {sorted(wrong)}" if wrong else "the id is taken twice"))
                continue
            found[name] = _case(entry)
    if faults:
        raise Unusable("the cases cannot be used: " + "; ".join(faults))
    return tuple(found.values())


def check_cases(
    cases: Iterable[Case], rulebook: Rulebook, vocabulary: Vocabulary, calendar: WorkCalendar
) -> tuple[CaseResult, ...]:
    """Every case decided and compared with what it expects."""
    return tuple(_check(case, rulebook, vocabulary, calendar) for case in cases)


def uncovered(cases: Iterable[Case], rulebook: Rulebook) -> tuple[str, ...]:
    """What the cases leave untried: rules without a hit or a near miss, and rules they name that do not exist."""
    listed = tuple(cases)
    hits = {rule for case in listed for rule in case.rules}
    misses = {rule for case in listed for rule in case.misses}
    known = [rule.id for rule in rulebook.rules]
    return (
        *(f"{rule}: no case makes it fire" for rule in known if rule not in hits),
        *(f"{rule}: no case is a near miss of it" for rule in known if rule not in misses),
        *(f"{rule}: named by a case, but not in the pack" for rule in sorted((hits | misses) - set(known))),
    )


def _entries(path: str, data: bytes, faults: list[str]) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{path}: {error}")
        return []
    listed = document.get("case", [])
    if set(document) != {"case"} or not isinstance(listed, list):
        faults.append(f"{path}: must hold [[case]] tables and nothing else")
        return []
    return listed


def _case(entry: Mapping[str, Any]) -> Case:
    return Case(
        id=str(entry["id"]),
        title=entry["title"],
        facts=entry["facts"],
        verdict=entry["verdict"],
        rules=tuple(entry["rules"]),
        misses=tuple(entry.get("misses", ())),
        flags=tuple(sorted(entry.get("flags", ()))),
        mechanism=entry.get("mechanism", ""),
    )


def _check(case: Case, rulebook: Rulebook, vocabulary: Vocabulary, calendar: WorkCalendar) -> CaseResult:
    try:
        situation = parse_situation(case.facts, vocabulary)
    except Unusable as error:
        return CaseResult(case, "", (), (error.message,))
    decision = decide(rulebook, situation, calendar)
    faults = [
        f"{what}: expected {expected}, got {got}"
        for what, expected, got in (
            ("verdict", case.verdict, decision.verdict),
            ("rules", list(case.rules), list(decision.rules)),
            ("flags", list(case.flags), list(decision.flags)),
            ("mechanism", case.mechanism or decision.mechanism, decision.mechanism),
        )
        if expected != got
    ]
    faults += [f"misses: {rule} fired" for rule in case.misses if rule in decision.rules]
    return CaseResult(case, decision.verdict, decision.rules, tuple(faults))
