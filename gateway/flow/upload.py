"""The pass: one file's bytes are digested, inspected, encrypted and spooled while they arrive.

The rules:
1. Plaintext lives in memory only, at most two pieces of it a file; what reaches the spool is Crypt4GH segments.
2. The three lanes of a piece (digest; inspection; encryption, ciphertext digest and write) run in worker threads at the
   same time, while the next piece is received. A slow lane slows the sender; memory stays flat.
3. The session key is fresh, its nonces come from the system's generator, and only its sealed form outlives the upload:
   the door holds the public half of the vault key alone.
4. `finish` returns only when the part is durable and the sealed key is; only then may a fact rely on the file.

When a step fails: any lane -> the upload is aborted, its part removed, nothing recorded; the sender sends the file again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.core.classify import Classifier, FileFindings
from gateway.core.intake import ReceivedFile
from gateway.ports import Entropy, SpoolWriter
from gateway.wire import crypt4gh

PIECE = 16 * crypt4gh.SEGMENT  # 1 MiB: long enough to amortise a thread switch, short enough to keep memory flat
_SMALL = crypt4gh.SEGMENT  # below this, three threads cost more than they save
_NONCE = 12

T = TypeVar("T")


@dataclass(frozen=True)
class Passed:
    """What the pass made of a file."""

    size: int
    sha256: bytes
    body_size: int
    body_blake3: bytes
    findings: FileFindings

    def received(self, path: str, number: int, part: str) -> ReceivedFile:
        """The file as the transfer keeps it."""
        return ReceivedFile(path, number, self.size, self.sha256, self.body_blake3, self.body_size, (part,))


def seal_session_key(key: bytes, vault_public: bytes, entropy: Entropy) -> bytes:
    """A Crypt4GH header with the session key for the vault, written under an ephemeral key nobody keeps."""
    writer = X25519PrivateKey.from_private_bytes(entropy.token(32)).private_bytes_raw()
    return crypt4gh.seal_header([key], vault_public, writer, [entropy.token(_NONCE)])


class Pass:
    """One file on its way in. Not for use by two tasks at once.

    Args:
        classifier: A fresh one for this file.
        writer: The part in the spool.
        key: The session key, 32 bytes.
        entropy: Where nonces come from.
        pool: Worker threads shared by all uploads.
    """

    def __init__(
        self, *, classifier: Classifier, writer: SpoolWriter, key: bytes, entropy: Entropy, pool: Executor
    ) -> None:
        self._classifier = classifier
        self._writer = writer
        self._sealer = crypt4gh.SegmentSealer(key)
        self._entropy = entropy
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self._blake3 = blake3()
        self._piece = bytearray()
        self._sealed = memoryview(bytearray(crypt4gh.cipher_size(PIECE)))
        self._inflight: asyncio.Future[list[None]] | None = None
        self._body_size = 0
        self.size = 0

    async def feed(self, chunk: bytes) -> None:
        """Take bytes as they arrive, of any length; returns when there is room for more."""
        self.size += len(chunk)
        self._piece += chunk
        while len(self._piece) >= PIECE:
            piece = bytes(memoryview(self._piece)[:PIECE])
            del self._piece[:PIECE]
            await self._start(piece)

    async def finish(self) -> Passed:
        """Take in what is left and make the part durable."""
        if self._piece:
            await self._start(bytes(self._piece))
            self._piece.clear()
        await self._settled()
        findings = await self._run(self._close)
        return Passed(self.size, self._sha256.digest(), self._body_size, self._blake3.digest(), findings)

    async def abort(self) -> None:
        """Remove every trace of the upload."""
        with suppress(Exception):  # a failed lane is why we are here; its error is on its way to the sender
            await self._settled()
        self._piece.clear()
        await self._run(self._writer.abort)

    # --- lanes -------------------------------------------------------------------------------------------------------

    async def _start(self, piece: bytes) -> None:
        await self._settled()
        if len(piece) <= _SMALL:
            await self._run(lambda: self._all_lanes(piece))
            return
        lanes: tuple[Callable[[bytes], None], ...] = (self._digest, self._inspect, self._seal)
        loop = asyncio.get_running_loop()
        self._inflight = asyncio.gather(*(loop.run_in_executor(self._pool, lane, piece) for lane in lanes))

    async def _settled(self) -> None:
        inflight, self._inflight = self._inflight, None
        if inflight is not None:
            await inflight

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _all_lanes(self, piece: bytes) -> None:
        self._digest(piece)
        self._inspect(piece)
        self._seal(piece)

    def _digest(self, piece: bytes) -> None:
        self._sha256.update(piece)

    def _inspect(self, piece: bytes) -> None:
        self._classifier.feed(piece)

    def _seal(self, piece: bytes) -> None:
        segments = -(-len(piece) // crypt4gh.SEGMENT)
        length = self._sealer.seal_into(piece, self._entropy.token(_NONCE * segments), self._sealed)
        sealed = self._sealed[:length]
        self._blake3.update(sealed)
        self._writer.write(sealed)
        self._body_size += len(sealed)

    def _close(self) -> FileFindings:
        findings = self._classifier.close()
        self._writer.commit()
        return findings
