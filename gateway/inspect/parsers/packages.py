"""Office documents: Open Packaging (ISO/IEC 29500-2: docx, xlsx, pptx) and OpenDocument (ISO/IEC 26300-2), which are ZIPs.

All parts are read, whether a relationship leads to them or not: comments, notes, headers, properties, thumbnails, whatever was
embedded. XML parts are read as people see them (`markup`, `sheets`); other parts are members like those of any archive.

A change must keep: people in a sheet are counted by its rows, once; a part that is no XML is never read as XML, and the other
way round.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.markup import Handler, Prose, Rooted, read_xml
from gateway.inspect.parsers.sheets import Grid, Spreadsheet, Strings, Styles, Workbook, Worksheet
from gateway.inspect.parsers.words import Words
from gateway.inspect.parsers.zip import Archive, Entry
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_FORMS: Final = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))
_XML: Final = (".xml", ".rels", ".vml", ".rdf")
_FIRST: Final = ("xl/workbook", "xl/sharedstrings", "xl/styles")  # sheets refer to them
_MACROS: Final = ("vbaproject.bin", "basic/")


class Package:
    """Reads the parts of one package."""

    def __init__(self, archive: Archive, report: Report) -> None:
        self._archive = archive
        self._report = report
        self._workbook = Workbook()
        self._words = Words(report, "attributes, formulas and field codes")

    def read(self) -> None:
        """All of it."""
        names = [entry.name.lower() for entry in self._archive.entries]
        if any(name.rpartition("/")[2] == _MACROS[0] or name.startswith(_MACROS[1]) for name in names):
            self._report.unreadable("macros: programs that no inspector reads")
        for entry in sorted(self._archive.entries, key=_turn):
            self._part(entry)
        self._workbook.finish(self._words)

    def _part(self, entry: Entry) -> None:
        name = entry.name.lower()
        if name.endswith(_XML) and not name.startswith("customxml/"):
            self._archive.read(entry, self._xml)
        else:
            self._archive.read(entry)

    def _xml(self, name: str, stream: BinaryIO) -> bool:
        """An XML part; its name was not classified yet."""
        self._report.context.budget.member(self._report.depth + 1)
        self._words.line(name)
        handler = Rooted(lambda root: self._handler(root, f"!/{name}"))
        try:
            read_xml(stream, handler, self._words)
        except Unreadable as why:
            if why.kind == "archive_limit":
                raise
            self._report.unreadable(f"!/{name}: {why}", kind=why.kind)
            return False
        return True

    def _handler(self, root: str, place: str) -> Handler:
        report, workbook = self._report, self._workbook
        if root == "sst":
            return Strings(workbook, report)
        if root == "styleSheet":
            return Styles(workbook, self._words)
        if root == "worksheet":
            return Worksheet(workbook, Grid(report, place, self._words), self._words)
        if root == "document-content":
            return Spreadsheet(report, place, self._words)
        if root == "workbook":
            return Dated(workbook, report, place, self._words)
        return (Manifest if root == "manifest" else Prose)(report, place, self._words)


class Dated(Prose):
    """The part that lists a workbook's sheets; it also says from when days count (section 18.2.28)."""

    def __init__(self, workbook: Workbook, report: Report, place: str, words: Words) -> None:
        super().__init__(report, place, words)
        self._workbook = workbook

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """See `Handler`."""
        if name == "workbookPr":
            self._workbook.since_1904 = attributes.get("date1904", "") in {"1", "true"}
        super().start(name, attributes)


class Manifest(Prose):
    """The list of an OpenDocument package's parts; it also says which are encrypted (ISO/IEC 26300-2 section 4.8)."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """See `Handler`."""
        if name == "encryption-data":
            self._report.unreadable("a part under a password", kind="encrypted_content")
        super().start(name, attributes)


def _turn(entry: Entry) -> tuple[int, int]:
    name = entry.name.lower()
    first = next((place for place, start in enumerate(_FIRST) if name.startswith(start)), len(_FIRST))
    return first, entry.at


def _form(names: set[str]) -> str:
    """What kind of package; empty for any other archive."""
    if "[Content_Types].xml" in names:
        return next((form for start, form in _FORMS if any(name.startswith(start) for name in names)), "opc")
    return "odf" if {"mimetype", "META-INF/manifest.xml"} <= names else ""


def inspect(source: Source, report: Report) -> None:
    """A package by its parts; any other archive member by member."""
    archive = Archive(source, report)
    form = _form({entry.name for entry in archive.entries})
    if form:
        report.known_as(form)
        Package(archive, report).read()
        return
    for entry in archive.entries:
        archive.read(entry)
