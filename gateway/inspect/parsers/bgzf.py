"""BGZF: DEFLATE in blocks of at most 64 KiB, as BAM, BCF and their indexes lie in it.

Source: SAM/BAM specification section 4.1. A block is a gzip member with one extra field, BC, that holds its size; the last is
an empty one (section 4.1.2), by which a file that was cut off is told from a whole one.

Not here: BGZF around text, which is read as any gzip (`gzip`). ISA-L inflates at 2.5 times the speed of zlib.

A change must keep: a block counts when its CRC and size are right; further extra fields, names and comments, in which
something could lie, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from isal import isal_zlib
from isal.igzip_lib import IsalError

from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.source import Source, Stream

_HEAD: Final = 18
_START: Final = b"\x1f\x8b\x08\x04"
_EXTRA: Final = b"\x06\x00BC\x02\x00"  # XLEN 6, one field of two bytes
_PIECE: Final = 1 << 20
_MOST: Final = 65_536  # bytes that a block expands to
END: Final = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class Blocks:
    """The blocks of a file in order.

    Attributes:
        covered: Bytes of the file that belong to whole blocks.
        ended: The last block was the empty one that ends a file.
    """

    def __init__(self, source: Source | Stream, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._held = b""
        self._at = 0
        self.covered = 0
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        """What each holds; ends where the file does, or where something else follows.

        Raises:
            Unreadable: A block is damaged or breaks off, or the budget is spent.
        """
        while self._fill(_HEAD) and self._held.startswith(_START, self._at):
            yield self._block()

    def _block(self) -> bytes:
        at, held = self._at, self._held
        if held[at + 10 : at + 16] != _EXTRA:
            raise Unreadable("BGZF: a block with other fields than its size")
        size = int.from_bytes(held[at + 16 : at + 18], "little") + 1
        if size < _HEAD + 8 or not self._fill(size):
            raise Unreadable("BGZF: the last block breaks off")
        at, held = self._at, self._held
        content = _inflated(held[at + _HEAD : at + size - 8])
        told = (isal_zlib.crc32(content), len(content))
        if told != (int.from_bytes(held[at + size - 8 : at + size - 4], "little"),
                    int.from_bytes(held[at + size - 4 : at + size], "little")):  # fmt: skip
            raise Unreadable("BGZF: a block is damaged")
        self.ended = held[at : at + size] == END
        self._at += size
        self.covered += size
        self._budget.expand(len(content))
        return content

    def _fill(self, size: int) -> bool:
        """At least `size` bytes at hand; False where the file has fewer."""
        if len(self._held) - self._at >= size:
            return True
        pieces = [self._held[self._at :]]
        held = len(pieces[0])
        while held < size and (piece := self._source.read(_PIECE)):
            pieces.append(piece)
            held += len(piece)
        self._held, self._at = b"".join(pieces), 0
        return held >= size


def _inflated(packed: bytes) -> bytes:
    inflate = isal_zlib.decompressobj(-15)
    try:
        content: bytes = inflate.decompress(packed, _MOST + 1)
    except IsalError as wrong:  # type: ignore[misc]  # its stub does not say that it is an exception
        raise Unreadable("BGZF: a block is damaged") from wrong
    if len(content) > _MOST or not inflate.eof or inflate.unused_data:
        raise Unreadable("BGZF: a block is not one whole stream")
    return content


class Reader:
    """Exact reads over the blocks, for headers.

    Args:
        blocks: Where they come from.
        budget: Bounds what is held at once.
    """

    def __init__(self, blocks: Blocks, budget: Budget) -> None:
        self._blocks = iter(blocks)
        self._budget = budget
        self._held = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            Unreadable: The file has fewer, or they are more than may be held.
        """
        if size < 0:
            raise Unreadable("BGZF: a size below zero")
        self._budget.room(size)
        if len(self._held) - self._at < size:
            pieces = [self._held[self._at :]]
            held = len(pieces[0])
            while held < size:
                piece = next(self._blocks, None)
                if piece is None:
                    raise Unreadable("BGZF: the content breaks off")
                pieces.append(piece)
                held += len(piece)
            self._held, self._at = b"".join(pieces), 0
        self._at += size
        return self._held[self._at - size : self._at]

    def number(self, size: int = 4) -> int:
        """A little-endian number that may not be negative."""
        found = int.from_bytes(self.read(size), "little", signed=True)
        if found < 0:
            raise Unreadable("BGZF: a count below zero")
        return found

    def rest(self, size: int) -> Iterator[bytes]:
        """What is left, in pieces of at least `size` bytes."""
        pieces, held = [self._held[self._at :]], len(self._held) - self._at
        self._held, self._at = b"", 0
        for piece in self._blocks:
            pieces.append(piece)
            held += len(piece)
            if held >= size:
                yield b"".join(pieces)
                pieces, held = [], 0
        if held:
            yield b"".join(pieces)
