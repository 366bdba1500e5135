"""The HTTPS door on a real socket, before a whole flow over fakes; and a client that sends exactly the bytes it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
from aiohttp import ClientSession

from gateway.core.identity import SENDER_SCOPES, Principal
from gateway.core.records import Client
from gateway.doors.https import BodyLimits, make_app, serving
from gateway.identity.assertions import ClientAssertions
from gateway.identity.jwk import TokenKey
from gateway.identity.tokens import AccessTokens
from gateway.stores.locales import load_catalogue
from tests.fakes.observer import FakeObserver
from tests.flow.rig import Rig
from tests.identity.parties import ISSUER, TOKEN_URL, jwk_of, p256, write_pem

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OTHER_INSTITUTION = {
    "id": "gz-lab",
    "name_zh": "广州实验室",
    "name_en": "Guangzhou Laboratory",
    "uscc": "914403001922038216",
}


@dataclass
class Answer:
    """A response as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[int] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)


class ToldObserver(FakeObserver):
    """An observer one can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def saw(self, event: str, **fields: Any) -> None:
        super().saw(event, **fields)
        self.told.set()


class Site:
    """A founded rig with clients `sz` (all scopes), `sz-reader`, and `gz` of another institution, behind the door."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig()
        self.observer = self.rig.observer = ToldObserver()
        self.rig.restart()
        self.keys = {"sz": p256(), "sz-reader": p256(), "gz": p256()}
        self.catalogue = load_catalogue()
        self.folder = folder
        self.health: dict[str, str] = {"database": "ok"}
        self.port = 0
        self.origins: frozenset[str] = frozenset()

    async def found(self) -> Site:
        await self.rig.found()
        about = {"sz": ("sz-lab", "lin"), "sz-reader": ("sz-lab", "lin"), "gz": ("gz-lab", "li-si")}
        clients = [
            (
                "client",
                {
                    "id": name,
                    "institution": institution,
                    "person": person,
                    "jwk": jwk_of(self.keys[name]),
                    "scopes": ["transfers:read"] if name == "sz-reader" else list(SENDER_SCOPES),
                },
            )
            for name, (institution, person) in about.items()
        ]
        await self.rig.register(
            ("institution", OTHER_INSTITUTION),
            ("person", {"id": "li-si", "name": "Li Si", "institution": "gz-lab", "real_name_verified": True}),
            ("project", {"id": "other", "institution": "gz-lab", "endpoints": ["hku"], "purpose": "trial B"}),
            *clients,
        )
        rig = self.rig
        self.tokens = AccessTokens(
            records=rig.records,
            registrar=rig.registrar,
            clock=rig.clock,
            entropy=rig.entropy,
            issuer=ISSUER,
            key=TokenKey(write_pem(p256(), self.folder / "tokens.pem")),
        )
        self.assertions = ClientAssertions(
            records=rig.records, registrar=rig.registrar, clock=rig.clock, audiences=[ISSUER, TOKEN_URL]
        )
        return self

    def app(self, limits: BodyLimits | None = None):
        async def health() -> Mapping[str, str]:
            return self.health

        return make_app(
            intake=self.rig.intake,
            uploads=self.rig.uploads,
            enquiry=self.rig.enquiry,
            assertions=self.assertions,
            tokens=self.tokens,
            catalogue=self.catalogue,
            observer=self.rig.observer,
            health=health,
            defender=self.rig.defender,
            limits=limits,
            origins=self.origins,
        )

    @asynccontextmanager
    async def served(self, limits: BodyLimits | None = None, **about: Any) -> AsyncIterator[Site]:
        about = {"tls": None, "shutdown_seconds": 1.0, **about}
        async with serving(self.app(limits), host="127.0.0.1", port=0, **about) as self.port:
            yield self

    # --- credentials -------------------------------------------------------------------------------------------------

    def assertion(self, client: str = "sz", **changes: Any) -> str:
        now = int(self.rig.clock.now().timestamp())
        claims = {
            "iss": client,
            "sub": client,
            "aud": TOKEN_URL,
            "exp": now + 60,
            "jti": self.rig.entropy.token(8).hex(),
        }
        return jwt.encode(claims | changes, self.keys[client], "ES256")

    def form(self, client: str = "sz", **changes: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(client),
        } | changes

    async def bearer(self, client: str = "sz", scope: str = "") -> dict[str, str]:
        known = (await self.rig.registrar.registry()).get(Client, client)
        return {"Authorization": f"Bearer {self.tokens.issue(known, scope).token}"}

    def sender(self) -> Principal:
        """Whom client `sz` is taken for."""
        return replace(self.rig.sender, client="sz")

    @asynccontextmanager
    async def session(self, client: str = "sz", **headers: str) -> AsyncIterator[ClientSession]:
        """A signed-in session of a well-behaved client."""
        base = f"http://127.0.0.1:{self.port}"
        async with ClientSession(base, headers={**await self.bearer(client), **headers}) as session:
            yield session

    # --- raw bytes ---------------------------------------------------------------------------------------------------

    async def raw(self, sent: bytes) -> Answer:
        """Send these bytes and read one answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            return await read_answer(reader, bodyless=sent.startswith(b"HEAD "))
        finally:
            writer.close()

    async def request(
        self,
        method: str,
        target: str,
        *,
        client: str = "sz",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """One request with its target as it stands."""
        given = {**(await self.bearer(client) if client else {}), **(headers or {})}
        if body:
            given.setdefault("Content-Length", str(len(body)))
        return await self.raw(head(method, target, given) + body)

    async def cut(self, sent: Sequence[bytes], *, reset: bool = True) -> None:
        """Send these bytes, then break the connection off: with a reset, or politely."""
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            for piece in sent:
                await loop.sock_sendall(sock, piece)
            if reset:  # closing with a linger of zero seconds sends RST
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait until the observer saw an event so often; returns the last one's fields."""
        async with asyncio.timeout(20):
            while len(self.observer.of(event)) < count:
                self.observer.told.clear()
                await self.observer.told.wait()
        return self.observer.of(event)[-1]


def head(method: str, target: str | bytes, headers: Mapping[str, str]) -> bytes:
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    lines = [method.encode() + b" " + raw + b" HTTP/1.1", b"Host: gateway.example"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def read_answer(reader: asyncio.StreamReader, *, bodyless: bool = False) -> Answer:
    interim: list[int] = []
    async with asyncio.timeout(20):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                break
            interim.append(status)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(0 if bodyless else int(headers.get("content-length", "0")))
    return Answer(status, headers, body, interim)
