"""The courier over real TLS on the loopback: verified, pinned, bounded, and deaf to what the receiver says."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from certs.authority import DevelopmentAuthority
from connectors.channel import BoundChannel
from connectors.courier import HttpsCourier
from gateway.core.errors import EndpointError, Unusable
from gateway.core.records import Webhook

HOST = "erp.example.cn"


@dataclass
class Receiver:
    """What arrived, and what is answered."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    drip: threading.Event | None = None
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0


def serve(receiver: Receiver, context: ssl.SSLContext) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((self.command, self.path, dict(self.headers), body))
            self.wfile.write(receiver.answer)
            self.wfile.flush()
            while receiver.drip and not receiver.drip.wait(0.05):
                try:
                    self.wfile.write(b"X-More: 1\r\n")
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, *_args) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self):
            sock, address = super().get_request()
            sock.settimeout(20)
            return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request, client_address) -> None:
            pass  # clients here break off on purpose

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@dataclass
class Place:
    receiver: Receiver
    ca: object
    resolved: list[str]

    def post(self, *, ranges=("127.0.0.0/8",), host: str = HOST, seconds: float = 20.0, ca: object = None) -> int:
        channel = BoundChannel(resolve=lambda _host, _port: self.resolved)
        hook = Webhook("erp", "sz-lab", f"https://{host}:{self.receiver.port}/hook?a=1", ranges)
        return HttpsCourier(channel, ca or self.ca, seconds=seconds).post(hook, b'{"a":1}', {"Hetao-Signature": "x"})


@contextmanager
def placed(folder, names: list[str]) -> Iterator[Place]:
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    ca = authority.save(folder / "tls")
    certificate, key = authority.issue_server(names, now).save(folder / "tls", "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver = Receiver()
    server = serve(receiver, context)
    try:
        yield Place(receiver, ca, ["127.0.0.1"])
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def place(tmp_path) -> Iterator[Place]:
    with placed(tmp_path, [HOST]) as made:
        yield made


def test_a_body_arrives_as_it_was_signed(place):
    assert place.post() == 204
    ((method, path, fields, body),) = place.receiver.got
    assert (method, path, body) == ("POST", "/hook?a=1", b'{"a":1}')
    assert fields["Host"] == f"{HOST}:{place.receiver.port}"
    assert fields["Hetao-Signature"] == "x"
    assert fields["Connection"] == "close"


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n", 302),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 999999999\r\n\r\nsecret", 500),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
    ],
)
def test_the_status_is_all_that_is_read(place, answer):
    place.receiver.answer, status = answer
    assert place.post() == status
    assert len(place.receiver.got) == 1


@pytest.mark.parametrize(
    ("ranges", "resolved"),
    [
        (("10.0.0.0/8",), ["127.0.0.1"]),
        (("10.0.0.0/8",), ["::ffff:127.0.0.1"]),
        (("0.0.0.0/0",), ["0.0.0.0"]),
        (("10.0.0.0/8", "127.0.0.2/32"), ["127.0.0.1"]),
        ((), ["127.0.0.1"]),
    ],
)
def test_an_address_outside_the_pinned_ranges_gets_not_a_byte(place, ranges, resolved):
    place.resolved = resolved
    with pytest.raises(EndpointError) as refused:
        place.post(ranges=ranges)
    assert refused.value.code == "outside-ranges"
    assert place.receiver.got == []


def test_a_certificate_for_another_host_is_refused(place):
    with pytest.raises(EndpointError) as refused:
        place.post(host="other.example.cn")
    assert refused.value.code == "certificate"
    assert place.receiver.got == []


def test_a_certificate_of_an_unknown_authority_is_refused(place, tmp_path):
    other = DevelopmentAuthority.create(datetime.now(UTC), accept_risk=True).save(tmp_path / "other")
    with pytest.raises(EndpointError) as refused:
        place.post(ca=other)
    assert refused.value.code == "certificate"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"SSH-2.0-x\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_what_is_no_answer_is_a_failure_without_its_words(place, answer):
    place.receiver.answer = answer
    with pytest.raises(EndpointError) as failed:
        place.post()
    assert failed.value.code == "no-answer"
    assert "SSH" not in failed.value.message


def test_a_receiver_that_drips_is_cut_off(place):
    place.receiver.answer = b"HTTP/1.1 200 OK\r\n"
    place.receiver.drip = threading.Event()
    try:
        with pytest.raises(EndpointError) as failed:
            place.post(seconds=0.5)
    finally:
        place.receiver.drip.set()
    assert failed.value.code == "no-answer"


def test_nobody_there_is_a_failure_that_time_may_mend(place):
    place.resolved = ["127.0.0.9"]
    place.receiver.port = 1
    with pytest.raises(EndpointError) as failed:
        place.post()
    assert (failed.value.code, failed.value.retry) == ("unreachable", True)


def test_a_bundle_without_authorities_is_refused(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(Unusable):
            HttpsCourier(BoundChannel(), tmp_path / name)
