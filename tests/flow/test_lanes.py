"""Lanes: no piece overtakes another, no piece is worked on twice at once, and after a failure nothing more is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest

from gateway.flow.lanes import Lane, through


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def piece(number: int) -> memoryview:
    return memoryview(bytes([number]))


def test_a_lane_works_in_order_and_in_one_thread_at_a_time(pool):
    seen: list[int] = []
    within = Lock()

    def work(each: memoryview) -> None:
        assert within.acquire(blocking=False), "two threads in one lane"
        seen.append(each[0])
        within.release()

    lane = Lane(work, pool)
    for end in [lane.put(piece(number)) for number in range(200)]:
        end.result(10)
    assert seen == list(range(200))


def test_pieces_that_come_while_one_is_in_work_follow_without_another_thread(pool):
    goes_on, began, seen = Event(), Event(), []

    def work(each: memoryview) -> None:
        seen.append(each[0])
        began.set()
        assert goes_on.wait(10)

    lane = Lane(work, pool)
    first = lane.put(piece(1))
    assert began.wait(10)
    second = lane.put(piece(2))
    assert seen == [1]
    goes_on.set()
    first.result(10)
    second.result(10)
    assert seen == [1, 2]


def test_after_a_failure_a_lane_does_nothing_more(pool):
    seen: list[int] = []

    def work(each: memoryview) -> None:
        seen.append(each[0])
        if each[0] == 2:
            raise OSError("the disk is full")

    lane = Lane(work, pool)
    ends = [lane.put(piece(number)) for number in range(1, 5)]
    ends[0].result(10)
    for end in ends[1:]:
        with pytest.raises(OSError, match="full"):
            end.result(10)
    assert seen == [1, 2]


async def test_a_failure_is_told_when_every_lane_is_done_with_the_piece(pool):
    goes_on, done = Event(), Event()

    def slow(_piece: memoryview) -> None:
        assert goes_on.wait(10)
        done.set()

    def broken(_piece: memoryview) -> None:
        raise OSError("the disk is full")

    underway = asyncio.ensure_future(through([Lane(broken, pool), Lane(slow, pool)], piece(1)))
    await asyncio.wait({underway}, timeout=0.01)
    assert not underway.done()
    goes_on.set()
    with pytest.raises(OSError, match="full"):
        await underway
    assert done.is_set()


def test_a_pool_that_is_shut_down_fails_what_is_put():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        Lane(lambda _piece: None, pool).put(piece(1)).result(10)


def test_what_waits_in_a_pool_that_is_shut_down_fails_and_does_not_wait_for_ever():
    goes_on = Event()
    pool = ThreadPoolExecutor(1)
    busy = pool.submit(goes_on.wait, 10)
    waits = Lane(lambda _piece: None, pool).put(piece(1))
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="ending"):
        waits.result(10)
    goes_on.set()
    assert busy.result(10)
