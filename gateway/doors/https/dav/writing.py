"""PUT, MKCOL, DELETE, MOVE and COPY: changes of the caller's draft.

What it is not: rules of the tree (`outbox.verbs`), or of versions (the flow).

A change must keep these:
1. A body that ends early leaves nothing: no file, no fact, and what had the name stays as it was. As the SFTP door does, it
   is noted that a sender broke off, so that quiet time is not taken for an end.
2. What file managers leave beside files is read, answered as taken, and gone (`forgotten`).
3. SUBMIT and WITHDRAW are carried out when they are whole under their own names, and no draft has a file of that name.
4. A file is sent where its folder is. The dataset's own folder is there from its first file on.

Sources: RFC 4918 sections 9.3 and 9.6 to 9.9; RFC 9110 section 9.3.4; `X-OC-Mtime` and `OC-Checksum` as ownCloud's
clients and rclone send them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from gateway.core.errors import CallerError, Conflict, GatewayError, Incomplete, TooLarge, Unusable
from gateway.core.identity import Principal
from gateway.core.names import settled_name
from gateway.core.transfer import Transfer
from gateway.doors.https.bodies import announced, has_body, stream
from gateway.doors.https.dav.desk import Desk, Found, caller, etag_of
from gateway.doors.https.dav.gate import answering, check
from gateway.doors.https.dav.properties import parse_time
from gateway.doors.https.dav.targets import Target, destination_of, target_of
from gateway.doors.https.guard import ALLOWED
from gateway.doors.outbox.listings import MAX_LISTING
from gateway.doors.outbox.places import DECLARATION, nothing_there
from gateway.doors.outbox.tree import Node
from gateway.doors.outbox.verbs import MAX_DECLARATION, not_here
from gateway.flow.intake import Announced
from gateway.flow.locks import is_below
from gateway.ports import EditLock, StoredFile
from gateway.wire import Malformed, dav, dav_headers
from gateway.wire.crypt4gh import Buffer

PARENT_SECONDS: Final = (
    5.0  # a folder that was there so long ago is not looked for again: clients send many files into one
)
MAX_PARENTS: Final = 1_000
MAX_FORGOTTEN: Final = 64 << 20
_CHECKSUM: Final = re.compile(r"(SHA1|MD5|SHA256):([0-9a-f]{32,64})", re.IGNORECASE)
_NO_CONTENT: Final = 204
_CREATED: Final = 201


class DavWriting:
    """The methods that change something."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- files -------------------------------------------------------------------------------------------------------

    @answering
    async def dav_put(self, request: web.Request) -> web.StreamResponse:
        """PUT: 201 for a new file, 204 for one that replaced another."""
        principal, target, about = caller(request), target_of(request), _announced(request)
        if not target.forgotten and not target.in_dataset:
            raise not_here("files are written to /dav/outbox/<endpoint>/<project>/<dataset>/ only")
        found = await self._desk.look(principal, target)
        if found.node is not None and found.node.folder:
            request[ALLOWED] = ("OPTIONS", "PROPFIND", "PROPPATCH", "DELETE", "COPY", "MOVE", "LOCK", "UNLOCK")
            raise CallerError("there is a folder of this name", code="method-not-allowed")
        own = await check(self._desk, request, principal, target, found, members=found.node is None)
        if target.forgotten:
            return await self._forget(request, principal, target, about)
        await self._desk.check_parent(principal, target)
        stored = await self._taken(request, principal, target, about, own)
        for lock in own:
            await self._desk.locks.fill(lock, empty=stored is not None and not stored.file.size)
        headers = {"X-OC-Mtime": "accepted"} if about.modified is not None else {}
        if stored is not None:
            headers["ETag"] = etag_of(Node(folder=False, size=0, modified=0.0, sha256=stored.file.sha256))
        return web.Response(status=_CREATED if found.node is None else _NO_CONTENT, headers=headers)

    async def _taken(
        self, request: web.Request, principal: Principal, target: Target, about: Announced, own: list[EditLock]
    ) -> StoredFile | None:
        """Take the body where it belongs; None where that is an order."""
        place = target.place
        await self._desk.tree.check_project(principal, place)
        body = _checked(request, stream(request, about, self._desk.limits))
        if place.order:
            content = await _whole(body, MAX_LISTING, about)
            await self._desk.verbs.obey(principal, place, content)
            return None
        draft = await self._desk.folders.draft(principal, place.dataset(principal.institution))
        if settled_name(place.path) == DECLARATION:
            content = await _whole(body, MAX_DECLARATION, about)
            await self._desk.verbs.declare(principal, draft, content)
            body = _once(content)
        return await self._received(principal, draft, target, body, about, own)

    async def _received(
        self,
        principal: Principal,
        draft: Transfer,
        target: Target,
        body: AsyncGenerator[Buffer],
        about: Announced,
        own: list[EditLock],
    ) -> StoredFile:
        """One file through the pass; where it fails its sender is noted as one that broke off."""
        connection = own[0].token if own else secrets.token_hex(8)
        watched = await self._desk.intake.waits_for_quiet(draft)
        if watched:
            await self._desk.intake.connected(principal, draft.id, connection)
        incoming = await self._desk.intake.begin_in(principal, draft, target.place.path, about)
        try:
            async with aclosing(body):
                async for piece in body:
                    await incoming.feed(piece)
            stored = await incoming.finish(about, soon=True)
        except BaseException:
            await incoming.abort()
            await self._broke_off(draft, connection)
            raise
        if watched:
            await self._desk.intake.disconnected(draft.id, connection, lost=False)
        return stored

    async def _broke_off(self, draft: Transfer, connection: str) -> None:
        try:
            await self._desk.intake.disconnected(draft.id, connection, lost=True)
        except GatewayError as failure:
            self._desk.observer.saw("request.faltered", code=failure.code)

    async def _forget(
        self, request: web.Request, principal: Principal, target: Target, about: Announced
    ) -> web.StreamResponse:
        size = 0
        async with aclosing(stream(request, about, self._desk.limits)) as body:
            async for piece in body:
                size += len(piece)
                if size > MAX_FORGOTTEN:
                    raise TooLarge(f"a file manager's own file has at most {MAX_FORGOTTEN} bytes here")
        if about.size not in {None, size}:
            raise Incomplete("the connection ended before the body did: send it again")
        new = self._desk.forgotten.put(principal, target.path, size, self._desk.clock.now().timestamp())
        return web.Response(status=_CREATED if new else _NO_CONTENT)

    # --- folders and names -------------------------------------------------------------------------------------------

    @answering
    async def dav_mkcol(self, request: web.Request) -> web.StreamResponse:
        """MKCOL: a dataset, or a folder in one."""
        principal, target = caller(request), target_of(request)
        if has_body(request):
            raise CallerError("MKCOL has no body here", code="unsupported-media")
        found = await self._desk.look(principal, target)
        await check(self._desk, request, principal, target, found, members=True)
        if found.node is not None:
            request[ALLOWED] = ("OPTIONS", "PROPFIND", "PROPPATCH", "DELETE", "COPY", "MOVE", "LOCK", "UNLOCK")
            raise CallerError("something has this name already", code="method-not-allowed")
        await self._desk.check_parent(principal, target)
        await self._desk.verbs.make_folder(principal, target.place)
        return web.Response(status=_CREATED)

    @answering
    async def dav_delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE of a file, or of a folder with everything in it."""
        principal, target = caller(request), target_of(request)
        found = await self._desk.look(principal, target)
        if found.node is None:
            raise nothing_there()
        own = await check(self._desk, request, principal, target, found, members=True, below=True)
        await self._delete(principal, target, found)
        self._desk.parents.clear()
        await self._let_go(principal, target, own)
        return web.Response(status=_NO_CONTENT)

    async def _delete(self, principal: Principal, target: Target, found: Found) -> None:
        assert found.node is not None
        if target.forgotten and self._desk.forgotten.drop(principal, target.path):
            return
        place = target.place
        if not target.in_dataset:
            raise not_here("a dataset is ended by creating WITHDRAW in it; other folders are not yours to remove")
        if found.node.folder:
            if await self._desk.tree.listed(principal, place):
                await self._desk.subtrees.drop(principal, place.dataset(principal.institution), place.path)
            else:
                await self._desk.verbs.remove_folder(principal, place)
        elif not await self._is_promise(principal, target, found):
            await self._desk.verbs.remove_file(principal, place)

    async def _is_promise(self, principal: Principal, target: Target, found: Found) -> bool:
        """Whether what is shown is a lock's promise alone: it ends with the lock."""
        promised = any(lock.awaits and lock.path == target.place.path for lock in found.locks)
        name = target.place.dataset(principal.institution)
        return promised and await self._desk.folders.file(principal, name, target.place.path) is None

    async def _let_go(self, principal: Principal, target: Target, own: list[EditLock]) -> None:
        """Locks end with what they are on (RFC 4918 sections 9.6 and 9.9)."""
        _, path = target.lock_scope(principal.institution)
        for lock in own:
            if lock.path == path or is_below(lock.path, path):
                await self._desk.locks.release(principal, lock)

    @answering
    async def dav_move(self, request: web.Request) -> web.StreamResponse:
        """MOVE within a dataset; a name that has to be inspected with the bytes is given by receiving them again."""
        return await self._to_destination(request, moving=True)

    @answering
    async def dav_copy(self, request: web.Request) -> web.StreamResponse:
        """COPY within a draft: the bytes are received again, under the new name."""
        return await self._to_destination(request, moving=False)

    async def _to_destination(self, request: web.Request, *, moving: bool) -> web.StreamResponse:
        principal, source, target = caller(request), target_of(request), destination_of(request)
        found, there = await self._desk.look(principal, source), await self._desk.look(principal, target)
        if found.node is None:
            raise nothing_there()
        own: list[EditLock] = []
        if moving:
            own = await check(self._desk, request, principal, source, found, members=True, below=True)
        await check(
            self._desk,
            request,
            principal,
            target,
            there,
            members=there.node is None,
            below=True,
            conditions=False,
        )
        shallow, replacing = _depth_and_overwrite(request, moving=moving)
        if source.path == target.path:
            raise not_here("source and destination are the same")
        if there.node is not None and not replacing:
            raise Conflict("something has this name and may not be replaced", code="precondition-failed")
        if source.forgotten or target.forgotten:
            return self._forgotten_moved(principal, source, target, moving=moving)
        await self._check_pair(principal, source, target)
        if there.node is not None and (there.node.folder or found.node.folder):
            await self._delete(principal, target, there)
        self._desk.parents.clear()
        refused = await self._moved_or_copied(principal, source, target, found, moving=moving, shallow=shallow)
        await self._let_go(principal, source, own)
        if refused:
            return _some_refused(source, refused)
        return web.Response(status=_CREATED if there.node is None else _NO_CONTENT)

    async def _check_pair(self, principal: Principal, source: Target, target: Target) -> None:
        one, other = source.place, target.place
        within = (one.endpoint, one.project, one.leaf) == (other.endpoint, other.project, other.leaf)
        if not within or not source.in_dataset or not target.in_dataset:
            raise not_here("files are renamed and copied within their dataset only")
        if is_below(other.path, one.path) or is_below(one.path, other.path):
            raise not_here("a folder does not go into itself, nor onto the one it is in")
        await self._desk.check_parent(principal, target)

    async def _moved_or_copied(
        self, principal: Principal, source: Target, target: Target, found: Found, *, moving: bool, shallow: bool
    ) -> dict[str, CallerError]:
        """Do it; what of a folder was refused, by its path in the dataset."""
        assert found.node is not None
        desk, name = self._desk, source.place.dataset(principal.institution)
        path, to = source.place.path, target.place.path
        if not moving and (target.place.order or settled_name(to) == DECLARATION or source.place.order):
            raise not_here("orders and declarations are written, not copied")
        if found.node.folder:
            if shallow:
                await desk.verbs.make_folder(principal, target.place)
                return {}
            if moving and not await desk.tree.listed(principal, source.place):
                await desk.verbs.rename(principal, source.place, target.place, replacing=True)
                return {}
            change: Any = desk.subtrees.rename if moving else desk.subtrees.copy
            refused: dict[str, CallerError] = await change(principal, name, path, to)
            return refused
        if not moving:
            await desk.subtrees.copy_file(principal, name, path, to)
            return {}
        try:
            await desk.verbs.rename(principal, source.place, target.place, replacing=True)
        except Conflict as named:
            if named.code != "named-content":
                raise
            await desk.subtrees.rename_file(principal, name, path, to)
        return {}

    def _forgotten_moved(
        self, principal: Principal, source: Target, target: Target, *, moving: bool
    ) -> web.StreamResponse:
        if not (source.forgotten and target.forgotten):
            raise not_here("a file manager's own file is not kept, and no file becomes one")
        node = self._desk.forgotten.find(principal, source.path)
        if node is None:
            raise nothing_there()
        new = self._desk.forgotten.put(principal, target.path, node.size, node.modified)
        if moving:
            self._desk.forgotten.drop(principal, source.path)
        return web.Response(status=_CREATED if new else _NO_CONTENT)


def _announced(request: web.Request) -> Announced:
    return replace(announced(request), modified=_modified(request))


def _modified(request: web.Request) -> datetime | None:
    """The time of last change some clients send with a file; raises Unusable."""
    given = request.headers.get("X-OC-Mtime")
    if given is None:
        return None
    try:
        return parse_time(given)
    except Malformed as wrong:
        raise Unusable(f"X-OC-Mtime: {wrong}", code="bad-header") from wrong


async def _checked(request: web.Request, body: AsyncGenerator[Buffer]) -> AsyncGenerator[Buffer]:
    """The body, and at its end whether it has the checksum its sender says."""
    found = _CHECKSUM.fullmatch(request.headers.get("OC-Checksum", "").strip())
    digest = hashlib.new(found[1].lower(), usedforsecurity=False) if found else None
    async with aclosing(body):
        async for piece in body:
            if digest is not None:
                digest.update(piece)
            yield piece
    if digest is not None and found is not None and not hmac.compare_digest(digest.hexdigest(), found[2].lower()):
        raise Conflict("the bytes do not have the announced checksum: send the file again", code="digest-mismatch")


async def _whole(body: AsyncGenerator[Buffer], bound: int, about: Announced) -> bytes:
    """A small body in memory; raises TooLarge, Incomplete."""
    content = bytearray()
    async with aclosing(body):
        async for piece in body:
            content += piece
            if len(content) > bound:
                raise TooLarge(f"this file has at most {bound} bytes here")
    if about.size not in {None, len(content)}:
        raise Incomplete("the connection ended before the body did: send it again")
    return bytes(content)


async def _once(content: bytes) -> AsyncGenerator[Buffer]:
    yield content


def _depth_and_overwrite(request: web.Request, *, moving: bool) -> tuple[bool, bool]:
    """Whether only the folder itself is meant, and whether what is there may be replaced; raises Unusable."""
    try:
        depth = dav_headers.parse_depth(request.headers.get("Depth"), dav_headers.INFINITY)
        overwrite = dav_headers.parse_overwrite(request.headers.get("Overwrite"))
    except Malformed as wrong:
        raise Unusable(str(wrong), code="bad-header") from wrong
    if depth == 1 or (moving and depth == 0):
        raise Unusable("Depth is infinity for MOVE, and 0 or infinity for COPY", code="bad-header")
    return depth == 0, overwrite


def _some_refused(source: Target, refused: dict[str, CallerError]) -> web.Response:
    """A multistatus of what was not done (RFC 4918 sections 9.8.3 and 9.9.2)."""
    base = source.href.removesuffix(dav_headers.encode_path(source.place.path))
    told = [
        dav.outcome(f"{base}{dav_headers.encode_path(path)}", 413 if isinstance(no, TooLarge) else 409)
        for path, no in refused.items()
    ]
    body = "".join([dav.BEGIN, *told, dav.END]).encode()
    return web.Response(status=207, body=body, headers={"Content-Type": dav.CONTENT_TYPE})
