"""The database behind `gateway.ports.Records`: SQLite in one file, or PostgreSQL.

What it is not: statements (`reading`, `writing`, `tree`) or tables. This begins transactions and ends them, and knows
what each engine needs for the same promise.

A change must keep these:
1. SQLite: a writing transaction begins with BEGIN IMMEDIATE, on one connection that coroutines take in turn. The
   default of SQLAlchemy begins late and lost half the updates of three processes without a word. A commit is on disk
   when it returns (`synchronous=FULL`), and readers never wait (WAL).
2. PostgreSQL: a view is REPEATABLE READ and read-only; a writing transaction is READ COMMITTED and takes its turn by a
   row lock (`gateway.stores.writing`, rule 1). The server ends a transaction that sits idle with the turn.
3. A transaction commits only where every statement of it succeeded; every other way out rolls back.
4. No URL, statement or value gets into an error's message: URLs hold passwords, values hold names.

Cancelling a task inside `write()` rolls back. Cancelled during the COMMIT itself, the transaction may stand: ask again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.core.errors import StoreError, Unusable
from gateway.ports import Reading, Writing
from gateway.stores import tables
from gateway.stores.failures import translated
from gateway.stores.reading import View
from gateway.stores.writing import Transaction

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_TIMEOUT = 30.0
"""Seconds to wait for another writer before an attempt fails with `database-busy`."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_CONNECTIONS = 8
_MIGRATION_LOCK = 0x68657461  # "heta": a PostgreSQL advisory lock, so that one process migrates at a time


class Database:
    """`gateway.ports.Records` over SQLAlchemy. Made by `open`; used by any number of processes at once."""

    def __init__(self, readers: AsyncEngine, writers: AsyncEngine) -> None:
        self._readers = readers
        self._writers = writers
        # SQLite has one writer: coroutines queue here, where waiting is fair and costs no connection.
        self._turn = asyncio.Semaphore(1 if writers.dialect.name == "sqlite" else _CONNECTIONS)

    @classmethod
    async def open(cls, url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> Database:
        """Open a database; its tables may still be missing (see `migrate`).

        Args:
            url: `sqlite:///file` (four slashes for an absolute path) or `postgresql://user@host/name`.
            busy_timeout: Seconds to wait for another writer.

        Raises:
            Unusable: Where the URL is of another form.
            StoreError: Where the database cannot be reached.
        """
        parsed = _parse_url(url)
        engines = _sqlite_engines if parsed.get_backend_name() == "sqlite" else _postgresql_engines
        with translated():
            database = cls(*engines(parsed, busy_timeout))
        try:
            with translated():
                async with database._readers.connect():
                    pass
        except BaseException:
            await database.close()
            raise
        return database

    async def migrate(self) -> None:
        """Bring the tables to this version; several processes may call it at once."""
        async with self._turn:
            with translated():
                async with self._writers.begin() as connection:
                    if connection.dialect.name == "postgresql":
                        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                    await connection.run_sync(_upgrade)

    async def revision(self) -> tuple[str, str]:
        """The revision the tables are at (empty: none) and the one this version needs."""
        needed = tables.REVISION
        async with self._readers.connect() as connection:
            with translated():
                known = await connection.run_sync(lambda each: sa.inspect(each).has_table(tables.VERSION_TABLE))
                if not known:
                    return "", needed
                version = sa.text(f"SELECT version_num FROM {tables.VERSION_TABLE}")  # noqa: S608  # a constant
                return str((await connection.execute(version)).scalar_one()), needed

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reading]:
        """A consistent view of what was committed when its first question is asked.

        Raises:
            StoreError: Where the database cannot be reached.
        """
        connection = await _begun(self._readers)
        try:
            yield View(connection)
        finally:
            await _ended(connection)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Writing]:
        """A transaction that commits at the end of the block and rolls back on any exception.

        Raises:
            StoreError: Where the database cannot be reached, stays busy, or a statement failed, whoever caught that.
        """
        async with self._turn:
            connection = await _begun(self._writers)
            try:
                transaction = Transaction(connection)
                yield transaction
                if transaction.failed is not None:
                    raise StoreError(
                        "a step of this transaction had failed and nothing of it was recorded: try again"
                    ) from transaction.failed
                with translated():
                    await connection.commit()
            finally:
                await _ended(connection)

    async def close(self) -> None:
        """Let go of connections."""
        await self._writers.dispose()
        if self._readers is not self._writers:
            await self._readers.dispose()


async def _begun(engine: AsyncEngine) -> AsyncConnection:
    """A connection inside a transaction."""
    with translated():
        connection = await engine.connect()
        try:
            await connection.begin()
        except BaseException:
            await _ended(connection)
            raise
    return connection


async def _ended(connection: AsyncConnection) -> None:
    """Give a connection back; what it did not commit is rolled back, also where the task is being cancelled."""
    with translated():
        await asyncio.shield(asyncio.ensure_future(connection.close()))


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in _DRIVERS:
        raise Unusable("the database URL must begin with sqlite:/// or postgresql://")
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise Unusable("the database must be a file: a memory database is gone at the first restart")
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _sqlite_engines(url: URL, busy_timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    """Engines for views and for writing; makes the file, readable for its owner only (WAL files follow its mode)."""
    path = Path(url.database or "")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    readers = create_async_engine(
        url, hide_parameters=True, pool_size=_CONNECTIONS, max_overflow=0, connect_args={"timeout": busy_timeout}
    )
    writers = create_async_engine(
        url, hide_parameters=True, pool_size=1, max_overflow=0, connect_args={"timeout": busy_timeout}
    )
    _begin_with(readers, "BEGIN", query_only=True)
    _begin_with(writers, "BEGIN IMMEDIATE", query_only=False)
    return readers, writers


def _begin_with(engine: AsyncEngine, begin: str, *, query_only: bool) -> None:
    """Set every connection up, and begin its transactions so and not when the driver feels like it."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        cursor = connection.cursor()
        # journal_mode is kept in the file; it is set on every connection because the first one may be any of them
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE meets the DELETE triggers too
        cursor.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgresql_engines(url: URL, busy_timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    """Engines for views and for writing, over one pool."""
    milliseconds = str(round(busy_timeout * 1000))
    writers = create_async_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=2 * _CONNECTIONS,
        max_overflow=0,
        connect_args={
            "timeout": busy_timeout,
            "server_settings": {
                "application_name": "hetao-gateway",
                "lock_timeout": milliseconds,
                # A process that froze while it had the turn must not stop all the others.
                "idle_in_transaction_session_timeout": str(2 * round(busy_timeout * 1000)),
                "TimeZone": "UTC",
            },
        },
    )
    readers = writers.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return readers, writers


# --- migrations ------------------------------------------------------------------------------------------------------


def _alembic() -> Config:
    # Imported where it is needed: it takes a fifth of a second, which every command would pay for nothing.
    from alembic.config import Config  # noqa: PLC0415  # as said above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415  # as above

    config = _alembic()
    config.attributes.update(connection=connection, version_table=tables.VERSION_TABLE)
    command.upgrade(config, "head")
