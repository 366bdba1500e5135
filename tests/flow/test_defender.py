"""The defender: what is counted, who is banned, and that every process sees it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import NotFound, StoreError, Unusable
from gateway.flow import defender as module
from gateway.flow.defender import Defence, Defender, counted_as, parse_networks, parse_remote
from tests.fakes.clock import FakeClock
from tests.fakes.observer import FakeObserver
from tests.fakes.records import FakeRecords

BAD = "192.0.2.7"


class World:
    """Two processes over one database."""

    def __init__(self, **about) -> None:
        self.records, self.clock, self.observer = FakeRecords(), FakeClock(), FakeObserver()
        defence = Defence(**{"failures": 3, **about})
        self.one, self.two = (
            Defender(records=self.records, clock=self.clock, observer=self.observer, defence=defence) for _ in range(2)
        )

    def fail(self, remote: str = BAD, times: int = 3) -> None:
        for _ in range(times):
            self.one.failed(remote, "sftp")


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    ("remote", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", ""),
        ("192.0.2.7:22", ""),
    ],
)
def test_what_an_address_is_counted_as(remote, counted):
    assert counted_as(remote) == counted


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_customers_whole_prefix_is_one(address, interface):
    other = type(address)(int(address) >> 64 << 64 | interface)
    if address.ipv4_mapped is None and other.ipv4_mapped is None:
        assert counted_as(str(address)) == counted_as(str(other))
        assert parse_remote(counted_as(str(address))) == counted_as(str(address))


@pytest.mark.parametrize("text", ["", "host", "192.0.2.0/24", "192.0.2.7/64", "2001:db8::/48", "1.2.3"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(Unusable):
        parse_remote(text)


@pytest.mark.parametrize("text", ["192.0.2.1/24", "x", "10.0.0.0/8 300.0.0.0/8"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(Unusable, match="is no network"):
        parse_networks(text)


async def test_the_failure_that_is_too_many_bans_at_once(world):
    world.fail(times=2)
    assert not world.one.banned(BAD)
    world.fail(times=1)
    assert world.one.banned(BAD) == 3600
    assert not world.one.banned("192.0.2.8")
    assert world.observer.of("login.failed") == [{"door": "sftp", "remote": BAD}] * 3
    assert world.observer.of("address.banned") == [{"door": "sftp", "remote": BAD, "seconds": 3600.0}]


async def test_failures_count_within_the_window_only(world):
    world.fail(times=2)
    world.clock.advance(minutes=10)
    world.fail(times=2)
    assert not world.one.banned(BAD)
    world.clock.advance(minutes=9, seconds=59)
    world.fail(times=1)
    assert world.one.banned(BAD)


async def test_a_sign_in_clears_the_count(world):
    world.fail(times=2)
    world.one.succeeded(BAD)
    world.fail(times=2)
    assert not world.one.banned(BAD)


async def test_a_ban_ends(world):
    world.fail()
    await world.one.refresh()
    world.clock.advance(minutes=59, seconds=59, milliseconds=900)
    assert world.one.banned(BAD) == 1
    world.clock.advance(milliseconds=100)
    assert world.one.banned(BAD) == 0
    world.fail(times=2)
    assert world.one.banned(BAD) == 0  # it began again from nothing


async def test_every_process_sees_a_ban_and_its_end(world):
    world.two.failed(BAD, "https")
    world.fail()
    await world.one.refresh()
    assert not world.two.banned(BAD)
    await world.two.refresh()
    assert world.two.banned(BAD)
    assert await world.two.lift(BAD) == BAD
    await world.one.refresh()
    assert not world.one.banned(BAD)
    await world.two.refresh()
    world.two.failed(BAD, "https")
    world.two.failed(BAD, "https")
    assert not world.two.banned(BAD)  # what it had counted before the ban is forgiven with it


async def test_operators_ban_and_lift(world):
    ban = await world.one.ban("2001:db8::5", timedelta(hours=2), "scanning")
    assert (ban.remote, ban.until - ban.at) == ("2001:db8::/64", timedelta(hours=2))
    assert await world.two.standing() == [ban]
    await world.two.refresh()
    assert world.two.banned("2001:db8::ffff") == 7200
    assert await world.two.lift("2001:db8::/64") == "2001:db8::/64"
    with pytest.raises(NotFound, match="is not banned"):
        await world.two.lift("2001:db8::/64")
    for length in (timedelta(), timedelta(days=4000)):
        with pytest.raises(Unusable, match="a ban lasts"):
            await world.one.ban(BAD, length, "")


async def test_exempt_networks_are_never_banned():
    world = World(exempt=parse_networks("192.0.2.0/24, 2001:db8::/32"))
    for remote in (BAD, "2001:db8:5::1", "::ffff:192.0.2.9"):
        world.fail(remote, times=10)
        assert not world.one.banned(remote)
        with pytest.raises(Unusable, match="exempt"):
            await world.one.ban(remote, timedelta(hours=1), "")
    world.fail("198.51.100.1")
    assert world.one.banned("198.51.100.1")
    assert len(world.observer.of("login.failed")) == 33


async def test_an_exemption_lets_in_who_was_banned_before(world):
    world.fail()
    await world.one.refresh()
    later = Defender(
        records=world.records, clock=world.clock, observer=world.observer, defence=Defence(exempt=parse_networks(BAD))
    )
    await later.refresh()
    assert not later.banned(BAD)


async def test_without_a_bound_nobody_is_banned():
    world = World(failures=0)
    world.fail(times=100)
    assert not world.one.banned(BAD)


async def test_memory_is_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 4)
    for number in range(10):
        world.fail(f"192.0.2.{number}", times=2)
    world.fail("192.0.2.0", times=1)
    assert not world.one.banned("192.0.2.0")  # its first failures were forgotten
    world.fail("192.0.2.9", times=1)
    assert world.one.banned("192.0.2.9")
    for number in range(10):
        world.fail(f"198.51.100.{number}")
    assert [bool(world.one.banned(f"198.51.100.{number}")) for number in range(10)] == [False] * 6 + [True] * 4


async def test_a_database_that_is_away_loses_no_ban(world, monkeypatch):
    @asynccontextmanager
    async def away():
        raise StoreError("away")
        yield

    monkeypatch.setattr(world.records, "write", away)
    world.fail()
    with pytest.raises(StoreError):
        await world.one.refresh()
    assert world.one.banned(BAD)
    monkeypatch.undo()
    await world.one.refresh()
    await world.two.refresh()
    assert world.two.banned(BAD)


async def test_watching_writes_at_once_and_tells_what_goes_wrong(world, monkeypatch):
    monkeypatch.setattr(module, "REFRESH", 3600)  # the next look at the list is too late
    written = asyncio.Event()
    world.records.before_commit = written.set
    async with world.one.watching():
        world.fail()
        async with asyncio.timeout(60):
            await written.wait()
    assert [ban.remote for ban in await world.two.standing()] == [BAD]

    @asynccontextmanager
    async def broken():
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(world.records, "read", broken)
    async with world.two.watching():
        pass
    assert world.observer.of("defender.mistaken") == [{"error": "ZeroDivisionError"}]


async def test_what_was_decided_last_is_written_when_the_gateway_stops(world):
    async with world.one.watching():
        world.fail()
    assert [ban.remote for ban in await world.two.standing()] == [BAD]
