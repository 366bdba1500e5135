"""Access tokens: short-lived, signed by the gateway, worth exactly what the registry still says of their client.

What it is not: a session or a refresh: a client that needs another token signs another assertion.

A change must keep these:
1. A token narrows: its scopes are those asked for, of those the client is registered with, of those the table allows
   through this door. On use they are narrowed again, so a scope taken from the registry is gone at once.
2. A token is not believed for being signed: client, person and institution must still be registered, unrevoked.
3. Former keys verify and never sign; a token of the wrong `typ` is not an access token (RFC 8725 section 3.11).
4. A bound token (`cnf`) is worth something only on a connection that proved its certificate, while that certificate holds; a
   client registered for bound tokens has no others. A confirmation nobody here knows confirms nothing.

Sources: RFC 9068 (JWT profile for access tokens), RFC 6749 section 3.3 (scope), RFC 7517 section 5 (JWK set), RFC 8705
section 3 (bound tokens), RFC 7662 section 2.2 (introspection), RFC 7009 section 2 (revocation).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal
from gateway.core.records import Client
from gateway.flow.registrar import Registrar
from gateway.identity.assertions import check_standing
from gateway.identity.claims import LEEWAY, Claims, parse_claims, peek
from gateway.identity.clientcertificates import token_thumbprint
from gateway.identity.jwk import TokenKey, VerifyingKey
from gateway.ports import Clock, Entropy, Records
from gateway.wire import canonical

TYP: Final = "at+jwt"
LIFETIME: Final = timedelta(minutes=10)
# How long a key's tokens are taken after another one took its place: their life, the leeway, and a minute for processes that
# had begun to sign.
ACCEPTED_AFTER: Final = LIFETIME + LEEWAY + timedelta(minutes=1)
MAX_TOKEN: Final = 8192
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3


THUMBPRINT: Final = "x5t#S256"


class SigningKeys(Protocol):
    """The gateway's keys for tokens: `jwk.TokenKey`, which is one for ever, or `tokenkeys.TokenKeys`, which change."""

    def signing(self) -> TokenKey:
        """The key that signs now."""

    def published(self, now: datetime) -> Mapping[str, VerifyingKey]:
        """By key id, every key whose tokens are accepted at that time, the signing one first."""


class Certificates(Protocol):
    """Whose a certificate is (`clientcertificates.ClientCertificates`)."""

    async def client(self, der: bytes) -> Client:
        """The client of a proved certificate; raises NotAuthenticated."""


@dataclass(frozen=True)
class Issued:
    """A fresh access token.

    Attributes:
        token: The compact JWS; a secret.
        token_id: Its `jti`, by which it can be revoked and named in logs.
        expires_in: Seconds.
        scopes: What it was narrowed to, sorted.
    """

    token: str
    token_id: str
    expires_in: int
    scopes: tuple[str, ...]


class AccessTokens:
    """Issues and verifies access tokens.

    Args:
        records: Where revocations are.
        registrar: Who is registered.
        clock: The time.
        entropy: Where token ids come from.
        issuer: The gateway's own URL; issuer and audience of its tokens.
        key: The key that signs, and those that signed before it.
        former: Further keys that signed before.
        lifetime: How long a token lasts.
        certificates: Judges the certificates that tokens are bound to; None takes no bound tokens.
    """

    def __init__(
        self,
        *,
        records: Records,
        registrar: Registrar,
        clock: Clock,
        entropy: Entropy,
        issuer: str,
        key: SigningKeys,
        former: Sequence[VerifyingKey] = (),
        lifetime: timedelta = LIFETIME,
        certificates: Certificates | None = None,
    ) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._entropy = entropy
        self.issuer = issuer
        self._key = key
        self._former = tuple(former)
        self._lifetime = lifetime
        self._certificates = certificates
        self._allowed = PERMISSION_DOORS[Credential.CLIENT_JWT, Door.HTTPS]

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517 section 5)."""
        return {"keys": [dict(key.jwk) for key in self._published().values()]}

    def _published(self) -> dict[str, VerifyingKey]:
        return {**self._key.published(self._clock.now()), **{key.kid: key for key in self._former}}

    def issue(self, client: Client, requested: str = "", certificate: bytes = b"") -> Issued:
        """A token for a client that was just authenticated.

        Args:
            client: The client.
            requested: Space-separated scopes; empty asks for all it may have.
            certificate: What to bind it to, DER, proved on this connection and judged to be the client's; empty binds it to
                nothing.

        Raises:
            Unusable: `invalid-scope`, where nothing of what was asked for may be given.
        """
        scopes = self._narrowed(client, requested)
        now, seconds = int(self._clock.now().timestamp()), int(self._lifetime.total_seconds())
        token_id = self._entropy.token(16).hex()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": client.id,
            "client_id": client.id,
            "iat": now,
            "exp": now + seconds,
            "jti": token_id,
            "scope": " ".join(scopes),
        }
        if certificate:
            claims["cnf"] = {THUMBPRINT: token_thumbprint(certificate)}
        return Issued(self._key.signing().sign(canonical.encode(claims), TYP), token_id, seconds, scopes)

    def _narrowed(self, client: Client, requested: str) -> tuple[str, ...]:
        if requested and not _SCOPE.fullmatch(requested):
            raise Unusable("scope must be words separated by single spaces", code="invalid-scope")
        may = {permission.value for permission in self._allowed} & set(client.scopes)
        granted = may & set(requested.split(" ")) if requested else may
        if not granted:
            raise Unusable("this client has none of the scopes asked for", code="invalid-scope")
        return tuple(sorted(granted))

    async def verify(self, token: str, *, door: Door = Door.HTTPS, certificate: bytes = b"") -> Principal:
        """The principal a bearer token stands for.

        Args:
            token: The compact JWS.
            door: Where it was shown.
            certificate: The client certificate of the connection, DER; empty where it has none.

        Raises:
            NotAuthenticated: `invalid-token`, whatever is wrong with it.
            StoreError: The database cannot be reached.
        """
        try:
            claims = self._signed(token)
            bound_to = _confirmation(claims)
            client, scopes = await self._standing(claims)
        except ValueError as wrong:
            raise _refused() from wrong
        if bound_to or client.bound_tokens:
            await self._check_bound(bound_to, client, certificate)
        credential = Credential.BOUND_TOKEN if bound_to else Credential.CLIENT_JWT
        allowed = PERMISSION_DOORS.get((credential, door), frozenset())
        return Principal(
            institution=client.institution,
            person=client.person,
            client=client.id,
            credential=credential,
            door=door,
            scopes=frozenset(permission for permission in allowed if permission.value in scopes),
        )

    async def introspect(self, token: str, asking: Client) -> dict[str, Any]:
        """What a client may know of a token (RFC 7662 section 2.2): all of its own, nothing of what is no good or another's.

        Whether a bound token's certificate is on some connection is for whoever is shown the token there.

        Raises:
            StoreError: The database cannot be reached.
        """
        try:
            claims = self._signed(token)
            bound_to = _confirmation(claims)
            client, scopes = await self._standing(claims)
        except ValueError:
            return {"active": False}
        if client.id != asking.id or (client.bound_tokens and not bound_to):
            return {"active": False}
        told = {name: claims.body[name] for name in _TOLD if name in claims.body}
        return {"active": True, "token_type": "Bearer", **told, "scope": " ".join(sorted(scopes))}

    async def revoke(self, token: str, asking: Client) -> str:
        """Revoke a client's token in every process (RFC 7009 section 2.1).

        Returns:
            Its id, or an empty word where it is no token of ours that still holds: then there is nothing to revoke.

        Raises:
            Unusable: `foreign-token`, where it was issued to another client.
            StoreError: The database cannot be reached; nothing was revoked.
        """
        try:
            claims = self._signed(token)
            owner, token_id = claims.word("client_id"), claims.word("jti")
        except ValueError:
            return ""
        if owner != asking.id:
            raise Unusable("this token was issued to another client", code="foreign-token")
        async with self._records.write() as tx:
            await tx.revoke(owner, token_id, self._clock.now())
        return token_id

    def _signed(self, token: str) -> Claims:
        unverified, _ = peek(token, MAX_TOKEN)
        key = self._published().get(str(unverified.get("kid")), self._key.signing().public)
        header, payload = key.verified(token)
        claims = parse_claims(payload)
        if str(header.get("typ")).lower().removeprefix("application/") != TYP:  # RFC 9068 section 4
            raise ValueError("no access token")
        if (claims.word("iss"), claims.audience()) != (self.issuer, self.issuer):
            raise ValueError("another gateway's token")
        claims.check_times(self._clock.now(), self._lifetime)
        return claims

    async def _standing(self, claims: Claims) -> tuple[Client, frozenset[str]]:
        """The client of a token that holds, and what the token still may; raises ValueError where it does not hold."""
        named, token_id = claims.word("client_id"), claims.word("jti")
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            revoked = await view.revoked(named, token_id)
        client = registry.find(Client, named)
        if client is None or revoked:
            raise ValueError("its client is not registered, or it was revoked")
        check_standing(registry, client, self._clock.now())
        scopes = set(str(claims.body.get("scope", "")).split(" ")) & set(client.scopes)
        return client, frozenset(scopes & {permission.value for permission in self._allowed})

    async def _check_bound(self, thumbprint: str, client: Client, certificate: bytes) -> None:
        shown = token_thumbprint(certificate)
        if not certificate or self._certificates is None or not hmac.compare_digest(shown, thumbprint):
            raise _refused()
        try:
            holder = await self._certificates.client(certificate)
        except NotAuthenticated as wrong:
            raise _refused() from wrong
        if holder.id != client.id:
            raise _refused()


_TOLD: Final = ("client_id", "exp", "iat", "sub", "aud", "iss", "jti", "cnf")


def _confirmation(claims: Claims) -> str:
    """The thumbprint a token is bound to, empty where it is bound to nothing; raises ValueError where it is to something else."""
    confirmed = claims.body.get("cnf")
    if confirmed is None:
        return ""
    thumbprint = confirmed.get(THUMBPRINT) if isinstance(confirmed, dict) and len(confirmed) == 1 else None
    if not isinstance(thumbprint, str) or not thumbprint.isascii() or not thumbprint:
        raise ValueError("a confirmation that is not known here")
    return thumbprint


def _refused() -> NotAuthenticated:
    return NotAuthenticated(
        "the access token does not hold: ask /oauth2/token for a new one, and use a bound one with its certificate",
        code="invalid-token",
    )
