"""The socket under the door: connections, their bounds, and answers to what is not HTTP at all.

A change must keep these:
1. What cannot be parsed is answered as a problem without a word of what was sent, and is not logged by the library,
   whose message would quote it.
2. Nothing is decompressed: what is stored is what was sent.
3. A client that hangs up cancels nothing: work that began is finished or refused by its own rules.
4. A head that does not come within 75 seconds, or is longer than 8 KiB a line, ends the connection.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from gateway.core.catalogue import Catalogue, negotiated
from gateway.core.errors import CallerError, GatewayError
from gateway.doors.https.app import CATALOGUE, HEADERS, OBSERVER
from gateway.doors.https.problems import answer_problem, known_code
from gateway.ports import Observer

HEAD_SECONDS: Final = 75.0
LINGER_SECONDS: Final = 10.0  # how long a refused body is read to its end, so that the refusal arrives
LINE_BYTES: Final = 8190
HEADERS_COUNT: Final = 64
SHUTDOWN_SECONDS: Final = 30.0


@asynccontextmanager
async def serving(
    app: web.Application,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    head_seconds: float = HEAD_SECONDS,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
    shared: bool = False,
) -> AsyncIterator[int]:
    """Serve an application until the block ends; gives the port it is on.

    Args:
        app: From `make_app`.
        host: Address to bind.
        port: Port to bind; 0 takes any free one.
        tls: From `server_context`; None only behind something that ends TLS on the same host, and in tests.
        head_seconds: How long a request's head may take.
        shutdown_seconds: How long requests under way may go on at the end.
        shared: Whether other processes listen on the same port.
    """
    runner = DoorRunner(app, head_seconds=head_seconds, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls, backlog=512, reuse_port=shared or None).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class DoorRunner(web.AppRunner):
    """Runs the door's application on connections of its own kind."""

    __slots__ = ("_head_seconds",)

    def __init__(self, app: web.Application, *, head_seconds: float, **about: Any) -> None:
        super().__init__(app, access_log=None, handler_cancellation=False, **about)
        self._head_seconds = head_seconds

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return _DoorServer(plain, self.app, self._head_seconds)


class _DoorServer(web.Server):
    """aiohttp's server, with `_DoorConnection` for every connection."""

    def __init__(self, plain: web.Server, app: web.Application, head_seconds: float) -> None:
        super().__init__(plain.request_handler, request_factory=plain.request_factory, handler_cancellation=False)
        self._app = app
        self._head_seconds = head_seconds

    def __call__(self) -> web.RequestHandler:
        return _DoorConnection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp is told to write none
            auto_decompress=False,
            keepalive_timeout=self._head_seconds,
            lingering_time=LINGER_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS_COUNT,
        ).speaking(self._app[CATALOGUE], self._app[OBSERVER])


class _DoorConnection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_catalogue", "_observer")

    def speaking(self, catalogue: Catalogue, observer: Observer) -> _DoorConnection:
        """Give it its texts and its observer."""
        self._catalogue, self._observer = catalogue, observer
        return self

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be parsed (400), or to a mistake outside the middlewares (500)."""
        del exc, message  # they quote the request
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        failure: GatewayError = GatewayError("a mistake of the gateway's")
        if status < 500:
            failure = CallerError("the request is not HTTP this door reads", code="malformed-request")
        request_id = secrets.token_hex(8)
        language = negotiated(request.headers.get("Accept-Language", ""))
        response = answer_problem(failure, catalogue=self._catalogue, language=language, request_id=request_id)
        response.headers.update({**HEADERS, "X-Request-Id": request_id, "Server": "hetao", "Connection": "close"})
        response.force_close()
        self._observer.saw(
            "request.answered",
            request_id=request_id,
            method="other",
            route="other",
            status=response.status,
            code=known_code(failure),
            seconds=0.0,
            remote=request.remote,
        )
        return response
