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
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.classify import Classifier
from gateway.core.declaration import parse_declaration, stand_on
from gateway.core.errors import Conflict, Incomplete, NotFound, NotPermitted, TooLarge, Unusable
from gateway.core.facts import Fact, Tag, local_day
from gateway.core.identity import Permission, Principal
from gateway.core.intake import Limits, check_room, check_submission, files_root
from gateway.core.names import DatasetName, parse_identifier, parse_path, parse_segment
from gateway.core.persons import keyed_digests, pack
from gateway.core.records import Endpoint, Project
from gateway.core.situation import Vocabulary
from gateway.core.transfer import State, Transfer, deadline
from gateway.flow.findings import decision_facts
from gateway.flow.recall import sealed_row
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.upload import Pass, Passed, seal_session_key
from gateway.ports import Spool, StoredFile, TransferFilter

MAX_IDEMPOTENCY_KEY = 200


@dataclass(frozen=True)
class Announced:
    """What a sender says of a file before or beside its bytes; None where nothing was said.

    Attributes:
        size: Bytes.
        digests: By RFC 9530 algorithm name; only `sha-256` is checked here.
    """

    size: int | None = None
    digests: Mapping[str, bytes] | None = None


class Intake:
    """The senders' verbs.

    Args:
        recorder: The only writer.
        spool: Where sealed parts go.
        registrar: Who is registered.
        vault_public: The public half of the vault key, 32 bytes; the private half is not here.
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
        classifier: Callable[[str], Classifier],
        vocabulary: Vocabulary,
        pool: Executor,
        limits: Limits,
    ) -> None:
        self._recorder = recorder
        self._spool = spool
        self._registrar = registrar
        self._vault_public = vault_public
        self._classifier = classifier
        self._vocabulary = vocabulary
        self._pool = pool
        self._limits = limits
        self._uploading: Counter[str] = Counter()

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
    ) -> Transfer:
        """A new transfer, or the one this key opened before.

        Raises:
            NotFound: The endpoint or project is not registered for this institution.
            Conflict: The key was used for another dataset.
            TooLarge: The institution has too many transfers open.
        """
        _require(principal, Permission.TRANSFERS_OPEN)
        if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
            raise Unusable(f"an idempotency key has at most {MAX_IDEMPOTENCY_KEY} characters")
        name = await self._dataset_name(principal, endpoint, project, dataset)
        declared = parse_declaration(declaration or {}, self._vocabulary)
        transfer_id = _transfer_id(self._recorder.entropy.token(15))
        await self._recorder.make_evidence_key(transfer_id)

        async def job(ledger: Ledgering) -> Transfer:
            return await self._open(ledger, principal, name, declared, transfer_id, idempotency_key)

        opened: Transfer | None = None
        try:
            opened = await self._recorder.do(job)
        finally:
            if opened is None or opened.id != transfer_id:  # refused, or an earlier request's answer stands
                await self._recorder.keyring.destroy(transfer_id)
                self._recorder.forget_key(transfer_id)
        return opened

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
    ) -> Transfer:
        if idempotency_key:
            earlier = await ledger.tx.transfer_by_key(principal.institution, idempotency_key)
            if earlier is not None:
                if (earlier.endpoint, earlier.project, earlier.dataset) != (name.endpoint, name.project, name.dataset):
                    raise Conflict("this idempotency key was used for another dataset: take a new one")
                return earlier
        await self._check_open_transfers(ledger, principal)
        latest = await ledger.tx.latest_version(name.institution, name.endpoint, name.project, name.dataset)
        now = ledger.now
        transfer = Transfer(
            id=transfer_id,
            institution=name.institution,
            endpoint=name.endpoint,
            project=name.project,
            dataset=name.dataset,
            version=latest + 1,
            direction="outbound",
            door=principal.door.value,
            person=principal.person,
            client=principal.client,
            state=State.OPEN,
            since=now,
            due=deadline(State.OPEN, now),
            opened_at=now,
            declaration=dict(declared),
        )
        public = {
            "institution": transfer.institution,
            "endpoint": transfer.endpoint,
            "project": transfer.project,
            "version": transfer.version,
            "door": transfer.door,
            "direction": transfer.direction,
        }
        private = {"dataset": transfer.dataset, "person": transfer.person, "declaration": dict(declared)}
        index = await ledger.enter(Fact(Tag.OPENED, transfer.id, now, principal.client, public, private))
        transfer = replace(transfer, last_entry=index)
        await ledger.tx.put_transfer(transfer, idempotency_key)
        ledger.seen.append((Tag.OPENED.value, {"transfer_id": transfer.id, "state": "open", "entry": index}))
        return transfer

    async def _check_open_transfers(self, ledger: Ledgering, principal: Principal) -> None:
        wanted = TransferFilter(institution=principal.institution, states=(State.OPEN,))
        bound = self._limits.open_transfers
        if len(await ledger.tx.transfers(wanted, limit=bound)) >= bound:
            raise TooLarge(f"at most {bound} transfers may be open at once: submit or withdraw some")

    # --- files -------------------------------------------------------------------------------------------------------

    async def receive(
        self, principal: Principal, transfer_id: str, path: str, body: AsyncIterator[bytes], announced: Announced
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
        _require(principal, Permission.TRANSFERS_WRITE)
        canonical_path = parse_path(path)
        transfer = await self._own(principal, transfer_id)
        _require_state(transfer, State.OPEN)
        check_room(self._limits, transfer.files, transfer.bytes, announced.size or 0)
        part = f"{transfer_id}/{self._recorder.entropy.token(10).hex()}/0"
        self._uploading[transfer_id] += 1
        try:
            return await self._receive(transfer, canonical_path, part, body, announced)
        finally:
            self._uploading[transfer_id] -= 1
            if not self._uploading[transfer_id]:
                del self._uploading[transfer_id]

    async def _receive(
        self, transfer: Transfer, path: str, part: str, body: AsyncIterator[bytes], announced: Announced
    ) -> StoredFile:
        key = self._recorder.entropy.token(32)
        upload = Pass(
            classifier=self._classifier(path),
            writer=self._spool.create(part),
            key=key,
            entropy=self._recorder.entropy,
            pool=self._pool,
        )
        try:
            async for chunk in body:
                await upload.feed(chunk)
                check_room(self._limits, transfer.files, transfer.bytes, upload.size)
            passed = await upload.finish()
            _check_announced(passed, announced)
            header = seal_session_key(key, self._vault_public, self._recorder.entropy)
            await self._recorder.keyring.put(transfer.id, part, header)
            unnumbered = await self._stored(transfer, passed, path, part)
            stored, replaced = await self._recorder.do(lambda ledger: self._keep(ledger, unnumbered))
        except BaseException:
            await upload.abort()
            await self._forget(transfer.id, (part,))
            raise
        if replaced is not None:
            await self._forget(transfer.id, replaced.file.parts)
        self._recorder.observer.saw(
            "file.received",
            transfer_id=transfer.id,
            file=stored.file.number,
            bytes=passed.size,
            format=passed.findings.format,
        )
        return stored

    async def _stored(self, transfer: Transfer, passed: Passed, path: str, part: str) -> StoredFile:
        now = self._recorder.clock.now()
        year = local_day(now).year
        year_key = await self._recorder.keyring.year_key(year)
        people = passed.findings.identifiers
        # Sample names of genomes are unique within a project only; numbers of persons are scoped by nothing.
        scope = f"{transfer.institution}/{transfer.project}".encode()
        # A million people take a second or two: not on the event loop.
        loop = asyncio.get_running_loop()
        digests = pack(await loop.run_in_executor(self._pool, keyed_digests, people, year_key, scope))
        return StoredFile(
            transfer_id=transfer.id,
            file=passed.received(path, 0, part),  # its number is drawn in the transaction that keeps it
            findings=passed.findings.to_json(passed.sha256.hex()),
            facts=decision_facts(passed.findings, year),
            persons_sensitive=digests if people.sensitive else b"",
            persons_nonsensitive=digests if people.ordinary else b"",
            received_at=now,
        )

    async def _keep(self, ledger: Ledgering, unnumbered: StoredFile) -> tuple[StoredFile, StoredFile | None]:
        """Record a received file; returns it with its number, and the one it replaces."""
        number = await ledger.tx.next_file_number(unnumbered.transfer_id)
        key = await self._recorder.evidence_key(unnumbered.transfer_id)
        stored = sealed_row(replace(unnumbered, file=replace(unnumbered.file, number=number)), key)
        transfer = await ledger.transfer(stored.transfer_id)
        _require_state(transfer, State.OPEN)
        earlier = await ledger.tx.file(stored.transfer_id, stored.file.path)
        files = transfer.files + (0 if earlier else 1)
        size = transfer.bytes + stored.file.size - (earlier.file.size if earlier else 0)
        check_room(self._limits, files - 1, size - stored.file.size, stored.file.size)
        await ledger.tx.put_file(stored)
        await ledger.tx.put_transfer(replace(transfer, files=files, bytes=size))
        return stored, earlier

    async def drop_file(self, principal: Principal, transfer_id: str, path: str) -> None:
        """Take a received file out of an open transfer."""
        _require(principal, Permission.TRANSFERS_WRITE)
        await self._own(principal, transfer_id)

        async def job(ledger: Ledgering) -> StoredFile:
            transfer = await ledger.transfer(transfer_id)
            _require_state(transfer, State.OPEN)
            found = await ledger.tx.file(transfer_id, parse_path(path))
            if found is None:
                raise NotFound("there is no such file in this transfer", code="no-such-file")
            await ledger.tx.drop_file(transfer_id, found.file.path)
            await ledger.tx.put_transfer(
                replace(transfer, files=transfer.files - 1, bytes=transfer.bytes - found.file.size)
            )
            return found

        dropped = await self._recorder.do(job)
        await self._forget(transfer_id, dropped.file.parts)

    async def _forget(self, transfer_id: str, parts: tuple[str, ...]) -> None:
        """Destroy the keys of parts no file names any more, then the parts; housekeeping finds what a crash leaves."""
        for part in parts:
            await self._recorder.keyring.drop(transfer_id, part)
            self._spool.delete(part)

    # --- declare, submit, withdraw -----------------------------------------------------------------------------------

    async def declare(self, principal: Principal, transfer_id: str, declaration: Mapping[str, Any]) -> Transfer:
        """Replace the declaration of an open or held transfer; a held one is decided again."""
        _require(principal, Permission.TRANSFERS_SUBMIT)
        own = await self._own(principal, transfer_id)
        words = parse_declaration(declaration, self._vocabulary)
        standing = (await self._registrar.registry()).get(Project, own.project).declaration
        joined = parse_declaration(stand_on(standing, words), self._vocabulary)

        async def job(ledger: Ledgering) -> Transfer:
            transfer = await ledger.transfer(transfer_id)
            held = transfer.state is State.HELD
            # An open transfer keeps its own words; what stands under them is joined when it is submitted.
            declared, again = (joined, {"next_at": ledger.now}) if held else (words, {})
            return await ledger.record(
                transfer,
                Tag.DECLARED,
                actor=principal.client,
                private={"declaration": declared},
                changes={"declaration": declared, **again},
            )

        return await self._recorder.do(job)

    async def submit(
        self, principal: Principal, transfer_id: str, *, listed: Mapping[str, int] | None = None
    ) -> Transfer:
        """Freeze the file list and hand the transfer on. Submitting what is submitted changes nothing.

        Args:
            principal: The sender.
            transfer_id: The transfer.
            listed: Path to size, where the sender lists what must be there.
        """
        _require(principal, Permission.TRANSFERS_SUBMIT)
        transfer = await self._own(principal, transfer_id)
        standing = (await self._registrar.registry()).get(Project, transfer.project).declaration
        # Each part was checked when it was made; the two together are checked now, before anything is frozen.
        parse_declaration(stand_on(standing, transfer.declaration), self._vocabulary)
        unfinished = self._uploading[transfer_id]

        async def job(ledger: Ledgering) -> Transfer:
            return await self._submit(ledger, principal, transfer_id, listed, standing, unfinished)

        return await self._recorder.do(job)

    async def _submit(
        self,
        ledger: Ledgering,
        principal: Principal,
        transfer_id: str,
        listed: Mapping[str, int] | None,
        standing: Mapping[str, Any],
        unfinished: int,
    ) -> Transfer:
        transfer = await ledger.transfer(transfer_id)
        files = [stored.file for stored in await ledger.tx.files(transfer_id)]
        if transfer.state is not State.OPEN and transfer.root:
            if listed is not None and listed != {file.path: file.size for file in files}:
                raise Conflict("this transfer was submitted with another file list: open a new one")
            return transfer
        check_submission(files, listed, unfinished)
        root = files_root(files).hex()
        declared = stand_on(standing, transfer.declaration)
        return await ledger.record(
            transfer,
            Tag.SUBMITTED,
            actor=principal.client,
            public={"files": len(files), "root_committed": True},
            private={"root": root, "bytes": transfer.bytes, "declaration": declared},
            changes={"root": root, "declaration": declared},
        )

    async def withdraw(self, principal: Principal, transfer_id: str) -> Transfer:
        """End a transfer that has not left. Withdrawing what is withdrawn changes nothing."""
        _require(principal, Permission.TRANSFERS_WITHDRAW)
        transfer = await self._own(principal, transfer_id)
        if transfer.state is State.WITHDRAWN:
            return transfer

        async def job(ledger: Ledgering) -> Transfer:
            now_at = await ledger.transfer(transfer_id)
            withdrawn = await ledger.record(
                now_at,
                Tag.WITHDRAWN,
                actor=principal.client,
                public={"by": "sender" if principal.institution else "operator"},
            )
            return await ledger.return_persons(withdrawn, "withdrawn")

        return await self._recorder.do(job)

    # --- whose -------------------------------------------------------------------------------------------------------

    async def _own(self, principal: Principal, transfer_id: str) -> Transfer:
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
        if transfer is None or (principal.institution and transfer.institution != principal.institution):
            raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
        return transfer


def _require(principal: Principal, permission: Permission) -> None:
    if not principal.may(permission):
        raise NotPermitted(f"this credential may not do {permission} here: ask for that scope")


def _require_state(transfer: Transfer, state: State) -> None:
    if transfer.state is not state:
        raise Conflict(f"the transfer is {transfer.state}, not {state}: open a new one", code="wrong-state")


def _check_announced(passed: Passed, announced: Announced) -> None:
    if announced.size is not None and passed.size != announced.size:
        raise Incomplete(f"{announced.size} bytes were announced and {passed.size} came: send the file again")
    wanted = (announced.digests or {}).get("sha-256")
    if wanted is not None and not hmac.compare_digest(wanted, passed.sha256):
        raise Conflict("the bytes do not have the announced sha-256: send the file again", code="digest-mismatch")


def _transfer_id(random: bytes) -> str:
    """`t` and 24 characters of lower-case base32: opaque, safe in URLs, file names and ledger entries."""
    return "t" + base64.b32encode(random).decode().lower()
