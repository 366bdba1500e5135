"""Filings, as people look at them: how each stands on a day, how full it is, and whether a paper is the one that was signed.

What it is not: a register. What is on file is in the registry, under two signatures; nothing here changes it.

When a step fails: no such filing -> NotFound; the database away -> StoreError.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.core.calendar import WorkCalendar
from gateway.core.choices import CAREFUL, Choices
from gateway.core.facts import local_day
from gateway.core.filings import STATES, FilingStanding, standing
from gateway.core.records import FiledMechanism
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.usage import Used, used


@dataclass(frozen=True)
class Stood:
    """A filing as it stands on a day.

    Attributes:
        filing: As registered.
        standing: Its state and terms.
        used: What went under it.
    """

    filing: FiledMechanism
    standing: FilingStanding
    used: Used

    @property
    def count(self) -> int:
        """What its cap is about: persons, or subjects of human genetic resources."""
        return self.used.of(self.filing.kind)


class Filings:
    """Looks at filings.

    Args:
        recorder: Its records and clock.
        registrar: Who is registered.
        calendar: The mainland's working days.
        choices: How the installed pack reads what the law leaves open.
    """

    def __init__(
        self, *, recorder: Recorder, registrar: Registrar, calendar: WorkCalendar, choices: Choices = CAREFUL
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._calendar = calendar
        self._choices = choices

    async def all(self, *, institution: str = "", on: date | None = None) -> list[Stood]:
        """Every filing, or those of an institution, by id.

        Args:
            institution: Its id; empty for all.
            on: The day they are looked at, today where not given. Persons are those sent until now in any case.
        """
        registry = await self._registrar.registry()
        mine = [each for each in registry.all(FiledMechanism) if institution in {"", each.institution}]
        return await self._stood(mine, on)

    async def show(self, filing_id: str, *, on: date | None = None) -> Stood:
        """One filing; raises NotFound."""
        registry = await self._registrar.registry()
        return (await self._stood([registry.get(FiledMechanism, filing_id)], on))[0]

    async def counts(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """For gauges: filings by state, and by kind the days until the first one that holds ends.

        As they stood a moment ago. Nobody is counted for it, so a filing whose cap is reached is `in_force` here.
        """
        registry = await self._registrar.recent()
        today = local_day(self._recorder.clock.now())
        found = [
            (each.kind, standing(each, today, self._calendar, choices=self._choices))
            for each in registry.all(FiledMechanism)
        ]
        states = Counter(each.state for _, each in found)
        days: dict[str, int] = {}
        for kind, each in found:
            if each.days_left is not None and each.state not in {"expired", "not_started"}:
                days[kind] = min(each.days_left, days.get(kind, each.days_left))
        return {state: states[state] for state in STATES}, days

    async def _stood(self, filings: Sequence[FiledMechanism], on: date | None) -> list[Stood]:
        day = on or local_day(self._recorder.clock.now())
        async with self._recorder.records.read() as view:
            counted = [await used(view, each) for each in filings]
        return [
            Stood(filing, standing(filing, day, self._calendar, count.of(filing.kind), self._choices), count)
            for filing, count in zip(filings, counted, strict=True)
        ]


def recorded_document(filing: FiledMechanism, digest: str) -> str | None:
    """The name of the filing's document that has this digest; None where it has none."""
    for each in filing.evidence:
        if hmac.compare_digest(each.sha256, digest):
            return each.name
    return filing.id if filing.evidence_sha256 and hmac.compare_digest(filing.evidence_sha256, digest) else None


def missing_documents(filing: FiledMechanism, given: Sequence[str]) -> tuple[str, ...]:
    """Names of recorded documents whose digests are not among those given."""
    named = {each.sha256: each.name for each in filing.evidence}
    return tuple(named.get(each, filing.id) for each in filing.digests() if each not in given)
