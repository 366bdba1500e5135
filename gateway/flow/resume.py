"""Going on with an upload that was cut off, and a sender's look at its own draft: what needs bytes back from the vault.

What it is not: a way to what was submitted. A submitted version is frozen, and nobody reads it here.

The rules:
1. Only the caller's own open transfer. Every time is a fact (`transfer.reopened`), recorded before the first byte is read.
2. A received file that is gone on with is received no more: in one transaction it becomes an upload that was cut off. So
   its parts have one owner at every moment, and nothing is submitted while it is incomplete.
3. A received file goes on at its end only. In the middle it would be a change in place, which is sent as a whole.
4. After a crash, what is left of a noted upload is kept up to the last segment that opens, and never less than was noted.

When a step fails: what was there before stays as it was; the sender tries again, or deletes the file and sends it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from gateway.core.errors import BrokenPromise, Conflict, GatewayError, NotFound, TooLarge
from gateway.core.facts import Tag
from gateway.core.identity import Permission, Principal
from gateway.core.intake import Part
from gateway.core.names import parse_path
from gateway.core.transfer import State
from gateway.flow.enquiry import require
from gateway.flow.incoming import UNFINISHED, Incoming, forget_row
from gateway.flow.intake import Intake
from gateway.flow.keeper import require_state
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.reread import Reread, cut
from gateway.ports import Partial
from gateway.wire import crypt4gh

MAX_REOPENED: Final = 1_000  # times a transfer; each is an entry of the ledger that every later step follows


class Resume:
    """Uploads that go on, and drafts that are read by their sender."""

    def __init__(self, *, recorder: Recorder, intake: Intake) -> None:
        self._recorder = recorder
        self._intake = intake

    async def resume(self, principal: Principal, transfer_id: str, path: str, offset: int) -> Incoming:
        """Go on with a file from a byte on; what was before it is digested and inspected again, and not sent again.

        Args:
            principal: The sender.
            transfer_id: An open transfer of the sender's institution.
            path: The file, cut off or received.
            offset: Where the next bytes belong; beyond what is there it goes on at the end.

        Raises:
            NotFound: There is nothing of this file.
            Conflict: A received file is to be changed in place, or the file is being written.
            BrokenPromise: What was kept does not open.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        named = parse_path(path)
        await self._intake.own(principal, transfer_id)

        async def job(ledger: Ledgering) -> Partial:
            partial = await self._as_partial(ledger, transfer_id, named, offset)
            await reopened(ledger, principal, transfer_id, "resume", named)
            return partial

        partial = await self._recorder.do(job)
        incoming = await self._intake.begin(principal, transfer_id, named, resumable=True)
        try:
            await incoming.take_back(partial, min(offset, partial.size))
        except BaseException:
            await incoming.abort()
            raise
        return incoming

    async def reread(self, principal: Principal, transfer_id: str, path: str) -> Reread:
        """What was received of a file of a draft, for its sender to look at; its `read` blocks.

        Raises:
            NotFound: There is no such file.
            Conflict: The transfer was submitted.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        named = parse_path(path)
        await self._intake.own(principal, transfer_id)

        async def job(ledger: Ledgering) -> tuple[Part, ...]:
            require_state(await ledger.transfer(transfer_id), State.OPEN)
            partial = await ledger.tx.partial(transfer_id, named)
            stored = await ledger.tx.file(transfer_id, named)
            if partial is None and stored is None:
                raise _no_such_file()
            if partial is None and stored is not None and stored.file.body_size and not stored.file.parts:
                raise Conflict("these bytes were delivered with an earlier version and are not here any more")
            await reopened(ledger, principal, transfer_id, "read", named)
            parts = partial.parts if partial else stored.file.parts if stored else ()
            return tuple(part for part in parts if part.size != UNFINISHED)

        parts = await self._recorder.do(job)
        return await self._intake.reception.reread(transfer_id, parts)

    async def _as_partial(self, ledger: Ledgering, transfer_id: str, path: str, offset: int) -> Partial:
        transfer = await ledger.transfer(transfer_id)
        require_state(transfer, State.OPEN)
        partial = await ledger.tx.partial(transfer_id, path)
        if partial is not None:
            if any(part.size == UNFINISHED for part in partial.parts):
                raise Conflict("this file is being written by another connection: let that end first")
            return partial
        stored = await ledger.tx.file(transfer_id, path)
        if stored is None:
            raise _no_such_file()
        if offset < stored.file.size:
            raise Conflict("a received file cannot be changed in place: send it as a whole")
        if stored.file.body_size and not stored.file.parts:
            raise Conflict("these bytes were delivered with an earlier version: send the file as a whole")
        partial = Partial(
            transfer_id, path, stored.file.parts, stored.file.size, ledger.now, modified=stored.modified_at
        )
        await forget_row(ledger, transfer, stored)
        await ledger.tx.put_partial(partial)
        return partial

    # --- after a crash -----------------------------------------------------------------------------------------------

    async def recover(self, *, alone: bool) -> int:
        """Make uploads that a crash cut off ones that can go on; returns how many. Those being written are left alone.

        Args:
            alone: Whether no other process serves. Beside one, a part that is whole may be one whose row is just being
                written: what may be another's is left for the next start.
        """
        async with self._recorder.records.read() as view:
            noted = [each for each in await view.partials() if any(part.size == UNFINISHED for part in each.parts)]
        recovered = 0
        for partial in noted:
            try:
                recovered += await self.settle(partial, alone=alone)
            except GatewayError as failure:  # one damaged upload must not keep the gateway from its work
                self._recorder.observer.saw("upload.unrecovered", transfer_id=partial.transfer_id, code=failure.code)
        return recovered

    async def settle(self, partial: Partial, *, alone: bool) -> bool:
        """Make an upload whose writer died one that can go on; False where it lives, or somebody else saw to it.

        The part it wrote begins where the whole segments of what was noted end. `alone` is as of `recover`.
        """
        *before, last = partial.parts
        spool = self._intake.reception.spool
        if not alone and last.name in await asyncio.to_thread(spool.names, partial.transfer_id):
            return False
        left = await asyncio.to_thread(spool.salvage, last.name)
        if left is None:
            return False
        kept = cut(before, partial.size // crypt4gh.SEGMENT * crypt4gh.CIPHER_SEGMENT)
        whole = left // crypt4gh.CIPHER_SEGMENT * crypt4gh.CIPHER_SEGMENT
        parts = (*kept, Part(last.name, whole)) if whole else kept
        parts = await self._as_far_as_it_opens(partial.transfer_id, parts)
        size = crypt4gh.plain_size(sum(part.size for part in parts))
        if size <= partial.size:  # less than what was there before: that stays
            parts, size = tuple(before), partial.size

        async def job(ledger: Ledgering) -> bool:
            if await ledger.tx.partial(partial.transfer_id, partial.path) != partial:
                return False
            if parts:
                await ledger.tx.put_partial(replace(partial, parts=parts, size=size))
            else:
                await ledger.tx.drop_partial(partial.transfer_id, partial.path)
            return True

        if not await self._recorder.do(job):
            return False
        await self._intake.reception.forget(partial.transfer_id, partial.parts, but=parts)
        self._recorder.observer.saw("upload.recovered", transfer_id=partial.transfer_id)
        return True

    async def _as_far_as_it_opens(self, transfer_id: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        source = await self._intake.reception.reread(transfer_id, parts)
        return cut(parts, await asyncio.to_thread(_opening, source) * crypt4gh.CIPHER_SEGMENT)


async def reopened(ledger: Ledgering, principal: Principal, transfer_id: str, purpose: str, path: str) -> None:
    """Record that bytes of a draft are read back; raises TooLarge where that was often."""
    if len(await ledger.tx.entries_of(transfer_id)) > MAX_REOPENED:
        raise TooLarge(f"a draft is read back or gone on with at most {MAX_REOPENED} times: send the file again")
    await ledger.record(
        await ledger.transfer(transfer_id),
        Tag.REOPENED,
        actor=principal.client,
        public={"purpose": purpose},
        private={"path": path},
    )


def _opening(source: Reread) -> int:
    """Segments up to the last one that opens: a crash of the machine can tear the end of what was not synced."""
    segments = -(-source.size // crypt4gh.SEGMENT)
    while segments:
        try:
            next(source.runs(segments - 1, longest=1))
        except BrokenPromise:
            segments -= 1
        else:
            break
    return segments


def _no_such_file() -> NotFound:
    return NotFound("there is no such file in this transfer", code="no-such-file")
