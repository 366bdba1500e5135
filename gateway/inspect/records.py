"""Rows of SQLite tables (sqlite.org, "Database File Format", section 2), and what its schema calls their columns.

Statements of the schema are parsed by SQLite itself, in an empty database in memory that may create tables and indexes
and nothing else; no row, trigger or view ever reaches it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from gateway.inspect.limits import Unreadable
from gateway.inspect.remnants import varint

Value = int | float | str | bytes | None

_STEPS: Final = 200_000
_STATEMENT: Final = 1 << 20
_SIZES: Final = (0, 1, 2, 3, 4, 6, 8)
_ALLOWED: Final = frozenset({
    sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_FUNCTION,
})  # fmt: skip
_PRAGMAS: Final = frozenset({"table_xinfo", "index_list", "index_xinfo"})


def values_of(payload: bytes, encoding: str) -> list[Value]:
    """The values of a record (section 2.1); text that does not decode stays bytes.

    Raises:
        Unreadable: It is none, or holds more than its header says.
    """
    body, kinds = _kinds(payload)
    values: list[Value] = []
    for kind in kinds:
        if kind >= 12:
            end = body + (kind - 12 >> 1)
            values.append(_text(payload[body:end], encoding) if kind & 1 else payload[body:end])
            body = end
        elif kind == 0:
            values.append(None)
        elif kind < 7:
            end = body + _SIZES[kind]
            values.append(int.from_bytes(payload[body:end], "big", signed=True))
            body = end
        elif kind == 7:
            values.append(struct.unpack_from(">d", payload, body)[0])
            body += 8
        elif kind < 10:
            values.append(kind - 8)
        else:
            raise Unreadable("sqlite: a row with values of no type")
    if body != len(payload):
        raise Unreadable("sqlite: a row is longer or shorter than it says")
    return values


def _kinds(payload: bytes) -> tuple[int, Sequence[int]]:
    """Where the values begin, and their types."""
    end, at = varint(payload, 0)
    if end > len(payload):
        raise Unreadable("sqlite: a row is shorter than it says")
    head = payload[at:end]
    if head.isascii():  # numbers of one byte each
        return end, head
    kinds = []
    while at < end:
        kind, at = varint(payload, at)
        kinds.append(kind)
    if at != end:
        raise Unreadable("sqlite: a row's types are longer than it says")
    return end, kinds


def _text(raw: bytes, encoding: str) -> str | bytes:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw


@dataclass(frozen=True)
class Columns:
    """How the rows of a table are stored.

    Attributes:
        names: In stored order; empty where the statement was not understood.
        rowid: Place of the column that is the rowid, -1 for none.
        indexes: By name: places of an index's columns in stored order, -1 for the rowid; only of indexes that copy
            every row.
    """

    names: tuple[str, ...] = ()
    rowid: int = -1
    indexes: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Schema:
    """Understands statements of a schema; use as a context."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _STATEMENT)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_VDBE_OP, _STEPS)
        self._database.execute("PRAGMA trusted_schema=0")
        self._database.set_authorizer(_authorized)
        self._database.set_progress_handler(lambda: 1, _STEPS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def columns(self, table: str, statement: str, indexes: list[str], *, rowids: bool) -> Columns:
        """What the rows of a table hold.

        Args:
            table: Its name.
            statement: That creates it.
            indexes: Statements that create its indexes.
            rowids: Whether it is stored by rowid.
        """
        try:
            self._database.execute(statement)
            told = self._database.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
        except (sqlite3.Error, ValueError, UnicodeError):
            return Columns()
        for each in indexes:
            try:
                self._database.execute(each)
            except (sqlite3.Error, ValueError, UnicodeError):
                continue
        stored = [row for row in told if row[6] != 2]  # virtual columns are computed
        keys = [row for row in stored if row[5]]
        if not rowids:
            stored = sorted(keys, key=lambda row: row[5]) + [row for row in stored if not row[5]]
        alias = keys[0] if rowids and len(keys) == 1 and keys[0][2].upper() == "INTEGER" else None
        place = stored.index(alias) if alias else -1
        cids = {row[0]: at for at, row in enumerate(stored)}
        return Columns(tuple(row[1] for row in stored), place, self._indexes(table, cids))

    def _indexes(self, table: str, cids: dict[int, int]) -> dict[str, tuple[int, ...]]:
        found = {}
        for _, name, _, _, partial in self._database.execute(f"PRAGMA index_list({_quoted(table)})").fetchall():
            columns = [row[1] for row in self._database.execute(f"PRAGMA index_xinfo({_quoted(name)})").fetchall()]
            if not partial and all(cid == -1 or cid in cids for cid in columns):
                found[name] = tuple(-1 if cid == -1 else cids[cid] for cid in columns)
        return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _authorized(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = first in _PRAGMAS
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = second != "load_extension"
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
