"""Uploads that have an address: made, looked at, gone on with in any process, ended, and put together from pieces.

What it is not: a protocol (the door speaks that), or the writing itself (`run`).

The rules:
1. An upload is its sender's institution's; for everybody else it does not exist, the same as for an address nobody gave.
2. The newest request has it (`turns`).
3. What came is kept, durable, when a body breaks off, and counts. When a body was to have a checksum, or was refused
   half-way, nothing of it counts.
4. A file is received in the request that brings its last byte, or not at all. Where all bytes came and that request did
   not end well, the last one does not count: its sender comes back for it.
5. A piece is no file: it is in no listing of files, its findings count for nothing, and nothing is submitted while it is
   there. The file made of pieces is read back from them in order, inspected as one, and sealed as one.

When a step fails: `make` -> there is no upload; `append` -> what was kept before stands, and with a body that broke off
what came; `join` -> the pieces stay.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.core.errors import Conflict, Incomplete, TooLarge
from gateway.core.identity import Permission, Principal
from gateway.core.intake import Part
from gateway.core.names import parse_path
from gateway.core.transfer import State, Transfer
from gateway.flow.enquiry import require
from gateway.flow.incoming import Announced
from gateway.flow.intake import Intake
from gateway.flow.keeper import Along, require_state
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.reread import Run as Reread
from gateway.flow.resume import Resume, reopened
from gateway.flow.run import Run, forget_upload, no_such_upload, offset_of
from gateway.flow.turns import Turns
from gateway.ports import Partial, StoredFile, Upload
from gateway.wire.crypt4gh import Buffer

IDLE: Final = timedelta(hours=72)
MAX_READY: Final = 32  # runs that wait in memory for their next request; others read back what was before
MAX_UPLOADS: Final = 10_000  # of a transfer, at once


@dataclass(frozen=True)
class Wanted:
    """What a sender says of a new upload; see `ports.Upload`. Without a path it is a piece."""

    transfer_id: str
    path: str
    length: int | None
    metadata: str = ""
    concat: str = ""
    sha256: str = ""
    modified: datetime | None = None


@dataclass(frozen=True)
class Kept:
    """An upload, and how many bytes of it are kept."""

    upload: Upload
    offset: int


@dataclass(frozen=True)
class Addition:
    """What a request brings.

    Attributes:
        offset: Where its first byte belongs.
        body: Its bytes as they arrive; raises Incomplete where they end early, or what else was wrong with them.
        size: How many, where that is known.
        length: Bytes of the whole, where the request says so.
        whole: Whether nothing of it counts where it breaks off: it was to have a checksum.
        hang_up: Ends the connection it comes on; another request has the upload.
    """

    offset: int
    body: AsyncIterator[Buffer]
    hang_up: Callable[[], None]
    size: int | None = None
    length: int | None = None
    whole: bool = False


Judge = Callable[[Kept, Addition], None]
"""Refuses what the protocol does not allow, once the upload is nobody else's; raises CallerError."""


class Uploads:
    """The senders' verbs for uploads that have an address.

    Args:
        recorder: The only writer.
        intake: Where bytes go.
        resume: Settles what a dead process left.
        idle: How long an upload waits for its sender.
    """

    def __init__(self, *, recorder: Recorder, intake: Intake, resume: Resume, idle: timedelta = IDLE) -> None:
        self._recorder = recorder
        self._intake = intake
        self._idle = idle
        self.turns = Turns(recorder=recorder, spool=intake.reception.spool, resume=resume)
        self._ready: OrderedDict[str, Run] = OrderedDict()

    @property
    def max_size(self) -> int:
        """Bytes of the largest file that may come in."""
        return self._intake.reception.limits.file_bytes

    # --- make --------------------------------------------------------------------------------------------------------

    async def make(self, principal: Principal, wanted: Wanted) -> Upload:
        """A new upload of which nothing came yet.

        Raises:
            NotFound: There is no such transfer.
            Conflict: It is not open any more.
            TooLarge: There is no room, or there are too many.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        transfer = await self._intake.own(principal, wanted.transfer_id)
        await self._intake.admit(transfer, wanted.length or 0, kept=await self._kept(transfer))
        upload = self._new(transfer, wanted)

        async def job(ledger: Ledgering) -> None:
            require_state(await ledger.transfer(transfer.id), State.OPEN)
            if len(await ledger.tx.uploads(transfer.id)) >= MAX_UPLOADS:
                raise TooLarge(f"a transfer has at most {MAX_UPLOADS} uploads at once: end some, or send without them")
            await ledger.tx.put_upload(upload)

        await self._recorder.do(job)
        return upload

    def _new(self, transfer: Transfer, wanted: Wanted) -> Upload:
        return Upload(
            id=self._recorder.entropy.token(24).hex(),
            transfer_id=transfer.id,
            path=parse_path(wanted.path) if wanted.path else "",
            length=wanted.length,
            made_at=self._recorder.clock.now(),
            expires=self._expires(transfer),
            metadata=wanted.metadata,
            concat=wanted.concat,
            sha256=wanted.sha256,
            modified=wanted.modified,
        )

    async def _kept(self, transfer: Transfer) -> int:
        """Bytes of its institution's uploads that are not whole: they take room as files do."""
        async with self._recorder.records.read() as view:
            return await view.kept(transfer.institution)

    def _expires(self, transfer: Transfer) -> datetime:
        idle = self._recorder.clock.now() + self._idle
        return min(idle, transfer.due) if transfer.due else idle

    # --- look and go on ----------------------------------------------------------------------------------------------

    async def look(self, principal: Principal, upload_id: str) -> Kept:
        """How much is kept; a request that goes on with it meanwhile is ended, and what it brought counts.

        Raises:
            NotFound: There is no such upload of the caller's institution, or it is gone.
            Conflict: Another request does not give way.
        """
        await self.turns.own(principal, upload_id)
        async with self.turns.having(upload_id, lambda: None):
            upload, _, note = await self.turns.settled(principal, upload_id)
            return Kept(upload, offset_of(upload, note))

    async def append(self, principal: Principal, upload_id: str, added: Addition, judge: Judge) -> Kept:
        """Take what a request brings; with the last byte the file is received.

        Raises:
            Incomplete: The body ended early; what came is kept, unless `whole` was asked.
            Conflict: The digest of the whole is another than announced: the upload is ended. Or as of `look`.
            TooLarge: More came than belongs to it.
        """
        await self.turns.own(principal, upload_id)
        async with self.turns.having(upload_id, added.hang_up):
            upload, transfer, note = await self.turns.settled(principal, upload_id)
            kept = Kept(upload, offset_of(upload, note))
            judge(kept, added)
            if upload.done:
                return kept
            length = upload.length if upload.length is not None else added.length
            upload = replace(upload, length=length, expires=self._expires(transfer))
            run = await self._run(principal, transfer, upload, note, kept.offset)
            await run.claim(upload)
            watch = asyncio.ensure_future(self.turns.watch(run.upload, added.hang_up))
            try:
                return await self._fed(run, transfer, added)
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    async def _fed(self, run: Run, transfer: Transfer, added: Addition) -> Kept:
        length = run.upload.length
        try:
            async for chunk in added.body:
                if length is not None and run.size + len(chunk) > length:
                    raise TooLarge(f"more bytes came than the {length} that were announced")
                await run.feed(chunk)
        except Incomplete:
            if added.whole:
                await run.abort()
            else:
                await self._pause(run, transfer)
            raise
        except BaseException:
            await run.abort()
            raise
        if run.size == length and not run.upload.piece:
            await self._finish(run)
            return Kept(replace(run.upload, done=True), run.size)
        await self._pause(run, transfer)
        return Kept(run.upload, run.size)

    async def _pause(self, run: Run, transfer: Transfer) -> None:
        await run.pause(self._expires(transfer))
        if not run.ready:
            return
        self._ready[run.upload.id] = run
        while len(self._ready) > MAX_READY:
            self._ready.popitem(last=False)

    async def _finish(self, run: Run) -> None:
        upload = run.upload
        try:
            await run.finish(_announced(upload))
        except Conflict as no:
            if no.code == "digest-mismatch":  # one of the bytes that are kept is wrong, and nobody knows which
                await self._forget(upload)
            raise

    async def _run(
        self, principal: Principal, transfer: Transfer, upload: Upload, note: Partial | None, offset: int
    ) -> Run:
        """The run that waits for this request, or a new one that reads back what was before it."""
        ready = self._ready.pop(upload.id, None)
        if ready is not None and ready.noted == note and ready.size == offset:
            return ready
        kept = await self._kept(transfer) - (note.size if note else 0)
        held = await self._intake.admit(transfer, upload.length or 0, kept=kept)
        run = self._intake.begin_run(transfer, upload, held)
        if note is not None and offset:

            async def job(ledger: Ledgering) -> None:
                await reopened(ledger, principal, transfer.id, "resume", upload.path)

            await self._recorder.do(job)
        await run.go_back(note, offset)
        return run

    # --- end ---------------------------------------------------------------------------------------------------------

    async def end(self, principal: Principal, upload_id: str) -> None:
        """Forget an upload and what was kept of it; a file that was received by it is taken out of its open transfer.

        Raises:
            Conflict: Its file was submitted.
        """
        await self.turns.own(principal, upload_id)
        async with self.turns.having(upload_id, lambda: None):
            upload, _, _ = await self.turns.settled(principal, upload_id)
            if upload.done:
                await self._drop_received(principal, upload)
            await self._forget(upload)

    async def _drop_received(self, principal: Principal, upload: Upload) -> None:
        transfer = await self._intake.own(principal, upload.transfer_id)
        require_state(transfer, State.OPEN)
        async with self._recorder.records.read() as view:
            found = await view.file(transfer.id, upload.path)
        if found is not None and found.file.sha256.hex() == upload.sha256:
            await self._intake.drop_file(principal, transfer.id, upload.path)

    async def _forget(self, upload: Upload) -> None:
        self._ready.pop(upload.id, None)
        spare = await self._recorder.do(lambda ledger: forget_upload(ledger, upload))
        await self._intake.reception.forget(upload.transfer_id, spare)

    # --- pieces ------------------------------------------------------------------------------------------------------

    async def join(self, principal: Principal, wanted: Wanted, pieces: Sequence[str]) -> Upload:
        """The file that pieces make in this order, received; the pieces are gone then.

        Raises:
            NotFound: A piece is not there.
            Conflict: A piece is not whole, or of another transfer, or the digest is not the announced one.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        transfer = await self._intake.own(principal, wanted.transfer_id)
        found = [await self._piece(principal, transfer, each) for each in pieces]
        size = sum(upload.length or 0 for upload, _ in found)
        upload = replace(self._new(transfer, wanted), length=size)
        incoming = await self._intake.begin(principal, transfer.id, upload.path, Announced(size=size))
        try:
            await self._recorder.do(lambda ledger: reopened(ledger, principal, transfer.id, "join", upload.path))
            for _, note in found:
                async for plain in self._read_back(note):
                    await incoming.feed(plain)
        except BaseException:
            await incoming.abort()
            raise
        incoming.along = _joined(upload, {each.id: each for each, _ in found})
        stored = await incoming.finish(_announced(upload))
        return replace(upload, done=True, sha256=stored.file.sha256.hex())

    async def _piece(self, principal: Principal, transfer: Transfer, upload_id: str) -> tuple[Upload, Partial | None]:
        upload, own, note = await self.turns.settled(principal, upload_id)
        if own.id != transfer.id or not upload.piece:
            raise Conflict("a file is made of pieces of its own transfer: name those")
        if upload.length is None or offset_of(upload, note) != upload.length:
            raise Conflict("a piece is not whole: send what is missing of it first")
        return upload, note

    async def _read_back(self, note: Partial | None) -> AsyncIterator[Buffer]:
        if note is None:
            return
        source = await self._intake.reception.reread(note.transfer_id, note.parts)
        runs: Iterator[Reread] = source.runs()
        loop = asyncio.get_running_loop()
        while (run := await loop.run_in_executor(self._intake.reception.pool, next, runs, None)) is not None:
            yield run.plain


def _joined(upload: Upload, pieces: Mapping[str, Upload]) -> Along:
    """What is recorded with a file made of pieces: they go, and the file's own upload is done."""

    async def along(ledger: Ledgering, stored: StoredFile) -> tuple[Part, ...]:
        if None in [await ledger.tx.upload(each) for each in pieces]:
            raise no_such_upload()
        spare = [part for each in pieces.values() for part in await forget_upload(ledger, each)]
        await ledger.tx.put_upload(replace(upload, done=True, sha256=stored.file.sha256.hex()))
        return tuple(spare)

    return along


def _announced(upload: Upload) -> Announced:
    digests = {"sha-256": bytes.fromhex(upload.sha256)} if upload.sha256 else None
    return Announced(size=upload.length, digests=digests, modified=upload.modified)
