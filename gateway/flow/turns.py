"""Whose turn it is: of all requests for an upload that has an address, in all processes, the newest has it.

What it is not: what a request then does (`uploads`).

The rules:
1. A request that hangs on a dead connection in this process is hung up on; what it brought is kept first.
2. One in another process sees within half a second that another wants the upload (`Upload.turn`), and gives way.
3. One whose process died left its part, whose lock nobody holds: it is settled at once (`Resume.settle`). What it
   brought counts up to its last whole segment.
4. Nobody is hung up on for a caller to whom the upload does not belong.

When a step fails: a request that does not give way keeps the upload, and the newer one is told to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.core.errors import NotFound, StoreError
from gateway.core.identity import Permission, Principal
from gateway.core.transfer import State, Transfer
from gateway.flow.enquiry import require
from gateway.flow.incoming import UNFINISHED
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.resume import Resume
from gateway.flow.run import no_such_upload, taken_over
from gateway.ports import Partial, Spool, Upload

PATIENCE: Final = 20.0  # seconds for another request to give way
GRACE: Final = 2.0  # seconds in which a whole part beside living processes may still get its row
LOOK: Final = 0.05  # seconds between two looks at another process's part
WATCH: Final = 0.5  # seconds between two looks whether another process wants the upload

Found = tuple[Upload, Transfer, Partial | None]
"""An upload, its transfer, and the note of what is kept of it."""


@dataclass(eq=False)
class Turn:
    """A request that has an upload in this process."""

    hang_up: Callable[[], None]
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    """Gives them.

    Args:
        recorder: The only writer.
        spool: Tells which writers live.
        resume: Settles what a dead process left.
    """

    def __init__(self, *, recorder: Recorder, spool: Spool, resume: Resume) -> None:
        self._recorder = recorder
        self._spool = spool
        self._resume = resume
        self.taken: dict[str, Turn] = {}
        self.shared = False  # whether other processes serve beside this one

    async def own(self, principal: Principal, upload_id: str) -> Found:
        """An upload of the caller's institution; raises NotFound for any other, and for one that is gone."""
        require(principal, Permission.TRANSFERS_WRITE)
        async with self._recorder.records.read() as view:
            upload = await view.upload(upload_id)
            transfer = await view.transfer(upload.transfer_id) if upload else None
            note = await view.partial(upload.transfer_id, upload.note) if upload else None
        if upload is None or transfer is None or transfer.institution != principal.institution:
            raise no_such_upload()
        if upload.expires <= self._recorder.clock.now():
            raise NotFound("this upload waited too long and is gone: make a new one", code="upload-gone")
        if not upload.done and transfer.state is not State.OPEN:
            raise NotFound(f"the transfer of this upload is {transfer.state}: open a new one", code="upload-gone")
        return upload, transfer, note

    @asynccontextmanager
    async def having(self, upload_id: str, hang_up: Callable[[], None]) -> AsyncIterator[None]:
        """Have an upload in this process; whoever has it is hung up on and ends first."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (other := self.taken.get(upload_id)) is not None:
                    other.hang_up()
                    await other.over.wait()
        except TimeoutError:
            raise taken_over() from None
        mine = self.taken[upload_id] = Turn(hang_up)
        try:
            yield
        finally:
            del self.taken[upload_id]
            mine.over.set()

    async def settled(self, principal: Principal, upload_id: str) -> Found:
        """The upload once no other process writes; its note has no part that is being written then.

        Raises:
            NotFound: As `own`.
            Conflict: Another process does not give way.
        """
        loop = asyncio.get_running_loop()
        began, called = loop.time(), False
        while True:
            upload, transfer, note = await self.own(principal, upload_id)
            if note is None or note.parts[-1].size != UNFINISHED:
                return upload, transfer, note
            waited = loop.time() - began
            if note.parts[-1].name in await asyncio.to_thread(self._spool.unfinished, transfer.id):
                if not called:
                    await self._recorder.do(lambda ledger: _call(ledger, upload_id))
                called = True
            elif await self._resume.settle(note, alone=not self.shared or waited > GRACE):
                continue
            if waited > PATIENCE:
                raise taken_over()
            await asyncio.sleep(LOOK)

    async def watch(self, upload: Upload, hang_up: Callable[[], None]) -> None:
        """Give way to a request that another process has; returns when that came."""
        while self.shared:
            await asyncio.sleep(WATCH)
            with suppress(StoreError):  # the database is away for a moment: it is asked again
                async with self._recorder.records.read() as view:
                    found = await view.upload(upload.id)
                if found is None or found.turn != upload.turn:
                    hang_up()
                    return


async def _call(ledger: Ledgering, upload_id: str) -> None:
    upload = await ledger.tx.upload(upload_id)
    if upload is not None:
        await ledger.tx.put_upload(replace(upload, turn=upload.turn + 1))
