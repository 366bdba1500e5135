"""Debian's chromium without a window, driven over the Chrome DevTools Protocol; and a line between it and a gateway to cut.

Source: https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LONGEST = 60  # seconds for any one answer: how long a busy machine may take


class Failed(Exception):
    """What the browser said of a command it did not do."""


@dataclass
class Page:
    """One tab."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        """Hand answers and events out until the socket ends."""
        async for message in self.socket:
            told = json.loads(message.data)
            if (waiter := self.waiting.pop(told.get("id", 0), None)) is not None:
                if not waiter.done():
                    waiter.set_result(told)
            elif "method" in told:
                self._happened(told["method"], told.get("params", {}))
        for waiter in self.waiting.values():
            waiter.cancel()

    def _happened(self, event: str, about: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self.loaded.set()
        elif event == "Network.requestWillBeSent":
            self.asked.append(about["request"]["url"])
        elif event == "Log.entryAdded":
            self.complaints.append(f"{about['entry']['source']}: {about['entry']['text']}")
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif event == "Page.javascriptDialogOpening":  # it asks whether to leave: yes
            number = next(self.numbers)
            self.waiting[number] = asyncio.get_running_loop().create_future()
            sent = self._send(number, "Page.handleJavaScriptDialog", {"accept": True})
            self._answering = asyncio.ensure_future(sent)

    async def _send(self, number: int, method: str, about: dict[str, Any]) -> None:
        message: dict[str, Any] = {"id": number, "method": method, "params": about}
        if self.session:
            message["sessionId"] = self.session
        await self.socket.send_json(message)

    async def do(self, method: str, **about: Any) -> dict[str, Any]:
        """Send a command and give its result."""
        number = next(self.numbers)
        self.waiting[number] = asyncio.get_running_loop().create_future()
        answer = self.waiting[number]
        await self._send(number, method, about)
        async with asyncio.timeout(LONGEST):
            told = await answer
        if "error" in told:
            raise Failed(told["error"]["message"])
        return told["result"]

    async def go(self, url: str) -> None:
        """Open an address, and wait until it has loaded."""
        self.loaded.clear()
        await self.do("Page.navigate", url=url)
        async with asyncio.timeout(LONGEST):
            await self.loaded.wait()

    async def run(self, script: str) -> Any:
        """What an expression gives; a promise is waited for."""
        done = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise Failed(str(done["exceptionDetails"]))
        return done["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true, also over the page's leaving for another."""
        script = (
            f"new Promise((good) => {{ const look = () => ({condition}) ? good(1) : setTimeout(look, 30); look(); }})"
        )
        async with asyncio.timeout(LONGEST):
            while True:
                with suppress(Failed):  # the page it was asked of has gone: ask the next one
                    await self.run(script)
                    return

    async def click(self, selector: str) -> None:
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def submit(self, selector: str, **fields: str) -> None:
        """Fill a form in and send it; returns when the next page has loaded."""
        self.loaded.clear()
        filled = json.dumps(fields)
        await self.run(
            f"{{ const form = document.querySelector({json.dumps(selector)});"
            f" for (const [name, value] of Object.entries({filled})) form.elements[name].value = value;"
            f" form.requestSubmit(form.querySelector('button')); }}"
        )
        async with asyncio.timeout(LONGEST):
            await self.loaded.wait()

    async def choose(self, selector: str, *files: Path) -> None:
        """Choose files, as a person does in the browser's dialogue."""
        root = await self.do("DOM.getDocument")
        node = await self.do("DOM.querySelector", nodeId=root["root"]["nodeId"], selector=selector)
        await self.do("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(each) for each in files])

    async def picture(self, path: Path, width: int) -> None:
        """The whole page as an image, at a width."""
        about = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.do("Emulation.setDeviceMetricsOverride", **about)
        shot = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browsing(program: str, folder: Path, certificate: Path, *arguments: str) -> AsyncIterator[Page]:
    """A browser of its own that trusts one certificate beside the system's; gives an empty tab."""
    key = x509.load_pem_x509_certificate(await asyncio.to_thread(certificate.read_bytes)).public_key()
    pin = base64.b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        f"--ignore-certificate-errors-spki-list={pin}",
        *arguments,
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as client, client.ws_connect(await _address(process), max_msg_size=0) as ws:
            page = Page(ws)
            listening = asyncio.ensure_future(page.listen())
            try:
                made = await page.do("Target.createTarget", url="about:blank")
                attached = await page.do("Target.attachToTarget", targetId=made["targetId"], flatten=True)
                page.session = attached["sessionId"]
                for domain in ("Page", "Runtime", "DOM", "Network", "Log"):
                    await page.do(f"{domain}.enable")
                yield page
            finally:
                listening.cancel()
                await asyncio.wait({listening})
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(LONGEST):
        while line := await process.stderr.readline():
            if found := re.search(rb"DevTools listening on (ws://\S+)", line):
                return found[1].decode()
    raise Failed("the browser ended before it listened")


class Line:
    """TCP between a browser and a gateway, which a test cuts and mends."""

    def __init__(self, port: int) -> None:
        self.passed = 0  # bytes from the browser
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._moved = asyncio.Event()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Every connection ends at once, and nobody answers any more."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def until(self, count: int) -> None:
        """Wait until so many bytes passed."""
        async with asyncio.timeout(LONGEST):
            while self.passed < count:
                self._moved.clear()
                await self._moved.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back, count=True), self._pass(there, writer))
        finally:
            for each in (writer, back):
                self._writers.discard(each)
                each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, count: bool = False) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(1 << 16):
                sink.write(piece)
                await sink.drain()
                if count:
                    self.passed += len(piece)
                    self._moved.set()
        sink.transport.abort()
