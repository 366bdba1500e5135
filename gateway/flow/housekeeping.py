"""What time does: deadlines pass, appeal terms end, keys are destroyed, orphans are swept.

The rules:
1. A deadline that passed records what `core.transfer.STANDING` says; nothing waits for ever.
2. A delivered transfer's file keys go at once. Those of an end without delivery stay through the appeal term, then go.
   The evidence key stays: it is retention's (`flow.retention`), not the payload's.
3. Keys go before ciphertext: after a crash in between, what is left cannot be opened.
4. An upload whose sender did not come back for it goes with what was kept of it, keys first.
5. What waits for votes too long is escalated once: a fact, which metrics, webhooks and the officers' list show.
6. `key_destroyed` is recorded after the keys are gone; destroying again what is gone is harmless.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from gateway.core.errors import BrokenPromise
from gateway.core.facts import Tag, timestamp
from gateway.core.intake import Part
from gateway.core.transfer import ENDS, NOTHING_LEFT, STANDING, State, Transfer
from gateway.flow.keeper import forget
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.retention import Retention
from gateway.flow.run import forget_upload
from gateway.ports import Spool

APPEAL_TERM = timedelta(days=30)
BATCH = 50
AT_ONCE = timedelta(microseconds=1)  # `ended_before` means before: what ended in this very moment is due too


class Housekeeping:
    """Sees to what time does.

    Args:
        recorder: The only writer.
        spool: Where sealed parts are.
        appeal_term: How long an undelivered payload keeps its key.
        retention: Sees to evidence whose term is over; None where nobody does.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        spool: Spool,
        appeal_term: timedelta = APPEAL_TERM,
        retention: Retention | None = None,
    ) -> None:
        self._recorder = recorder
        self._spool = spool
        self._appeal_term = appeal_term
        self._retention = retention

    async def round(self) -> bool:
        """Whether anything was done."""
        overdue = await self._overdue()
        forgotten = await self._forget_uploads()
        escalated = await self._escalate()
        destroyed = await self._destroy()
        evidence = self._retention is not None and await self._retention.round()
        return destroyed or evidence or overdue or forgotten or escalated

    async def _escalate(self) -> bool:
        now = self._recorder.clock.now()
        async with self._recorder.records.read() as view:
            waiting = await view.escalating(now, BATCH)
        done = False
        for transfer in waiting:
            try:
                await self._recorder.do(partial(_tell_more, transfer_id=transfer.id))
                done = True
            except BrokenPromise as altered:  # nothing is recorded of a row that was moved by hand
                self._recorder.observer.saw("housekeeping.faltered", transfer_id=transfer.id, code=altered.code)
        return done

    async def _forget_uploads(self) -> bool:
        now = self._recorder.clock.now()
        async with self._recorder.records.read() as view:
            gone = await view.uploads_expired(now, BATCH)
        for upload in gone:
            spare = await self._recorder.do(partial(_forget_upload, upload_id=upload.id))
            await forget(self._recorder, self._spool, upload.transfer_id, spare)
        return bool(gone)

    async def _overdue(self) -> bool:
        now = self._recorder.clock.now()
        async with self._recorder.records.read() as view:
            late = await view.due(now, BATCH)
        expired = False
        for transfer in late:
            try:
                await self._recorder.do(partial(self._expire, late=transfer))
                expired = True
            except BrokenPromise as altered:  # nothing is recorded of a row that was moved by hand
                self._recorder.observer.saw("housekeeping.faltered", transfer_id=transfer.id, code=altered.code)
        return expired

    async def _expire(self, ledger: Ledgering, late: Transfer) -> None:
        current = await ledger.transfer(late.id)
        if current.state is not late.state or current.due is None or current.due > ledger.now:
            return
        standing = STANDING[current.state]
        state = current.state.value
        reason = f"no step within {standing.within} while {state}; it was for the {standing.owner} to act"
        if standing.overdue is Tag.EXPIRED:
            ended = await ledger.record(current, Tag.EXPIRED, public={"state": state}, changes={"reason": reason})
        else:
            ended = await ledger.record(
                current,
                Tag.FAILED,
                public={"state": state, "code": "overdue"},
                private={"reason": reason},
                changes={"reason": reason},
            )
        if late.state in NOTHING_LEFT:
            await ledger.return_persons(ended, "overdue")

    async def _destroy(self) -> bool:
        now = self._recorder.clock.now()
        others = sorted(ENDS - {State.RECEIPTED})
        async with self._recorder.records.read() as view:
            delivered = await view.ended_before((State.RECEIPTED,), now + AT_ONCE, BATCH)
            appealed = await view.ended_before(others, now - self._appeal_term, BATCH)
        for transfer in delivered:
            await self.destroy(transfer, "delivered")
        for transfer in appealed:
            await self.destroy(transfer, "the appeal term is over")
        return bool(delivered or appealed)

    def _discard(self, transfer_id: str) -> None:
        for name in self._spool.names(f"{transfer_id}/"):
            self._spool.delete(name)

    async def destroy(self, transfer: Transfer, because: str) -> Transfer:
        """Destroy a transfer's file keys, then its ciphertext, then say so."""
        for prefix in (f"{transfer.id}/", "sealed/"):
            await self._recorder.keyring.destroy(transfer.id, prefix)
        # Off the event loop: each part is a name to remove and a directory to sync.
        await asyncio.to_thread(self._discard, transfer.id)

        async def job(ledger: Ledgering) -> Transfer:
            current = await ledger.transfer(transfer.id)
            if current.keys_destroyed:
                return current
            public = {"because": because, "files": current.files}
            return await ledger.record(current, Tag.KEY_DESTROYED, public=public, changes={"keys_destroyed": True})

        return await self._recorder.do(job)


async def _tell_more(ledger: Ledgering, transfer_id: str) -> None:
    """Escalate a transfer, unless it was moved on meanwhile."""
    current = await ledger.transfer(transfer_id)
    if current.state is State.HELD and current.escalate_at is not None and current.escalate_at <= ledger.now:
        public = {"held_since": timestamp(current.since)}
        changes = {"escalate_at": None, "escalated_at": ledger.now}
        await ledger.record(current, Tag.ESCALATED, public=public, changes=changes)


async def _forget_upload(ledger: Ledgering, upload_id: str) -> tuple[Part, ...]:
    """Forget it, unless it was gone on with meanwhile; returns the parts nothing names any more."""
    upload = await ledger.tx.upload(upload_id)
    return await forget_upload(ledger, upload) if upload and upload.expires <= ledger.now else ()
