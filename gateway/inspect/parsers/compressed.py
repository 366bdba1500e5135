"""Files of one content under compression: bzip2, xz (the .xz file format 1.2.1), Zstandard (RFC 8878), LZ4 frames (1.6.4).

Streams or frames stand one after another and are one content. Between them the formats allow padding of zeros (xz, section
2.2) and skippable frames (Zstandard section 3.1.2, LZ4), whose bytes anybody may use for anything: text in them is read,
other bytes stay a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import DAMAGE, PIECE, Decoder, bzip2, lz4, metered, xz, zstandard
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_SKIPPABLE: Final = tuple(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
_WORDS: Final = 65_536  # bytes of a skippable frame that are looked at as text
_SUFFIXES: Final = {
    ".bz2": "", ".bz": "", ".tbz2": ".tar", ".tbz": ".tar", ".xz": "", ".txz": ".tar", ".zst": "", ".zstd": "",
    ".tzst": ".tar", ".lz4": "",
}  # fmt: skip


class Frames:
    """The content of all streams or frames as one stream.

    Args:
        source: The file.
        magic: What each begins with.
        begin: A decoder for one.
        words: Takes text of skippable frames; None where the format has none.

    Attributes:
        covered: Ranges of the file that belong to whole frames and to padding.
    """

    def __init__(
        self, source: Source | Stream, magic: bytes, begin: Callable[[], Decoder], words: Words | None
    ) -> None:
        self._source = source
        self._magic = magic
        self._begin = begin
        self._words = words
        self._decoder: Decoder | None = None
        self._held = b""
        self._taken = 0
        self._start = 0
        self._ended = False
        self.covered: list[tuple[int, int]] = []

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        wanted = PIECE if size < 0 else min(size, PIECE)
        while not self._ended:
            if self._decoder is None and not self._next():
                break
            piece = self._decoded(wanted)
            if piece:
                return piece
        return b""

    @property
    def _at(self) -> int:
        """Where the held bytes begin in the file."""
        return self._taken - len(self._held)

    def _next(self) -> bool:
        """Begin the next frame; False at the end of the file, or where something else follows."""
        while self._fill(8) and self._words is not None and self._held.startswith(_SKIPPABLE):
            self._skip(self._words)
        self._pad()
        if not self._held.startswith(self._magic):
            self._ended = True
            return False
        self._start = self._at
        self._decoder = self._begin()
        return True

    def _pad(self) -> None:
        """Stream padding of .xz: zeros, a multiple of four."""
        start = self._at
        while self._magic.startswith(b"\xfd7zXZ") and self._fill(4) and self._held.startswith(bytes(4)):
            self._held = self._held[4:]
        self._fill(len(self._magic))
        self.covered.append((start, self._at))

    def _skip(self, words: Words) -> None:
        """A skippable frame: magic, size, bytes of the user's."""
        size = int.from_bytes(self._held[4:8], "little")
        start = self._at
        self._held = self._held[8:]
        self._fill(min(size, _WORDS))
        told = self._held[: min(size, _WORDS)]
        self._held = self._held[len(told) :]
        left = size - len(told)
        while left and self._fill(1):
            dropped = min(left, len(self._held))
            self._held, left = self._held[dropped:], left - dropped
        if left:
            raise Unreadable("a skippable frame breaks off")
        if size <= _WORDS and words.add(told):
            self.covered.append((start, start + 8 + size))

    def _decoded(self, wanted: int) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        if decoder.needs_input and not self._fill(1):
            raise Unreadable("the last stream breaks off")
        fed = b""
        if decoder.needs_input:
            fed, self._held = self._held, b""
        try:
            piece = decoder.decompress(fed, wanted)
        except DAMAGE as wrong:
            raise Unreadable("a stream is damaged") from wrong
        if decoder.eof:
            self._held = decoder.unused_data or b""
            self._decoder = None
            self.covered.append((self._start, self._at))
        return piece

    def _fill(self, size: int) -> bool:
        """At least `size` bytes at hand where the file has them; False where it has none."""
        while len(self._held) < size:
            piece = self._source.read(PIECE)
            if not piece:
                return bool(self._held)
            self._taken += len(piece)
            self._held += piece
        return True


def _inspect(report: Report, frames: Frames) -> None:
    found = report.content(metered(frames, report.context.budget), inner_name(report.path))
    if found.inspectable:
        for start, end in frames.covered:
            report.cover(start, end)


def inner_name(path: str) -> str:
    """The name of what a compressed file holds."""
    for suffix, instead in _SUFFIXES.items():
        if path.lower().endswith(suffix):
            return path[: -len(suffix)] + instead
    return path


def inspect_bzip2(source: Source | Stream, report: Report) -> None:
    """bzip2: streams one after another, each begins with `BZh` and a level."""
    _inspect(report, Frames(source, b"BZh", bzip2, None))


def inspect_xz(source: Source | Stream, report: Report) -> None:
    """.xz: streams and their padding."""
    _inspect(report, Frames(source, b"\xfd7zXZ\x00", xz, None))


def inspect_zstd(source: Source | Stream, report: Report) -> None:
    """Zstandard: frames, and skippable frames between them."""
    _inspect(report, Frames(source, b"\x28\xb5\x2f\xfd", zstandard, Words(report, "skippable frame")))


def inspect_lz4(source: Source | Stream, report: Report) -> None:
    """LZ4: frames, and skippable frames between them."""
    _inspect(report, Frames(source, b"\x04\x22\x4d\x18", lz4, Words(report, "skippable frame")))
