"""The HTTPS door put together: pages on routes, behind the guard, with the headers every answer has.

What it is not: a socket (`server`) or TLS (`tls`).

A change must keep these:
1. Every page is on a row of `guard.TABLE`; an address that is not there is refused before anything is read.
2. `answer` is the outermost middleware and `guard` the next: no page runs for an unknown caller, and no error leaves
   the door in any form but a problem.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.catalogue import Catalogue
from gateway.doors.https import tus
from gateway.doors.https.batches import BatchPages
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.dav.desk import Desk
from gateway.doors.https.dav.locking import DavLocking
from gateway.doors.https.dav.patching import DavPatching
from gateway.doors.https.dav.reading import DavReading
from gateway.doors.https.dav.writing import DavWriting
from gateway.doors.https.events import EventPages, StreamLimits
from gateway.doors.https.gatekeeper import Gatekeeper, Passwords, Tokens
from gateway.doors.https.guard import REQUEST_ID, Answering, Router, guarding
from gateway.doors.https.openapi import make_document
from gateway.doors.https.origins import Origins
from gateway.doors.https.sign_in import Assertions, Certificates, SignIn
from gateway.doors.https.token_endpoint import TokenIssuer, TokenPages
from gateway.doors.https.transfers import TransferPages
from gateway.doors.outbox.tree import Tree, Underway
from gateway.doors.outbox.verbs import Verbs
from gateway.flow.defender import Defender
from gateway.flow.enquiry import Enquiry
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.flow.locks import Locks
from gateway.flow.news import Newsroom
from gateway.flow.resume import Resume
from gateway.flow.subtrees import Subtrees
from gateway.flow.uploads import Uploads
from gateway.ports import Clock, Observer

CATALOGUE: Final = web.AppKey("catalogue", Catalogue)
OBSERVER: Final = web.AppKey("observer", Observer)
HEADERS: Final[Mapping[str, str]] = {
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""What every answer carries, malformed requests' included."""

HealthChecks = Callable[[], Awaitable[Mapping[str, str]]]


class TokenDesk(Tokens, TokenIssuer, Protocol):
    """What the door needs of access tokens: verifying them and issuing them."""


def make_app(
    *,
    intake: Intake,
    uploads: Uploads,
    enquiry: Enquiry,
    folders: Folders,
    resume: Resume,
    locks: Locks,
    subtrees: Subtrees,
    clock: Clock,
    newsroom: Newsroom,
    assertions: Assertions,
    tokens: TokenDesk,
    catalogue: Catalogue,
    observer: Observer,
    health: HealthChecks,
    defender: Defender,
    limits: BodyLimits | None = None,
    origins: frozenset[str] = frozenset(),
    certificates: Certificates | None = None,
    passwords: Passwords | None = None,
    streams: StreamLimits | None = None,
) -> web.Application:
    """The door's application; `server.serving` puts it on a socket.

    Args:
        intake: The senders' verbs.
        uploads: Those for uploads that go on.
        enquiry: The readers' verbs.
        folders: Datasets as folders, for WebDAV; so are the next three.
        resume: Drafts that are read back.
        locks: Of WebDAV clients.
        subtrees: Whole folders.
        clock: The time.
        newsroom: What happens, as it happens.
        assertions: Verifies client assertions.
        tokens: Issues and verifies access tokens.
        catalogue: Texts in three languages.
        observer: Told of every request, by route.
        health: By check, `ok` or a code; what `/readyz` answers.
        defender: Counts failed sign-ins.
        limits: Bounds on bodies.
        origins: Whose pages may call from a browser (`origins.parse_origins`).
        certificates: Judges client certificates; None where TLS asks for none.
        passwords: Checks application passwords below `/dav`; None takes none.
        streams: Bounds on streams of events.
    """
    bounds = limits or BodyLimits()
    transfers = TransferPages(intake=intake, enquiry=enquiry, catalogue=catalogue, limits=bounds)
    sign_in = SignIn(
        assertions=assertions, certificates=certificates, observer=observer, limits=bounds, defender=defender
    )
    token_pages = TokenPages(sign_in=sign_in, tokens=tokens, observer=observer, by_certificate=certificates is not None)
    tree = Tree(enquiry=enquiry, folders=folders, catalogue=catalogue, underway=Underway(), began=clock.now())
    desk = Desk(
        intake=intake,
        folders=folders,
        resume=resume,
        locks=locks,
        subtrees=subtrees,
        tree=tree,
        verbs=Verbs(intake=intake, folders=folders, tree=tree),
        clock=clock,
        observer=observer,
        limits=bounds,
    )
    batches = BatchPages(intake=intake, enquiry=enquiry, catalogue=catalogue, limits=bounds)
    events = EventPages(newsroom=newsroom, limits=streams or StreamLimits())
    everything = (transfers, batches, events, token_pages, tus.TusPages(uploads=uploads, limits=bounds))
    app = web.Application()
    router = Router(app, {**_handlers(*everything, *_folder_pages(desk)), **_service(catalogue, health)})
    gatekeeper = Gatekeeper(tokens, certificates, passwords, defender)
    answering = Answering(router=router, catalogue=catalogue, observer=observer, clock=time.monotonic)
    named = Origins(origins)
    app.middlewares.extend((answering.middleware(), guarding(router, gatekeeper, named)))
    app.on_response_prepare.append(_dressing(named))
    app.on_shutdown.append(_ending(events))
    app[CATALOGUE], app[OBSERVER] = catalogue, observer
    return app


def _folder_pages(desk: Desk) -> tuple[object, ...]:
    return DavReading(desk), DavWriting(desk), DavPatching(desk), DavLocking(desk)


def _handlers(*pages: object) -> dict[str, Handler]:
    """Every public method of the pages, by its name."""
    return {name: getattr(page, name) for page in pages for name in dir(page) if not name.startswith("_")}


def _dressing(origins: Origins) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def dress(request: web.Request, response: web.StreamResponse) -> None:
        """The headers every answer has, and none that tells which software gave it."""
        response.headers.popall("Server", None)
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        if REQUEST_ID in request:
            response.headers["X-Request-Id"] = request[REQUEST_ID]
        tus.dress(request, response)
        origins.dress(request, response)

    return dress


def _ending(events: EventPages) -> Callable[[web.Application], Awaitable[None]]:
    async def end(_app: web.Application) -> None:
        events.end()

    return end


def _service(catalogue: Catalogue, health: HealthChecks) -> dict[str, Handler]:
    """The pages that tell of the door itself."""
    document = make_document(catalogue)

    async def described(_request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Cache-Control": "public, max-age=300"}
        return web.Response(body=document, headers=headers)

    return {"living": _living, "ready": _readiness(health), "document": described}


async def _living(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "ok"})


def _readiness(health: HealthChecks) -> Handler:
    async def ready(_request: web.Request) -> web.StreamResponse:
        answers = await health()
        fine = all(answer == "ok" for answer in answers.values())
        body = {"status": "ok" if fine else "not-ready", "checks": dict(answers)}
        return web.json_response(body, status=200 if fine else 503)

    return ready
