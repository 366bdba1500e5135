"""PROPPATCH (RFC 4918 section 9.2): the time of last change, and what clients set out of habit.

What it is not: storage of properties. A dataset has files, and nothing beside them.

A change must keep this: all of a request's properties are set, or none is.
"""

from __future__ import annotations

from aiohttp import web

from gateway.core.errors import Unusable
from gateway.doors.https.bodies import read_whole
from gateway.doors.https.dav.desk import Desk, caller
from gateway.doors.https.dav.gate import answering, check
from gateway.doors.https.dav.properties import patched
from gateway.doors.https.dav.targets import target_of
from gateway.doors.outbox.places import OUTBOX, nothing_there
from gateway.wire import Malformed, dav


class DavPatching:
    """The method of properties."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @answering
    async def dav_proppatch(self, request: web.Request) -> web.StreamResponse:
        """PROPPATCH: the time of last change is kept, habits are let pass, anything else is refused."""
        principal, target = caller(request), target_of(request)
        body = await read_whole(request, dav.MAX_BODY, self._desk.limits)
        try:
            updates = dav.parse_proppatch(body)
        except Malformed as wrong:
            raise Unusable(str(wrong), code="bad-xml") from wrong
        found = await self._desk.look(principal, target)
        if found.node is None:
            raise nothing_there()
        await check(self._desk, request, principal, target, found)
        groups, modified = patched(updates)
        if modified is not None and not found.node.folder and not target.forgotten and target.place.area == OUTBOX:
            await self._desk.verbs.date(principal, target.place, modified)
        told = f"{dav.BEGIN}{dav.response(target.href, groups)}{dav.END}"
        return web.Response(status=207, body=told.encode(), headers={"Content-Type": dav.CONTENT_TYPE})
