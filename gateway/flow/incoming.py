"""One file on its way in: opened, fed, then finished, suspended or aborted.

What it is not: the pass itself (`upload`), or the question whether the sender may (`intake`, which opens these).

The rules:
1. Exactly one of `finish`, `suspend` and `abort` ends it. Until `finish` returns, nothing was received.
2. A door that is fed by requests calls the three verbs itself; one that has the body as a stream uses `Intake.receive`.
3. The classifier is told the name the file will have, not a client's temporary one.
4. What was suspended is no file of the transfer: it is kept so that its sender can go on, and until then, or until it is
   deleted, nothing is submitted. A long upload leaves a note of itself while it runs, so that it can go on after a crash too.

When a step fails: whatever failed, the new part is removed and no row is written; what an earlier run left stays, and the
sender goes on from there or sends the file again.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.core.classify import on_day
from gateway.core.errors import Conflict, Incomplete
from gateway.core.facts import local_day
from gateway.core.intake import Limits, Part, check_quota, check_room
from gateway.core.manifests import manifest_kind
from gateway.core.names import settled_name
from gateway.core.transfer import State, Transfer
from gateway.flow.findings import decision_facts, lasting_digests, person_digests, sample_digests
from gateway.flow.keeper import Along, Arrived, Keeper, changed, forget, require_state
from gateway.flow.manifests import Capture, Memory
from gateway.flow.pieces import Pieces
from gateway.flow.recorder import ALL_TIME, Ledgering, Recorder
from gateway.flow.reread import Reread, cut
from gateway.flow.upload import Pass, Passed, VaultSealer
from gateway.ports import Classifying, HeaderOpener, Partial, Spool, StoredFile
from gateway.wire.crypt4gh import Buffer

NOTED = 16 << 20  # bytes after which an upload leaves a note of itself: what a crash may cost at most
UNFINISHED = -1  # the size of a part that is being written

SMALL: Final = 1 << 20  # bytes up to which a file may be recorded soon rather than at once


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
    """What every incoming file needs: the recorder, the vault, the classifier, worker threads and bounds.

    `opener` opens what this gateway sealed itself, and only to go on with it (`reread`). `family_key` makes the key under
    which people of a project's family are compared (`flow.lineage`); empty where it belongs to none.
    """

    recorder: Recorder
    spool: Spool
    sealer: VaultSealer
    opener: HeaderOpener
    classifier: Callable[[str], Classifying]
    pool: Executor
    limits: Limits
    keeper: Keeper
    family_key: Callable[[str], Awaitable[bytes]]
    memory: Memory = field(default_factory=Memory)
    pieces: Pieces = field(default_factory=Pieces)

    async def forget(self, transfer_id: str, parts: Iterable[Part], *, but: Iterable[Part] = ()) -> None:
        """See `keeper.forget`."""
        await forget(self.recorder, self.spool, transfer_id, parts, but=but)

    async def reread(self, transfer_id: str, parts: Sequence[Part]) -> Reread:
        """The plaintext of parts of an open transfer; raises BrokenPromise where a header is not ours."""
        keys: dict[bytes, None] = {}
        for name in dict.fromkeys(part.name for part in parts):
            keys |= dict.fromkeys(self.opener.open(await self.recorder.keyring.get(transfer_id, name)))
        return Reread(self.spool, parts, tuple(keys))


class Incoming:
    """An upload under way. Not for use by two tasks at once.

    Args:
        reception: What it needs.
        transfer: The transfer as it was when the upload began.
        path: Canonical path in the dataset.
        ended: Called once when it is over, either way.
        resumable: Whether it may be suspended, and so leaves notes of itself.
        held: Bytes of the institution that were not delivered when the upload began.
    """

    def __init__(
        self,
        reception: Reception,
        transfer: Transfer,
        path: str,
        ended: Callable[[], None],
        *,
        resumable: bool = False,
        held: int = 0,
    ) -> None:
        self._held = held
        self._reception = reception
        self._transfer = transfer
        self._path = path
        self._ended = ended
        self._over = False
        self._capture = Capture(path, reception.memory)
        entropy = reception.recorder.entropy
        self._resumable = resumable
        self._noted = False
        self._before: tuple[Part, ...] = ()  # what an earlier run left and is named by a note
        self._kept: tuple[Part, ...] = ()  # what of that stays
        self._part = self._new_name()
        self._key = entropy.token(32)
        self.along: Along | None = None  # what is recorded in one transaction with the file
        self.modified: datetime | None = None  # the time of last change as far as the sender told it
        self._pass = Pass(
            classifier=reception.classifier(settled_name(path)),
            create=lambda: reception.spool.create(self._part),
            key=self._key,
            entropy=entropy,
            pool=reception.pool,
            pieces=reception.pieces,
        )

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._pass.size

    async def take_back(self, partial: Partial, upto: int) -> None:
        """Go on with what an earlier run left, from byte `upto`; the first thing an upload does, or nothing of it.

        Raises:
            BrokenPromise: What was left does not open.
        """
        source = await self._reception.reread(self._transfer.id, partial.parts)
        self._before, self._noted = partial.parts, True
        self._kept = cut(partial.parts, await self._pass.take_back(source.runs(), upto))
        self.modified = partial.modified

    def _new_name(self) -> str:
        return f"{self._transfer.id}/{self._reception.recorder.entropy.token(10).hex()}"

    def prepare(self) -> None:
        """Bytes are about to come; what they need of the vault is made meanwhile."""
        self._pass.prepare()

    async def feed(self, chunk: Buffer) -> None:
        """Take the next bytes; returns when there is room for more.

        Raises:
            TooLarge: A bound was passed; the upload has to be aborted.
        """
        self._capture.feed(chunk)
        await self._pass.feed(chunk)
        check_room(self._reception.limits, self._transfer.files, self._transfer.bytes, self._pass.size)
        if self._resumable and not self._noted and self._pass.size >= NOTED:
            self._noted = True
            await self._keep_key()
            await self._note((*self._kept, Part(self._part, UNFINISHED)), 0)
        check_quota(self._reception.limits, self._held, self._pass.size)

    async def finish(self, announced: Announced, *, soon: bool = False) -> StoredFile:
        """Make the file durable and record it; on any failure it is aborted.

        Args:
            announced: What was said of it.
            soon: A small file may be held and recorded soon (`keeper`); its row has no number yet then.

        Raises:
            Incomplete: Fewer or more bytes came than were announced.
            Conflict: The digest differs, or the transfer is not open any more.
        """
        try:
            stored = await (self._held_soon(announced) if self._may_be_held(soon=soon) else self._kept_now(announced))
        except BaseException:
            await self.abort()
            raise
        self._end()
        return stored

    async def _held_soon(self, announced: Announced) -> StoredFile:
        """All that a small file needs in one turn of one worker thread: switching costs more than the work."""
        make = await self._row(announced)
        async with self._reception.keeper.room(self._transfer.id) as place:

            def hold(passed: Passed) -> StoredFile:
                stored = make(passed)
                assert self._pass.writer is not None, "a file without bytes is not held"
                place.hold(Arrived(stored, self._header()), self._pass.writer)
                return stored

            return await self._pass.finish(hold)

    async def _kept_now(self, announced: Announced) -> StoredFile:
        stored = await self._made(announced)
        if any(part.name == self._part for part in stored.file.parts):
            await self._keep_key()
        manifest = await self._capture.read(stored.file.sha256, self._reception.pool)
        return await self._reception.keeper.keep(Arrived(stored, manifest=manifest, along=self.along))

    async def _made(self, announced: Announced) -> StoredFile:
        """The row of the file, once its last byte came and its part is durable."""
        make = await self._row(announced)

        def commit(passed: Passed) -> StoredFile:
            stored = make(passed)
            self._pass.commit()
            return stored

        return await self._pass.finish(commit)

    def _may_be_held(self, *, soon: bool) -> bool:
        small = 0 < self.size <= SMALL and not self._noted and not self._capture.wanted
        return soon and small and self._reception.keeper.holds

    async def suspend(self) -> None:
        """Keep what came so that the sender can go on with it; where that fails, as `abort`."""
        if self._over:
            return
        if not self.size or not self._resumable:
            await self.abort()
            return
        try:
            written = await self._pass.suspend()
            if written:
                await self._keep_key()
            parts = (*self._kept, *self._new_part(written))
            obsolete = await self._note(parts, self.size)
        except BaseException:
            await self.abort()
            raise
        self._end()
        await self._reception.forget(self._transfer.id, obsolete, but=parts)

    async def abort(self) -> None:
        """Remove every trace of this run of the upload; nothing where it is over already. What was before it stays."""
        if self._over:
            return
        try:
            await self._pass.abort()
            if self._noted and not self._before:
                await self._reception.recorder.do(self._unnote)
            await self._reception.forget(self._transfer.id, (Part(self._part, UNFINISHED),))
        finally:
            self._end()

    async def _keep_key(self) -> None:
        await self._reception.recorder.keyring.put(self._transfer.id, self._part, self._header())

    def _header(self) -> bytes:
        return self._reception.sealer.seal(self._key)

    async def _note(self, parts: tuple[Part, ...], size: int) -> tuple[Part, ...]:
        """Keep a note of what is in the vault; returns the parts an earlier note named."""
        note = Partial(
            self._transfer.id, self._path, parts, size, self._reception.recorder.clock.now(), modified=self.modified
        )

        async def job(ledger: Ledgering) -> tuple[Part, ...]:
            require_state(await ledger.transfer(note.transfer_id), State.OPEN)
            earlier = await ledger.tx.partial(note.transfer_id, note.path)
            await ledger.tx.put_partial(note)
            return earlier.parts if earlier else ()

        return await self._reception.recorder.do(job)

    async def _unnote(self, ledger: Ledgering) -> None:
        """Drop the note of this run, unless another one has taken its place."""
        note = await ledger.tx.partial(self._transfer.id, self._path)
        if note is not None and any(part.name == self._part for part in note.parts):
            await ledger.tx.drop_partial(note.transfer_id, note.path)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._capture.forget()
            self._ended()

    async def _row(self, announced: Announced) -> Callable[[Passed], StoredFile]:
        """What makes the row of what passed, in a worker thread: a million people take a second or two.

        It raises Incomplete or Conflict where that is not what was announced.
        """
        now = self._reception.recorder.clock.now()
        year = local_day(now).year
        year_key = await self._reception.recorder.year_key(year)
        sample_key = await self._reception.recorder.year_key(ALL_TIME)
        family_key = await self._reception.family_key(self._transfer.project)

        def make(passed: Passed) -> StoredFile:
            _check_announced(passed, announced)
            findings = on_day(passed.findings, local_day(now))
            scope = scope_of(self._transfer)
            sensitive, nonsensitive = person_digests(findings, year_key, scope)
            return StoredFile(
                transfer_id=self._transfer.id,
                # Its number is drawn in the transaction that keeps it.
                file=passed.received(self._path, 0, (*self._kept, *self._new_part(passed.written))),
                findings=findings.to_json(passed.sha256.hex()),
                facts={
                    **decision_facts(findings, year),
                    "samples": sample_digests(findings, sample_key, scope),
                },
                persons_sensitive=sensitive,
                persons_nonsensitive=nonsensitive,
                received_at=now,
                modified_at=announced.modified or self.modified,
                persons_lasting=lasting_digests(findings, family_key) if family_key else b"",
            )

        return make

    def _new_part(self, written: int) -> tuple[Part, ...]:
        return (Part(self._part, written),) if written else ()


def scope_of(transfer: Transfer) -> bytes:
    """What makes names of samples and subjects unique; numbers of persons are scoped by nothing (`core.persons`)."""
    return f"{transfer.institution}/{transfer.project}".encode()


async def forget_row(ledger: Ledgering, transfer: Transfer, stored: StoredFile) -> None:
    """Take a received file out of its transfer; what it is made of stays in the vault."""
    await ledger.tx.drop_file(transfer.id, stored.file.path)
    if manifest_kind(stored.file.path):
        await ledger.tx.drop_manifest(transfer.id, stored.file.path)
    left = {"files": transfer.files - 1, "bytes": transfer.bytes - stored.file.size}
    await ledger.tx.put_transfer(changed(transfer, ledger.now, **left))


def _check_announced(passed: Passed, announced: Announced) -> None:
    if announced.size is not None and passed.size != announced.size:
        raise Incomplete(f"{announced.size} bytes were announced and {passed.size} came: send the file again")
    wanted = (announced.digests or {}).get("sha-256")
    if wanted is not None and not hmac.compare_digest(wanted, passed.sha256):
        raise Conflict("the bytes do not have the announced sha-256: send the file again", code="digest-mismatch")
