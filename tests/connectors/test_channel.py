"""The ways around a pinned range that BoundChannel closes."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.channel import BoundChannel, admissible, parse_range
from gateway.core.errors import EndpointError, Unusable


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_source_address_is_bound(port: int) -> None:
    with BoundChannel("127.0.0.77").connect("127.0.0.1", port, ranges=["127.0.0.1/32"], timeout=5) as sock:
        assert sock.getsockname()[0] == "127.0.0.77"


def test_the_interface_is_bound(port: int) -> None:
    try:
        sock = BoundChannel(interface="lo").connect("127.0.0.1", port, ranges=["127.0.0.1/32"], timeout=5)
    except EndpointError as refused:
        assert refused.code == "channel-unbound"  # noqa: PT017 -- not every user may bind to a device
        pytest.skip(refused.message)
    with sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"


def test_an_interface_that_is_not_there_is_no_way_out(port: int) -> None:
    with pytest.raises(EndpointError) as refused:
        BoundChannel(interface="nosuch0").connect("127.0.0.1", port, ranges=["127.0.0.1/32"], timeout=5)
    assert refused.value.code == "channel-unbound"


def test_a_source_address_of_another_machine_is_no_way_out(port: int) -> None:
    with pytest.raises(EndpointError) as refused:
        BoundChannel("192.0.2.1").connect("127.0.0.1", port, ranges=["127.0.0.1/32"], timeout=5)
    assert (refused.value.code, refused.value.retry) == ("channel-unbound", True)


def test_a_source_of_the_other_family_says_so(port: int) -> None:
    with pytest.raises(EndpointError) as refused:
        BoundChannel("::1").connect("127.0.0.1", port, ranges=["127.0.0.1/32"], timeout=5)
    assert refused.value.retry is False
    assert "IPv6" in refused.value.message


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1/32", "1.2.3"])
def test_a_source_address_is_a_literal(text: str) -> None:
    with pytest.raises(Unusable):
        BoundChannel(text)


def test_a_name_is_resolved_once_and_the_checked_address_is_used(port: int) -> None:
    answers = iter([["127.0.0.1"], ["10.9.8.7"]])  # a rebinding name server changes its mind
    channel = BoundChannel(resolve=lambda *_: next(answers))
    with channel.connect("rebind.example", port, ranges=["127.0.0.1/32"], timeout=5) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    assert next(answers) == ["10.9.8.7"], "there was no second look-up"


def test_of_several_addresses_only_those_inside_are_tried(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    real = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        real(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    channel = BoundChannel(resolve=lambda *_: ["192.0.2.1", "127.0.0.9", "127.0.0.1", "127.0.0.1"])
    with channel.connect("many.example", port, ranges=["127.0.0.0/8"], timeout=5) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    assert tried == ["127.0.0.9", "127.0.0.1"]


def test_one_silent_address_leaves_time_for_the_next(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float | None] = []
    real = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        limits.append(sock.gettimeout())
        if address[0] == "127.0.0.9":
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
        real(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    channel = BoundChannel(resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])
    with channel.connect("slow.example", port, ranges=["127.0.0.0/8"], timeout=8) as sock:
        assert sock.gettimeout() == 8
    first, second = limits
    assert first is not None
    assert second is not None
    assert 3.5 < first <= 4
    assert second <= 8


@pytest.mark.parametrize("host", ["", "\0", "a\nb", "a" * 300, "..", "xn--" + "é" * 70])
def test_names_that_are_none_are_refused(host: str) -> None:
    with pytest.raises(EndpointError) as refused:
        BoundChannel().connect(host, 22, ranges=["0.0.0.0/0", "::/0"], timeout=1)
    assert refused.value.code in {"bad-host", "unresolved"}


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0", "0.0.0.0"])
def test_old_spellings_of_an_address_are_judged_by_what_they_mean(host: str) -> None:
    with pytest.raises(EndpointError) as refused:
        BoundChannel().connect(host, 9, ranges=["10.0.0.0/8"], timeout=1)
    assert refused.value.code == "outside-ranges"


def test_a_name_that_does_not_resolve_may_be_tried_again() -> None:
    def away(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")

    with pytest.raises(EndpointError) as refused:
        BoundChannel(resolve=away).connect("hk.example", 22, ranges=["0.0.0.0/0"], timeout=1)
    assert (refused.value.retry, refused.value.code) == (True, "unresolved")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1"])
def test_addresses_that_mean_any_or_many_are_never_admissible(address: str) -> None:
    assert admissible([address], ["0.0.0.0/0", "::/0"]) == ()


@pytest.mark.parametrize(
    ("block", "meant"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("192.0.2.7", "192.0.2.7/32"),
    ],
)
def test_mapped_ranges_are_the_ipv4_ranges_they_stand_for(block: str, meant: str) -> None:
    assert str(parse_range(block)) == meant


@pytest.mark.parametrize("block", ["", "10.0.0.1/8", "10/8", "any", "10.0.0.0/33"])
def test_a_range_that_is_none_is_refused_not_skipped(block: str) -> None:
    with pytest.raises(Unusable):
        admissible(["10.0.0.1"], [block])


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
mapped = st.ip_addresses(v=4).map(lambda plain: f"::ffff:{plain}")
blocks = st.builds(
    lambda plain, bits: (
        str(ipaddress.ip_network((int(plain), bits % (plain.max_prefixlen + 1)), strict=False))
        if plain.version == 6
        else str(ipaddress.IPv4Network((int(plain), bits % 33), strict=False))
    ),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    st.integers(0, 128),
)


@given(st.lists(st.one_of(addresses, mapped), max_size=5), st.lists(blocks, max_size=4))
def test_whatever_is_admitted_lies_in_a_range_by_plain_arithmetic(found: list[str], ranges: list[str]) -> None:
    admitted = admissible(found, ranges)
    meant = {_meaning(text) for text in found}
    for address in admitted:
        assert address in meant
        assert any(_covers(block, address) for block in ranges)
    if not ranges:
        assert admitted == ()


def _meaning(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    raw = ipaddress.ip_address(text)
    return ipaddress.IPv4Address(int(raw) & 0xFFFFFFFF) if raw.version == 6 and int(raw) >> 32 == 0xFFFF else raw


def _covers(block: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """A range covers an address when their leading bits agree, IPv4 counted as ::ffff:0:0/96."""
    base, _, bits = block.partition("/")
    wide = {4: 96, 6: 0}
    low = ipaddress.ip_address(base)
    length = int(bits) + wide[low.version]

    def spread(value: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
        return int(value) | (0xFFFF << 32 if value.version == 4 else 0)

    return spread(low) >> (128 - length) == spread(address) >> (128 - length)
