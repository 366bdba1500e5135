"""Brings events to institutions' own systems: one POST over TLS, to an address officers pinned (`gateway.ports.Courier`).

What this is not: an endpoint kind, or a client that follows anything. It takes no redirect, no proxy and no cookie, and reads no
more of an answer than its head.

The rules a change must keep:
1. The socket comes from a `Channel`: one resolution, and the address that was checked is the one connected to. So a name that
   now resolves to something inside (or outside) is refused before a byte is sent.
2. TLS is verified, always: against the system's authorities, or the bundle named in the settings and nothing else.
3. The whole of it has a bound, whatever the receiver does: one byte every few seconds does not hold a thread.
4. What the receiver says but its status goes nowhere: not into messages, logs or the database.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.core.errors import EndpointError, Unusable
from gateway.core.records import Webhook, split_url
from gateway.ports import Channel

WHOLE_SECONDS: Final = 30.0  # from the connection to the answer's head
CONNECT_SECONDS: Final = 5.0


class HttpsCourier:
    """Posts events.

    Args:
        channel: Where sockets come from; not the one to Hong Kong.
        ca_file: The only authorities to trust (PEM); None for the system's.
        seconds: Bound on a whole delivery after the connection.

    Raises:
        Unusable: The file holds no authorities.
    """

    def __init__(self, channel: Channel, ca_file: Path | None = None, *, seconds: float = WHOLE_SECONDS) -> None:
        self._channel = channel
        self._seconds = seconds
        try:
            self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except OSError as wrong:  # ssl.SSLError is one
            raise Unusable(
                "webhooks.ca_file holds no authorities in PEM: mend the setting", code="bad-settings"
            ) from wrong
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.set_alpn_protocols(["http/1.1"])

    def post(self, webhook: Webhook, body: bytes, fields: Mapping[str, str]) -> int:
        """POST a body; the status. See `gateway.ports.Courier`."""
        host, port, target = split_url(webhook.url)
        late = threading.Event()
        with _blamed(), self._connected(webhook, host, port, late) as sock:
            connection = http.client.HTTPConnection(host, port)
            connection.sock = sock
            try:
                head = {"User-Agent": "hetao-gateway", "Accept-Encoding": "identity", "Connection": "close", **fields}
                connection.request("POST", target, body, head)
                status = connection.getresponse().status
            finally:
                connection.close()
            if late.is_set():  # http.client takes a head that was cut off for a whole one
                raise TimeoutError
            return status

    @contextmanager
    def _connected(self, webhook: Webhook, host: str, port: int, late: threading.Event) -> Iterator[ssl.SSLSocket]:
        """A verified TLS connection that is shut down when the time is up."""
        plain = self._channel.connect(host, port, ranges=webhook.ranges, timeout=CONNECT_SECONDS)
        try:
            sock = self._tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        except BaseException:
            plain.close()
            raise
        # The descriptor itself: `SSLSocket.shutdown` would take the TLS state away under the thread that reads.
        timer = threading.Timer(self._seconds, _shut, (sock, late))
        timer.daemon = True
        sock.settimeout(self._seconds)
        timer.start()
        try:
            sock.do_handshake()
            yield sock
        finally:
            timer.cancel()
            sock.close()


def _shut(sock: ssl.SSLSocket, late: threading.Event) -> None:
    late.set()
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # it was closed meanwhile


@contextmanager
def _blamed() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as refused:
        raise EndpointError(
            "the webhook's certificate is not trusted: compare webhooks.ca_file, the host and the dates",
            code="certificate",
        ) from refused
    except (OSError, http.client.HTTPException) as broken:
        raise EndpointError("the webhook did not answer in time and in HTTP", code="no-answer") from broken
