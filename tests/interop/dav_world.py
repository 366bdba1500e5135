"""A real gateway in a process of its own with its WebDAV tree, for strangers' clients.

Clients that can send a bearer token talk to it directly. Those that know Basic alone (cadaver, davfs2, litmus) talk to a proxy
that puts the token in; it passes everything else on as it stands.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

from tests.e2e.conftest import Running, build
from tests.interop.sftp_world import need

__all__ = ["BASE", "DECLARATION", "DavWorld", "make_dav_world", "need"]

BASE = "/dav/outbox/hku-genomics/island-ecology"
DECLARATION = """
[data]
level = "general"
personal = false
controlled_technology = false
remote_access = false
precise_geo = false
[hgr]
information = false
material = false
"""
CHECKSUMS = b'<propfind xmlns="DAV:"><prop><checksums xmlns="http://owncloud.org/ns"/></prop></propfind>'
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect", "server", "date"}


class TokenProxy:
    """Plain HTTP on loopback in, the gateway with a token out."""

    def __init__(self, world: DavWorld) -> None:
        self._world = world
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)

    async def _start(self) -> None:
        context = ssl.create_default_context(cafile=str(self._world.authority))
        self._session = ClientSession(connector=TCPConnector(ssl=context), auto_decompress=False)
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        headers = [each for each in headers if each[0].lower() != "authorization"]
        headers.append(("Authorization", f"Bearer {self._world.token()}"))
        url = URL(f"https://localhost:{self._world.port}{request.raw_path}", encoded=True)
        body = request.content if request.body_exists else None
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=["User-Agent"]
        ) as answer:
            told = [each for each in answer.headers.items() if each[0].lower() not in _HOP]
            response = web.StreamResponse(status=answer.status, headers=told)
            await response.prepare(request)
            if request.method != "HEAD":
                async for piece in answer.content.iter_any():
                    await response.write(piece)
            await response.write_eof()
            return response

    def stop(self) -> None:
        async def close() -> None:
            assert self._session is not None
            assert self._runner is not None
            await self._session.close()
            await self._runner.cleanup()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@dataclass
class DavWorld:
    """The gateway and what clients need to reach it."""

    running: Running
    folder: Path
    _token: str = ""
    _until: float = 0.0

    @property
    def port(self) -> int:
        return self.running.world.https_port

    @property
    def url(self) -> str:
        return f"{self.running.world.url}{BASE}"

    @property
    def authority(self) -> Path:
        return self.running.world.authority

    def token(self) -> str:
        """A bearer token that is good for minutes."""
        if time.monotonic() > self._until:
            sender = self.running.sender()
            sender.sign_in()
            self._token = sender.token
            self._until = time.monotonic() + 300
        return self._token

    @contextmanager
    def proxy(self) -> Iterator[int]:
        """The port of a proxy that puts the token in."""
        proxy = TokenProxy(self)
        proxy.start()
        try:
            yield proxy.port
        finally:
            proxy.stop()

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request below the project's folder, or of an absolute path."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=60)
        target = path if path.startswith("/dav") else f"{BASE}/{path}"
        told = {"Authorization": f"Bearer {self.token()}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request(method, urllib.parse.quote(target), body=body, headers=told)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def sums(self, dataset: str) -> dict[str, str]:
        """Digests as the gateway tells them, by path in the dataset."""
        found: dict[str, str] = {}
        folders = [f"{BASE}/{dataset}/"]
        while folders:
            status, _, body = self.ask("PROPFIND", folders.pop(), CHECKSUMS, Depth="1")
            assert status == 207, body
            for number, each in enumerate(ET.fromstring(body)):
                href = urllib.parse.unquote(each.findtext("{DAV:}href", ""))
                if href.endswith("/"):
                    folders += [href] if number else []
                else:
                    told = each.findtext(".//{http://owncloud.org/ns}checksum", "")
                    found[href.removeprefix(f"{BASE}/{dataset}/")] = told.removeprefix("SHA256:")
        return found

    def status(self, dataset: str) -> str:
        return self.ask("GET", f"/dav/status/hku-genomics/island-ecology/{dataset}.txt")[2].decode()

    def until(self, dataset: str, state: str) -> str:
        deadline = time.monotonic() + 60
        while f"({state})" not in (said := self.status(dataset)):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return said


def make_dav_world(folder: Path) -> DavWorld:
    running = build(folder)
    running.start()
    scratch = folder / "scratch"
    scratch.mkdir()
    return DavWorld(running, scratch)
