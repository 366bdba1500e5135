"""Rules, instruments and the rulebook as values.

What it is not: the reading of rule files (`pack.py`) or their application (`core/decide.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import cel

from gateway.core.choices import CAREFUL, Choices

VERDICTS: Final = ("deny", "hold", "allow")
"""Strictest first."""

CURES: Final = ("documents", "judgement", "none")
CERTAINTIES: Final = ("verified", "secondary", "memory", "open")
DIRECTIONS: Final = ("export", "inbound")
STATUSES: Final = ("verified", "secondary", "memory")


@dataclass(frozen=True)
class Citation:
    """An article of an instrument, as `instrument:article` in the files."""

    instrument: str
    article: str


@dataclass(frozen=True)
class Article:
    """What an article says, in short own words, and how it was checked."""

    text: str
    status: str


@dataclass(frozen=True)
class Instrument:
    """A law, regulation, measure, standard or guideline.

    Attributes:
        id: Kebab-case identifier.
        titles: By language.
        issuer: Who issued it.
        number: Its official number.
        since: First day in force, in whatever version.
        until: Last day in force; None while it is.
        version: Day the version came into force after which the articles are numbered.
        status: How the text was checked: one of `STATUSES`.
        articles: The cited ones, by number.
    """

    id: str
    titles: Mapping[str, str]
    issuer: str
    number: str
    since: date
    until: date | None
    version: date
    status: str
    articles: Mapping[str, Article]

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return self.since <= on and (self.until is None or on <= self.until)


@dataclass(frozen=True)
class Rule:
    """One row of the law, or a part of one.

    Attributes:
        id: Unique; the row's code, or the row's code, a dot and a number.
        row: Code of the row in the decision table.
        titles: By language.
        condition: CEL over the vocabulary.
        verdict: `deny`, `hold` or `allow`.
        cure: What clears a hold: `documents` (decide again once they are recorded), `judgement` (votes); else `none`.
        mechanism: The mechanism needed, or used where the rule allows.
        remedies: By language: what to do; for an allow, what must stay true.
        citations: Articles it rests on; never empty.
        since: First day it applies.
        until: Last day it applies; None while it does.
        certainty: How sure its reading is: one of `CERTAINTIES`.
        directions: Whether it runs on exports, on inbound transfers or on both.
        flags: Words it puts beside the verdict when it fires.
        program: The compiled condition.
    """

    id: str
    row: str
    titles: Mapping[str, str]
    condition: str
    verdict: str
    cure: str
    mechanism: str
    remedies: Mapping[str, str]
    citations: tuple[Citation, ...]
    since: date
    until: date | None
    certainty: str
    directions: frozenset[str]
    flags: tuple[str, ...]
    program: cel.Program = field(compare=False, repr=False)

    def applies(self, on: date, direction: str) -> bool:
        """Whether the rule is in force on a day and runs in a direction."""
        return direction in self.directions and self.since <= on and (self.until is None or on <= self.until)


@dataclass(frozen=True)
class Rulebook:
    """A rule pack that passed every check at load.

    Attributes:
        rules: In the order of the pack.
        instruments: By id.
        operands: Readable fields by section ("" for those at the root): what a condition's context holds.
        digest: SHA-256 over the canonical content of all documents, hex.
        choices: How the pack reads what the law leaves open.
    """

    rules: tuple[Rule, ...]
    instruments: Mapping[str, Instrument]
    operands: Mapping[str, tuple[str, ...]]
    digest: str
    choices: Choices = CAREFUL

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of an id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)
