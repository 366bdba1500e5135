"""Coders of 7z archives, through the standard library: COPY, LZMA, LZMA2, BZip2, Deflate, Delta and filters of branches.

Source: Methods.txt of the LZMA SDK (identifiers), the LZMA specification, the .xz file format section 5.3 (filters).

A change must keep: no decoder gives out more than was asked for; a stream ends where its packed bytes do, and nowhere else.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import Decoder, Inflate, Stored, bzip2, dictionary, lzma1, raw_lzma

AES: Final = bytes.fromhex("06f10701")
_NAMES: Final = {
    "030401": "PPMd", "0303011b": "BCJ2", "040109": "Deflate64", "04f71101": "Zstandard", "04f71102": "Brotli",
    "04f71104": "LZ4", "0a": "ARM64", "0b": "RISC-V", "020302": "Swap2", "020304": "Swap4",
}  # fmt: skip
_BRANCHES: Final = {
    "03030103": lzma.FILTER_X86, "04": lzma.FILTER_X86, "03030205": lzma.FILTER_POWERPC, "05": lzma.FILTER_POWERPC,
    "03030401": lzma.FILTER_IA64, "06": lzma.FILTER_IA64, "03030501": lzma.FILTER_ARM, "07": lzma.FILTER_ARM,
    "03030701": lzma.FILTER_ARMTHUMB, "08": lzma.FILTER_ARMTHUMB, "03030805": lzma.FILTER_SPARC, "09": lzma.FILTER_SPARC,
}  # fmt: skip
_TAIL: Final = 16  # bytes of a packed stream that are fed one by one, to see where it ends
_CHUNK: Final = 65_536  # most bytes of an uncompressed chunk of LZMA2


class Lzma:
    """LZMA, which has no mark at its end in most archives: the size tells it.

    A decoder has read all bytes but at most one when the last byte comes out, because the encoder writes as many bytes as
    it normalises times, and five. So anything else in the packed stream is found.

    Args:
        properties: Five bytes.
        packed: Bytes of the packed stream.
        size: Bytes that come out.
    """

    unused_data = b""

    def __init__(self, properties: bytes, packed: int, size: int) -> None:
        self._inner = lzma1(properties)
        self._left = packed
        self._due = size
        self._held = b""
        self.eof = False

    @property
    def needs_input(self) -> bool:
        """See `Decoder`."""
        return self._left > 0 and (not self._due or (self._inner.needs_input and not self._held))

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """See `Decoder`."""
        self._held += data
        self._left -= len(data)
        piece = self._decoded(max_length) if self._due else b""
        self._due -= len(piece)
        if not self._due and len(self._held) > _TAIL:
            raise ValueError("bytes behind the end")
        if not self._due and not self._left:
            self._end()
        return piece

    def _decoded(self, max_length: int) -> bytes:
        """Fed all but the tail at once, then byte by byte; nothing while the decoder has enough."""
        fed = b""
        if self._inner.needs_input:
            if not self._held:
                raise ValueError("broken off")
            many = max(len(self._held) - max(_TAIL - self._left, 0), 1)
            fed, self._held = self._held[:many], self._held[many:]
        return self._inner.decompress(fed, min(max_length, self._due))

    def _end(self) -> None:
        """All came out and all was fed: at most one byte is left, or a mark."""
        if len(self._held) > 1:
            more = self._inner.decompress(self._held, 1)
            if more or not self._inner.eof or self._inner.unused_data:
                raise ValueError("bytes behind the end")
        self.eof = True


class Filtered:
    """A filter alone. liblzma runs none without a compressor before it, so its input becomes uncompressed LZMA2.

    Args:
        filter_: Of liblzma.
        size: Bytes that go in, of which as many come out.
    """

    def __init__(self, filter_: dict[str, int], size: int) -> None:
        self._inner = raw_lzma(filter_, {"id": lzma.FILTER_LZMA2, "dict_size": _CHUNK})
        self._due = size
        self._closed = False
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        """See `Decoder`."""
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        """See `Decoder`."""
        return self._inner.needs_input and self._due > 0

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """See `Decoder`."""
        chunks = bytearray()
        if not data and self._inner.needs_input and self._due > 0:
            raise ValueError("broken off")
        for at in range(0, len(data), _CHUNK):
            part = data[at : at + _CHUNK]
            chunks += b"\x01" + (len(part) - 1).to_bytes(2, "big") + part
        self._due -= len(data)
        if self._due <= 0 and not self._closed:
            self._closed = True
            chunks += b"\0"
        return self._inner.decompress(bytes(chunks), max_length)


def decoder(method: bytes, properties: bytes, packed: int, size: int) -> Decoder:
    """A decoder of a method.

    Args:
        method: Its identifier.
        properties: Of the coder.
        packed: Bytes that go in.
        size: Bytes that come out.

    Raises:
        Unreadable: Nobody here knows it, or it is under a password.
    """
    name = method.hex()
    if method == AES:
        raise Unreadable("7z: members under a password", kind="encrypted_content")
    if name == "030101":
        return Lzma(properties, packed, size)
    if name == "21":
        return _lzma2(properties)
    if name == "03" and len(properties) == 1:
        return Filtered({"id": lzma.FILTER_DELTA, "dist": properties[0] + 1}, packed)
    if properties or (name not in _BRANCHES and name not in _PLAIN):
        raise Unreadable(f"7z: members under method {_NAMES.get(name, name)}; send a ZIP or TAR")
    return _PLAIN[name]() if name in _PLAIN else Filtered({"id": _BRANCHES[name]}, packed)


def _lzma2(properties: bytes) -> Decoder:
    """The .xz file format, section 5.3.1: a dictionary of 2 or 3 times a power of two."""
    if len(properties) != 1 or properties[0] > 40:
        raise Unreadable("7z: no such properties of LZMA2")
    bits = properties[0]
    size = 0xFFFFFFFF if bits == 40 else (2 | bits & 1) << (bits // 2 + 11)
    return raw_lzma({"id": lzma.FILTER_LZMA2, "dict_size": dictionary(size)})


_PLAIN: Final[dict[str, Callable[[], Decoder]]] = {"00": Stored, "040108": Inflate, "040202": bzip2}
