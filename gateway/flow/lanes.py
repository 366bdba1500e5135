"""What is done with the pieces of an upload side by side: each kind of work in the order of the pieces, in one thread at a time.

What it is not: the work (`upload`), or the memory pieces are in (`pieces`).

The rules:
1. A lane never overtakes itself, and goes on with its next piece without asking the event loop: a turn of the loop and of the
   interpreter's lock between every two pieces cost as much as the work.
2. After a piece that failed, a lane does nothing more: whoever waits for a later piece gets the same failure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from threading import Lock

Work = Callable[[memoryview], None]


class Lane:
    """One kind of work. `put` is for one thread, the event loop's.

    Args:
        work: Done with each piece, in a worker thread.
        pool: Worker threads.
    """

    def __init__(self, work: Work, pool: Executor) -> None:
        self._work = work
        self._pool = pool
        self._waiting = deque[tuple[memoryview, Future[None]]]()
        self._lock = Lock()
        self._going = False
        self._failure: BaseException | None = None

    def put(self, piece: memoryview) -> Future[None]:
        """Work on a piece after those before it; done when that is."""
        done = Future[None]()
        done.set_running_or_notify_cancel()  # whoever waits for it may go away, and the work is done all the same
        with self._lock:
            self._waiting.append((piece, done))
            if self._going:
                return done
            self._going = True
        try:
            self._pool.submit(self._go).add_done_callback(self._given_up)
        except RuntimeError as ending:  # the pool is shut down with the process
            self._failure = ending
            self._go()
        return done

    def _given_up(self, turn: Future[None]) -> None:
        """Where a pool that is shut down threw the turn away, nobody waits for ever."""
        if turn.cancelled():
            self._failure = RuntimeError("the gateway is ending")
            self._go()

    def _go(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._going = False
                    return
                piece, done = self._waiting.popleft()
            try:
                if self._failure is None:
                    self._work(piece)
            except BaseException as failure:  # noqa: BLE001  # handed to whoever waits
                self._failure = failure
            del piece  # nobody's bytes are held by who waits for the next
            if self._failure is None:
                done.set_result(None)
            else:
                done.set_exception(self._failure)


async def through(lanes: Sequence[Lane], piece: memoryview) -> None:
    """Have every lane work on a piece; returns, or raises the first failure, when none of them works on it any more."""
    ends = [asyncio.wrap_future(lane.put(piece)) for lane in lanes]
    for end in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(end, BaseException):
            raise end
