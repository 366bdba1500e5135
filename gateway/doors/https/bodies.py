"""Bodies: bytes as they arrive, with their end known for certain, their digests checked and their pace bounded.

What it is not: a parser of contents, or storage. `flow.intake` takes the bytes and refuses what ended early.

A change must keep these:
1. A body is whole or the request failed: fewer bytes than Content-Length, a chunked body without its last chunk, or a
   connection that went away mid-way end in Incomplete, before anything relies on them.
2. `100 Continue` is sent when a handler asks for the first byte, never before: by then the caller was authenticated and
   the request checked (aiohttp by itself would send it first).
3. What is stored is what was sent: no content coding but identity, no Content-Range, no transfer coding but chunked.
4. A sender that is slow for minutes gives its place back. Only time spent waiting for bytes counts, not ours.
5. What is left of a large body is received in bulk (`bulk`); the same rules hold there.

Sources: RFC 9110 sections 8.6, 10.1.1 and 14.5, RFC 9112 section 6, RFC 9530.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientPayloadError, HttpVersion11, web

from gateway.core.errors import CallerError, Conflict, Incomplete, TooLarge, Unusable
from gateway.doors.https.bulk import BulkBody, Lost, Pace, TooSlow, may_take_over
from gateway.flow.intake import Announced
from gateway.wire import Malformed, canonical, digests
from gateway.wire.crypt4gh import Buffer

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_IN_LOOP: Final = 1 << 16  # documents above this are parsed in a thread: a listing may name 100,000 files
_SEEN: Final = ("Content-Digest", "Repr-Digest")


@dataclass(frozen=True)
class BodyLimits:
    """Bounds on bodies; those on files are `core.intake.Limits`.

    Attributes:
        json: Bytes of a JSON document.
        listing: Bytes of the JSON document that lists a submission's files.
        form: Bytes of a token request.
        idle: Seconds without a single byte.
        grace: Seconds of waiting that every body has, however slow it is.
        slowest: Bytes a second it must keep to after that, over all its waiting.
    """

    json: int = 1 << 16
    listing: int = 1 << 24
    form: int = 1 << 14
    idle: float = 60.0
    grace: float = 120.0
    slowest: int = 4096


def announced(request: web.Request) -> Announced:
    """What the head says of the body to come, once it says nothing this door cannot keep.

    Raises:
        Unusable: A digest field is broken, two of them disagree, or a range is sent.
        CallerError: A content or transfer coding that is not accepted.
    """
    refuse_codings(request)
    if "Content-Range" in request.headers:
        raise Unusable("a PUT carries the whole file: send it without Content-Range", code="bad-header")
    wanted: dict[str, bytes] = {}
    for name in _SEEN:  # with no content coding, content and representation are the same bytes
        for algorithm, digest in _digests(request, name).items():
            if wanted.setdefault(algorithm, digest) != digest:
                raise Unusable(f"{' and '.join(_SEEN)} disagree on {algorithm}", code="bad-digest")
    return Announced(size=request.content_length, digests=wanted)


def refuse_codings(request: web.Request) -> None:
    """Refuse what would have to be decoded before it is what was sent."""
    coding = ",".join(request.headers.getall("Content-Encoding", []))
    if coding.strip().lower() not in {"", "identity"}:
        raise CallerError("send the content itself, without Content-Encoding", code="unsupported-coding")
    transfer = ",".join(request.headers.getall("Transfer-Encoding", []))
    if transfer.strip().lower() not in {"", "chunked"}:
        raise CallerError("no transfer coding but chunked is taken", code="unsupported-coding")


def _digests(request: web.Request, name: str) -> dict[str, bytes]:
    lines = request.headers.getall(name, [])
    try:
        return digests.parse_digest(", ".join(lines)) if lines else {}
    except Malformed as wrong:
        raise Unusable(f"{name}: {wrong}", code="bad-digest") from wrong


async def stream(
    request: web.Request, about: Announced, limits: BodyLimits, *, rest: bool = False
) -> AsyncGenerator[Buffer]:
    """The body, piece by piece; `sha-512` is checked here, `sha-256` where the bytes are digested anyway.

    With `rest`, every byte that came before the connection went away is given, before Incomplete is raised.

    Raises:
        Incomplete: It ended early, or came too slowly.
        Conflict: It does not have the announced sha-512.
    """
    wanted = (about.digests or {}).get("sha-512")
    digest = hashlib.sha512() if wanted is not None else None
    async for piece in _pieces(request, limits, rest=rest):
        if digest is not None:
            digest.update(piece)  # pieces are at most 1 MiB: a millisecond or two of the loop's time
        yield piece
    if digest is not None and not hmac.compare_digest(wanted or b"", digest.digest()):
        raise Conflict("the bytes do not have the announced sha-512: send the file again", code="digest-mismatch")


async def _pieces(request: web.Request, limits: BodyLimits, *, rest: bool = False) -> AsyncGenerator[Buffer]:
    _invite(request)
    loop = asyncio.get_running_loop()
    pace = Pace(limits.idle, limits.grace, limits.slowest)
    received = 0
    while not may_take_over(request, received):
        began = loop.time()
        try:
            piece = await _next(request, limits.idle)
        except Incomplete:
            if rest and (left := _left(request)):
                yield left
            raise
        pace.waited += loop.time() - began
        if not piece:
            return
        received += len(piece)
        if pace.spent(received):
            raise _too_slow()
        yield piece
    async with aclosing(_in_bulk(request, received, pace, rest=rest)) as large:
        async for each in large:
            yield each


async def _in_bulk(
    request: web.Request, received: int, pace: Pace, *, rest: bool
) -> AsyncGenerator[bytearray | memoryview]:
    body = BulkBody(request, received, pace)
    try:
        while (piece := await body.take()) is not None:
            yield piece
    except TooSlow:
        raise _too_slow() from None
    except Lost:
        if rest and (left := body.begun()):
            yield left
        raise _ended_early() from None
    finally:
        body.give_back()


async def _next(request: web.Request, idle: float) -> bytes:
    """The next bytes, or none at the end of a whole body."""
    if request.transport is None:
        raise _ended_early()
    try:
        async with asyncio.timeout(idle):
            return await request.content.readany()
    except TimeoutError:
        raise _too_slow() from None
    except (web.RequestPayloadError, ClientPayloadError, ConnectionError) as cut:
        raise _ended_early() from cut


def _left(request: web.Request) -> bytes:
    """What came before the cut and was not read: aiohttp keeps it, but answers a read with the cut alone."""
    return request.content._read_nowait(-1)  # noqa: SLF001  # no public way asks; a test cuts bodies to hold it


def _invite(request: web.Request) -> None:
    """Tell a client that waits for it to send the body (RFC 9110 section 10.1.1)."""
    waits = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if waits and request.transport is not None and not request.content.is_eof() and not request.content.total_bytes:
        request.transport.write(_CONTINUE)


def _ended_early() -> Incomplete:
    return Incomplete("the connection ended before the body did: send it again")


def _too_slow() -> Incomplete:
    return Incomplete("the body came too slowly: send it again", code="body-timeout")


async def read_whole(request: web.Request, bound: int, limits: BodyLimits) -> bytes:
    """A small body in memory.

    Raises:
        TooLarge: It is over the bound.
        Incomplete: As `stream`.
    """
    refuse_codings(request)
    if (request.content_length or 0) > bound:
        raise _too_large(bound)
    body = bytearray()
    async for piece in _pieces(request, limits):
        body += piece
        if len(body) > bound:
            raise _too_large(bound)
    return bytes(body)


def _too_large(bound: int) -> TooLarge:
    return TooLarge(f"a body here has at most {bound} bytes")


async def read_json(request: web.Request, bound: int, limits: BodyLimits) -> dict[str, Any]:
    """A JSON object (RFC 7493: no name twice, no integer beyond 2**53 - 1).

    Raises:
        CallerError: Another media type.
        Unusable: No JSON object.
        TooLarge, Incomplete: As `read_whole`.
    """
    if request.content_type != "application/json":
        raise CallerError("send application/json", code="unsupported-media")
    body = await read_whole(request, bound, limits)
    if len(body) > _IN_LOOP:
        return await asyncio.to_thread(parse_object, body, bound)
    return parse_object(body, bound)


def parse_object(body: bytes, bound: int) -> dict[str, Any]:
    """A JSON object from bytes; raises Unusable."""
    try:
        document = canonical.parse(body, max_size=bound, max_depth=16)
    except Malformed as wrong:
        raise Unusable(f"the body is not the JSON it should be: {wrong}", code="bad-json") from wrong
    if not isinstance(document, dict):
        raise Unusable("the body must be one JSON object", code="bad-json")
    return document


def has_body(request: web.Request) -> bool:
    """Whether a body was announced at all."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers
