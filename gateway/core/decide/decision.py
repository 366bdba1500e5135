"""The decision: one verdict with its reasons. The rules a change must keep stand in the package's docstring.

The steps, with their numbers at the code:
    1. close the situation upwards   2. derive   3. evaluate every rule in force for the direction
    4. order, strictest first, then by place in the pack   5. gather what the decision tells
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cel

from gateway.core.calendar import WorkCalendar
from gateway.core.derive import Derived, derive
from gateway.core.rulebook import NO_RULE, Citation, Rule, Rulebook
from gateway.core.situation import Situation, close_upwards, situation_document
from gateway.wire import canonical

_STRICTNESS: Final = {"deny": 0, "hold": 1, "allow": 2}
_EVALUATION_ERRORS: Final = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the CEL library raises when a program cannot be run."""


@dataclass(frozen=True)
class FiredRule:
    """A rule that fired; `error` tells why its evaluation failed, empty where it did not."""

    id: str
    row: str
    verdict: str
    cure: str
    error: str = ""


@dataclass(frozen=True)
class Remedy:
    """What to do about one rule, by language; `cure` as the rule has it."""

    rule: str
    cure: str
    texts: Mapping[str, str]


@dataclass(frozen=True)
class CitedArticle:
    """An article a fired rule rests on."""

    rule: str
    citation: Citation


@dataclass(frozen=True)
class Decision:
    """A verdict with its reasons.

    Attributes:
        verdict: `deny`, `hold` or `allow`.
        fired: Every rule that fired, strictest first.
        flags: Words beside the verdict, such as `volume` or `provisional-calendar`.
        citations: Articles of all fired rules, in their order.
        mechanism: What the deciding rules need, or used.
        remedies: What would help, for each fired rule that does not allow.
        rulebook: Digest of the pack, hex.
        situation: What was known, closed upwards: what the rules read.
        derived: What followed from it.
    """

    verdict: str
    fired: tuple[FiredRule, ...]
    flags: tuple[str, ...]
    citations: tuple[CitedArticle, ...]
    mechanism: str
    remedies: tuple[Remedy, ...]
    rulebook: str
    situation: Situation
    derived: Derived

    @property
    def rules(self) -> tuple[str, ...]:
        """Ids of the fired rules, strictest first."""
        return tuple(rule.id for rule in self.fired)

    def to_json(self) -> dict[str, Any]:
        """The public form, as `hetao policy check --json` prints it."""
        return {
            "verdict": self.verdict,
            "rules": list(self.rules),
            "flags": list(self.flags),
            "citations": [
                {"rule": cited.rule, "instrument": cited.citation.instrument, "article": cited.citation.article}
                for cited in self.citations
            ],
            "mechanism": self.mechanism,
            "remedies": [{"rule": remedy.rule, "cure": remedy.cure, **remedy.texts} for remedy in self.remedies],
            "rulebook": self.rulebook,
        }

    def record(self) -> dict[str, Any]:
        """The whole decision as JSON values: what the digest covers and a certificate holds.

        Remedies are left out: they are texts of the pack, which `rulebook` already fixes.
        """
        public = {key: value for key, value in self.to_json().items() if key != "remedies"}
        derived = {**vars(self.derived), "in_force": list(self.derived.in_force)}
        fired = [vars(rule) for rule in self.fired]
        return {"v": 1, **public, "fired": fired, "situation": situation_document(self.situation), "derived": derived}

    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON (RFC 8785) of `record()`, 32 bytes."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(canonical.encode(self.record())).digest()


def decide(rulebook: Rulebook, situation: Situation, calendar: WorkCalendar) -> Decision:
    """The one verdict on a situation.

    Args:
        rulebook: The pack to decide under.
        situation: Every fact; need not be closed.
        calendar: The mainland's working days.
    """
    closed = close_upwards(situation)  # step 1
    derived = derive(closed, calendar, rulebook.choices)  # step 2
    fired = _evaluate(rulebook, closed, derived)  # step 3
    fired.sort(key=lambda pair: _STRICTNESS[pair[0].verdict])  # step 4: the sort is stable
    rules = [rule for _, rule in fired]
    outcomes = tuple(outcome for outcome, _ in fired) or (FiredRule(NO_RULE, NO_RULE, "hold", "none"),)
    verdict = outcomes[0].verdict
    return Decision(  # step 5
        verdict=verdict,
        fired=outcomes,
        flags=_flags(fired, derived, rulebook),
        citations=tuple(CitedArticle(rule.id, citation) for rule in rules for citation in rule.citations),
        mechanism=_mechanism(fired, verdict),
        remedies=tuple(
            Remedy(rule.id, outcome.cure, rule.remedies) for outcome, rule in fired if outcome.verdict != "allow"
        ),
        rulebook=rulebook.digest,
        situation=closed,
        derived=derived,
    )


def cures(decision: Decision) -> str:
    """What could clear a decision.

    Returns:
        "" for an allow; "none" for a deny, and for a hold that nobody can clear (no rule fired, or a rule is broken);
        "documents" where a paper is missing, whatever votes say; "judgement" where every hold is one for votes.
    """
    if decision.verdict == "allow":
        return ""
    found = {rule.cure for rule in decision.fired if rule.verdict == decision.verdict}
    return next(cure for cure in ("none", "documents", "judgement") if cure in found)


def _evaluate(rulebook: Rulebook, situation: Situation, derived: Derived) -> list[tuple[FiredRule, Rule]]:
    context = cel.Context(variables=_variables(rulebook, situation, derived))
    direction = "export" if derived.export else "inbound"
    fired = []
    for rule in rulebook.rules:
        if rule.applies(situation.on, direction):
            outcome = _outcome(rule, context)
            if outcome is not None:
                fired.append((outcome, rule))
    return fired


def _variables(rulebook: Rulebook, situation: Situation, derived: Derived) -> dict[str, Any]:
    """What conditions read: only readable facts, none of them a date; lists for tuples, as CEL wants them."""
    found: dict[str, Any] = {"choice": rulebook.choices.readings()}
    for section, names in rulebook.operands.items():
        if section:
            found[section] = _plain(vars(getattr(situation, section)), names)
        else:
            found |= _plain({**vars(situation), **vars(derived)}, names)
    return found


def _plain(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: list(values[name]) if isinstance(values[name], tuple) else values[name] for name in names}


def _outcome(rule: Rule, context: cel.Context) -> FiredRule | None:
    """How a rule fires, or None where it does not."""
    try:
        answer = rule.program.execute(context)
    except _EVALUATION_ERRORS as error:
        return _failed(rule, f"{type(error).__name__}: {error}")
    if answer is True:
        return FiredRule(rule.id, rule.row, rule.verdict, rule.cure)
    return None if answer is False else _failed(rule, f"the condition gave {type(answer).__name__}, not a bool")


def _failed(rule: Rule, why: str) -> FiredRule:
    return FiredRule(rule.id, rule.row, "deny" if rule.verdict == "deny" else "hold", "none", why)


def _flags(fired: list[tuple[FiredRule, Rule]], derived: Derived, rulebook: Rulebook) -> tuple[str, ...]:
    found = set(rulebook.choices.flags()) | {
        flag for outcome, rule in fired if not outcome.error for flag in rule.flags
    }
    if derived.provisional:
        found.add("provisional-calendar")
    if any(outcome.error for outcome, _ in fired):
        found.add("rule-error")
    return tuple(sorted(found))


def _mechanism(fired: list[tuple[FiredRule, Rule]], verdict: str) -> str:
    named = (rule.mechanism for outcome, rule in fired if outcome.verdict == verdict and rule.mechanism != "none")
    return next(named, "none")
