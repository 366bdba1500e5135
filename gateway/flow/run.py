"""One run of an upload that has an address: claimed, fed, then paused, finished or taken back; and gone on with after a pause.

What it is not: who may, or whose turn it is (`uploads`).

The rules:
1. A run writes only under a claim: the upload's note, whose last part is the run's and being written. It begins with the
   claim and the part, before the first byte, and every process can see by the part's lock whether its writer lives.
2. What a run records, it records only while its claim stands (`_claimed`). A run that was taken for dead and is not
   finds its claim gone, and leaves alone what the new note names.
3. `pause` returns when every byte that came is durable and noted. The run may then go on in memory as long as the note
   stays what it wrote; whoever goes on elsewhere reads the parts back.
4. Where a claim cannot be ended, since the database is away, it stays: the next to look at the upload finds the part in
   the vault (`Resume.settle`), up to its last whole segment.

When a step fails: the claim is taken back, what was noted before stands, and the new part goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.core.errors import Conflict, NotFound, StoreError, TooLarge
from gateway.core.intake import Part
from gateway.core.transfer import State, Transfer
from gateway.flow.incoming import UNFINISHED, Announced, Incoming, Reception
from gateway.flow.keeper import Arrived, require_state
from gateway.flow.recorder import Ledgering
from gateway.ports import Partial, Reading, StoredFile, Upload

MAX_PARTS: Final = 10_000  # of an upload; each costs a look into the keyring and a line in a row
PIECE_NAME: Final = "piece"  # what the classifier is told of bytes that are no file yet; its findings are not kept


class Run(Incoming):
    """Not for use by two tasks at once.

    Args:
        reception: What it needs.
        transfer: The transfer as it was when the run began.
        upload: What it is a run of.
        began: Called when it begins to write, and again when it goes on.
        ended: Called when it is over or pauses.
        held: Bytes of the institution that were not delivered when it began.
    """

    def __init__(
        self,
        reception: Reception,
        transfer: Transfer,
        upload: Upload,
        began: Callable[[], None],
        ended: Callable[[], None],
        *,
        held: int,
    ) -> None:
        super().__init__(reception, transfer, upload.path or PIECE_NAME, ended, resumable=True, held=held)
        self._over = True  # until it is claimed
        self._noted = True  # by its claim, before the first byte
        self._began = began
        self.upload = upload
        self.noted: Partial | None = None  # the note as this run found or wrote it last
        self.received = 0  # bytes of the file, once it is one
        self.ready = True  # whether it can go on in memory: what is digested is what is noted
        self._claimed: Partial | None = None

    async def go_back(self, before: Partial | None, offset: int) -> None:
        """Begin with what is in the vault; where nothing is, with nothing.

        Raises:
            BrokenPromise: What was left does not open.
        """
        if before is not None and offset:
            await self.take_back(before, offset)
        self.modified = self.upload.modified
        self.noted = before

    async def claim(self, upload: Upload) -> None:
        """Become the one that writes; `upload` is as it is from now on.

        Raises:
            Conflict: Somebody else goes on with it, the transfer is not open any more, or the upload is done.
            NotFound: It was ended.
            TooLarge: It is in too many parts.
        """
        before, recorder = self.noted, self._reception.recorder
        if len(self._kept) >= MAX_PARTS:
            raise TooLarge(f"an upload comes in at most {MAX_PARTS} requests: send more bytes with each")
        self._part = self._new_name()
        parts = (*(before.parts if before else ()), Part(self._part, UNFINISHED))
        claim = Partial(self._transfer.id, upload.note, parts, self.size, recorder.clock.now(), upload.modified)

        async def job(ledger: Ledgering) -> None:
            require_state(await ledger.transfer(claim.transfer_id), State.OPEN)
            known = await ledger.tx.upload(upload.id)
            if known is None:
                raise no_such_upload()
            if known.done or await ledger.tx.partial(claim.transfer_id, claim.path) != before:
                raise taken_over()
            await ledger.tx.put_upload(replace(upload, turn=known.turn))
            await ledger.tx.put_partial(claim)
            self.upload = replace(upload, turn=known.turn)

        self._over = False
        self._began()
        try:
            await self._keep_key()
            await self._pass.hold()
            await recorder.do(job)
        except BaseException:
            await self._discard()
            raise
        self._claimed = claim

    async def pause(self, expires: datetime) -> None:
        """Make durable and note what came.

        Raises:
            Conflict: The claim does not stand any more: nothing of this run counts.
        """
        assert self._claimed is not None, "only a claimed run pauses"
        if self.size == self._claimed.size:
            await self._pass.forgo()
            await self._give_back(spent=False)
            return
        try:
            stays, written = await self._pass.pause()
        except BaseException:
            await self.abort()
            raise
        made = (*self._kept, *self._new_part(written))
        note = replace(self._claimed, parts=made, size=self.size, at=self._reception.recorder.clock.now())

        async def job(ledger: Ledgering) -> None:
            await self._require_claim(ledger)
            await ledger.tx.put_partial(note)
            await ledger.tx.put_upload(replace(self.upload, expires=expires))

        obsolete = self._claimed.parts
        try:
            await self._reception.recorder.do(job)
        except StoreError:
            self.ready = False
            self._end()  # the claim stands, and the part is in the vault: rule 4
            raise
        except BaseException:
            await self.abort()
            raise
        self._kept = (*self._kept, *self._new_part(stays))
        self.noted, self._claimed = note, None
        self._end()
        await self._reception.forget(self._transfer.id, obsolete, but=made)

    async def finish(self, announced: Announced, *, soon: bool = False) -> StoredFile:
        """As of any upload; the upload is done in the same transaction."""
        del soon
        try:
            stored = await self._made(announced)
            manifest = await self._capture.read(stored.file.sha256, self._reception.pool)
        except BaseException:
            await self.abort()
            raise
        try:
            stored = await self._reception.keeper.keep(Arrived(stored, manifest=manifest, along=self._done))
        except StoreError:
            self._end()  # rule 4
            raise
        except BaseException:
            await self.abort()
            raise
        self.received = stored.file.size
        self._end()
        return stored

    async def _done(self, ledger: Ledgering, stored: StoredFile) -> tuple[Part, ...]:
        note = await self._require_claim(ledger)
        await ledger.tx.drop_partial(note.transfer_id, note.path)
        file = stored.file
        await ledger.tx.put_upload(replace(self.upload, done=True, length=file.size, sha256=file.sha256.hex()))
        return note.parts

    async def abort(self) -> None:
        """Take the claim back: what was noted before stands. Nothing where the run is over or paused."""
        if self._over:
            return
        if self._claimed is None:
            await self._discard()
            return
        try:
            await self._give_back()
        except BaseException:
            await self._pass.abort()
            self._end()  # rule 4: nothing is in the part, so that what was noted before is found
            raise

    async def _give_back(self, *, spent: bool = True) -> None:
        claimed, note = self._claimed, self.noted

        async def job(ledger: Ledgering) -> bool:
            assert claimed is not None, "only what is claimed is given back"
            found = await ledger.tx.partial(claimed.transfer_id, claimed.path)
            if found == claimed and note is not None:
                await ledger.tx.put_partial(note)
            elif found == claimed:
                await ledger.tx.drop_partial(claimed.transfer_id, claimed.path)
            return found is not None and any(part.name == self._part for part in found.parts) and found != claimed

        named_by_another = await self._reception.recorder.do(job)
        self._claimed = None
        if named_by_another:  # who took this run for dead keeps what was in the vault
            self.ready = False
            self._end()
            return
        await self._discard(spent=spent)

    async def _discard(self, *, spent: bool = True) -> None:
        self.ready = self.ready and not spent
        try:
            if spent:
                await self._pass.abort()
            await self._reception.forget(self._transfer.id, (Part(self._part, UNFINISHED),))
        finally:
            self._pass.writer = None
            self._end()

    async def _require_claim(self, ledger: Ledgering) -> Partial:
        claimed = self._claimed
        assert claimed is not None, "only a claimed run records"
        require_state(await ledger.transfer(claimed.transfer_id), State.OPEN)
        if await ledger.tx.partial(claimed.transfer_id, claimed.path) != claimed:
            raise taken_over()
        return claimed


async def forget_upload(ledger: Ledgering, upload: Upload) -> tuple[Part, ...]:
    """Take an upload out of the records; returns the parts nothing names any more."""
    note = await ledger.tx.partial(upload.transfer_id, upload.note)
    await ledger.tx.drop_partial(upload.transfer_id, upload.note)
    await ledger.tx.drop_upload(upload.id)
    return note.parts if note else ()


async def cut_off(view: Reading, transfer_id: str, now: datetime) -> int:
    """Uploads into a transfer that are not whole, as the records know them; what is gone does not count."""
    plain = [each for each in await view.partials(transfer_id) if not each.path.startswith("/")]
    addressed = [each for each in await view.uploads(transfer_id) if not each.done and each.expires > now]
    return len(plain) + len(addressed)


def offset_of(upload: Upload, note: Partial | None) -> int:
    """Bytes that count: of a file that was not received, never all of them (`uploads`, rule 4)."""
    if upload.done:
        return upload.length or 0
    size = note.size if note else 0
    if upload.length is None or upload.piece:
        return size
    return min(size, max(0, upload.length - 1))


def no_such_upload() -> NotFound:
    """The same for whoever asks for what is not theirs."""
    return NotFound("there is no such upload: make a new one", code="no-such-upload")


def taken_over() -> Conflict:
    """Another request, here or in another process, goes on with it."""
    return Conflict(
        "another request goes on with this upload: ask for its offset, then send what is missing",
        code="upload-busy",
        retry=True,
    )
