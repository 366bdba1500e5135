"""Incident clocks: who must be told of a leak or a break-in, and by when.

What it is not: advice, or a sender of reports. It computes terms from stated facts and says on which article each rests.

The rules:
1. Duties are data (`policies/clocks.toml`); each cites an article of the pack's instruments.
2. What is not known starts a clock: a doubt about size counts as the greater one, since a report too many can be withdrawn.
3. A term of hours runs from the minute of discovery; one of days ends with its last day in Asia/Shanghai.

Sources: Measures on Reporting National Cybersecurity Incidents (CAC, 2025) arts 4, 7, 8 and annex; PIPL art 57; Order 790 art 10;
Cap. 653 of Hong Kong (rules.md 7 and 8.3).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from gateway.core.errors import Unusable
from gateway.core.facts import SHANGHAI
from gateway.core.rulebook import Rulebook

SIZES: Final = ("any", "larger", "major", "severe")
WORDS: Final = (
    "ciio", "state_organ", "personal", "important_data", "hgr", "secret", "hk_operator", "hk_serious", "product_flaw"
)  # fmt: skip
_KEYS: Final = frozenset({"id", "size", "when", "from", "citations", "certainty", "who"})
_LANGUAGES: Final = frozenset({"en", "zh-Hans", "zh-Hant"})


@dataclass(frozen=True)
class Incident:
    """What is known of an incident.

    Attributes:
        discovered_at: When somebody saw it, aware.
        ended_at: When handling ended, aware; None while it goes on.
        persons: Distinct persons whose data leaked or may have; None where nobody knows yet.
        true: The words of WORDS that hold.
    """

    discovered_at: datetime
    ended_at: datetime | None
    persons: int | None
    true: frozenset[str]


@dataclass(frozen=True)
class Clock:
    """One duty to tell; see the table's own comments."""

    id: str
    size: str
    when: tuple[str, ...]
    start: str
    term: timedelta
    citations: tuple[str, ...]
    certainty: str
    who: Mapping[str, str]


@dataclass(frozen=True)
class Clocks:
    """The table. `sizes`: persons from which an incident is of a size."""

    clocks: tuple[Clock, ...]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Due:
    """A duty that an incident starts; `by` is None where its clock has not begun (handling goes on)."""

    clock: Clock
    by: datetime | None

    def overdue(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.by is not None and now > self.by


def size_of(incident: Incident, table: Clocks) -> str:
    """The incident's class by the annex; unknown numbers and lost important data count as `larger` at least."""
    persons = incident.persons
    by_number = next(
        (size for size in reversed(SIZES[1:]) if persons is not None and persons >= table.sizes[size]), "any"
    )
    if by_number == "any" and (persons is None or incident.true & {"important_data", "secret"}):
        return "larger"
    return by_number


def due(incident: Incident, table: Clocks) -> tuple[Due, ...]:
    """Every duty the incident starts, the most urgent first; those that have not begun last."""
    size = SIZES.index(size_of(incident, table))
    started = [
        Due(clock, _by(clock, incident))
        for clock in table.clocks
        if SIZES.index(clock.size) <= size and all(_holds(word, incident) for word in clock.when)
    ]
    never = datetime.max.replace(tzinfo=SHANGHAI)
    return tuple(sorted(started, key=lambda each: (each.by or never, each.clock.id)))


def _holds(word: str, incident: Incident) -> bool:
    return word.removeprefix("!") in incident.true if not word.startswith("!") else word[1:] not in incident.true


def _by(clock: Clock, incident: Incident) -> datetime | None:
    start = incident.discovered_at if clock.start == "discovered" else incident.ended_at
    if start is None:
        return None
    if clock.term.days and not clock.term.seconds and clock.start == "ended":
        last = start.astimezone(SHANGHAI).date() + clock.term
        return datetime.combine(last, time.max, SHANGHAI)
    return start + clock.term


def parse_clocks(document: bytes, rulebook: Rulebook) -> Clocks:
    """The table from TOML.

    Raises:
        Unusable: With every fault found: unknown words, articles the pack does not have, ids taken twice, sizes out of order.
    """
    try:
        told = tomllib.loads(document.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"clocks.toml: {wrong}") from wrong
    faults: list[str] = []
    sizes = told.get("sizes", {})
    if [*sizes] != [*SIZES[1:]] or sorted(sizes.values()) != [*sizes.values()]:
        faults.append("sizes must be larger, major and severe, each greater than the one before")
    clocks: dict[str, Clock] = {}
    for entry in told.get("clock", []):
        name = str(entry.get("id", "a clock without id"))
        wrong_here = _faults(entry, rulebook)
        if name in clocks:
            wrong_here.append("the id is taken twice")
        faults += [f"{name}: {each}" for each in wrong_here]
        if not wrong_here:
            clocks[name] = _clock(entry)
    if not clocks and not faults:
        faults.append("there are no clocks")
    if faults:
        raise Unusable("clocks.toml cannot be used: " + "; ".join(faults))
    return Clocks(tuple(clocks.values()), sizes)


def _faults(entry: Mapping[str, Any], rulebook: Rulebook) -> list[str]:
    if set(entry) - {"hours", "days"} != _KEYS or len({"hours", "days"} & set(entry)) != 1:
        return ["it needs " + ", ".join(sorted(_KEYS)) + ", and hours or days"]
    found = [f"unknown word {word}" for word in entry["when"] if word.removeprefix("!") not in WORDS]
    found += [] if entry["size"] in SIZES else [f"unknown size {entry['size']!r}"]
    found += [] if entry["from"] in {"discovered", "ended"} else [f"unknown beginning {entry['from']!r}"]
    found += [] if set(entry["who"]) == _LANGUAGES else ["who must be named in " + ", ".join(sorted(_LANGUAGES))]
    found += [] if entry["citations"] else ["it cites nothing"]
    for cited in entry["citations"]:
        instrument, _, article = cited.partition(":")
        if instrument not in rulebook.instruments or article not in rulebook.instruments[instrument].articles:
            found.append(f"the pack has no {cited}")
    return found


def _clock(entry: Mapping[str, Any]) -> Clock:
    return Clock(
        id=entry["id"],
        size=entry["size"],
        when=tuple(entry["when"]),
        start=entry["from"],
        term=timedelta(hours=entry.get("hours", 0), days=entry.get("days", 0)),
        citations=tuple(entry["citations"]),
        certainty=entry["certainty"],
        who=dict(entry["who"]),
    )
