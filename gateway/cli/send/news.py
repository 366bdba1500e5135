"""Word of a transfer while it happens: the gateway's event stream wakes whoever waits for it.

What it is not: a source. What an event says is not read; the transfer itself is asked for, as it is without a stream.

A change must keep these:
1. A gateway without a stream, or one that ends it, is polled: nobody waits for a word that does not come.
2. A stream that is silent is not believed for ever: the transfer is looked at every minute all the same.

Source: HTML Living Standard section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.cli.send.connection import NETWORK, Connection
from gateway.core.errors import GatewayError

QUICK: Final = 0.3  # seconds between looks at a transfer that moves by itself
SLOW: Final = 10.0
GROWTH: Final = 1.3
HEARD: Final = 60.0  # seconds between looks while a stream tells
BACK: Final = 2.0  # seconds until a stream that ended is asked for again


class News:
    """Waits until there may be something new. Made by `news_of`.

    Args:
        connection: To the gateway.
        transfer: The transfer's id.
    """

    def __init__(self, connection: Connection, transfer: str) -> None:
        self._connection = connection
        self._path = f"/v1/transfers/{transfer}/events"
        self._woken = asyncio.Event()
        self._telling = False
        self._pause = QUICK

    def moved(self) -> None:
        """It is in another state than before: look again soon."""
        self._pause = QUICK

    async def wait(self) -> None:
        """Until an event comes, or it is time to look."""
        pause = HEARD if self._telling else self._pause
        self._pause = min(self._pause * GROWTH, SLOW)
        resting = asyncio.ensure_future(self._connection.sleep(pause))
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({resting, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
            waking.cancel()
        self._woken.clear()

    async def listen(self) -> None:
        """Hear the stream for as long as the gateway has one."""
        while await self._heard():
            await self._connection.sleep(BACK)

    async def _heard(self) -> bool:
        """One stream to its end; False where there is none to come back to."""
        try:
            async for line in self._connection.lines(self._path):
                self._telling = True
                if line.startswith(b"data"):
                    self._woken.set()
        except NETWORK:
            return True
        except GatewayError:
            return False
        finally:
            self._telling = False
            self._woken.set()  # whoever waits for it polls from here on
        return True


@asynccontextmanager
async def news_of(connection: Connection, transfer: str) -> AsyncIterator[News]:
    """News of a transfer, heard in the background."""
    news = News(connection, transfer)
    listening = asyncio.ensure_future(news.listen())
    try:
        yield news
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
