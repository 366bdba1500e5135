"""LOCK and UNLOCK (RFC 4918 sections 9.10 and 9.11): exclusive write locks of at most ten minutes, refreshed while they are used.

What it is not: the locks themselves (`flow.locks`), or what they forbid (`gate`).

A change must keep this: a lock on a name without a file promises one, and that promise is no file of the dataset.
"""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from gateway.core.errors import CallerError, Conflict, Unusable
from gateway.core.identity import Principal
from gateway.doors.https.bodies import read_whole
from gateway.doors.https.dav.desk import Desk, Found, caller
from gateway.doors.https.dav.gate import ConditionNotMetError, answering, check, if_field, lock_root
from gateway.doors.https.dav.properties import active_lock
from gateway.doors.https.dav.targets import Target, target_of
from gateway.doors.outbox.places import OUTBOX
from gateway.doors.outbox.verbs import not_here
from gateway.flow.locks import LONGEST, covers, is_below
from gateway.ports import EditLock
from gateway.wire import Malformed, dav, dav_headers
from gateway.wire.dav import DAV, Name


class DavLocking:
    """The methods of locks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @answering
    async def dav_lock(self, request: web.Request) -> web.StreamResponse:
        """LOCK: a new lock, or without a body a refreshed one."""
        principal, target = caller(request), target_of(request)
        body = await read_whole(request, dav.MAX_BODY, self._desk.limits)
        life = timedelta(
            seconds=dav_headers.parse_timeout(request.headers.get("Timeout"), int(LONGEST.total_seconds()))
        )
        found = await self._desk.look(principal, target)
        if not body:
            return self._answered(await self._refreshed(request, principal, target, found, life), status=200)
        lock = await self._taken(request, principal, target, found, body, life)
        return self._answered(lock, status=200 if found.node else 201)

    async def _taken(
        self, request: web.Request, principal: Principal, target: Target, found: Found, body: bytes, life: timedelta
    ) -> EditLock:
        try:
            info = dav.parse_lockinfo(body)
            depth = dav_headers.parse_depth(request.headers.get("Depth"), dav_headers.INFINITY)
        except Malformed as wrong:
            raise Unusable(str(wrong), code="bad-xml") from wrong
        if depth == 1:
            raise Unusable("Depth is 0 or infinity for LOCK", code="bad-header")
        if not info.exclusive:
            raise not_here("locks are exclusive here: ask for one of that kind")
        if not target.forgotten and not (target.place.area == OUTBOX and target.place.leaf):
            raise not_here("only datasets and what is in them can be locked")
        name, path = target.lock_scope(principal.institution)
        deep = depth == dav_headers.INFINITY and bool(found.node and found.node.folder)
        self._check_free(found, path, deep=deep)
        await check(self._desk, request, principal, target, found, members=found.node is None)
        if not target.forgotten:
            await self._desk.tree.check_project(principal, target.place)
            await self._desk.check_parent(principal, target)
        awaits = not target.forgotten and not target.place.order and _is_empty(found) and bool(path)
        try:
            return await self._desk.locks.take(
                principal, name, path, owner=info.owner, deep=deep, awaits=awaits, life=life
            )
        except Conflict as no:
            if no.code != "locked":
                raise
            raise ConditionNotMetError(423, "no-conflicting-lock", [target.href]) from no

    @staticmethod
    def _check_free(found: Found, path: str, *, deep: bool) -> None:
        """Raise where a lock is in the way, the caller's own included: an exclusive lock is taken once."""
        for lock in found.locks:
            if covers(lock, path) or (deep and is_below(lock.path, path)):
                raise ConditionNotMetError(423, "no-conflicting-lock", [lock_root(lock)])

    async def _refreshed(
        self, request: web.Request, principal: Principal, target: Target, found: Found, life: timedelta
    ) -> EditLock:
        shown = dav_headers.submitted_tokens(if_field(request))
        _, path = target.lock_scope(principal.institution)
        for lock in found.locks:
            if lock.token in shown and covers(lock, path) and lock.client == principal.client:
                return await self._desk.locks.refresh(lock, life)
        if not shown:
            raise CallerError("a LOCK says what lock it wants, or shows in If the one it refreshes", code="bad-xml")
        raise ConditionNotMetError(412, "lock-token-matches-request-uri", [target.href])

    def _answered(self, lock: EditLock, *, status: int) -> web.Response:
        content = dav.prop_body(Name(DAV, "lockdiscovery"), active_lock(lock, self._desk.clock.now()))
        headers = {"Content-Type": dav.CONTENT_TYPE, "Lock-Token": f"<{lock.token}>"}
        return web.Response(status=status, body=content, headers=headers)

    @answering
    async def dav_unlock(self, request: web.Request) -> web.StreamResponse:
        """UNLOCK; a promise that was not kept ends with its lock."""
        principal, target = caller(request), target_of(request)
        try:
            token = dav_headers.parse_lock_token(request.headers.get("Lock-Token"))
        except Malformed as wrong:
            raise Unusable(str(wrong), code="bad-header") from wrong
        found = await self._desk.look(principal, target)
        _, path = target.lock_scope(principal.institution)
        for lock in found.locks:
            if lock.token == token and covers(lock, path):
                await self._desk.locks.release(principal, lock)
                return web.Response(status=204)
        raise ConditionNotMetError(409, "lock-token-matches-request-uri", [target.href])


def _is_empty(found: Found) -> bool:
    return found.node is None or (not found.node.folder and not found.node.size)
