"""The HTTPS door over real TLS with a client authority, clients with certificates, and a part of it that takes passwords."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs.authority import DevelopmentAuthority
from certs.clientca import ClientAuthority
from gateway.core.facts import local_day
from gateway.core.identity import SENDER_SCOPES, Permission
from gateway.core.records import password_digest
from gateway.doors.https import server_context, serving
from gateway.doors.https.app import CATALOGUE, OBSERVER
from gateway.doors.https.gatekeeper import Gatekeeper
from gateway.doors.https.guard import PRINCIPAL, Answering, Router, Row, guarding
from gateway.doors.https.origins import Origins
from gateway.identity.clientcertificates import ClientCertificates
from gateway.identity.revocationlists import RevocationLists, load_bundle
from tests.doors.site import Answer, Site, head, read_answer
from tests.identity.certificates import issued, write_bundle
from tests.identity.parties import jwk_of, p256

PASSWORD = "hap_" + "q2" * 16
USER = "lin-dav"
TABLE = (
    Row("PUT", "/dav/{path}", "whoami", Permission.TRANSFERS_WRITE),
    Row("GET", "/dav/{path}", "whoami", Permission.TRANSFERS_READ),
    Row("GET", "/v1/whoami", "whoami", Permission.TRANSFERS_READ),
)


@dataclass
class Card:
    """A certificate with its key, as files."""

    certificate: Path
    key: Path
    der: bytes
    serial: int


class MutualSite(Site):
    """Clients `sz` (certificate by URI, and a key), `sz-bound` (the same, bound tokens only), `sz-plain` (certificate alone)."""

    async def found(self) -> MutualSite:
        self.now = datetime.now(UTC)  # OpenSSL reads the machine's clock
        self.rig.clock.set(self.now)
        self.authority = ClientAuthority.create(self.now)
        self.bundle = write_bundle(self.folder / "client_ca.crt", self.authority)
        self.crl = self.folder / "client.crl"
        self.crl.write_bytes(self.authority.revocation_list(self.now))
        await self.rig.found()
        rig = self.rig
        self.certificates = ClientCertificates(
            records=rig.records,
            registrar=rig.registrar,
            clock=rig.clock,
            observer=rig.observer,
            lists=RevocationLists(load_bundle(self.bundle), self.crl, rig.clock),
        )
        rig.found = _founded  # the site founds it once more
        await super().found()
        await self._register()
        self._make_tls()
        return self

    async def _register(self) -> None:
        self.keys["sz-bound"] = p256()
        about = {"institution": "sz-lab", "person": "lin", "scopes": list(SENDER_SCOPES)}
        clients = {
            "sz": {"jwk": jwk_of(self.keys["sz"])},
            "sz-bound": {"jwk": jwk_of(self.keys["sz-bound"]), "bound_tokens": True},
            "sz-plain": {"scopes": ["transfers:read"]},
        }
        today = local_day(self.now)
        password = {
            "id": USER,
            "institution": "sz-lab",
            "person": "lin",
            "digest": password_digest(USER, PASSWORD),
            "valid_from": today,
            "valid_to": today + timedelta(days=30),
            "scopes": ["transfers:read"],
        }
        await self.rig.register(
            *(
                ("client", {"id": name, "certificate": f"urn:hetao:client:{name}", **about, **more})
                for name, more in clients.items()
            ),
            ("password", password),
        )

    def _make_tls(self) -> None:
        root = DevelopmentAuthority.create(self.now, accept_risk=True)
        self.root = self.folder / "root.crt"
        self.root.write_bytes(root.certificate_pem)
        self.server = root.issue_server(["localhost", "127.0.0.1"], self.now).save(self.folder / "server", "https")

    def context(self, **about: Any) -> ssl.SSLContext:
        return server_context(*self.server, client_ca=self.bundle, **about)

    def card(self, client: str, authority: ClientAuthority | None = None, *, name: str = "", **about: Any) -> Card:
        """A certificate of a client's; `issued_at` may lie elsewhere in time."""
        key = p256()
        made = issued(authority or self.authority, about.pop("issued_at", self.now), client, key=key, **about)
        return write_card(self.folder, name or client, made, key)

    @asynccontextmanager
    async def secured(self, **about: Any) -> AsyncIterator[MutualSite]:
        """Served over TLS that asks for certificates."""
        async with self.served(tls=self.context(**about)):
            yield self

    @asynccontextmanager
    async def folders(self, tls: ssl.SSLContext | None) -> AsyncIterator[MutualSite]:
        """Another application behind the same guard, with rows below `/dav` and one beside; every page says who calls."""
        app = web.Application()
        router = Router(app, {"whoami": whoami}, TABLE)
        gatekeeper = Gatekeeper(self.tokens, self.certificates, self.passwords, self.rig.defender)
        answering = Answering(router=router, catalogue=self.catalogue, observer=self.rig.observer, clock=time.monotonic)
        app.middlewares.extend((answering.middleware(), guarding(router, gatekeeper, Origins(frozenset()))))
        app[CATALOGUE], app[OBSERVER] = self.catalogue, self.rig.observer
        async with serving(app, host="127.0.0.1", port=0, tls=tls, shutdown_seconds=1.0) as self.port:
            yield self

    # --- clients -----------------------------------------------------------------------------------------------------

    def trusting(self, card: Card | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root))
        if card is not None:
            context.load_cert_chain(card.certificate, card.key)
        return context

    async def connect(self, card: Card | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.trusting(card))

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        card: Card | None = None,
    ) -> Answer:
        """One request over a connection of its own, with a certificate or without."""
        reader, writer = await self.connect(card)
        try:
            return await exchange(reader, writer, method, target, headers or {}, body)
        finally:
            writer.close()


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> Answer:
    """One request on a connection that stays."""
    length = {"Content-Length": str(len(body))} if body else {}
    writer.write(head(method, target, {**headers, **length}) + body)
    return await read_answer(reader)


async def whoami(request: web.Request) -> web.StreamResponse:
    principal = request[PRINCIPAL]
    about = {"client": principal.client, "credential": principal.credential, "door": principal.door}
    return web.json_response(about | {"institution": principal.institution, "person": principal.person})


async def _founded() -> None:
    """It was founded before."""


def write_card(folder: Path, name: str, certificate: Any, key: Any) -> Card:
    der = certificate.public_bytes(Encoding.DER)
    files = Card(folder / f"{name}.crt", folder / f"{name}.key", der, certificate.serial_number)
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
