"""How a machine client proves itself: `private_key_jwt`, an assertion signed with its registered key and spent once.

What it is not: a token of ours (`tokens`). The client signs an assertion, shows it to `/oauth2/token`, and that is its end.

A change must keep these:
1. Every refusal is one and the same answer: which part failed would tell whether a client exists. A signature is
   checked for unknown clients too, under a key nobody has, so that time tells it no more than words do.
2. Nothing is spent before everything holds; what was spent never holds again, in any process.
3. A client is as good as the person and the institution behind it on that day (Asia/Shanghai).

Sources: RFC 7521 section 4.2, RFC 7523 section 3, OpenID Connect Core section 9, RFC 8725.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.facts import local_day
from gateway.core.records import Client, Institution, Person
from gateway.core.registry import Registry
from gateway.flow.registrar import Registrar
from gateway.identity.claims import LEEWAY, Claims, parse_claims, peek
from gateway.identity.jwk import algorithm_of, parse_jwk, public_jwk
from gateway.ports import Clock, Records

LONGEST: Final = timedelta(minutes=5)
MAX_ASSERTION: Final = 8192
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})  # RFC 7519 section 5.1; RFC 7523bis names the second


class ClientAssertions:
    """Verifies client assertions.

    Args:
        records: Where spent assertions are remembered, for all processes.
        registrar: Who is registered.
        clock: The time.
        audiences: What an assertion may be addressed to: the issuer and the token endpoint's URL.
    """

    def __init__(self, *, records: Records, registrar: Registrar, clock: Clock, audiences: Sequence[str]) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._audiences = frozenset(audiences)
        self._decoys = {decoy["alg"]: decoy for decoy in _decoys()}

    async def verify(self, assertion: str, *, client_id: str = "") -> Client:
        """The client an assertion proves.

        1. Find the client it names and check the signature under its registered key.
        2. Check subject, audience, times and that it has an id.
        3. Check that client, person and institution are registered and valid today, and not revoked.
        4. Spend the id.

        Args:
            assertion: A compact JWS.
            client_id: The request's `client_id`, if it has one.

        Raises:
            NotAuthenticated: `invalid-client`, whatever is wrong with it.
            StoreError: The database cannot be reached.
        """
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
        now = self._clock.now()
        try:
            client, claims = self._proven(assertion, registry)  # step 1
            expires = self._check(claims, client_id or client.id, client, now)  # step 2
            check_standing(registry, client, now)  # step 3
            token_id = claims.word("jti")
        except (ValueError, Unusable) as wrong:
            raise _refused() from wrong
        async with self._records.write() as tx:
            revoked = await tx.revoked(client.id, "")
            # Housekeeping may forget an id once no leeway would let it pass any more.
            until = datetime.fromtimestamp(expires, UTC) + LEEWAY
            if revoked or not await tx.spend_token_id(client.id, token_id, until):  # step 4
                raise _refused()
        return client

    def _proven(self, assertion: str, registry: Registry) -> tuple[Client, Claims]:
        header, claims = peek(assertion, MAX_ASSERTION)
        client = registry.find(Client, str(claims.get("sub")))
        decoy = self._decoys.get(str(header.get("alg")))
        if decoy is None:
            raise ValueError("neither ES256 nor EdDSA")
        # The registered key decides; a header that names the other algorithm meets a decoy of that one and fails.
        known = _named_key(client, decoy["alg"], header.get("kid")) if client else None
        verified, payload = parse_jwk(known or decoy).verified(assertion)
        if client is None or known is None or str(verified.get("typ", "jwt")).lower() not in _TYPES:
            raise ValueError("not a client's assertion")
        return client, parse_claims(payload)

    def _check(self, claims: Claims, named: str, client: Client, now: datetime) -> float:
        if {claims.word("iss"), claims.word("sub"), named} != {client.id}:
            raise ValueError("iss, sub and client_id must be the client")  # RFC 7523 section 3, items 1 and 2
        if claims.audience() not in self._audiences:
            raise ValueError("addressed to somebody else")
        return claims.check_times(now, LONGEST)


def _named_key(client: Client, algorithm: str, kid: object) -> Mapping[str, str] | None:
    """The one of a client's keys that a header means: of its algorithm, by `kid` where it names one of them, else the first.

    One and no more is tried: that the time an answer takes does not tell how many keys a client has, or whether it exists.
    """
    keys = [key for key in client.public_keys() if algorithm_of(key) == algorithm]
    named = [key for key in keys if kid is not None and kid in {key.get("kid"), parse_jwk(key).kid}]
    return next(iter([*named, *keys]), None)


def check_standing(registry: Registry, client: Client, now: datetime) -> None:
    """Refuse a client that ended, or whose person or institution did.

    Raises:
        ValueError: Saying which; for the log, not for the caller.
    """
    day = local_day(now)
    person = registry.find(Person, client.person)
    if registry.find(Institution, client.institution) is None or person is None:
        raise ValueError("the client's person or institution is not registered")
    if any(last is not None and last < day for last in (client.valid_to, person.valid_to)):
        raise ValueError("the client or its person is registered no longer")


def _decoys() -> tuple[Mapping[str, str], ...]:
    """Public keys whose private halves are forgotten here, to spend the same time on clients that do not exist."""
    keys = (ec.generate_private_key(ec.SECP256R1()).public_key(), Ed25519PrivateKey.generate().public_key())
    return tuple(parse_jwk(public_jwk(key)).jwk for key in keys)


def _refused() -> NotAuthenticated:
    return NotAuthenticated("the client assertion does not hold: check key, audience and clock", code="invalid-client")
