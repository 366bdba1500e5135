"""Retention: from which day a record may be destroyed, and what stands in its way until then.

What it is not: the destroying (`flow.retention`). It computes from stated facts and says on which article a term rests.

A change must keep these:
1. Terms are data (`policies/retention.toml`); each cites an article of an instrument of the pack, or says it is our design.
   Articles that no rule rests on stand in the table itself, so that a term changes no pack's digest.
2. A term of years ends with the day of the same date, the 28th of February where there is none (Civil Code arts 201, 202); the
   record may go on the day after. What has not ended has no such day.
3. A setting may lengthen a term and never shorten it.

Sources: Order 790 art 12 (records of providing, three years), PIPL art 56, CSL art 23(3) (logs, six months), rules.md 8.1.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.core.calendar import add_months, add_years
from gateway.core.errors import Unusable
from gateway.core.rulebook import Rulebook

OBJECTS: Final = ("transfer", "receipt", "filing", "incident", "impact_assessment", "log")
BEGINNINGS: Final = {
    "transfer": "ended", "receipt": "ended", "filing": "last_valid_day", "incident": "closed",
    "impact_assessment": "made", "log": "written",
}  # fmt: skip
CERTAINTIES: Final = ("verified", "secondary", "memory", "design")
_KEYS: Final = frozenset({"object", "from", "citations", "certainty", "what"})
_LANGUAGES: Final = frozenset({"en", "zh-Hans", "zh-Hant"})


@dataclass(frozen=True)
class Term:
    """How long an object is kept at least; see the table's own comments."""

    object: str
    start: str
    months: int
    citations: tuple[str, ...]
    certainty: str
    what: Mapping[str, str]


def kept_to(start: date, years: int) -> date:
    """The last day of a term of years that begins on a day: that date, so many years on."""
    return add_years(start, years)


def last_kept_day(term: Term, start: date, *, years: int = 0) -> date:
    """The last day something must be kept.

    Args:
        term: The legal minimum.
        start: The day its term begins on, Asia/Shanghai; not counted.
        years: What a setting asks for; the longer of the two holds.
    """
    return max(add_months(start, term.months), add_years(start, years))


def may_go_from(last_kept: date) -> date:
    """The first day on which it may be destroyed."""
    return last_kept + timedelta(days=1) if last_kept < date.max else date.max


def parse_retention(document: bytes, rulebook: Rulebook) -> Mapping[str, Term]:
    """The terms from TOML, by object.

    Raises:
        Unusable: With every fault found: an object that is missing, named twice or unknown, an article the pack does not have.
    """
    try:
        told = tomllib.loads(document.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"retention.toml: {wrong}") from wrong
    faults: list[str] = []
    terms: dict[str, Term] = {}
    articles = frozenset(told.get("articles", {}))
    for entry in told.get("term", []):
        name = str(entry.get("object", "a term without object"))
        wrong_here = _faults(entry, rulebook, articles) + (["it is there twice"] if name in terms else [])
        faults += [f"{name}: {each}" for each in wrong_here]
        if not wrong_here:
            terms[name] = _term(entry)
    faults += [f"{each}: it is missing" for each in OBJECTS if each not in terms and not faults]
    if faults:
        raise Unusable("retention.toml cannot be used: " + "; ".join(faults))
    return terms


def _faults(entry: Mapping[str, Any], rulebook: Rulebook, articles: frozenset[str]) -> list[str]:
    if set(entry) - {"years", "months"} != _KEYS or len({"years", "months"} & set(entry)) != 1:
        return ["it needs " + ", ".join(sorted(_KEYS)) + ", and years or months"]
    length = entry.get("years", entry.get("months"))
    found = [] if entry["object"] in OBJECTS else ["there is no such object"]
    found += [] if entry["from"] == BEGINNINGS.get(entry["object"]) else [f"it does not begin with {entry['from']!r}"]
    found += [] if type(length) is int and 0 < length <= 100 else ["its length must be 1 to 100"]
    found += [] if entry["certainty"] in CERTAINTIES else [f"unknown certainty {entry['certainty']!r}"]
    found += [] if set(entry["what"]) == _LANGUAGES else ["what must be said in " + ", ".join(sorted(_LANGUAGES))]
    found += [] if entry["citations"] or entry["certainty"] == "design" else ["it cites nothing"]
    for cited in entry["citations"]:
        instrument, _, article = cited.partition(":")
        known = rulebook.instruments.get(instrument)
        if known is None or (cited not in articles and article not in known.articles):
            found.append(f"neither the pack nor this table has {cited}")
    return found


def _term(entry: Mapping[str, Any]) -> Term:
    return Term(
        object=entry["object"],
        start=entry["from"],
        months=entry["months"] if "months" in entry else 12 * entry["years"],
        citations=tuple(entry["citations"]),
        certainty=entry["certainty"],
        what=dict(entry["what"]),
    )
