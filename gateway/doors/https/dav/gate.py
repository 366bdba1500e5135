"""May this write happen now: locks of other clients, the If field, and HTTP's own conditions.

What it is not: permissions (`guard`, and the flow). A lock keeps WebDAV clients out of each other's way, nothing more.

A change must keep these:
1. A locked place is written to by the credential that has the lock and shows its token, and by nobody else.
2. A condition that cannot be read refuses the request; one that does not hold ends it before anything is done.

Sources: RFC 4918 sections 7 and 10.4, RFC 9110 section 13.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from gateway.core.errors import Conflict, NotFound, Unusable
from gateway.core.identity import Principal
from gateway.doors.https.dav.desk import Desk, Found, etag_of
from gateway.doors.https.dav.targets import ROOT, Target, parent_path, parse_target
from gateway.flow.locks import covers, is_below
from gateway.ports import EditLock
from gateway.wire import Malformed, dav, dav_headers


class ConditionNotMetError(Exception):
    """A request that is answered with one of RFC 4918's conditions, as XML.

    Args:
        status: HTTP status.
        condition: The condition's element.
        hrefs: Which places it is about.
    """

    def __init__(self, status: int, condition: str, hrefs: Sequence[str] = ()) -> None:
        super().__init__(condition)
        self.status = status
        self.condition = condition
        self.hrefs = tuple(hrefs)


Page = Callable[..., Awaitable[web.StreamResponse]]


def answering(page: Page) -> Page:
    """A page whose WebDAV conditions are answered as such; every other failure is a problem like everywhere at this door."""

    @functools.wraps(page)
    async def answer(self: object, request: web.Request) -> web.StreamResponse:
        try:
            return await page(self, request)
        except ConditionNotMetError as no:
            body = dav.error_body(no.condition, no.hrefs)
            return web.Response(status=no.status, body=body, headers={"Content-Type": dav.CONTENT_TYPE})

    return answer


async def check(
    desk: Desk,
    request: web.Request,
    principal: Principal,
    target: Target,
    found: Found,
    *,
    members: bool = False,
    below: bool = False,
    conditions: bool = True,
) -> list[EditLock]:
    """The caller's own locks on a target, once nothing speaks against writing there.

    Args:
        desk: To look at other places that conditions name.
        request: Its header fields.
        principal: Who writes.
        target: What is written.
        found: What is there.
        members: Whether the folder it lies in gets or loses a member.
        below: Whether everything in it is written.
        conditions: Whether the request's conditions are about this target.

    Raises:
        ConditionNotMetError: It is locked.
        Conflict: `precondition-failed`.
    """
    lists = if_field(request)
    if conditions:
        await _check_if(desk, request.host.lower(), principal, lists, target, found)
        _check_http(request, found)
    shown = dav_headers.submitted_tokens(lists)
    _, path = target.lock_scope(principal.institution)
    own: list[EditLock] = []
    for lock in found.locks:
        concerned = covers(lock, path) or (below and is_below(lock.path, path))
        if not concerned and not (members and lock.path == parent_path(path)):
            continue
        if lock.token not in shown or lock.client != principal.client:
            raise ConditionNotMetError(423, "lock-token-submitted", [lock_root(lock)])
        own.append(lock)
    return own


def if_field(request: web.Request) -> tuple[dav_headers.StateList, ...]:
    """The If field; empty where there is none. Raises Unusable where it cannot be read."""
    given = request.headers.getall("If", [])
    if not given:
        return ()
    try:
        return dav_headers.parse_if(" ".join(given))
    except Malformed as wrong:
        raise Unusable(str(wrong), code="bad-header") from wrong


async def _check_if(
    desk: Desk,
    host: str,
    principal: Principal,
    lists: tuple[dav_headers.StateList, ...],
    target: Target,
    found: Found,
) -> None:
    if not lists:
        return
    states = {"": state_of(principal, target, found)}
    for resource in {each.resource for each in lists} - {""}:
        states[resource] = await _state_at(desk, host, principal, resource)
    if not dav_headers.if_holds(lists, states.__getitem__):
        raise _failed()


async def _state_at(desk: Desk, host: str, principal: Principal, resource: str) -> dav_headers.ResourceState:
    """The state of a resource another list names; what is not in this tree has none."""
    try:
        authority, path = dav_headers.parse_destination(resource)
        target = parse_target(path)
    except (Malformed, Unusable, NotFound):
        return dav_headers.ResourceState()
    if authority not in {"", host}:
        return dav_headers.ResourceState()
    return state_of(principal, target, await desk.look(principal, target))


def state_of(principal: Principal, target: Target, found: Found) -> dav_headers.ResourceState:
    """What conditions are compared with."""
    _, path = target.lock_scope(principal.institution)
    tokens = frozenset(lock.token for lock in found.locks if covers(lock, path))
    return dav_headers.ResourceState(etag_of(found.node) if found.node else "", tokens)


def _check_http(request: web.Request, found: Found) -> None:
    """If-Match and If-None-Match of a request that writes."""
    etag = etag_of(found.node) if found.node else ""
    wanted = _tags(request, "If-Match")
    if wanted and not ("*" in wanted and found.node) and (not etag or etag not in wanted):
        raise _failed()
    unwanted = _tags(request, "If-None-Match")
    if ("*" in unwanted and found.node) or (etag and etag in unwanted):
        raise _failed()


def _tags(request: web.Request, field: str) -> set[str]:
    return {each.strip() for each in ",".join(request.headers.getall(field, [])).split(",") if each.strip()}


def _failed() -> Conflict:
    return Conflict("what is there is not what this request expects: look again", code="precondition-failed")


def lock_root(lock: EditLock) -> str:
    """The address of the place a lock is on."""
    parts = ("outbox", lock.endpoint, lock.project, lock.dataset) if lock.dataset else ()
    return "/".join([ROOT, *(dav_headers.encode_path(each) for each in (*parts, lock.path) if each)])
