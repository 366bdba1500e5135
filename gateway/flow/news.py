"""News as they come: the states of a transfer, or of all an institution's, and how far its uploads are.

The rules:
1. The database is the truth: news are read from the ledger behind a position, so a stream can break off anywhere, go on
   anywhere, through any worker, and tells everything once, in order.
2. Facts of this process wake a stream, those of others are found within a second. No stream asks more often than ten times
   a second, whatever happens.
3. Progress is of the moment: files that are recorded, and what this process is receiving. It is told when it changed.
4. Whoever may not see a transfer cannot follow it; a permission is asked for at the beginning, and the door asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from gateway.core.errors import Unusable
from gateway.core.identity import Permission, Principal
from gateway.core.news import News, news_of
from gateway.core.transfer import State, Transfer
from gateway.flow.enquiry import Enquiry, require
from gateway.flow.recorder import Recorder

INTERVAL = 1.0  # seconds between looks when nothing woke the stream
WINDOW = 2_000  # ledger entries looked through at once
PACE = 0.1  # seconds between looks of a stream, however much happens
FRESH = 0.2  # seconds for which all streams share one look at the ledger's size


@dataclass(frozen=True)
class Progress:
    """How far a transfer's uploads are.

    Attributes:
        transfer: Its id.
        files: Files received whole.
        bytes: Their bytes.
        uploads: Files this process is receiving.
        upload_bytes: Bytes of them so far.
    """

    transfer: str
    files: int
    bytes: int
    uploads: int
    upload_bytes: int


class Ledgerwatch:
    """Knows how long the ledger is, however many ask."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._size = 0
        self._asked = float("-inf")

    async def size(self, *, fresh: bool = True) -> int:
        """Entries in the ledger; `fresh` asks the database in any case."""
        now = asyncio.get_running_loop().time()
        if fresh or now - self._asked >= FRESH:
            self._asked = now
            async with self._recorder.records.read() as view:
                self._size = await view.tree_size()
        return self._size

    async def moved(self, seen: int, within: float) -> int:
        """The ledger's size once it is above what was seen, or after that time."""
        await asyncio.sleep(min(PACE, within))  # facts of all transfers wake all streams
        if (size := await self.size(fresh=False)) > seen:
            return size
        async with self._recorder.changed:
            try:
                await asyncio.wait_for(self._recorder.changed.wait(), within)
            except TimeoutError:
                woken = False
            else:
                woken = True
        return await self.size(fresh=woken)


class Newsroom:
    """Gives streams of news.

    Args:
        recorder: Where facts are recorded.
        enquiry: Who may see what.
        received: By transfer, the files this process is receiving and their bytes so far.
        interval: Seconds between looks.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        enquiry: Enquiry,
        received: Callable[[str], tuple[int, int]],
        interval: float = INTERVAL,
    ) -> None:
        self._recorder = recorder
        self._enquiry = enquiry
        self._received = received
        self._interval = interval
        self._watch = Ledgerwatch(recorder)

    async def of_transfer(
        self, principal: Principal, transfer_id: str, after: int = -1
    ) -> AsyncGenerator[News | Progress | None]:
        """A transfer's news from after a position on, and its progress; ends with the news of its end.

        None comes when nothing did, at least once an interval: the door then looks whether anybody listens still.

        Raises:
            NotFound: There is no such transfer for this principal.
            Unusable: Nothing has that position yet.
        """
        transfer = await self._enquiry.transfer(principal, transfer_id)
        await self._check(after)
        told: Progress | None = None
        seen = 0
        while True:
            async with self._recorder.records.read() as view:
                size, entries = await view.tree_size(), await view.entries_after(transfer_id, after, WINDOW)
                transfer = await view.transfer(transfer_id) or transfer
            for each in _news(entries):
                yield each
                if each.last:
                    return
            after = entries[-1][0] if entries else after
            if transfer.ended_at is not None and transfer.last_entry <= after:
                return  # the end was told before this stream began
            told, before = self._progress(transfer), told
            yield told if told != before else None
            seen = max(seen, size)
            await self._watch.moved(seen, self._interval)

    async def of_institution(self, principal: Principal, after: int | None = None) -> AsyncGenerator[News | None]:
        """News of all transfers of the principal's institution, from after a position on (None: from now on); no end.

        Raises:
            NotPermitted: The principal may not read transfers.
            Unusable: Nothing has that position yet.
        """
        require(principal, Permission.TRANSFERS_READ)
        size = await self._check(-1 if after is None else after)
        start = size if after is None else after + 1
        yield None
        while True:
            stop = min(start + WINDOW, size)
            async with self._recorder.records.read() as view:
                entries = await view.entries_of_institution(principal.institution, start, stop)
            for each in _news(entries):
                yield each
            start = stop
            if start == size:
                yield None
                size = await self._watch.moved(size, self._interval)

    async def _check(self, after: int) -> int:
        size = await self._watch.size()
        if after >= size:
            raise Unusable("nothing has happened under this Last-Event-ID: begin without one", code="bad-header")
        return size

    def _progress(self, transfer: Transfer) -> Progress | None:
        if transfer.state is not State.OPEN:
            return None
        uploads, size = self._received(transfer.id)
        return Progress(transfer.id, transfer.files, transfer.bytes, uploads, size)


def _news(entries: Sequence[tuple[int, bytes]]) -> list[News]:
    """News of states; that a transfer waits longer than it should came to nothing that a stream would show."""
    found = (news_of(index, body) for index, body in entries)
    return [each for each in found if each is not None and not each.event]
