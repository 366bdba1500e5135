"""The pass: one file's bytes are digested, inspected, encrypted and spooled while they arrive.

The rules:
1. Plaintext lives in memory only, at most three pieces of it a file and what the classifier still reads; what reaches the
   spool is Crypt4GH segments.
2. The three lanes of a piece (digest; inspection; encryption, ciphertext digest and write) run in worker threads at the
   same time, while the next piece is received; a lane may be one piece behind the others (`AHEAD`). A slow lane slows the
   sender; memory stays flat (`pieces`).
3. The session key is fresh, its nonces come from the system's generator, and only its sealed form outlives the upload:
   the door holds the public half of the vault key alone.
4. `suspend` returns only when the part is durable, and so does whoever `finish`es; only then may a row or a fact rely on it.
5. What an earlier run of the same upload left in the vault is digested and inspected again from there, in one pass with
   what comes now, and not written again: no state of a digest or a classifier is ever stored.

When a step fails: any lane -> the upload is aborted, its part removed, nothing recorded; the sender sends the file again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Final, TypeVar

from blake3 import blake3

from gateway.core.classify import FileFindings
from gateway.core.intake import Part, ReceivedFile
from gateway.flow.lanes import Lane, through
from gateway.flow.pieces import PIECE, Pieces
from gateway.flow.reread import Run
from gateway.ports import Classifying, Clock, Entropy, SpoolWriter
from gateway.wire import crypt4gh

_SMALL = crypt4gh.SEGMENT  # below this, three threads cost more than they save
AHEAD: Final = 2  # pieces of an upload that are in work
_NONCE = 12
_WRITER_KEY = 32  # X25519
WRITER_HEADERS: Final = 256
WRITER_SECONDS: Final = 10

T = TypeVar("T")


@dataclass(frozen=True)
class Passed:
    """What the pass made of a file; `written` are the sealed bytes of the new part, all others were there before."""

    size: int
    sha256: bytes
    body_size: int
    body_blake3: bytes
    findings: FileFindings
    written: int

    def received(self, path: str, number: int, parts: tuple[Part, ...]) -> ReceivedFile:
        """The file as the transfer keeps it."""
        return ReceivedFile(path, number, self.size, self.sha256, self.body_blake3, self.body_size, parts)


class VaultSealer:
    """Makes Crypt4GH headers with session keys for the vault, written under ephemeral keys that nobody keeps. Thread-safe.

    A writer's key serves `WRITER_HEADERS` headers and `WRITER_SECONDS`, whichever ends first: agreeing on a key costs more
    than all else that a small file needs, and whoever reads this memory reads the session keys of that moment anyway.
    """

    def __init__(self, vault_public: bytes, entropy: Entropy, clock: Clock) -> None:
        self._vault_public = vault_public
        self._entropy = entropy
        self._clock = clock
        self._sealer: crypt4gh.HeaderSealer | None = None
        self._since = clock.now()
        self._made = 0

    def seal(self, key: bytes) -> bytes:
        """A header with one session key."""
        now = self._clock.now()
        old = not timedelta(0) <= now - self._since < timedelta(seconds=WRITER_SECONDS)
        if self._sealer is None or old or self._made >= WRITER_HEADERS:
            self._sealer = crypt4gh.HeaderSealer(self._vault_public, self._entropy.token(_WRITER_KEY))
            self._since, self._made = now, 0
        self._made += 1
        return self._sealer.seal([key], [self._entropy.token(_NONCE)])


class Pass:
    """One file on its way in. Not for use by two tasks at once.

    Args:
        classifier: A fresh one for this file.
        create: Makes the part in the spool, when there is something to write.
        key: The session key, 32 bytes.
        entropy: Where nonces come from.
        pool: Worker threads shared by all uploads.
        pieces: Memory shared by all uploads.
    """

    def __init__(
        self,
        *,
        classifier: Classifying,
        create: Callable[[], SpoolWriter],
        key: bytes,
        entropy: Entropy,
        pool: Executor,
        pieces: Pieces,
    ) -> None:
        self._classifier = classifier
        self._create = create
        self.writer: SpoolWriter | None = None
        self._opening = Lock()
        self._prepared: Future[None] | None = None
        self._sealer = crypt4gh.SegmentSealer(key)
        self._entropy = entropy
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self._blake3 = blake3()
        self._pieces = pieces
        self._first = bytearray()  # of a piece that has not begun: a small file takes none
        self._filling: bytearray | None = None
        self._held = 0  # bytes of either
        self._lanes = [Lane(work, pool) for work in (self._digest, self._inspect, self._seal)]
        self._underway = deque[asyncio.Future[None]]()  # pieces in work, oldest first
        self._taken_back = 0
        self._written = 0
        self.size = 0

    def prepare(self) -> None:
        """Make the part soon, ahead of the first byte: a small file then waits for its own bytes to be durable alone."""
        if self.writer is None and self._prepared is None:
            self._prepared = self._pool.submit(lambda: self._opened().enter())

    async def hold(self) -> None:
        """Make the part at once, so that every process can see that its writer lives."""
        await self._run(self._opened)

    async def feed(self, chunk: crypt4gh.Buffer) -> None:
        """Take bytes as they arrive, of any length; returns when there is room for more. Nobody may change them later."""
        self.size += len(chunk)
        rest = memoryview(chunk)
        while not self._held and len(rest) >= PIECE:  # a piece as it is
            await self._start(rest[:PIECE])
            rest = rest[PIECE:]
        while rest:
            rest = rest[self._keep(rest) :]
            if self._filling is not None and self._held == len(self._filling):
                await self._begin()

    def _keep(self, chunk: memoryview) -> int:
        """Copy what there is room for; returns how much that was."""
        if self._filling is None:
            if self._held + len(chunk) <= _SMALL:
                self._first += chunk
                self._held += len(chunk)
                return len(chunk)
            self._filling, first, self._first = self._pieces.take(), self._first, bytearray()
            self._filling[: len(first)] = first
        kept = min(len(chunk), len(self._filling) - self._held)
        self._filling[self._held : self._held + kept] = chunk[:kept]
        self._held += kept
        return kept

    async def _begin(self) -> None:
        """Work on what is held, whose memory is given back when that is done."""
        piece, own = self._taken()
        await self._start(piece, own)

    def _taken(self) -> tuple[memoryview, bytearray | None]:
        """What was held, which is held no more, and the piece it is in, if there is one."""
        own, first, held = self._filling, self._first, self._held
        self._filling, self._first, self._held = None, bytearray(), 0
        return memoryview(first if own is None else own)[:held], own

    async def take_back(self, runs: Iterator[Run], upto: int) -> int:
        """Begin with what is in the vault already: plaintext bytes up to `upto`.

        Returns:
            Sealed bytes of whole segments that stay as they are; the rest of a segment is sealed again with what follows.

        Raises:
            BrokenPromise: What is there does not open.
        """
        assert self.size == 0, "bytes came already"
        while self.size < upto:
            run = await self._run(lambda: next(runs))
            plain = run.plain[: upto - self.size]
            whole = len(plain) // crypt4gh.SEGMENT
            kept = Run(run.sealed[: whole * crypt4gh.CIPHER_SEGMENT], plain[: whole * crypt4gh.SEGMENT])
            await self._run(lambda kept=kept: self._retaken(kept))  # type: ignore[misc]  # mypy cannot see a default's type
            if rest := plain[len(kept.plain) :]:
                self._keep(memoryview(rest))  # less than a segment
            self.size += len(plain)
        return self._taken_back

    async def finish(self, then: Callable[[Passed], T]) -> T:
        """Take in what is left, and make of it what the caller wants, in the same worker thread.

        Nothing is durable yet: `then` commits or holds the part (`writer`), or `commit` does it afterwards.
        """
        piece, own = memoryview(b""), None
        await self._ready()
        if 0 < self._held <= _SMALL:  # one thread switch is dearer than all that is left to do
            await self._settled()
            piece, own = self._taken()
        else:
            await self._flushed()
        with self._lent(own):
            return await self._run(lambda: then(self._passed(piece)))

    def commit(self) -> None:
        """Make the part durable, or remove it where it was held and nothing came. Blocking."""
        if self.writer is not None and self._written:
            self.writer.commit()
        elif self.writer is not None:
            self.writer.abort()

    async def suspend(self) -> int:
        """Make durable what came so far, the last segment short; returns the sealed bytes of the new part."""
        await self._flushed()
        await self._ready()
        await self._run(self.commit)
        return self._written

    async def pause(self) -> tuple[int, int]:
        """Make durable what came so far, the last segment short; what comes next goes into another part.

        The states of digest and classifier stay as they are: bytes of a segment that is not whole are sealed for the
        vault alone, and are taken in with those that follow.

        Returns:
            Sealed bytes of whole segments of the part, which stay, and its sealed bytes in all.
        """
        held, own = self._taken()
        whole = len(held) // crypt4gh.SEGMENT * crypt4gh.SEGMENT
        rest = bytes(held[whole:])
        if rest:
            self._keep(memoryview(rest))
        if whole:
            await self._start(held[:whole], own)
        elif own is not None:
            self._pieces.give(own)
        await self._settled()
        await self._ready()
        written = await self._run(lambda: self._end_part(rest))
        stays, self._written, self.writer = self._written, 0, None
        self._taken_back += stays
        return stays, written

    async def forgo(self) -> None:
        """Give up a part that was held and that nothing came for; all else stays as it is."""
        await self._ready()
        writer, self.writer = self.writer, None
        if writer is not None:
            await self._run(writer.abort)

    async def abort(self) -> None:
        """Remove every trace of the upload."""
        while self._underway:
            with suppress(Exception):  # a failed lane is why we are here; its error is on its way to the sender
                await self._settled()
        await self._ready()
        _, own = self._taken()
        if own is not None:
            self._pieces.give(own)
        if self.writer is not None:
            await self._run(self.writer.abort)
        self._lanes = []  # they know this pass: without them it goes at once, and what classifies the file forgets it

    # --- lanes -------------------------------------------------------------------------------------------------------

    async def _start(self, piece: memoryview, own: bytearray | None = None) -> None:
        """Work on a piece, soon after those before and when it is this upload's turn; `own` is its memory, where it is ours."""
        with self._lent(own) as lent:
            await self._settled(but=0 if len(piece) <= _SMALL else AHEAD - 1)
            if len(piece) <= _SMALL:
                await self._run(lambda: self._all_lanes(piece))
                return
            await self._pieces.turn.acquire()
            self._underway.append(asyncio.ensure_future(self._through(piece, lent.pop_all())))

    async def _through(self, piece: memoryview, lent: ExitStack) -> None:
        try:
            with lent:
                await through(self._lanes, piece)
        finally:
            self._pieces.turn.release()

    def _lent(self, own: bytearray | None) -> ExitStack:
        """Give memory back at the end of a block, to be used again where the block did all that it had to."""
        lent = ExitStack()
        if own is not None:
            lent.push(lambda kind, *_: (self._pieces.give if kind is None else self._pieces.drop)(own))
        return lent

    async def _flushed(self) -> None:
        if self._held:
            await self._begin()
        await self._settled()

    async def _settled(self, *, but: int = 0) -> None:
        """Wait until at most so many pieces are in work. Who is cancelled here leaves them in work, for `abort` to wait for."""
        while len(self._underway) > but:
            oldest = self._underway[0]
            try:
                await asyncio.shield(oldest)
            finally:
                if oldest.done():
                    self._underway.popleft()

    async def _ready(self) -> None:
        """Wait for the part that is being prepared, if there is one; where that failed, whoever needs it tries again."""
        if self._prepared is None:
            return
        if not self._prepared.done():
            done, _ = await asyncio.wait({asyncio.wrap_future(self._prepared)})
            for each in done:
                each.exception()  # looked at, so that nobody complains of it
        self._prepared = None

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _retaken(self, run: Run) -> None:
        self._sha256.update(run.plain)
        self._classifier.feed(run.plain)
        self._blake3.update(run.sealed)
        self._taken_back += len(run.sealed)

    def _all_lanes(self, piece: memoryview) -> None:
        self._digest(piece)
        self._inspect(piece)
        self._seal(piece)

    def _digest(self, piece: memoryview) -> None:
        self._sha256.update(piece)

    def _inspect(self, piece: memoryview) -> None:
        self._classifier.feed(piece)

    def _opened(self) -> SpoolWriter:
        with self._opening:
            if self.writer is None:
                self.writer = self._create()
            return self.writer

    def _end_part(self, rest: bytes) -> int:
        tail = memoryview(bytearray(crypt4gh.cipher_size(len(rest))))
        if rest:
            self._sealer.seal_into(rest, self._entropy.token(_NONCE), tail)
            self._opened().write(tail)
        if self.writer is not None and self._written + len(tail):
            self.writer.commit()
        elif self.writer is not None:
            self.writer.abort()
        return self._written + len(tail)

    def _seal(self, piece: memoryview) -> None:
        writer = self._opened()
        segments = -(-len(piece) // crypt4gh.SEGMENT)
        sealed = self._pieces.sealing(crypt4gh.cipher_size(len(piece)))
        self._sealer.seal_into(piece, self._entropy.token(_NONCE * segments), sealed)
        self._blake3.update(sealed)
        writer.write(sealed)
        self._written += len(sealed)

    def _passed(self, piece: memoryview) -> Passed:
        if piece:
            self._all_lanes(piece)
        findings, body_size = self._classifier.close(), self._taken_back + self._written
        return Passed(self.size, self._sha256.digest(), body_size, self._blake3.digest(), findings, self._written)
