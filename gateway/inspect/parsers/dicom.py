"""DICOM (PS3.5, PS3.10): every element of an object, public or private, in sequences or not.

Text of every element is classified; what tags say of people is judged by `dicom_judgement`. Pixels, waveforms and other
numbers are passed over and counted against the dimensions that the object states. What stays uncovered, and so holds the file:
a preamble that is neither zeros nor the header of a TIFF, private values that are neither text nor numbers, padding that is
not zero, bytes behind pixels, behind a compressed frame, behind the last element.

A change must keep: an object without a preamble is read by the same walk; a deflated one pays for what it expands to.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from functools import cache
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes

from gateway.inspect.forward import Cursor, Window, plain_text
from gateway.inspect.limits import Metered, Unreadable
from gateway.inspect.parsers.dicom_elements import PIXELS, TEXTS, UNDEFINED, Element, Elements, Syntax, place_of
from gateway.inspect.parsers.dicom_judgement import Judgement
from gateway.inspect.parsers.dicom_pixels import begins_image, check_rle, read_image
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

logging.getLogger("pydicom").disabled = True  # it warns of values by printing them

_TRANSFER_SYNTAX, _CHARSET, _DOCUMENT, _ENCRYPTED, _PADDING = 0x00020010, 0x00080005, 0x00420011, 0x04000520, 0xFFFCFFFC
_STORED_CLASS, _DIRECTORY = 0x00020002, "1.2.840.10008.1.3.10"
_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_RLE: Final = "1.2.840.10008.1.2.5"
# JPEG, JPEG-LS, JPEG 2000 and its high throughput form; 4.1xx are films
_MARKED: Final = tuple(f"1.2.840.10008.1.2.4.{digits}" for digits in ("5", "6", "7", "8", "9", "20"))
_NUMBERS: Final = frozenset({"AT", "FD", "FL", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "US", "UV"})
_FLOAT_PIXELS, _DOUBLE_PIXELS = 0x7FE00008, 0x7FE00009
_DIMENSIONS: Final = {
    0x00280002: "samples", 0x00280008: "frames", 0x00280010: "rows", 0x00280011: "columns", 0x00280100: "bits"
}  # fmt: skip
_PHOTOMETRIC: Final = 0x00280004
# Numbers in bytes: curves, audio, overlays, waveforms, version, colour profile
_BYTES: Final = frozenset({0x00020001, 0x00282000, 0x54001010, 0x54000110, 0x54000112, 0x00880200})
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DELIMITERS: Final = {0x5C, 0x0A, 0x0C, 0x0D, 0x09}  # PS3.5 section 6.1.2.5.3: character sets begin anew behind these
_OFFSETS: Final = 1 << 22  # bytes of a basic offset table: a million frames
_FRAME: Final = 64 << 20  # bytes of a compressed frame looked into


def inspect(source: Source | Stream, report: Report) -> None:
    """The whole object."""
    _Object(Cursor(source, report.context.budget, "dicom"), report).read()


class _Object:
    """One DICOM object being read."""

    def __init__(self, cursor: Cursor, report: Report) -> None:
        self._file = cursor
        self._cursor = cursor
        self._report = report
        self._judgement = Judgement(report.context.tables.dicom)
        self._text = report.text("elements")
        self._uids = report.text("identifiers of objects")
        self._other = report.text("elements in another character set")
        self._holes: list[tuple[int, int]] = []
        self._syntax_uid = ""
        self._syntax = Syntax()
        self._dimensions: dict[str, int] = {}
        self._photometric = ""

    def read(self) -> None:
        """Preamble, file meta information, data set, and what they amount to."""
        begin = self._preamble()
        if self._cursor.peek(2) == b"\x02\x00":
            self._elements(Syntax()).walk(group=2)
        self._syntax = self._data_syntax()
        try:
            end = self._deflated() if self._syntax_uid == _DEFLATED else self._elements(self._syntax).walk()
            self._cover(begin, end)
            if self._dimensions.get("rows") and not self._judgement.has_pixels:
                raise Unreadable("dicom: dimensions without pixels")
        finally:
            self._judgement.tell(self._report)  # what was seen before a break counts too

    def _preamble(self) -> int:
        """PS3.10 section 7.1: zeros, or a TIFF's header where the object is one as well."""
        head = self._cursor.peek(132)
        if head[128:] != b"DICM":
            return 0
        self._cursor.take(132)
        if not any(head[:128]):
            return 0
        if head.startswith(_TIFF):
            size = 16 if head[2:3] == b"+" or head[3:4] == b"+" else 8
            self._report.cover(0, size if any(head[size:128]) else 128)
        else:
            self._report.found("media_mismatch", "the preamble is another file's head")
        return 128

    def _elements(self, syntax: Syntax) -> Elements:
        return Elements(self._cursor, syntax, self._take, self._judgement.sequence)

    def _data_syntax(self) -> Syntax:
        uid = self._syntax_uid
        if uid:
            return Syntax(explicit=uid != _IMPLICIT, order=">" if uid == _BIG else "<")
        head = self._cursor.peek(8)  # PS3.10 asks for a syntax; older files leave it out
        order = ">" if head[:1] == b"\0" and head[1:2] != b"\0" else "<"
        return Syntax(explicit=head[4:6].isalpha() and head[4:6].isupper(), order=order)

    def _deflated(self) -> int:
        """PS3.5 section A.5: the data set as one DEFLATE stream; one byte may follow to make the length even."""
        stream = _Inflated(self._cursor)
        self._cursor = Cursor(Metered(stream, self._file.budget), self._file.budget, "dicom")  # type: ignore[arg-type]  # read() is all
        self._elements(self._syntax).walk()
        if self._holes or self._cursor.some(1):
            self._report.unreadable("dicom: bytes in the deflated data set that no element refers to")
        self._holes = []
        left = stream.finish()
        return self._file.at - len(left) + (1 if left == b"\0" else 0)

    def _cover(self, begin: int, end: int) -> None:
        for start, stop in sorted(self._holes):
            self._report.cover(begin, start)
            begin = stop
        self._report.cover(begin, end)

    # --- values --------------------------------------------------------------------------------------------------------

    def _take(self, element: Element) -> None:
        if element.tag in {PIXELS, _FLOAT_PIXELS, _DOUBLE_PIXELS} and not element.home.path:
            self._judgement.has_pixels = True
        if element.length == UNDEFINED:
            self._encapsulated(element)
        elif element.tag in {PIXELS, _FLOAT_PIXELS, _DOUBLE_PIXELS}:
            self._native(element)
        elif element.tag == _DOCUMENT:
            self._document(element)
        elif element.vr in TEXTS:
            self._worded(element)
        elif element.vr in _NUMBERS and not (element.private and element.vr[0] == "O"):
            self._numbers(element)
        else:
            self._bytes(element)

    def _worded(self, element: Element) -> None:
        raw = self._cursor.take(element.length)
        text = decoded(raw, element.home.charset)
        self._remember(element, text)
        self._judgement.value(element, raw, text)
        sink = self._uids if element.vr == "UI" else self._text
        if text.strip():
            sink.line(f"{place_of(element.tag)}: {text}")
        if not raw.isascii() and (other := plain_text(raw)) and other != text:
            self._other.line(f"{place_of(element.tag)}: {other}")  # character sets are often stated wrongly

    def _remember(self, element: Element, text: str) -> None:
        tag, home = element.tag, element.home
        if tag == _CHARSET:
            home.charset = tuple(part.strip() for part in text.split("\\"))
        elif element.private and 0x10 <= tag & 0xFFFF <= 0xFF:
            home.creators[tag >> 16, tag & 0xFF] = text.strip()
        elif home.path:
            return
        elif tag == _TRANSFER_SYNTAX:
            self._syntax_uid = text.strip("\0 ")
        elif tag == _STORED_CLASS:
            self._judgement.directory = text.strip("\0 ") == _DIRECTORY
        elif tag == _PHOTOMETRIC:
            self._photometric = text.strip()
        elif tag in _DIMENSIONS and text.strip().isdigit():
            self._dimensions[_DIMENSIONS[tag]] = int(text.strip()[:12])

    def _numbers(self, element: Element) -> None:
        if element.length > 64:
            self._judgement.value(element, b"\1", "")
            self._cursor.skip(element.length)
            return
        raw = self._cursor.take(element.length)
        self._judgement.value(element, raw, "")
        if element.tag in _DIMENSIONS and not element.home.path and element.vr == "US":
            order = "little" if self._syntax.order == "<" else "big"
            self._dimensions[_DIMENSIONS[element.tag]] = int.from_bytes(raw[:2], order)  # type: ignore[arg-type]  # one of two words

    def _bytes(self, element: Element) -> None:
        """Bytes without a form of their own: text, zeros, what is known to be numbers; else nobody knows."""
        tag, start = element.tag, self._cursor.at
        if tag == _ENCRYPTED and element.length:
            self._report.unreadable(f"{place_of(tag)} under a key", kind="encrypted_content")
        repeating = tag & 0xFF00FFFF in {0x50003000, 0x5000200C, 0x60003000}
        if not element.private and (tag in _BYTES or repeating):
            if tag & 0xFF00FFFF == 0x60003000:
                self._report.found("dicom_identity", "(60xx,3000) OverlayData", weak=True)
            self._cursor.skip(element.length)
            return
        if element.length > self._file.budget.limits.held:
            self._cursor.skip(element.length)
            self._holes.append((start, self._cursor.at))
            return
        raw = self._cursor.take(element.length)
        text = "" if tag == _PADDING else plain_text(raw)
        self._judgement.value(element, raw, text or "")
        if text and text.strip():
            self._text.line(f"{place_of(tag)}: {text}")
        elif any(raw):
            self._holes.append((start, self._cursor.at))

    def _document(self, element: Element) -> None:
        """(0042,0011): a PDF, a CDA document, a mesh."""
        start = self._cursor.at
        window = Window(self._cursor, element.length)
        self._judgement.value(element, b"\1", "")
        found = self._report.member("EncapsulatedDocument", _Unpadded(window))  # type: ignore[arg-type]  # read() is all
        while window.left:
            window.read(1 << 20)
        if not found.inspectable:
            self._holes.append((start, self._cursor.at))

    # --- pixels --------------------------------------------------------------------------------------------------------

    def _native(self, element: Element) -> None:
        start = self._cursor.at
        wanted = self._expected(element.tag) if not element.home.path else element.length
        self._cursor.skip(element.length)
        if element.length < wanted:
            raise Unreadable("dicom: fewer pixels than its dimensions say")
        if element.length > wanted + (wanted & 1):
            self._holes.append((start + wanted, start + element.length))

    def _expected(self, tag: int) -> int:
        """Bytes of native pixels (PS3.5 section 8.1.1, PS3.3 C.7.6.3.1.2 for 4:2:2)."""
        told = self._dimensions
        if not all(told.get(key) for key in ("rows", "columns")):
            raise Unreadable("dicom: pixels without dimensions")
        pixels = told["rows"] * told["columns"] * max(told.get("frames", 1), 1)
        if tag != PIXELS:
            return pixels * (4 if tag == _FLOAT_PIXELS else 8)
        samples = 2 if self._photometric.endswith("_422") else told.get("samples", 1)
        return (pixels * samples * told.get("bits", 8) + 7) // 8

    def _encapsulated(self, element: Element) -> None:
        """PS3.5 section A.4: an offset table, then fragments of frames."""
        frames = _Frames(self._syntax_uid, self._report)
        offsets = self._offset_table()
        begins, base = set(), self._cursor.at
        while True:
            at = self._cursor.at
            tag, size = self._item()
            if tag == 0xFFFEE0DD:
                break
            begins.add(at - base)
            if size > _FRAME:
                raise Unreadable("dicom: a fragment too large to look into", kind="archive_limit")
            frames.fragment(self._cursor.at, self._cursor.take(size))
        frames.end()
        self._holes += frames.holes
        for note in frames.notes:
            self._text.line(f"comment in a frame: {plain_text(note) or note.decode('latin-1')}")
        if not begins.issuperset(offsets):
            raise Unreadable("dicom: an offset table points to no fragment")
        if element.home.path:
            return
        if not begins:
            raise Unreadable("dicom: no pixels in the pixel data")

    def _offset_table(self) -> list[int]:
        tag, size = self._item()
        if tag != 0xFFFEE000 or size % 4 or size > _OFFSETS:
            raise Unreadable("dicom: no offset table before the fragments")
        table = self._cursor.take(size)
        return [int.from_bytes(table[at : at + 4], "little") for at in range(0, size, 4)]

    def _item(self) -> tuple[int, int]:
        group, item, size = self._cursor.unpack("<HHI")
        tag = group << 16 | item
        if tag not in {0xFFFEE000, 0xFFFEE0DD} or size == UNDEFINED or (tag == 0xFFFEE0DD and size):
            raise Unreadable("dicom: the fragments of the pixels are damaged")
        return tag, size


class _Frames:
    """Fragments put together to frames, one in memory at a time; looked into where their syntax has markers."""

    def __init__(self, syntax: str, report: Report) -> None:
        self._marked = syntax.startswith(_MARKED)
        self._rle = syntax == _RLE
        self._budget = report.context.budget
        self._pieces: list[tuple[int, bytes]] = []
        self._held = 0
        self.notes: list[bytes] = []
        self.holes: list[tuple[int, int]] = []

    def fragment(self, at: int, piece: bytes) -> None:
        """The next fragment and where its bytes begin."""
        if self._rle:
            check_rle(piece)
        if not self._marked:
            return
        if begins_image(piece):
            self.end()
        self._held += len(piece)
        self._budget.room(self._held)
        self._pieces.append((at, piece))

    def end(self) -> None:
        """The frame is whole: look into it."""
        if not self._pieces:
            return
        frame = b"".join(piece for _, piece in self._pieces)
        image = read_image(frame)
        self.notes += image.notes[: 1000 - len(self.notes)]
        slack = [(image.end, len(frame))] if len(frame) - image.end > 1 else []  # one byte makes it even
        for start, stop in [*image.strange, *slack]:
            self._hole(start, stop)
        self._pieces, self._held = [], 0

    def _hole(self, start: int, stop: int) -> None:
        passed = 0
        for at, piece in self._pieces:
            low, high = max(start - passed, 0), min(stop - passed, len(piece))
            if low < high:
                self.holes.append((at + low, at + high))
            passed += len(piece)


class _Unpadded:
    """An odd document without the byte that makes its length even (PS3.3 C.24.2)."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        window = self._window
        if window.left > 1:
            return window.read(window.left - 1 if size < 0 else min(size, window.left - 1))
        last = window.read(1)
        return b"" if last == b"\0" else last


class _Inflated:
    """A deflated data set as a stream."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._inflate = zlib.decompressobj(-15)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        inflate, wanted = self._inflate, size if size > 0 else 1 << 20
        while not inflate.eof:
            fed = inflate.unconsumed_tail or self._cursor.some(1 << 16)
            try:
                piece = inflate.decompress(fed, min(wanted, 1 << 20))
            except zlib.error as wrong:
                raise Unreadable("dicom: the deflated data set is damaged") from wrong
            if piece:
                return piece
            if not fed:
                raise Unreadable("dicom: the deflated data set breaks off")
        return b""

    def finish(self) -> bytes:
        """What stands behind the stream, as far as it was read."""
        if not self._inflate.eof and (self.read(1) or not self._inflate.eof):
            raise Unreadable("dicom: the deflated data set goes on behind its elements")
        return self._inflate.unused_data


@cache
def _encodings(charset: tuple[str, ...]) -> tuple[str, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(convert_encodings(list(charset)))


def decoded(raw: bytes, charset: tuple[str, ...]) -> str:
    """Text of a value (PS3.5 section 6.1.2); where no character set is stated, whatever it can be read as."""
    raw = raw.rstrip(b"\0")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    if not any(charset):
        return plain_text(raw) or raw.decode("latin-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(raw, list(_encodings(charset)), _DELIMITERS)
        except (LookupError, UnicodeError):
            return plain_text(raw) or raw.decode("latin-1")
