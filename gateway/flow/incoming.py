"""One file on its way in: opened, fed, then finished or aborted.

What it is not: the pass itself (`upload`), or the question whether the sender may (`intake`, which opens these).

The rules:
1. Exactly one of `finish` and `abort` ends it. Until `finish` returns, nothing was received.
2. A door that is fed by requests calls the three verbs itself; one that has the body as a stream uses `Intake.receive`.
3. The classifier is told the name the file will have, not a client's temporary one.

When a step fails: whatever failed, the part is removed and no row is written; the sender sends the file again.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from gateway.core.classify import Classifier
from gateway.core.completeness import SETTLE
from gateway.core.errors import Conflict, Incomplete
from gateway.core.facts import local_day
from gateway.core.identity import Door
from gateway.core.intake import Limits, check_room
from gateway.core.manifests import Manifest
from gateway.core.names import settled_name
from gateway.core.persons import keyed_digests, pack
from gateway.core.transfer import State, Transfer
from gateway.flow.findings import decision_facts
from gateway.flow.manifests import Capture, Memory
from gateway.flow.recall import sealed_row
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.upload import Pass, Passed, seal_session_key
from gateway.ports import Spool, StoredFile

FOLDER_DOORS: Final = frozenset({Door.SFTP.value})  # where a dataset is a folder, which nobody need submit by a call


@dataclass(frozen=True)
class Announced:
    """What a sender says of a file before or beside its bytes; None where nothing was said.

    Attributes:
        size: Bytes.
        digests: By RFC 9530 algorithm name; only `sha-256` is checked here.
        modified: The time of last change, for clients that compare.
    """

    size: int | None = None
    digests: Mapping[str, bytes] | None = None
    modified: datetime | None = None


@dataclass(frozen=True)
class Reception:
    """What every incoming file needs: the recorder, the vault, the classifier, worker threads and bounds."""

    recorder: Recorder
    spool: Spool
    vault_public: bytes
    classifier: Callable[[str], Classifier]
    pool: Executor
    limits: Limits
    memory: Memory = field(default_factory=Memory)

    async def forget(self, transfer_id: str, parts: tuple[str, ...]) -> None:
        """Destroy the keys of parts no file names any more, then the parts; housekeeping finds what a crash leaves."""
        for part in parts:
            await self.recorder.keyring.drop(transfer_id, part)
            self.spool.delete(part)


class Incoming:
    """An upload under way. Not for use by two tasks at once.

    Args:
        reception: What it needs.
        transfer: The transfer as it was when the upload began.
        path: Canonical path in the dataset.
        ended: Called once when it is over, either way.
    """

    def __init__(self, reception: Reception, transfer: Transfer, path: str, ended: Callable[[], None]) -> None:
        self._reception = reception
        self._transfer = transfer
        self._path = path
        self._ended = ended
        self._over = False
        self._capture = Capture(path, reception.memory)
        entropy = reception.recorder.entropy
        self._part = f"{transfer.id}/{entropy.token(10).hex()}/0"
        self._key = entropy.token(32)
        self._pass = Pass(
            classifier=reception.classifier(settled_name(path)),
            writer=reception.spool.create(self._part),
            key=self._key,
            entropy=entropy,
            pool=reception.pool,
        )

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._pass.size

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes; returns when there is room for more.

        Raises:
            TooLarge: A bound was passed; the upload has to be aborted.
        """
        self._capture.feed(chunk)
        await self._pass.feed(chunk)
        check_room(self._reception.limits, self._transfer.files, self._transfer.bytes, self._pass.size)

    async def finish(self, announced: Announced) -> StoredFile:
        """Make the file durable and record it; on any failure it is aborted.

        Raises:
            Incomplete: Fewer or more bytes came than were announced.
            Conflict: The digest differs, or the transfer is not open any more.
        """
        recorder = self._reception.recorder
        try:
            passed = await self._pass.finish()
            _check_announced(passed, announced)
            header = seal_session_key(self._key, self._reception.vault_public, recorder.entropy)
            await recorder.keyring.put(self._transfer.id, self._part, header)
            unnumbered = await self._stored(passed, announced)
            manifest = await self._capture.read(passed.sha256, self._reception.pool)
            stored, replaced = await recorder.do(lambda ledger: self._keep(ledger, unnumbered, manifest))
        except BaseException:
            await self.abort()
            raise
        self._end()
        if replaced is not None:
            await self._reception.forget(self._transfer.id, replaced.file.parts)
        recorder.observer.saw(
            "file.received",
            transfer_id=self._transfer.id,
            file=stored.file.number,
            bytes=passed.size,
            format=passed.findings.format,
        )
        return stored

    async def abort(self) -> None:
        """Remove every trace of the upload; nothing where it is over already."""
        if self._over:
            return
        try:
            await self._pass.abort()
            await self._reception.forget(self._transfer.id, (self._part,))
        finally:
            self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._capture.forget()
            self._ended()

    async def _stored(self, passed: Passed, announced: Announced) -> StoredFile:
        recorder, transfer = self._reception.recorder, self._transfer
        now = recorder.clock.now()
        year = local_day(now).year
        year_key = await recorder.keyring.year_key(year)
        people = passed.findings.identifiers
        # Sample names of genomes are unique within a project only; numbers of persons are scoped by nothing.
        scope = f"{transfer.institution}/{transfer.project}".encode()
        # A million people take a second or two: not on the event loop.
        loop = asyncio.get_running_loop()
        digests = pack(await loop.run_in_executor(self._reception.pool, keyed_digests, people, year_key, scope))
        return StoredFile(
            transfer_id=transfer.id,
            file=passed.received(self._path, 0, self._part),  # its number is drawn in the transaction that keeps it
            findings=passed.findings.to_json(passed.sha256.hex()),
            facts=decision_facts(passed.findings, year),
            persons_sensitive=digests if people.sensitive else b"",
            persons_nonsensitive=digests if people.ordinary else b"",
            received_at=now,
            modified_at=announced.modified,
        )

    async def _keep(
        self, ledger: Ledgering, unnumbered: StoredFile, manifest: Manifest | None
    ) -> tuple[StoredFile, StoredFile | None]:
        """Record a received file; returns it with its number, and the one it replaces."""
        number = await ledger.tx.next_file_number(unnumbered.transfer_id)
        key = await self._reception.recorder.evidence_key(unnumbered.transfer_id)
        stored = sealed_row(replace(unnumbered, file=replace(unnumbered.file, number=number)), key)
        transfer = await ledger.transfer(stored.transfer_id)
        require_state(transfer, State.OPEN)
        earlier = await ledger.tx.file(stored.transfer_id, stored.file.path)
        files = transfer.files + (0 if earlier else 1)
        size = transfer.bytes + stored.file.size - (earlier.file.size if earlier else 0)
        check_room(self._reception.limits, files - 1, size - stored.file.size, stored.file.size)
        await ledger.tx.put_file(stored)
        if manifest is not None:  # a path is a manifest's or not: what was there before is replaced with the file
            await ledger.tx.put_manifest(stored.transfer_id, manifest)
        await ledger.tx.put_transfer(changed(transfer, ledger.now, files=files, bytes=size))
        return stored, earlier


def require_state(transfer: Transfer, state: State) -> None:
    """Raise Conflict where a transfer is in another state."""
    if transfer.state is not state:
        raise Conflict(f"the transfer is {transfer.state}, not {state}: open a new one", code="wrong-state")


def changed(transfer: Transfer, now: datetime, **changes: Any) -> Transfer:
    """A draft after a change of what is in it; one in a folder is looked at when nothing changed for `SETTLE` (`completion`)."""
    looked_at: dict[str, Any] = {"next_at": now + SETTLE, "reason": ""} if transfer.door in FOLDER_DOORS else {}
    return replace(transfer, **changes, **looked_at)


def _check_announced(passed: Passed, announced: Announced) -> None:
    if announced.size is not None and passed.size != announced.size:
        raise Incomplete(f"{announced.size} bytes were announced and {passed.size} came: send the file again")
    wanted = (announced.digests or {}).get("sha-256")
    if wanted is not None and not hmac.compare_digest(wanted, passed.sha256):
        raise Conflict("the bytes do not have the announced sha-256: send the file again", code="digest-mismatch")
