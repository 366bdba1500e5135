"""A parcel's bytes on their way out and back, checked against what the manifest promises.

What this is not: a copy of the vault's own checks. The relay is the last place that sees the bytes, so a rotten disk or
a swapped object must be noticed here, before a name appears in Hong Kong.

The rules a change must keep:
1. The last piece is held back until size and BLAKE3 agree: an endpoint never gets a whole file that is wrong.
2. A failure of our own storage is a StoreError or BrokenPromise, never blamed on the endpoint.
3. Memory is two pieces, whatever the file's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import blake3

from gateway.core.errors import BrokenPromise, StoreError
from gateway.ports import Parcel, ParcelSource

PIECE = 1 << 20  # bytes per read: large enough that Python's cost per piece vanishes beside the hashing
SAMPLE = 1 << 16  # bytes per sample: one Crypt4GH segment
_SAMPLES = 8


class SealedCheck:
    """Compares a sealed file with its promise: size, BLAKE3 of the body, and the header where it is known.

    The manifest's digest leaves the header out, because it differs by recipient; what comes back from an endpoint must
    have the very header that was sent, or nobody can open it.
    """

    def __init__(self, parcel: Parcel, header: bytes | None = None) -> None:
        self.size = 0
        self._parcel = parcel
        self._header = header
        self._seen = bytearray()
        self._digest = blake3.blake3()

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes, in order."""
        missing = max(0, self._parcel.header_size - self.size)
        self._seen += memoryview(data)[:missing]
        self._digest.update(memoryview(data)[missing:])
        self.size += len(data)

    def agrees(self) -> bool:
        """Whether exactly the promised bytes were seen."""
        same_header = self._header is None or self._header == self._seen
        return same_header and self.size == self._parcel.size and self._digest.digest() == self._parcel.blake3


def pieces(source: ParcelSource, parcel: Parcel, *, start: int = 0) -> Iterator[memoryview]:
    """The sealed file from byte `start` on, in pieces of at most 1 MiB.

    It is read from its beginning even where `start` is not 0, because the digest needs all of it.

    Raises:
        StoreError: The vault could not be read.
        BrokenPromise: The vault's bytes are not those of the manifest; raised before the last piece is given out.
    """
    check = SealedCheck(parcel)
    held: memoryview | None = None
    with _opened(source, parcel, 0) as stream:
        while check.size < parcel.size and (data := _read(stream, min(PIECE, parcel.size - check.size))):
            fresh = memoryview(data)[max(0, start - check.size) :]
            check.update(data)
            if not fresh:
                continue
            if held is not None:
                yield held
            held = fresh
        if _read(stream, 1) or not check.agrees():
            raise BrokenPromise(
                "a sealed file in the vault is not the one its manifest names: keep the vault as it is and"
                " report an incident"
            )
    if held is not None:
        yield held


def excerpt(source: ParcelSource, parcel: Parcel, offset: int, length: int) -> bytes:
    """`length` bytes of the sealed file from `offset`, for comparing with what the endpoint holds.

    Raises:
        StoreError: The vault could not be read, or ends before.
    """
    parts: list[bytes] = []
    missing = length
    with _opened(source, parcel, offset) as stream:
        while missing and (data := _read(stream, missing)):
            parts.append(data)
            missing -= len(data)
    if missing:
        raise StoreError("a sealed file in the vault ended early: check the vault's disk")
    return b"".join(parts)


def header_of(source: ParcelSource, parcel: Parcel) -> bytes:
    """The Crypt4GH header that the endpoint must hold in front of the body."""
    return excerpt(source, parcel, 0, parcel.header_size)


def spans(parcel: Parcel) -> tuple[tuple[int, int], ...]:
    """Places (offset, length) to compare: all of a small file, else the header and eight pieces of 64 KiB.

    The pieces are spread over the body, its first and last bytes included. Ciphertexts of two files agree nowhere, so
    any one of them tells another file; they do not find a single flipped byte: for that, an endpoint's setting
    `verify` asks for more.
    """
    body = parcel.size - parcel.header_size
    if body <= _SAMPLES * SAMPLE:
        return ((0, parcel.size),)
    step = (body - SAMPLE) / (_SAMPLES - 1)
    starts = (parcel.header_size + round(step * number) for number in range(_SAMPLES))
    return ((0, parcel.header_size), *((start, SAMPLE) for start in starts))


@contextmanager
def _opened(source: ParcelSource, parcel: Parcel, offset: int) -> Iterator[BinaryIO]:
    try:
        stream = source.open(parcel, offset=offset)
    except OSError as broken:
        raise StoreError("a sealed file in the vault cannot be opened: check the vault's disk") from broken
    with stream:
        yield stream


def _read(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as broken:
        raise StoreError("a sealed file in the vault cannot be read: check the vault's disk") from broken
