"""What one institution uses of this process: open files, uploads, bandwidth; and what one session did, in numbers.

What it is not: bounds on what is stored (`core.intake.Limits`), or on connections (`server`).

A change must keep these:
1. What is taken is given back exactly once, however a session ends.
2. Nothing here is told to an observer for every request: sessions count in memory and tell it in bulk.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.doors.sftp.bandwidth import Bucket, Timer
from gateway.ports import Observer

TOLD_EVERY: Final = 1024  # requests


@dataclass
class Share:
    """An institution's use.

    Attributes:
        most_handles: Open files at once; 0 is no bound.
        most_uploads: Of them, files being written.
        bucket: Its bandwidth; None where there is no bound.
    """

    most_handles: int
    most_uploads: int
    bucket: Bucket | None
    handles: int = 0
    uploads: int = 0

    def take(self, *, upload: bool) -> str:
        """A file is about to be opened: empty where there is room for it, else the bound that is reached."""
        if self.most_handles and self.handles >= self.most_handles:
            return "handles"
        if upload and self.most_uploads and self.uploads >= self.most_uploads:
            return "uploads"
        self.handles += 1
        self.uploads += upload
        return ""

    def give(self, *, upload: bool) -> None:
        """It was closed, abandoned, or not opened after all."""
        self.handles -= 1
        self.uploads -= upload


class Shares:
    """The shares of all institutions in this process; registered ones only ask, so there are not many.

    Args:
        handles: Open files an institution; 0 is no bound.
        uploads: Files an institution writes at once; 0 is no bound.
        bandwidth: Bytes a second an institution; 0 is no bound.
    """

    def __init__(self, *, handles: int, uploads: int, bandwidth: int) -> None:
        self._handles = handles
        self._uploads = uploads
        self._bandwidth = bandwidth
        self._shares: dict[str, Share] = {}

    def of(self, institution: str, timer: Timer | None = None) -> Share:
        """The share of an institution."""
        share = self._shares.get(institution)
        if share is None:
            clock = timer or asyncio.get_running_loop()
            bucket = Bucket(self._bandwidth, clock) if self._bandwidth else None
            share = self._shares[institution] = Share(self._handles, self._uploads, bucket)
        return share

    def let_through(self) -> None:
        """The door closes: nobody waits for bandwidth any more."""
        for share in self._shares.values():
            if share.bucket is not None:
                share.bucket.let_through()


@dataclass
class Tally:
    """What a session did since it was last told.

    Attributes:
        observer: Whom to tell.
        requests: By kind and outcome.
        refusals: By reason.
        received: Bytes of WRITE requests that were taken.
        untold: Requests since then.
    """

    observer: Observer
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    received: int = 0
    untold: int = 0

    def answered(self, kind: str, outcome: str) -> None:
        """Count a request."""
        self.requests[kind, outcome] += 1
        self.untold += 1
        if self.untold >= TOLD_EVERY:
            self.tell()

    def tell(self) -> None:
        """Tell the observer, and begin again."""
        for (kind, outcome), count in sorted(self.requests.items()):
            self.observer.saw("sftp.answered", kind=kind, outcome=outcome, count=count, probe=True)
        for reason, count in sorted(self.refusals.items()):
            self.observer.saw("sftp.refused", reason=reason, count=count)
        if self.received:
            self.observer.saw("sftp.took", bytes=self.received, probe=True)
        self.requests.clear()
        self.refusals.clear()
        self.received = self.untold = 0
