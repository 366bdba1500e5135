"""A gateway as its public interface says it, written from the standards alone, that misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ENDS = "receipted"


@dataclass
class Upload:
    path: str
    length: int
    sha256: str
    data: bytearray = field(default_factory=bytearray)


def problem(status: int, code: str, *, retry: bool = False, **headers: str) -> web.Response:
    body = {"type": f"urn:x:{code}", "title": code, "code": code, "retry": retry}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


class Cut(Exception):
    """End the connection without an answer."""


class Misbehaving:
    """`faults[name]` is a list of what happens to the next calls of that name, oldest first:

    `cut N`: N bytes of the body are kept and the connection ends. `lost`: it is done, and nobody is told.
    `status N`: nothing is done, and that is answered. `slow`: 503 with Retry-After. `gone`: the upload is forgotten.
    `stale`: the token has ended. `wrong`: the bytes are said to be others. `elsewhere`: the upload is at another origin.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, Upload] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.calls: list[str] = []
        self.keys: dict[str, str] = {}
        self.states: list[str] = ["submitted", "cleared", ENDS]
        self.state = "open"
        self.listed: dict[str, int] = {}
        self.token = 0
        self.id = "t1"
        self.brought = 0
        self.declared: Any = None
        self.signed_in: dict[str, Any] = {}
        self.certificate: Any = None
        self.receipt = ("{}", "none")
        self.busy = self.most = 0
        self.during: Any = None
        self.crowd = 0  # a PUT is answered once so many came at the same time
        self._crowded = asyncio.Event()
        self.stream: asyncio.Event | None = None  # where there is one, events move the transfer

    @asynccontextmanager
    async def served(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        try:
            port = runner.addresses[0][1]
            yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = self._name(request)
        self.calls.append(name)
        fault = self.faults[name].pop(0) if self.faults[name] else ""
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            return await self._faulty(request, name, fault)
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        finally:
            self.busy -= 1

    @staticmethod
    def _name(request: web.Request) -> str:
        parts = request.path.strip("/").split("/")
        if parts[0] == "oauth2":
            return "token"
        if parts[0] == "files":
            return {"POST": "create"}.get(request.method, request.method)
        if len(parts) == 2:
            return "open"
        what = parts[3] if len(parts) > 3 else "show"  # files, submit, receipt, events, declaration
        return f"{request.method} file" if len(parts) > 4 else what

    async def _faulty(self, request: web.Request, name: str, fault: str) -> web.StreamResponse:
        kind, _, number = fault.partition(" ")
        if kind == "status":
            return problem(int(number), "told-so")
        if kind == "slow":
            return problem(503, "store", retry=True, **{"Retry-After": "2"})
        if kind == "stale":
            self.token += 1
        if name != "token" and request.headers.get("Authorization") != f"Bearer {self.token}":
            return problem(401, "invalid-token")
        if kind == "gone":
            self.uploads.clear()
        self._limit = int(number) if kind == "cut" else None
        answer = await getattr(self, "_" + name.lower().replace(" ", "_"))(request, fault)
        if kind == "lost":
            raise Cut
        return answer

    async def _read(self, request: web.Request, into: bytearray) -> None:
        limit = self._limit
        async for piece in request.content.iter_any():
            if self.during is not None:
                self.during()
            taken = piece if limit is None else piece[: max(limit, 0)]
            into += taken
            self.brought += len(taken)
            if limit is not None:
                limit -= len(taken)
                if limit <= 0:
                    raise Cut

    # --- pages -------------------------------------------------------------------------------------------------------

    async def _token(self, request: web.Request, _fault: str) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        self.signed_in = dict(form)
        self.certificate = request.transport.get_extra_info("peercert") if request.transport else None
        self.token += 1
        return web.json_response({"access_token": str(self.token), "expires_in": 600, "token_type": "Bearer"})

    def _shown(self, status: int = 200) -> web.Response:
        shown = {"id": self.id, "state": self.state, "version": 1, "says": self.state, "decision": None}
        return web.json_response(shown, status=status)

    async def _open(self, request: web.Request, _fault: str) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.declared = (await request.json())["declaration"]
        if key not in self.keys:
            self.keys[key] = "t1"
            self.state, self.files = "open", {}
        return self._shown(201)

    async def _declaration(self, request: web.Request, _fault: str) -> web.Response:
        self.declared = await request.json()
        return self._shown()

    async def _files(self, request: web.Request, _fault: str) -> web.Response:
        """Two a page, by number."""
        after = int(request.query.get("after", "-1"))
        every = list(enumerate(self.files.items()))
        page = [each for each in every if each[0] > after][:2]
        listed = [
            {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for _, (path, data) in page
        ]
        more = {"next": page[-1][0]} if page and page[-1][0] < len(every) - 1 else {}
        return web.json_response({"files": listed, **more})

    def _path(self, request: web.Request) -> str:
        return request.path.split("/files/", 1)[1]

    async def _put_file(self, request: web.Request, fault: str) -> web.Response:
        data = bytearray()
        await self._read(request, data)
        if self.busy >= self.crowd:
            self._crowded.set()
        await self._crowded.wait()
        digest = hashlib.sha256(data)
        said = request.headers["Repr-Digest"]
        if fault == "wrong" or said != f"sha-256=:{base64.b64encode(digest.digest()).decode()}:":
            return problem(409, "digest-mismatch")
        self.files[self._path(request)] = bytes(data)
        return web.json_response({"sha256": digest.hexdigest()}, status=201)

    async def _get_file(self, request: web.Request, _fault: str) -> web.Response:
        data = self.files.get(self._path(request))
        if data is None:
            return problem(404, "no-such-file")
        return web.json_response({"size": len(data), "sha256": hashlib.sha256(data).hexdigest()})

    async def _delete_file(self, request: web.Request, _fault: str) -> web.Response:
        del self.files[self._path(request)]
        return web.Response(status=204)

    async def _create(self, request: web.Request, fault: str) -> web.Response:
        assert request.headers["Tus-Resumable"] == "1.0.0"
        pairs = (each.split(" ") for each in request.headers["Upload-Metadata"].split(","))
        said = {key: base64.b64decode(value).decode() for key, value in pairs}
        assert said["transfer"] == "t1"
        name = f"/files/{len(self.calls)}"
        self.uploads[name] = Upload(said["path"], int(request.headers["Upload-Length"]), said["sha256"])
        location = "https://elsewhere.example/files/1" if fault == "elsewhere" else name
        return web.Response(status=201, headers={"Location": location})

    async def _head(self, request: web.Request, _fault: str) -> web.Response:
        upload = self.uploads.get(request.path)
        if upload is None:
            return problem(404, "no-such-upload")
        headers = {"Upload-Offset": str(len(upload.data)), "Upload-Length": str(upload.length)}
        return web.Response(headers=headers)

    async def _patch(self, request: web.Request, fault: str) -> web.Response:
        upload = self.uploads.get(request.path)
        if upload is None:
            return problem(404, "no-such-upload")
        if int(request.headers["Upload-Offset"]) != len(upload.data):
            return problem(409, "offset-mismatch")
        assert request.headers["Content-Type"] == "application/offset+octet-stream"
        await self._read(request, upload.data)
        if len(upload.data) == upload.length:
            if fault == "wrong" or hashlib.sha256(upload.data).hexdigest() != upload.sha256:
                del self.uploads[request.path]
                return problem(409, "digest-mismatch")
            self.files[upload.path] = bytes(upload.data)
        return web.Response(status=204, headers={"Upload-Offset": str(len(upload.data))})

    async def _delete(self, request: web.Request, _fault: str) -> web.Response:
        gone = self.uploads.pop(request.path, None)
        return web.Response(status=204) if gone else problem(404, "no-such-upload")

    async def _submit(self, request: web.Request, _fault: str) -> web.Response:
        if self.state != "open":
            return problem(409, "wrong-state")
        self.listed = (await request.json())["files"]
        if self.listed != {path: len(data) for path, data in self.files.items()}:
            return problem(409, "conflict")
        self.state = self.states[0]
        return self._shown(202)

    async def _show(self, _request: web.Request, _fault: str) -> web.Response:
        if self.stream is not None:
            return self._shown()
        at = self.states.index(self.state) if self.state in self.states else -1
        if at >= 0:
            self.state = self.states[min(at + 1, len(self.states) - 1)]
        return self._shown()

    async def _events(self, request: web.Request, _fault: str) -> web.StreamResponse:
        """A stream that tells of each state once it is let go on."""
        if self.stream is None:
            return problem(404, "no-such-route")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n:\n\n")
        for state in self.states[1:]:
            await self.stream.wait()
            self.state = state
            with suppress(ConnectionError):  # who heard enough goes
                await response.write(b"id: 1\nevent: state\ndata: {}\n\n")
        await asyncio.Event().wait()  # it stays open until the site ends
        return response

    async def _receipt(self, _request: web.Request, _fault: str) -> web.Response:
        receipt, signature = self.receipt
        return web.json_response({"receipt": receipt, "signature": signature})


async def soon(_seconds: float) -> None:
    """Waiting without a clock."""
    await asyncio.sleep(0)
