"""Pipelined requests against a server that answers out of order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import paramiko
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sftp.client import REQUEST_BYTES, WINDOW, Client, Refused
from tests.connectors.cargo import noise
from tests.connectors.shuffling_server import ShufflingServer


@pytest.fixture
def server() -> Iterator[ShufflingServer]:
    server = ShufflingServer()
    yield server
    server.stop()


@pytest.fixture
def client(server: ShufflingServer) -> Client:
    return Client(cast("paramiko.Channel", server.channel))


def test_answers_out_of_order_are_all_heard(server: ShufflingServer, client: Client) -> None:
    content = noise("x", 5_000_001)
    handle = client.open_new("f")
    pieces = [memoryview(content)[start : start + 700_000] for start in range(0, len(content), 700_000)]
    assert client.write(handle, 0, pieces) == len(content)
    client.close_handle(handle)
    assert bytes(server.content) == content
    assert 1 < server.largest <= WINDOW
    assert b"".join(client.read("f", 0, len(content))) == content


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 40_000), st.integers(0, 400_000), st.integers(3_000, 40_000))
def test_short_answers_are_completed_in_order(
    server: ShufflingServer, client: Client, offset: int, length: int, short: int
) -> None:
    server.content[:] = noise("short", 300_000)
    server.short = short
    assert b"".join(client.read("f", offset, length)) == server.content[offset : offset + length]
    assert b"".join(client.read("f", 0, 10)) == server.content[:10], "no answer is left over for the next request"


@pytest.mark.parametrize("back", [1, REQUEST_BYTES, 3 * REQUEST_BYTES])
def test_a_refusal_among_the_last_writes_is_heard(server: ShufflingServer, client: Client, back: int) -> None:
    """Paramiko's own pipelining ends without an error here."""
    content = noise("x", 20 * REQUEST_BYTES)
    server.refuse_write_at = len(content) - back
    with pytest.raises(Refused) as refused:
        client.write(client.open_new("f"), 0, [content])
    assert refused.value.code == 4


def test_an_early_refusal_ends_the_sending(server: ShufflingServer, client: Client) -> None:
    server.refuse_write_at, server.status = 0, 3
    asked: list[int] = []

    def content() -> Iterator[bytes]:
        for number in range(1_000):
            asked.append(number)
            yield noise("x", REQUEST_BYTES)

    with pytest.raises(Refused) as refused:
        client.write(client.open_new("f"), 0, content())
    assert refused.value.code == 3
    assert len(asked) <= 2 * WINDOW


@pytest.mark.parametrize(("code", "durable"), [(0, True), (8, False)])
def test_fsync_says_whether_there_is_one(server: ShufflingServer, client: Client, code: int, *, durable: bool) -> None:
    server.fsync_status = code
    assert client.sync(b"h") is durable


def test_a_failing_fsync_or_close_is_not_success(server: ShufflingServer, client: Client) -> None:
    server.fsync_status = server.close_status = 4
    with pytest.raises(Refused):
        client.sync(b"h")
    with pytest.raises(Refused):
        client.close_handle(b"h")


def test_a_file_that_shrank_ends_early_and_hangs_nobody(server: ShufflingServer, client: Client) -> None:
    server.content[:] = noise("x", 50_000)
    assert b"".join(client.read("f", 0, 4_000_000)) == server.content
