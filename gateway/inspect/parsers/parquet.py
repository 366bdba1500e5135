"""Apache Parquet (format specification 2.12: README.md, Encryption.md, PageIndex.md, BloomFilter.md, parquet.thrift).

Values are read by pyarrow, batch by batch. Which bytes belong to what is read here: the footer says where column chunks
lie, the chain of page headers fills each chunk, indexes and Bloom filters are found through the footer. Everything else
in the file stays a gap. Texts of the footer are data: names, key-value metadata, and bounds of columns that no cell
repeats. Bounds of numeric columns (at most 12 bytes each) count as numbers of their column, and are not read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.inspect.columns import WATCHED, Cells
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source
from gateway.inspect.thrift import Compact, Struct, texts

_MAGIC: Final = b"PAR1"
_LOCKED: Final = b"PARE"
_HEADER: Final = 256  # bytes of a page header looked at first; statistics may make it longer
_HEADER_MOST: Final = 1 << 24
_BATCH: Final = 65_536
_BUFFER: Final = 1 << 20
_WIDE: Final = 32 << 20  # bytes of one batch, by the average of its row group
_LETTERS: Final = 6  # parquet.thrift, enum Type: BYTE_ARRAY
_CODES: Final = frozenset({2, 8})  # enum Encoding: PLAIN_DICTIONARY, RLE_DICTIONARY
_BYTE_ARRAYS: Final = frozenset({6, 7})  # parquet.thrift, enum Type
_DATA, _INDEX, _DICTIONARY, _DATA2 = range(4)  # enum PageType


@dataclass
class Footer:
    """FileMetaData, and where it stands."""

    meta: Struct
    start: int
    bounds: set[bytes] = field(default_factory=set)  # of columns of bytes: statistics and column indexes
    coded: list[list[str]] = field(default_factory=list)  # for each row group: columns of codes of a dictionary alone

    @property
    def groups(self) -> list[Struct]:
        """RowGroups."""
        return list(self.meta.get(4, []))


def inspect(source: Source, report: Report) -> None:
    """Layout first, then the values, then the texts around them."""
    footer = _footer(source, report)
    _encrypted(footer)
    layout = _Layout(source, report, footer)
    for number, group in enumerate(footer.groups):
        if group.get(3, 0) < 0:
            raise Unreadable("parquet: a row group of less than no rows")
        layout.group(number, group)
    cells = Cells(report, "rows", footer.bounds)
    _values(source, footer, cells)
    _texts(footer, cells, report)


def _footer(source: Source, report: Report) -> Footer:
    source.seek(max(source.size - 8, 0))
    tail = source.read(8)
    if tail[4:] == _LOCKED:
        raise Unreadable("parquet: the footer is encrypted", kind="encrypted_content")
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or size > source.size - 12:
        raise Unreadable("parquet: no footer at the end")
    report.context.budget.room(size * 8)  # as values
    start = source.size - 8 - size
    source.seek(start)
    reader = Compact(source.read(size))
    meta = reader.struct()
    report.cover(0, 4)
    report.cover(start, start + reader.at)  # what the footer's length holds beyond the footer is a gap
    report.cover(source.size - 8, source.size)
    signed = 28 if 8 in meta else 0  # Encryption.md 5.4: nonce and tag of a signed plaintext footer
    report.cover(start + reader.at, start + reader.at + (signed if reader.at + signed == size else 0))
    return Footer(meta, start)


def _encrypted(footer: Footer) -> None:
    chunks = [chunk for group in footer.groups for chunk in group.get(1, [])]
    if 8 in footer.meta or any(8 in chunk or 9 in chunk for chunk in chunks):
        raise Unreadable("parquet: columns are encrypted", kind="encrypted_content")
    if any(1 in chunk or 3 not in chunk for chunk in chunks):
        raise Unreadable("parquet: a column lies in another file")


class _Layout:
    """Walks everything that the footer refers to."""

    def __init__(self, source: Source, report: Report, footer: Footer) -> None:
        self._source = source
        self._report = report
        self._footer = footer
        self._budget: Budget = report.context.budget

    def group(self, number: int, group: Struct) -> None:
        """Column chunks of a row group with their pages, indexes and filters."""
        self._footer.coded.append([])
        for chunk in group.get(1, []):
            meta = chunk[3]
            if self._chunk(number, meta):
                self._footer.coded[-1].append(".".join(part.decode() for part in meta[3]))
            binary = meta.get(1) in _BYTE_ARRAYS
            self._bounds(meta.get(12, {}), binary=binary)
            if binary:
                self._watch(bound for bound in texts(meta.get(17, {})))
            self._column_index(chunk, binary=binary)
            self._offset_index(chunk)
            self._bloom(meta)

    def _chunk(self, number: int, meta: Struct) -> bool:
        """Its pages; whether they are letters by codes alone, whose dictionary pyarrow can give out whole."""
        start = min(at for at in (meta.get(9), meta.get(11)) if at)  # a dictionary page stands first
        at, end = start, start + meta[7]
        if not 4 <= start <= end <= self._footer.start:
            raise Unreadable(f"parquet: a column of row group {number} lies outside of the file")
        values, encodings = 0, set[int]()
        while at < end:
            header, body = self._header(at, end)
            size = header.get(3, -1)
            if size < 0 or body + size > end:
                raise Unreadable(f"parquet: a page of row group {number} reaches out of its column")
            self._budget.room(max(header.get(2, 0), size))
            self._budget.expand(max(header.get(2, 0), size))
            values += self._page(header, encodings, binary=meta.get(1) in _BYTE_ARRAYS)
            at = body + size
        if values != meta.get(5):
            raise Unreadable(f"parquet: a column of row group {number} has other pages than values")
        self._report.cover(start, end)
        return meta.get(1) == _LETTERS and bool(encodings) and encodings <= _CODES

    def _header(self, at: int, end: int) -> tuple[Struct, int]:
        size = min(_HEADER, end - at)
        while True:
            self._source.seek(at)
            reader = Compact(self._source.read(size))
            try:
                return reader.struct(), at + reader.at
            except Unreadable:
                if size >= min(_HEADER_MOST, end - at):
                    raise
                size = min(size * 16, end - at)

    def _page(self, header: Struct, encodings: set[int], *, binary: bool) -> int:
        """Values of a data page; its own statistics are watched for."""
        kind = header.get(1)
        if kind == _DICTIONARY:
            return 0
        if kind not in (_DATA, _DATA2):
            raise Unreadable("parquet: a page of an unknown type")
        page = header[5 if kind == _DATA else 8]
        encodings.add(page[2 if kind == _DATA else 4])
        self._bounds(page.get(5 if kind == _DATA else 8, {}), binary=binary)
        return int(page[1])

    def _bounds(self, statistics: Struct, *, binary: bool) -> None:
        if binary:
            self._watch(value for value in statistics.values() if isinstance(value, bytes))
        elif any(len(value) > 12 for value in statistics.values() if isinstance(value, bytes)):
            raise Unreadable("parquet: a bound longer than a number")

    def _watch(self, values: Iterable[bytes]) -> None:
        self._footer.bounds.update(values)
        if len(self._footer.bounds) > WATCHED:
            raise Unreadable(f"parquet: more than {WATCHED} bounds of pages", kind="archive_limit")

    def _column_index(self, chunk: Struct, *, binary: bool) -> None:
        if 6 in chunk:
            index = self._struct(chunk[6], chunk.get(7, 0))
            values = texts([index.get(2, []), index.get(3, [])])
            if binary:
                self._watch(values)
            elif any(len(value) > 12 for value in values):
                raise Unreadable("parquet: a bound longer than a number")

    def _offset_index(self, chunk: Struct) -> None:
        if 4 in chunk:
            self._struct(chunk[4], chunk.get(5, 0))

    def _bloom(self, meta: Struct) -> None:
        """BloomFilter.md: a header, then bits; hashes of values, which name nobody."""
        if 14 not in meta:
            return
        at = meta[14]
        header, body = self._header(at, min(at + 1024, self._footer.start))
        size = header[1]
        if not 0 <= size <= self._footer.start - body or meta.get(15, body + size - at) != body + size - at:
            raise Unreadable("parquet: a Bloom filter of another size")
        self._report.cover(at, body + size)

    def _struct(self, at: int, size: int) -> Struct:
        if not (0 < size <= self._footer.start and 4 <= at <= self._footer.start - size):
            raise Unreadable("parquet: an index lies outside of the file")
        self._budget.room(size * 8)
        self._source.seek(at)
        reader = Compact(self._source.read(size))
        found = reader.struct()
        self._report.cover(at, at + reader.at)
        return found


def _values(source: Source, footer: Footer, cells: Cells) -> None:
    """Every row group through pyarrow, column buffers of a mebibyte, rows by batches."""
    source.seek(0)
    meta = pq.read_metadata(source, memory_map=False)
    if meta.num_row_groups != len(footer.groups):
        raise Unreadable("parquet: the footer reads in two ways")
    cells.add(pa.RecordBatch.from_pylist([], schema=_file(source, meta, []).schema_arrow))
    for number, group in enumerate(footer.groups):
        before, rows = cells.rows, group.get(3, 0)
        file = _file(source, meta, footer.coded[number])
        for batch in file.iter_batches(_batch(group), [number], use_threads=False):
            cells.add(batch)
        cells.settle()
        if cells.rows - before != rows:
            raise Unreadable(f"parquet: row group {number} has another number of rows")


def _file(source: Source, meta: pq.FileMetaData, coded: list[str]) -> pq.ParquetFile:
    """The file once more; columns of codes come with their dictionary, used or not."""
    source.seek(0)
    return pq.ParquetFile(source, metadata=meta, read_dictionary=coded, buffer_size=_BUFFER, pre_buffer=False)


def _batch(group: Struct) -> int:
    """Rows of a batch: fewer where they are large."""
    rows = max(int(group.get(3, 0)), 1)
    size: int = sum(chunk[3].get(6, 0) for chunk in group.get(1, []))
    return max(min(_BATCH, _WIDE * rows // max(size, 1)), 1)


def _texts(footer: Footer, cells: Cells, report: Report) -> None:
    """What the footer says beside the layout; bounds that no cell repeats, truncated ones among them."""
    said = [value for key, value in footer.meta.items() if key != 4]
    of_chunks = [
        texts([chunk[3].get(3, []), chunk[3].get(8, [])]) for group in footer.groups for chunk in group.get(1, [])
    ]
    sink = report.text("footer")
    for text in dict.fromkeys([*texts(said), *(text for each in of_chunks for text in each)]):
        sink.line(text.decode("utf-8", "replace"))
    cells.said()
