"""Retention: a transfer's evidence goes when its term is over, and not a day before; every destruction is a fact.

What it is not: the end of payload keys (`flow.housekeeping`), which goes by appeal terms.

Steps, with what happens when one fails:
1. Ask what stands in the way: not at its end, the appeal term, the term of law, an incident, a later version that carries its
   files. Anything -> Conflict with the day from which it may be, where there is one. The day it ended is the ledger's; a row
   that is in another state than the ledger -> BrokenPromise, and its evidence stays for whoever investigates.
2. In a transaction that looks once more, say in its row that its evidence goes: no new version follows it from then on.
3. Destroy its secrets, the evidence key among them.
4. Record `transfer.forgotten`, and take out of its rows what names files or people. A crash before this leaves `going`, and the
   next round does steps 3 and 4 again; destroying again what is gone is harmless.

Entries stay as they are: commitments without openings. So proofs hold, and who was counted stays counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict
from gateway.core.facts import Tag, local_day
from gateway.core.news import MAX_ENTRY
from gateway.core.retention import Kept as Since
from gateway.core.retention import Retention as Table
from gateway.core.retention import deletable_from
from gateway.core.transfer import ENDS, State, Transfer, advance
from gateway.flow.incidents import Incidents, Recorded
from gateway.flow.recorder import Ledgering, Recorder, check_state
from gateway.ports import Reading

BATCH = 50
TRANSFERS, INCIDENTS, FILINGS = "provision_records", "incidents", "mechanisms"  # rows of the table
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
        table: The legal minimum by kind (`core.retention`).
        years: What the operator asks for; 0: nothing goes by itself.
    """

    def __init__(self, *, recorder: Recorder, incidents: Incidents, table: Table, years: int) -> None:
        self._recorder = recorder
        self._incidents = incidents
        self._table = table
        self._years = years
        self._looked: datetime | None = None

    async def round(self) -> bool:
        """Forget what is due; whether anything was. Looks once in a while (`PACE`) through everything whose term is over."""
        now = self._recorder.clock.now()
        if not self._years or (self._looked is not None and timedelta(0) <= now - self._looked < PACE):
            return False
        self._looked = now
        shortest = timedelta(days=28 * self._table.months(TRANSFERS))  # no month has fewer days
        before, after, done = now - shortest, "", False
        incidents = await self._incidents.list()
        while True:
            async with self._recorder.records.read() as view:
                page = await view.kept_evidence(before, BATCH, after)
                due = [each for each in page if await self._free(view, each, incidents)]
            for each in due:
                done = await self._forgotten(each, incidents) or done
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
        """Everything that stands in the way on this day, the longest last.

        Raises:
            BrokenPromise: The row is not what the ledger says.
        """
        today = local_day(self._recorder.clock.now())
        terms = await self._terms_of(view, transfer, incidents)
        found = [each for each in terms if each.last is None or today <= each.last]
        if transfer.state in ENDS and not transfer.keys_destroyed:
            found.append(Kept("appeal", None))
        if await view.carriers(transfer.id):
            found.append(Kept("carried", None))
        return sorted(found, key=lambda each: (each.last is None, each.last or date.max, each.because))

    def papers_kept_to(self, ends: date | None) -> date | None:
        """The last day the papers of a filing must be kept, which the operator does; None while nothing ends it.

        Args:
            ends: Its last valid day.
        """
        return None if ends is None else self._table.keep_until(FILINGS, Since(ends, ends))

    async def _terms_of(self, view: Reading, transfer: Transfer, incidents: list[Recorded]) -> list[Kept]:
        entries = await view.entries_of(transfer.id)
        check_state(transfer, entries)
        ended = _ended_on(entries)
        if ended is None:
            return [Kept("open", None)]
        closed = [each.closed_at and local_day(each.closed_at) for each in incidents if transfer.id in each.transfers]
        kept = [Kept("incident", self._until(INCIDENTS, each)) for each in closed]
        return [Kept("term", self._until(TRANSFERS, ended)), *kept]

    def _until(self, kind: str, ended: date | None) -> date | None:
        """The last day of what has a term from its end on, whatever its row counts from; None where it has not ended."""
        return None if ended is None else self._table.keep_until(kind, Since(ended, ended), years=self._years)

    async def _forgotten(self, transfer: Transfer, incidents: list[Recorded]) -> bool:
        """Forget one that is due; whether it is gone. One that cannot go stands in nobody's way."""
        try:
            await self._forget(transfer, "gateway", incidents)
        except (BrokenPromise, Conflict) as wrong:  # its row was moved by hand, or something came in between
            self._recorder.observer.saw("housekeeping.faltered", transfer_id=transfer.id, code=wrong.code)
            return False
        return True

    async def _free(self, view: Reading, transfer: Transfer, incidents: list[Recorded]) -> bool:
        try:
            return not await self.kept(view, transfer, incidents)
        except BrokenPromise as altered:
            self._recorder.observer.saw("housekeeping.faltered", transfer_id=transfer.id, code=altered.code)
            return False

    async def _forget(self, transfer: Transfer, by: str, incidents: list[Recorded]) -> Transfer:
        async def going(ledger: Ledgering) -> date:
            current = await ledger.transfer(transfer.id)
            if reasons := await self.kept(
                ledger.tx, current, incidents
            ):  # step 1, whatever the row says was asked before
                raise Conflict(_refusal(reasons), code="must-be-kept")
            await ledger.tx.put_transfer(replace(current, evidence="going"))  # step 2
            return max(each.last for each in await self._terms_of(ledger.tx, current, incidents) if each.last)

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


def _ended_on(entries: Sequence[tuple[int, bytes]]) -> date | None:
    """The day of the entry that brought a transfer to its end, by the ledger; None where none did."""
    state = State.OPEN
    for _, body in entries:
        entry = parse_document(body, max_size=MAX_ENTRY, max_depth=12)
        tag = Tag(entry["tag"])
        state = state if tag is Tag.OPENED else advance(state, tag)
        if state in ENDS:
            return local_day(datetime.fromisoformat(entry["at"]))
    return None


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
        return f"the evidence must be kept: {told}" + (f"; not before {deletable_from(max(days))}" if days else "")
    return f"the evidence must be kept: {told}; it may be destroyed from {deletable_from(max(days))} on"
