"""SQLite databases as SQLite writes them: all that can be read by whoever opens the file is found, or a gap."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing

import pandas as pd
import pytest

from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(2_000)


def database(*statements: str | tuple[str, Iterable], pragmas: tuple[str, ...] = (), vacuum: bool = False) -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.execute("PRAGMA secure_delete=0")  # as SQLite has it unless its packager decided otherwise
        for pragma in pragmas:
            base.execute(f"PRAGMA {pragma}")
        for each in statements:
            base.executemany(*each) if isinstance(each, tuple) else base.execute(each)
        if vacuum:
            base.execute("VACUUM")
        return base.serialize()


def rows(frame: pd.DataFrame) -> list[tuple]:
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in frame.itertuples(index=False)]


PLAIN = ("CREATE TABLE p(id_number TEXT, mobile REAL, visit INTEGER)", ("INSERT INTO p VALUES(?,?,?)", rows(PEOPLE)))


def read(content: bytes, statement: str) -> pd.DataFrame:
    with closing(sqlite3.connect(":memory:")) as base:
        base.deserialize(content)
        return pd.read_sql_query(statement, base)


@pytest.mark.parametrize(
    "pragmas",
    [
        (),
        ("page_size=1024",),
        ("page_size=65536", "secure_delete=1"),
        ("auto_vacuum=1",),
        ("encoding='UTF-16le'",),
        ("encoding='UTF-16be'",),
    ],
)
def test_a_database_holds_what_pandas_reads(pragmas):
    content = database(*PLAIN, pragmas=pragmas, vacuum=True)
    found = inspected(content, "a.db")
    assert holds(found, read(content, "SELECT * FROM p"))
    assert found.coverage == ((0, len(content)),)


def test_pandas_own_table_with_its_index():
    with closing(sqlite3.connect(":memory:")) as base:
        PEOPLE.to_sql("p", base)
        base.commit()
        content = base.serialize()
    assert holds(inspected(content, "a.db"), PEOPLE)


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX i ON p(id_number)",
        "CREATE UNIQUE INDEX i ON p(visit, id_number DESC)",
        "CREATE INDEX i ON p(mobile)",
    ],
)
def test_an_index_that_repeats_its_table_is_not_counted_again(index):
    found = inspected(database(*PLAIN, index, vacuum=True), "a.db")
    assert holds(found, PEOPLE)
    assert not [f for f in found.findings if f.where.startswith("index")]


def test_an_index_that_says_something_else_is_a_table_of_its_own():
    content = database(
        "CREATE TABLE p(id_number TEXT)",
        ("INSERT INTO p VALUES(?)", [(resident_ids(2)[0],)]),
        "CREATE INDEX i ON p(id_number)",
    )
    place = content.rindex(resident_ids(2)[0].encode())
    found = inspected(content[:place] + resident_ids(2)[1].encode() + content[place + 18 :], "a.db")
    assert {f.where for f in found.findings if f.kind == "cn_resident_id"} == {
        "table p: column id_number",
        "index i: column 1",
    }


def test_partial_indexes_and_expressions_are_read():
    found = inspected(
        database(
            *PLAIN, "CREATE INDEX i ON p(visit) WHERE visit < 3", "CREATE INDEX j ON p(upper(id_number))", vacuum=True
        ),
        "a.db",
    )
    assert found.inspectable
    assert counted(found)["cn_resident_id"] == 2 * len(PEOPLE)  # the expression repeats them


def test_tables_without_rowid_and_those_named_by_it():
    ids = sorted(resident_ids(500), key=lambda each: each[::-1])
    content = database(
        "CREATE TABLE p(n INTEGER, id_number TEXT PRIMARY KEY) WITHOUT ROWID",
        ("INSERT INTO p VALUES(?,?)", list(enumerate(ids))),
        "CREATE TABLE q(mobile INTEGER PRIMARY KEY, visit INTEGER)",
        "INSERT INTO q VALUES(13812345678, 1)",
        vacuum=True,
    )
    found = inspected(content, "a.db")
    assert found.inspectable
    assert {(f.kind, f.where, f.count) for f in found.findings if f.kind in {"cn_resident_id", "cn_mobile"}} == {
        ("cn_resident_id", "table p: column id_number", 500),
        ("cn_mobile", "table q: column mobile", 1),
    }


def test_rowids_that_say_something_are_read():
    numbers = [(13_912_345_678 + 3 * n,) for n in range(9)]
    found = inspected(database("CREATE TABLE r(n INTEGER)", ("INSERT INTO r(rowid, n) VALUES(?, 1)", numbers)), "a.db")
    assert found.inspectable
    assert [(f.where, f.count) for f in found.findings if f.kind == "cn_mobile"] == [("table r: column rowid", 9)]


def test_long_rows_blobs_and_the_schema_are_data():
    content = database(
        "CREATE TABLE note(text TEXT /* 机密★10年 */, file BLOB)",
        (
            "INSERT INTO note VALUES(?,?)",
            [("words " * 9_000 + resident_ids(1)[0], PEOPLE.to_csv(index=False).encode())],
        ),
        "CREATE VIEW v AS SELECT 'never run' FROM note",
        "CREATE TRIGGER t AFTER DELETE ON note BEGIN SELECT 1; END",
    )
    found = inspected(content, "a.db")
    assert found.inspectable
    assert found.level == "secret"
    assert found.persons.nonsensitive == len(PEOPLE)
    assert {f.where.partition(":")[0] for f in found.findings if f.kind == "cn_resident_id"} == {
        "table note",
        "!/table note row 0 value 2",
    }


@pytest.mark.parametrize(
    "statement", ["DELETE FROM p WHERE visit % 7 = 3", "DELETE FROM p", "DROP TABLE p", "UPDATE p SET id_number = 'x'"]
)
def test_deleted_rows_are_gaps_until_the_database_is_vacuumed(statement):
    removed = database(*PLAIN, statement)
    assert any(each.encode() in removed for each in PEOPLE["id_number"].iloc[3::7])
    found = inspected(removed, "a.db")
    assert not found.inspectable
    assert counted(found)["gap"] > 0
    assert any("VACUUM" in f.where for f in found.findings)
    assert inspected(database(*PLAIN, statement, vacuum=True), "a.db").inspectable


@pytest.mark.parametrize("pages", [1, 3])
def test_a_database_that_breaks_off(pages):
    content = database(*PLAIN)
    assert not inspected(content[: -4096 * pages], "a.db").inspectable
    assert not inspected(content[:-1], "a.db").inspectable


def test_appended_bytes_are_a_gap():
    content = database(*PLAIN)
    found = inspected(content + b"hidden", "a.db")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(content)}-{len(content) + 6}"]


def test_copies_that_balancing_leaves_are_told_from_deleted_rows():
    rows = [(n, each) for n, each in enumerate(resident_ids(400))]
    content = database("CREATE TABLE p(n INTEGER PRIMARY KEY, id_number TEXT)", ("INSERT INTO p VALUES(?,?)", rows))
    assert content[4096] == 5  # the root grew, and its first rows stand in it still
    twice = [each for _, each in rows if content.count(each.encode()) == 2]
    assert len(twice) > 100
    assert inspected(content, "a.db").inspectable
    place = content.index(twice[3].encode())
    other = content[:place] + resident_ids(500)[450].encode() + content[place + 18 :]
    assert read(other, "SELECT * FROM p")["id_number"].tolist() == [each for _, each in rows]
    assert not inspected(other, "a.db").inspectable


def test_a_page_that_is_its_own_child_ends():
    content = bytearray(database(*PLAIN))
    root = next(page for page in range(4096, len(content), 4096) if content[page] == 5)
    content[root + 8 : root + 12] = (root // 4096 + 1).to_bytes(4, "big")
    assert not inspected(bytes(content), "a.db").inspectable


def test_statements_of_a_schema_are_never_run():
    content = database("CREATE TABLE a(x TEXT)", "INSERT INTO a VALUES('y')")
    for statement in (b"ATTACH 'f' AS g; ---", b"SELECT load(1)/*   "):
        forged = content.replace(b"CREATE TABLE a(x TEXT)", statement.ljust(22)[:22])
        assert inspected(forged, "a.db").format == "sqlite"


def test_logs_beside_a_database_are_not_read():
    for magic in (b"\x37\x7f\x06\x82", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"):
        found = inspected(magic + bytes(100), "a.db-wal")
        assert not found.inspectable
        assert found.format.startswith("sqlite_")
