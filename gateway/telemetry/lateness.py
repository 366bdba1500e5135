"""How late the event loop is: what waits for it, a client's next byte or a probe, waits at least as long.

A change must keep these:
1. Ticks are due at fixed times, and every tick that was missed is told with its own lateness: a loop that stood still
   for a second tells of twenty late ticks, as twenty clients would, and not of one.
2. What one standstill tells is bounded: after a machine's sleep the count goes on from now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

EVERY: Final = 0.05
MOST: Final = 200  # ticks told of one standstill: ten seconds


@asynccontextmanager
async def watching_lateness(tell: Callable[[float], None], *, every: float = EVERY) -> AsyncIterator[None]:
    """Tell how many seconds late each tick was, until the block ends."""
    watching = asyncio.ensure_future(_watch(tell, every))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})  # not `await watching`: a cancelled caller would look like a cancelled watch
        if not watching.cancelled():
            watching.result()


async def _watch(tell: Callable[[float], None], every: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + every
    while True:
        await asyncio.sleep(due - loop.time())
        late, due = missed(due, loop.time(), every)
        for seconds in late:
            tell(seconds)


def missed(due: float, now: float, every: float) -> tuple[list[float], float]:
    """How late each tick is that was due by now, the first one at `due`, and when the next one is due."""
    ticks = 1 + max(0, int((now - due) / every))
    late = [max(0.0, now - due - number * every) for number in range(min(ticks, MOST))]
    return late, due + ticks * every
