"""What an open transfer's own upload left in the vault, read again: to go on with it, to copy it, or for its sender to see.

What it is not: a way to read anything else. `intake` opens these for files of the caller's own open transfer, and records
each time; what was submitted is read by nobody here.

The rules:
1. Plaintext lives in memory, a run of segments at a time.
2. Every segment authenticates or nothing of its run is given out: a damaged one ends the reading there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.errors import BrokenPromise
from gateway.core.intake import Part
from gateway.ports import Spool
from gateway.wire import Malformed, crypt4gh

RUN: Final = 16  # segments read at a time: 1 MiB


@dataclass(frozen=True)
class Run:
    """Segments that follow one another, sealed and opened."""

    sealed: bytes
    plain: bytes


class Reread:
    """Sealed parts as plaintext. Blocking: for worker threads, one at a time.

    Args:
        spool: The vault.
        parts: In order; together whole segments but for the last.
        keys: Session keys they were sealed under.
    """

    def __init__(self, spool: Spool, parts: Sequence[Part], keys: Sequence[bytes]) -> None:
        self._spool = spool
        self._parts = tuple(parts)
        self._opener = crypt4gh.SegmentOpener(keys)
        self.size = crypt4gh.plain_size(sum(part.size for part in parts))

    def runs(self, first: int = 0, *, longest: int = RUN) -> Iterator[Run]:
        """Runs from a segment on, at most `longest` segments each.

        Raises:
            BrokenPromise: A segment does not open, or is missing.
        """
        skip = first * crypt4gh.CIPHER_SEGMENT
        for part in self._parts:
            if skip >= part.size:
                skip -= part.size
                continue
            yield from self._runs_of(part, skip, longest)
            skip = 0

    def _runs_of(self, part: Part, at: int, longest: int) -> Iterator[Run]:
        with self._spool.open(part.name) as source:
            source.seek(at)
            while at < part.size:
                wanted = min(longest * crypt4gh.CIPHER_SEGMENT, part.size - at)
                sealed = source.read(wanted)
                if len(sealed) < wanted:
                    raise BrokenPromise("a sealed part in the vault is shorter than what was received")
                at += wanted
                try:
                    yield Run(sealed, self._opener.open(sealed))
                except Malformed as wrong:
                    raise BrokenPromise("a sealed part in the vault does not open: it was altered") from wrong

    def read(self, offset: int, size: int) -> bytes:
        """Plaintext from `offset` on, at most `size` bytes and at most a run; empty at the end."""
        if offset >= self.size or size <= 0:
            return b""
        first = offset // crypt4gh.SEGMENT
        start = offset - first * crypt4gh.SEGMENT
        return next(self.runs(first)).plain[start : start + size]


def cut(parts: Sequence[Part], size: int) -> tuple[Part, ...]:
    """The parts of which the first `size` sealed bytes are made, the last one with fewer bytes that count."""
    kept: list[Part] = []
    for part in parts:
        if size <= 0:
            break
        kept.append(Part(part.name, min(part.size, size)))
        size -= part.size
    return tuple(kept)
