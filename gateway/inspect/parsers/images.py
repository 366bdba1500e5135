"""Pictures as chains of chunks or segments: PNG (W3C, third edition), JPEG (ITU-T T.81 annex B, JFIF, EXIF), GIF (89a).

Text, properties and EXIF in them are read. Pixels are covered as pixels; what they show is another matter (`pictures`). Bytes
after the end, chunks of an unknown kind and samples too many are gaps.

A change must keep: the walk follows the chain only, and stops where it breaks.
"""

from __future__ import annotations

import zlib
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.pictures import judge_picture
from gateway.inspect.parsers.tiff import Directories
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report
from gateway.inspect.source import MemoryStore, Source

_CHUNKS: Final = 100_000
_CHUNK: Final = 64 << 20
# PNG chunks of numbers, and the most bytes they have
_NUMBERS: Final = {
    b"IHDR": 13, b"PLTE": 768, b"IEND": 0, b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"sBIT": 4, b"bKGD": 6,
    b"pHYs": 9, b"hIST": 512, b"tIME": 7, b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"oFFs": 9,
}  # fmt: skip
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Png:
    """One PNG."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._words = Words(report, "properties")
        self._header = b""
        self._pixels = zlib.decompressobj()
        self._got = 0
        self._data: list[tuple[int, int]] = []

    def read(self) -> None:
        """All chunks up to IEND."""
        self._source.seek(8)
        self._report.cover(0, 8)
        for number in range(_CHUNKS):
            start = self._source.tell()
            head = self._source.read(8)
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if size > _CHUNK or (number == 0) != (kind == b"IHDR"):
                raise Unreadable("png: a chunk that cannot stand there")
            body = self._source.read(size)
            crc = self._source.read(4)
            if len(crc) < 4 or zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(crc, "big"):
                raise Unreadable("png: a chunk is damaged or breaks off")
            if self._chunk(kind, body, start):
                self._report.cover(start, start + 12 + size)
            if kind == b"IEND":
                self._finish()
                return
        raise Unreadable("png: more chunks than a picture has", kind="archive_limit")

    def _chunk(self, kind: bytes, body: bytes, start: int) -> bool:
        """Whether it was interpreted."""
        if kind == b"IHDR":
            self._header = body
        if kind in _NUMBERS:
            return len(body) <= _NUMBERS[kind]
        if kind == b"IDAT":
            self._inflate(body)
            self._data.append((start, start + 12 + len(body)))
            return False  # until it is known that nothing but pixels was in it
        if kind == b"tEXt":
            return self._words.add(body.replace(b"\0", b": ", 1))
        if kind == b"zTXt":
            keyword, _, rest = body.partition(b"\0")
            return self._words.add(keyword) and self._words.add(self._unpacked(rest[1:]))
        if kind == b"iTXt":
            return self._international(body)
        if kind == b"eXIf":
            read_exif(body, self._report, self._words, start + 8)
            self._report.cover(start, start + 8)
            self._report.cover(start + 8 + len(body), start + 12 + len(body))
            return False  # covers what it reads itself
        if kind == b"iCCP":
            name, _, rest = body.partition(b"\0")
            return self._words.add(name) and self._unpacked(rest[1:])[36:40] == b"acsp"
        return False

    def _international(self, body: bytes) -> bool:
        """Section 11.3.3.4: keyword, flag, method, language, translated keyword, text."""
        keyword, _, rest = body.partition(b"\0")
        language, _, last = rest[2:].partition(b"\0")
        translated, _, text = last.partition(b"\0")
        parts = (keyword, language, translated, self._unpacked(text) if rest[:1] == b"\1" else text)
        return all(list(map(self._words.add, parts)))  # each is read, also after one that is no text

    def _unpacked(self, packed: bytes) -> bytes:
        inflate = zlib.decompressobj()
        limit = min(self._report.context.budget.limits.held, _CHUNK)
        text = inflate.decompress(packed, limit)
        self._report.context.budget.expand(len(text))
        if not inflate.eof or inflate.unused_data:
            raise Unreadable("png: a compressed text that breaks off or goes on")
        return text

    def _inflate(self, body: bytes) -> None:
        left = body
        while left and not self._pixels.eof:
            piece = self._pixels.decompress(left, 1 << 20)
            self._report.context.budget.expand(len(piece))
            self._got += len(piece)
            left = self._pixels.unconsumed_tail
        if self._pixels.eof and (self._pixels.unused_data or left):
            raise Unreadable("png: bytes behind the pixels")

    def _finish(self) -> None:
        if len(self._header) != 13:
            raise Unreadable("png: no header")
        width, height = int.from_bytes(self._header[:4], "big"), int.from_bytes(self._header[4:8], "big")
        if not self._pixels.eof or self._got != _samples(self._header, width, height):
            raise Unreadable("png: not as many pixels as the header says")
        for start, end in self._data:
            self._report.cover(start, end)
        judge_picture(self._report, width, height)


def _samples(header: bytes, width: int, height: int) -> int:
    """Bytes of all scanlines with their filter bytes, section 7.2 and 8.1."""
    bits = header[8] * _CHANNELS.get(header[9], 0)
    if not header[12]:
        return height * (1 + (width * bits + 7) // 8)
    total = 0
    for left, top, across, down in _ADAM7:
        wide, high = max(-(-(width - left) // across), 0), max(-(-(height - top) // down), 0)
        total += high * (1 + (wide * bits + 7) // 8) if wide else 0
    return total


class Jpeg:
    """One JPEG."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._words = Words(report, "properties")
        self._width = self._height = 1 << 20

    def read(self) -> None:
        """All segments up to EOI."""
        self._source.seek(2)
        self._report.cover(0, 2)
        at = 2
        for _ in range(_CHUNKS):
            marker = self._bytes(at, 2)
            if len(marker) < 2 or marker[0] != 0xFF:
                raise Unreadable("jpeg: a segment is missing or breaks off")
            if marker[1] == 0xFF:  # fill, section B.1.1.2
                self._report.cover(at, at + 1)
                at += 1
            elif marker[1] == 0xD9:
                self._report.cover(at, at + 2)
                judge_picture(self._report, self._width, self._height)
                return
            else:
                at = self._segment(at, marker[1])
        raise Unreadable("jpeg: more segments than a picture has", kind="archive_limit")

    def _segment(self, at: int, marker: int) -> int:
        size = int.from_bytes(self._bytes(at + 2, 2), "big")
        body = self._bytes(at + 4, max(size - 2, 0))
        if size < 2 or len(body) < size - 2 or not 0xC0 <= marker <= 0xFE:
            raise Unreadable("jpeg: a segment breaks off")
        end = at + 2 + size
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and len(body) >= 6:
            self._height, self._width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        if self._understood(marker, body, at + 4):
            self._report.cover(at, end)
        return self._scan(end) if marker == 0xDA else end

    def _understood(self, marker: int, body: bytes, start: int) -> bool:
        if marker < 0xE0:  # tables and frames
            return True
        if marker == 0xFE:
            return self._words.add(body)
        if marker == 0xE0 and body.startswith((b"JFIF\0", b"JFXX\0")):
            return True
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            self._report.cover(start - 4, start + 6)
            read_exif(body[6:], self._report, self._words, start + 6)
            return False  # covers what it reads itself
        if marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            return self._words.add(body.partition(b"\0")[2])
        if marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            return True
        return marker == 0xEE and body.startswith(b"Adobe") and len(body) == 12

    def _scan(self, at: int) -> int:
        """Past entropy-coded data: to a marker that is no stuffed zero and no restart (section B.1.1.5)."""
        start = at
        while piece := self._bytes(at, 1 << 18):
            found = piece.find(b"\xff")
            while 0 <= found < len(piece) - 1:
                if piece[found + 1] and not 0xD0 <= piece[found + 1] <= 0xD7:
                    self._report.cover(start, at + found)
                    return at + found
                found = piece.find(b"\xff", found + 1)
            at += len(piece) - (found >= 0 and len(piece) > 1)
            if found >= 0 and len(piece) == 1:
                break
        raise Unreadable("jpeg: breaks off")

    def _bytes(self, at: int, size: int) -> bytes:
        self._source.seek(at)
        return self._source.read(size)


class Gif:
    """One GIF."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._words = Words(report, "properties")

    def read(self) -> None:
        """All blocks up to the trailer."""
        head = self._take(13)
        if head[:6] not in {b"GIF87a", b"GIF89a"}:
            raise Unreadable("gif: no header")
        self._colours(head[10])
        self._report.cover(0, self._source.tell())
        for _ in range(_CHUNKS):
            start = self._source.tell()
            kind = self._take(1)
            if kind == b";":
                self._report.cover(start, start + 1)
                judge_picture(self._report, int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"))
                return
            if self._block(kind):
                self._report.cover(start, self._source.tell())
        raise Unreadable("gif: more blocks than a picture has", kind="archive_limit")

    def _block(self, kind: bytes) -> bool:
        """Whether it was interpreted."""
        if kind == b",":
            self._colours(self._take(9)[8])
            self._take(1)
            self._blocks()
            return True
        if kind != b"!":
            raise Unreadable("gif: a block of no known kind")
        label = self._take(1)[0]
        body = self._blocks()
        if label == 0xFE:
            return self._words.add(b"".join(body))
        if label == 0xF9:
            return len(body) == 1 and len(body[0]) == 4
        if label == 0x01:
            return self._words.add(b"".join(body[1:]))
        return label == 0xFF and body[:1] == [b"NETSCAPE2.0"] and sum(map(len, body[1:])) <= 3

    def _colours(self, flags: int) -> None:
        if flags & 0x80:
            self._take(3 << ((flags & 7) + 1))

    def _blocks(self) -> list[bytes]:
        """Sub-blocks up to the empty one; those of pixels are dropped past a megabyte."""
        found, held = [], 0
        while size := self._take(1)[0]:
            body = self._take(size)
            held += size
            if held <= 1 << 20:
                found.append(body)
        return found

    def _take(self, size: int) -> bytes:
        found = self._source.read(size)
        if len(found) < size:
            raise Unreadable("gif: breaks off")
        return found


def read_exif(block: bytes, report: Report, words: Words, base: int) -> None:
    """EXIF of a picture: a TIFF structure that begins at `base` of the file."""
    Directories(Source(MemoryStore(block)), report, words, base=base, pixels=False).read()


def inspect_png(source: Source, report: Report) -> None:
    """PNG."""
    Png(source, report).read()


def inspect_jpeg(source: Source, report: Report) -> None:
    """JPEG."""
    Jpeg(source, report).read()


def inspect_gif(source: Source, report: Report) -> None:
    """GIF."""
    Gif(source, report).read()
