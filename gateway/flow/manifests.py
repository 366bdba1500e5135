"""Manifests while they come in: their bytes are kept in memory until the file is whole, then read, and forgotten.

What it is not: what a manifest means (`core.manifests`), or whether a dataset is complete (`completion`).

The rules:
1. Only files whose name makes them manifests are kept, up to a bound each and a bound of the process. What passes a bound is
   received like any file; it is noted that it was not read, and nothing is complete by it.
2. What is read is what was recorded: the kept bytes have the file's digest, or they are not read.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from gateway.core.manifests import MAX_MANIFEST, Manifest, manifest_kind, read_manifest, unread_manifest

MEMORY: Final = 64 << 20


@dataclass
class Memory:
    """Bytes all captures of a process may still keep."""

    left: int = MEMORY


class Capture:
    """The bytes of one file, where it is a manifest; not for use by two tasks at once.

    Args:
        path: Where the file will be.
        memory: Shared by all captures of the process.
    """

    def __init__(self, path: str, memory: Memory) -> None:
        self._path = path
        self._memory = memory
        self._wanted = bool(manifest_kind(path))
        self._kept = bytearray()
        self._fault = ""

    @property
    def wanted(self) -> bool:
        """Whether the file is a manifest, by its path."""
        return self._wanted

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Keep the next bytes, where they are wanted and there is room."""
        if not self._wanted or self._fault:
            return
        if len(self._kept) + len(chunk) > MAX_MANIFEST:
            self._give_up(f"it is larger than {MAX_MANIFEST >> 20} MiB")
        elif len(chunk) > self._memory.left:
            self._give_up("too many manifests came at once: send it again")
        else:
            self._memory.left -= len(chunk)
            self._kept += chunk

    def _give_up(self, why: str) -> None:
        self.forget()
        self._fault = why

    async def read(self, sha256: bytes, pool: Executor) -> Manifest | None:
        """What the whole file says; None where it is no manifest."""
        if not self._wanted:
            return None
        if self._fault:
            return unread_manifest(self._path, sha256, self._fault)
        return await asyncio.get_running_loop().run_in_executor(pool, self._read, sha256)

    def _read(self, sha256: bytes) -> Manifest:
        content = bytes(self._kept)
        if hashlib.sha256(content).digest() != sha256:
            return unread_manifest(self._path, sha256, "it did not come in one piece: send it again as a whole")
        return read_manifest(self._path, content, sha256)

    def forget(self) -> None:
        """Let go of the bytes."""
        self._memory.left += len(self._kept)
        self._kept = bytearray()
