"""The pass: one file's bytes are digested, inspected, encrypted and spooled while they arrive.

The rules:
1. Plaintext lives in memory only, at most two pieces of it a file; what reaches the spool is Crypt4GH segments.
2. The three lanes of a piece (digest; inspection; encryption, ciphertext digest and write) run in worker threads at the
   same time, while the next piece is received. A slow lane slows the sender; memory stays flat.
3. The session key is fresh, its nonces come from the system's generator, and only its sealed form outlives the upload:
   the door holds the public half of the vault key alone.
4. `finish` and `suspend` return only when the part is durable; only then may a row or a fact rely on it.
5. What an earlier run of the same upload left in the vault is digested and inspected again from there, in one pass with
   what comes now, and not written again: no state of a digest or a classifier is ever stored.

When a step fails: any lane -> the upload is aborted, its part removed, nothing recorded; the sender sends the file again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.core.classify import Classifier, FileFindings
from gateway.core.intake import Part, ReceivedFile
from gateway.flow.reread import Run
from gateway.ports import Entropy, SpoolWriter
from gateway.wire import crypt4gh

PIECE = 16 * crypt4gh.SEGMENT  # 1 MiB: long enough to amortise a thread switch, short enough to keep memory flat
_SMALL = crypt4gh.SEGMENT  # below this, three threads cost more than they save
_NONCE = 12

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


def seal_session_key(key: bytes, vault_public: bytes, entropy: Entropy) -> bytes:
    """A Crypt4GH header with the session key for the vault, written under an ephemeral key nobody keeps."""
    writer = X25519PrivateKey.from_private_bytes(entropy.token(32)).private_bytes_raw()
    return crypt4gh.seal_header([key], vault_public, writer, [entropy.token(_NONCE)])


class Pass:
    """One file on its way in. Not for use by two tasks at once.

    Args:
        classifier: A fresh one for this file.
        create: Makes the part in the spool, when there is something to write.
        key: The session key, 32 bytes.
        entropy: Where nonces come from.
        pool: Worker threads shared by all uploads.
    """

    def __init__(
        self, *, classifier: Classifier, create: Callable[[], SpoolWriter], key: bytes, entropy: Entropy, pool: Executor
    ) -> None:
        self._classifier = classifier
        self._create = create
        self.writer: SpoolWriter | None = None
        self._sealer = crypt4gh.SegmentSealer(key)
        self._entropy = entropy
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self._blake3 = blake3()
        self._piece = bytearray()
        self._sealed = memoryview(b"")
        self._inflight: asyncio.Future[list[None]] | None = None
        self._commits = True
        self._taken_back = 0
        self._written = 0
        self.size = 0

    async def hold(self) -> None:
        """Make the part at once, so that every process can see that its writer lives."""
        await self._run(self._hold)

    async def feed(self, chunk: bytes) -> None:
        """Take bytes as they arrive, of any length; returns when there is room for more."""
        self.size += len(chunk)
        self._piece += chunk
        while len(self._piece) >= PIECE:
            piece = bytes(memoryview(self._piece)[:PIECE])
            del self._piece[:PIECE]
            await self._start(piece)

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
            await self._run(lambda kept=kept: self._taken(kept))  # type: ignore[misc]  # mypy cannot see a default's type
            self._piece += plain[len(kept.plain) :]
            self.size += len(plain)
        return self._taken_back

    async def finish(self, *, commit: bool = True) -> Passed:
        """Take in what is left and make the part durable; without `commit` its `writer` is left for the caller to end."""
        self._commits = commit
        if 0 < len(self._piece) <= _SMALL:  # one thread switch is dearer than all that is left to do
            await self._settled()
            piece = bytes(self._piece)
            self._piece.clear()
            findings = await self._run(lambda: self._end_with(piece))
        else:
            await self._flushed()
            findings = await self._run(self._close)
        body_size = self._taken_back + self._written
        return Passed(self.size, self._sha256.digest(), body_size, self._blake3.digest(), findings, self._written)

    async def suspend(self) -> int:
        """Make durable what came so far, the last segment short; returns the sealed bytes of the new part."""
        await self._flushed()
        await self._run(self._commit)
        return self._written

    async def pause(self) -> tuple[int, int]:
        """Make durable what came so far, the last segment short; what comes next goes into another part.

        The states of digest and classifier stay as they are: bytes of a segment that is not whole are sealed for the
        vault alone, and are taken in with those that follow.

        Returns:
            Sealed bytes of whole segments of the part, which stay, and its sealed bytes in all.
        """
        whole = len(self._piece) // crypt4gh.SEGMENT * crypt4gh.SEGMENT
        if whole:
            await self._start(bytes(memoryview(self._piece)[:whole]))
            del self._piece[:whole]
        await self._settled()
        rest = bytes(self._piece)
        written = await self._run(lambda: self._end_part(rest))
        stays, self._written, self.writer, self._sealed = self._written, 0, None, memoryview(b"")
        self._taken_back += stays
        return stays, written

    async def forgo(self) -> None:
        """Give up a part that was held and that nothing came for; all else stays as it is."""
        writer, self.writer = self.writer, None
        if writer is not None:
            await self._run(writer.abort)

    async def abort(self) -> None:
        """Remove every trace of the upload."""
        with suppress(Exception):  # a failed lane is why we are here; its error is on its way to the sender
            await self._settled()
        self._piece.clear()
        if self.writer is not None:
            await self._run(self.writer.abort)

    # --- lanes -------------------------------------------------------------------------------------------------------

    async def _start(self, piece: bytes) -> None:
        await self._settled()
        if len(piece) <= _SMALL:
            await self._run(lambda: self._all_lanes(piece))
            return
        lanes: tuple[Callable[[bytes], None], ...] = (self._digest, self._inspect, self._seal)
        loop = asyncio.get_running_loop()
        self._inflight = asyncio.gather(*(loop.run_in_executor(self._pool, lane, piece) for lane in lanes))

    async def _flushed(self) -> None:
        if self._piece:
            await self._start(bytes(self._piece))
            self._piece.clear()
        await self._settled()

    async def _settled(self) -> None:
        inflight, self._inflight = self._inflight, None
        if inflight is not None:
            await inflight

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _taken(self, run: Run) -> None:
        self._sha256.update(run.plain)
        self._classifier.feed(run.plain)
        self._blake3.update(run.sealed)
        self._taken_back += len(run.sealed)

    def _all_lanes(self, piece: bytes) -> None:
        self._digest(piece)
        self._inspect(piece)
        self._seal(piece)

    def _digest(self, piece: bytes) -> None:
        self._sha256.update(piece)

    def _inspect(self, piece: bytes) -> None:
        self._classifier.feed(piece)

    def _hold(self) -> SpoolWriter:
        if self.writer is None:
            self.writer = self._create()
        return self.writer

    def _end_part(self, rest: bytes) -> int:
        tail = memoryview(bytearray(crypt4gh.cipher_size(len(rest))))
        if rest:
            self._sealer.seal_into(rest, self._entropy.token(_NONCE), tail)
            self._hold().write(tail)
        if self.writer is not None and self._written + len(tail):
            self.writer.commit()
        elif self.writer is not None:
            self.writer.abort()
        return self._written + len(tail)

    def _seal(self, piece: bytes) -> None:
        writer = self._hold()
        if len(self._sealed) < crypt4gh.cipher_size(len(piece)):
            self._sealed = memoryview(bytearray(crypt4gh.cipher_size(len(piece))))
        segments = -(-len(piece) // crypt4gh.SEGMENT)
        length = self._sealer.seal_into(piece, self._entropy.token(_NONCE * segments), self._sealed)
        sealed = self._sealed[:length]
        self._blake3.update(sealed)
        writer.write(sealed)
        self._written += len(sealed)

    def _end_with(self, piece: bytes) -> FileFindings:
        self._all_lanes(piece)
        return self._close()

    def _close(self) -> FileFindings:
        findings = self._classifier.close()
        if self._commits:
            self._commit()
        return findings

    def _commit(self) -> None:
        if self.writer is not None and self._written:
            self.writer.commit()
        elif self.writer is not None:
            self.writer.abort()  # it was held, and nothing came
