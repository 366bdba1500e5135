"""Where machine clients get access tokens: client credentials, proven by a signed assertion.

What it is not: a way in for people or by shared secrets; there is one grant and one way to prove oneself.

A change must keep these:
1. Errors have RFC 6749's words and one description a word; nothing tells an unknown client from a wrong key.
2. No answer may be cached; no parameter may come twice (section 3.1).
3. An address whose sign-ins failed too often is answered before its form is read; what fails here is counted.
4. Neither assertions nor tokens reach logs: tokens are told by their id.

Sources: RFC 6749 sections 4.4, 5 and 3.2.1, RFC 7521 section 4.2, RFC 7523 section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.core.errors import CallerError, NotAuthenticated, NotFound, TooLarge
from gateway.core.records import Client
from gateway.doors.https.bodies import BodyLimits, read_whole
from gateway.flow.defender import Defender
from gateway.ports import Observer

GRANT: Final = "client_credentials"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM: Final = "application/x-www-form-urlencoded"
MAX_PARAMETERS: Final = 32

# RFC 6749 section 5.2: by our code, the standard's word, the status and the one description.
_REFUSALS: Final[Mapping[str, tuple[str, int, str]]] = {
    "invalid-client": ("invalid_client", 401, "the client assertion does not hold: check key, audience and clock"),
    "invalid-scope": ("invalid_scope", 400, "this client has none of the scopes asked for"),
    "unsupported-grant": ("unsupported_grant_type", 400, f"the one grant here is {GRANT}"),
    "bad-request": ("invalid_request", 400, "the request is not one form with each parameter once"),
}


class IssuedToken(Protocol):
    """A fresh token, as the endpoint shows it."""

    @property
    def token(self) -> str:
        """The compact JWS."""

    @property
    def token_id(self) -> str:
        """Its `jti`."""

    @property
    def expires_in(self) -> int:
        """Seconds."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it was narrowed to."""


class Assertions(Protocol):
    """What this endpoint needs of client assertions."""

    async def verify(self, assertion: str, *, client_id: str = "") -> Client:
        """The client an assertion proves; raises NotAuthenticated."""


class TokenIssuer(Protocol):
    """What this endpoint needs of access tokens."""

    def issue(self, client: Client, requested: str = "") -> IssuedToken:
        """A token; raises Unusable with `invalid-scope`."""

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set."""


class TokenPages:
    """`/oauth2/token` and `/.well-known/jwks.json`."""

    def __init__(
        self,
        *,
        assertions: Assertions,
        tokens: TokenIssuer,
        observer: Observer,
        limits: BodyLimits,
        defender: Defender,
    ) -> None:
        self._defender = defender
        self._assertions = assertions
        self._tokens = tokens
        self._observer = observer
        self._limits = limits

    async def token(self, request: web.Request) -> web.StreamResponse:
        """POST /oauth2/token."""
        remote = request.remote or ""
        if wait := self._defender.banned(remote):  # RFC 6585 section 4: 429, with Retry-After
            reason = "too many sign-ins from this address failed: wait, or ask the operator to lift the ban"
            raise NotAuthenticated(reason, code="too-many-failures", retry=True, wait=wait)
        try:
            client, issued = await self._issued(request)
        except CallerError as failure:
            if isinstance(failure, NotFound):  # the gateway has no registry yet: not this client's doing
                raise
            if failure.code == "invalid-client":
                self._defender.failed(remote, "https")
            return self._refused(failure)
        self._defender.succeeded(remote)
        self._observer.saw("token.issued", client=client.id, token_id=issued.token_id, scopes=" ".join(issued.scopes))
        body = {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(issued.scopes),
        }
        return web.json_response(body, headers=_UNCACHED)

    async def _issued(self, request: web.Request) -> tuple[Client, IssuedToken]:
        form = await self._form(request)
        if form.get("grant_type") != GRANT:
            code = "unsupported-grant" if form.get("grant_type") else "bad-request"
            raise CallerError(f"the one grant here is {GRANT}", code=code)
        if "Authorization" in request.headers or "client_secret" in form:
            raise NotAuthenticated("clients prove themselves by an assertion alone", code="invalid-client")
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            raise NotAuthenticated("a client assertion is needed", code="invalid-client")
        client = await self._assertions.verify(form["client_assertion"], client_id=form.get("client_id", ""))
        return client, self._tokens.issue(client, form.get("scope", ""))

    async def _form(self, request: web.Request) -> dict[str, str]:
        if request.content_type != FORM or request.query_string:
            raise CallerError(f"send the parameters as {FORM} in the body")
        try:
            body = await read_whole(request, self._limits.form, self._limits)
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        except (ValueError, TooLarge) as wrong:
            raise CallerError("this is no form of a reasonable size") from wrong
        form = dict(pairs)
        if len(form) != len(pairs):
            raise CallerError("a parameter stands twice")
        return form

    def _refused(self, failure: CallerError) -> web.Response:
        code = failure.code if failure.code in _REFUSALS else "bad-request"
        word, status, description = _REFUSALS[code]
        self._observer.saw("token.refused", code=code)
        headers = dict(_UNCACHED)
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="hetao"'  # RFC 9110 section 15.5.2 asks for a challenge
        return web.json_response({"error": word, "error_description": description}, status=status, headers=headers)

    async def jwks(self, _request: web.Request) -> web.StreamResponse:
        """GET /.well-known/jwks.json."""
        headers = {"Cache-Control": "public, max-age=300", "Content-Type": "application/jwk-set+json"}
        return web.Response(body=web.json_response(self._tokens.jwks()).body, headers=headers)


_UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
