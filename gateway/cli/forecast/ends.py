"""The two ends of a forecast: what the counts can be once this dataset is sent, and the verdict at either.

Pure. What it is not: a decision on a transfer. The gateway knows who was sent before; here only the numbers are known, so
everybody in the dataset may have been sent before, or nobody.

A change must keep these:
1. The arithmetic is the gateway's own (`flow.decide`, `core.known`): a forecast that counts in another way is worth nothing.
2. The truth lies between the ends, whatever route the dataset takes; a number nobody told has no upper end, and the
   verdict there is that of the strictest number.
3. What was not said of the sender and the recipient is unknown, and takes the strictest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from gateway.core.calendar import WorkCalendar
from gateway.core.decide import Decision, decide
from gateway.core.known import Counted, know
from gateway.core.lineage import UNPROVEN, Lineage
from gateway.core.persons import unpack
from gateway.core.rulebook import Rulebook
from gateway.core.situation import UNKNOWN_COUNT, Situation
from gateway.flow.additions import hgr_of, samples_of, unkeyed_of
from gateway.flow.decide import SPLITTING_PERSONS
from gateway.flow.findings import Already, Joined

NOTHING_BEFORE = Already(0, 0, 0, 0)
COUNTS = ("sensitive", "nonsensitive", "subjects", "sequenced")


@dataclass(frozen=True)
class Span:
    """One count, before and after.

    Attributes:
        before: What was counted before; None where nobody told.
        own: What this dataset holds.
        low: The least it can be afterwards: everybody was sent before.
        high: The most: nobody was. None where `before` is not known.
    """

    before: int | None
    own: int
    low: int
    high: int | None

    def to_json(self) -> dict[str, int | None]:
        """As `--json` prints it; `now` is what was counted before."""
        return {"now": self.before, "own": self.own, "low": self.low, "high": self.high}


def span(before: int | None, own: int) -> Span:
    """The count after sending `own` more, of which nobody knows here who was counted in `before`."""
    if before is None:
        return Span(None, own, own, None)
    return Span(before, own, max(before, own), before + own)


@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Attributes:
        spans: By count: persons with sensitive data, others, subjects of human genetic resources, those sequenced.
        low: The decision where the counts are at their lowest.
        high: The decision where they are at their highest.
        shared_unknown: Whether it matters if other entities sent these persons, which only the gateway knows.
    """

    spans: Mapping[str, Span]
    low: Decision
    high: Decision
    shared_unknown: bool

    @property
    def same(self) -> bool:
        """Whether both ends give the same verdict for the same reasons."""
        return (self.low.verdict, self.low.rules) == (self.high.verdict, self.high.rules)

    @property
    def allowed(self) -> bool:
        """Whether it would be allowed at both ends."""
        return {self.low.verdict, self.high.verdict} == {"allow"}

    def to_json(self) -> dict[str, Any]:
        """The counts and both decisions."""
        return {
            "counts": {name: each.to_json() for name, each in self.spans.items()},
            "low": self.low.to_json(),
            "high": self.high.to_json(),
            "same": self.same,
            "shared_unknown": self.shared_unknown,
        }


def forecast(
    *,
    on: date,
    facts: Situation,
    stated: frozenset[str],
    declared: Mapping[str, Any],
    joined: Joined,
    sent: Mapping[str, int | None],
    rulebook: Rulebook,
    calendar: WorkCalendar,
) -> Forecast:
    """The counts and the verdict at both ends.

    Args:
        on: Day, Asia/Shanghai.
        facts: Sender, recipient, filings, purpose and technical state, as `hetao policy check` reads them.
        stated: Sections of `facts` that somebody stated.
        declared: What is said of the data (`core.declaration`).
        joined: What all files show.
        sent: By count, what was sent before; None where nobody told.
        rulebook: The rules.
        calendar: The mainland's working days.
    """
    own = _own(declared, joined)
    spans = {name: span(sent.get(name), own[name]) for name in COUNTS}

    def at(counted: Counted) -> Decision:
        return decide(rulebook, _situation(on, facts, stated, declared, joined, counted), calendar)

    return Forecast(
        spans=spans,
        low=at(_counted({name: each.low for name, each in spans.items()})),
        high=at(_counted({name: UNKNOWN_COUNT if each.high is None else each.high for name, each in spans.items()})),
        shared_unknown=max(len(unpack(joined.sensitive)), len(unpack(joined.nonsensitive))) >= SPLITTING_PERSONS,
    )


def _own(declared: Mapping[str, Any], joined: Joined) -> dict[str, int]:
    """What this dataset adds where nobody in it was counted before."""
    unkeyed_sensitive, unkeyed_nonsensitive = unkeyed_of(joined, NOTHING_BEFORE, declared.get("persons", {}))
    subjects, sequenced = hgr_of(declared, joined, NOTHING_BEFORE)
    samples, sequenced_samples = samples_of(declared, joined)
    return {
        "sensitive": len(unpack(joined.sensitive)) + unkeyed_sensitive,
        "nonsensitive": len(unpack(joined.nonsensitive)) + unkeyed_nonsensitive,
        "subjects": subjects + len(samples) // 8,
        "sequenced": sequenced + len(sequenced_samples) // 8,
    }


def _counted(counts: Mapping[str, int]) -> Counted:
    return Counted(
        sensitive=counts["sensitive"],
        nonsensitive=counts["nonsensitive"],
        hgr_subjects=counts["subjects"],
        hgr_sequencing_subjects=counts["sequenced"],
        splitting_suspected=False,
    )


def _situation(
    on: date,
    facts: Situation,
    stated: frozenset[str],
    declared: Mapping[str, Any],
    joined: Joined,
    counted: Counted,
) -> Situation:
    known = know(
        on=on,
        direction=facts.direction,
        institution=None,
        person=None,
        endpoint=None,
        filings=(),
        purpose=facts.purpose.stated if "purpose" in stated else None,
        declared=declared,
        findings=joined.facts,
        counted=counted,
        technical=facts.technical,
        # Who came in is known to the gateway alone: a forecast takes the sender's word and can say nothing against it.
        lineage=Lineage(UNPROVEN),
    )
    sender = facts.sender if "sender" in stated else known.sender
    recipient = facts.recipient if "recipient" in stated else known.recipient
    return replace(known, sender=sender, recipient=recipient, filings=facts.filings)
