"""The only writer: a fact and the state change it makes commit in one transaction, or neither happened.

The rules:
1. Nothing changes a transfer but `record` (or a job that calls it inside its transaction), and nothing is recorded of a
   transfer whose row is not in the state its own ledger entries lead to.
2. Work that arrives together commits together: jobs share a transaction, and where one of them fails the transaction is
   rolled back and each job runs again alone, so that nobody's failure is somebody else's.
3. A job may therefore run more than once; it reads what it needs inside the transaction and has no other effect.
4. What personal content an entry holds is committed with a fresh salt, and the opening is kept under the subject's
   evidence key, which exists durably before the first fact that relies on it.

When a step fails: the database away or full -> StoreError, nothing recorded, the caller tries again; the lifecycle says
no -> Conflict, nothing recorded; the evidence key is gone -> StoreError `key-destroyed`, nothing recorded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.facts import Entry, Fact, Tag, enter
from gateway.core.transfer import ENDS, State, Transfer, advance, deadline
from gateway.ports import Clock, Entropy, Keyring, Observer, Records, Writing

MAX_BATCH = 64
EVIDENCE = "evidence"
ALL_TIME = 0  # the "year" of the key for genomic samples, which are counted all time (decisions/0015)
WORKING = frozenset({State.SUBMITTED, State.CLASSIFIED, State.CLEARED, State.SEALED, State.RELAYING, State.DELIVERED})
_CACHED_KEYS = 1024

T = TypeVar("T")
Job = Callable[["Ledgering"], Awaitable[T]]


def seal_opening(key: bytes, nonce: bytes, entry: Entry) -> bytes:
    """An entry's opening under its evidence key, bound to the entry: nonce, then ChaCha20-Poly1305."""
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, entry.opening, entry.body) if entry.opening else b""


def open_opening(key: bytes, sealed: bytes, body: bytes) -> bytes:
    """The opening of an entry; raises `cryptography.exceptions.InvalidTag` where it is not this entry's."""
    return ChaCha20Poly1305(key).decrypt(sealed[:12], sealed[12:], body)


@dataclass
class _Pending(Generic[T]):
    job: Job[T]
    done: asyncio.Future[T]


class Ledgering:
    """An open transaction in which facts are recorded."""

    def __init__(self, tx: Writing, recorder: Recorder) -> None:
        self.tx = tx
        self._recorder = recorder
        self.seen: list[tuple[str, dict[str, str | float]]] = []
        self.stirs = False  # whether the conductor may have something to do now: a fact was recorded, or work put off

    @property
    def now(self) -> datetime:
        """The current time."""
        return self._recorder.clock.now()

    async def transfer(self, transfer_id: str) -> Transfer:
        """The transfer inside this transaction; raises NotFound."""
        found = await self.tx.transfer(transfer_id)
        if found is None:
            raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
        return found

    async def enter(self, fact: Fact) -> int:
        """Append a fact to the ledger; returns its position."""
        self._recorder.stir()
        entry = enter(fact, self._recorder.entropy.token(32))
        sealed = b""
        if entry.opening:
            key = await self._recorder.evidence_key(fact.subject)
            sealed = seal_opening(key, self._recorder.entropy.token(12), entry)
        self.stirs = True
        return await self.tx.append(fact.tag, fact.subject, fact.at, entry, sealed)

    async def record(
        self,
        transfer: Transfer,
        tag: Tag,
        *,
        actor: str = "gateway",
        public: Mapping[str, Any] | None = None,
        private: Mapping[str, Any] | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Transfer:
        """Record a fact about a transfer and what it changes; returns the transfer as it is then.

        Raises:
            Conflict: Where the lifecycle has no such step.
            BrokenPromise: Where the row is in another state than the ledger: it was moved by hand.
        """
        now = self.now
        check_state(transfer, await self.tx.entries_of(transfer.id))
        after = advance(transfer.state, tag)
        index = await self.enter(Fact(tag, transfer.id, now, actor, public or {}, private or {}))
        moved = after is not transfer.state
        standing: dict[str, Any] = {"last_entry": index}
        if moved:
            standing |= {"state": after, "since": now, "due": deadline(after, now)}
            standing |= {"escalate_at": None, "escalated_at": None}
            standing |= {"next_at": now if after in WORKING else None, "ended_at": now if after in ENDS else None}
        updated = replace(transfer, **(standing | dict(changes or {})))
        await self.tx.put_transfer(updated)
        about: dict[str, str | float] = {"transfer_id": transfer.id, "state": after.value, "entry": index}
        if moved:  # how long it stood where it was: what a stage takes, waiting included
            about |= {"left": transfer.state.value, "seconds": (now - transfer.since).total_seconds()}
        self.seen.append((tag.value, about))
        return updated

    async def put_off(self, transfer_id: str, until: datetime, reason: str) -> None:
        """Look at a transfer again later; not a fact, since nothing happened to it."""
        transfer = await self.transfer(transfer_id)
        if transfer.state not in ENDS:
            await self.tx.put_transfer(replace(transfer, next_at=until, reason=reason))
            self.stirs = True

    async def return_persons(self, transfer: Transfer, because: str) -> Transfer:
        """Uncount the persons of a transfer of which no byte has left; nothing where none were counted."""
        if not await self.tx.drop_persons(transfer.id):
            return transfer
        return await self.record(transfer, Tag.PERSONS_RETURNED, public={"because": because}, private={"persons": True})


def check_state(transfer: Transfer, entries: Sequence[tuple[int, bytes]]) -> None:
    """Follow a transfer's entries through the lifecycle; they must end in the state its row shows.

    Raises:
        BrokenPromise: Where they do not: the row was moved by hand, or entries are missing.
    """
    state = State.OPEN
    try:
        for _, body in entries:
            tag = Tag(parse_document(body)["tag"])
            state = state if tag is Tag.OPENED else advance(state, tag)
    except (Conflict, ValueError, KeyError, Unusable) as wrong:
        raise BrokenPromise(f"the ledger entries of {transfer.id} do not follow from each other: {wrong}") from wrong
    if not entries or state is not transfer.state:
        raise BrokenPromise(f"{transfer.id} is {transfer.state} in its row and {state} in the ledger: it was altered")


class Recorder:
    """Commits jobs in batches and tells the observer and the conductor about what happened."""

    def __init__(
        self, *, records: Records, keyring: Keyring, clock: Clock, entropy: Entropy, observer: Observer
    ) -> None:
        self.records = records
        self.keyring = keyring
        self.clock = clock
        self.entropy = entropy
        self.observer = observer
        self.changed = asyncio.Condition()
        self._queue: list[_Pending[Any]] = []
        self._drainer: asyncio.Future[None] | None = None
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._year_keys: dict[int, bytes] = {}
        self._facts = 0  # recorded in this process, those of transactions that failed included
        self._entering = False  # a fact is being recorded and is not durable yet

    @property
    def standing(self) -> int | None:
        """A number that changes with every fact this process records; None while one is on its way.

        What was read under a number holds, as far as this process goes, as long as the number is the same.
        """
        return None if self._entering else self._facts

    def stir(self) -> None:
        """A fact is being recorded; for `Ledgering`."""
        self._entering = True

    async def do(self, job: Job[T]) -> T:
        """Run a job in a transaction, perhaps together with others; returns once it is durable."""
        pending: _Pending[T] = _Pending(job, asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        if self._drainer is None or self._drainer.done():
            # A task of its own, held here: a caller that gives up (a client that hangs up) rolls back nobody's work.
            self._drainer = asyncio.ensure_future(self._drain())
        return await pending.done

    async def record(self, transfer_id: str, tag: Tag, **about: Any) -> Transfer:
        """Record one fact about a transfer in a transaction of its own (see `Ledgering.record`)."""

        async def job(ledger: Ledgering) -> Transfer:
            return await ledger.record(await ledger.transfer(transfer_id), tag, **about)

        return await self.do(job)

    async def evidence_key(self, subject: str) -> bytes:
        """The key a subject's openings are under; made durable on first use."""
        if subject in self._keys:
            self._keys.move_to_end(subject)
            return self._keys[subject]
        key = await self.keyring.get(subject, EVIDENCE)
        self._keys[subject] = key
        if len(self._keys) > _CACHED_KEYS:
            self._keys.popitem(last=False)
        return key

    async def make_evidence_key(self, subject: str) -> None:
        """Make a subject's evidence key, before its first fact."""
        key = self.entropy.token(32)
        await self.keyring.put(subject, EVIDENCE, key)
        self._keys[subject] = key

    async def year_key(self, year: int) -> bytes:
        """The key persons are digested under in a year (`Keyring.year_key`), asked for once."""
        if year not in self._year_keys:
            key = await self.keyring.year_key(year)
            # The one of the year before is not kept.
            self._year_keys = {each: known for each, known in self._year_keys.items() if ALL_TIME in {year, each}}
            self._year_keys[year] = key
        return self._year_keys[year]

    def forget_key(self, subject: str) -> None:
        """Drop a destroyed evidence key from memory."""
        self._keys.pop(subject, None)

    # --- batching ----------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Commit whatever is queued, batch after batch."""
        while self._queue:
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            await self._commit(batch)

    async def _commit(self, batch: list[_Pending[Any]]) -> None:
        try:
            results, ledger = await self._transact([pending.job for pending in batch])
        except Exception as failure:  # noqa: BLE001  # handed to the caller whose job it is
            if len(batch) > 1:
                for pending in batch:
                    await self._commit([pending])
            else:
                _settle(batch[0].done, failure=failure)
            return
        except BaseException as ending:  # noqa: BLE001  # the process is ending: nobody may wait for an answer that will not come
            for pending in (*batch, *self._queue):
                _settle(pending.done, failure=ending)
            self._queue.clear()
            return
        for pending, result in zip(batch, results, strict=True):
            _settle(pending.done, result=result)
        for event, about in ledger.seen:
            self.observer.saw(event, **about)
        if ledger.stirs:  # a thousand small files received are no reason to look a thousand times for work
            async with self.changed:
                self.changed.notify_all()

    async def _transact(self, jobs: list[Job[Any]]) -> tuple[list[Any], Ledgering]:
        try:
            async with self.records.write() as tx:
                ledger = Ledgering(tx, self)
                results = [await job(ledger) for job in jobs]
        finally:
            self._facts += self._entering
            self._entering = False
        return results, ledger


def _settle(done: asyncio.Future[Any], *, result: Any = None, failure: BaseException | None = None) -> None:
    if done.cancelled():  # the caller went away; the work stands
        return
    if isinstance(failure, asyncio.CancelledError):
        done.cancel()
    elif failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)
