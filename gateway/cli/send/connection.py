"""The way to the gateway: one HTTP client that signs in by itself, and tries again what may succeed later.

What it is not: a judgement on uploads (`uploads`) or transfers (`delivery`). A change must keep these:
1. A token goes to the gateway's own origin and nowhere else; no redirect is followed, no proxy of the environment is used.
2. Plain HTTP is for this machine alone.
3. What is read of an answer is bounded.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from gateway.cli.send.answers import Answer
from gateway.cli.send.patience import Patience
from gateway.cli.send.signin import PATH, SignIn, Token
from gateway.core.errors import CallerError, EndpointError, Unusable

MAX_ANSWER: Final = 64 << 20  # the list of 100,000 files
STALL: Final = 300.0  # seconds without a byte in either direction
FIRST_WORD: Final = 30.0  # seconds of trying before the gateway answered once
NETWORK: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Told = Callable[[str], None]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Address:
    """Where the gateway is and how it is known.

    Attributes:
        url: Its origin, such as `https://gateway.example:8443`.
        authority: PEM file of the authority that signed its certificate; None for the system's.
        certificate: PEM file of the client's certificate, if it has one.
        key: PEM file of that certificate's key.
        language: What problems are told in.
    """

    url: URL
    authority: Path | None
    certificate: Path | None
    key: Path | None
    language: str

    def context(self) -> ssl.SSLContext:
        """TLS as this address asks for it; raises Unusable where a file cannot be used."""
        try:
            made = ssl.create_default_context(cafile=str(self.authority) if self.authority else None)
            if self.certificate is not None:
                made.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as wrong:
            raise Unusable(f"a certificate or its key cannot be used: {wrong}") from wrong
        return made


def _no_passphrase() -> str:
    raise Unusable("the key of the certificate has a passphrase: take it off, in a file that only you can read")


def parse_url(text: str) -> URL:
    """The gateway's origin.

    Raises:
        Unusable: It is no https URL, or has more than an origin.
    """
    try:
        url = URL(text)
    except ValueError as wrong:
        raise Unusable(f"--gateway is a URL such as https://gateway.example:8443, not {text!r}") from wrong
    plain_here = url.scheme == "http" and url.host in _LOOPBACK
    if not url.host or not (url.scheme == "https" or plain_here) or url.path not in {"", "/"} or url.query_string:
        raise Unusable(f"--gateway is a URL such as https://gateway.example:8443, not {text!r}")
    return url.origin()


class Connection:
    """Requests to one gateway. Made by `connected`.

    Args:
        session: The HTTP client.
        address: Where to.
        sign_in: How tokens are got.
        patience: Seconds nothing may move before it is given up.
        told: Told in a line why something waits.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        address: Address,
        sign_in: SignIn,
        patience: float,
        told: Told,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.sleep = sleep
        self._session = session
        self._address = address
        self._sign_in = sign_in
        self._seconds = patience
        self._told = told
        self._token: Token | None = None
        self._signing = asyncio.Lock()
        self._met = False

    def patience(self) -> Patience:
        """A fresh one; short as long as the gateway never answered."""
        return Patience(self._seconds if self._met else min(self._seconds, FIRST_WORD))

    async def pause(self, patience: Patience, why: str, asked: float = 0.0) -> None:
        """Wait for the next try.

        Raises:
            EndpointError: It has been tried for long enough.
        """
        draw = secrets.randbelow(1001) / 1000
        delay = patience.pause(time.monotonic(), draw, asked)
        if delay is None:
            raise EndpointError(f"the gateway at {self._address.url} cannot be reached: {why}; run it again later")
        self._told(why)
        await self.sleep(delay)

    async def call(
        self,
        method: str,
        path: str,
        *,
        document: object = None,
        headers: Mapping[str, str] | None = None,
        fine: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """A request that may be repeated, until there is an answer that is not "later".

        Args:
            method: HTTP method.
            path: Path below the origin, percent-encoded.
            document: Sent as JSON.
            headers: More fields.
            fine: Which answers are for the caller to judge; success alone where not given.

        Raises:
            CallerError: The gateway refuses.
            EndpointError: It could not be reached.
        """
        patience = self.patience()
        data = None if document is None else json.dumps(document, ensure_ascii=False).encode()
        more = dict(headers or {}) | ({"Content-Type": "application/json"} if data is not None else {})
        while True:
            try:
                answer = await self.once(method, path, data=data, headers=more)
            except NETWORK as wrong:
                await self.pause(patience, _reason(wrong))
                continue
            if answer.fine or (fine is not None and fine(answer)):
                return answer
            if not answer.again:
                raise refusal(answer)
            await self.pause(patience, answer.says, answer.wait)

    async def once(
        self, method: str, path: str, *, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One signed-in request, tried a second time only with a new token where the first was not taken any more.

        A body that can be read once only is a function that makes it.
        """
        token = await self._bearer()
        answer = await self._send(method, path, data, {**(headers or {}), "Authorization": f"Bearer {token.value}"})
        if answer.status != 401:
            return answer
        token = await self._bearer(instead_of=token)
        return await self._send(method, path, data, {**(headers or {}), "Authorization": f"Bearer {token.value}"})

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of an event stream as they come.

        Raises:
            CallerError: There is no such stream here, or none any more.
        """
        token = await self._bearer()
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token.value}"}
        url = self._address.url.join(URL(path, encoded=True))
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != 200 or response.content_type != "text/event-stream":
                raise CallerError(f"there is no stream of events here: {response.status}", code="no-stream")
            async for line in response.content:  # a line is bounded by the client's buffer
                yield line

    def own_path(self, location: str) -> str:
        """The path of a Location, which must be the gateway's own.

        Raises:
            EndpointError: It is elsewhere: no token goes there.
        """
        try:
            url = self._address.url.join(URL(location, encoded=True))
        except ValueError:
            url = URL()
        if not url.is_absolute() or url.origin() != self._address.url:
            raise EndpointError("the gateway names an upload at another address than its own", retry=False)
        return url.raw_path_qs

    async def _bearer(self, instead_of: Token | None = None) -> Token:
        async with self._signing:
            known = self._token
            if known is None or known is instead_of or not known.good(time.monotonic()):
                self._token = known = await self._fresh()
            return known

    async def _fresh(self) -> Token:
        patience = self.patience()
        while True:
            try:
                return await self._sign_in.token(self._post)
            except NETWORK as wrong:
                await self.pause(patience, _reason(wrong))
            except _Later as later:
                await self.pause(patience, later.answer.says, later.answer.wait)

    async def _post(self, form: Mapping[str, str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._send("POST", PATH, urlencode(form).encode(), headers)
        if answer.status >= 500:
            raise _Later(answer)
        return answer

    async def _send(self, method: str, path: str, data: Any, headers: Mapping[str, str]) -> Answer:
        url = self._address.url.join(URL(path, encoded=True))
        body = data() if callable(data) else data
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            raw = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                raw += piece
                if len(raw) > MAX_ANSWER:
                    raise EndpointError(f"the gateway's answer has more than {MAX_ANSWER} bytes", retry=False)
            self._met = True
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, fields, _parsed(bytes(raw), response.content_type))


class _Later(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.says)
        self.answer = answer


def refusal(answer: Answer) -> CallerError:
    """What the gateway said no to, as an error; a declaration it cannot use is the user's to mend, like any other word."""
    kind = Unusable if answer.code == "bad-declaration" else CallerError
    return kind(answer.says, code=answer.code or "refused")


def _parsed(raw: bytes, media: str) -> dict[str, Any]:
    if not raw or not media.endswith("json"):
        return {}
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _reason(wrong: BaseException) -> str:
    if isinstance(wrong, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        raise EndpointError(
            f"the gateway's certificate is not accepted: {wrong}; name its authority with --authority", retry=False
        ) from wrong
    return str(wrong) or type(wrong).__name__


@asynccontextmanager
async def connected(
    address: Address, sign_in: SignIn, *, parallel: int, patience: float, told: Told, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[Connection]:
    """A connection to a gateway, closed at the end."""
    tls = address.context() if address.url.scheme == "https" else True
    connector = aiohttp.TCPConnector(ssl=tls, limit=parallel + 4)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=STALL)
    headers = {"User-Agent": "hetao-send", "Accept-Language": address.language, "Accept": "application/json"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield Connection(session, address, sign_in, patience, told, sleep)
