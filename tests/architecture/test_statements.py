"""SQL that is written by hand carries no values: they are parameters, or SQLAlchemy's own expressions."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import Source, dotted, sources

RAW = {"text", "exec_driver_sql", "execute", "executemany", "executescript", "DDL", "literal_column"}
STORES = sources("gateway/stores")

# Functions whose statements take a piece of text from this project's own code, and which.
OWN_WORDS = {
    ("gateway/stores/keyring.py", "_delete"): "conditions its callers in the same file spell out, and a counter",
}


def assembled(node: ast.expr) -> bool:
    """Whether a string is put together from something else than constants of this project.

    A name in capitals is such a constant: a table's name, never a value that came from outside.
    """
    if isinstance(node, ast.JoinedStr):
        return not all(ours(part.value) for part in node.values if isinstance(part, ast.FormattedValue))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return any(not isinstance(side, ast.Constant) or assembled(side) for side in (node.left, node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"format", "join", "replace"}
    return False


def ours(node: ast.expr) -> bool:
    """Whether an expression can only give a word of this project: a constant, or a choice between constants."""
    if isinstance(node, ast.IfExp):
        return ours(node.body) and ours(node.orelse)
    return isinstance(node, ast.Constant) or dotted(node).rpartition(".")[2].isupper()


def faults(tree: ast.AST) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[2] in RAW
        and any(assembled(argument) for argument in [*node.args, *(keyword.value for keyword in node.keywords)])
    ]


def excused(source: Source) -> set[int]:
    """The lines of functions that are named above."""
    return {
        line
        for function in source.functions()
        if (source.name, function.name) in OWN_WORDS
        for line in range(function.lineno, (function.end_lineno or 0) + 1)
    }


@pytest.mark.parametrize("source", STORES, ids=lambda source: source.name)
def test_no_statement_is_assembled_from_values(source: Source) -> None:
    assert [line for line in faults(source.tree) if line not in excused(source)] == []


@pytest.mark.parametrize(("name", "function"), OWN_WORDS)
def test_every_excuse_is_needed(name: str, function: str) -> None:
    (source,) = (each for each in STORES if each.name == name)
    assert set(faults(source.tree)) & excused(source), f"{function} needs no excuse any more"


def test_there_are_statements_to_look_at() -> None:
    assert any(dotted(call.func).rpartition(".")[2] in RAW for source in STORES for call in source.calls())


@pytest.mark.parametrize(
    "code",
    [
        'sa.text(f"SELECT {name}")',
        'sa.text("SELECT %s" % name)',
        'sa.text("SELECT {}".format(name))',
        'sa.text("SELECT " + name)',
        'text(f"{TABLE} {name}")',
        'connection.execute(f"DELETE FROM {table}")',
        'connection.exec_driver_sql("PRAGMA " + name)',
        'sa.text(", ".join(names))',
    ],
)
def test_the_search_finds(code: str) -> None:
    assert faults(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        'sa.text("serial > 0")',
        'sa.text(f"SELECT 1 FROM {TABLE}")',
        'sa.text(f"SELECT 1 FROM {tables.VERSION_TABLE}")',
        "connection.execute(sa.select(table))",
        'sa.text("SELECT :id")',
        "cursor.execute(f\"PRAGMA query_only = {'ON' if reading else 'OFF'}\")",
        'sa.text("a" + "b")',
    ],
)
def test_the_search_does_not_cry_wolf(code: str) -> None:
    assert not faults(ast.parse(code))
