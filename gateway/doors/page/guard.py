"""Who may call what at the upload page: one table of routes, and the middleware that keeps to it.

A change must keep these:
1. Default deny: what is not in the table, or is not marked open there, needs a session, unknown addresses included.
2. Whatever is not GET or HEAD comes from this page itself, as the browser says (`Sec-Fetch-Site`, else `Origin`), and carries
   the session's token: in a header from the script, in a field from a form.
3. A session is checked at every request, and its cookie is made anew while it is used.
4. People get pages, the script gets problems (RFC 9457): what is below `/files/` and asks for JSON is the script's.

Sources: W3C Fetch Metadata Request Headers, RFC 6454 section 7 (Origin).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.core.errors import CallerError, GatewayError, NotAuthenticated, NotPermitted
from gateway.core.identity import Permission
from gateway.doors.https.guard import LANGUAGE, PRINCIPAL, Answering, Router, Row
from gateway.doors.page.forms import check_token
from gateway.doors.page.session import COOKIE, SESSION, Sessions, give, take
from gateway.doors.page.sheets import Sheets, language_of

SAFE: Final = frozenset({"GET", "HEAD"})
TOKEN_HEADER: Final = "X-Form-Token"  # noqa: S105  # the name of the field


@dataclass(frozen=True)
class PageRow(Row):
    """A route of the page.

    Attributes:
        form: Whether its handler reads a form, and compares the token in it (`forms.read_form`).
    """

    form: bool = False


_P = Permission
TABLE: Final = (
    PageRow("GET", "/", "home", open=True),
    PageRow("GET", "/static/{digest}/{name}", "static", open=True),
    PageRow("GET", "/sign-in", "show_sign_in", open=True),
    PageRow("POST", "/sign-in", "sign_in", open=True, form=True),
    PageRow("POST", "/sign-out", "sign_out", open=True, form=True),
    PageRow("POST", "/language", "language", open=True, form=True),
    PageRow("GET", "/transfers", "list_transfers", _P.TRANSFERS_READ),
    PageRow("GET", "/transfers/new", "new_transfer", _P.TRANSFERS_OPEN),
    PageRow("POST", "/transfers/new", "open_transfer", _P.TRANSFERS_OPEN, form=True),
    PageRow("GET", "/transfers/{id}", "show_transfer", _P.TRANSFERS_READ),
    PageRow("GET", "/transfers/{id}/state", "state", _P.TRANSFERS_READ),
    PageRow("GET", "/transfers/{id}/files", "list_files", _P.TRANSFERS_READ),
    PageRow("POST", "/transfers/{id}/remove", "remove_file", _P.TRANSFERS_WRITE, form=True),
    PageRow("POST", "/transfers/{id}/submit", "submit", _P.TRANSFERS_SUBMIT, form=True),
    PageRow("POST", "/transfers/{id}/withdraw", "withdraw", _P.TRANSFERS_WITHDRAW, form=True),
    PageRow("GET", "/transfers/{id}/receipt", "receipt", _P.RECEIPTS_READ),
    PageRow("GET", "/transfers/{id}/receipt.sig", "signature", _P.RECEIPTS_READ),
    PageRow("OPTIONS", "/files/", "tus_options", _P.TRANSFERS_WRITE),
    PageRow("POST", "/files/", "create_upload", _P.TRANSFERS_WRITE),
    PageRow("HEAD", "/files/{upload}", "upload", _P.TRANSFERS_WRITE),
    PageRow("PATCH", "/files/{upload}", "upload", _P.TRANSFERS_WRITE),
    PageRow("DELETE", "/files/{upload}", "upload", _P.TRANSFERS_WRITE),
)
ROUTES: Final = frozenset(row.path for row in TABLE)
"""Templates by which requests are counted."""


def guarding(router: Router, sessions: Sessions) -> Middleware:
    """The middleware that knows who asks before anything else happens."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[LANGUAGE] = language_of(request)
        row = router.row(request)
        if request.method not in SAFE:
            refuse_other_sites(request)
        await _find_session(request, row, sessions)
        if request.headers.get("Expect", "").lower() not in {"", "100-continue"}:
            raise CallerError("nothing but 100-continue can be expected", code="expectation")
        response = await handler(request)
        session = request.get(SESSION)
        if session is not None and session.cookie and COOKIE not in response.cookies:
            give(response, session)
        return response

    return guard


async def _find_session(request: web.Request, row: Row | None, sessions: Sessions) -> None:
    """Put who asks into the request, once they may ask for that."""
    cookie = request.cookies.get(COOKIE, "")
    if row is not None and row.open:
        if cookie and not row.path.startswith("/static/"):
            with suppress(NotAuthenticated):  # then nobody is signed in, which is fine here
                request[SESSION] = await sessions.current(cookie)
        return
    if not cookie:
        raise NotAuthenticated("sign in first", code="session-ended")
    session = await sessions.current(cookie)
    request[SESSION], request[PRINCIPAL] = session, session.principal
    if row is not None and (row.permission is None or not session.principal.may(row.permission)):
        raise NotPermitted(f"this password may not do {row.permission}", code="not-permitted")
    reads_form = isinstance(row, PageRow) and row.form
    if request.method not in SAFE and not reads_form:
        check_token(request.headers.get(TOKEN_HEADER, ""), session.form_token)


def refuse_other_sites(request: web.Request) -> None:
    """Raise NotPermitted (`cross-site`) unless the browser says that this page itself made it send this.

    A form's `Origin` is `null` under our referrer policy, so that the newer field goes first; a browser that knows neither
    sends no forms here.
    """
    site = request.headers.get("Sec-Fetch-Site")
    own = f"{'https' if request.secure else 'http'}://{request.host}"
    if site != "same-origin" if site is not None else request.headers.get("Origin") != own:
        raise NotPermitted("another site made the browser send this", code="cross-site")


class PageAnswering(Answering):
    """The outermost middleware: as the HTTPS door's, but people get pages.

    Args:
        sheets: Writes them.
        about: As of `Answering`.
    """

    def __init__(self, sheets: Sheets, **about: Any) -> None:
        super().__init__(**about)
        self._sheets = sheets

    def _problem(self, request: web.Request, failure: GatewayError) -> web.Response:
        request[LANGUAGE] = language_of(request)
        ended = failure.code == "session-ended"
        if is_script(request):
            response = super()._problem(request, failure)
            response.headers.popall("WWW-Authenticate", None)  # a browser would ask for a password of its own
        elif ended and request.method in SAFE:
            response = web.Response(status=303, headers={"Location": f"/sign-in?back={quote(request.path, safe='')}"})
        else:
            response = self._sheets.problem(request, failure)
        if ended and COOKIE in request.cookies:
            take(response)
        return response


def is_script(request: web.Request) -> bool:
    """Whether the page's script asks, and not a person."""
    return request.path.startswith("/files/") or "application/json" in request.headers.get("Accept", "")
