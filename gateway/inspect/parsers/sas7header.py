"""The header of a SAS data set, and what all of it is read by (Shotwell and Cummins, "SAS7BDAT Database Binary Format").

SAS has published nothing; the description was deduced from files, and much in it is called unknown. What is unknown is numbers
with zeros between them in every file that we saw. So bytes that nobody has named count as read where no more than a dozen of
them stand in a row without a zero (`quiet`), and what they spell is told to the classifier all the same.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from gateway.inspect.cursor import decoded
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.runs import legible
from gateway.inspect.source import Source

_LOUD: Final = re.compile(rb"[^\0]{13,}")
_CONTROLS: Final = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LARGEST: Final = 1 << 24  # bytes of a header or a page
ROW_SIZE, COLUMN_SIZE = -0x08080809, -0x0909090A  # signatures, as numbers
COUNTS, FORMAT = -1024, -1026
NAMES, LIST, TEXT, ATTRIBUTES = -1, -2, -3, -4
KNOWN: Final = frozenset({ROW_SIZE, COLUMN_SIZE, COUNTS, FORMAT, *range(-8, 0)})
# Character encodings by SAS's number, as Python's codecs; those that have none are not read
_ENCODINGS: Final = {
    0: "", 204: "", 20: "utf-8", 28: "ascii", 29: "latin-1", 37: "iso8859-9", 39: "iso8859-11", 40: "iso8859-15",
    **{code: f"iso8859-{code - 28}" for code in range(30, 37)}, 227: "iso8859-14", 242: "iso8859-13", 41: "cp437", 42: "cp850",
    43: "cp852", 44: "cp857", 45: "cp858", 46: "cp862", 47: "cp864", 48: "cp865", 49: "cp866", 50: "cp869", 51: "cp874",
    56: "cp737", 57: "cp775", 58: "cp860", 59: "cp863", **{code: f"cp{code + 1190}" for code in range(60, 69)},
    69: "mac_roman", 70: "mac_arabic", 72: "mac_greek", 75: "mac_turkish", 76: "mac_cyrillic", 118: "cp950", 123: "big5hkscs",
    125: "gb18030", 126: "gb18030", 128: "gb18030", 134: "euc_jp", 136: "cp932", 137: "cp932", 138: "cp932", 140: "euc_kr",
    141: "cp949", 142: "cp949", 163: "mac_iceland", 167: "iso2022_jp", 168: "iso2022_kr", 205: "gb18030", 245: "mac_croatian",
    246: "mac_cyrillic", 247: "mac_romanian", 248: "shift_jisx0213",
}  # fmt: skip


def quiet(raw: bytes) -> bool:
    """Whether these are numbers with zeros between them, as far as anybody can see."""
    return _LOUD.search(raw) is None


def legible_text(raw: bytes, encoding: str) -> bool:
    """Whether these bytes are text, in the encoding that the file names."""
    try:
        raw.decode(encoding or "latin-1")
    except UnicodeDecodeError:
        return False
    return _CONTROLS.search(raw) is None


@dataclass(frozen=True)
class Layout:
    """What the header says of the file.

    Attributes:
        order: `<` or `>`, of numbers.
        wide: Of 64 bits: words of 8 bytes.
        header: Bytes of the header.
        page: Bytes of a page.
        pages: How many.
        encoding: A codec's name; empty where the file does not say.
        packed: Rows begin right behind the pointers, as Stat/Transfer writes them, and not at a multiple of eight.
    """

    order: str
    wide: bool
    header: int
    page: int
    pages: int
    encoding: str
    packed: bool = False

    @property
    def word(self) -> int:
        """Bytes of a word."""
        return 8 if self.wide else 4

    @property
    def head(self) -> int:
        """Bytes of a page's own header."""
        return 40 if self.wide else 24

    @property
    def pointer(self) -> int:
        """Bytes of a pointer to a subheader."""
        return 24 if self.wide else 12

    def numbers(self, layout: str, raw: bytes, at: int) -> tuple[int, ...]:
        """Numbers in the file's order, `W` for a word.

        Raises:
            Unreadable: They reach out of `raw`.
        """
        form = self.order + layout.replace("W", "Q" if self.wide else "I")
        if at < 0 or at + struct.calcsize(form) > len(raw):
            raise Unreadable("sas7bdat: a structure is too short")
        return struct.unpack_from(form, raw, at)

    def signature(self, raw: bytes) -> int:
        """Of a subheader; 0 where there is none."""
        if raw[:4] in (b"\xf7" * 4, b"\xf6" * 4):
            return ROW_SIZE if raw[0] == 0xF7 else COLUMN_SIZE
        found: int = struct.unpack(self.order + ("q" if self.wide else "i"), raw[: self.word].ljust(self.word, b"\0"))[
            0
        ]
        return found if found in KNOWN else 0


def header(source: Source, report: Report) -> Layout:
    """The header, covered as far as it was understood; its text to the classifier.

    Raises:
        Unreadable: It is none, or the file is shorter than it says.
    """
    source.seek(0)
    head = source.read(344)
    if len(head) < 344 or head[37] not in (0, 1):
        raise Unreadable("sas7bdat: breaks off within its header")
    pad, grown = (4 if head[35] == 0x33 else 0), (4 if head[32] == 0x33 else 0)
    base = pad + grown
    if head[70] not in _ENCODINGS:
        raise Unreadable("sas7bdat: letters of an encoding that is not read")
    rough = Layout("<" if head[37] else ">", bool(grown), 0, 0, 0, _ENCODINGS[head[70]])
    size, page, pages = rough.numbers("IIW", head, 196 + pad)
    if not (336 + base <= size <= _LARGEST and 1024 <= page <= _LARGEST) or page % 8:
        raise Unreadable("sas7bdat: pages of no size")
    if pages > (source.size - size) // page:
        raise Unreadable("sas7bdat: breaks off within its pages")
    _header_text(head, base, rough.encoding, report)
    _header_numbers(source, head, pad, base, size, report)
    packed = head[217 + base : 224 + base] == b".0000M0"
    return Layout(rough.order, rough.wide, size, page, pages, rough.encoding, packed=packed)


def _header_text(head: bytes, base: int, encoding: str, report: Report) -> None:
    """The data set's name and type, the program and the machine that wrote it; and whatever numbers spell."""
    sink = report.text("header")
    for start, end in (
        (84, 156),
        (156, 164),
        *((at + base, at + base + 16) for at in range(224, 288, 16)),
        (216 + base, 224 + base),
    ):
        for part in head[start:end].split(b"\0"):
            if part.strip():
                sink.line(decoded(part, encoding))
        report.cover(start, end)
    sink.raw(legible(head[32:84]) + b"\n" + legible(head[288 + base : 336 + base]) + b"\n")


def _header_numbers(source: Source, head: bytes, pad: int, base: int, size: int, report: Report) -> None:
    """Numbers that are known, those that are not and stand between zeros, and zeros up to the end."""
    report.cover(0, 32)  # the signature
    report.cover(164 + pad, 208 + base)  # times, sizes
    if head[296 + base : 300 + base] == head[300 + base : 304 + base] == head[292 + base : 296 + base]:
        report.cover(288 + base, 304 + base)  # one sum, three times
    report.cover(320 + base, 324 + base)  # of the pages' sequence
    report.cover(328 + base, 336 + base)  # a time
    for start, end in (
        (32, 84),
        (164, 164 + pad),
        (208 + base, 216 + base),
        (304 + base, 320 + base),
        (324 + base, 328 + base),
    ):
        if quiet(head[start:end]):
            report.cover(start, end)
    source.seek(336 + base)
    if not source.read(size - 336 - base).strip(b"\0"):
        report.cover(336 + base, size)
