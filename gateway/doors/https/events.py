"""Streams of server-sent events: what happens to a transfer, or to all of an institution's, told while it happens.

What it is not: the news themselves (`flow.news`), which know what happened and what comes after a position.

A change must keep these:
1. An event's id is a position in the ledger; `Last-Event-ID` goes on after it. Progress has no id and is not told again.
2. A stream is worth what its credential is: it is asked for again every few seconds, and a stream ends where it does not
   hold any more. Who does not read is cut off; nothing waits in memory.
3. Once a stream has begun, no problem can be answered: what goes wrong then ends it, and the client comes back.
4. An institution has so many streams in a process; the next one is refused.

Sources: HTML Living Standard section 9.2; RFC 9111 section 5.2.2.6 (no-transform); nginx's X-Accel-Buffering.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gateway.core.errors import CallerError, GatewayError, TooLarge, Unusable
from gateway.core.identity import Permission
from gateway.core.news import News
from gateway.doors.https.guard import PRINCIPAL, PROOF
from gateway.doors.https.transfers import transfer_id
from gateway.flow.news import Newsroom, Progress
from gateway.wire.eventstream import HEARTBEAT, MEDIA_TYPE, encode_event, retry_after

HEADERS: Final = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
RETRY: Final = 2_000  # milliseconds a client waits before it comes back
REFUSED_SECONDS: Final = 10
_POSITION: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})", re.ASCII)

Stream = AsyncGenerator[News | Progress | None] | AsyncGenerator[News | None]


@dataclass(frozen=True)
class StreamLimits:
    """Bounds on streams.

    Attributes:
        each: Streams an institution, in this process; 0 is no bound.
        heartbeat: Seconds of silence after which a comment is sent.
        proof: Seconds after which the credential is asked for again.
        stalled: Seconds a client may take to read what is sent.
    """

    each: int = 16
    heartbeat: float = 15.0
    proof: float = 3.0
    stalled: float = 4.0


class EventPages:
    """`/v1/transfers/{id}/events` and `/v1/events`."""

    def __init__(self, *, newsroom: Newsroom, limits: StreamLimits) -> None:
        self._newsroom = newsroom
        self._limits = limits
        self._streams: Counter[str] = Counter()
        self._closing = False

    def end(self) -> None:
        """Let every stream end at its next look: the door is closing."""
        self._closing = True

    async def follow_transfer(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/events."""
        position = last_event(request)
        after = -1 if position is None else position
        stream = self._newsroom.of_transfer(request[PRINCIPAL], transfer_id(request), after)
        return await self._answer(request, stream)

    async def follow_all(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/events."""
        return await self._answer(request, self._newsroom.of_institution(request[PRINCIPAL], last_event(request)))

    async def _answer(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        async with aclosing(stream):
            with self._place(request[PRINCIPAL].institution):
                try:
                    first = await anext(stream)
                except StopAsyncIteration:  # HTML section 9.2.3: tells an EventSource not to come back
                    return web.Response(status=204)
                response = web.StreamResponse(headers=HEADERS)
                await response.prepare(request)
                if request.method != "HEAD":
                    await self._tell(request, response, first, stream)
        return response

    @contextmanager
    def _place(self, institution: str) -> Iterator[None]:
        if self._limits.each and self._streams[institution] >= self._limits.each:
            raise TooLarge(
                f"an institution has at most {self._limits.each} event streams at once: close one, or follow /v1/events",
                code="too-many-streams",
                retry=True,
                wait=REFUSED_SECONDS,
            )
        self._streams[institution] += 1
        try:
            yield
        finally:
            self._streams[institution] -= 1
            if not self._streams[institution]:
                del self._streams[institution]

    async def _tell(
        self, request: web.Request, response: web.StreamResponse, first: News | Progress | None, stream: Stream
    ) -> None:
        """Write events until the stream ends, or nobody may or will read it."""
        try:
            await self._write(response, retry_after(RETRY))
            await self._write_all(request, response, first, stream)
        except (TimeoutError, ConnectionError, GatewayError):
            # Not read, gone, not allowed any more, or our database is away: whoever follows comes back and is told why.
            if request.transport is not None:
                request.transport.abort()
        except Exception:
            if request.transport is not None:
                request.transport.abort()  # or a problem would be written into the stream
            raise

    async def _write_all(
        self, request: web.Request, response: web.StreamResponse, first: News | Progress | None, stream: Stream
    ) -> None:
        clock = asyncio.get_running_loop().time
        proven = written = clock()
        each: News | Progress | None = first
        while each is not _END and not self._closing and request.transport is not None:
            now = clock()
            if now - proven >= self._limits.proof:
                await self._prove(request)
                proven = now
            if each is not None or now - written >= self._limits.heartbeat:
                await self._write(response, HEARTBEAT if each is None else encoded(each))
                written = now
            each = await anext(stream, _END)

    async def _prove(self, request: web.Request) -> None:
        principal = await request[PROOF].ask()
        if principal.institution != request[PRINCIPAL].institution or not principal.may(Permission.TRANSFERS_READ):
            raise CallerError("this credential may not follow any more")

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._limits.stalled):
            await response.write(data)


_END: Final[Any] = object()


def last_event(request: web.Request) -> int | None:
    """The position a client goes on after; None where it begins.

    Raises:
        Unusable: It is none of our ids.
    """
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return None
    if not _POSITION.fullmatch(given):
        raise Unusable("Last-Event-ID is the id of the last event that arrived, a whole number", code="bad-header")
    return int(given)


def encoded(told: News | Progress) -> bytes:
    """An event's bytes."""
    if isinstance(told, Progress):
        return encode_event("progress", dict(vars(told)))
    return encode_event("state", state_event(told), str(told.index))


def state_event(news: News) -> dict[str, Any]:
    """What a `state` event says."""
    said = {"transfer": news.transfer, "state": news.state.value, "at": news.at}
    return {**said, "verdict": news.verdict} if news.verdict else said
