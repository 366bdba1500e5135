"""Bytes that arrive by WRITE requests, in any order within a window, and what happens at CLOSE.

What it is not: storage. Bytes in order go to `flow.incoming`; bytes ahead of their turn wait in memory, and only there.

A change must keep these:
1. A file is finished by CLOSE (or fsync) alone. A handle that loses its connection is abandoned: nothing is recorded.
2. CLOSE over a hole fails, and so does everything after a failed write: what is recorded is what was sent, or nothing.
3. What waits is bounded by handle and by process; a client beyond that is refused with the reason, and memory stays flat.
4. Bytes already taken are never written again: they are digested and sealed, and gone from here.
"""

from __future__ import annotations

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
        incoming: The upload in the flow.
        budget: Shared by all handles of the process.
        before_end: Called with the first bytes before the file is recorded; may refuse it.
        keep: How many first bytes to keep for that; a longer file is refused. 0 keeps none.
    """

    def __init__(
        self,
        incoming: Incoming,
        budget: Budget,
        *,
        keep: int = 0,
        before_end: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._incoming = incoming
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
        return self._incoming.size

    async def write(self, offset: int, data: bytes) -> None:
        """Take the bytes at an offset.

        Raises:
            Conflict: They were taken already, or the file is finished or has failed.
            TooLarge: They are too far ahead.
        """
        if self._failed or self._finished:
            raise Conflict("this file is finished or has failed: open it again and send it from its first byte")
        try:
            if offset > self._incoming.size:
                self._wait(offset, data)
                return
            if offset < self._incoming.size:
                raise Conflict("these bytes were taken already and cannot be changed: send the file again as a whole")
            await self._take(data)
            while (ahead := self._waiting.pop(self._incoming.size, None)) is not None:
                self._release(len(ahead))
                await self._take(ahead)
        except BaseException:
            self._failed = True
            raise

    def _wait(self, offset: int, data: bytes) -> None:
        if offset in self._waiting:
            raise Conflict("these bytes were sent twice: send the file again as a whole")
        if offset + len(data) - self._incoming.size > WINDOW or len(data) > self._budget.left:
            raise TooLarge(
                f"a write came more than {WINDOW >> 20} MiB before its turn: send the file in order, or with fewer requests "
                "at once"
            )
        self._waiting[offset] = data
        self._held += len(data)
        self._budget.left -= len(data)

    async def _take(self, data: bytes) -> None:
        if self._keep:
            self._kept += data
            if len(self._kept) > self._keep:
                raise TooLarge(f"this file has at most {self._keep} bytes here")
        await self._incoming.feed(data)

    def _release(self, size: int) -> None:
        self._held -= size
        self._budget.left += size

    async def truncate(self, size: int) -> None:
        """Allow only what changes nothing; raises Conflict otherwise."""
        if size != self.size:
            raise Conflict("a file is sent as a whole: it cannot be cut or grown")

    async def finish(self) -> None:
        """Make the file durable and record it, once; on any failure nothing is recorded.

        Raises:
            Incomplete: There is a hole, or a write failed before.
        """
        if self._finished:
            return
        try:
            if self._failed:
                raise Incomplete("a write failed before: nothing was recorded, send the file again")
            if self._waiting:
                raise Incomplete(f"there is a hole at byte {self.size}: nothing was recorded, send the file again")
            if self._before_end is not None:
                await self._before_end(bytes(self._kept))
            await self._incoming.finish(Announced(modified=self.modified))
            self._finished = True
        except BaseException:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """Remove every trace, unless the file is finished."""
        if not self._finished:
            self._failed = True
            self._release(self._held)
            self._waiting.clear()
            await self._incoming.abort()


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
