"""The upload page put together: pages on routes, behind the guard, with the headers every answer has.

A change must keep these:
1. Every page is on a row of `guard.TABLE`; an address that is not there is refused before anything is read.
2. The browser runs one script and one style sheet, both ours, and speaks to nobody else.
3. Files come by the same tus handlers as at the HTTPS door, with the session's principal.

Sources: Content Security Policy level 3, Trusted Types, RFC 6797 (HSTS), the HTML standard (cross-origin opener policies).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.catalogue import Catalogue
from gateway.core.rulebook import Rulebook
from gateway.doors.https import tus
from gateway.doors.https.app import CATALOGUE, OBSERVER
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.guard import REQUEST_ID, Router
from gateway.doors.page.assets import AssetPages, read_assets
from gateway.doors.page.guard import TABLE, PageAnswering, guarding
from gateway.doors.page.session import Sessions
from gateway.doors.page.sheets import Sheets
from gateway.doors.page.sign_in import SignInPages
from gateway.doors.page.transfers import TransferPages
from gateway.flow.defender import Defender
from gateway.flow.enquiry import Enquiry
from gateway.flow.intake import Intake
from gateway.flow.uploads import Uploads
from gateway.ports import Observer

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""What every answer carries; to what is no HTTP, the HTTPS door's own headers, which allow less."""


def make_page_app(
    *,
    intake: Intake,
    uploads: Uploads,
    enquiry: Enquiry,
    sessions: Sessions,
    rulebook: Rulebook,
    catalogue: Catalogue,
    observer: Observer,
    defender: Defender,
    limits: BodyLimits | None = None,
) -> web.Application:
    """The page's application; `doors.https.server.serving` puts it on a socket.

    Args:
        intake: The senders' verbs.
        uploads: Those for uploads that go on.
        enquiry: The readers' verbs.
        sessions: Begins, checks and ends sessions.
        rulebook: For the titles of rules and instruments.
        catalogue: Texts in three languages.
        observer: Told of every request, by route.
        defender: Counts failed sign-ins.
        limits: Bounds on bodies.
    """
    bounds, assets = limits or BodyLimits(), read_assets()
    sheets = Sheets(catalogue, assets)
    sign_in = SignInPages(sessions=sessions, defender=defender, sheets=sheets, limits=bounds)
    transfers = TransferPages(intake=intake, enquiry=enquiry, rulebook=rulebook, sheets=sheets, limits=bounds)
    pages: dict[str, Handler] = {
        name: getattr(page, name)
        for page in (sign_in, transfers, tus.TusPages(uploads=uploads, limits=bounds), AssetPages(assets))
        for name in dir(page)
        if not name.startswith("_")
    }
    app = web.Application()
    router = Router(app, pages, TABLE)
    answering = PageAnswering(sheets, router=router, catalogue=catalogue, observer=observer, clock=time.monotonic)
    app.middlewares.extend((answering.middleware(), guarding(router, sessions)))
    app.on_response_prepare.append(_dress)
    app[CATALOGUE], app[OBSERVER] = catalogue, observer
    return app


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """The headers every answer has, and none that tells which software gave it."""
    response.headers.popall("Server", None)
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
    tus.dress(request, response)
