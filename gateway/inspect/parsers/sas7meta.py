"""What a SAS data set says of its columns: subheaders (M. Shotwell and C. Cummins, "SAS7BDAT Database Binary Format")."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.sas7header import (
    ATTRIBUTES,
    COLUMN_SIZE,
    COUNTS,
    FORMAT,
    LIST,
    NAMES,
    ROW_SIZE,
    TEXT,
    Layout,
    legible_text,
    quiet,
)

_COMPRESSIONS: Final = (b"SASYZCRL", b"SASYZCR2")

Reference = tuple[int, int, int]  # into a block of text: its number, offset, length


@dataclass
class Column:
    """A column as all subheaders together describe it."""

    name: str
    offset: int
    width: int
    numeric: bool
    format: str


@dataclass
class Metadata:
    """Everything that subheaders say, as they come."""

    layout: Layout
    rows: int = -1
    length: int = 0
    deleted: int = 0
    last: tuple[int, int] = (0, 0)  # page and place, both from 1, of the last subheader that is no row
    compression: Reference = (0, 0, 0)
    count: int = -1
    texts: list[bytes] = field(default_factory=list)
    names: list[Reference] = field(default_factory=list)
    attributes: list[tuple[int, int, int]] = field(default_factory=list)  # offset, width, type
    formats: list[tuple[Reference, Reference]] = field(default_factory=list)  # of the format, of the label

    def add(self, signature: int, raw: bytes) -> bool:
        """A subheader; whether all of it was understood.

        Raises:
            Unreadable: It contradicts itself or what was said before.
        """
        return _READERS[signature](self, raw) if signature in _READERS else False

    def columns(self, most: int) -> list[Column]:
        """The columns, at most so many.

        Raises:
            Unreadable: Some are described in part only.
        """
        count = self.count
        if not 0 <= count <= most:
            raise Unreadable("sas7bdat: no columns, or too many of them", kind="archive_limit")
        if len(self.names) != count or len(self.attributes) != count or len(self.formats) not in (0, count):
            raise Unreadable("sas7bdat: a column is described in part only")
        formats = self.formats or [((0, 0, 0), (0, 0, 0))] * count
        return [
            Column(self._said(name), offset, width, kind == 1, self._said(told[0]))
            for name, (offset, width, kind), told in zip(self.names, self.attributes, formats, strict=True)
        ]

    def method(self) -> bytes:
        """How rows are compressed: the name in the text, empty where they are not."""
        name = self._raw(self.compression)
        if name and name not in _COMPRESSIONS:
            raise Unreadable("sas7bdat: a compression of another kind")
        return name

    def lines(self) -> list[bytes]:
        """All text, cut where references and zeros cut it."""
        cuts: list[set[int]] = [{0, len(text)} for text in self.texts]
        told = [self.compression, *self.names, *(each for pair in self.formats for each in pair)]
        for number, offset, size in told:
            if number < len(cuts):
                cuts[number].update(at for at in (offset, offset + size) if at <= len(self.texts[number]))
        pieces = []
        for text, places in zip(self.texts, cuts, strict=True):
            ends = sorted(places)
            pieces += [text[start:end] for start, end in pairwise(ends)]
        return [part for piece in pieces for part in piece.split(b"\0") if part.strip()]

    def _raw(self, reference: Reference) -> bytes:
        number, offset, size = reference
        if not size:
            return b""
        if number >= len(self.texts) or offset + size > len(self.texts[number]):
            raise Unreadable("sas7bdat: a text lies elsewhere")
        return self.texts[number][offset : offset + size]

    def _said(self, reference: Reference) -> str:
        return self._raw(reference).decode(self.layout.encoding or "utf-8", "replace").strip(" \0")


def _row_size(meta: Metadata, raw: bytes) -> bool:
    layout, word = meta.layout, meta.layout.word
    if meta.rows >= 0 or len(raw) != (808 if layout.wide else 480):
        raise Unreadable("sas7bdat: the size of rows is told twice or at another length")
    meta.length, meta.rows, meta.deleted = layout.numbers("WWW", raw, 5 * word)
    page, place = layout.numbers("WH", raw, 528 if layout.wide else 272)
    meta.last = (page, place)
    number, offset, size = layout.numbers("HHH", raw, len(raw) - 118)
    meta.compression = (number, offset, size)
    mark = raw[16 * word : 18 * word]
    return quiet(raw.replace(mark, bytes(2 * word)) if mark == b"\xff" * (2 * word) else raw)


def _column_size(meta: Metadata, raw: bytes) -> bool:
    if meta.count >= 0:
        raise Unreadable("sas7bdat: the number of columns is told twice")
    (meta.count,) = meta.layout.numbers("W", raw, meta.layout.word)
    return quiet(raw)


def _counts(meta: Metadata, raw: bytes) -> bool:  # noqa: ARG001  # all that it counts is counted here
    return quiet(raw)


def _text(meta: Metadata, raw: bytes) -> bool:
    word = meta.layout.word
    meta.texts.append(raw[word:])
    named = all(legible_text(part, meta.layout.encoding) for part in raw[word + 12 :].split(b"\0"))
    return quiet(raw[word : word + 12]) and named


def _vectors(meta: Metadata, raw: bytes, layout: str, size: int) -> list[tuple[int, ...]]:
    """Rows of numbers behind a head, in which their own length stands."""
    word = meta.layout.word
    (told,) = meta.layout.numbers("H", raw, word)
    if told != len(raw) - 4 - 2 * word:
        raise Unreadable("sas7bdat: a subheader of another length")
    count = (len(raw) - 12 - 2 * word) // size
    return [meta.layout.numbers(layout, raw, word + 8 + place * size) for place in range(count)]


def _names(meta: Metadata, raw: bytes) -> bool:
    meta.names += [(number, offset, size) for number, offset, size in _vectors(meta, raw, "HHH", 8)]
    return quiet(raw[meta.layout.word :])


def _attributes(meta: Metadata, raw: bytes) -> bool:
    told = _vectors(meta, raw, "WIHB", meta.layout.word + 8)
    meta.attributes += [(offset, width, kind) for offset, width, _, kind in told]
    if any(kind not in (1, 2) or not width or (kind == 1 and not 3 <= width <= 8) for _, width, _, kind in told):
        raise Unreadable("sas7bdat: a column of no type")
    return quiet(raw[meta.layout.word :])


def _format(meta: Metadata, raw: bytes) -> bool:
    at = 46 if meta.layout.wide else 34
    numbers = meta.layout.numbers("HHHHHH", raw, at)
    meta.formats.append(((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5])))
    return quiet(raw[meta.layout.word :])


def _list(meta: Metadata, raw: bytes) -> bool:
    """Each column once, positive or negative, among zeros; what for is not known."""
    start = 38 if meta.layout.wide else 30
    (size,) = meta.layout.numbers("H", raw, start - 12)
    values = struct.unpack(f"{meta.layout.order}{size}h", raw[start : start + 2 * size].ljust(2 * size, b"\0"))
    used = [abs(value) for value in values if value]
    return len(set(used)) == len(used) and max(used, default=0) <= meta.count and quiet(raw[start + 2 * size :])


_READERS: Final = {
    ROW_SIZE: _row_size,
    COLUMN_SIZE: _column_size,
    COUNTS: _counts,
    TEXT: _text,
    NAMES: _names,
    ATTRIBUTES: _attributes,
    FORMAT: _format,
    LIST: _list,
}
