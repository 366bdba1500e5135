"""PDF (ISO 32000-2), taken apart by pypdf: text of pages, and every string, name and stream of every object.

Read are pages, forms and appearances, annotations, fields, bookmarks, properties, XMP, JavaScript, attached files as members, and
pictures as pictures (`images`). Fonts, colour profiles and functions are no text by nature.

What a page shows and no text tells holds the file: a page without text (a scan), fonts that do not say which characters they
show, a digital signature, a stream whose use nothing tells. So does what a revision left behind (`pdfobjects`).

A change must keep: every object that the cross-reference leads to is walked, whether a page refers to it or not.
"""

from __future__ import annotations

import io
import logging
import re
import zlib
from collections import defaultdict
from typing import Any, Final

from pypdf import PageObject, PdfReader
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    ContentStream,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import metered
from gateway.inspect.parsers.pdfobjects import Objects
from gateway.inspect.parsers.pictures import judge_picture
from gateway.inspect.parsers.words import Words, decoded
from gateway.inspect.report import Report
from gateway.inspect.source import Source

logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)  # it would log pieces of files

_DEEP: Final = 100
_PAGES: Final = 20_000
# Keys whose strings are digests, random numbers or tables of samples
_BINARY: Final = {"/ID", "/CheckSum", "/Panose", "/Lookup"}
# Streams by the keys that refer to them: programs of fonts, tables of numbers
_NO_TEXT: Final = {
    "/FontFile", "/FontFile2", "/FontFile3", "/CIDToGIDMap", "/CIDSet", "/ICCBased", "/DestOutputProfile", "/Function",
    "/TR", "/TR2", "/BG", "/BG2", "/UCR", "/UCR2", "/HT", "/Shading",
}  # fmt: skip
_PICTURES: Final = {"/SMask", "/Mask", "/Thumb"}
_DRAWN: Final = {"/Contents", "/N", "/D", "/R", "/Form", "/Pattern", "/CharProcs"}
_ENCODINGS: Final = {  # section 9.7.5.2: those of which pypdf knows the characters
    "/GB-EUC-H", "/GB-EUC-V", "/GBpc-EUC-H", "/GBpc-EUC-V", "/GBK-EUC-H", "/GBK-EUC-V", "/GBK2K-H", "/GBK2K-V",
    "/ETen-B5-H", "/ETen-B5-V", "/ETenms-B5-H", "/ETenms-B5-V", "/UniCNS-UTF16-H", "/UniCNS-UTF16-V", "/UniGB-UTF16-H",
    "/UniGB-UTF16-V", "/90ms-RKSJ-H", "/90ms-RKSJ-V", "/UniJIS-UTF16-H", "/UniJIS-UTF16-V",
}  # fmt: skip
_INLINE: Final = re.compile(rb"\bBI\b[^()]{0,2000}?\bID\b")  # section 8.9.7


class Document:
    """One PDF."""

    def __init__(self, content: bytes, report: Report) -> None:
        self._report = report
        self._reader = PdfReader(io.BytesIO(content), strict=False)
        if self._reader.is_encrypted:
            raise Unreadable("pdf under a password", kind="encrypted_content")
        self._words = Words(report, "strings and names")
        self._roles: dict[int, set[str]] = defaultdict(set)
        self._objects = Objects(content, self._reader, report, self._words)
        self._held: set[str] = set()
        self._drawn: set[int] = set()

    def read(self) -> None:
        """All of it."""
        for trailer in self._objects.trailers:
            self._walk(trailer, "", 0)
        for placed in self._objects.found:
            self._walk(placed.value, "", 0)
        self._pages()
        for placed in self._objects.found:
            if isinstance(placed.value, StreamObject):
                self._stream(placed.number, placed.value)

    def _hold(self, why: str, kind: str = "uninspectable") -> None:
        if why not in self._held:
            self._held.add(why)
            self._report.unreadable(f"pdf: {why}", kind=kind)

    # --- strings and names -------------------------------------------------------------------------------------------

    def _walk(self, value: object, key: str, depth: int) -> None:
        """Every string and name in a value; and by which key it refers to which object."""
        if depth > _DEEP:
            raise Unreadable("pdf: nested too deeply")
        if isinstance(value, IndirectObject):
            self._roles[value.idnum].add(key)
        elif isinstance(value, DictionaryObject):
            self._dictionary(value, key, depth)
        elif isinstance(value, ArrayObject):
            inner = key if key and not isinstance(next(iter(value), None), NameObject) else str(next(iter(value), key))
            for each in list.__iter__(value):
                self._walk(each, inner, depth + 1)
        elif isinstance(value, ByteStringObject):
            self._bytes(value, key)
        elif isinstance(value, TextStringObject):
            self._words.line(str(value))
            if not value.isascii():  # section 7.9.2 knows no Chinese encoding, but writers use them
                self._words.line(decoded(value.original_bytes) or "")
        elif isinstance(value, NameObject) or (isinstance(value, NumberObject) and abs(value) >= 10**7):
            self._words.line(str(value).lstrip("/"))

    def _dictionary(self, value: DictionaryObject, key: str, depth: int) -> None:
        if _at(value, "/Type") == "/Font":
            self._font(value)
        if _at(value, "/Type") == "/Sig" or _at(value, "/FT") == "/Sig":
            self._hold("a digital signature, whose certificates no inspector reads")
        for name, each in dict.items(value):
            self._words.line(str(name).lstrip("/"))
            inner = "/CharProcs" if key == "/CharProcs" else key if key in {"/N", "/D", "/R", "/EF"} else str(name)
            self._walk(each, inner, depth + 1)

    def _bytes(self, value: bytes, key: str) -> None:
        if key in _BINARY or key == "/Indexed":
            return
        text = decoded(value)
        if text is None:
            self._hold("a string of bytes that are no text")
        else:
            self._words.line(text)

    def _font(self, font: DictionaryObject) -> None:
        """Whether a font tells which characters it shows (section 9.10.2)."""
        if "/ToUnicode" in font:
            return
        kind, encoding = _at(font, "/Subtype"), _at(font, "/Encoding")
        if kind == "/Type3" or (kind == "/Type0" and encoding not in _ENCODINGS):
            self._hold("a font that does not tell its characters")

    # --- pages -------------------------------------------------------------------------------------------------------

    def _pages(self) -> None:
        sink = self._report.text("pages")
        for number, page in enumerate(self._reader.pages):
            if number >= _PAGES:
                raise Unreadable(f"pdf: more than {_PAGES} pages", kind="archive_limit")
            text = page.extract_text()
            self._report.context.budget.expand(len(text))
            sink.line(text)
            contents = page.get_contents()
            if contents is None:
                continue
            operations = self._operations(contents)
            if operations and not text.strip():
                self._hold("a page without text: a picture of a page, or one that is drawn")

    def _operations(self, contents: ContentStream) -> int:
        """Operands that no text shows: replacement texts, properties; how many operations there are."""
        operations = contents.operations
        for operands, operator in operations:
            if operator == b"INLINE IMAGE":
                self._hold("a picture within a page's content")
            elif operator in {b"BDC", b"DP"}:
                self._walk(ArrayObject(operands), "", 0)
        return len(operations)

    # --- streams -----------------------------------------------------------------------------------------------------

    def _stream(self, number: int, stream: StreamObject) -> None:
        roles, kind, form = self._roles[number], _at(stream, "/Type"), _at(stream, "/Subtype")
        if form == "/Image" or roles & _PICTURES:
            self._picture(stream)
            return
        if kind == "/XRef":
            return
        data = self._data(stream)
        if kind == "/EmbeddedFile" or "/EF" in roles:
            member = metered(io.BytesIO(data), self._report.context.budget)
            self._report.member(f"attachment {number}", member)
        elif form == "/Form" or roles & _DRAWN or "/PatternType" in stream:
            self._drawing(stream, data, paged="/Contents" in roles)
        elif not (roles & _NO_TEXT or data[36:40] == b"acsp" or {"/FunctionType", "/ShadingType"} & set(stream)):
            self._unless_text(data, known=kind in {"/ObjStm", "/Metadata"})

    def _unless_text(self, data: bytes, *, known: bool) -> None:
        """XMP, scripts, character maps, object streams, XFA are text; a stream of unknown use is read if it is text too."""
        text = decoded(data)
        if text is not None:
            self._words.line(text)
        elif known:
            self._words.line(data.decode("latin-1"))
        else:
            self._hold("a stream whose use nothing tells")

    def _drawing(self, stream: StreamObject, data: bytes, *, paged: bool) -> None:
        """Content that pages, annotations or patterns draw; that of pages was read with them."""
        if b"%" in data:
            for comment in re.findall(rb"%[^\r\n]{1,4096}", data):
                self._words.line(comment.decode("latin-1"))
        if _INLINE.search(data):
            self._hold("a picture within a page's content")
        if paged:
            return
        page = PageObject.create_blank_page(None, 100, 100)
        self._words.line(page.extract_xform_text(stream))  # type: ignore[arg-type]  # read_object makes such streams only
        self._operations(ContentStream(stream, self._reader))

    def _picture(self, stream: StreamObject) -> None:
        filters = _at(stream, "/Filter")
        last = filters[-1] if isinstance(filters, ArrayObject) and filters else filters
        if last == "/DCTDecode" and not (isinstance(filters, ArrayObject) and len(filters) > 1):
            jpeg = metered(io.BytesIO(stream._data), self._report.context.budget)  # noqa: SLF001  # the bytes before decoding
            self._report.member("picture.jpg", jpeg)
            return
        width, height = (_whole(_at(stream, key)) for key in ("/Width", "/Height"))
        judge_picture(self._report, width, height)

    def _data(self, stream: StreamObject) -> bytes:
        """A stream, decoded and paid for; nothing may follow in it after its end."""
        filters = _at(stream, "/Filter")
        first = filters[0] if isinstance(filters, ArrayObject) and filters else filters
        raw = stream._data  # noqa: SLF001  # the bytes before decoding
        if first == "/FlateDecode":
            self._check_end(raw if isinstance(raw, bytes) else bytes(raw))
        data = stream.get_data()
        self._report.context.budget.expand(len(data))
        return data if isinstance(data, bytes) else str(data).encode("latin-1", "replace")

    def _check_end(self, raw: bytes) -> None:
        inflate = zlib.decompressobj()
        left = raw
        while left and not inflate.eof:
            inflate.decompress(left, 1 << 20)
            left = inflate.unconsumed_tail
        if not inflate.eof or inflate.unused_data.strip(b"\0\t\n\f\r "):
            self._hold("a stream that goes on after its end, or breaks off")


def _at(value: DictionaryObject, key: str) -> Any:
    """A value of a dictionary, looked up where it stands by itself."""
    found = value.get(key)
    return found.get_object() if found is not None else None


def _whole(value: object) -> int:
    return int(value) if isinstance(value, NumberObject) else 1 << 20


def inspect(source: Source, report: Report) -> None:
    """The whole document in memory: its parts refer to one another from everywhere."""
    report.context.budget.room(source.size)
    Document(source.read(), report).read()
