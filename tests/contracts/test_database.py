"""What the real database promises beyond its port: processes, locks, triggers, faults; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import Conflict, StoreError, Unusable
from gateway.core.facts import Entry, Tag
from gateway.core.transfer import State
from gateway.stores import tables
from gateway.stores.database import Database
from gateway.stores.tree import right_edge
from tests.contracts.appending import SHARED
from tests.contracts.recorded import NOW, SOON, check_ledger, keep, transfer

ENGINES = ["sqlite", "postgresql"]
SECRET = "张三的数据"


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    opened = await Database.open(request.getfixturevalue(f"{request.param}_url"), busy_timeout=5)
    await opened.migrate()
    yield opened
    await opened.close()


# --- the real engines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
async def test_three_processes_append_without_losing_anything(engine: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    database = await Database.open(url)
    await database.migrate()
    await keep(database, transfer(SHARED))
    names = ("red", "green", "blue")
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.contracts.appending", url, name, "200")
        for name in names
    ]
    assert [await process.wait() for process in started] == [0, 0, 0]
    async with database.read() as view:
        bodies = [body for _, body in await view.entries(0, 1000)]
        shared = await view.transfer(SHARED)
        for name in names:  # each one's entries, in its own order
            mine = [body for _, body in await view.entries_of(name)]
            assert mine == [f"{name} {number}".encode() for number in range(200)]
    assert shared is not None
    assert shared.attempts == len(bodies) == 600
    await check_ledger(database, bodies)
    await database.close()


TAMPERING = [
    'UPDATE entries SET body = opening WHERE "index" = 0',
    "DELETE FROM entries",
    "UPDATE tree_nodes SET hash = hash",
    "DELETE FROM tree_nodes WHERE level = 0",
    "INSERT INTO entries VALUES (7, 'tag', 'subject', '2026-11-20', '', '')",
    "UPDATE tree_head SET size = 0",
    "UPDATE tree_head SET size = size + 2",
    "DELETE FROM tree_head",
]
ON_SQLITE = [
    "INSERT OR REPLACE INTO entries VALUES (0, 'tag', 'subject', '2026-11-20', x'00', x'00')",
    "INSERT OR REPLACE INTO tree_nodes VALUES (0, 0, x'00')",
    "INSERT OR REPLACE INTO tree_head VALUES (1, 0)",
]
ON_POSTGRESQL = ["TRUNCATE entries", "TRUNCATE tree_nodes", "TRUNCATE tree_head"]


async def tampering(database: Database, statement: str) -> None:
    """Run a statement as somebody would who has a connection and turns off what a connection may turn off."""
    async with database._writers.begin() as connection:
        if connection.dialect.name == "sqlite":
            await connection.exec_driver_sql("PRAGMA recursive_triggers = OFF")
        await connection.exec_driver_sql(statement)


async def test_nobody_with_a_connection_rewrites_the_ledger(database: Database) -> None:
    async with database.write() as tx:
        for number in range(3):
            await tx.append(Tag.OPENED, "t", NOW, Entry(b"%d" % number, b""), b"sealed")
    only_here = ON_SQLITE if database._writers.dialect.name == "sqlite" else ON_POSTGRESQL
    for statement in TAMPERING + only_here:
        with pytest.raises(sa.exc.DBAPIError):
            await tampering(database, statement)
    await check_ledger(database, [b"0", b"1", b"2"])


async def test_a_tree_whose_edge_is_missing_is_not_appended_to(sqlite_url: str) -> None:
    database = await Database.open(sqlite_url)
    await database.migrate()
    async with database._writers.begin() as connection:
        await connection.execute(sa.update(tables.tree_head).values(size=1))
    with pytest.raises(Exception, match="nodes of its tree are missing"):
        async with database.write() as tx:
            await tx.append(Tag.OPENED, "t", NOW, Entry(b"{}", b""), b"")
    await database.close()


async def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    await keep(database, transfer())
    async with database.write() as tx:
        await tx.put_transfer(transfer(attempts=1))
        async with database.read() as view:
            assert await view.transfer("t1") == transfer()


async def test_a_view_cannot_write(database: Database) -> None:
    async with database.read() as view:
        with pytest.raises(StoreError):
            await view._run(sa.insert(tables.checkpoints), {"size": 1, "note": b""})  # type: ignore[attr-defined]  # behind the port on purpose


async def test_a_writer_that_waits_too_long_is_told_to_try_again(sqlite_url: str) -> None:
    holder = await Database.open(sqlite_url)
    await holder.migrate()
    waiter = await Database.open(sqlite_url, busy_timeout=0.05)
    async with holder.write() as tx:
        await tx.put_transfer(transfer())
        with pytest.raises(StoreError) as refused:
            async with waiter.write():
                pytest.fail("two writers at once")
    assert (refused.value.code, refused.value.retry) == ("database-busy", True)
    await keep(waiter, transfer("t2"))
    await holder.close()
    await waiter.close()


async def test_a_turn_that_waits_too_long_on_postgresql_is_told_to_try_again(postgresql_url: str) -> None:
    holder = await Database.open(postgresql_url)
    waiter = await Database.open(postgresql_url, busy_timeout=0.2)
    async with holder.write() as tx:
        await tx.serialise("anything")
        with pytest.raises(StoreError) as refused:
            async with waiter.write() as late:
                await late.transfer("t1")
    assert (refused.value.code, refused.value.retry) == ("database-busy", True)
    await holder.close()
    await waiter.close()


async def test_a_claim_does_not_wait_for_the_writer_on_postgresql(postgresql_url: str) -> None:
    database = await Database.open(postgresql_url)
    await keep(database, transfer("t1", next_at=NOW), transfer("t2", next_at=NOW))
    async with database.write() as writer:
        await writer.put_transfer(transfer("t1", next_at=NOW, attempts=1))  # holds the turn and the row
        async with database.write() as tx:
            assert await tx.claim([State.OPEN], "w1", NOW, SOON, 9) == ["t2"]
    await database.close()


async def test_a_time_without_a_zone_is_our_fault(database: Database) -> None:
    with pytest.raises(StoreError) as refused:
        await keep(database, transfer(since=NOW.replace(tzinfo=None)))
    assert refused.value.code == "unstorable"


async def test_no_value_of_a_row_gets_into_a_message_or_a_traceback(database: Database) -> None:
    await keep(database, transfer("t1", dataset=SECRET))
    with pytest.raises(Conflict) as refused:
        await keep(database, transfer("t2", dataset=SECRET))
    logged = "".join(traceback.format_exception(refused.value))
    assert "Conflict" in logged
    assert SECRET not in logged


async def test_tables_that_are_missing_are_named(sqlite_url: str, empty_postgresql_url: str) -> None:
    for url in (sqlite_url, empty_postgresql_url):
        database = await Database.open(url)
        with pytest.raises(StoreError) as refused:
            async with database.read() as view:
                await view.tree_size()
        assert (refused.value.code, refused.value.retry) == ("schema-missing", False)
        await database.close()


async def test_a_database_that_is_not_there(tmp_path: Any) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/missing/gateway.sqlite"):
        with pytest.raises(StoreError) as refused:
            await Database.open(url, busy_timeout=2)
        assert (refused.value.code, refused.value.retry) == ("database-away", True)


@pytest.mark.parametrize(
    "url", ["", "gateway.sqlite", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "sqlite+x:///a"]
)
async def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(Unusable):
        await Database.open(url)


async def test_a_file_that_is_no_database(sqlite_url: str, tmp_path: Any) -> None:
    (tmp_path / "gateway.sqlite").write_bytes(b"not a database, not at all " * 100)
    with pytest.raises(StoreError) as refused:
        await Database.open(sqlite_url)
    assert (refused.value.code, refused.value.retry) == ("database-damaged", False)


async def test_the_database_file_is_its_owners_only(sqlite_url: str, tmp_path: Any) -> None:
    database = await Database.open(sqlite_url)
    await database.migrate()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("gateway.sqlite*")}
    assert modes == {"gateway.sqlite": 0o600, "gateway.sqlite-wal": 0o600, "gateway.sqlite-shm": 0o600}
    await database.close()


async def test_sqlite_is_set_up_to_keep_its_word(sqlite_url: str) -> None:
    database = await Database.open(sqlite_url)
    async with database._writers.connect() as connection:
        asked = ["journal_mode", "synchronous", "foreign_keys", "recursive_triggers"]
        found = [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in asked]
    assert found == ["wal", 2, 1, 1]  # synchronous 2 is FULL
    await database.close()


@given(size=st.integers(0, 1 << 40))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_right_edge_covers_the_tree_without_overlap(size: int) -> None:
    at = 0
    for level, index in right_edge(size):
        assert index << level == at
        at += 1 << level
    assert at == size
