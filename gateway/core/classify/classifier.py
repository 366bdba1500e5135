"""The streaming classifier: bytes of one file in, findings out.

Feed it pieces of any size, close it once. Findings are the same for any cutting of the same bytes. It keeps at most one
fed piece, two blocks (`stream`), the distinct identifiers (`tally.CAP`) and a header line (`genomes.HEADER_CAP`).

Not here: formats that need seeking or decompression; they come out uninspectable with no coverage, whatever their names
and sniffed heads suggest. A change must keep: covered means interpreted; a text that breaks is covered to the break only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from gateway.core.classify.births import Births
from gateway.core.classify.cells import Cells
from gateway.core.classify.cohorts import reader_of
from gateway.core.classify.encoded import Encoded
from gateway.core.classify.findings import FileFindings, Finding, Hgr
from gateway.core.classify.genomes import NOTHING_TOLD, GenomeReader, Told, sample_of_path
from gateway.core.classify.geo import Geo
from gateway.core.classify.grid import Grid
from gateway.core.classify.judge import count_persons, merged, weigh, with_subjects
from gateway.core.classify.keys import keys_of
from gateway.core.classify.levels import LevelMarks, proposed, strictest
from gateway.core.classify.minors import NUMBERED, UNKNOWN
from gateway.core.classify.names import Names
from gateway.core.classify.paths import weigh_path
from gateway.core.classify.sensitivity import categories, combined
from gateway.core.classify.stream import BLOCK, Block, Raw, TextStream
from gateway.core.classify.tally import CAP, Tally
from gateway.core.classify.window import window_of
from gateway.core.detectors import DetectorTables, MarkForm, Window, mark_finder, scan
from gateway.core.formats import HEAD, sniff
from gateway.core.signatures import Format

_RECORDS = frozenset({"json", "ndjson", "xml", "plink_ped", "plink_fam"})  # and tables: others have no rows of persons
_QUALITIES = frozenset({"fastq", "sam"})  # their quality strings look like addresses
_READS = frozenset({"fastq", "fasta"})
_SEQUENCES = _QUALITIES | _READS | {"protein_fasta", "vcf"}  # long runs of letters are their content


class Classifier:
    """Classifies one file.

    Args:
        path: Its name or path within the dataset; scanned as data.
        tables: What detectors look up.
        block: Bytes of text judged at once; findings do not depend on it for lines shorter than it.
        cap: Distinct identifiers kept before the count becomes an upper bound.
        header: The first line of the table holds the columns' names for sure; else that is judged by what it says.
    """

    def __init__(
        self, path: str, tables: DetectorTables, *, block: int = BLOCK, cap: int = CAP, header: bool = False
    ) -> None:
        self._path = path
        self._tables = tables
        self._block = block
        self._size = 0
        self._head: bytearray | None = bytearray()
        self._format: Format | None = None
        self._stream: TextStream | None = None
        self._names = Names(tables, sure=header)
        self._tally = Tally(tables, self._names.supports, cap=cap)
        self._grid = Grid(None)
        self._geo = Geo()
        self._births = Births(tables.sensitivity.births)
        self._level_marks = LevelMarks(tables)
        self._cells = Cells(tables)
        self._encoded = Encoded()
        self._finder = mark_finder(tables)
        self._marks = Counter[MarkForm]()
        self._genome: GenomeReader | None = None
        self._has_header = False
        self._first = True

    def feed(self, chunk: Raw) -> None:
        """Take the next bytes of the file."""
        self._size += len(chunk)
        if self._head is not None:
            self._head += chunk
            if len(self._head) >= HEAD:
                self._begin(bytes(self._head))
        elif self._stream is not None:
            for block in self._stream.feed(chunk):
                self._read(block)

    def close(self) -> FileFindings:
        """Findings of the whole file. Call it once, after the last byte."""
        if self._head is not None:
            self._begin(bytes(self._head))
        if self._stream is not None:
            for block in self._stream.finish():
                self._read(block)
        if self._genome is not None:
            self._genome.finish()
        return self._findings()

    def _begin(self, head: bytes) -> None:
        """Judge the format by exactly HEAD bytes, however much has come, and read on from the start."""
        self._head = None
        self._format = sniff(head[:HEAD], self._path)
        if self._format.interpretation != "text":
            return
        name = self._format.name
        self._grid = Grid(self._format.delimiter, ord("}") if name == "json" else ord("\n"))
        self._genome = reader_of(self._format)
        self._stream = TextStream(self._format.encoding, self._format.bom, block=self._block)
        for block in self._stream.feed(head):
            self._read(block)

    def _read(self, block: Block) -> None:
        window = window_of(block, self._grid.delimiter, escapes=self._name not in _QUALITIES)
        self._read_names(window)
        if self._name not in _SEQUENCES:
            self._encoded.feed(window)
        if self._genome is not None:
            self._genome.feed(block.own)
        columns = self._names.named if self._grid.delimiter is not None else None  # a key stands before its value
        found = scan(window, self._tables, reads=self._name in _QUALITIES, named=columns or frozenset())
        found += self._cells.find(window, self._grid)
        self._tally.add(window, found, self._grid.locate(window, [part.start for part in found]))
        for mark in self._finder.find(window):
            self._marks[mark.form] += mark.count
            if mark.form is MarkForm.INTERNAL:
                self._level_marks.take(window, mark.place, mark.count)
        if self._grid.delimiter is not None or self._name in _RECORDS:
            self._grid.advance(window, line_ends=block.line_ends)

    def _read_names(self, window: Window) -> None:
        name, delimiter = self._name, self._grid.delimiter
        if delimiter is not None:
            text = window.text(window.low, window.high) if self._first or self._geo_columns else b""
            if self._first:
                self._has_header = self._names.read_header(text, delimiter)
                self._cells.begin(self._names)
                self._geo_columns = any(self._names.column_of(kind) is not None for kind in ("latitude", "coordinates"))
            self._geo.read_table(text, self._names, delimiter)
            self._births.read_table(window, self._grid, self._names)
        elif name in {"json", "ndjson"}:
            keys = keys_of(window)
            self._names.read_keys(keys.named)
            text = window.text(window.low, window.high)
            self._geo.read_keys(keys.quoted, text)
            self._geo.read_pairs(text)
            self._births.read_named(window, self._names)
        elif name == "xml":
            text = window.text(window.low, window.high)
            self._names.read_tags(text)
            self._geo.read_markup(text)
            self._births.read_named(window, self._names)
        elif name == "text" and window.has_wide:
            self._names.read_labels(window)
        self._first = False

    _geo_columns = False

    @property
    def _name(self) -> str:
        return self._format.name if self._format else ""

    # --- the end -----------------------------------------------------------------------------------------------------

    def _findings(self) -> FileFindings:
        format_ = self._format
        assert format_ is not None
        records = max(self._grid.total() - self._has_header, 0)
        if self._tally.sources:
            self._cells.settle(self._tally, self._names, precise=self._geo.precise)
            self._tally.drop_chance()
            self._tally.drop_documents()
            self._names.lent |= self._tally.of_one_form()
        content = weigh(self._tally, self._names, self._tables, records=records, flat=self._name not in {"json", "xml"})
        named, name_marks = weigh_path(self._path, self._tables)
        marks = self._marks + name_marks if name_marks else self._marks
        told = self._told()
        hgr = told.hgr
        persons = with_subjects(merged(content.persons, named.persons), told)
        broken = self._stream.broken_at if self._stream is not None else None
        inspectable = format_.interpretation == "text" and broken is None and not self._unread
        tracked = self._geo.precise and self._geo.track
        whereabouts = self._geo.precise and (content.personal or tracked)
        sensitive = content.sensitive or named.sensitive or bool(hgr.subjects) or whereabouts
        if persons.sensitive != (sensitive and persons.count > 0):
            persons = replace(persons, sensitive=not persons.sensitive)
        findings = [*content.findings, *named.findings, *told.findings]
        findings += self._mark_findings(name_marks) if marks else []
        findings += self._other(hgr, broken)
        timed = self._name in {"json", "xml"} and self._names.any_key(self._tables.track.times)
        if whereabouts and (tracked or timed) and all(each.kind != "track" for each in findings):
            findings.append(Finding("track", "text", max(records, 1), max(records, 1), "strong"))
        personal = content.personal or named.personal or bool(hgr.subjects) or tracked
        judged = [each for each in findings if personal or each.kind == "genomic_data"]
        findings += combined(judged, self._tables.sensitivity)
        kinds = categories(judged, self._tables.sensitivity)
        counted = count_persons(persons, hgr, content.basis if content.basis != "none" else named.basis)
        findings += self._proposals(marks, records, persons.count, counted.sensitive)
        if marks[MarkForm.MARKED]:  # what is secret is not looked into any further (design.md section 7)
            findings = [replace(each, samples=()) for each in findings]
        return FileFindings(
            path=self._path,
            size=self._size,
            format=format_.name,
            level=strictest(findings) or ("general" if inspectable else "unknown"),
            classes=tuple(sorted(content.classes | named.classes | self._classes(hgr, marks) | set(kinds))),
            inspectable=inspectable,
            coverage=self._coverage(format_, broken),
            persons=counted,
            hgr=hgr,
            findings=tuple(sorted(findings, key=lambda f: (f.kind, f.where))),
            secrecy_mark=marks[MarkForm.MARKED] > 0,
            personal=personal,
            sensitive=sensitive,
            precise_geo=self._geo.precise,
            identifiers=persons,
            births=self._days_of_birth(),
            categories=kinds,
            subject_limits=self._subject_limits,
            columns=self._names.header if self._has_header else None,
        )

    def _days_of_birth(self) -> dict[int, int]:
        """Days in columns; where numbers were too many to keep, nobody knows who of them is a child."""
        days = dict(self._births.days)
        numbered = any(key.startswith(NUMBERED) and source.hits for (key, _), source in self._tally.sources.items())
        return {**days, UNKNOWN: 1} if self._tally.overflowed and numbered else days

    @property
    def _subject_limits(self) -> Mapping[str, int]:
        many = self._tables.sensitivity.levels.get("many_subjects")
        return many.numbers if many else {}

    def _proposals(self, marks: Counter[MarkForm], records: int, persons: int, sensitive: int) -> list[Finding]:
        return proposed(
            marks,
            self._level_marks.seen,
            tables=self._tables,
            coordinates=max(records, self._geo.pairs) if self._geo.mainland else 0,
            persons=persons,
            sensitive=sensitive,
        )

    @property
    def _unread(self) -> str:
        """Why reading the text was not reading the file; empty where it was."""
        if self._genome is not None and self._genome.overlong:
            return "more lines or samples than a header has"
        return self._encoded.why(self._size)

    def _coverage(self, format_: Format, broken: int | None) -> tuple[tuple[int, int], ...]:
        if format_.interpretation != "text" or self._unread:
            return ()
        end = self._size if broken is None else broken
        return ((0, end),) if end else ()

    def _told(self) -> Told:
        """Who is in a genetic format."""
        if self._name in _READS:
            names = frozenset({sample_of_path(self._path)})
            return Told(Hgr(information=True, sequencing_subjects=1, subjects=1), names)
        return self._genome.told(self._path) if self._genome is not None else NOTHING_TOLD

    def _mark_findings(self, name_marks: Counter[MarkForm]) -> list[Finding]:
        found = []
        for where, marks in (("text", self._marks), ("name", name_marks)):
            marked, bare = marks[MarkForm.MARKED], marks[MarkForm.RARE] + marks[MarkForm.MENTIONED]
            internal = marks[MarkForm.INTERNAL]
            found += [Finding("secrecy_mark", where, marked, marked, "strong")] if marked else []
            found += [Finding("secrecy_mark", where, bare, bare, "weak")] if bare else []
            found += [Finding("internal_mark", where, internal, internal, "strong")] if internal else []
        return found

    def _classes(self, hgr: Hgr, marks: Counter[MarkForm]) -> set[str]:
        found = {"genetic"} if hgr.information else set[str]()
        found |= {"location"} if self._geo.precise else set()
        found |= {"secret"} if marks[MarkForm.MARKED] else set()
        return found | ({"internal"} if marks[MarkForm.INTERNAL] else set())

    def _other(self, hgr: Hgr, broken: int | None) -> list[Finding]:
        """Findings about the file itself: coordinates, genomes, and why it could not be read."""
        format_ = self._format
        assert format_ is not None
        found = [Finding("geo_precise", "text", 1, 1, "strong")] if self._geo.precise else []
        if self._geo.track and self._geo.precise:
            found.append(Finding("track", "text", 1, 1, "strong"))
        if hgr.information:
            count = max(hgr.subjects, 1)
            found.append(Finding("genomic_data", "header", count, count, "strong"))
        if self._unread:
            found.append(Finding("uninspectable", self._unread, 1, 1, "strong"))
        if broken is not None:
            found.append(Finding("uninspectable", f"undecodable from byte {broken}", 1, 1, "strong"))
        if format_.encrypted:
            found.append(Finding("encrypted_content", "text", 1, 1, "strong"))
        elif format_.interpretation != "text":
            hint = f", {', '.join(format_.hints)}" if format_.hints else ""
            found.append(Finding("uninspectable", f"no inspector for {format_.name}{hint}", 1, 1, "strong"))
        return found
