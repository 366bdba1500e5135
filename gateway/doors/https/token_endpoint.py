"""Where machine clients get access tokens, ask about them and give them back, and what the gateway says of itself as issuer.

What it is not: how they prove themselves (`sign_in`), or a way in for people; there is one grant.

A change must keep these:
1. Neither assertions nor tokens reach logs: tokens are told by their id.
2. A client learns of its own tokens, and revokes its own.
3. What is said in the metadata is what is so on this door.

Sources: RFC 6749 sections 4.4 and 5, RFC 7009, RFC 7662, RFC 8414, RFC 8705 section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiohttp import web

from gateway.core.errors import CallerError
from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import Client
from gateway.doors.https.sign_in import UNCACHED, SignedIn, SignIn
from gateway.ports import Observer

GRANT: Final = "client_credentials"
ALGORITHMS: Final = ("ES256", "EdDSA")


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


class TokenIssuer(Protocol):
    """What these endpoints need of access tokens."""

    @property
    def issuer(self) -> str:
        """The URL that names the gateway as issuer."""

    def issue(self, client: Client, requested: str = "", certificate: bytes = b"") -> IssuedToken:
        """A token, bound to a certificate where one is given; raises Unusable with `invalid-scope`."""

    async def introspect(self, token: str, asking: Client) -> dict[str, Any]:
        """What a client may know of a token."""

    async def revoke(self, token: str, asking: Client) -> str:
        """Revoke a client's token; its id, empty where there was nothing to revoke. Raises Unusable with `foreign-token`."""

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set."""


class TokenPages:
    """`/oauth2/` and what is well known of it.

    Args:
        sign_in: Proves clients.
        tokens: Issues, knows and revokes access tokens.
        observer: Told of both.
        by_certificate: Whether the door asks for client certificates.
    """

    def __init__(self, *, sign_in: SignIn, tokens: TokenIssuer, observer: Observer, by_certificate: bool) -> None:
        self._sign_in = sign_in
        self._tokens = tokens
        self._observer = observer
        self._by_certificate = by_certificate

    async def token(self, request: web.Request) -> web.StreamResponse:
        """POST /oauth2/token."""
        return await self._sign_in.answered(request, _check_grant, self._granted)

    async def introspect(self, request: web.Request) -> web.StreamResponse:
        """POST /oauth2/introspect."""
        return await self._sign_in.answered(request, _check_token, self._told)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /oauth2/revoke."""
        return await self._sign_in.answered(request, _check_token, self._revoked)

    async def jwks(self, _request: web.Request) -> web.StreamResponse:
        """GET /.well-known/jwks.json."""
        headers = {"Cache-Control": "public, max-age=300", "Content-Type": "application/jwk-set+json"}
        return web.Response(body=web.json_response(self._tokens.jwks()).body, headers=headers)

    async def metadata(self, _request: web.Request) -> web.StreamResponse:
        """GET /.well-known/oauth-authorization-server."""
        issuer = self._tokens.issuer
        methods = ["private_key_jwt", *(["tls_client_auth"] if self._by_certificate else [])]
        told: dict[str, Any] = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "scopes_supported": list(SENDER_SCOPES),
            "response_types_supported": [],  # RFC 8414 section 2 asks for it; there is no authorization endpoint
            "grant_types_supported": [GRANT],
            "tls_client_certificate_bound_access_tokens": self._by_certificate,
        }
        for name in ("token", "introspection", "revocation"):
            told[f"{name}_endpoint"] = f"{issuer}/oauth2/{_PATHS[name]}"
            told[f"{name}_endpoint_auth_methods_supported"] = methods
            told[f"{name}_endpoint_auth_signing_alg_values_supported"] = list(ALGORITHMS)
        return web.json_response(told, headers={"Cache-Control": "public, max-age=300"})

    async def _granted(self, form: Mapping[str, str], signed_in: SignedIn) -> web.StreamResponse:
        client = signed_in.client
        issued = self._tokens.issue(client, form.get("scope", ""), signed_in.certificate)
        scope, bound = " ".join(issued.scopes), bool(signed_in.certificate)
        self._observer.saw("token.issued", client=client.id, token_id=issued.token_id, scopes=scope, bound=bound)
        body = {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": scope,
        }
        return web.json_response(body, headers=UNCACHED)

    async def _told(self, form: Mapping[str, str], signed_in: SignedIn) -> web.StreamResponse:
        return web.json_response(await self._tokens.introspect(form["token"], signed_in.client), headers=UNCACHED)

    async def _revoked(self, form: Mapping[str, str], signed_in: SignedIn) -> web.StreamResponse:
        if token_id := await self._tokens.revoke(form["token"], signed_in.client):
            self._observer.saw("token.revoked", client=signed_in.client.id, token_id=token_id)
        return web.Response(status=200, headers=UNCACHED)  # RFC 7009 section 2.2: the same where there was nothing


_PATHS: Final = {"token": "token", "introspection": "introspect", "revocation": "revoke"}


def _check_grant(form: Mapping[str, str]) -> None:
    if form.get("grant_type") != GRANT:
        code = "unsupported-grant" if form.get("grant_type") else "bad-request"
        raise CallerError(f"the one grant here is {GRANT}", code=code)


def _check_token(form: Mapping[str, str]) -> None:
    if not form.get("token"):
        raise CallerError("the parameter token is missing")
