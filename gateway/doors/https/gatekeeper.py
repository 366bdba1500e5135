"""Who is behind a request, by what it shows: a bearer token, a client certificate, or below `/dav` an application password.

What it is not: what they may do; that is the table's (`guard`) and the principal's. It decides nothing about a credential
either: `gateway.identity` does.

A change must keep these:
1. Where an address lies says which credentials it takes (`place`): passwords below `/dav` alone, and over TLS alone.
2. What a browser adds to a request by itself, a certificate or a remembered password, counts only where no other site made
   the browser send it.
3. A wrong password is counted against its address, and a banned address is answered before its password is looked at.

Sources: RFC 6750 (bearer tokens), RFC 7617 (Basic), RFC 8705 section 3 (bound tokens), RFC 9110 section 11.6, RFC 6454
section 7 (Origin); W3C Fetch Metadata Request Headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from gateway.core.errors import NotAuthenticated
from gateway.core.identity import Door, Principal
from gateway.doors.https.authorization import Basic, Bearer, parse_authorization
from gateway.doors.https.sign_in import Certificates, peer_certificate, refuse_banned
from gateway.flow.defender import Defender


class Tokens(Protocol):
    """What this door needs of access tokens."""

    async def verify(self, token: str, *, door: Door, certificate: bytes) -> Principal:
        """The principal a bearer token stands for on a connection with this certificate; raises NotAuthenticated."""


class Passwords(Protocol):
    """What this door needs of application passwords."""

    async def principal(self, user: str, secret: str, door: Door) -> Principal:
        """The caller behind a user name and a password; raises NotAuthenticated with `invalid-password`."""


@dataclass(frozen=True)
class Place:
    """A part of the address space: what door it is, and what it takes besides bearer tokens and client certificates."""

    door: Door
    basic: bool

    def challenges(self) -> tuple[str, ...]:
        """What somebody without a credential is told to come back with; Basic first, for clients that read one."""
        return (*((_BASIC_CHALLENGE,) if self.basic else ()), BEARER_CHALLENGE)


BEARER_CHALLENGE: Final = 'Bearer realm="hetao"'
_BASIC_CHALLENGE: Final = 'Basic realm="hetao", charset="UTF-8"'
API: Final = Place(Door.HTTPS, basic=False)
FOLDERS: Final = Place(Door.WEBDAV, basic=True)
FOLDERS_ROOT: Final = "/dav"


def place(path: str) -> Place:
    """Where a path or a route's template lies."""
    return FOLDERS if path == FOLDERS_ROOT or path.startswith(f"{FOLDERS_ROOT}/") else API


@dataclass(frozen=True)
class Gatekeeper:
    """Knows callers by what they show.

    Attributes:
        tokens: Verifies access tokens.
        certificates: Judges client certificates; None where the door asks for none.
        passwords: Checks application passwords; None takes none.
        defender: Counts wrong passwords.
    """

    tokens: Tokens
    certificates: Certificates | None = None
    passwords: Passwords | None = None
    defender: Defender | None = None

    async def caller(self, request: web.Request, where: Place) -> Principal:
        """The principal behind a request; raises NotAuthenticated."""
        given = parse_authorization(request.headers.getall("Authorization", []))
        certificate = peer_certificate(request)
        if isinstance(given, Bearer):
            return await self.tokens.verify(given.token, door=where.door, certificate=certificate)
        if isinstance(given, Basic) and where.basic and self.passwords is not None and self.defender is not None:
            return await self._by_password(request, given, where, self.passwords, self.defender)
        if given is None and certificate and self.certificates is not None:
            _refuse_other_sites(request)
            return await self.certificates.principal(certificate, where.door)
        raise NotAuthenticated(_SEND[where.basic])

    async def _by_password(
        self, request: web.Request, given: Basic, where: Place, passwords: Passwords, defender: Defender
    ) -> Principal:
        if request.get_extra_info("ssl_object") is None:
            raise NotAuthenticated("a password is taken over TLS only")
        _refuse_other_sites(request)
        remote = request.remote or ""
        refuse_banned(defender, remote)
        try:
            principal = await passwords.principal(given.user, given.password, where.door)
        except NotAuthenticated:
            defender.failed(remote, where.door.value)
            raise
        defender.succeeded(remote)
        return principal


_SEND: Final = {
    False: "send an access token as Authorization: Bearer, or connect with a client certificate",
    True: "send an application password, an access token, or connect with a client certificate",
}


def _refuse_other_sites(request: web.Request) -> None:
    """A browser adds certificates and passwords to what any site makes it send; programs send none of these fields."""
    sent_by, origin = request.headers.get("Sec-Fetch-Site", "none"), request.headers.get("Origin")
    if sent_by not in {"none", "same-origin"} or origin not in {None, f"https://{request.host}"}:
        raise NotAuthenticated("another site made the browser send this: nothing counts but an access token")
