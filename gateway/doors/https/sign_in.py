"""How clients prove themselves to the OAuth endpoints: a signed assertion, or the certificate of their connection.

What it is not: a way in for people or by shared secrets.

A change must keep these:
1. Errors have RFC 6749's words and one description a word; nothing tells an unknown client from a wrong key.
2. No answer may be cached; no parameter may come twice (section 3.1).
3. An address whose sign-ins failed too often is answered before its form is read; what fails here is counted.
4. A client registered for bound tokens proves its certificate, too, however it signs in.

Sources: RFC 6749 sections 3.2.1 and 5, RFC 7521 section 4.2, RFC 7523 section 2.2, RFC 8705 section 2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.core.errors import CallerError, NotAuthenticated, NotFound, TooLarge
from gateway.core.identity import Door, Principal
from gateway.core.records import Client
from gateway.doors.https.bodies import BodyLimits, read_whole
from gateway.flow.defender import Defender
from gateway.ports import Observer

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM: Final = "application/x-www-form-urlencoded"
MAX_PARAMETERS: Final = 32
UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

# RFC 6749 section 5.2: by our code, the standard's word, the status and the one description.
_REFUSALS: Final[Mapping[str, tuple[str, int, str]]] = {
    "invalid-client": (
        "invalid_client",
        401,
        "the client assertion or certificate does not hold: check key, audience and clock",
    ),
    "invalid-scope": ("invalid_scope", 400, "this client has none of the scopes asked for"),
    "unsupported-grant": ("unsupported_grant_type", 400, "the one grant here is client_credentials"),
    "foreign-token": ("unauthorized_client", 400, "the token was issued to another client"),
    "bad-request": ("invalid_request", 400, "the request is not one form with each parameter once"),
}


class Assertions(Protocol):
    """What this door needs of client assertions."""

    async def verify(self, assertion: str, *, client_id: str = "") -> Client:
        """The client an assertion proves; raises NotAuthenticated."""


class Certificates(Protocol):
    """What this door needs of client certificates."""

    async def client(self, der: bytes) -> Client:
        """The client a proved certificate belongs to; raises NotAuthenticated."""

    async def principal(self, der: bytes, door: Door) -> Principal:
        """The caller behind a certificate alone; raises NotAuthenticated."""


@dataclass(frozen=True)
class SignedIn:
    """A client that proved itself.

    Attributes:
        client: Who.
        certificate: What its tokens are bound to, DER; empty where to nothing.
    """

    client: Client
    certificate: bytes = b""


Check = Callable[[Mapping[str, str]], None]
Work = Callable[[Mapping[str, str], SignedIn], Awaitable[web.StreamResponse]]


class SignIn:
    """Reads forms, proves clients, and answers those it does not know in RFC 6749's words.

    Args:
        assertions: Verifies client assertions.
        certificates: Judges client certificates; None where the door asks for none.
        observer: Told of refusals.
        limits: Bounds on bodies.
        defender: Counts failed sign-ins.
    """

    def __init__(
        self,
        *,
        assertions: Assertions,
        certificates: Certificates | None,
        observer: Observer,
        limits: BodyLimits,
        defender: Defender,
    ) -> None:
        self._assertions = assertions
        self._certificates = certificates
        self._observer = observer
        self._limits = limits
        self._defender = defender

    async def answered(self, request: web.Request, check: Check, work: Work) -> web.StreamResponse:
        """The answer to a client's form.

        Args:
            request: A POST.
            check: Refuses forms that no client could mean, before anybody is asked who it is.
            work: What a client that proved itself gets.

        Raises:
            NotAuthenticated: `too-many-failures`.
            NotFound: The gateway has no registry yet.
        """
        remote = request.remote or ""
        refuse_banned(self._defender, remote)
        try:
            form = await self._form(request)
            check(form)
            signed_in = await self._client(request, form)
            answer = await work(form, signed_in)
        except CallerError as failure:
            if isinstance(failure, NotFound):  # the gateway has no registry yet: not this client's doing
                raise
            if failure.code == "invalid-client":
                self._defender.failed(remote, "https")
            return self._refused(failure)
        self._defender.succeeded(remote)
        return answer

    async def _client(self, request: web.Request, form: Mapping[str, str]) -> SignedIn:
        if "Authorization" in request.headers or "client_secret" in form:
            raise NotAuthenticated("clients prove themselves by an assertion or a certificate", code="invalid-client")
        certificate = peer_certificate(request)
        if "client_assertion" in form or "client_assertion_type" in form:
            return await self._asserted(form, certificate)
        holder = await self._holder(certificate)  # RFC 8705 section 2: the request names its client in any case
        if holder.id != form.get("client_id"):
            raise NotAuthenticated("another client's certificate", code="invalid-client")
        return SignedIn(holder, certificate)

    async def _asserted(self, form: Mapping[str, str], certificate: bytes) -> SignedIn:
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            raise NotAuthenticated("a client assertion is needed", code="invalid-client")
        client = await self._assertions.verify(form["client_assertion"], client_id=form.get("client_id", ""))
        if not client.bound_tokens:
            return SignedIn(client)
        if (await self._holder(certificate)).id != client.id:
            raise NotAuthenticated("another client's certificate", code="invalid-client")
        return SignedIn(client, certificate)

    async def _holder(self, certificate: bytes) -> Client:
        if not certificate or self._certificates is None:
            raise NotAuthenticated("there is no client certificate", code="invalid-client")
        try:
            return await self._certificates.client(certificate)
        except NotAuthenticated as wrong:
            raise NotAuthenticated(wrong.message, code="invalid-client") from wrong

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
        headers = dict(UNCACHED)
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="hetao"'  # RFC 9110 section 15.5.2 asks for a challenge
        return web.json_response({"error": word, "error_description": description}, status=status, headers=headers)


def peer_certificate(request: web.Request) -> bytes:
    """The client certificate the connection's handshake proved, DER; empty where there is none, or no TLS."""
    tls = request.get_extra_info("ssl_object")
    return (tls.getpeercert(binary_form=True) or b"") if tls is not None else b""


def refuse_banned(defender: Defender, remote: str) -> None:
    """Raise NotAuthenticated (`too-many-failures`) where an address may not sign in now (RFC 6585 section 4)."""
    if wait := defender.banned(remote):
        reason = "too many sign-ins from this address failed: wait, or ask the operator to lift the ban"
        raise NotAuthenticated(reason, code="too-many-failures", retry=True, wait=wait)
