"""The bucket under a clock of its own: rate, fairness, and waiters that give up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from gateway.doors.sftp.bandwidth import Bucket, Lane

RATE = 1000


class FakeTimer:
    """A loop's clock that moves from alarm to alarm."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.rang = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self.alarms.append((when, callback))

    async def run(self, until: float) -> None:
        """Ring every alarm up to a time, letting woken tasks go on between two."""
        await settle()
        while due := sorted(each for each in self.alarms if each[0] <= until)[:1]:
            when, callback = due[0]
            self.alarms.remove(due[0])
            assert when >= self.now
            self.now, self.rang = when, self.rang + 1
            callback()
            await settle()
        self.now = until


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def timer():
    return FakeTimer()


async def sender(bucket: Bucket, lane: Lane, size: int, sent: Counter[str], name: str) -> None:
    while True:
        await bucket.take(lane, size)
        sent[name] += size


@pytest.fixture
async def tasks():
    running: list[asyncio.Task[None]] = []
    yield running
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_burst_then_the_rate(timer, tasks):
    bucket, sent = Bucket(RATE, timer), Counter()
    tasks.append(asyncio.ensure_future(sender(bucket, Lane(), 100, sent, "a")))
    await timer.run(0.0)
    assert sent["a"] == 1000  # what an idle bucket holds
    await timer.run(10.0)
    assert sent["a"] == pytest.approx(1000 + 10 * RATE, abs=100)
    await timer.run(100.0)
    assert sent["a"] == pytest.approx(1000 + 100 * RATE, abs=100)


async def test_an_idle_bucket_saves_no_more_than_its_burst(timer):
    bucket = Bucket(RATE, timer)
    await timer.run(3600.0)
    taken = 0
    while True:
        task = asyncio.ensure_future(bucket.take(Lane(), 100))
        await settle()
        if not task.done():
            task.cancel()
            break
        taken += 100
    assert taken == 1000


async def test_a_request_larger_than_the_burst_is_paid_afterwards(timer):
    bucket = Bucket(RATE, timer)
    await bucket.take(Lane(), 5000)
    later = asyncio.ensure_future(bucket.take(Lane(), 1))
    await timer.run(3.9)
    assert not later.done()
    await timer.run(4.1)
    assert later.done()


async def test_connections_share_by_bytes_however_they_ask(timer, tasks):
    bucket, sent = Bucket(RATE, timer), Counter()
    await bucket.take(Lane(), 1000)
    greedy = Lane()
    tasks += [asyncio.ensure_future(sender(bucket, greedy, 400, sent, "greedy")) for _ in range(8)]
    tasks.append(asyncio.ensure_future(sender(bucket, Lane(), 50, sent, "modest")))
    await timer.run(400.0)
    assert sent["greedy"] == pytest.approx(200 * RATE, rel=0.02)
    assert sent["modest"] == pytest.approx(200 * RATE, rel=0.02)


async def test_who_comes_late_neither_waits_for_nor_catches_up_with_the_others(timer, tasks):
    bucket, sent = Bucket(RATE, timer), Counter()
    tasks.append(asyncio.ensure_future(sender(bucket, Lane(), 100, sent, "early")))
    await timer.run(100.0)
    before = sent["early"]
    tasks.append(asyncio.ensure_future(sender(bucket, Lane(), 100, sent, "late")))
    await timer.run(200.0)
    assert sent["late"] == pytest.approx(50 * RATE, rel=0.02)
    assert sent["early"] - before == pytest.approx(50 * RATE, rel=0.02)


async def test_a_waiter_that_gives_up_takes_nothing(timer):
    bucket = Bucket(RATE, timer)
    await bucket.take(Lane(), 1000)
    gone = [asyncio.ensure_future(bucket.take(Lane(), 1000)) for _ in range(5)]
    await settle()
    for task in gone:
        task.cancel()
    kept = asyncio.ensure_future(bucket.take(Lane(), 1))
    await timer.run(0.1)
    assert kept.done()


async def test_nothing_rings_while_nobody_waits(timer):
    bucket = Bucket(RATE, timer)
    await bucket.take(Lane(), 999)
    await timer.run(1000.0)
    assert timer.rang == 0
    await bucket.take(Lane(), 1000)
    waiting = [asyncio.ensure_future(bucket.take(Lane(), 1000)) for _ in range(3)]
    await timer.run(2000.0)
    assert all(task.done() for task in waiting)
    assert timer.rang == 3  # once for each, not once for each moment


async def test_a_door_that_closes_lets_everybody_through(timer):
    bucket = Bucket(RATE, timer)
    await bucket.take(Lane(), 10**9)
    waiting = [asyncio.ensure_future(bucket.take(Lane(), 10**9)) for _ in range(3)]
    await settle()
    bucket.let_through()
    await settle()
    assert all(task.done() for task in waiting)
    await bucket.take(Lane(), 10**9)
