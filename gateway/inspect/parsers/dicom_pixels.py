"""Where a compressed image really ends, and what is written beside its samples.

JPEG and JPEG-LS: ITU-T T.81 annex B and T.87 annex C. JPEG 2000: ITU-T T.800 annexes A and I. RLE: DICOM PS3.5 annex G.

Samples themselves are passed over: they are what the format holds. A change must keep: what no marker refers to is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.inspect.limits import Unreadable

_KNOWN_APPLICATIONS: Final = (b"JFIF\0", b"JFXX\0", b"Adobe", b"mrfx", b"ICC_PROFILE\0", b"SPIFF\0")
_NEXT_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # T.81 B.1.1.5: a stuffed zero follows an FF of samples
_NEXT_LS_MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # T.87: a stuffed zero bit
_TINY: Final = 8  # bytes of an application's segment: flags and numbers at most
_JP2: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


@dataclass
class Image:
    """What was read of one compressed frame.

    Attributes:
        end: Bytes that belong to it.
        notes: Comments, to be classified.
        strange: Ranges within it that hold what nobody here reads.
    """

    end: int = 0
    notes: list[bytes] = field(default_factory=list)
    strange: list[tuple[int, int]] = field(default_factory=list)


def begins_image(piece: bytes) -> bool:
    """Whether a fragment is the first of a frame, by its signature."""
    return piece.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff\x51", _JP2))


def read_image(frame: bytes) -> Image:
    """Walk the markers of a JPEG, JPEG-LS or JPEG 2000 image.

    Raises:
        Unreadable: It breaks off, or is none of them.
    """
    image = Image()
    try:
        if frame.startswith(b"\xff\xd8"):
            _jpeg(frame, image)
        elif frame.startswith(b"\xff\x4f"):
            image.end = _codestream(frame, 0, image)
        elif frame.startswith(_JP2):
            _boxes(frame, image)
        else:
            raise Unreadable("dicom: a frame is not of its transfer syntax")
    except IndexError as wrong:
        raise Unreadable("dicom: a compressed frame breaks off") from wrong
    return image


def check_rle(frame: bytes) -> None:
    """The header of a frame of run lengths: 64 bytes, at most 15 segments in order (PS3.5 section G.5).

    Raises:
        Unreadable: It is none.
    """
    words = [int.from_bytes(frame[at : at + 4], "little") for at in range(0, 64, 4)]
    count = words[0]
    offsets = words[1 : count + 1]
    sane = 1 <= count <= 15 and offsets[0] == 64 and offsets == sorted(set(offsets)) and offsets[-1] < len(frame)
    if not sane or any(words[count + 1 :]):
        raise Unreadable("dicom: a frame of run lengths has no header")


def _jpeg(frame: bytes, image: Image) -> None:
    at, next_marker = 2, _NEXT_MARKER
    while True:
        if frame[at] != 0xFF:
            raise Unreadable("dicom: a JPEG frame is damaged")
        marker = frame[at + 1]
        if marker == 0xD9:
            image.end = at + 2
            return
        if marker in {0xFF, 0x01} or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        size = _big(frame, at + 2, 2)
        body = frame[at + 4 : at + 2 + size]
        if marker == 0xFE:
            image.notes.append(body)
        elif 0xE0 <= marker <= 0xEF and len(body) > _TINY and not body.startswith(_KNOWN_APPLICATIONS):
            image.strange.append((at, at + 2 + size))
        elif marker == 0xF7:
            next_marker = _NEXT_LS_MARKER
        at += 2 + size
        if marker == 0xDA:
            found = next_marker.search(frame, at)
            at = found.start() if found else len(frame)


def _codestream(frame: bytes, at: int, image: Image) -> int:
    at += 2
    while True:
        marker = _big(frame, at, 2)
        if marker == 0xFFD9:
            return at + 2
        size = _big(frame, at + 2, 2)
        if marker == 0xFF90:  # a tile-part, by its own length
            length = _big(frame, at + 6, 4)
            if not length:  # the last one may leave its length out
                return _last_marker(frame)
            if length < 14:
                raise Unreadable("dicom: a JPEG 2000 frame is damaged")
            at += length
            continue
        if marker == 0xFF64:
            image.notes.append(frame[at + 6 : at + 2 + size])
        elif marker >> 8 != 0xFF:
            raise Unreadable("dicom: a JPEG 2000 frame is damaged")
        at += 2 + size


def _last_marker(frame: bytes) -> int:
    end = frame.rfind(b"\xff\xd9")
    if end < 0:
        raise IndexError
    return end + 2


def _boxes(frame: bytes, image: Image) -> None:
    at = 0
    while at < len(frame) - 1:
        size, kind = _big(frame, at, 4), frame[at + 4 : at + 8]
        if kind == b"jp2c":
            image.end = _codestream(frame, at + 8, image)
            return
        if size < 8 or at + size > len(frame):
            raise Unreadable("dicom: a box of JPEG 2000 is damaged")
        if kind == b"xml ":
            image.notes.append(frame[at + 8 : at + size])
        elif kind not in {b"jP  ", b"ftyp", b"jp2h"}:
            image.strange.append((at, at + size))
        at += size
    raise IndexError


def _big(frame: bytes, at: int, size: int) -> int:
    if at + size > len(frame):
        raise IndexError
    return int.from_bytes(frame[at : at + size], "big")
