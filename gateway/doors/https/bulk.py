"""A large body, received straight into the pieces that the pass takes: no parser, no queue and no copy in between.

What it is not: HTTP. It takes over a connection in the middle of a body whose length is known, when the parser has
nothing left, and gives it back when all of that body came, or when nobody wants the rest.

A change must keep these:
1. Not one byte more than the body's is taken for the body; what follows it on the connection is never read as a request:
   the answer closes the connection (RFC 9112 section 9.6), which costs a client one handshake in tens of MiB.
2. A piece that is filled is followed by no other until it was taken: the socket waits, and the client with it.
3. A connection that goes away ends the body, whole or not, and is told to the door's own protocol like any other.
4. A sender's time is measured as in `bodies`: waiting for bytes counts, our own work does not.

Why: decisions/0007. Source: RFC 9112 sections 6.2 and 9.6.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from gateway.flow.pieces import PIECE

LEAST: Final = 8 << 20  # bytes to come below which a connection is worth more kept than taken over
SPENT: Final = web.RequestKey("spent", bool)
"""Set on a request whose connection reads no other."""


@dataclass
class Pace:
    """How long a sender may be waited for.

    Attributes:
        idle: Seconds without a single byte.
        grace: Seconds of waiting that every body has.
        slowest: Bytes a second after that, over all waiting.
    """

    idle: float
    grace: float
    slowest: int
    waited: float = field(default=0.0, init=False)

    def spent(self, received: int) -> bool:
        """Whether a sender of so many bytes was waited for too long."""
        return self.waited > self.grace + received / self.slowest

    def until(self, began: float, last: float, received: int) -> float:
        """When patience ends with a sender waited for since `began` whose last byte came at `last`."""
        allowed = self.grace + received / self.slowest - self.waited
        return min(max(began, last) + self.idle, began + allowed)


class TooSlow(Exception):
    """The pace was not kept."""


class Lost(Exception):
    """The connection went away before the body's last byte."""


def may_take_over(request: web.Request, received: int) -> bool:
    """Whether what is left of a body is long enough, and all that came of it was received from the parser."""
    if request.content_length is None or request.content_length - received < LEAST:
        return False
    transport = request.transport
    return transport is not None and transport.is_reading() and request.content.total_bytes == received


class BulkBody(asyncio.BufferedProtocol):
    """What is left of a body. `take` it to its end, then or before that `give_back`.

    Args:
        request: `may_take_over` allowed it; nobody else may read it from now on.
        received: Bytes of the body that came before.
        pace: Of this body.
    """

    def __init__(self, request: web.Request, received: int, pace: Pace) -> None:
        assert request.transport is not None, "the connection went away"
        assert request.content_length is not None, "a body without a length has no known end"
        self._request = request
        self._door = request.protocol
        self._transport = request.transport
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self.received = received
        self._left = request.content_length - received
        self._filled: bytearray | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._last = self._loop.time()
        self._lost = False
        self._begin()
        self._transport.set_protocol(self)

    def _begin(self) -> None:
        self._piece = bytearray(min(PIECE, self._left))
        self._room = memoryview(self._piece)

    async def take(self) -> bytearray | None:
        """The next piece, which is the caller's from then on; None after the last one.

        Raises:
            TooSlow, Lost: There is no whole body.
        """
        if self._filled is None and self._left:
            await self._wait()
        piece, self._filled = self._filled, None
        if piece is not None and self._left:
            self._begin()
            self._transport.resume_reading()
        return piece

    async def _wait(self) -> None:
        began = self._loop.time()
        while self._filled is None:
            if self._lost:
                raise Lost
            until = self._pace.until(began, self._last, self.received)
            if self._loop.time() >= until:
                raise TooSlow
            self._waiter = self._loop.create_future()
            try:
                async with asyncio.timeout_at(until):
                    await self._waiter
            except TimeoutError:
                continue  # bytes may have come meanwhile that are no whole piece
        self._pace.waited += self._loop.time() - began

    def begun(self) -> memoryview:
        """What came of the piece that is not filled."""
        return (
            memoryview(self._piece)[: len(self._piece) - len(self._room)] if self._filled is None else memoryview(b"")
        )

    def give_back(self) -> None:
        """Let the door have its connection again: to answer on it, and to close it."""
        self._request[SPENT] = True
        self._room.release()
        if self._lost:
            return
        if not self._left:
            self._door.close()  # what comes now is no request
            self._request.content.feed_eof()
        self._transport.set_protocol(self._door)
        self._transport.resume_reading()

    # --- asyncio.BufferedProtocol ------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go; never beyond the body."""
        del sizehint
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        self._last = self._loop.time()
        self.received += nbytes
        self._left -= nbytes
        self._room = self._room[nbytes:]
        if not self._room:
            self._transport.pause_reading()  # until it is taken
            self._filled = self._piece
            self._wake()

    def eof_received(self) -> None:
        """The client ends; the transport closes and says so."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It went away."""
        self._lost = True
        self._door.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        """As the door."""
        self._door.pause_writing()

    def resume_writing(self) -> None:
        """As the door."""
        self._door.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
