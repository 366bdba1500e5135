"""Bytes that arrive by WRITE requests, in any order within a window, and what happens at CLOSE.

What it is not: storage. Bytes in order go to `flow.incoming`; bytes ahead of their turn wait in memory, and only there.

A change must keep these:
1. A file is finished by CLOSE (or fsync) alone. A handle that loses its connection is abandoned: nothing is received, and
   what came without a hole is kept for its sender to go on with.
2. CLOSE over a hole fails, and so does everything after a failed write: what is recorded is what was sent, or nothing.
3. What waits is bounded by handle and by process; a client beyond that is refused with the reason, and memory stays flat.
4. Bytes already taken are never written again: they are digested and sealed, and gone from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.core.errors import Conflict, Incomplete, TooLarge
from gateway.flow.incoming import Announced, Incoming

WINDOW: Final = 32 << 20
BUDGET: Final = 256 << 20


@dataclass
class Budget:
    """Bytes that wait for their turn in this process."""

    left: int = BUDGET


class Arrival:
    """A file of a dataset while it is written.

    Args:
        begin: Begins the upload in the flow: at its first byte, or at the byte given where it goes on.
        budget: Shared by all handles of the process.
        before: Bytes that are there already and can be gone on with.
        appends: Whether every write belongs at the end, whatever offset it names (FXF_APPEND).
        before_end: Called with the first bytes before the file is recorded; may refuse it.
        keep: How many first bytes to keep for that; a longer file is refused. 0 keeps none.
    """

    def __init__(
        self,
        begin: Callable[[int], Awaitable[Incoming]],
        budget: Budget,
        *,
        before: int = 0,
        appends: bool = False,
        keep: int = 0,
        before_end: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._begin = begin
        self._before = before
        self._appends = appends
        self._incoming: Incoming | None = None
        self._turn = asyncio.Lock()  # a newer connection may end it while its own is at work
        self._budget = budget
        self._keep = keep
        self._before_end = before_end
        self._kept = bytearray()
        self._waiting: dict[int, bytes] = {}
        self._held = 0
        self._failed = False
        self._finished = False
        self.modified: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether it is recorded."""
        return self._finished

    @property
    def size(self) -> int:
        """Bytes received without a hole."""
        return self._before if self._incoming is None else self._incoming.size

    async def begin(self, offset: int = 0) -> Incoming:
        """Begin, unless that was done."""
        if self._incoming is None:
            self._incoming = await self._begin(offset)
            self._incoming.prepare()
        return self._incoming

    async def write(self, offset: int, data: bytes) -> None:
        """Take the bytes at an offset.

        Raises:
            Conflict: They were taken already, or the file is finished or has failed.
            TooLarge: They are too far ahead.
        """
        async with self._turn:
            await self._write(offset, data)

    async def _write(self, offset: int, data: bytes) -> None:
        if self._failed or self._finished:
            raise Conflict("this file is finished or has failed: open it again and send it from its first byte")
        try:
            incoming = await self.begin(self._before if self._appends else offset)
            at = incoming.size if self._appends else offset
            if at > incoming.size:
                self._wait(at, data)
                return
            if at < incoming.size:
                raise Conflict("these bytes were taken already and cannot be changed: send the file again as a whole")
            await self._take(incoming, data)
            while (ahead := self._waiting.pop(incoming.size, None)) is not None:
                self._release(len(ahead))
                await self._take(incoming, ahead)
        except BaseException:
            self._failed = True
            raise

    def _wait(self, offset: int, data: bytes) -> None:
        if offset in self._waiting:
            raise Conflict("these bytes were sent twice: send the file again as a whole")
        if offset + len(data) - self.size > WINDOW or len(data) > self._budget.left:
            raise TooLarge(
                f"a write came more than {WINDOW >> 20} MiB before its turn: send the file in order, or with fewer requests "
                "at once"
            )
        self._waiting[offset] = data
        self._held += len(data)
        self._budget.left -= len(data)

    async def _take(self, incoming: Incoming, data: bytes) -> None:
        if self._keep:
            self._kept += data
            if len(self._kept) > self._keep:
                raise TooLarge(f"this file has at most {self._keep} bytes here")
        await incoming.feed(data)

    def _release(self, size: int) -> None:
        self._held -= size
        self._budget.left += size

    async def truncate(self, size: int) -> None:
        """Allow what changes nothing, and to begin anew; raises Conflict otherwise."""
        if size == 0 and self._incoming is None:
            self._before = 0
            await self.begin()
        if size != self.size:
            raise Conflict("a file is sent as a whole: it cannot be cut or grown")

    async def finish(self) -> None:
        """Make the file durable and record it, once; on any failure nothing is recorded.

        Raises:
            Incomplete: There is a hole, or a write failed before.
        """
        async with self._turn:
            await self._finish()

    async def _finish(self) -> None:
        if self._finished:
            return
        if self._incoming is None and not self._failed:  # opened and closed: what is there stays as it is
            self._finished = True
            return
        try:
            if self._failed:
                raise Incomplete("a write failed before: nothing was recorded, send the file again")
            if self._waiting:
                raise Incomplete(f"there is a hole at byte {self.size}: nothing was recorded, send the file again")
            if self.size < self._before:
                raise Incomplete(f"{self._before} bytes were there and {self.size} would be: send the file as a whole")
            if self._before_end is not None:
                await self._before_end(bytes(self._kept))
            await (await self.begin()).finish(Announced(modified=self.modified), soon=True)
            self._finished = True
        except BaseException:
            self._failed = True
            await self._abandon()
            raise

    async def abandon(self) -> None:
        """The end without CLOSE: what came without a hole and without a failure is kept to go on with, the rest is not."""
        async with self._turn:
            await self._abandon()

    async def _abandon(self) -> None:
        if self._finished:
            return
        failed, self._failed = self._failed, True
        self._release(self._held)
        self._waiting.clear()
        if self._incoming is None:
            return
        self._incoming.modified = self.modified or self._incoming.modified
        if failed or self._keep:  # what is read as it is written has to come as a whole
            await self._incoming.abort()
        else:
            await self._incoming.suspend()


class Order:
    """A SUBMIT or WITHDRAW file while it is written; it is carried out at CLOSE and kept nowhere.

    Args:
        carry_out: Given the content.
        bound: Largest content in bytes.
    """

    def __init__(self, carry_out: Callable[[bytes], Awaitable[None]], bound: int) -> None:
        self._carry_out = carry_out
        self._bound = bound
        self._content = bytearray()
        self._done = False
        self.modified: datetime | None = None

    @property
    def size(self) -> int:
        """Bytes received."""
        return len(self._content)

    async def write(self, offset: int, data: bytes) -> None:
        """Take the next bytes; raises Conflict where they are not the next, TooLarge beyond the bound."""
        if offset != len(self._content):
            raise Conflict("this file is written in order, from its first byte")
        if offset + len(data) > self._bound:
            raise TooLarge(f"this file has at most {self._bound} bytes")
        self._content += data

    async def truncate(self, size: int) -> None:
        """As of an `Arrival`."""
        if size != self.size:
            raise Conflict("a file is sent as a whole: it cannot be cut or grown")

    async def finish(self) -> None:
        """Carry it out, once."""
        if not self._done:
            self._done = True
            await self._carry_out(bytes(self._content))

    async def abandon(self) -> None:
        """Forget it: an order that was cut off is none."""
        self._done = True
