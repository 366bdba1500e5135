"""How late the event loop is, told tick by tick."""

from __future__ import annotations

import asyncio

import pytest

from gateway.telemetry.lateness import MOST, missed, watching_lateness


@pytest.mark.parametrize(
    ("due", "now", "late", "then"),
    [
        (1.0, 1.0, [0.0], 1.25),
        (1.0, 1.125, [0.125], 1.25),
        (1.0, 1.25, [0.25, 0.0], 1.5),
        (1.0, 2.0, [1.0, 0.75, 0.5, 0.25, 0.0], 2.25),
        (1.0, 0.875, [0.0], 1.25),  # a timer may fire a little before its time
    ],
)
def test_every_tick_that_was_missed_is_told_with_its_own_lateness(due, now, late, then):
    assert missed(due, now, 0.25) == (late, then)


def test_a_long_sleep_of_the_machine_tells_a_bounded_number():
    late, due = missed(0.0, 1e6, 0.25)
    assert len(late) == MOST
    assert due > 1e6


async def test_a_loop_that_was_held_up_tells_so_until_the_watch_ends():
    told: list[float] = []
    held = asyncio.Event()

    def tell(seconds: float) -> None:
        told.append(seconds)
        held.set()

    async with watching_lateness(tell, every=0.01):
        async with asyncio.timeout(60):
            await held.wait()  # it watches
        held.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.1
        while loop.time() < until:  # nothing else runs meanwhile
            pass
        async with asyncio.timeout(60):
            await held.wait()
    assert max(told) >= 0.08
    assert len(told) >= 9
    count = len(told)
    await asyncio.sleep(0)
    assert len(told) == count


async def test_what_breaks_the_watch_is_not_lost():
    def broken(_seconds: float) -> None:
        raise RuntimeError("broken")

    failed = asyncio.Event()

    async def watched() -> None:
        async with watching_lateness(lambda seconds: (failed.set(), broken(seconds)), every=0.001):
            await failed.wait()

    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(watched(), 60)
