"""Bytes appended to a new file: small ones through the page cache, large ones past it.

What it is not: durable. Whoever appends flushes, and then syncs the file.

Why past it: what is sealed is written once, synced, and read again much later or never. Through the page cache it costs a
second copy and the search for free pages (0.2 to 1.9 CPU seconds a GiB where that was measured, against 0.05 to 0.1), pushes
out what others have there, and leaves the last sync to wait for all of it at once.

A change must keep these:
1. Every byte handed over is in the file after `flush`, in order; before it up to `BLOCK` bytes may be in memory only.
2. Where the file system cannot do without the page cache, it is used, and nobody notices.

Source: open(2), O_DIRECT: offset, length and memory are aligned to the device's logical blocks. 4,096 bytes fit all in use.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from typing import Final

BLOCK: Final = 1 << 20
LEAST: Final = BLOCK // 2
"""A file whose first write is smaller goes through the page cache: it will not be large."""
_PAST_CACHE: Final = getattr(os, "O_DIRECT", 0)  # not every system has it


class Appending:
    """Appends to a file that is open for writing and empty; not for use by two threads at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._block: mmap.mmap | None = None  # whole pages, as the system wants them
        self._filled = 0
        self._begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append; raises OSError."""
        if not self._begun:
            self._begun = True
            if len(data) >= LEAST and self._past_cache(wanted=True):
                self._block = mmap.mmap(-1, BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with memoryview(data) as view, view.cast("B") as rest:
            if self._block is None:
                self._put(rest)
            else:
                self._collect(self._block, rest)

    def _collect(self, block: mmap.mmap, data: memoryview) -> None:
        at = 0
        while at < len(data):
            taken = min(BLOCK - self._filled, len(data) - at)
            block[self._filled : self._filled + taken] = data[at : at + taken]
            self._filled += taken
            at += taken
            if self._filled == BLOCK:
                self._put_block(block)

    def _put_block(self, block: mmap.mmap) -> None:
        with memoryview(block) as whole:
            try:
                written = os.write(self._descriptor, whole)
            except OSError as refused:
                if refused.errno != errno.EINVAL:
                    raise
                written = 0  # a file system that takes the flag and not what follows from it
            if written < BLOCK:
                self._past_cache(wanted=False)
                self._put(whole[written:])
                self._past_cache(wanted=written > 0)
        self._filled = 0

    def flush(self) -> None:
        """Return once everything is the file's; what is appended from now on goes through the page cache. Raises OSError."""
        if self._block is None:
            return
        block, self._block = self._block, None
        self._past_cache(wanted=False)
        with memoryview(block) as whole:
            self._put(whole[: self._filled])

    def _put(self, rest: memoryview) -> None:
        at = 0
        while at < len(rest):
            at += os.write(self._descriptor, rest[at:])

    def _past_cache(self, *, wanted: bool) -> bool:
        """Whether the page cache is passed by from now on, as far as the file system can."""
        if not _PAST_CACHE:
            return False
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & ~_PAST_CACHE
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | (_PAST_CACHE if wanted else 0))
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            return False
        return wanted
