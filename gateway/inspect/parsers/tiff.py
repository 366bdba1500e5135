"""TIFF 6.0 and BigTIFF as a walk of their directories, which EXIF (CIPA DC-008) uses as well.

Tags are read by their type: text is classified, numbers are numbers, places and cameras are findings. What readers of other
formats know of a tag (GeoTIFF, microscopy) they say through `readers`; bytes of a tag that nobody can interpret are a gap.

A change must keep: a value, a strip or a directory is covered once it was read by its tag, and nothing else of the file is.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import metered
from gateway.inspect.parsers.pictures import judge_picture
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
    129: 1,
}
_CODES: Final = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q"}
_DIRECTORIES: Final = 10_000
_TEXT: Final = {2, 129}
_POINTERS: Final = {0x8769: "exif", 0x8825: "gps", 0xA005: "interoperability", 0x014A: "sub"}
_WIDTH, _HEIGHT, _CAMERA = 0x0100, 0x0101, {0x010F, 0x0110}
_STRIPS: Final = {0x0111: 0x0117, 0x0144: 0x0145}  # offsets and byte counts of strips and tiles
_THUMBNAIL, _THUMBNAIL_SIZE, _COMMENT = 0x0201, 0x0202, 0x9286
_WIDE: Final = range(0x9C9B, 0x9CA0)  # XPTitle to XPSubject: UTF-16 as bytes
_RAW_TEXT: Final = {0x02BC}  # XMP
_SHORT: Final = {
    0x9000,
    0xA000,
    0x9101,
    0xA300,
    0xA301,
    0xA302,
    0x0002,
    0x0000,
    0x0005,
}  # versions and codes of EXIF, as UNDEFINED
_TABLES: Final = {
    0x015B,
    0x8773,
    0xC4A5,
    0x828D,
    0x828E,
}  # JPEG tables, colour profile, print matching, filter patterns
_LONGEST: Final = 16 << 20  # bytes of a value that is kept


@dataclass(frozen=True)
class Tag:
    """One entry of a directory.

    Attributes:
        number: Of the tag.
        kind: Type of its values, section 2.
        count: Of values.
        raw: The values' bytes in the file's order.
        order: `<` or `>`.
    """

    number: int
    kind: int
    count: int
    raw: bytes
    order: str

    def numbers(self) -> list[int]:
        """Whole numbers; none of another type."""
        code = _CODES.get(self.kind, "")
        if code in {"", "f", "d"}:
            return []
        return [int(each) for each in struct.unpack(f"{self.order}{self.count}{code}", self.raw)]


# Whether a tag's bytes were interpreted.
TagReader = Callable[[Tag], bool]


class Directories:
    """All directories of a TIFF structure.

    Args:
        source: The structure, from its byte order on.
        report: Of the file that holds it.
        words: Takes text.
        base: Where the structure begins in that file.
        readers: For tags that are not TIFF's own.
        pixels: Whether it is a picture and not only the tags of one.
    """

    def __init__(
        self,
        source: Source,
        report: Report,
        words: Words,
        *,
        base: int = 0,
        readers: Mapping[int, TagReader] | None = None,
        pixels: bool = True,
    ) -> None:
        self._source = source
        self._report = report
        self._words = words
        self._base = base
        self._readers = readers or {}
        self._pixels = pixels
        self._seen: set[int] = set()
        self._order, self._big = "<", False

    def read(self) -> None:
        """From the header on.

        Raises:
            Unreadable: A directory or value lies outside, or a directory leads to itself.
        """
        head = self._bytes(0, 16)
        self._order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not self._order or len(head) < 8:
            raise Unreadable("tiff: no header")
        version = struct.unpack_from(self._order + "H", head, 2)[0]
        self._big = version == 43
        if version not in {42, 43} or (
            self._big and (len(head) < 16 or head[4:8] != struct.pack(self._order + "2H", 8, 0))
        ):
            raise Unreadable("tiff: no header")
        self._cover(0, 16 if self._big else 8)
        following = struct.unpack_from(self._order + ("Q" if self._big else "L"), head, 8 if self._big else 4)[0]
        while following:
            following = self._directory(following, "image")

    def _directory(self, at: int, role: str) -> int:
        if at in self._seen or len(self._seen) >= _DIRECTORIES:
            raise Unreadable("tiff: directories that lead to one another")
        self._seen.add(at)
        head, entry, word = (8, 20, "Q") if self._big else (2, 12, "L")
        count = int.from_bytes(self._bytes(at, head), "little" if self._order == "<" else "big")
        if count > 65_535:
            raise Unreadable("tiff: more entries than a directory has")
        size = head + count * entry + (8 if self._big else 4)
        raw = self._bytes(at, size)
        if len(raw) < size:
            raise Unreadable("tiff: a directory breaks off")
        self._cover(at, at + size)
        tags = [self._tag(raw[head + n * entry : head + (n + 1) * entry], role) for n in range(count)]
        self._parts({tag.number: tag for tag in tags if tag is not None}, role)
        following: int = struct.unpack_from(self._order + word, raw, size - struct.calcsize("=" + word))[0]
        return following

    def _tag(self, entry: bytes, role: str) -> Tag | None:
        number, kind = struct.unpack_from(self._order + "2H", entry)
        count = struct.unpack_from(self._order + ("Q" if self._big else "L"), entry, 4)[0]
        room = entry[12:] if self._big else entry[8:]
        size = _SIZES.get(kind, 0) * count
        if not size:
            self._report.unreadable("tiff: a value of no known type")
            return None
        if size > _LONGEST:
            raise Unreadable(f"tiff: a value of more than {_LONGEST} bytes", kind="archive_limit")
        at = -1
        raw = room[:size]
        if size > len(room):
            at = struct.unpack(self._order + ("Q" if self._big else "L"), room)[0]
            raw = self._bytes(at, size)
        elif any(room[size:]):
            self._report.unreadable("tiff: bytes behind a value")
        if len(raw) < size:
            raise Unreadable("tiff: a value breaks off")
        tag = Tag(number, kind, count, raw, self._order)
        if not self._interpreted(tag, role):
            if at < 0:
                self._report.unreadable(f"tiff: tag {number} is not known")
        elif at >= 0:
            self._cover(at, at + size + (size & 1 and not any(self._bytes(at + size, 1))))
        return tag

    def _interpreted(self, tag: Tag, role: str) -> bool:
        """Whether a tag's bytes were read as what they are."""
        reader = self._readers.get(tag.number)
        if reader is not None:
            return reader(tag)
        if tag.kind in _TEXT or tag.number in _RAW_TEXT:
            return all(list(map(self._words.add, tag.raw.split(b"\0"))))  # each is read
        if tag.number in _WIDE:
            self._words.line(tag.raw.decode("utf-16-le", "replace").rstrip("\0"))
            return True
        if tag.number == _COMMENT:
            return self._comment(tag.raw)
        if tag.kind in {1, 6, 7}:
            return (
                tag.number in _TABLES
                or (tag.number in _SHORT and len(tag.raw) <= 16)
                or tag.count <= 4
                or role == "gps"
            )
        return True

    def _comment(self, raw: bytes) -> bool:
        """UserComment: eight bytes tell the encoding (CIPA DC-008 section 4.6.6)."""
        if raw.startswith(b"UNICODE\0"):
            self._words.line(raw[8:].decode("utf-16-le" if self._order == "<" else "utf-16-be", "replace").rstrip("\0"))
            return True
        return self._words.add(raw[8:].rstrip(b"\0 "))

    def _parts(self, tags: Mapping[int, Tag], role: str) -> None:
        """What the tags of one directory mean together."""
        if role == "gps" and {2, 4} <= set(tags):  # GPSLatitude, GPSLongitude
            self._report.located()
            self._report.found("geo_precise", "EXIF: where the picture was taken")
        if _CAMERA & set(tags):
            self._report.found("face_image", "EXIF: taken by a camera", weak=True)
        if self._pixels:
            self._samples(tags)
        if _THUMBNAIL in tags and _THUMBNAIL_SIZE in tags:
            self._thumbnail(tags[_THUMBNAIL].numbers()[0], tags[_THUMBNAIL_SIZE].numbers()[0])
        for number in _POINTERS.keys() & tags.keys():
            for at in tags[number].numbers():
                if self._directory(at, _POINTERS[number]) and _POINTERS[number] != "sub":
                    raise Unreadable("tiff: a directory of tags that goes on")

    def _samples(self, tags: Mapping[int, Tag]) -> None:
        """Strips, tiles, and how large the picture is."""
        for offsets, counts in _STRIPS.items():
            if offsets in tags and counts in tags:
                for at, size in zip(tags[offsets].numbers(), tags[counts].numbers(), strict=True):
                    if at + size > self._source.size:
                        raise Unreadable("tiff: pixels lie outside of the file")
                    end = at + size
                    self._cover(at, end + (end & 1 and not any(self._bytes(end, 1))))  # what follows begins on a word
        if _WIDTH in tags and _HEIGHT in tags:
            width, height = tags[_WIDTH].numbers(), tags[_HEIGHT].numbers()
            judge_picture(self._report, width[0] if width else 1 << 20, height[0] if height else 1 << 20)

    def _thumbnail(self, at: int, size: int) -> None:
        self._report.context.budget.room(size)
        content = self._bytes(at, size)
        if len(content) < size:
            raise Unreadable("tiff: a thumbnail breaks off")
        found = self._report.member("thumbnail", metered(io.BytesIO(content), self._report.context.budget))
        if not found.coverage or found.coverage != ((0, size),):
            return
        self._cover(at, at + size)

    def _cover(self, start: int, end: int) -> None:
        self._report.cover(self._base + start, self._base + min(end, self._source.size))

    def _bytes(self, at: int, size: int) -> bytes:
        self._source.seek(at)
        return self._source.read(size)


def inspect(source: Source, report: Report) -> None:
    """A picture or stack of pictures."""
    Directories(source, report, Words(report, "tags")).read()
