"""XML of office documents as people read it: paragraphs, cells in rows, and everything that stands in attributes.

Word processors cut a number into runs of characters, and keep deleted text: raw XML would hide what a page shows. Dialects
are told apart by local names only (WordprocessingML, DrawingML, OpenDocument: ISO/IEC 29500-1, ISO/IEC 26300-3); an unknown
one is read too, an element a line.

A change must keep: every character of text, attribute, comment and instruction reaches the classifier, and names of elements;
document types, and with them entities, are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Final
from xml.parsers import expat

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report, TableSink, TextSink

_PIECE: Final = 1 << 18
_DEEP: Final = 500  # elements within one another
_NAMES: Final = 5_000  # distinct names of elements and attributes of one part
_TABLES: Final = 2_000  # of one part that are read as tables; the cells of further ones are read as lines
_TEXT: Final = 16 << 20  # characters of one paragraph or cell
_PARAGRAPHS: Final = {"p", "h", "si", "text"}
_BLANKS: Final = {"tab": "\t", "s": " ", "br": "\n", "cr": "\n", "line-break": "\n", "noBreakHyphen": "-"}
_TABLE, _ROW, _CELL = {"tbl", "table"}, {"tr", "table-row"}, {"tc", "table-cell", "covered-table-cell"}
_DELETED, _INSERTED = {"del", "moveFrom", "tracked-changes"}, {"ins", "moveTo"}
_APART: Final = {"instrText", "delInstrText"}  # codes of fields, in the midst of a paragraph
Attributes = dict[str, str]


class Handler:
    """Takes the events of one XML document. Names are local ones."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """It ends."""

    def text(self, text: str) -> None:
        """Characters."""

    def finish(self) -> None:
        """The document has ended, and was well-formed."""


def read_xml(stream: BinaryIO, handler: Handler, words: Words) -> None:
    """Read a document to its end.

    Args:
        stream: Its bytes, paid for.
        handler: Takes its elements and text.
        words: Takes attributes, comments, instructions, names of elements.

    Raises:
        Unreadable: Not well-formed, too deep, or with a document type.
    """
    _Parser(handler, words).read(stream)


class _Parser:
    def __init__(self, handler: Handler, words: Words) -> None:
        self._handler = handler
        self._words = words
        self._names: set[str] = set()
        self._depth = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = handler.text
        parser.CommentHandler = words.line
        parser.ProcessingInstructionHandler = lambda target, data: words.line(f"{target} {data}")
        parser.StartDoctypeDeclHandler = _refuse
        self._parser = parser

    def read(self, stream: BinaryIO) -> None:
        try:
            while piece := stream.read(_PIECE):
                self._parser.Parse(piece, False)
            self._parser.Parse(b"", True)
        except expat.ExpatError as wrong:
            raise Unreadable("xml: not well-formed") from wrong
        self._handler.finish()

    def _start(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > _DEEP:
            raise Unreadable("xml: nested too deeply")
        plain = {}
        for key, value in attributes.items():
            local = self._local(key)
            self._words.line(value)
            plain[local] = value
        self._handler.start(self._local(name), plain)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._handler.end(name.rpartition(" ")[2])

    def _local(self, name: str) -> str:
        if name not in self._names:
            if len(self._names) >= _NAMES:
                raise Unreadable(f"xml: more than {_NAMES} names of elements")
            self._names.add(name)
            self._words.line(name)
        return name.rpartition(" ")[2]


def _refuse(*_: object) -> None:
    raise Unreadable("xml: a document type, which office documents have none of")


class Buffer:
    """Text of a paragraph as it stands, and as it stood before tracked changes."""

    def __init__(self) -> None:
        self._now: list[str] = []
        self._before: list[str] = []
        self._size = 0

    def add(self, text: str, *, deleted: bool, inserted: bool) -> None:
        """More of it."""
        self._size += len(text)
        if self._size > _TEXT:
            raise Unreadable("xml: a paragraph that does not end", kind="archive_limit")
        if not deleted:
            self._now.append(text)
        if not inserted:
            self._before.append(text)

    def take(self) -> tuple[str, str]:
        """Both, the second empty where they are the same."""
        now, before = "".join(self._now), "".join(self._before)
        self._now, self._before, self._size = [], [], 0
        return now, "" if before == now else before


class Table:
    """A table in running text."""

    def __init__(self) -> None:
        self.sink: TableSink | None = None
        self.cells: list[str] = []
        self.cell: list[str] | None = None


class Prose(Handler):
    """Documents: a paragraph a line, tables by rows, any other element a line.

    Args:
        report: Of the package.
        place: Name of the part.
        words: Takes what stands apart from the text.
    """

    def __init__(self, report: Report, place: str, words: Words) -> None:
        self._report = report
        self._place = place
        self._words = words
        self._sink: TextSink | None = None
        self._buffers = [Buffer()]
        self._open: list[str] = []
        self._changed = {"del": 0, "ins": 0}
        self._tables: list[Table] = []
        self._read = 0

    def start(self, name: str, attributes: Attributes) -> None:  # noqa: ARG002  # attributes were read by the caller
        """See `Handler`."""
        self._open.append(name)
        if name in _DELETED:
            self._changed["del"] += 1
        elif name in _INSERTED:
            self._changed["ins"] += 1
        elif name in _PARAGRAPHS:
            self._buffers.append(Buffer())
        elif name in _BLANKS and len(self._buffers) > 1:
            self.text(_BLANKS[name])
        elif name in _TABLE:
            self._read += 1
            self._tables.append(Table())
        elif name in _CELL and self._tables:
            self._tables[-1].cell = []
        elif len(self._buffers) == 1:
            self._flush()

    def end(self, name: str) -> None:
        """See `Handler`."""
        self._open.pop()
        if name in _DELETED:
            self._changed["del"] -= 1
        elif name in _INSERTED:
            self._changed["ins"] -= 1
        elif name in _PARAGRAPHS:
            self._flush()
            self._buffers.pop()
        elif name in _TABLE and self._tables:
            self._close_table()
        elif name in _CELL and self._tables:
            self._close_cell()
        elif name in _ROW and self._tables:
            self._close_row()
        elif len(self._buffers) == 1:
            self._flush(name)

    def text(self, text: str) -> None:
        """See `Handler`."""
        if self._open and self._open[-1] in _APART:
            self._words.line(text)
            return
        self._buffers[-1].add(text, deleted=self._changed["del"] > 0, inserted=self._changed["ins"] > 0)

    def _flush(self, label: str = "") -> None:
        now, before = self._buffers[-1].take()
        table = self._tables[-1] if self._tables else None
        if now.strip() and table is not None and table.cell is not None:
            table.cell.append(now)
        elif now.strip():
            self._line(f"{label}: {now}" if label else now)
        if before.strip():
            self._line(before)

    def _line(self, text: str) -> None:
        if self._sink is None:
            self._sink = self._report.text(self._place)
        self._sink.line(text)

    def _close_cell(self) -> None:
        table = self._tables[-1]
        table.cells.append(" ".join(table.cell or []))
        table.cell = None

    def _close_row(self) -> None:
        table = self._tables[-1]
        cells, table.cells = table.cells, []
        if self._read > _TABLES:
            self._line("\t".join(cells))
            return
        if table.sink is None:
            table.sink = self._report.table(f"{self._place}, table {self._read}", ())
        table.sink.row(cells)

    def _close_table(self) -> None:
        table = self._tables.pop()
        if table.sink is not None:
            self._report.close(table.sink)


Choose = Callable[[str], Handler]


class Rooted(Handler):
    """Leaves a document to the handler that is chosen by its root element."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._chosen: Handler | None = None

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Handler`."""
        if self._chosen is None:
            self._chosen = self._choose(name)
        self._chosen.start(name, attributes)

    def end(self, name: str) -> None:
        """See `Handler`."""
        assert self._chosen is not None
        self._chosen.end(name)

    def text(self, text: str) -> None:
        """See `Handler`; there is none before the root."""
        assert self._chosen is not None
        self._chosen.text(text)

    def finish(self) -> None:
        """See `Handler`."""
        if self._chosen is not None:
            self._chosen.finish()
