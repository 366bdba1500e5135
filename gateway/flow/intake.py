"""What senders do: open a transfer, bring files, declare, submit, withdraw. Every door calls these and decides nothing.

The rules:
1. A door hands over a `Principal`; each verb here checks the permission and that the transfer is the principal's own.
   Another institution's transfer does not exist for it (NotFound, the same as for no transfer at all).
2. A file counts when it is durable *and* recorded; a submission freezes the list in the transaction that records it.
3. A repeated request with the same idempotency key, or the same bytes to the same path, changes nothing.
4. The ledger tells that a transfer was opened by whom and for whom; the dataset's name is committed, not shown.

When a step fails: bytes end early -> Incomplete, the part is removed, nothing recorded; the digest differs from the
announced one -> Conflict, the same; the disk is full -> StoreError, the same; the transfer was submitted meanwhile ->
Conflict, the new part is removed and the submitted one stands.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.core.declaration import parse_declaration, stand_on
from gateway.core.errors import Conflict, NotFound, NotPermitted, TooLarge, Unusable
from gateway.core.facts import Fact, Tag
from gateway.core.identity import Permission, Principal
from gateway.core.intake import Limits, Part, check_quota, check_room, check_submission, files_root
from gateway.core.manifests import manifest_kind
from gateway.core.names import DatasetName, parse_identifier, parse_path, parse_segment, settled_name
from gateway.core.records import Endpoint, Institution, Project, direction_of
from gateway.core.situation import Vocabulary
from gateway.core.transfer import State, Transfer, deadline
from gateway.flow.carry import Carry, Listing
from gateway.flow.findings import says_something
from gateway.flow.incoming import Announced, Incoming, Reception, forget_row
from gateway.flow.keeper import Keeper, changed, require_state
from gateway.flow.lineage import check_named, family_key_of
from gateway.flow.locks import promised
from gateway.flow.recall import check_rows, sealed_row
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.run import Run, cut_off, forget_upload
from gateway.flow.upload import VaultSealer
from gateway.ports import Classifying, HeaderOpener, Spool, StoredFile, TransferFilter, Upload
from gateway.wire.crypt4gh import Buffer

__all__ = ["Announced", "Incoming", "Intake"]

MAX_IDEMPOTENCY_KEY = 200
SUMMED_SECONDS = 1.0
MAX_DRAFTS = 1_000
NOTHING_CHANGED = "nothing changed since the version before"


@dataclass(frozen=True)
class _Draft:
    """An open transfer as it was read, when, and what had been recorded by then (`Recorder.standing`)."""

    transfer: Transfer
    read_at: float
    standing: int


@dataclass(frozen=True)
class _Said:
    """What a submission says; see `Intake.submit`."""

    listed: Mapping[str, int] | None
    only_changed: bool
    root: str
    by: str


class Intake:
    """The senders' verbs.

    Args:
        recorder: The only writer.
        spool: Where sealed parts go.
        registrar: Who is registered.
        vault_public: The public half of the vault key, 32 bytes.
        opener: The private half; asked only to go on with an upload or to show a sender its own draft (`resume`).
        classifier: Makes a fresh classifier for a path.
        vocabulary: What a declaration may say.
        pool: Worker threads of all uploads.
        limits: Bounds on a transfer.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        spool: Spool,
        registrar: Registrar,
        vault_public: bytes,
        opener: HeaderOpener,
        classifier: Callable[[str], Classifying],
        vocabulary: Vocabulary,
        pool: Executor,
        limits: Limits,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._vocabulary = vocabulary
        self._limits = limits
        self.keeper = Keeper(recorder=recorder, spool=spool, pool=pool, limits=limits)
        sealer = VaultSealer(vault_public, recorder.entropy, recorder.clock)
        self.reception = Reception(
            recorder, spool, sealer, opener, classifier, pool, limits, self.keeper, self._family_key
        )
        self._carry = Carry(recorder, spool)
        self._uploading: Counter[str] = Counter()
        self._arriving: dict[str, list[Incoming]] = {}
        self._sums: dict[str, tuple[float, int]] = {}
        self._drafts: dict[str, _Draft] = {}

    # --- open --------------------------------------------------------------------------------------------------------

    async def open_transfer(
        self,
        principal: Principal,
        *,
        endpoint: str,
        project: str,
        dataset: str,
        declaration: Mapping[str, Any] | None = None,
        idempotency_key: str = "",
        follow: bool = False,
    ) -> Transfer:
        """A new transfer, or the one this key opened before.

        Args:
            principal: The sender.
            endpoint: Who receives.
            project: Under which purpose.
            dataset: The dataset's name.
            declaration: What the sender says of the data.
            idempotency_key: The sender's name for this request.
            follow: Whether it begins with the files of the newest version that stands (`flow.carry`); else it is empty.

        Raises:
            NotFound: The endpoint or project is not registered for this institution.
            Conflict: The key was used for another dataset; with `retry`, the version before moved on.
            TooLarge: The institution has too many transfers open.
        """
        _require(principal, Permission.TRANSFERS_OPEN)
        if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
            raise Unusable(f"an idempotency key has at most {MAX_IDEMPOTENCY_KEY} characters")
        name = await self._dataset_name(principal, endpoint, project, dataset)
        declared = parse_declaration(declaration or {}, self._vocabulary)
        transfer_id = _transfer_id(self._recorder.entropy.token(15))
        await self._recorder.make_evidence_key(transfer_id)
        listing: Listing | None = None

        async def job(ledger: Ledgering) -> Transfer:
            return await self._open(ledger, principal, name, declared, transfer_id, idempotency_key, listing)

        opened: Transfer | None = None
        try:
            listing = await self._carry.listing(name, transfer_id) if follow else None
            opened = await self._recorder.do(job)
        finally:
            if opened is None or opened.id != transfer_id:  # refused, or an earlier request's answer stands
                await self._carry.abandon(transfer_id)
        return opened

    async def _family_key(self, project: str) -> bytes:
        return await family_key_of(self._recorder, await self._registrar.recent(), project)

    async def _dataset_name(self, principal: Principal, endpoint: str, project: str, dataset: str) -> DatasetName:
        registry = await self._registrar.registry()
        found = registry.get(Project, parse_identifier(project, "project"))
        if found.institution != principal.institution:
            raise NotFound(f"project {project!r} is not registered", code="not-registered")
        if endpoint not in found.endpoints:
            raise NotFound(f"project {project!r} has no endpoint {endpoint!r}", code="not-registered")
        registry.get(Endpoint, endpoint)
        return DatasetName(principal.institution, endpoint, project, parse_segment(dataset))

    async def _open(
        self,
        ledger: Ledgering,
        principal: Principal,
        name: DatasetName,
        declared: Mapping[str, Any],
        transfer_id: str,
        idempotency_key: str,
        listing: Listing | None,
    ) -> Transfer:
        if idempotency_key:
            earlier = await ledger.tx.transfer_by_key(principal.institution, idempotency_key)
            if earlier is not None:
                if (earlier.endpoint, earlier.project, earlier.dataset) != (name.endpoint, name.project, name.dataset):
                    raise Conflict(
                        "this idempotency key was used for another dataset: take a new one", code="idempotency-key-used"
                    )
                return earlier
        if listing is not None:
            await self._carry.check(ledger, name, listing)
            declared = listing.declaration
        taken = listing or Listing()
        await self._check_open_transfers(ledger, principal)
        registry = await self._registrar.fold(ledger.tx)
        parties = registry.find(Institution, name.institution), registry.find(Endpoint, name.endpoint)
        latest = await ledger.tx.latest_version(name.institution, name.endpoint, name.project, name.dataset)
        now = ledger.now
        transfer = Transfer(
            id=transfer_id,
            institution=name.institution,
            endpoint=name.endpoint,
            project=name.project,
            dataset=name.dataset,
            version=latest + 1,
            direction=direction_of(*parties),
            door=principal.door.value,
            person=principal.person,
            client=principal.client,
            state=State.OPEN,
            since=now,
            due=deadline(State.OPEN, now),
            opened_at=now,
            declaration=dict(declared),
            files=len(taken.rows),
            bytes=taken.bytes,
        )
        if (
            listing is None
        ):  # what a version takes over is looked up when it is submitted: its sender may yet say otherwise
            await check_named(ledger.tx, registry, transfer, declared)
        public = {
            "institution": transfer.institution,
            "endpoint": transfer.endpoint,
            "project": transfer.project,
            "version": transfer.version,
            "door": transfer.door,
            "direction": transfer.direction,
            "follows": taken.follows.id if taken.follows else "",
        }
        private = {"dataset": transfer.dataset, "person": transfer.person, "declaration": dict(declared)}
        index = await ledger.enter(Fact(Tag.OPENED, transfer.id, now, principal.client, public, private))
        transfer = replace(transfer, last_entry=index)
        await ledger.tx.put_transfer(transfer, idempotency_key)
        await ledger.tx.put_files(taken.rows)
        for manifest in await ledger.tx.manifests(taken.follows.id) if taken.follows else ():
            await ledger.tx.put_manifest(transfer.id, manifest)
        ledger.seen.append((Tag.OPENED.value, {"transfer_id": transfer.id, "state": "open", "entry": index}))
        return transfer

    async def _check_open_transfers(self, ledger: Ledgering, principal: Principal) -> None:
        wanted = TransferFilter(institution=principal.institution, states=(State.OPEN,))
        bound = self._limits.open_transfers
        if len(await ledger.tx.transfers(wanted, limit=bound)) >= bound:
            raise TooLarge(
                f"at most {bound} transfers may be open at once: submit or withdraw some",
                code="too-many-transfers",
                retry=True,
            )

    # --- files -------------------------------------------------------------------------------------------------------

    async def receive(
        self,
        principal: Principal,
        transfer_id: str,
        path: str,
        body: AsyncIterator[Buffer],
        announced: Announced,
    ) -> StoredFile:
        """One whole file, from its first byte to its last; returns when it is durable and recorded.

        Args:
            principal: The sender.
            transfer_id: An open transfer of the sender's institution.
            path: The file's path in the dataset.
            body: Its bytes as they arrive; raises Incomplete where they end early.
            announced: What was said of it.

        Raises:
            Incomplete: Fewer or more bytes came than were announced.
            Conflict: The digest differs, or the transfer is not open any more.
            TooLarge: A bound was passed.
        """
        upload = await self.begin(principal, transfer_id, path, announced)
        try:
            async for chunk in body:
                await upload.feed(chunk)
        except BaseException:
            await upload.abort()
            raise
        return await upload.finish(announced)

    async def begin(
        self,
        principal: Principal,
        transfer_id: str,
        path: str,
        announced: Announced | None = None,
        *,
        resumable: bool = False,
    ) -> Incoming:
        """Open one file, for a door that is fed by requests; the caller ends it with `finish`, `suspend` or `abort`.

        Raises:
            Conflict: The transfer is not open any more.
            TooLarge: The transfer is full, or the institution has no room left.
        """
        return await self.begin_in(
            principal, await self._own(principal, transfer_id), path, announced, resumable=resumable
        )

    async def still_open(self, transfer_id: str) -> Transfer | None:
        """A transfer, if it is open; for a caller that knows whose it is.

        Where one process serves it may be what was read up to a second ago, provided that nothing was recorded since: only
        a command on the host can have ended it then, and recording the file asks again.
        """
        standing, now = self._recorder.standing, asyncio.get_running_loop().time()
        known = self._drafts.get(transfer_id)
        if known and self.keeper.holds and known.standing == standing and now - known.read_at < SUMMED_SECONDS:
            return known.transfer
        async with self._recorder.records.read() as view:
            found = await view.transfer(transfer_id)
        if found is None or found.state is not State.OPEN:
            self._drafts.pop(transfer_id, None)
            return None
        if standing is not None and standing == self._recorder.standing:
            if len(self._drafts) >= MAX_DRAFTS:
                self._drafts.clear()
            self._drafts[transfer_id] = _Draft(found, now, standing)
        return found

    async def begin_in(
        self,
        principal: Principal,
        transfer: Transfer,
        path: str,
        announced: Announced | None = None,
        *,
        resumable: bool = False,
    ) -> Incoming:
        """The same, for a caller that has looked at its own transfer a moment ago; it is looked at again when the file ends."""
        _require(principal, Permission.TRANSFERS_WRITE)
        canonical_path = parse_path(path)
        held = await self.admit(transfer, (announced and announced.size) or 0)
        incoming: Incoming = Incoming(
            self.reception,
            transfer,
            canonical_path,
            lambda: self._over(transfer, incoming, incoming.size),
            resumable=resumable,
            held=held,
        )
        self._began(transfer, incoming)
        return incoming

    async def admit(self, transfer: Transfer, size: int, *, kept: int = 0) -> int:
        """Whether a file of so many bytes may come in; returns what its institution has here that is not delivered.

        `kept` are bytes that take room, too, and are in no file yet.

        Raises:
            Conflict: The transfer is not open any more.
            TooLarge: A bound would be passed.
        """
        require_state(transfer, State.OPEN)
        check_room(self._limits, transfer.files, transfer.bytes, size)
        held = await self._undelivered(transfer) + kept
        check_quota(self._limits, held, size)
        return held

    def begin_run(self, transfer: Transfer, upload: Upload, held: int) -> Run:
        """A run of an upload that has an address, for `flow.uploads`, which saw to who may and whether there is room."""
        run: Run = Run(
            self.reception,
            transfer,
            upload,
            lambda: self._began(transfer, run),
            lambda: self._over(transfer, run, run.received),
            held=held,
        )
        return run

    def received(self, transfer_id: str) -> tuple[int, int]:
        """Files of a transfer that this process is receiving, and how many bytes of them came so far."""
        arriving = self._arriving.get(transfer_id, ())
        return len(arriving), sum(each.size for each in arriving)

    def _began(self, transfer: Transfer, incoming: Incoming) -> None:
        self._uploading[transfer.id] += 1
        self._arriving.setdefault(transfer.id, []).append(incoming)

    def _over(self, transfer: Transfer, incoming: Incoming, size: int) -> None:
        """One is over, or pauses; `size` is what it brought to the transfer."""
        self._arriving[transfer.id].remove(incoming)
        if not self._arriving[transfer.id]:
            del self._arriving[transfer.id]
        self._ended(transfer, size)

    async def _undelivered(self, transfer: Transfer) -> int:
        """Far from the bound as it was a moment ago, with what came since: it is asked again when a file is recorded."""
        bound = self._limits.undelivered_bytes
        if not bound:
            return 0
        institution, now = transfer.institution, asyncio.get_running_loop().time()
        asked, size = self._sums.get(institution, (-SUMMED_SECONDS, 0))
        if size > bound // 2:
            await self.keeper.settled(transfer.id)
        if now - asked >= SUMMED_SECONDS or size > bound // 2:
            async with self._recorder.records.read() as view:
                size = await view.undelivered(institution)
            self._sums[institution] = (now, size)
        return size

    def _ended(self, transfer: Transfer, size: int) -> None:
        self._uploading[transfer.id] -= 1
        if not self._uploading[transfer.id]:
            del self._uploading[transfer.id]
        if transfer.institution in self._sums:
            asked, before = self._sums[transfer.institution]
            self._sums[transfer.institution] = (asked, before + size)

    async def drop_file(self, principal: Principal, transfer_id: str, path: str) -> None:
        """Take a file out of an open transfer: what was received of it, and what was cut off."""
        _require(principal, Permission.TRANSFERS_WRITE)
        await self.own(principal, transfer_id)
        named = parse_path(path)

        async def job(ledger: Ledgering) -> tuple[Part, ...]:
            transfer = await ledger.transfer(transfer_id)
            require_state(transfer, State.OPEN)
            found, note = await ledger.tx.file(transfer_id, named), await ledger.tx.partial(transfer_id, named)
            begun = [each for each in await ledger.tx.uploads(transfer_id) if each.path == named and not each.done]
            if found is None and note is None and not begun:
                raise NotFound("there is no such file in this transfer", code="no-such-file")
            spare = [part for each in begun for part in await forget_upload(ledger, each)]
            if note is not None:
                await ledger.tx.drop_partial(transfer_id, named)
                await ledger.tx.put_transfer(changed(transfer, ledger.now))
            if found is not None:
                await forget_row(ledger, transfer, found)
            return (*(found.file.parts if found else ()), *(note.parts if note else ()), *spare)

        obsolete = await self._recorder.do(job)
        self._drafts.pop(transfer_id, None)
        await self.reception.forget(transfer_id, obsolete)

    async def rename_file(self, principal: Principal, transfer_id: str, path: str, to: str) -> StoredFile:
        """Give a received file of an open transfer another name; a file that has it is replaced.

        A name is inspected with the bytes, and those cannot be read again here. So the new name must be the one the file
        was inspected under (a client's temporary name settled), or one that says nothing of its own.

        Raises:
            NotFound: No such file.
            Conflict: The new name would have to be inspected with the bytes: the file has to be sent again.
        """
        _require(principal, Permission.TRANSFERS_WRITE)
        old, new = parse_path(path), parse_path(to)
        if settled_name(new) == settled_name(old) != old and (
            held := await self._rename_held(principal, transfer_id, old, new)
        ):
            return held
        await self._own(principal, transfer_id)
        for each in (old, new):
            await self.keeper.settled(transfer_id, each)
        telling = settled_name(new) != settled_name(old) and says_something(self.reception.classifier, old, new)

        async def job(ledger: Ledgering) -> tuple[StoredFile, StoredFile | None]:
            transfer = await ledger.transfer(transfer_id)
            require_state(transfer, State.OPEN)
            found = await ledger.tx.file(transfer_id, old)
            if found is None:
                raise NotFound("there is no such file in this transfer", code="no-such-file")
            if telling or (settled_name(new) != settled_name(old) and found.facts["hgr_information"]):
                raise Conflict(
                    "this name has to be inspected with its bytes: send the file again under the new name",
                    code="named-content",
                )
            if old == new:
                return found, None
            replaced = await ledger.tx.file(transfer_id, new)
            key = await self._recorder.evidence_key(transfer_id)
            check_rows([found], key)  # or a rename would put a fresh seal on an altered row
            row = replace(found, file=replace(found.file, path=new), findings={**found.findings, "path": new})
            renamed = sealed_row(row, key)
            await ledger.tx.drop_file(transfer_id, old)
            await ledger.tx.put_file(renamed)
            await _move_manifest(ledger, transfer_id, old, new)
            left = {"files": transfer.files - 1, "bytes": transfer.bytes - replaced.file.size} if replaced else {}
            await ledger.tx.put_transfer(changed(transfer, ledger.now, **left))
            return renamed, replaced

        renamed, replaced = await self._recorder.do(job)
        self._drafts.pop(transfer_id, None)
        if replaced is not None:
            await self.reception.forget(transfer_id, replaced.file.parts)
        return renamed

    async def _rename_held(self, principal: Principal, transfer_id: str, old: str, new: str) -> StoredFile | None:
        """From a client's temporary name to the one it stands for, which it was inspected under; None where it is not held."""
        draft = await self.still_open(transfer_id)
        return await self.keeper.rename(transfer_id, old, new) if _belongs(draft, principal) else None

    async def date_file(self, principal: Principal, transfer_id: str, path: str, modified: datetime) -> None:
        """Note the time of last change a sender gives a received file.

        No submission commits to it, so that of a frozen file may be set too: a client that compares times would else
        send the file again, or open a version for nothing.
        """
        _require(principal, Permission.TRANSFERS_WRITE)
        draft = await self.still_open(transfer_id)
        if _belongs(draft, principal) and self.keeper.date(transfer_id, parse_path(path), modified):
            return
        await self._own(principal, transfer_id)
        await self.keeper.settled(transfer_id, parse_path(path))

        async def job(ledger: Ledgering) -> None:
            found = await ledger.tx.file(transfer_id, parse_path(path))
            if found is None:
                raise NotFound("there is no such file in this transfer", code="no-such-file")
            await ledger.tx.put_file(replace(found, modified_at=modified))

        await self._recorder.do(job)

    # --- declare, submit, withdraw -----------------------------------------------------------------------------------

    async def declare(self, principal: Principal, transfer_id: str, declaration: Mapping[str, Any]) -> Transfer:
        """Replace the declaration of an open or held transfer; a held one is decided again.

        Declaring what is declared changes nothing, whatever became of the transfer since.
        """
        _require(principal, Permission.TRANSFERS_SUBMIT)
        own = await self.own(principal, transfer_id)
        words = parse_declaration(declaration, self._vocabulary)
        standing = (await self._registrar.registry()).get(Project, own.project).declaration
        joined = parse_declaration(stand_on(standing, words), self._vocabulary)

        async def job(ledger: Ledgering) -> Transfer:
            transfer = await ledger.transfer(transfer_id)
            held = transfer.state is State.HELD
            await check_named(ledger.tx, await self._registrar.fold(ledger.tx), transfer, joined)
            if not held and transfer.declaration == (words if transfer.state is State.OPEN else joined):
                return transfer
            # An open transfer keeps its own words; what stands under them is joined when it is submitted.
            declared, again = (joined, {"next_at": ledger.now}) if held else (words, {})
            return await ledger.record(
                transfer if held else changed(transfer, ledger.now),
                Tag.DECLARED,
                actor=principal.client,
                private={"declaration": declared},
                changes={"declaration": declared, **again},
            )

        return await self._recorder.do(job)

    async def submit(
        self,
        principal: Principal,
        transfer_id: str,
        *,
        listed: Mapping[str, int] | None = None,
        only_changed: bool = False,
        root: str = "",
        by: str = "sender",
    ) -> Transfer:
        """Freeze the file list and hand the transfer on. Submitting what is submitted changes nothing.

        Args:
            principal: The sender.
            transfer_id: The transfer.
            listed: Path to size, where the sender lists what must be there.
            only_changed: End a draft in which nothing is new, and answer with the version it follows.
            root: Root of the file list that is meant, hex, where it was looked at before; any other is a Conflict.
            by: Who says that it is whole: `sender`, or a rule of `core.completeness`.
        """
        _require(principal, Permission.TRANSFERS_SUBMIT)
        transfer = await self.own(principal, transfer_id)
        standing = (await self._registrar.registry()).get(Project, transfer.project).declaration
        # Each part was checked when it was made; the two together are checked now, before anything is frozen.
        parse_declaration(stand_on(standing, transfer.declaration), self._vocabulary)
        unfinished = await self.unfinished(transfer_id)
        said = _Said(listed, only_changed, root, by)

        async def job(ledger: Ledgering) -> tuple[Transfer, tuple[str, ...]]:
            return await self._submit(ledger, principal, transfer_id, said, standing, unfinished)

        submitted, spare = await self._recorder.do(job)
        await self._carry.forget(transfer_id, spare)
        return submitted

    async def _submit(
        self,
        ledger: Ledgering,
        principal: Principal,
        transfer_id: str,
        said: _Said,
        standing: Mapping[str, Any],
        unfinished: int,
    ) -> tuple[Transfer, tuple[str, ...]]:
        """The transfer as it stands then, and parts that nothing names any more."""
        transfer = await ledger.transfer(transfer_id)
        rows = await ledger.tx.files(transfer_id)
        files = [stored.file for stored in rows]
        unfinished = max(unfinished, await cut_off(ledger.tx, transfer_id, ledger.now))
        if transfer.state is not State.OPEN and transfer.root:
            if said.listed is not None and said.listed != {file.path: file.size for file in files}:
                raise Conflict("this transfer was submitted with another file list: open a new one")
            return transfer, ()
        check_submission(files, said.listed, unfinished)
        followed = await self._carry.followed(ledger.tx, transfer)
        if said.only_changed and followed and await self._carry.unchanged(ledger.tx, transfer, followed, rows):
            await ledger.record(transfer, Tag.WITHDRAWN, public={"by": "gateway"}, changes={"reason": NOTHING_CHANGED})
            return followed, tuple(part.name for row in rows for part in row.file.parts)
        carried, spare = await self._carry.settle(ledger, transfer, followed, rows)
        root = files_root(files).hex()
        if said.root and root != said.root:
            raise Conflict("the files changed while they were looked at")
        declared = stand_on(standing, transfer.declaration)
        await check_named(ledger.tx, await self._registrar.fold(ledger.tx), transfer, declared)
        submitted = await ledger.record(
            transfer,
            Tag.SUBMITTED,
            actor=principal.client,
            public={"files": len(files), "root_committed": True, "carried": carried, "by": said.by},
            private={"root": root, "bytes": transfer.bytes, "declaration": declared},
            changes={"root": root, "declaration": declared, "reason": ""},
        )
        return submitted, spare

    async def withdraw(self, principal: Principal, transfer_id: str) -> Transfer:
        """End a transfer that has not left. Withdrawing what is withdrawn changes nothing."""
        _require(principal, Permission.TRANSFERS_WITHDRAW)
        transfer = await self.own(principal, transfer_id)
        if transfer.state is State.WITHDRAWN:
            return transfer

        async def job(ledger: Ledgering) -> Transfer:
            now_at = await ledger.transfer(transfer_id)
            if now_at.state is State.WITHDRAWN:  # a request beside this one was quicker
                return now_at
            withdrawn = await ledger.record(
                now_at,
                Tag.WITHDRAWN,
                actor=principal.client,
                public={"by": "sender" if principal.institution else "operator"},
                changes={"reason": ""} if now_at.state is State.OPEN else {},
            )
            return await ledger.return_persons(withdrawn, "withdrawn")

        return await self._recorder.do(job)

    # --- connections -------------------------------------------------------------------------------------------------

    async def unfinished(self, transfer_id: str) -> int:
        """Uploads into a transfer that are under way, were cut off, or were promised by a client that keeps a lock.

        The vault knows of uploads in every process; this process knows also of those whose part is whole and whose row is
        not written. Such a one in another process finds the transfer submitted, and its sender is told: not received.
        """
        held = await asyncio.to_thread(self.reception.spool.unfinished, transfer_id)
        async with self._recorder.records.read() as view:
            partials = await cut_off(view, transfer_id, self._recorder.clock.now())
            transfer = await view.transfer(transfer_id)
            awaited = await promised(view, transfer, self._recorder.clock.now()) if transfer else 0
        return max(len(held), self._uploading[transfer_id], partials) + awaited

    async def waits_for_quiet(self, transfer: Transfer) -> bool:
        """Whether silence may submit a draft, so that who writes into it has to be noted."""
        return (await self._registrar.registry()).get(Project, transfer.project).quiet_minutes > 0

    async def connected(self, principal: Principal, transfer_id: str, connection: str) -> None:
        """Note durably that a connection writes into a draft, before its first byte.

        If it ends otherwise than in order, or this process dies, nobody takes silence for an end.
        """
        _require(principal, Permission.TRANSFERS_WRITE)
        await self.own(principal, transfer_id)
        await self._recorder.do(lambda ledger: ledger.tx.put_connection(transfer_id, connection, None))

    async def disconnected(self, transfer_id: str, connection: str, *, lost: bool) -> None:
        """The connection ended: in order, or it broke off."""

        async def job(ledger: Ledgering) -> None:
            if lost:
                await ledger.tx.put_connection(transfer_id, connection, ledger.now)
            else:
                await ledger.tx.drop_connection(transfer_id, connection)

        await self._recorder.do(job)

    # --- whose -------------------------------------------------------------------------------------------------------

    async def own(self, principal: Principal, transfer_id: str) -> Transfer:
        """A transfer of the caller's, with every file that was answered as received; raises NotFound for anybody else's."""
        await self._own(principal, transfer_id)
        await self.keeper.settled(transfer_id)
        return await self._own(principal, transfer_id)

    async def _own(self, principal: Principal, transfer_id: str) -> Transfer:
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
        if transfer is None or (principal.institution and transfer.institution != principal.institution):
            raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
        return transfer


async def _move_manifest(ledger: Ledgering, transfer_id: str, old: str, new: str) -> None:
    """What a manifest says goes with its file, but only to a name it was read under."""
    if not manifest_kind(old) and not manifest_kind(new):
        return
    found = [each for each in await ledger.tx.manifests(transfer_id) if each.path == old]
    for path in (old, new):
        await ledger.tx.drop_manifest(transfer_id, path)
    if found and settled_name(old) == settled_name(new):
        await ledger.tx.put_manifest(transfer_id, replace(found[0], path=new))


def _belongs(transfer: Transfer | None, principal: Principal) -> bool:
    return transfer is not None and transfer.institution == principal.institution


def _require(principal: Principal, permission: Permission) -> None:
    if not principal.may(permission):
        raise NotPermitted(f"this credential may not do {permission} here: ask for that scope")


def _transfer_id(random: bytes) -> str:
    """`t` and 24 characters of lower-case base32: opaque, safe in URLs, file names and ledger entries."""
    return "t" + base64.b32encode(random).decode().lower()
