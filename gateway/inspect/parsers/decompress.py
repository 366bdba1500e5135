"""Decompression that is bounded at every step: the decoders of several libraries behind one face, and streams over them.

Not here: containers (`zip`, `tar`, `compressed`). A change must keep: no call gives out more than was asked for; a stream
that breaks off, is damaged or goes on too long ends with a `fault` and is never taken for a whole one.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Protocol, cast

from gateway.inspect.limits import Budget, Metered, Unreadable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 1 << 18
_DICTIONARY: Final = 1 << 28  # bytes a decoder may look back
_ZSTD_WINDOW: Final = 27  # log2; `zstd --long`, and what decoders should accept (RFC 8878 section 3.1.1.1.2)
DAMAGE: Final = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError, RuntimeError)


class Decoder(Protocol):
    """What `bz2`, `lzma`, `zstd` and `lz4.frame` decoders have in common."""

    @property
    def eof(self) -> bool:
        """The compressed stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Nothing more comes without more input."""

    @property
    def unused_data(self) -> bytes | None:
        """What was fed past the end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most `max_length` bytes."""


class Inflate:
    """Raw DEFLATE (RFC 1951), or `wbits` as zlib has them."""

    def __init__(self, wbits: int = -15) -> None:
        self._z = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """See `Decoder`."""
        return self._z.eof

    @property
    def needs_input(self) -> bool:
        """See `Decoder`."""
        return not self._z.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """See `Decoder`."""
        return self._z.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """See `Decoder`."""
        return self._z.decompress(self._z.unconsumed_tail + data, max(max_length, 0))


class Stored:
    """No compression: it ends where its input does."""

    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002  # the reader asks for no more
        """The same."""
        return data


class Readable(Protocol):
    """Anything that reads forward."""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""


def metered(stream: Readable, budget: Budget) -> BinaryIO:
    """A stream that pays for what it gives out, in the type that takers of streams name; they only read."""
    return cast("BinaryIO", Metered(cast("BinaryIO", stream), budget))


def bzip2() -> Decoder:
    """One bzip2 stream."""
    return bz2.BZ2Decompressor()


def xz() -> Decoder:
    """One .xz stream."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * _DICTIONARY)


def zstandard() -> Decoder:
    """One Zstandard frame."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW})


def lz4() -> Decoder:
    """One LZ4 frame."""
    import lz4.frame  # noqa: PLC0415  # seldom needed

    frame: Decoder = lz4.frame.LZ4FrameDecompressor()
    return frame


def lzma1(properties: bytes) -> Decoder:
    """A raw LZMA stream by its five bytes of properties (LZMA specification: lc, lp, pb in one byte, dictionary size).

    Raises:
        Unreadable: Properties that no encoder writes.
    """
    if len(properties) != 5 or properties[0] >= 9 * 5 * 5:
        raise Unreadable("lzma: no such properties")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    size = dictionary(int.from_bytes(properties[1:], "little"))
    return raw_lzma({"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": max(size, 4096)})


def raw_lzma(*filters: dict[str, Any]) -> Decoder:
    """A raw stream under a chain of filters of liblzma.

    Raises:
        Unreadable: A chain it does not know.
    """
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=list(filters))
    except (lzma.LZMAError, ValueError) as wrong:
        raise Unreadable("lzma: no such filters") from wrong


def dictionary(size: int) -> int:
    """A dictionary's size, if a decoder may have so much.

    Raises:
        Unreadable: It may not.
    """
    if size > _DICTIONARY:
        raise Unreadable(f"needs a dictionary of more than {_DICTIONARY} bytes", kind="archive_limit")
    return size


class Decoded:
    """One compressed stream of known content, as a stream.

    Args:
        pull: Compressed bytes, at most so many, none at their end.
        decoder: For them.
        size: Bytes that must come out; None where nothing tells.
        crc: CRC-32 of them; None where nothing tells.

    Attributes:
        fault: Why what came out is not whole; empty while nothing is wrong.
    """

    def __init__(self, pull: Callable[[int], bytes], decoder: Decoder, size: int | None, crc: int | None) -> None:
        self._pull = pull
        self._decoder = decoder
        self._size = size
        self._crc = crc
        self._sum = 0
        self._got = 0
        self._ended = False
        self.fault = ""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (PIECE for a negative size), none at the end or at a fault."""
        wanted = PIECE if size < 0 else min(size, PIECE)
        while wanted and not self._ended:
            piece = self._checked(self._next(wanted))
            if piece:
                return piece
        return b""

    def _checked(self, piece: bytes) -> bytes:
        self._sum = zlib.crc32(piece, self._sum)
        self._got += len(piece)
        if self._ended:
            self._check()
        elif self._size is not None and self._got > self._size:
            self._end("longer than declared")
        return piece

    def whole(self) -> bool:
        """Whether it was read to its end and is what was declared."""
        while not self._ended:
            self.read(PIECE)
        return not self.fault

    def _next(self, wanted: int) -> bytes:
        decoder = self._decoder
        fed = self._pull(wanted) if decoder.needs_input else b""
        starved = decoder.needs_input and not fed
        try:
            piece = decoder.decompress(fed, wanted)
        except DAMAGE:
            self._end("damaged")
            return b""
        if decoder.eof:
            self._end("followed by other bytes" if decoder.unused_data or self._pull(1) else "")
        elif starved and not piece:  # LZMA and stored data need no mark at their end where the size is known
            self._end("" if self._size is not None else "broken off")
        return piece

    def _check(self) -> None:
        if self._size is not None and self._got != self._size:
            self._end("not of the declared size")
        if self._crc is not None and self._sum != self._crc:
            self._end("not what its checksum says")

    def _end(self, fault: str) -> None:
        self._ended = True
        self.fault = self.fault or fault
