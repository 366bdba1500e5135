"""How fast an institution may send: a token bucket whose waiters are served fairly, without polling.

What it is not: a bound on memory. A session reads one request after the other, so each has one WRITE waiting at most.

A change must keep these:
1. Bytes are let through at the rate over any time longer than the burst; one request may overdraw the bucket, and the
   next waits for it.
2. Connections share by bytes, not by how much they ask for: who had least goes first (start-time fair queueing, Goyal,
   Vin and Cheng, SIGCOMM 1996). A connection that was silent saves nothing up.
3. A waiter that is cancelled, or whose connection went away, takes nothing and is not waited for.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

BURST = 1.0  # seconds of the rate that an idle bucket holds


class Timer(Protocol):
    """A loop's clock and alarm."""

    def time(self) -> float:
        """Seconds, monotonic."""

    def call_at(self, when: float, callback: Callable[[], None]) -> object:
        """Call at that time."""


@dataclass(eq=False)
class Lane:
    """A connection's place among those of its institution.

    Attributes:
        finish: Bytes of fair service up to which it was served.
        uploads: Files it is writing.
        active: When it last wrote, by the loop's clock.
        gone: Whether the connection went away: then nothing of it waits any more.
        turns: Its waiters.
    """

    finish: float = 0.0
    uploads: int = 0
    active: float = 0.0
    gone: bool = False
    turns: set[asyncio.Future[None]] = field(default_factory=set)

    def let_go(self) -> None:
        """The connection went away: what it still waits for is not sent to anybody."""
        self.gone = True
        for turn in self.turns:
            if not turn.done():
                turn.set_result(None)


class Bucket:
    """One institution's bandwidth in one process.

    Args:
        rate: Bytes a second.
        timer: The loop, or a test's.
    """

    def __init__(self, rate: int, timer: Timer) -> None:
        self._rate = rate
        self._timer = timer
        self._level: float = rate * BURST
        self._most = self._level
        self._at = timer.time()
        self._virtual = 0.0
        self._number = 0
        self._waiting: list[tuple[float, int, asyncio.Future[None], int]] = []
        self._alarm = False

    async def take(self, lane: Lane, size: int) -> None:
        """Return when the bytes may be taken in."""
        if lane.gone:
            return
        start = max(self._virtual, lane.finish)
        lane.finish = start + size
        self._fill()
        if not self._waiting and self._level > 0:
            self._spend(start, size)
            return
        turn = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._waiting, (start, self._number, turn, size))
        self._set_alarm()
        lane.turns.add(turn)
        try:
            await turn
        finally:
            lane.turns.discard(turn)

    def let_through(self) -> None:
        """Hold nobody back any more: the door closes."""
        self._level = self._most = math.inf
        self._ring()

    def _fill(self) -> None:
        now = self._timer.time()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now

    def _spend(self, start: float, size: int) -> None:
        self._virtual = start
        self._level -= size

    def _set_alarm(self) -> None:
        if not self._alarm and self._waiting:
            self._alarm = True
            # A little more than nothing has to be there; a clock's rounding must not make the alarm ring for nothing.
            self._timer.call_at(self._at + (1 - min(self._level, 0)) / self._rate, self._ring)

    def _ring(self) -> None:
        self._alarm = False
        self._fill()
        while self._waiting and self._level > 0:
            start, _, turn, size = heapq.heappop(self._waiting)
            if not turn.done():
                self._spend(start, size)
                turn.set_result(None)
        self._set_alarm()
