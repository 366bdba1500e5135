"""Retention: a transfer's evidence goes when its term is over, and not a day before; every destruction is a fact.

What it is not: the end of payload keys (`flow.housekeeping`), which goes by appeal terms.

Steps, with what happens when one fails:
1. Ask what stands in the way: not at its end, the appeal term, the term of law, an incident, a later version that carries its
   files. Anything -> Conflict with the day from which it may be, where there is one.
2. In a transaction that looks once more, say in its row that its evidence goes: no new version follows it from then on.
3. Destroy its secrets, the evidence key among them.
4. Record `transfer.forgotten`, and take out of its rows what names files or people. A crash before this leaves `going`, and the
   next round does steps 3 and 4 again; destroying again what is gone is harmless.

Entries stay as they are: commitments without openings. So proofs hold, and who was counted stays counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from gateway.core.errors import Conflict
from gateway.core.facts import Tag, local_day
from gateway.core.retention import Term, last_kept_day, may_go_from
from gateway.core.transfer import ENDS, Transfer
from gateway.flow.incidents import Incidents, Recorded
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import Reading

BATCH = 50
PACE = timedelta(hours=1)  # terms are of days: looking more often finds nothing


@dataclass(frozen=True)
class Kept:
    """Why a transfer's evidence is kept, and its last day where that is known.

    Attributes:
        because: `term`, `open`, `appeal`, `incident` or `carried`.
        last: The last day of it; None where no day can be named yet.
    """

    because: str
    last: date | None


class Retention:
    """Destroys evidence in time.

    Args:
        recorder: The only writer.
        incidents: Whose transfers are kept.
        terms: The legal minimum by object (`core.retention`).
        years: What the operator asks for; 0: nothing goes by itself.
    """

    def __init__(self, *, recorder: Recorder, incidents: Incidents, terms: Mapping[str, Term], years: int) -> None:
        self._recorder = recorder
        self._incidents = incidents
        self._terms = terms
        self._years = years
        self._looked: datetime | None = None

    async def round(self) -> bool:
        """Forget what is due; whether anything was. Looks once in a while (`PACE`) through everything whose term is over."""
        now = self._recorder.clock.now()
        if not self._years or (self._looked is not None and timedelta(0) <= now - self._looked < PACE):
            return False
        self._looked = now
        shortest = timedelta(days=28 * self._terms["transfer"].months)  # no month has fewer days
        before, after, done = now - shortest, "", False
        incidents = await self._incidents.list()
        while True:
            async with self._recorder.records.read() as view:
                page = await view.kept_evidence(before, BATCH, after)
                due = [each for each in page if each.evidence == "going" or await self._free(view, each, incidents)]
            for each in due:
                await self._forget(each, "gateway", incidents)
            done = done or bool(due)
            if len(page) < BATCH:
                return done
            after = page[-1].id

    async def forget(self, transfer_id: str, *, by: str) -> Transfer:
        """Destroy a transfer's evidence now.

        Raises:
            NotFound: There is no such transfer.
            Conflict: It must be kept; the message says until when, or why.
        """
        incidents = await self._incidents.list()

        async def look(ledger: Ledgering) -> Transfer:
            return await ledger.transfer(transfer_id)

        transfer = await self._recorder.do(look)
        return transfer if transfer.evidence == "gone" else await self._forget(transfer, by, incidents)

    async def kept(self, view: Reading, transfer: Transfer, incidents: list[Recorded]) -> list[Kept]:
        """Everything that stands in the way on this day, the longest last."""
        today = local_day(self._recorder.clock.now())
        found = [each for each in self._terms_of(transfer, incidents) if each.last is None or today <= each.last]
        if transfer.state in ENDS and not transfer.keys_destroyed:
            found.append(Kept("appeal", None))
        if await view.carriers(transfer.id):
            found.append(Kept("carried", None))
        return sorted(found, key=lambda each: (each.last is None, each.last or date.max, each.because))

    def _terms_of(self, transfer: Transfer, incidents: list[Recorded]) -> list[Kept]:
        if transfer.ended_at is None:
            return [Kept("open", None)]
        ended = local_day(transfer.ended_at)
        terms = [Kept("term", last_kept_day(self._terms["transfer"], ended, years=self._years))]
        for each in incidents:
            if transfer.id in each.transfers:
                closed = each.closed_at and local_day(each.closed_at)
                last = last_kept_day(self._terms["incident"], closed, years=self._years) if closed else None
                terms.append(Kept("incident", last))
        return terms

    async def _free(self, view: Reading, transfer: Transfer, incidents: list[Recorded]) -> bool:
        return not await self.kept(view, transfer, incidents)

    async def _forget(self, transfer: Transfer, by: str, incidents: list[Recorded]) -> Transfer:
        async def going(ledger: Ledgering) -> date:
            current = await ledger.transfer(transfer.id)
            if current.evidence == "kept":
                if reasons := await self.kept(ledger.tx, current, incidents):  # step 1
                    raise Conflict(_refusal(reasons), code="must-be-kept")
                await ledger.tx.put_transfer(replace(current, evidence="going"))  # step 2
            days = [each.last for each in self._terms_of(current, incidents) if each.last is not None]
            return max(days)

        async def gone(ledger: Ledgering) -> Transfer:
            current = await ledger.transfer(transfer.id)
            if current.evidence == "gone":
                return current
            await ledger.tx.drop_files(current.id)
            words = {"declaration": {}, "manifest": "", "manifest_signature": "", "reason": "", "evidence": "gone"}
            public = {"kept_to": last.isoformat(), "by": by}
            return await ledger.record(current, Tag.FORGOTTEN, actor=by, public=public, changes=words)  # step 4

        last = await self._recorder.do(going)
        await self._recorder.keyring.destroy(transfer.id)  # step 3
        self._recorder.forget_key(transfer.id)
        return await self._recorder.do(gone)


_WORDS = {
    "open": "it is not at its end",
    "term": "the term of keeping runs",
    "appeal": "its payload may still be appealed for",
    "incident": "an incident concerns it",
    "carried": "a later version of the dataset carries its files: forget that one first",
}


def _refusal(reasons: list[Kept]) -> str:
    told = "; ".join(_WORDS[each] for each in dict.fromkeys(each.because for each in reasons))
    days = [each.last for each in reasons if each.last is not None]
    if len(days) < len(reasons):
        return f"the evidence must be kept: {told}" + (f"; not before {may_go_from(max(days))}" if days else "")
    return f"the evidence must be kept: {told}; it may be destroyed from {may_go_from(max(days))} on"
