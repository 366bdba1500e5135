"""Who may call what: one table of routes with the permission each needs, and the middleware that keeps to it.

A change must keep these:
1. Default deny: what is not in the table, or is not marked open there, needs a credential, unknown addresses included.
   A preflight of a page whose origin the operator named (`origins`) is the one exception: browsers send it without.
2. Nothing of a request but its head is read before its caller is known.
3. A request is told to logs and metrics by its route's template, never by its path: paths hold names.

Sources: RFC 6750 (bearer tokens), RFC 9110 section 11.6.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.core.catalogue import Catalogue, negotiated
from gateway.core.errors import CallerError, GatewayError, NotAuthenticated, NotFound, NotPermitted
from gateway.core.identity import Permission, Principal
from gateway.doors.https.bulk import SPENT
from gateway.doors.https.gatekeeper import BEARER_CHALLENGE, Gatekeeper, Place, place
from gateway.doors.https.origins import Origins
from gateway.doors.https.problems import answer_problem, known_code
from gateway.ports import Observer

PRINCIPAL: Final = web.RequestKey("principal", Principal)
REQUEST_ID: Final = web.RequestKey("request_id", str)
LANGUAGE: Final = web.RequestKey("language", str)
ALLOWED: Final = web.RequestKey("allowed", tuple[str, ...])

_LOG: Final = logging.getLogger("gateway.doors.https")
_PROBES: Final = frozenset({"/healthz", "/readyz"})


@dataclass(frozen=True)
class Proof:
    """How a caller was known, for answers that last: asking again raises where the credential does not hold any more."""

    ask: Callable[[], Awaitable[Principal]]


PROOF: Final = web.RequestKey("proof", Proof)


@dataclass(frozen=True)
class Row:
    """A route.

    Attributes:
        method: HTTP method; a GET answers HEAD, too.
        path: Template; what logs and metrics call it.
        name: The page that answers, by the name of its handler.
        permission: What a caller needs.
        open: Whether it answers without a credential, or proves its callers itself; then there is no permission.
        protocol: The standard whose protocol the row is part of, where it is not this API's own: the OpenAPI document then
            names the standard and says no more. Every other row has an operation (`operations`).
    """

    method: str
    path: str
    name: str
    permission: Permission | None = None
    open: bool = False
    protocol: str = ""


_P = Permission
_READ: Final = ("OPTIONS", "GET", "PROPFIND")
_WRITE: Final = ("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "LOCK", "UNLOCK")
# What else a request needs depends on where in the tree it points: SUBMIT needs `transfers:submit`, which the flow asks for.
_DAV: Final = tuple(
    Row(
        method,
        path,
        f"dav_{method.lower()}",
        _P.TRANSFERS_WRITE if method in _WRITE else _P.TRANSFERS_READ,
        protocol="WebDAV (RFC 4918)",
    )
    for path in ("/dav", "/dav/{path}")
    for method in (*_READ, *_WRITE)
)
_TUS: Final = tuple(
    Row(method, path, name, _P.TRANSFERS_WRITE, protocol="tus 1.0.0")
    for method, path, name in (
        ("OPTIONS", "/files/", "tus_options"),
        ("POST", "/files/", "create_upload"),
        ("OPTIONS", "/files/{upload}", "tus_options"),
        ("HEAD", "/files/{upload}", "upload"),
        ("PATCH", "/files/{upload}", "upload"),
        ("DELETE", "/files/{upload}", "upload"),
        ("POST", "/files/{upload}", "upload"),
    )
)
TABLE: Final = (
    Row("GET", "/healthz", "living", open=True),
    Row("GET", "/readyz", "ready", open=True),
    Row("GET", "/openapi.json", "document", open=True),
    Row("POST", "/oauth2/token", "token", open=True),
    Row("POST", "/oauth2/introspect", "introspect", open=True, protocol="OAuth 2.0 token introspection (RFC 7662)"),
    Row("POST", "/oauth2/revoke", "revoke", open=True, protocol="OAuth 2.0 token revocation (RFC 7009)"),
    Row("GET", "/.well-known/jwks.json", "jwks", open=True),
    Row(
        "GET",
        "/.well-known/oauth-authorization-server",
        "metadata",
        open=True,
        protocol="OAuth 2.0 metadata (RFC 8414)",
    ),
    Row("GET", "/v1/endpoints", "endpoints", _P.TRANSFERS_READ),
    Row("POST", "/v1/transfers", "open_transfer", _P.TRANSFERS_OPEN),
    Row("GET", "/v1/transfers", "list_transfers", _P.TRANSFERS_READ),
    Row("GET", "/v1/transfers/{id}", "show_transfer", _P.TRANSFERS_READ),
    Row("PUT", "/v1/transfers/{id}/declaration", "declare", _P.TRANSFERS_SUBMIT),
    Row("GET", "/v1/transfers/{id}/files", "list_files", _P.TRANSFERS_READ),
    Row("GET", "/v1/transfers/{id}/files/{path}", "show_file", _P.TRANSFERS_READ),
    Row("PUT", "/v1/transfers/{id}/files/{path}", "put_file", _P.TRANSFERS_WRITE),
    Row("DELETE", "/v1/transfers/{id}/files/{path}", "delete_file", _P.TRANSFERS_WRITE),
    Row("GET", "/v1/transfers/{id}/events", "follow_transfer", _P.TRANSFERS_READ),
    Row("POST", "/v1/batches", "declare_batch", _P.TRANSFERS_SUBMIT),
    Row("GET", "/v1/events", "follow_all", _P.TRANSFERS_READ),
    Row("POST", "/v1/transfers/{id}/submit", "submit", _P.TRANSFERS_SUBMIT),
    Row("POST", "/v1/transfers/{id}/withdraw", "withdraw", _P.TRANSFERS_WITHDRAW),
    Row("GET", "/v1/transfers/{id}/receipt", "receipt", _P.RECEIPTS_READ),
    Row("GET", "/v1/transfers/{id}/ledger", "history", _P.TRANSFERS_READ),
    *_TUS,
    *_DAV,
)
ROUTES: Final = frozenset(row.path for row in TABLE)
"""Templates by which requests are counted."""

_PATTERNS: Final = {"{path}": r"{path:[\s\S]*}"}  # a path has slashes, and whatever else `core.names` then refuses


class Router:
    """The table on an application's router, and back from a matched route to its row."""

    def __init__(self, app: web.Application, pages: dict[str, Handler], table: Sequence[Row] = TABLE) -> None:
        self._rows: dict[web.AbstractRoute, Row] = {}
        self._resources: dict[str, web.Resource] = {}
        for row in table:
            resource = self._resource(app, row.path)
            for method in ("GET", "HEAD") if row.method == "GET" else (row.method,):
                route = resource.add_route(method, pages[row.name], expect_handler=_uninvited)
                self._rows[route] = row
        app.router.add_resource(r"/{rest:[\s\S]*}").add_route("*", self._nowhere, expect_handler=_uninvited)

    def _resource(self, app: web.Application, path: str) -> web.Resource:
        if path not in self._resources:
            pattern = path
            for placeholder, regex in _PATTERNS.items():
                pattern = pattern.replace(placeholder, regex)
            self._resources[path] = app.router.add_resource(pattern)
        return self._resources[path]

    def row(self, request: web.Request) -> Row | None:
        """The row a request matched, or None: an address that is not in the table."""
        return self._rows.get(request.match_info.route)

    def place(self, request: web.Request) -> Place:
        """Where a request goes, whether there is anything or not."""
        row = self.row(request)
        return place(row.path if row else request.rel_url.raw_path)

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        allowed: set[str] = set()
        for resource in self._resources.values():
            allowed |= (await resource.resolve(request))[1]
        if allowed:
            request[ALLOWED] = tuple(sorted(allowed))
            raise CallerError(f"this takes {', '.join(sorted(allowed))} only", code="method-not-allowed")
        raise _nothing_here()


def _nothing_here() -> NotFound:
    return NotFound("there is nothing at this address", code="no-such-route")


async def _uninvited(request: web.Request) -> None:
    """Do not answer Expect yet: `bodies` does, once a handler wants the body."""
    del request


def guarding(router: Router, gatekeeper: Gatekeeper, origins: Origins) -> Middleware:
    """The middleware that knows the caller before anything else happens."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (preflight := origins.preflight(request)) is not None:
            return preflight
        row = router.row(request)
        if row is None or not row.open:
            proof = Proof(partial(gatekeeper.caller, request, router.place(request)))
            request[PRINCIPAL] = principal = await proof.ask()
            request[PROOF] = proof
            if row is not None and (row.permission is None or not principal.may(row.permission)):
                raise NotPermitted(f"this needs the scope {row.permission}: ask for a credential that has it")
        if request.headers.get("Expect", "").lower() not in {"", "100-continue"}:
            raise CallerError("nothing but 100-continue can be expected", code="expectation")
        return await handler(request)

    return guard


class Answering:
    """The outermost middleware: every request gets an id and exactly one answer, and is told once.

    Args:
        router: For the templates.
        catalogue: The texts.
        observer: Who is told.
        clock: Seconds that only go forward.
    """

    def __init__(self, *, router: Router, catalogue: Catalogue, observer: Observer, clock: Callable[[], float]) -> None:
        self._router = router
        self._catalogue = catalogue
        self._observer = observer
        self._clock = clock

    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=...)`."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = self._clock()
        request[REQUEST_ID] = secrets.token_hex(8)
        request[LANGUAGE] = negotiated(request.headers.get("Accept-Language", ""))
        code: str | None = None
        try:
            response = await handler(request)
        except GatewayError as failure:
            code, response = known_code(failure), self._problem(request, failure)
            self._tell_doing(request, failure)
        except web.HTTPException:  # the router's own, for targets that are no path (`OPTIONS *`)
            code, response = "no-such-route", self._problem(request, _nothing_here())
        except Exception:  # noqa: BLE001  # the last stand: logged with its traceback, told, answered as our mistake
            _LOG.exception("request.mistaken %s", request[REQUEST_ID])
            self._observer.saw("request.mistaken", request_id=request[REQUEST_ID], route=self._template(request))
            code, response = GatewayError.code, self._problem(request, GatewayError("a mistake of the gateway's"))
        if not request.content.is_eof() or request.get(SPENT):
            response.force_close()  # what is left of the body must not be read as the next request
        self._tell(request, response.status, began, code)
        return response

    def _problem(self, request: web.Request, failure: GatewayError) -> web.Response:
        response = answer_problem(
            failure,
            catalogue=self._catalogue,
            language=request[LANGUAGE],
            request_id=request[REQUEST_ID],
            challenges=_challenges(failure, self._router.row(request), self._router.place(request)),
        )
        if allowed := request.get(ALLOWED):
            response.headers["Allow"] = ", ".join(allowed)
        return response

    def _template(self, request: web.Request) -> str:
        row = self._router.row(request)
        return row.path if row else "other"

    def _tell_doing(self, request: web.Request, failure: GatewayError) -> None:
        """What was not the caller's doing goes to the log with its own words; the caller got none of them."""
        if not isinstance(failure, CallerError):
            self._observer.saw(
                "request.faltered",
                request_id=request[REQUEST_ID],
                route=self._template(request),
                code=failure.code,
                reason=failure.message,
            )

    def _tell(self, request: web.Request, status: int, began: float, code: str | None) -> None:
        principal = request.get(PRINCIPAL)
        template = self._template(request)
        self._observer.saw(
            "request.answered",
            request_id=request[REQUEST_ID],
            method=request.method,
            route=template,
            status=status,
            code=code,
            seconds=round(self._clock() - began, 6),
            client=principal.client if principal else None,
            remote=request.remote,
            probe=template in _PROBES,
        )


def _challenges(failure: GatewayError, row: Row | None, where: Place) -> tuple[str, ...]:
    """RFC 6750 section 3: what to come back with; nothing where no credential would help."""
    if isinstance(failure, NotPermitted) and failure.code == NotPermitted.code:
        scope = f', scope="{row.permission}"' if row and row.permission else ""
        return (f'{BEARER_CHALLENGE}, error="insufficient_scope"{scope}',)
    if failure.code == "invalid-token":
        return tuple(
            f'{each}, error="invalid_token"' if each == BEARER_CHALLENGE else each for each in where.challenges()
        )
    return where.challenges() if isinstance(failure, NotAuthenticated) else ()
