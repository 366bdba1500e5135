"""What a database's own errors mean to the gateway: which error, whether to try again, and what to do about it.

What it is not: a place to hide errors. Each keeps its cause where that holds no values of a row; the message is ours.

A change must keep these:
1. Nothing of a statement, its parameters or the database's URL gets into a message.
2. A name that is not in the table is a plain StoreError worth another attempt, never a success.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from gateway.core.errors import Conflict, GatewayError, StoreError


@dataclass(frozen=True)
class Meaning:
    """What a code of SQLite or a SQLSTATE of PostgreSQL stands for."""

    code: str
    message: str
    retry: bool = True


_FULL = Meaning("disk-full", "the database's disk is full: free space or enlarge it; nothing was recorded")
_BUSY = Meaning("database-busy", "the database was busy for too long: try again; if it lasts, look for a stuck process")
_DAMAGED = Meaning(
    "database-damaged", "the database file is damaged: stop the gateway and restore a backup", retry=False
)
_READ_ONLY = Meaning("database-read-only", "the database cannot be written: check owner, mode and mount", retry=False)
_AWAY = Meaning("database-away", "the database cannot be reached: check that it runs and that its URL is right")
_NO_SCHEMA = Meaning("schema-missing", "the database has no tables of this version: run the migration", retry=False)
_REFUSED = Meaning(
    "database-refused", "the database refused the row: this is a fault of the gateway, report it", retry=False
)
_DENIED = Meaning(
    "database-denied", "the database refused the gateway's login: check its user and password", retry=False
)
_UNSTORABLE = Meaning(
    "unstorable", "a value has no place in a column: this is a fault of the gateway, report it", retry=False
)
_ELSE = Meaning("database", "the database failed: try again; its own log says more")

_MEANINGS = {
    "SQLITE_FULL": _FULL,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_BUSY_SNAPSHOT": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_READONLY_DBMOVED": _READ_ONLY,
    "SQLITE_CANTOPEN": _AWAY,
    "SQLITE_CONSTRAINT_FOREIGNKEY": _REFUSED,
    "SQLITE_CONSTRAINT_NOTNULL": _REFUSED,
    "SQLITE_CONSTRAINT_CHECK": _REFUSED,
    "SQLITE_CONSTRAINT_TRIGGER": _REFUSED,
    # SQLSTATE: PostgreSQL, appendix A
    "53100": _FULL,
    "55P03": _BUSY,  # lock_not_available
    "40P01": _BUSY,  # deadlock_detected
    "40001": _BUSY,  # serialization_failure
    "57014": _BUSY,  # query_canceled: a timeout of the server
    "25P03": _BUSY,  # idle_in_transaction_session_timeout
    "25006": _READ_ONLY,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
    "42P01": _NO_SCHEMA,
    "42703": _NO_SCHEMA,
    "3D000": _AWAY,
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
    "53300": _AWAY,
    "28000": _DENIED,
    "28P01": _DENIED,
    "42501": _DENIED,
    "23502": _REFUSED,
    "23503": _REFUSED,
    "23514": _REFUSED,
    "22021": _REFUSED,  # a NUL in a text
}
_UNIQUE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"})


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLAlchemy and its drivers raise into the gateway's errors.

    Raises:
        Conflict: Where a row is there already that must be the only one.
        StoreError: For everything else.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError) as failure:
        # PostgreSQL shows the values of the row it refuses (SQLSTATE class 23); a traceback in a log must not.
        raise meaning_of(failure) from None if _name_of(failure).startswith("23") else failure


def meaning_of(failure: Exception) -> GatewayError:
    """The gateway's error for a database's."""
    name = _name_of(failure)
    if name in _UNIQUE:
        return Conflict("somebody recorded this a moment ago: look at the present state and ask again", retry=True)
    meaning = _MEANINGS.get(name)
    if meaning is None and "no such table" in str(getattr(failure, "orig", failure)):
        meaning = _NO_SCHEMA  # SQLite has no code of its own for it
    if meaning is None and (isinstance(failure, UnicodeError) or type(failure) is StatementError):
        meaning = _UNSTORABLE  # the statement never reached the database
    if meaning is None:
        meaning = _AWAY if isinstance(failure, OSError) else _ELSE
    return StoreError(meaning.message, code=meaning.code, retry=meaning.retry)


def _name_of(failure: BaseException) -> str:
    """SQLite's error name or PostgreSQL's SQLSTATE, wherever the driver put it; empty where there is none."""
    seen: BaseException | None = failure.orig if isinstance(failure, DBAPIError) else failure
    while seen is not None:
        name = getattr(seen, "sqlite_errorname", None) or getattr(seen, "sqlstate", None)
        if name:
            return str(name)
        seen = seen.__cause__
    return ""
