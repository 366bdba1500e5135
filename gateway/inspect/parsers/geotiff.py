"""GeoTIFF (OGC 19-008r4) on TIFF 6.0 and BigTIFF: rasters with a place on the globe, GDAL's metadata and ghost area included.

Directories are walked; text in them is classified; strips and tiles are samples and passed over. What no directory refers to is
a gap. A raster whose pixels are finer than eleven metres and that touches the mainland is suspected to be important data.

A change must keep: a value that is neither text nor numbers of a known kind stays uncovered. `placed` serves a reader of other
TIFFs that meets these tags.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.inspect.coordinates import Coordinates
from gateway.inspect.forward import plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

SCALE, TIEPOINT, TRANSFORM, KEYS, WORDS = 33550, 33922, 34264, 34735, 34737
_WIDTH, _HEIGHT, _TILE_WIDTH = 256, 257, 322
_BLOCKS: Final = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
_INNER: Final = {330, 34665, 34853}  # further directories: reduced images, EXIF, GPS
# Bytes that are numbers by their tags: colour profile, JPEG tables, transparency
_NUMERIC: Final = {347, 34675}
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_FORMS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_TEXT, _BYTES, _UNDEFINED = 2, 1, 7
_DIRECTORIES: Final = 10_000
_VALUES: Final = 20_000_000
_ALIGNMENT: Final = 16
_GHOST: Final = b"GDAL_STRUCTURAL_METADATA_SIZE="

Tags = Mapping[int, tuple[float, ...]]


@dataclass(frozen=True)
class _Layout:
    """Classic or Big."""

    order: Literal["<", ">"]
    wide: bool

    @property
    def word(self) -> str:
        """Of counts and offsets."""
        return "Q" if self.wide else "I"


def inspect(source: Source, report: Report) -> None:
    """Every directory."""
    head = source.read(16)
    layout = _Layout("<" if head[:2] == b"II" else ">", head[2:3] == b"+" or head[3:4] == b"+")
    size = 16 if layout.wide else 8
    if len(head) < size or (layout.wide and struct.unpack(layout.order + "HH", head[4:8]) != (8, 0)):
        raise Unreadable("tiff: the header is damaged")
    report.cover(0, size)
    (first,) = struct.unpack(layout.order + layout.word, head[8:16] if layout.wide else head[4:8])
    _Reader(source, report, layout).read(first, _ghost(source, size, report))


def _ghost(source: Source, at: int, report: Report) -> bool:
    """GDAL's lines behind the header (COG driver, "ghost area"); whether blocks have their size in front and back."""
    source.seek(at)
    head = source.read(43)
    digits = head[len(_GHOST) : len(_GHOST) + 6]
    if not head.startswith(_GHOST) or not digits.isdigit():
        return False
    text = plain_text(source.read(int(digits)))
    if text is None:
        return False
    report.text("structure").line(text)
    report.cover(at, at + 43 + int(digits))
    return "BLOCK_LEADER=SIZE_AS_UINT4" in text


class _Reader:
    """Walks directories and covers what they refer to."""

    def __init__(self, source: Source, report: Report, layout: _Layout) -> None:
        self._source = source
        self._report = report
        self._layout = layout
        self._sink = report.text("tags")
        self._places = Coordinates(report)
        self._values = 0

    def read(self, first: int, led: bool) -> None:  # noqa: FBT001  # said by the ghost area, once
        """All of them, each once."""
        waiting, seen = [first], set[int]()
        while waiting:
            at = waiting.pop()
            if not at or at in seen:
                continue
            seen.add(at)
            if len(seen) > _DIRECTORIES:
                raise Unreadable(f"tiff: more than {_DIRECTORIES} directories", kind="archive_limit")
            tags, further = self._directory(at)
            waiting += [further, *(int(value) for tag in _INNER for value in tags.get(tag, ()))]
            self._blocks(tags, led)
            placed(tags, self._places)
        self._places.tell("raster")

    def _directory(self, at: int) -> tuple[dict[int, tuple[float, ...]], int]:
        order, word, wide = self._layout.order, self._layout.word, self._layout.wide
        form = order + ("Q" if wide else "H")
        (count,) = self._unpack(at, form)
        start, step = at + struct.calcsize(form), 20 if wide else 12
        if count > 65_535:
            raise Unreadable("tiff: a directory of too many entries")
        tags = {}
        for place in range(start, start + step * count, step):
            tag, kind, many = self._unpack(place, order + "HH" + word)
            tags[tag] = self._entry(tag, kind, many, place + step - struct.calcsize(word))
        end = start + step * count
        (further,) = self._unpack(end, order + word)
        self._report.cover(at, end + struct.calcsize(word))
        return tags, further

    def _entry(self, tag: int, kind: int, count: int, place: int) -> tuple[float, ...]:
        """The numbers of an entry, none for texts; its bytes are covered."""
        if kind not in _SIZES:
            raise Unreadable("tiff: an entry of a type that is not known")
        size, inside = _SIZES[kind] * count, struct.calcsize(self._layout.word)
        self._values += count
        if self._values > _VALUES:
            raise Unreadable(f"tiff: more than {_VALUES} values", kind="archive_limit")
        start = place if size <= inside else int(self._unpack(place, self._layout.order + self._layout.word)[0])
        self._source.seek(start)
        raw = self._source.read(size)
        if len(raw) < size:
            raise Unreadable("tiff: breaks off")
        free = kind in {_TEXT, _UNDEFINED} or (kind == _BYTES and count > 16)
        if free and tag not in _NUMERIC and not self._worded(tag, raw) and size > inside:
            return ()
        self._report.cover(
            start, start + size + (size & 1 if size > inside else 0)
        )  # values begin on words, TIFF 6.0 section 2
        return struct.unpack(f"{self._layout.order}{count}{_FORMS[kind]}", raw) if kind in _FORMS else ()

    def _worded(self, tag: int, raw: bytes) -> bool:
        text = plain_text(raw.replace(b"\0", b"\n"))
        if text is None:
            return not any(raw)
        self._sink.line(text)
        if tag == WORDS:
            self._places.system(text, "reference system")
        return True

    def _blocks(self, tags: Tags, led: bool) -> None:  # noqa: FBT001  # as above
        for offsets, counts in _BLOCKS:
            starts, sizes = tags.get(offsets, ()), tags.get(counts, ())
            if len(starts) != len(sizes):
                raise Unreadable("tiff: blocks without a length")
            for start, size in zip(map(int, starts), map(int, sizes), strict=True):
                if start + size > self._source.size:
                    raise Unreadable("tiff: breaks off")
                self._report.cover(start - self._aligned(start), start + size + self._odd(start + size))
                if led and size:
                    self._led(start, size)

    def _aligned(self, start: int) -> int:
        """Zeros with which writers bring a block to a multiple of sixteen."""
        if start % _ALIGNMENT or start < _ALIGNMENT:
            return 0
        self._source.seek(start - _ALIGNMENT + 1)
        before = self._source.read(_ALIGNMENT - 1)
        return len(before) - len(before.rstrip(b"\0"))

    def _odd(self, end: int) -> int:
        """The zero behind a block of an odd end: directories and values begin on a word (TIFF 6.0 section 2)."""
        self._source.seek(end)
        return int(end % 2 and self._source.read(1) == b"\0")

    def _led(self, start: int, size: int) -> None:
        """Four bytes of size before a block, its last four bytes again behind it."""
        self._source.seek(max(start - 4, 0))
        if self._source.read(4) == size.to_bytes(4, "little"):
            self._report.cover(start - 4, start)
        self._source.seek(max(start + size - 4, 0))
        tail = self._source.read(8)
        if tail[:4] == tail[4:]:
            self._report.cover(start + size, start + size + 4)

    def _unpack(self, at: int, form: str) -> tuple[int, ...]:
        self._source.seek(at)
        raw = self._source.read(struct.calcsize(form))
        if len(raw) < struct.calcsize(form):
            raise Unreadable("tiff: breaks off")
        return struct.unpack(form, raw)


def placed(tags: Tags, places: Coordinates) -> None:
    """Where a raster lies, by its tags (OGC 19-008r4 section 7.3 and annex B)."""
    keys = tags.get(KEYS, ())
    for at in range(4, len(keys) - 3, 4):
        key, location, _, value = (int(each) for each in keys[at : at + 4])
        if key in {2048, 3072} and not location:  # geodetic and projected reference system
            places.code(value, "reference system")
    width, height = tags.get(_WIDTH, ()), tags.get(_HEIGHT, ())
    scale, tie, matrix = tags.get(SCALE, ()), tags.get(TIEPOINT, ()), tags.get(TRANSFORM, ())
    if not width or not height:
        return
    shape = (int(width[0]), int(height[0]))
    if len(scale) >= 2 and len(tie) >= 6:
        places.grid(tie[3] - tie[0] * scale[0], tie[4] + tie[1] * scale[1], (abs(scale[0]), abs(scale[1])), shape)
    elif len(matrix) >= 8:
        places.grid(matrix[3], matrix[7], (abs(matrix[0]) or abs(matrix[1]), abs(matrix[5]) or abs(matrix[4])), shape)
