"""Bytes of a file with random access: plain, sealed in the vault, or a member of another file in memory.

What it is not: a path. A parser never learns where its bytes lie.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import BinaryIO, Final, Protocol

from gateway.wire import Malformed, crypt4gh

RUN: Final = 16  # segments opened at a time: 1 MiB
RUNS: Final = 8  # runs kept in memory
_SPANS: Final = 100_000  # touched ranges told apart; past it neighbours are joined only where they touch


class Store(Protocol):
    """Something that bytes can be read from at any place."""

    size: int

    def pread(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; fewer only at the end of what is at hand, none past it."""


class FileStore:
    """A plain file by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def pread(self, offset: int, size: int) -> bytes:
        """Straight from the system."""
        return os.pread(self._descriptor, size, offset)


class MemoryStore:
    """Bytes in memory."""

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._content = memoryview(content)
        self.size = len(self._content)

    def pread(self, offset: int, size: int) -> bytes:
        """A slice."""
        return bytes(self._content[offset : offset + size])


class SealedStore:
    """A file in the vault: parts of whole Crypt4GH segments, opened a run at a time.

    Args:
        parts: (descriptor, sealed bytes that count), in order; all but the last are whole segments.
        keys: Session keys they were sealed under.

    Raises:
        Malformed: A length ends inside a segment, or a segment does not open.
    """

    def __init__(self, parts: Sequence[tuple[int, int]], keys: Sequence[bytes]) -> None:
        self._parts = tuple(parts)
        self._opener = crypt4gh.SegmentOpener(keys)
        self.size = crypt4gh.plain_size(sum(size for _, size in parts))
        self._runs: OrderedDict[int, bytes] = OrderedDict()

    def pread(self, offset: int, size: int) -> bytes:
        """From the run that holds `offset`."""
        if offset >= self.size:
            return b""
        number, start = divmod(offset, RUN * crypt4gh.SEGMENT)
        return self._run(number)[start : start + size]

    def _run(self, number: int) -> bytes:
        kept = self._runs.get(number)
        if kept is not None:
            self._runs.move_to_end(number)
            return kept
        run = self._opener.open(self._sealed(number * RUN * crypt4gh.CIPHER_SEGMENT, RUN * crypt4gh.CIPHER_SEGMENT))
        self._runs[number] = run
        if len(self._runs) > RUNS:
            self._runs.popitem(last=False)
        return run

    def _sealed(self, at: int, wanted: int) -> bytes:
        pieces = []
        for descriptor, size in self._parts:
            if at >= size:
                at -= size
                continue
            while wanted and at < size:
                piece = os.pread(descriptor, min(wanted, size - at), at)
                if not piece:
                    raise Malformed("a sealed part is shorter than what was received")
                pieces.append(piece)
                at, wanted = at + len(piece), wanted - len(piece)
            at = 0
        return b"".join(pieces)


class Source(io.RawIOBase):
    """A file to parse: reads and seeks like one, and remembers which bytes were asked for.

    Attributes:
        size: Bytes of the file.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.size = store.size
        self._at = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a place before the beginning is a ValueError, as of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed asks for any buffer
        """Fill the buffer; fewer bytes only at the end of the file."""
        got = self.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end of the file; all that are left for a negative size."""
        wanted = self.size - self._at if size is None or size < 0 else min(size, self.size - self._at)
        pieces = []
        start = self._at
        while wanted > 0:
            piece = self._store.pread(self._at, wanted)
            if not piece:
                break
            pieces.append(piece)
            self._at += len(piece)
            wanted -= len(piece)
        self._touch(start, self._at)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def touched(self) -> list[tuple[int, int]]:
        """Ranges [start, end) that were read, in order.

        What a library read is not by itself what it interpreted: use it where it reads only what structures refer to.
        """
        return list(zip(self._starts, self._ends, strict=True))

    def forget(self) -> None:
        """Take nothing that was read so far as touched."""
        self._starts, self._ends = [], []

    def _touch(self, start: int, end: int) -> None:
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        if len(self._starts) < _SPANS or low < high:
            self._starts[low:high] = [start]
            self._ends[low:high] = [end]


class Stream(io.RawIOBase):
    """A member as it is decompressed: forward only, with its head put back.

    Attributes:
        read_so_far: Bytes given out.
    """

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._rest = rest
        self.read_so_far = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Bytes given out."""
        return self.read_so_far

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed asks for any buffer
        """Some bytes; none at the end."""
        got = self.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, none at the end; all that are left for a negative size (bounded by the budget)."""
        if size is None or size < 0:
            piece = self._head + self._rest.read()
            self._head = b""
        elif self._head:
            piece, self._head = self._head[:size], self._head[size:]
        else:
            piece = self._rest.read(size)
        self.read_so_far += len(piece)
        return piece
