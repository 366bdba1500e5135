"""Access tokens: short-lived, signed by the gateway, worth exactly what the registry still says of their client.

What it is not: a session or a refresh: a client that needs another token signs another assertion.

A change must keep these:
1. A token narrows: its scopes are those asked for, of those the client is registered with, of those the table allows
   through this door. On use they are narrowed again, so a scope taken from the registry is gone at once.
2. A token is not believed for being signed: client, person and institution must still be registered, unrevoked.
3. Former keys verify and never sign; a token of the wrong `typ` is not an access token (RFC 8725 section 3.11).

Sources: RFC 9068 (JWT profile for access tokens), RFC 6749 section 3.3 (scope), RFC 7517 section 5 (JWK set).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal
from gateway.core.records import Client
from gateway.flow.registrar import Registrar
from gateway.identity.assertions import check_standing
from gateway.identity.claims import Claims, parse_claims, peek
from gateway.identity.jwk import TokenKey, VerifyingKey
from gateway.ports import Clock, Entropy, Records
from gateway.wire import canonical

TYP: Final = "at+jwt"
LIFETIME: Final = timedelta(minutes=10)
MAX_TOKEN: Final = 8192
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3


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
    """Issues and verifies access tokens for one door.

    Args:
        records: Where revocations are.
        registrar: Who is registered.
        clock: The time.
        entropy: Where token ids come from.
        issuer: The gateway's own URL; issuer and audience of its tokens.
        key: The key that signs.
        former: Keys that signed before, kept until their last token expired.
        lifetime: How long a token lasts.
    """

    def __init__(
        self,
        *,
        records: Records,
        registrar: Registrar,
        clock: Clock,
        entropy: Entropy,
        issuer: str,
        key: TokenKey,
        former: Sequence[VerifyingKey] = (),
        lifetime: timedelta = LIFETIME,
    ) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._entropy = entropy
        self._issuer = issuer
        self._key = key
        self._keys = {each.kid: each for each in (key.public, *former)}
        self._lifetime = lifetime
        self._allowed = PERMISSION_DOORS[Credential.CLIENT_JWT, Door.HTTPS]

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517 section 5)."""
        return {"keys": [dict(key.jwk) for key in self._keys.values()]}

    def issue(self, client: Client, requested: str = "") -> Issued:
        """A token for a client that was just authenticated.

        Args:
            client: The client.
            requested: Space-separated scopes; empty asks for all it may have.

        Raises:
            Unusable: `invalid-scope`, where nothing of what was asked for may be given.
        """
        scopes = self._narrowed(client, requested)
        now, seconds = int(self._clock.now().timestamp()), int(self._lifetime.total_seconds())
        token_id = self._entropy.token(16).hex()
        claims: dict[str, str | int] = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": client.id,
            "client_id": client.id,
            "iat": now,
            "exp": now + seconds,
            "jti": token_id,
            "scope": " ".join(scopes),
        }
        return Issued(self._key.sign(canonical.encode(claims), TYP), token_id, seconds, scopes)

    def _narrowed(self, client: Client, requested: str) -> tuple[str, ...]:
        if requested and not _SCOPE.fullmatch(requested):
            raise Unusable("scope must be words separated by single spaces", code="invalid-scope")
        may = {permission.value for permission in self._allowed} & set(client.scopes)
        granted = may & set(requested.split(" ")) if requested else may
        if not granted:
            raise Unusable("this client has none of the scopes asked for", code="invalid-scope")
        return tuple(sorted(granted))

    async def verify(self, token: str) -> Principal:
        """The principal a bearer token stands for.

        Raises:
            NotAuthenticated: `invalid-token`, whatever is wrong with it.
            StoreError: The database cannot be reached.
        """
        try:
            claims = self._signed(token)
            named = (
                claims.word("client_id"),
                claims.word("jti"),
                frozenset(str(claims.body.get("scope", "")).split(" ")),
            )
        except ValueError as wrong:
            raise _refused() from wrong
        return await self._principal(*named)

    def _signed(self, token: str) -> Claims:
        unverified, _ = peek(token, MAX_TOKEN)
        key = self._keys.get(str(unverified.get("kid")), self._key.public)
        header, payload = key.verified(token)
        claims = parse_claims(payload)
        if str(header.get("typ")).lower().removeprefix("application/") != TYP:  # RFC 9068 section 4
            raise ValueError("no access token")
        if (claims.word("iss"), claims.audience()) != (self._issuer, self._issuer):
            raise ValueError("another gateway's token")
        claims.check_times(self._clock.now(), self._lifetime)
        return claims

    async def _principal(self, client_id: str, token_id: str, scopes: frozenset[str]) -> Principal:
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            revoked = await view.revoked(client_id, token_id)
        client = registry.find(Client, client_id)
        if client is None or revoked:
            raise _refused()
        try:
            check_standing(registry, client, self._clock.now())
        except ValueError as wrong:
            raise _refused() from wrong
        names = scopes & set(client.scopes)
        return Principal(
            institution=client.institution,
            person=client.person,
            client=client.id,
            credential=Credential.CLIENT_JWT,
            door=Door.HTTPS,
            scopes=frozenset(permission for permission in self._allowed if permission.value in names),
        )


def _refused() -> NotAuthenticated:
    return NotAuthenticated("the access token does not hold: ask /oauth2/token for a new one", code="invalid-token")
