"""Which bytes of a PDF belong to what (ISO 32000-2 section 7.5): objects that the cross-reference leads to, and what joins them.

The rest is a gap: objects of earlier revisions that nothing refers to any more, bytes before the header, between objects, after
the end. A comment is text, and is read.

Not here: what objects hold (`pdf`). A change must keep: only an object that was parsed to its `endobj` is covered.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Final

from pypdf import PdfReader
from pypdf.generic import DictionaryObject, PdfObject, StreamObject, read_object

from gateway.core.classify.nested import joined_spans
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report

_BLANK: Final = b"\0\t\n\f\r "  # section 7.2.3
_END: Final = re.compile(rb"[\0\t\n\f\r ]*endobj")
_HEADER: Final = re.compile(
    rb"%PDF-\d\.\d[\0\t\f ]*(?:\r\n|\r|\n)(?:%[\x80-\xff]{4,12}[\x20-\x7e]{0,2}(?:\r\n|\r|\n))?"
)
_STARTXREF: Final = re.compile(rb"startxref[\0\t\n\f\r ]+\d{1,12}[\0\t\n\f\r ]+%%EOF|%%EOF")
_TABLE: Final = re.compile(
    rb"xref[\0\t\n\f\r ]+(?:\d{1,10} +\d{1,10}[\t\n\f\r ]+(?:\d{10} \d{5} [fn][\t\n\f\r ]{1,2})*)+"
)
_ROW: Final = re.compile(rb"(\d{10}) \d{5} ([fn])")
_COMMENT: Final = re.compile(rb"%[^\r\n]*")


@dataclass(frozen=True)
class Placed:
    """An object of the file.

    Attributes:
        number: Of the object.
        value: Itself.
        start: Its first byte, where it stands by itself; -1 in an object stream.
        end: Behind its `endobj`.
    """

    number: int
    value: PdfObject
    start: int = -1
    end: int = -1


class Objects:
    """All objects of a PDF.

    Args:
        content: The file.
        reader: Over the same bytes.
        report: Is told what was covered.
        words: Takes comments.

    Attributes:
        found: The objects.
        trailers: Dictionaries of trailers.
    """

    def __init__(self, content: bytes, reader: PdfReader, report: Report, words: Words) -> None:
        self._content = content
        self._reader = reader
        self._stream = io.BytesIO(content)
        self._report = report
        self._words = words
        self.trailers: list[DictionaryObject] = []
        places = [(number, start) for table in reader.xref.values() for number, start in table.items()]
        inner = list(reader.xref_objStm)
        most = report.context.budget.limits.members
        if len(places) + len(inner) > most:
            raise Unreadable(f"pdf: more than {most} objects", kind="archive_limit")
        self.found = [self._placed(number, start) for number, start in places if not self._free(number, start)]
        self.found += [Placed(number, self._inner(number)) for number in inner]
        self._starts = {each.start for each in self.found}
        self._join()

    def _free(self, number: int, start: int) -> bool:
        return start == 0 or any(
            table.get(number) and self._reader.xref.get(generation, {}).get(number) == start
            for generation, table in self._reader.xref_free_entry.items()
        )

    def _placed(self, number: int, start: int) -> Placed:
        stream = self._stream
        stream.seek(start)
        at, _ = self._reader.read_object_header(stream)
        if at != number:
            raise Unreadable("pdf: the cross-reference leads to another object")
        value = read_object(stream, self._reader)
        ended = _END.match(self._content, stream.tell()) if value is not None else None
        if value is None or ended is None:
            raise Unreadable("pdf: an object does not end")
        source = self._content[start : ended.end()]
        if not isinstance(value, StreamObject) and b"%" in source:
            self._comments(source)
        self._report.cover(start, ended.end())
        return Placed(number, value, start, ended.end())

    def _comments(self, source: bytes) -> None:
        """Comments may stand inside of objects; where a `%` begins one and where a string holds it makes no difference here."""
        for told in _COMMENT.findall(source):
            self._words.line(told.decode("latin-1"))

    def _inner(self, number: int) -> PdfObject:
        value = self._reader.get_object(number)
        if value is None:
            raise Unreadable("pdf: an object is missing from its stream")
        return value

    # --- what joins them ---------------------------------------------------------------------------------------------

    def _join(self) -> None:
        """Cover header, cross-references, trailers, ends and blanks between the objects."""
        header = _HEADER.match(self._content)
        spans = [(each.start, each.end) for each in self.found if each.start >= 0]
        spans.append((0, header.end() if header else 0))
        self._report.cover(*spans[-1])
        reached = 0
        for start, end in [*joined_spans(spans, len(self._content)), (len(self._content),) * 2]:
            at = reached
            while at < start and (stop := self._step(at, start)) > at:
                self._report.cover(at, stop)
                at = stop
            reached = max(reached, end)

    def _step(self, at: int, end: int) -> int:
        """Past one thing that may stand between objects; where it is none of these, nowhere."""
        content = self._content
        if content[at] in _BLANK:
            blank = re.compile(rb"[\0\t\n\f\r ]+").match(content, at, end)
            return blank.end() if blank else at
        if content.startswith(b"trailer", at):
            return self._trailer(at, end)
        for pattern in (_STARTXREF, _TABLE):
            found = pattern.match(content, at, end)
            if found:
                return found.end() if self._known(found.group()) else at
        comment = _COMMENT.match(content, at, end)
        return comment.end() if comment and self._words.add(comment.group()) else at

    def _known(self, table: bytes) -> bool:
        """Whether a cross-reference leads to nothing but objects that were read."""
        return all(kind == b"f" or int(start) in self._starts for start, kind in _ROW.findall(table))

    def _trailer(self, at: int, end: int) -> int:
        at_value = self._content.find(b"<<", at, end)
        if at_value < 0 or self._content[at + len("trailer") : at_value].strip(_BLANK):
            return at
        self._stream.seek(at_value)
        value = read_object(self._stream, self._reader)
        if not isinstance(value, DictionaryObject) or self._stream.tell() > end:
            return at
        self.trailers.append(value)
        return self._stream.tell()
