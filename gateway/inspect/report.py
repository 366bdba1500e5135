"""What a parser speaks to: it says what it found, and hands over text, tables and members to be classified.

Nothing here is decided by a parser: kinds, levels and people come from the same classifier that reads text while it streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

import numpy as np

from gateway.core.classify import Classifier, FileFindings, Finding, Hgr, Level, PersonSet
from gateway.core.classify.genomes import SAMPLE_KIND, sample_values
from gateway.core.classify.nested import Outer, nest
from gateway.core.detectors import DetectorTables
from gateway.core.formats import HEAD
from gateway.core.signatures import Format
from gateway.inspect.limits import Budget, Unreadable

PIECE: Final = 1 << 20
_SEPARATORS: Final = dict.fromkeys(range(0x20), " ")  # and what no text holds
_CONTROLS: Final = {code: " " for code in range(0x20) if code not in {0x09, 0x0A, 0x0D}}
_ROWS: Final = 4_096  # rows of a table rendered at once

Descend = Callable[[str, BinaryIO, int, "Report"], FileFindings]


@dataclass(frozen=True)
class Context:
    """What every object of a file shares.

    Attributes:
        tables: What detectors look up.
        budget: What is left of the limits.
        descend: Classifies a member: path, its bytes, depth, the report of what holds it.
    """

    tables: DetectorTables
    budget: Budget
    descend: Descend


class TextSink:
    """Text of a part: a page, a note, an attribute."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._classifier.feed(b"\n")  # a text that quotes the magic word of a format is no file of that format
        self.fed = 0

    def feed(self, text: str) -> None:
        """The next text, decoded; control characters become blanks."""
        self.fed += len(text)
        self._classifier.feed(text.translate(_CONTROLS).encode("utf-8", "replace"))

    def line(self, text: str) -> None:
        """A line of its own."""
        self.feed(text + "\n")

    def raw(self, text: bytes) -> None:
        """Text that is UTF-8 without control characters already (`runs`), without the way over `str`."""
        self.fed += len(text)
        self._classifier.feed(text)

    def close(self) -> FileFindings:
        """What was in it."""
        return self._classifier.close()


class TableSink:
    """Rows of a table; rendered as tab-separated text for the classifier. The columns' names come first."""

    def __init__(self, classifier: Classifier, columns: Sequence[object]) -> None:
        self._classifier = classifier
        self._lines = [_line(columns)] if columns else []
        self.rows = 0

    def row(self, cells: Sequence[object]) -> None:
        """One row, cell by cell."""
        self.rows += 1
        self._lines.append(_line(cells))
        if len(self._lines) >= _ROWS:
            self._flush()

    def extend(self, rows: Iterable[Sequence[object]]) -> None:
        """Many rows."""
        for cells in rows:
            self.row(cells)

    def rendered(self, text: bytes, rows: int) -> None:
        """Rows that a library has written as tab-separated UTF-8 itself, with line ends."""
        self._flush()
        self.rows += rows
        self._classifier.feed(text)

    def close(self) -> FileFindings:
        """What was in it."""
        self._flush()
        return self._classifier.close()

    def _flush(self) -> None:
        if self._lines:
            self._classifier.feed("".join(self._lines).encode("utf-8", "replace"))
            self._lines = []


class Report:
    """Findings of one object in the making.

    Attributes:
        path: Of the object, `a.zip!/b.csv` for a member.
        format: As its head was judged.
        context: Shared by everything in the file.
        depth: 0 for the file itself.
    """

    def __init__(self, path: str, format_: Format, context: Context, *, depth: int = 0) -> None:
        self.path = path
        self.format = format_
        self.context = context
        self.depth = depth
        self._name = format_.name
        self._coverage: list[tuple[int, int]] = []
        self._findings: list[Finding] = []
        self._readable = True
        self._classes: set[str] = set()
        self._levels: list[Level] = ["general"]
        self._hgr = Hgr()
        self._named: set[str] = set()
        self._unnamed = 0
        self._ordinary: set[str] = set()
        self._geo = False
        self._open: list[tuple[str, TextSink | TableSink]] = []
        self._parts: list[tuple[str, FileFindings]] = []

    # --- what a parser says of the bytes ---------------------------------------------------------------------------

    def known_as(self, name: str) -> None:
        """The format's name where parsing told more than the head: `h5ad` for an `hdf5`."""
        self._name = name

    def cover(self, start: int, end: int) -> None:
        """These bytes were interpreted: they belong to a structure, and what they hold was classified."""
        self._coverage.append((start, end))

    def unreadable(self, why: str, *, kind: str = "uninspectable") -> None:
        """Something in it could not be interpreted; `why` holds no content. The file is held; parsing may go on."""
        self._readable = False
        self.found(kind, why)

    def found(self, kind: str, where: str, *, count: int = 1, distinct: int | None = None, weak: bool = False) -> None:
        """A finding about the object itself; `kind` is one of the vocabulary's, `where` a tag or place, never content."""
        many = count if distinct is None else distinct
        self._findings.append(Finding(kind, where, count, many, "weak" if weak else "strong"))

    def classed(self, *names: str) -> None:
        """Kinds of data in the words filings use."""
        self._classes.update(names)

    def levelled(self, level: Level) -> None:
        """A level that the format itself tells; the strictest counts."""
        self._levels.append(level)

    def located(self) -> None:
        """Coordinates of four decimals or more."""
        self._geo = True
        self._classes.add("location")

    # --- people ------------------------------------------------------------------------------------------------------

    def subjects(self, names: Iterable[str], *, unnamed: int = 0) -> None:
        """Persons with sensitive data (health, genes), by names unique within the project; `unnamed` by number only."""
        self._named.update(name for name in names if name)
        self._unnamed += unnamed

    def genomes(
        self, names: Iterable[str], *, sequenced: bool, unnamed: int = 0, aggregate: bool = False, where: str = "header"
    ) -> None:
        """Human genetic resource information (implementing rules art. 2; rules.md 10.2).

        Args:
            names: Of samples or donors, unique within the project.
            sequenced: By exome or genome sequencing, and not on an array or as expression only.
            unnamed: Subjects without a name.
            aggregate: Only frequencies or summary statistics.
            where: What told so.
        """
        named = {name for name in names if name}
        count = 0 if aggregate else len(named) + unnamed
        self.found("genomic_data", where, count=max(count, 1))
        self._classes.add("genetic")
        old = self._hgr
        self._hgr = Hgr(
            information=True,
            sequencing_subjects=old.sequencing_subjects + (count if sequenced else 0),
            subjects=old.subjects + count,
            aggregate_only=aggregate and (old.aggregate_only or not old.information),
        )
        if not aggregate:
            self.subjects(named, unnamed=unnamed)

    # --- content for the classifier ----------------------------------------------------------------------------------

    def text(self, place: str) -> TextSink:
        """A part of running text; fed until the object is finished."""
        sink = TextSink(self._classifier("part.txt"))
        self._open.append((place, sink))
        return sink

    def table(self, place: str, columns: Sequence[object]) -> TableSink:
        """A table; `columns` empty where the first row may be a header or not.

        Raises:
            Unreadable: Too many columns.
        """
        if len(columns) > self.context.budget.limits.columns:
            raise Unreadable(f"a table of more than {self.context.budget.limits.columns} columns", kind="archive_limit")
        sink = TableSink(self._classifier("part.tsv", header=bool(columns)), columns)
        self._open.append((place, sink))
        return sink

    def close(self, sink: TextSink | TableSink) -> FileFindings:
        """Close a part before the end, to free its memory and to see what was in it."""
        place = next(place for place, each in self._open if each is sink)
        self._open = [(p, each) for p, each in self._open if each is not sink]
        found = sink.close()
        self._parts.append((place, found))
        return found

    def member(self, name: str, stream: BinaryIO) -> FileFindings:
        """A file within the file, read forward to its end. Decompressed bytes are paid for by the caller (`Metered`).

        Its bytes are covered in the outer file only where the answer is `inspectable`; the caller says where they lie.

        Raises:
            Unreadable: The budget is spent.
        """
        self.context.budget.member(self.depth + 1)
        found = self.context.descend(f"{self.path}!/{name}", stream, self.depth + 1, self)
        self._parts.append((f"!/{name}", found))
        return found

    def content(self, stream: BinaryIO, name: str) -> FileFindings:
        """The one content of a compressed file (`x.csv.gz` holds `x.csv`): its format and places count as the file's own."""
        self.context.budget.member(self.depth + 1)
        found = self.context.descend(name, stream, self.depth + 1, self)
        self._parts.append(("", found))
        return found

    # --- the end -----------------------------------------------------------------------------------------------------

    def finish(self, size: int) -> FileFindings:
        """The findings of the object of `size` bytes; open parts are closed."""
        for place, sink in self._open:
            self._parts.append((place, sink.close()))
        self._open = []
        people = PersonSet(
            {SAMPLE_KIND: sample_values(self._named)} if self._named else {},
            self._unnamed,
            sensitive=bool(self._named or self._unnamed),
        )
        subject = people.count > 0
        outer = Outer(
            path=self.path,
            size=size,
            format=self._name,
            coverage=self._coverage,
            findings=self._findings,
            readable=self._readable,
            classes=self._classes,
            level=min(self._levels, key=("secret", "important_suspected", "unknown", "general").index),
            hgr=self._hgr,
            persons=people,
            personal=subject,
            sensitive=subject,
            precise_geo=self._geo,
        )
        return nest(outer, [*self._named_parts(), *self._parts])

    def _named_parts(self) -> list[tuple[str, FileFindings]]:
        """What the object's own name holds: names are data too."""
        named = Classifier(self.path.rpartition("!/")[2], self.context.tables).close()
        return [("", replace(named, hgr=Hgr()))] if named.findings or named.secrecy_mark else []

    def _classifier(self, name: str, *, header: bool = False) -> Classifier:
        return Classifier(name, self.context.tables, header=header)


def _line(cells: Sequence[object]) -> str:
    return "\t".join(map(cell_text, cells)) + "\n"


def cell_text(cell: object) -> str:
    """A cell as the classifier should read it: nothing for None, whole numbers without a point or an exponent."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell if cell.isprintable() else cell.translate(_SEPARATORS)
    if type(cell) is int:
        return str(cell)
    if isinstance(cell, float | np.floating):
        number = float(cell)
        if math.isnan(number):  # a missing cell
            return ""
        return str(int(number)) if number.is_integer() and abs(number) < 2**63 else repr(number)
    if isinstance(cell, bytes | bytearray):
        return bytes(cell).decode("utf-8", "replace").translate(_SEPARATORS)
    return str(cell).translate(_SEPARATORS)


def head_of(stream: BinaryIO) -> bytes:
    """The first HEAD bytes of a stream that may give fewer at a time."""
    pieces, held = [], 0
    while held < HEAD and (piece := stream.read(HEAD - held)):
        pieces.append(piece)
        held += len(piece)
    return b"".join(pieces)
