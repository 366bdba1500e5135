"""A small TLS server that keeps PUT bodies in memory, with WebDAV's MKCOL and MOVE; it can be told to make trouble."""

from __future__ import annotations

import base64
import hashlib
import http.server
import ssl
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Store(http.server.ThreadingHTTPServer):
    """The server's memory and its trouble.

    Attributes:
        files: Bodies by decoded path.
        folders: Collections that exist; None takes any path (a plain PUT server).
        token: Bearer token that is asked for; empty asks for none.
        answers: Status (and fields) to give instead of serving a method, by method.
        cut_after: Close the connection without an answer after so many changes; None never does.
        swallow: Store this instead of the body.
        requests: (method, path) of everything that was asked.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, *, dav: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._context = context
        self.files: dict[str, bytes] = {}
        self.folders: set[str] | None = {""} if dav else None
        self.token = ""
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.cut_after: int | None = None
        self.swallow: bytes | None = None
        self.requests: list[tuple[str, str]] = []
        self.failures: list[BaseException] = []

    def get_request(self):
        sock, address = super().get_request()
        sock.settimeout(20)
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address) -> None:
        pass  # clients of the tests break off on purpose


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Store

    def log_message(self, *_args) -> None:
        pass

    def __getattr__(self, name: str):
        if name.startswith("do_"):
            return lambda: self._serve(name.removeprefix("do_"))
        raise AttributeError(name)

    def _serve(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append((method, path))
        size = int(self.headers.get("Content-Length") or 0)
        refused = self.server.answers.get(method)
        if refused is not None and size:
            self.close_connection = True  # answered early, without reading the body
        elif refused is None and self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}":
            refused = (401, {})
            self.close_connection = True
        if refused is not None:
            self._reply(refused[0], refused[1])
            return
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        status, fields, content = getattr(self, f"_{method.lower()}")(path, body)
        if method in {"PUT", "MOVE", "MKCOL", "DELETE"} and status < 300 and self._cut():
            self.close_connection = True
            return
        self._reply(status, fields, content)

    def _cut(self) -> bool:
        if self.server.cut_after is None:
            return False
        self.server.cut_after -= 1
        return self.server.cut_after < 0

    def _reply(self, status: int, fields: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _put(self, path: str, body: bytes):
        if self.headers["If-None-Match"] == "*" and path in self.server.files:
            return 412, {}, b""
        if self.server.folders is not None and path.rpartition("/")[0] not in self.server.folders:
            return 409, {}, b""
        self.server.files[path] = body if self.server.swallow is None else self.server.swallow
        return 201, {"ETag": self._etag(self.server.files[path])}, b""

    def _get(self, path: str, _body: bytes):
        content = self.server.files.get(path)
        if content is None:
            return 404, {}, b"nothing here"
        fields = {"ETag": self._etag(content)}
        if "sha-256" in self.headers.get("Want-Repr-Digest", ""):
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            fields["Repr-Digest"] = f"sha-256=:{digest}:"
        return 200, fields, content

    _head = _get

    def _delete(self, path: str, _body: bytes):
        return (204 if self.server.files.pop(path, None) is not None else 404), {}, b""

    def _mkcol(self, path: str, _body: bytes):
        if self.server.folders is None:
            return 501, {}, b""
        if path in self.server.folders:
            return 405, {}, b""
        if path.rpartition("/")[0] not in self.server.folders:
            return 409, {}, b""
        self.server.folders.add(path)
        return 201, {}, b""

    def _move(self, path: str, _body: bytes):
        target = unquote(urlsplit(self.headers["Destination"]).path).strip("/")
        if target in self.server.files and self.headers["Overwrite"] == "F":
            return 412, {}, b""
        self.server.files[target] = self.server.files.pop(path)
        return 201, {}, b""

    @staticmethod
    def _etag(content: bytes) -> str:
        return '"' + hashlib.sha1(content, usedforsecurity=False).hexdigest() + '"'


class HttpsServerThread:
    """A server on 127.0.0.1 until `stop`."""

    def __init__(self, certificate: Path, key: Path, *, dav: bool = False, client_ca: Path | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        self.store = Store(context, dav=dav)
        self.port = self.store.server_address[1]
        self._thread = threading.Thread(target=self.store.serve_forever, args=(0.01,), name="https-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.store.shutdown()
        self._thread.join(10)
        self.store.server_close()
