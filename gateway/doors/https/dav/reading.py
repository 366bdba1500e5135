"""OPTIONS, PROPFIND, GET and HEAD: looks into the tree.

A change must keep these:
1. A listing is written as a stream: a large folder is never one document in memory.
2. Depth infinity is refused: what a folder holds, and theirs, is asked for folder by folder.
3. File contents are read back of the caller's own drafts only. Each look is a fact; ranges of one file asked for within a
   minute are one look, as an open file is at the SFTP door.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import hdrs, web

from gateway.core.errors import BrokenPromise, CallerError, GatewayError, NotFound, Unusable
from gateway.core.identity import Principal
from gateway.doors.https.bodies import read_whole
from gateway.doors.https.dav.desk import Desk, caller, etag_of
from gateway.doors.https.dav.gate import ConditionNotMetError, answering
from gateway.doors.https.dav.properties import properties_of, selected
from gateway.doors.https.dav.targets import Target, child, target_of
from gateway.doors.https.guard import ALLOWED
from gateway.doors.outbox.places import OUTBOX, nothing_there
from gateway.doors.outbox.tree import Node
from gateway.doors.outbox.verbs import not_here
from gateway.flow.locks import covers
from gateway.flow.reread import Reread
from gateway.ports import EditLock
from gateway.wire import Malformed, dav, dav_headers
from gateway.wire.dav import Asked

ALLOW: Final = "OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, PUT, DELETE, MKCOL, COPY, MOVE, LOCK, UNLOCK"
LOOK_SECONDS: Final = 60.0
MAX_LOOKS: Final = 64
_PIECE: Final = 1 << 18
_WRITE_AT: Final = 1 << 16


@dataclass
class _Look:
    source: Reread
    until: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # a source is read by one at a time


class Looks:
    """Files of drafts that are being read back, for as long as one look lasts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looks: OrderedDict[tuple[str, str, str, bytes], _Look] = OrderedDict()

    async def at(self, principal: Principal, target: Target) -> _Look:
        """A file of the caller's draft.

        Raises:
            NotFound: There is no such file.
            NotPermitted: It was submitted.
        """
        name = target.place.dataset(principal.institution)
        found = await self._desk.folders.file(principal, name, target.place.path)
        if found is None:
            raise nothing_there()
        if found.frozen:
            raise not_here("only files of a draft can be read back: this one was submitted")
        now = asyncio.get_running_loop().time()
        key = (principal.client, found.transfer_id, found.path, found.sha256)
        known = self._looks.pop(key, None)
        if known is None or known.until < now:
            source = await self._desk.resume.reread(principal, found.transfer_id, found.path)
            known = _Look(source, now + LOOK_SECONDS)
        self._looks[key] = known
        while len(self._looks) > MAX_LOOKS or next(iter(self._looks.values())).until < now:
            self._looks.popitem(last=False)
        return known


class DavReading:
    """The methods that change nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looks = Looks(desk)

    async def dav_options(self, request: web.Request) -> web.StreamResponse:
        """OPTIONS: class 1 and 2 (RFC 4918 section 18); `MS-Author-Via` is what Windows looks for."""
        del request
        return web.Response(headers={"DAV": "1, 2", "MS-Author-Via": "DAV", "Allow": ALLOW, "Accept-Ranges": "bytes"})

    # --- listings ----------------------------------------------------------------------------------------------------

    @answering
    async def dav_propfind(self, request: web.Request) -> web.StreamResponse:
        """PROPFIND of a place, or of a folder and what is in it."""
        principal, target = caller(request), target_of(request)
        body = await read_whole(request, dav.MAX_BODY, self._desk.limits)
        try:
            asked = dav.parse_propfind(body)
            depth = dav_headers.parse_depth(request.headers.get("Depth"), dav_headers.INFINITY)
        except Malformed as wrong:
            raise Unusable(str(wrong), code="bad-xml") from wrong
        if depth == dav_headers.INFINITY:
            raise ConditionNotMetError(403, "propfind-finite-depth")
        found = await self._desk.look(principal, target)
        if found.node is None:
            raise nothing_there()
        nodes = await self._desk.listed(principal, target, found) if depth and found.node.folder else {}
        told = ((target, found.node), *((child(target, name), node) for name, node in nodes.items()))
        return await self._written(request, asked, told, found.locks)

    async def _written(
        self, request: web.Request, asked: Asked, told: Sequence[tuple[Target, Node]], locks: Sequence[EditLock]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=207, headers={"Content-Type": dav.CONTENT_TYPE})
        await response.prepare(request)
        waiting, size = [dav.BEGIN], 0
        for each, node in told:
            waiting.append(self._response(asked, each, node, locks))
            size += len(waiting[-1])
            if size >= _WRITE_AT:
                await response.write("".join(waiting).encode())
                waiting, size = [], 0
                await asyncio.sleep(0)  # a client that reads fast must not keep the others waiting
        await response.write("".join([*waiting, dav.END]).encode())
        await response.write_eof()
        return response

    def _response(self, asked: Asked, target: Target, node: Node, locks: Sequence[EditLock]) -> str:
        path = target.path if target.forgotten else target.place.path
        within = target.forgotten or (target.place.area == OUTBOX and bool(target.place.leaf))
        own = [lock for lock in locks if within and covers(lock, path)]
        name = target.path.rpartition("/")[2] or "dav"
        href = f"{target.href}/" if node.folder else target.href
        return dav.response(href, list(selected(asked, properties_of(name, node, own, self._desk.clock.now()))))

    # --- contents ----------------------------------------------------------------------------------------------------

    @answering
    async def dav_get(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD: a text of ours, or a file of the caller's draft."""
        principal, target = caller(request), target_of(request)
        found = await self._desk.look(principal, target)
        if found.node is None:
            raise nothing_there()
        if found.node.folder:
            request[ALLOWED] = tuple(each for each in ALLOW.split(", ") if each not in {"GET", "HEAD", "PUT"})
            raise CallerError("this is a folder: ask with PROPFIND what is in it", code="method-not-allowed")
        headers = {
            "Content-Type": "application/octet-stream",
            "Last-Modified": dav_headers.format_date(found.node.modified),
            "Accept-Ranges": "bytes",
        }
        if etag := etag_of(found.node):
            headers["ETag"] = etag
        if etag and etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        text = None if target.forgotten else await self._text(principal, target, headers)
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers={**headers, "Content-Length": str(found.node.size)})
        if text is not None:
            return await self._sent(request, headers, len(text), _Text(text))
        if not found.node.size:
            return web.Response(headers=headers)
        if target.forgotten and self._desk.forgotten.find(principal, target.path):
            raise NotFound("this is a file manager's own file: it was taken and not kept", code="no-such-file")
        look = await self._looks.at(principal, target)
        return await self._sent(request, headers, look.source.size, look)

    async def _text(self, principal: Principal, target: Target, headers: dict[str, str]) -> bytes | None:
        text = await self._desk.tree.read(principal, target.place)
        if text is not None:
            json = target.path.endswith(".json")
            headers["Content-Type"] = "application/json" if json else "text/plain; charset=utf-8"
        return text

    async def _sent(
        self, request: web.Request, headers: dict[str, str], size: int, source: _Look | _Text
    ) -> web.StreamResponse:
        start, end = _range(request, size, headers.get("ETag", ""))
        partial = (start, end) != (0, size)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        response.content_length = end - start
        await response.prepare(request)
        try:
            async for piece in _pieces(source, start, end):
                await response.write(piece)
            await response.write_eof()
        except GatewayError as failure:  # the head has gone: all that can still be said is that there is no more
            self._desk.observer.saw("request.faltered", code=failure.code)
            if request.transport is not None:
                request.transport.abort()
        return response


@dataclass(frozen=True)
class _Text:
    content: bytes


async def _pieces(source: _Look | _Text, start: int, end: int) -> AsyncIterator[bytes]:
    if isinstance(source, _Text):
        yield source.content[start:end]
        return
    while start < end:
        async with source.turn:
            piece = await asyncio.to_thread(source.source.read, start, min(_PIECE, end - start))
        if not piece:
            raise BrokenPromise("the vault has less of a file than was received")
        start += len(piece)
        yield piece


def _range(request: web.Request, size: int, etag: str) -> tuple[int, int]:
    """First byte and end of what is asked for; one range only, and all of it where If-Range does not hold.

    Raises:
        CallerError: `range`, where nothing of it is there.
    """
    given = request.headers.get("Range")
    if given is None or request.headers.get("If-Range", etag) != etag:
        return 0, size
    try:
        asked = request.http_range
    except ValueError:  # several ranges, or another unit: RFC 9110 section 14.2 lets a server pass over them
        return 0, size
    start, end, _ = asked.indices(size)
    if start >= end:
        raise CallerError(f"this file has {size} bytes: nothing of that range is there", code="range")
    return start, end
