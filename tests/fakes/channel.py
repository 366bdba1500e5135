"""A channel whose names resolve by a table and whose every address answers on the loopback.

It passes the same suite as BoundChannel (tests/contracts/test_channel.py); its range check is written apart from it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence

from gateway.core.errors import EndpointError


class FakeChannel:
    """Resolves by `names` (a literal stands for itself) and connects to 127.0.0.1 on the port that was asked for.

    Attributes:
        connects: What was asked for, (host, port), refused attempts included.
        down: While True, nothing can be reached.
    """

    def __init__(self, names: Mapping[str, Sequence[str]] | None = None) -> None:
        self._names = dict(names or {})
        self.connects: list[tuple[str, int]] = []
        self.down = False

    def connect(self, host: str, port: int, *, ranges: Sequence[str], timeout: float) -> socket.socket:
        self.connects.append((host, port))
        known = self._names.get(host)
        if known is None:
            try:
                known = [str(ipaddress.ip_address(host))]
            except ValueError:
                raise EndpointError("no such name in the fake's table", retry=True) from None
        if not any(_inside(address, block) for address in known for block in ranges):
            raise EndpointError("outside the pinned ranges", code="outside-ranges", retry=False)
        if self.down:
            raise EndpointError("the fake channel is down", code="unreachable", retry=True)
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout)
        except OSError as refused:
            raise EndpointError("nothing answers", code="unreachable", retry=True) from refused
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


def _inside(address: str, block: str) -> bool:
    literal, network = ipaddress.ip_address(address), ipaddress.ip_network(block)
    low = getattr(literal, "ipv4_mapped", None) or literal
    return low.version == network.version and int(network[0]) <= int(low) <= int(network[-1])
