"""A session's requests held to its institution's share and counted: `DoorFiles` between two marks.

What it is not: what requests mean (`files`).

A change must keep these:
1. The place of a file is taken before it is opened, so that requests side by side cannot pass a bound together.
2. Every place is given back once: at CLOSE, when the connection goes away, or when the file was not opened after all.
3. A WRITE costs a few additions here, and no word to the observer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import asyncssh
from asyncssh import SFTPAttrs
from asyncssh.constants import FXF_WRITE

from gateway.core.errors import TooLarge
from gateway.core.identity import Principal
from gateway.doors.sftp.arrivals import Arrival
from gateway.doors.sftp.bandwidth import Lane
from gateway.doors.sftp.desk import Desk
from gateway.doors.sftp.files import DoorFiles, answering
from gateway.doors.sftp.shares import Share, Tally

_REACHED: Final = {
    "session_handles": "at most {} files are open in a session: close some",
    "handles": "at most {} files of an institution are open at once: close some, or wait for other sessions",
    "uploads": "at most {} files of an institution are written at once: wait until some are done",
}


class MeteredFiles(DoorFiles):
    """One SFTP session of one caller, within its institution's bounds.

    Args:
        channel: Its SSH channel.
        desk: What it works with.
        caller: As of `DoorFiles`.
        lane: The connection's place among those of its institution.
    """

    def __init__(
        self,
        channel: asyncssh.SSHServerChannel[bytes],
        desk: Desk,
        caller: Callable[[], Awaitable[Principal]],
        lane: Lane,
    ) -> None:
        super().__init__(channel, desk, caller)
        self.tally = Tally(desk.observer)
        self._asked_by = caller
        self._observer = desk.observer
        self._shares = desk.shares
        self._limits = desk.limits
        self._lane = lane
        self._places_taken: dict[object, tuple[Share, bool]] = {}
        self._opening = 0

    @answering
    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        """Open within the bounds of the session and of the institution."""
        upload = bool(pflags & FXF_WRITE)
        share = self._shares.of((await self._asked_by()).institution)
        full = self._opening + len(self._places_taken) >= self._limits.session_handles
        if reached := "session_handles" if full else share.take(upload=upload):
            self.tally.refusals[reached] += 1
            raise TooLarge(_REACHED[reached].format(getattr(self._limits, reached)))
        self._opening += 1
        try:
            handle = await super().open(path, pflags, attrs)
        except BaseException:
            share.give(upload=upload)
            raise
        finally:
            self._opening -= 1
        self._places_taken[handle] = (share, upload)
        self._lane.uploads += upload
        self._observer.saw("sftp.opened", probe=True)
        return handle

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Take bytes when it is this connection's turn."""
        self._lane.active = asyncio.get_running_loop().time()
        share, _ = self._places_taken[file_obj]
        if share.bucket is not None:
            await share.bucket.take(self._lane, len(data))
        taken = await super().write(file_obj, offset, data)
        self.tally.received += taken
        return taken

    async def close(self, file_obj: object) -> None:
        """CLOSE."""
        try:
            await super().close(file_obj)
        finally:
            self._give(file_obj)

    async def abandon(self, file_obj: object) -> None:
        """The connection went away before CLOSE."""
        cut = isinstance(file_obj, Arrival) and not file_obj.finished
        try:
            await super().abandon(file_obj)
        finally:
            self._give(file_obj)
            if cut:
                self._observer.saw("sftp.abandoned")

    def _give(self, handle: object) -> None:
        share, upload = self._places_taken.pop(handle)
        share.give(upload=upload)
        self._lane.uploads -= upload
        self._observer.saw("sftp.closed", probe=True)
