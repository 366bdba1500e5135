"""The only way out of the gateway: sockets bound to the dedicated channel, to pinned addresses and nowhere else.

What this is not: a firewall. `deploy/channel` keeps the machine's routes and nftables; this keeps the program honest
even where those are missing, and says in words why a connection was refused.

The rules a change must keep:
1. The address that is checked is the address that is connected to: one resolution, then literals only (a second look-up
   is how DNS rebinding passes a check).
2. Empty ranges refuse everything; an address that means "any", "me" or "everybody" is refused whatever the ranges say.
3. An IPv4 address inside IPv6 (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) is the IPv4 address it stands for, for the
   check and for the connection.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Sequence

from gateway.core.errors import EndpointError, Unusable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Iterable[str]]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class BoundChannel:
    """Connects from one source address, over one interface, into an endpoint's pinned ranges.

    Args:
        source_address: Literal address to connect from; None leaves the choice to the routing table.
        interface: Network interface to bind to (Linux, SO_BINDTODEVICE); None leaves it to the routing table.
        resolve: Host and port to literal addresses, in the order to try them; the system's resolver by default.

    Raises:
        Unusable: `source_address` is not a literal address.
    """

    def __init__(
        self, source_address: str | None = None, interface: str | None = None, *, resolve: Resolve | None = None
    ) -> None:
        self._source = None if source_address is None else _parse_source(source_address)
        self._interface = interface
        self._resolve = resolve or _system_addresses

    def connect(self, host: str, port: int, *, ranges: Sequence[str], timeout: float) -> socket.socket:
        """A connected TCP socket; see `gateway.ports.Channel`."""
        deadline = time.monotonic() + timeout
        allowed = admissible(_looked_up(self._resolve, host, port), ranges)
        if not allowed:
            raise EndpointError(
                "the endpoint's address lies outside its pinned ranges: if it moved, have the registry's officers"
                " sign the new ranges",
                code="outside-ranges",
                retry=False,
            )
        usable = [address for address in allowed if self._source is None or address.version == self._source.version]
        if not usable:
            raise EndpointError(
                "the endpoint has no pinned address of the family (IPv4 or IPv6) of the channel's source address:"
                " set channel.source_address to the other family or pin such an address",
                code="outside-ranges",
                retry=False,
            )
        return self._first_that_answers(usable, port, deadline, timeout)

    def _first_that_answers(
        self, addresses: Sequence[Address], port: int, deadline: float, timeout: float
    ) -> socket.socket:
        reason: OSError = TimeoutError("timed out")
        for position, address in enumerate(addresses):
            # An equal share of what is left, so that one silent address does not eat the others' time.
            share = (deadline - time.monotonic()) / (len(addresses) - position)
            if share <= 0:
                break
            try:
                return self._connected(address, port, share, timeout)
            except OSError as refused:
                reason = refused
        raise EndpointError(
            f"the endpoint cannot be reached ({reason.strerror or reason}): check the channel, the endpoint's port and"
            " the firewalls between",
            code="unreachable",
            retry=True,
        ) from reason

    def _connected(self, address: Address, port: int, share: float, timeout: float) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._bind(sock)
            sock.settimeout(share)
            sock.connect((str(address), port))
            sock.settimeout(timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except BaseException:
            sock.close()
            raise
        return sock

    def _bind(self, sock: socket.socket) -> None:
        try:
            if self._interface is not None:
                device = self._interface.encode() + b"\0"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            if self._source is not None:
                sock.bind((str(self._source), 0))
        except PermissionError as refused:
            raise EndpointError(
                "the gateway may not bind to the channel's interface: give its service CAP_NET_RAW, or leave"
                " channel.interface empty and bind by channel.source_address",
                code="channel-unbound",
                retry=False,
            ) from refused
        except OSError as refused:
            raise EndpointError(
                f"the channel's source address or interface is not up on this machine ({refused.strerror}): check"
                " channel.source_address, channel.interface and the line",
                code="channel-unbound",
                retry=True,
            ) from refused


def admissible(addresses: Iterable[str], ranges: Sequence[str]) -> tuple[Address, ...]:
    """Those literal addresses that lie in the ranges, in their order, each once, IPv4-mapped ones as IPv4.

    Raises:
        Unusable: A range is not a CIDR block.
    """
    networks = [parse_range(block) for block in ranges]
    plain = dict.fromkeys(_unmapped(ipaddress.ip_address(address)) for address in addresses)
    return tuple(
        address
        for address in plain
        if not (address.is_unspecified or address.is_multicast)
        and any(address.version == network.version and address in network for network in networks)
    )


def parse_range(block: str) -> Network:
    """One CIDR block; a block of IPv4-mapped IPv6 addresses is the IPv4 block it stands for.

    Raises:
        Unusable: Not a block, or one with bits set outside its mask.
    """
    try:
        network = ipaddress.ip_network(block)
    except ValueError as broken:
        raise Unusable(f"{block!r} is not an address block: write it as 203.0.113.0/28", code="bad-range") from broken
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((low, network.prefixlen - 96))
    return network


def _unmapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _parse_source(text: str) -> Address:
    try:
        return _unmapped(ipaddress.ip_address(text))
    except ValueError as broken:
        raise Unusable(
            "channel.source_address must be a literal IPv4 or IPv6 address of this machine", code="bad-channel"
        ) from broken


def _looked_up(resolve: Resolve, host: str, port: int) -> list[str]:
    if not host or not host.isprintable():
        raise EndpointError("the endpoint's host name is empty or garbled: correct it", code="bad-host", retry=False)
    try:
        return list(resolve(host, port))
    except UnicodeError as broken:
        raise EndpointError(
            "the endpoint's host name is not a name: correct it", code="bad-host", retry=False
        ) from broken
    except OSError as refused:
        raise EndpointError(
            f"the endpoint's host name cannot be resolved ({refused.strerror}): check the name and the resolver",
            code="unresolved",
            retry=True,
        ) from refused


def _system_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
