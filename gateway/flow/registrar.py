"""Keeps the registry: proposes changes, approves them on the second signature, and folds them from the genesis.

The rules:
1. The registry the flow sees is folded from signed changes on every new one; a row edited in the database does not verify
   and stops everything that asks (fail closed), with a BrokenPromise that says which change.
2. The genesis is trusted by its digest, which lives outside the database (settings), not by being there.
3. Signatures are checked when a change is proposed and again on every fold; so is that the ledger recorded exactly these
   changes at these times. A change that was taken back or dated back in the database stops everything, too.
4. An approved change wakes what is held: a paper may have been recorded.

When a step fails: a stale or badly signed change -> Conflict or BrokenPromise, nothing recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.declaration import check_records
from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, NotFound
from gateway.core.facts import Fact, Tag, local_day, timestamp
from gateway.core.registry import Change, Registry, found_registry, parse_change
from gateway.core.situation import Vocabulary
from gateway.core.transfer import State
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import Reading, StoredChange

REGISTRY = "registry"
GATEWAY = "gateway"
RECENT = timedelta(seconds=2)


@dataclass(frozen=True)
class Proposal:
    """A change that waits for its second signature."""

    change: Change
    proposer: str
    stored: StoredChange


class Registrar:
    """The registry and its changes.

    Args:
        recorder: The only writer.
        genesis: The genesis change's digest, hex, from the settings; empty before `hetao init`.
        vocabulary: The words of the rules, which records must not stray from.
    """

    def __init__(self, recorder: Recorder, genesis: str, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._recorder = recorder
        self._genesis = genesis
        self._folded = Registry()
        self._looked: datetime | None = None

    async def initialise(self, genesis: Change, *, origin: str, ledger_key: str) -> Registry:
        """Record the genesis; the digest it has goes into the settings.

        Raises:
            Conflict: Where the gateway was initialised before.
            Unusable: Where the genesis names too few officers.
        """
        founded = found_registry(genesis)
        await self._recorder.make_evidence_key(REGISTRY)
        await self._recorder.make_evidence_key(GATEWAY)

        async def job(ledger: Ledgering) -> None:
            if await ledger.tx.changes():
                raise Conflict("the gateway is initialised already: propose a change instead")
            now = ledger.now
            await ledger.tx.put_change(
                StoredChange(
                    genesis.digest, genesis.document, "approved", b"", b"", 1, proposed_at=now, approved_at=now
                )
            )
            public = {"genesis": genesis.digest, "origin": origin, "ledger_key": ledger_key}
            await ledger.enter(Fact(Tag.INITIALISED, GATEWAY, now, GATEWAY, public))

        await self._recorder.do(job)
        self._genesis, self._folded = genesis.digest, founded
        return founded

    async def registry(self, *, thorough: bool = False) -> Registry:
        """The registry as of now, verified; see `fold`."""
        async with self._recorder.records.read() as view:
            self._folded = await self.fold(view, thorough=thorough)
        return self._folded

    async def recent(self) -> Registry:
        """The registry as it was a moment ago (`RECENT`): for what a door shows and for where a file may go.

        Whoever decides, records or lets anything leave asks `registry`.
        """
        now = self._recorder.clock.now()
        if self._looked is None or not timedelta(0) <= now - self._looked < RECENT:
            await self.registry()
            self._looked = now
        return self._folded

    async def fold(self, view: Reading, *, thorough: bool = False) -> Registry:
        """The registry in one view; verifies signatures of what is new since the last fold of the same history.

        Nothing is kept here: a transaction that rolls back must not leave its registry behind.

        Args:
            view: What to read.
            thorough: Hold the changes against the ledger even where none is new: before anything is decided or leaves.
        """
        approved = await view.changes("approved")
        registry = self._folded if self._continues(approved) else Registry()
        if thorough or len(approved) > registry.revision:
            await self._check_recorded(view, approved)
        for stored in approved[registry.revision :]:
            registry = self._apply(registry, stored)
        if not registry.revision:
            raise NotFound("the gateway is not initialised: run `hetao init` first", code="not-initialised")
        return registry

    async def _check_recorded(self, view: Reading, approved: Sequence[StoredChange]) -> None:
        """Hold the approved changes against the ledger: none missing, none added, at the times they were recorded."""
        recorded = []
        for _, body in await view.entries_of(REGISTRY):
            entry = parse_document(body)
            if entry["tag"] == Tag.CHANGE_APPROVED.value:
                recorded.append((entry["body"]["change"], entry["at"]))
        stored = [(each.digest, timestamp(each.approved_at) if each.approved_at else "") for each in approved[1:]]
        if recorded != stored:
            raise BrokenPromise("the registry's changes are not those the ledger recorded: the database was altered")

    def _continues(self, approved: Sequence[StoredChange]) -> bool:
        """Whether what was folded before is the beginning of this history.

        Raises:
            BrokenPromise: Where a change's document is not the one its digest names.
        """
        for stored in approved:
            # A column written by hand may hold text where bytes were.
            if not isinstance(stored.document, bytes) or hashlib.sha256(stored.document).hexdigest() != stored.digest:
                raise BrokenPromise(
                    f"registry change {stored.digest[:12]} was altered: restore the database and investigate"
                )
        revision = self._folded.revision
        return revision == 0 or (len(approved) >= revision and approved[revision - 1].digest == self._folded.head)

    def _apply(self, registry: Registry, stored: StoredChange) -> Registry:
        change = parse_change(stored.document)
        if registry.revision == 0:
            if change.digest != self._genesis:
                raise BrokenPromise("the registry's genesis is not the one in the settings (registry.genesis)")
            return found_registry(change)
        if stored.approved_at is None:
            raise BrokenPromise(f"registry change {stored.digest[:12]} has no time of approval")
        on = local_day(stored.approved_at)
        return registry.apply(change, (stored.proposer_signature, stored.approver_signature), on)

    # --- changes -----------------------------------------------------------------------------------------------------

    async def propose(self, change: Change, signature: bytes) -> str:
        """Record a change with its first signature; returns its digest.

        Raises:
            Unusable: A record uses words the rules do not know.
            Conflict: Another change came first.
            BrokenPromise: The signature does not hold.
        """
        check_records((record for _, record in change.put), self._vocabulary)

        async def job(ledger: Ledgering) -> str:
            registry = await self.fold(ledger.tx)
            if change.previous != registry.head:
                raise Conflict("the registry changed since this was composed: compose it again", code="stale-change")
            officer = registry.signer(change, signature, local_day(ledger.now))
            if any(stored.digest == change.digest for stored in await ledger.tx.changes("proposed")):
                return change.digest
            await ledger.tx.put_change(
                StoredChange(change.digest, change.document, "proposed", signature, proposed_at=ledger.now)
            )
            await ledger.enter(
                Fact(
                    Tag.CHANGE_PROPOSED,
                    REGISTRY,
                    ledger.now,
                    officer.id,
                    {"change": change.digest, "officer": officer.id},
                    {"document": change.document.decode()},
                )
            )
            return change.digest

        return await self._recorder.do(job)

    async def approve(self, digest: str, signature: bytes) -> Registry:
        """Record the second signature; the change takes effect and everything held is decided again.

        Raises:
            NotFound: No such proposal.
            Conflict: Another change came first.
            BrokenPromise: A signature does not hold, or both are one person's.
        """

        async def job(ledger: Ledgering) -> Registry:
            stored = await self._proposed(ledger.tx, digest)
            registry = await self.fold(ledger.tx)
            change, now = parse_change(stored.document), ledger.now
            on = local_day(now)
            after = registry.apply(change, (stored.proposer_signature, signature), on)
            proposer = registry.signer(change, stored.proposer_signature, on)
            approver = registry.signer(change, signature, on)
            await ledger.tx.put_change(
                StoredChange(
                    stored.digest,
                    stored.document,
                    "approved",
                    stored.proposer_signature,
                    signature,
                    after.revision,
                    stored.proposed_at,
                    now,
                )
            )
            public = {
                "change": stored.digest,
                "proposer": proposer.id,
                "approver": approver.id,
                "revision": after.revision,
            }
            private = {"document": stored.document.decode()}
            await ledger.enter(Fact(Tag.CHANGE_APPROVED, REGISTRY, now, approver.id, public, private))
            await ledger.tx.wake((State.HELD,), now)
            return after

        approved = await self._recorder.do(job)
        self._looked = None
        return approved

    async def proposals(self) -> list[Proposal]:
        """Changes that wait for a second signature and still follow the registry's head."""
        async with self._recorder.records.read() as view:
            registry = await self.fold(view)
            waiting = await view.changes("proposed")
        found = []
        for stored in waiting:
            change = parse_change(stored.document)
            if change.previous == registry.head:
                signer = registry.signer(change, stored.proposer_signature, local_day(self._recorder.clock.now()))
                found.append(Proposal(change, signer.id, stored))
        return found

    async def _proposed(self, view: Reading, digest: str) -> StoredChange:
        for stored in await view.changes("proposed"):
            if stored.digest == digest or (len(digest) >= 8 and stored.digest.startswith(digest)):
                return stored
        raise NotFound(
            f"there is no proposal {digest[:12]}: list them with `hetao registry pending`", code="no-proposal"
        )
