"""Core and wire are pure: no I/O, no clock, no randomness. What import-linter cannot see is looked for in the syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import PURE, Source, dotted, sources

# Modules that read a clock, a file, the environment or chance, or hand work to others. `datetime`, `hashlib` and `re` do not.
FORBIDDEN_MODULES = {
    "asyncio", "atexit", "builtins", "concurrent", "ctypes", "fcntl", "ftplib", "getpass", "glob", "http", "importlib",
    "io", "locale", "logging", "mmap", "multiprocessing", "os", "pathlib", "pickle", "platform", "queue", "random",
    "resource", "secrets", "select", "shelve", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl", "subprocess",
    "sys", "tempfile", "threading", "time", "urllib.request", "uuid", "warnings", "zoneinfo",
}  # fmt: skip
FORBIDDEN_BUILTINS = {
    "open",
    "print",
    "input",
    "eval",
    "exec",
    "compile",
    "breakpoint",
    "__import__",
    "globals",
    "locals",
}
# Read the machine's clock or its zone.
FORBIDDEN_METHODS = {"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp", "getenv", "urandom", "default_rng"}


def faults(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        where = f"{source.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"{where}: imports {name}" for name in named if forbidden_module(name))
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{where}: is asynchronous"
        elif isinstance(node, ast.Global):
            yield f"{where}: assigns a global"
        elif isinstance(node, ast.Call):
            yield from (f"{where}: {fault}" for fault in call_faults(node))


def forbidden_module(name: str) -> bool:
    return any(name == bad or name.startswith(bad + ".") for bad in FORBIDDEN_MODULES)


def call_faults(node: ast.Call) -> Iterator[str]:
    called = dotted(node.func)
    last = called.rpartition(".")[2]
    if called in FORBIDDEN_BUILTINS:
        yield f"calls {called}"
    if "." in called and last in FORBIDDEN_METHODS:
        yield f"calls {called}"
    if last == "astimezone" and not node.args:
        yield "calls astimezone without a zone, which is the machine's"


def test_pure_modules_do_nothing_but_compute() -> None:
    assert len(sources(*PURE)) > 20
    assert [fault for source in sources(*PURE) for fault in faults(source)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import time as t",
        "from os import environ",
        "from urllib.request import urlopen",
        "import secrets, json",
        "open('x')",
        "print(1)",
        "eval('1')",
        "exec('1')",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "datetime.fromtimestamp(0)",
        "np.random.default_rng()",
        "make().now()",
        "at.astimezone()",
        "async def f(): pass",
        "def f():\n    global x",
    ],
)
def test_the_search_finds(code: str, tmp_path: Path) -> None:
    class Written(Source):
        name = "written"
        text = code

    assert list(faults(Written(tmp_path)))


@pytest.mark.parametrize(
    "code",
    ["at.astimezone(UTC)", "import datetime", "re.compile('x')", "opened('x')", "from urllib.parse import quote"],
)
def test_the_search_does_not_cry_wolf(code: str, tmp_path: Path) -> None:
    class Written(Source):
        name = "written"
        text = code

    assert not list(faults(Written(tmp_path)))
