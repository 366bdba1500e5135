"""Webhooks: institutions' own systems are told what happens to their transfers, at least once and in order.

The rules:
1. Only a position in the ledger is kept for a webhook. What it is told follows from the ledger, so nothing is lost with a
   process or a queue, and an event that comes again has the same id.
2. One worker delivers to a webhook at a time, under a lease; the next event waits for the one before it.
3. What fails is tried again, later each time; after `MAX_ATTEMPTS`, or when the receiver says that it is gone, the webhook is
   parked: a metric tells of it, and an operator takes it up again (`hetao webhooks retry`), with that event or without it.
4. An event has ids, a state, a verdict and times: no name, no finding, no rule. Where it goes was signed by two officers, host
   and address blocks: it is told of transfers that were not cleared, which must not be known abroad (design.md section 7).
5. Every event is signed with the gateway's token key; the signature covers the bytes of the body.

When a step fails: the position stays, the attempt is counted; the database away -> nothing moved, tried again; a process dies
after a delivery and before its position is kept -> delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, EndpointError, GatewayError, NotFound, StoreError
from gateway.core.facts import Tag, local_day
from gateway.core.news import News, news_of
from gateway.core.records import Webhook
from gateway.core.registry import Registry
from gateway.flow.news import WINDOW, Ledgerwatch
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import REGISTRY, Registrar
from gateway.ports import Courier, EventSigner, Outbox, Reading
from gateway.wire.cloudevents import MEDIA_TYPE, CloudEvent

TYPE = "org.hetao.transfer."
SIGNATURE = "Hetao-Signature"
MAX_ATTEMPTS = 32  # with the pauses below about a day
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
LEASE = timedelta(seconds=90)  # longer than one delivery can take (`ports.Courier` bounds it)
INTERVAL = 1.0  # seconds between looks when nothing woke the loop
PACE = 0.2  # seconds between looks when much happens
PASSED = 200  # ledger entries that do not concern a webhook before its position is moved past them
GONE = 410


def pause(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many failed attempts: doubled each time up to a bound, and half of it by chance.

    Args:
        attempts: 1 or more.
        chance: In [0, 1): receivers that came back together are not all asked at once.
    """
    whole = min(FIRST_PAUSE * (1 << min(attempts - 1, 20)), LONGEST_PAUSE)
    return whole * (0.5 + chance / 2)


@dataclass(frozen=True)
class Standing:
    """A registered webhook and how far it was told; `behind` counts ledger entries, most of which may not concern it."""

    webhook: Webhook
    outbox: Outbox
    behind: int


class Webhooks:
    """What an operator sees and does of webhooks."""

    def __init__(self, *, recorder: Recorder, registrar: Registrar) -> None:
        self._recorder = recorder
        self._registrar = registrar

    async def standing(self) -> list[Standing]:
        """Every registered webhook that was told anything, or will be."""
        async with self._recorder.records.read() as view:
            registry = await self._registrar.fold(view)
            known = {each.webhook: each for each in await view.outboxes()}
            size = await view.tree_size()
        return [
            Standing(hook, known[hook.id], size - known[hook.id].position)
            for hook in registry.all(Webhook)
            if hook.id in known
        ]

    async def retry(self, webhook: str, *, skip: bool = False) -> Outbox:
        """Take up a webhook again now; `skip` passes over the event that fails.

        Raises:
            NotFound: No such webhook, or it was never told anything.
            Conflict: It is being told right now.
        """
        async with self._recorder.records.read() as view:
            found = next((each for each in await view.outboxes() if each.webhook == webhook), None)
        if found is None:
            raise NotFound("there is no such webhook: see `hetao webhooks list`", code="not-registered")
        now = self._recorder.clock.now()
        if found.until is not None and found.until > now:
            raise Conflict("this webhook is being told right now: look again in a moment")
        position = found.position + (1 if skip and found.attempts else 0)
        again = replace(found, position=position, attempts=0, reason="", parked_at=None, next_at=now)
        await self._recorder.do(partial(_put, outbox=again))
        return again


class Deliveries:
    """The loop that tells webhooks.

    Args:
        recorder: The ledger, and where positions are kept.
        registrar: Which webhooks are registered.
        courier: Brings events.
        signer: Signs them.
        source: URI of this gateway, `source` of its events.
        worker: A name for this process's leases.
        pool: Threads deliveries wait in.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        registrar: Registrar,
        courier: Courier,
        signer: EventSigner,
        source: str,
        worker: str,
        pool: Executor,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._courier = courier
        self._signer = signer
        self._source = source
        self._worker = worker
        self._pool = pool
        self._watch = Ledgerwatch(recorder)

    async def run(self) -> None:
        """Deliver until cancelled."""
        seen = 0
        while True:
            try:
                seen = await self._watch.moved(seen, INTERVAL)
                await self.round()
                await asyncio.sleep(PACE)
            except (StoreError, BrokenPromise, NotFound) as failure:  # NotFound: there is no registry yet
                self._recorder.observer.saw("webhooks.faltered", code=failure.code)
                await self._rest()

    async def _rest(self) -> None:
        async with self._recorder.changed:
            try:
                await asyncio.wait_for(self._recorder.changed.wait(), INTERVAL)
            except TimeoutError:
                return

    async def round(self) -> int:
        """Tell every webhook that is due what it was not told yet; returns how many were looked after."""
        registry = await self._registrar.recent()
        now = self._recorder.clock.now()
        hooks = list(valid(registry, now))
        async with self._recorder.records.read() as view:
            known = {each.webhook: each for each in await view.outboxes()}
            size = await view.tree_size()
            due = [
                hook.id
                for hook in hooks
                if hook.id in known and is_due(known[hook.id], now) and await _waits(view, hook, known[hook.id], size)
            ]
        await self._begin([hook.id for hook in hooks if hook.id not in known])
        await self._forget([each for each in known if registry.find(Webhook, each) is None])
        await asyncio.gather(*(self._tell(webhook) for webhook in due))
        return len(due)

    async def _begin(self, webhooks: list[str]) -> None:
        """A new webhook is told what happens from the change of the registry on that brought it, or a later one."""
        if not webhooks:
            return
        async with self._recorder.records.read() as view:
            entries = await view.entries_of(REGISTRY)
        approved = [index for index, body in entries if parse_document(body)["tag"] == Tag.CHANGE_APPROVED]
        now = self._recorder.clock.now()
        for webhook in webhooks:
            await self._recorder.do(partial(_put, outbox=Outbox(webhook, approved[-1] + 1 if approved else 0, now)))

    async def _forget(self, webhooks: list[str]) -> None:
        for webhook in webhooks:
            await self._recorder.do(partial(_drop, webhook=webhook))

    # --- one webhook -------------------------------------------------------------------------------------------------

    async def _tell(self, webhook: str) -> None:
        now = self._recorder.clock.now()
        outbox = await self._recorder.do(lambda ledger: ledger.tx.claim_outbox(webhook, self._worker, now, now + LEASE))
        if outbox is None:
            return  # another worker was quicker
        hand = _Hand(outbox)
        try:
            registry = await self._registrar.registry(thorough=True)  # what leaves asks for what is signed now
            hook = next((each for each in valid(registry, now) if each.id == webhook), None)
            if hook is None:
                await self._keep(hand, worker="", until=None)
                return
            while await self._tell_window(hook, hand):
                pass
        except Exception as failure:  # noqa: BLE001  # one webhook's trouble, ours too, must not stop everybody else's
            code = failure.code if isinstance(failure, GatewayError) else type(failure).__name__
            await self._failed(hand, hand.outbox.position, code)
        except BaseException:
            await self._keep(hand, worker="", until=None)
            raise

    async def _tell_window(self, hook: Webhook, hand: _Hand) -> bool:
        """Tell what a stretch of the ledger has; whether there is more that this worker may tell."""
        async with self._recorder.records.read() as view:
            size = await view.tree_size()
            stop = min(hand.outbox.position + WINDOW, size)
            entries = await view.entries_of_institution(hook.institution, hand.outbox.position, stop)
        for index, body in entries:
            news = news_of(index, body)
            if news is None or not concerns(hook, news):
                continue
            if reason := await self._deliver(hook, news):
                await self._failed(hand, index, reason)
                return False
            now = self._recorder.clock.now()
            self._recorder.observer.saw("webhook.delivered", webhook=hook.id, transfer_id=news.transfer, entry=index)
            told = {"position": index + 1, "attempts": 0, "reason": "", "delivered_at": now, "until": now + LEASE}
            if not await self._keep(hand, **told):
                return False
        if stop < size:
            hand.outbox = replace(hand.outbox, position=stop)
            return True
        await self._keep(hand, position=stop, worker="", until=None)
        return False

    async def _deliver(self, hook: Webhook, news: News) -> str:
        """Bring one event; the reason where that failed: a status or a code, nothing of the receiver's."""
        body = await self._event(news)
        fields = {"Content-Type": MEDIA_TYPE, SIGNATURE: self._signer.sign_detached(body)}
        post = partial(self._courier.post, hook, body, fields)
        try:
            status = await asyncio.get_running_loop().run_in_executor(self._pool, post)
        except EndpointError as failure:
            return failure.code
        return "" if 200 <= status < 300 else f"status {status}"

    async def _event(self, news: News) -> bytes:
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(news.transfer)
        if transfer is None:
            raise BrokenPromise(f"the ledger tells of {news.transfer}, which is not there")
        data = {
            "transfer": transfer.id,
            "institution": transfer.institution,
            "endpoint": transfer.endpoint,
            "project": transfer.project,
            "version": transfer.version,
            "state": news.state.value,
            "at": news.at,
            **({"verdict": news.verdict} if news.verdict else {}),
        }
        kind = TYPE + news.word
        return CloudEvent(str(news.index), self._source, kind, transfer.id, news.at, data).encode()

    async def _failed(self, hand: _Hand, index: int, reason: str) -> None:
        """Count the attempt at the event of that entry; park the webhook where there were enough."""
        attempts, now = hand.outbox.attempts + 1, self._recorder.clock.now()
        chance = int.from_bytes(self._recorder.entropy.token(4), "big") / (1 << 32)
        parked = attempts >= MAX_ATTEMPTS or reason == f"status {GONE}"
        event = "webhook.parked" if parked else "webhook.deferred"
        self._recorder.observer.saw(event, webhook=hand.outbox.webhook, attempts=attempts, reason=reason)
        await self._keep(
            hand,
            position=index,
            attempts=attempts,
            reason=reason,
            next_at=now + pause(attempts, chance),
            parked_at=now if parked else None,
            worker="",
            until=None,
        )

    async def _keep(self, hand: _Hand, **changes: Any) -> bool:
        """Keep how far it was told; False where it is not this worker's any more."""
        hand.outbox = outbox = replace(hand.outbox, **changes)
        return await self._recorder.do(lambda ledger: ledger.tx.keep_outbox(outbox, self._worker))


async def _waits(view: Reading, hook: Webhook, outbox: Outbox, size: int) -> bool:
    """Whether there is anything to tell, or so much that is not that its position should be moved on.

    Looked up before anything is written: the ledger grows with everybody's transfers, and most of it concerns no webhook.
    """
    if size - outbox.position > PASSED:
        return True
    entries = await view.entries_of_institution(hook.institution, outbox.position, size)
    return any((news := news_of(index, body)) is not None and concerns(hook, news) for index, body in entries)


@dataclass
class _Hand:
    """An outbox this worker leases, as it stands."""

    outbox: Outbox


async def _put(ledger: Ledgering, *, outbox: Outbox) -> None:
    await ledger.tx.put_outbox(outbox)


async def _drop(ledger: Ledgering, *, webhook: str) -> None:
    await ledger.tx.drop_outbox(webhook)


def valid(registry: Registry, now: datetime) -> Iterable[Webhook]:
    """The webhooks that hold on that day."""
    today = local_day(now)
    return [hook for hook in registry.all(Webhook) if hook.valid_to is None or today <= hook.valid_to]


def concerns(hook: Webhook, news: News) -> bool:
    """Whether a webhook hears of that state, or that event."""
    return not hook.events or news.word in hook.events


def is_due(outbox: Outbox, now: datetime) -> bool:
    """Whether somebody should take it up now."""
    leased = outbox.until is not None and outbox.until > now
    return outbox.parked_at is None and outbox.next_at <= now and not leased
