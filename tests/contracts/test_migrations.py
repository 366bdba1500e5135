"""What the migrations make is what `gateway.stores.tables` says, on both engines; and they run once, whoever calls."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from gateway.stores import tables
from gateway.stores.database import Database, _alembic
from tests.contracts.recorded import keep, transfer

Described = dict[str, Any]


def described(connection: sa.Connection) -> Described:
    """Every table with its columns, keys, constraints and indexes, as the engine itself tells them."""
    inspector = sa.inspect(connection)
    found: Described = {}
    for table in sorted(set(inspector.get_table_names()) - {tables.VERSION_TABLE}):
        found[table] = {
            "columns": [
                (
                    each["name"],
                    str(each["type"]),
                    each["nullable"],
                    each["default"],
                    getattr(each["type"], "collation", ""),
                )
                for each in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": inspector.get_foreign_keys(table),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(map(_index, inspector.get_indexes(table))),
        }
    return found


def _index(each: Any) -> str:
    options = {name: str(value) for name, value in each.pop("dialect_options", {}).items()}
    return str(each | options)


def sqlite_text(connection: sa.Connection) -> Described:
    """SQLite's own text of every table and index, without the order of constraints and the white space."""
    statement = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"
    rows = connection.exec_driver_sql(statement)
    return {name: _clauses(sql) for name, sql in rows if name != tables.VERSION_TABLE}


def _clauses(sql: str) -> list[str]:
    """What stands between the outermost parentheses, apart at their commas: SQLite appends added columns to the last line."""
    head, _, rest = sql.partition("(")
    inside, _, tail = rest.rpartition(")")
    apart = re.split(r",(?![^()]*\))", inside)
    return [head.strip(), *sorted(" ".join(each.split()) for each in apart), tail.strip()]


def postgresql_identity(connection: sa.Connection) -> Described:
    statement = (
        "SELECT table_name, column_name, is_identity, identity_generation, data_type, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    )
    rows = connection.exec_driver_sql(statement)
    return {f"{row[0]}.{row[1]}": tuple(row[2:]) for row in rows if row[0] != tables.VERSION_TABLE}


async def both(
    migrated_url: str, declared_url: str, look: Callable[[sa.Connection], Described]
) -> tuple[Described, Described]:
    migrated, declared = await Database.open(migrated_url), await Database.open(declared_url)
    await migrated.migrate()
    found = []
    for database in (migrated, declared):
        async with database._writers.begin() as connection:
            if database is declared:
                await connection.run_sync(tables.metadata.create_all)
            found.append(await connection.run_sync(look))
        await database.close()
    return found[0], found[1]


@pytest.mark.parametrize("look", [described, sqlite_text])
async def test_sqlite_has_the_tables_that_are_declared(
    sqlite_url: str, look: Callable[[sa.Connection], Described]
) -> None:
    migrated, declared = await both(sqlite_url, sqlite_url + ".declared", look)
    assert set(migrated) >= set(tables.metadata.tables)
    assert migrated == declared


@pytest.mark.parametrize("look", [described, postgresql_identity])
async def test_postgresql_has_the_tables_that_are_declared(
    postgresql_url: str, empty_postgresql_url: str, look: Callable[[sa.Connection], Described]
) -> None:
    migrated, declared = await both(postgresql_url, empty_postgresql_url, look)
    assert len(migrated) >= len(tables.metadata.tables)
    assert migrated == declared


@pytest.mark.parametrize("engine", ["sqlite", "empty_postgresql"])
async def test_migrating_is_done_once_also_by_many_at_the_same_time(
    engine: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    databases = [await Database.open(url) for _ in range(4)]
    before, needed = await databases[0].revision()
    assert (before, needed) == ("", "v009")
    await asyncio.gather(*(each.migrate() for each in databases))
    assert await databases[1].revision() == (needed, needed)
    await keep(databases[2], transfer())
    await databases[3].migrate()
    async with databases[0].read() as view:
        assert await view.transfer("t1") == transfer()
    for each in databases:
        await each.close()


def test_revisions_form_one_line() -> None:
    revisions = list(ScriptDirectory.from_config(_alembic()).walk_revisions())
    assert len({each.down_revision for each in revisions}) == len(revisions)
    assert revisions[0].revision == tables.REVISION
    assert all(isinstance(each.down_revision, str | None) for each in revisions)
