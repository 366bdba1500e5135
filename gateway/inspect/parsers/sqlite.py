"""SQLite databases, version 3: every row of every table, the statements of the schema, and copies of rows in indexes.

An index repeats columns of its table. Where a sum over both proves that, its entries are covered and not read twice; any
other index is a table of its own. Deleted rows stay readable in free pages and between cells: they are gaps, which
`VACUUM` removes. A write-ahead log beside the file is a file of its own, and no inspector reads that.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.inspect.btree import Pages
from gateway.inspect.limits import Unreadable
from gateway.inspect.records import Columns, Schema, Value, values_of
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_WIDE: Final = (1 << 64) - 1
_ENTRIES: Final = 50_000  # of a schema
_SYSTEM: Final = {
    "sqlite_sequence": ("name", "seq"), "sqlite_stat1": ("tbl", "idx", "stat"),
    "sqlite_stat4": ("tbl", "idx", "neq", "nlt", "ndlt", "sample"),
}  # fmt: skip


@dataclass
class _Entry:
    """One row of sqlite_schema (section 2.6)."""

    kind: str
    name: str
    table: str
    root: int
    statement: str


@dataclass
class _Sums:
    """Over the rows of a table, for each of its indexes: what their entries must sum up to."""

    columns: Columns
    sums: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, rowid: int, values: list[Value]) -> None:
        self.rows += 1
        for name, places in self.columns.indexes.items():
            copied = tuple(rowid if place == -1 else values[place] if place < len(values) else None for place in places)
            self.sums[name] = self.sums.get(name, 0) + hash(copied) & _WIDE


def inspect(source: Source, report: Report) -> None:
    """Schema, tables, indexes, and what is left."""
    pages = Pages(source, report)
    pages.rest()
    entries = _schema(pages, report)
    sums: dict[str, tuple[int, int]] = {}
    with Schema() as schema:
        for entry in entries:
            if entry.kind == "table" and entry.root:
                sums.update(_table(pages, report, schema, entry, entries))
    for entry in entries:
        if entry.kind == "index" and entry.root:
            _index(pages, report, entry, sums.get(entry.name))
        elif entry.kind not in ("table", "index") and entry.root:
            raise Unreadable("sqlite: rows of something that is no table")
    if pages.leftovers:
        report.unreadable(
            "sqlite: deleted or moved rows are still readable; run PRAGMA secure_delete=ON and VACUUM, and send it again"
        )


def _schema(pages: Pages, report: Report) -> list[_Entry]:
    entries = []
    sink = report.text("schema")
    for _, payload in pages.rows(1):
        values = values_of(payload, pages.encoding)
        if len(values) != 5 or not isinstance(values[3], int | None):
            raise Unreadable("sqlite: a schema of another form")
        kind, name, table, root, statement = (value if isinstance(value, str | int) else "" for value in values)
        entries.append(_Entry(str(kind), str(name), str(table), int(root or 0), str(statement)))
        for value in values:
            if isinstance(value, str | bytes):
                sink.line(value if isinstance(value, str) else value.decode("utf-8", "replace"))
        if len(entries) > _ENTRIES:
            raise Unreadable(f"sqlite: more than {_ENTRIES} tables", kind="archive_limit")
    return entries


def _table(
    pages: Pages, report: Report, schema: Schema, entry: _Entry, entries: list[_Entry]
) -> dict[str, tuple[int, int]]:
    """All rows; sums and numbers of rows by the names of the table's indexes."""
    indexes = [
        each.statement for each in entries if each.kind == "index" and each.table == entry.name and each.statement
    ]
    rowids = pages.keyed(entry.root)
    columns = schema.columns(entry.name, entry.statement, indexes, rowids=rowids)
    if not columns.names:
        columns = Columns(_SYSTEM.get(entry.name, ()))
    sums = _Sums(columns)
    _feed(report, f"table {entry.name}", ("rowid", *columns.names), _rows(pages, entry, sums))
    return {name: (sums.sums.get(name, 0), sums.rows) for name in columns.indexes}


def _rows(pages: Pages, entry: _Entry, sums: _Sums) -> Iterator[list[Value]]:
    """Rows with their rowid before them, where that is not simply the next one."""
    alias, expected = sums.columns.rowid, 1
    for rowid, payload in pages.rows(entry.root):
        values = values_of(payload, pages.encoding)
        if 0 <= alias < len(values) and values[alias] is None:
            values[alias] = rowid
        sums.add(rowid, values)
        yield [None if alias >= 0 or rowid in (0, expected) else rowid, *values]
        expected = rowid + 1


def _index(pages: Pages, report: Report, entry: _Entry, expected: tuple[int, int] | None) -> None:
    """An index that repeats its table is read for that only; another one is a table."""
    total = rows = 0
    if expected is not None:
        for _, payload in pages.rows(entry.root):
            total = total + hash(tuple(values_of(payload, pages.encoding))) & _WIDE
            rows += 1
        if (total, rows) == expected:
            return
        pages.again()
    entries = (values_of(payload, pages.encoding) for _, payload in pages.rows(entry.root))
    _feed(report, f"index {entry.name}", (), entries)


def _feed(report: Report, place: str, names: tuple[str, ...], rows: Iterable[list[Value]]) -> None:
    sink = report.table(place, names)
    for number, values in enumerate(rows):
        for at, value in enumerate(values):
            if isinstance(value, bytes):
                values[at] = _blob(report, f"{place} row {number} value {at}", value)
        sink.row(values)
    report.close(sink)


def _blob(report: Report, name: str, content: bytes) -> str:
    """A blob as a file of its own, or as text where it is nothing else."""
    if len(content) < 1024 and b"\0" not in content:
        try:
            return content.decode()
        except UnicodeDecodeError:
            pass
    if content:
        report.member(name, io.BytesIO(content))
    return ""
