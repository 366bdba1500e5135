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
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.guard import REQUEST_ID, Answering, Router, Tokens, guarding
from gateway.doors.https.origins import Origins
from gateway.doors.https.token_endpoint import Assertions, TokenIssuer, TokenPages
from gateway.doors.https.transfers import TransferPages
from gateway.flow.defender import Defender
from gateway.flow.enquiry import Enquiry
from gateway.flow.intake import Intake
from gateway.flow.uploads import Uploads
from gateway.ports import Observer

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
    assertions: Assertions,
    tokens: TokenDesk,
    catalogue: Catalogue,
    observer: Observer,
    health: HealthChecks,
    defender: Defender,
    limits: BodyLimits | None = None,
    origins: frozenset[str] = frozenset(),
) -> web.Application:
    """The door's application; `server.serving` puts it on a socket.

    Args:
        intake: The senders' verbs.
        uploads: Those for uploads that go on.
        enquiry: The readers' verbs.
        assertions: Verifies client assertions.
        tokens: Issues and verifies access tokens.
        catalogue: Texts in three languages.
        observer: Told of every request, by route.
        health: By check, `ok` or a code; what `/readyz` answers.
        defender: Counts failed sign-ins at the token endpoint.
        limits: Bounds on bodies.
        origins: Whose pages may call from a browser (`origins.parse_origins`).
    """
    bounds = limits or BodyLimits()
    transfers = TransferPages(intake=intake, enquiry=enquiry, catalogue=catalogue, limits=bounds)
    token_pages = TokenPages(assertions=assertions, tokens=tokens, observer=observer, limits=bounds, defender=defender)
    tus_pages = tus.TusPages(uploads=uploads, limits=bounds)
    pages: dict[str, Handler] = {
        name: getattr(page, name)
        for page in (transfers, token_pages, tus_pages)
        for name in dir(page)
        if not name.startswith("_")
    }
    app = web.Application()
    router = Router(app, {**pages, "living": _living, "ready": _readiness(health)})
    answering = Answering(router=router, catalogue=catalogue, observer=observer, clock=time.monotonic)
    named = Origins(origins)
    app.middlewares.extend((answering.middleware(), guarding(router, tokens, named)))
    app.on_response_prepare.append(_dressing(named))
    app[CATALOGUE], app[OBSERVER] = catalogue, observer
    return app


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


async def _living(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "ok"})


def _readiness(health: HealthChecks) -> Handler:
    async def ready(_request: web.Request) -> web.StreamResponse:
        answers = await health()
        fine = all(answer == "ok" for answer in answers.values())
        body = {"status": "ok" if fine else "not-ready", "checks": dict(answers)}
        return web.json_response(body, status=200 if fine else 503)

    return ready
