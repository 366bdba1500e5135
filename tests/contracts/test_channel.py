"""What every channel promises, run against the real one and the fake."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from connectors.channel import BoundChannel
from gateway.core.errors import EndpointError
from gateway.ports import Channel
from tests.fakes.channel import FakeChannel

Make = Callable[[Mapping[str, Sequence[str]]], Channel]


def bound(names: Mapping[str, Sequence[str]]) -> Channel:
    return BoundChannel(resolve=lambda host, _: names.get(host, [host]))


@pytest.fixture(params=[bound, FakeChannel])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"])
@pytest.mark.parametrize("block", ["127.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0"])
def test_connects_inside_the_ranges(make: Make, port: int, address: str, block: str) -> None:
    with make({"hk.example": [address]}).connect("hk.example", port, ranges=[block], timeout=5) as sock:
        assert sock.getpeername()[:2] == ("127.0.0.1", port)
        assert sock.gettimeout() == 5


@pytest.mark.parametrize(
    ("addresses", "ranges"),
    [
        (["127.0.0.1"], []),
        (["127.0.0.1"], ["10.0.0.0/8"]),
        (["127.0.0.1"], ["127.0.0.2/32", "128.0.0.0/1"]),
        (["127.0.0.1"], ["::/0"]),
        (["::1"], ["0.0.0.0/0"]),
        (["::ffff:127.0.0.1"], ["::/0"]),
        (["::ffff:127.0.0.1"], ["10.0.0.0/8"]),
        (["203.0.113.9", "127.0.0.1"], ["10.0.0.0/8", "192.0.2.0/24"]),
    ],
)
def test_refuses_what_lies_outside_for_good(
    make: Make, port: int, addresses: Sequence[str], ranges: Sequence[str]
) -> None:
    with pytest.raises(EndpointError) as refused:
        make({"hk.example": addresses}).connect("hk.example", port, ranges=ranges, timeout=5)
    assert (refused.value.retry, refused.value.code) == (False, "outside-ranges")


def test_an_endpoint_that_does_not_answer_may_be_tried_again(make: Make) -> None:
    with pytest.raises(EndpointError) as refused:
        make({}).connect("127.0.0.1", free_port(), ranges=["127.0.0.0/8"], timeout=5)
    assert (refused.value.retry, refused.value.code) == (True, "unreachable")
