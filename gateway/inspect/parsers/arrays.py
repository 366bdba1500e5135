"""Genotyping and expression arrays: Illumina IDAT, Affymetrix CEL of version 4 and of the Command Console.

Sources: the published description of IDAT version 3 (Smith et al. 2013, F1000Research 2:264), Affymetrix "CEL file formats"
(version 4) and "Command Console generic data file format". An array is human genetic resource information and no
sequencing; a file is one sample. Every field is walked to the end of the file; texts go to the classifier, intensities do
not.
"""

from __future__ import annotations

import struct
from typing import Final

from gateway.core.classify.genomes import sample_of_path
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.runs import legible
from gateway.inspect.source import Source

_FIELDS: Final = 1_000
_PROBES: Final = 50_000_000
_TEXT: Final = 1 << 20  # bytes of one string
_PIECE: Final = 1 << 20
# IDAT: bytes of a value for every probe, by field
_PER_PROBE: Final = {102: 4, 103: 2, 104: 2, 107: 1}
_COUNT, _MIDDLE, _RUNS, _COLOURS, _BARCODE, _LABEL = 1000, 200, 300, 400, 402, 404
_STRINGS: Final = frozenset({401, 402, 403, 404, 405, 406, 407, 408, 409, 410})


class _Reader:
    """Numbers and strings at a place of the file; remembers nothing that it did not reach."""

    def __init__(self, source: Source, at: int = 0, *, order: str = "<") -> None:
        self._source = source
        self._order = order
        self.at = at

    def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        if not 0 <= size <= _PIECE or not 0 <= self.at <= self._source.size - size:
            raise Unreadable("array: a field outside of the file")
        self._source.seek(self.at)
        self.at += size
        return self._source.read(size)

    def number(self, form: str = "i") -> int:
        """One number that is no fraction."""
        return int(struct.unpack(self._order + form, self.take(struct.calcsize(self._order + form)))[0])

    def count(self, most: int = _PROBES) -> int:
        """A number of things."""
        found = self.number()
        if not 0 <= found <= most:
            raise Unreadable("array: a count out of bounds")
        return found

    def skip(self, size: int) -> None:
        """Read values that are no text."""
        while size > 0:
            size -= len(self.take(min(size, _PIECE)))

    def short(self) -> str:
        """A string behind its length in groups of seven bits."""
        size = shift = 0
        while True:
            byte = self.take(1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 28:
                break
        return self.take(min(size, _TEXT + 1)).decode("utf-8", "replace")

    def narrow(self) -> bytes:
        """A string behind its length in four bytes."""
        return self.take(self.count(_TEXT))

    def wide(self) -> str:
        """The same of characters of two bytes."""
        return self.take(2 * self.count(_TEXT // 2)).decode("utf-16-be", "replace")


def idat(source: Source, report: Report) -> None:
    """Illumina's intensities, version 3; one of two colours of a sample."""
    reader = _Reader(source)
    reader.take(4)
    version = reader.number("q")
    if version == 1:
        raise Unreadable("IDAT of version 1, which is encrypted", kind="encrypted_content")
    fields = reader.count(_FIELDS)
    if version != 3:
        raise Unreadable("IDAT: an unknown version")
    table: list[tuple[int, int]] = []
    for _ in range(fields):
        code = reader.number("H")
        table.append((reader.number("q"), code))
    table.sort()
    report.cover(0, reader.at)
    texts = _fields(source, table, report)
    name = f"{texts.get(_BARCODE, '')}_{texts.get(_LABEL, '')}"
    report.genomes({name if len(name) > 4 else sample_of_path(report.path)}, sequenced=False, where="array")


def _fields(source: Source, table: list[tuple[int, int]], report: Report) -> dict[int, str]:
    """Every field; the strings among them."""
    sink = report.text("fields")
    sink.line("fields")
    probes = next((_Reader(source, at).count() for at, code in table if code == _COUNT), 0)
    texts = {}
    for at, code in table:
        reader = _Reader(source, at)
        if code in _PER_PROBE:
            reader.skip(_PER_PROBE[code] * probes)
        elif code == _MIDDLE:
            reader.skip(4 * reader.count())
        elif code == _RUNS:
            for _ in range(5 * reader.count(_FIELDS)):
                sink.line(reader.short())
        elif code in {_COUNT, _COLOURS}:
            reader.number()
        elif code in _STRINGS:
            texts[code] = reader.short()
            sink.line(texts[code])
        else:
            report.unreadable(f"IDAT: an unknown field ({code})")
            continue
        report.cover(at, reader.at)
    return texts


def cel(source: Source, report: Report) -> None:
    """Affymetrix's intensities in either form."""
    sink = report.text("header")
    sink.line("header")
    if source.read(1) == b"\x40":
        _version_4(_Reader(source), report, sink)
    else:
        _Console(source, report, sink).all()
    report.genomes({sample_of_path(report.path)}, sequenced=False, where="array")


def _version_4(reader: _Reader, report: Report, sink: TextSink) -> None:
    if (reader.number(), reader.number()) != (64, 4):
        raise Unreadable("CEL: an unknown version")
    columns, rows, cells = (reader.count() for _ in range(3))
    if columns * rows != cells:
        raise Unreadable("CEL: not as many cells as rows and columns")
    for _ in range(3):  # header, algorithm, its parameters
        sink.feed(reader.narrow().decode("utf-8", "replace") + "\n")
    reader.number()  # margin of a cell
    outliers, masked, grids = (reader.count() for _ in range(3))
    reader.skip(10 * cells)  # intensity, deviation, pixels
    reader.skip(4 * (outliers + masked))
    reader.skip(56 * grids)
    report.cover(0, reader.at)


class _Console:
    """A generic data file: a header with headers of parents, groups of data sets, each a table."""

    def __init__(self, source: Source, report: Report, sink: TextSink) -> None:
        self._source = source
        self._report = report
        self._sink = sink

    def all(self) -> None:
        """Header, then group by group."""
        reader = _Reader(self._source, order=">")
        if reader.take(2) != b"\x3b\x01":
            raise Unreadable("CEL: an unknown version")
        groups, place = reader.count(_FIELDS), reader.number("I")
        self._header(reader, 0)
        self._report.cover(0, reader.at)
        for _ in range(groups):
            place = self._group(place)

    def _header(self, reader: _Reader, depth: int) -> None:
        if depth > 16:
            raise Unreadable("CEL: headers nested too deeply")
        self._sink.line(reader.narrow().decode("ascii", "replace"))
        self._sink.line(reader.narrow().decode("ascii", "replace"))  # identifier of the file
        self._sink.line(reader.wide())  # date
        self._sink.line(reader.wide())  # locale
        self._parameters(reader)
        for _ in range(reader.count(_FIELDS)):
            self._header(reader, depth + 1)

    def _parameters(self, reader: _Reader) -> None:
        for _ in range(reader.count(_FIELDS)):
            name, value, kind = reader.wide(), reader.narrow(), reader.wide()
            told = value.decode("utf-16-be", "replace") if kind == "text/plain" else value.decode("latin-1")
            self._sink.line(f"{name}: {told.rstrip(chr(0))}")

    def _group(self, place: int) -> int:
        reader = _Reader(self._source, place, order=">")
        following, first, sets = reader.number("I"), reader.number("I"), reader.count(_FIELDS)
        self._sink.line(reader.wide())
        self._report.cover(place, reader.at)
        for _ in range(sets):
            first = self._set(first)
        return following

    def _set(self, place: int) -> int:
        reader = _Reader(self._source, place, order=">")
        begin, following = reader.number("I"), reader.number("I")
        self._sink.line(reader.wide())
        self._parameters(reader)
        width, texts = 0, False
        for _ in range(reader.count(_FIELDS)):
            self._sink.line(reader.wide())
            kind, size = reader.number("b"), reader.count(_TEXT)
            width, texts = width + size, texts or kind in {7, 8}
        rows = reader.count()
        self._report.cover(place, reader.at)
        data = _Reader(self._source, begin, order=">")
        left = rows * width
        while left > 0:
            piece = data.take(min(left, _PIECE))
            left -= len(piece)
            if texts:
                self._sink.raw(legible(piece) + b"\n" + legible(piece[1::2]) + b"\n" + legible(piece[::2]) + b"\n")
        self._report.cover(begin, data.at)
        return following
