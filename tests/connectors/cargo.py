"""Consignments made of seeded bytes, and a source that can be watched and can break."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

import blake3

from gateway.ports import Consignment, Parcel

HEADER = 124  # bytes of a Crypt4GH header with one key
FOLDER = "sz-lab/trial-a/cohort-1/v1"


class Crash(Exception):
    """Stands for the process dying while it reads."""


def noise(seed: str, size: int) -> bytes:
    """Bytes that look like ciphertext and are the same in every run."""
    return hashlib.shake_128(seed.encode()).digest(size)


SMALL: Mapping[str, bytes] = {
    "a.csv.c4gh": noise("a", HEADER + 5_000),
    "empty.txt.c4gh": noise("empty", HEADER),
    "影像 第一批/é ü #1%2F?.dcm.c4gh": noise("dcm", HEADER + 70_001),
    "影像 第一批/深/b.vcf.c4gh": noise("vcf", HEADER + 1),
}
LARGE: Mapping[str, bytes] = {
    "first.csv.c4gh": noise("first", HEADER + 1_000),
    "large.bam.c4gh": noise("large", HEADER + 6 * (1 << 20)),
}


def pack(files: Mapping[str, bytes], *, transfer_id: str = "t-1", manifest: bytes = b'{"files":[]}') -> Consignment:
    """A consignment of these sealed files."""
    parcels = tuple(
        Parcel(name, len(content), blake3.blake3(content[HEADER:]).digest(), HEADER) for name, content in files.items()
    )
    return Consignment(transfer_id, FOLDER, parcels, manifest, b"signature of " + manifest)


def expected(files: Mapping[str, bytes], consignment: Consignment) -> dict[str, bytes]:
    """What lies at the endpoint in the end."""
    return {f"{FOLDER}/{name}": content for name, content in files.items()} | {
        f"{FOLDER}/manifest.json.sig": consignment.signature,
        f"{FOLDER}/manifest.json": consignment.manifest,
    }


class MemorySource:
    """Sealed files in memory.

    Args:
        files: Content by parcel name.
        crash_at: Raise Crash when so many bytes were read in all.
        watch: Called before every read.
    """

    def __init__(
        self, files: Mapping[str, bytes], *, crash_at: int | None = None, watch: Callable[[], None] | None = None
    ) -> None:
        self.files = dict(files)
        self.read = 0
        self._crash_at = crash_at
        self._watch = watch

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        stream = _Stream(self, self.files[parcel.name][offset:])
        return cast("BinaryIO", stream)

    def reading(self, size: int) -> None:
        if self._watch is not None:
            self._watch()
        if self._crash_at is not None and self.read + size > self._crash_at:
            raise Crash
        self.read += size


class _Stream(io.BytesIO):
    def __init__(self, source: MemorySource, content: bytes) -> None:
        super().__init__(content)
        self._source = source

    def read(self, size: int | None = -1) -> bytes:
        wanted = 1 << 16 if size is None or size < 0 else min(size, 1 << 16)
        data = super().read(wanted)
        self._source.reading(len(data))
        return data
