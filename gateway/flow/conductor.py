"""The conductor: one loop over open transfers, the same after a restart as before.

The rules:
1. What to do next follows from the recorded state alone, once the ledger agrees that the transfer is in it; nothing is
   kept in memory between rounds but the clock.
2. A transfer is worked on under a lease, so that several processes share the work; a lease outlives a crash by its length.
3. A stage that fails for our own reasons (database, disk, a defect) is tried again until its deadline; a BrokenPromise
   fails the transfer at once.
4. Several transfers are worked on at a time (`AT_ONCE`): the inspection of a terabyte, or a slow endpoint, holds up nobody
   else's. Stages of one transfer never overlap: it is claimed again only after its lease was given back.
5. Each round also sees to what time does: deadlines, appeal terms, keys to destroy (`flow.housekeeping`).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from gateway.core.errors import BrokenPromise, CallerError, Conflict, EndpointError, GatewayError, StoreError
from gateway.core.facts import Tag
from gateway.core.transfer import NOTHING_LEFT, TRANSITIONS, State, Transfer
from gateway.flow.housekeeping import Housekeeping
from gateway.flow.recorder import Ledgering, Recorder, check_state

Stage = Callable[[Transfer], Awaitable[Transfer]]

LEASE = timedelta(seconds=30)  # how long the work of a killed process waits; kept alive while a stage runs
ROUND = 32  # transfers claimed a round
AT_ONCE = 8  # transfers worked on at a time
IDLE = 0.5  # seconds between looks when nothing woke the loop: other processes write to the same database
RETRY = timedelta(seconds=10)
MAX_REASON = 500


class Conductor:
    """Moves transfers on.

    Args:
        recorder: The only writer.
        stages: What to do in each state that the gateway itself moves on.
        housekeeping: What time does.
        worker: A name for this process's leases.
    """

    def __init__(
        self, *, recorder: Recorder, stages: Mapping[State, Stage], housekeeping: Housekeeping, worker: str
    ) -> None:
        self._recorder = recorder
        self._stages = dict(stages)
        self._housekeeping = housekeeping
        self._worker = worker

    async def run(self) -> None:
        """Work until cancelled."""
        working: set[asyncio.Future[None]] = set()
        try:
            while True:
                busy = await self._start(working)
                working -= {each for each in working if each.done()}
                if len(working) == AT_ONCE:
                    await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                elif not busy:
                    await self._idle(working)
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _start(self, working: set[asyncio.Future[None]]) -> bool:
        """See to what time does and begin with what is due, as far as there is room; whether anything was done or begun."""
        try:
            done = await self._housekeeping.round()
            claimed = await self._claim(AT_ONCE - sum(not each.done() for each in working))
        except StoreError as failure:
            self._recorder.observer.saw("conductor.faltered", code=failure.code)
            return False
        working |= {asyncio.ensure_future(self._held_step(transfer_id)) for transfer_id in claimed}
        return bool(claimed) or done

    async def _held_step(self, transfer_id: str) -> None:
        """`step`, whose own failure (the database is away while a lease is given back) is told and ends with it."""
        try:
            await self.step(transfer_id)
        except GatewayError as failure:
            self._recorder.observer.saw("conductor.faltered", code=failure.code)

    async def settle(self, rounds: int = 1000) -> None:
        """Work until nothing is due, at most so many rounds; for tests and one-shot commands."""
        for _ in range(rounds):
            if not await self.round():
                return
        raise StoreError(f"still busy after {rounds} rounds", code="not-settled")

    async def round(self) -> bool:
        """One look at everything due; whether anything was done."""
        done = await self._housekeeping.round()
        claimed = await self._claim(ROUND)
        for transfer_id in claimed:
            await self.step(transfer_id)
        return bool(claimed) or done

    async def _claim(self, most: int) -> Sequence[str]:
        now = self._recorder.clock.now()
        return await self._recorder.do(
            lambda ledger: ledger.tx.claim(list(self._stages), self._worker, now, now + LEASE, most)
        )

    async def step(self, transfer_id: str) -> None:
        """One stage of one transfer, under a lease that is kept alive while it lasts."""
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
            entries = await view.entries_of(transfer_id)
        if transfer is None or transfer.state not in self._stages:
            return
        heartbeat = asyncio.ensure_future(self._keep_lease(transfer_id))
        try:
            check_state(transfer, entries)
            await self._stages[transfer.state](transfer)
        except GatewayError as failure:
            await self._faltered(transfer, failure)
        except Exception as failure:  # noqa: BLE001  # a defect in one transfer's stage must not stop everybody else's
            await self._faltered(transfer, StoreError(f"internal error: {type(failure).__name__}", code="internal"))
            self._recorder.observer.saw("stage.crashed", transfer_id=transfer_id, error=_where(failure))
        finally:
            heartbeat.cancel()
            await self._recorder.do(lambda ledger: ledger.tx.release(transfer_id, self._worker))

    async def _keep_lease(self, transfer_id: str) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            until = self._recorder.clock.now() + LEASE
            await self._recorder.do(partial(_extend, transfer_id=transfer_id, worker=self._worker, until=until))

    async def _faltered(self, transfer: Transfer, failure: GatewayError) -> None:
        """What a stage could not do: failed for good, or looked at again a little later."""
        self._recorder.observer.saw(
            "stage.faltered",
            transfer_id=transfer.id,
            state=transfer.state.value,
            code=failure.code,
            retry=failure.retry,
        )
        for_good = isinstance(failure, BrokenPromise | CallerError | EndpointError) or failure.code == "key-destroyed"
        # A Conflict means that somebody else moved it on; if not, it is looked at again like any other trouble.
        if for_good and not isinstance(failure, Conflict) and (transfer.state, Tag.FAILED) in TRANSITIONS:
            try:
                await self._fail(transfer, failure)
            except BrokenPromise as altered:  # a row moved by hand: no fact is made of it, and people are told
                await self._later(transfer, altered)
        else:
            await self._later(transfer, failure)

    async def _fail(self, transfer: Transfer, failure: GatewayError) -> None:
        reason = failure.message[:MAX_REASON]

        async def job(ledger: Ledgering) -> None:
            current = await ledger.transfer(transfer.id)
            if current.state is transfer.state:
                public = {"state": current.state.value, "code": failure.code}
                failed = await ledger.record(
                    current, Tag.FAILED, public=public, private={"reason": reason}, changes={"reason": reason}
                )
                if transfer.state in NOTHING_LEFT:
                    await ledger.return_persons(failed, "failed")

        await self._recorder.do(job)

    async def _later(self, transfer: Transfer, failure: GatewayError) -> None:
        async def job(ledger: Ledgering) -> None:
            await ledger.put_off(transfer.id, ledger.now + RETRY, failure.message[:MAX_REASON])

        await self._recorder.do(job)

    async def _idle(self, working: AbstractSet[asyncio.Future[None]]) -> None:
        """Wait for a fact of this process, the end of a stage, or a moment for the facts of others."""
        changed = asyncio.ensure_future(self._changed())
        try:
            await asyncio.wait([changed, *working], timeout=IDLE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            await asyncio.gather(changed, return_exceptions=True)

    async def _changed(self) -> None:
        async with self._recorder.changed:
            await self._recorder.changed.wait()


def _where(failure: BaseException) -> str:
    """The kind of an error and the line it came from; never its text, which may quote data."""
    frames = traceback.extract_tb(failure.__traceback__)
    last = frames[-1] if frames else None
    return f"{type(failure).__name__} at {Path(last.filename).name}:{last.lineno}" if last else type(failure).__name__


async def _extend(ledger: Ledgering, *, transfer_id: str, worker: str, until: datetime) -> None:
    await ledger.tx.extend(transfer_id, worker, until)
