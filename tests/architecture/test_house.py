"""The house style, as far as a machine can hold it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, PURE, ROOT, Source, dotted, sources

OURS = sources(*PACKAGES)
EVERYTHING = sources(*PACKAGES, "tests", "policies", "deploy")

FUNCTION_LINES = 80
CORE_LINES = 300
NO_NOUN = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}

# Modules of core and wire whose tests stand under another name, and why.
TESTED_WITH = {
    "gateway/wire/crypt4gh_keys.py": ("tests/wire/test_crypt4gh.py", "a part of crypt4gh's face, tested through it"),
}
# Rings whose tests drive real processes from outside and can only look again after a while.
REAL_PROCESSES = ("tests/e2e/", "tests/faults/", "tests/interop/", "tests/bench/", "tests/scripts/")


# --- tests ---------------------------------------------------------------------------------------------------------------


def rooms() -> list[Path]:
    """Modules and packages directly in core and wire."""
    return [
        path
        for ring in PURE
        for path in sorted((ROOT / ring).iterdir())
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    ]


@pytest.mark.parametrize("room", rooms(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_of_core_and_wire_has_tests_of_its_name(room: Path) -> None:
    folder = ROOT / "tests" / room.parent.name
    other, _ = TESTED_WITH.get(room.relative_to(ROOT).as_posix(), ("", ""))
    if other:
        names = [function.name for function in Source(room).functions() if not function.name.startswith("_")]
        assert any(name in (ROOT / other).read_text("utf-8") for name in names), f"{other} does not test {room.stem}"
        return
    named = [folder / f"test_{room.stem}.py"] if room.suffix else sorted(folder.glob(f"test_{room.name}*.py"))
    assert any(path.is_file() for path in named), f"tests/{room.parent.name}/test_{room.stem}.py is missing"


def test_no_exception_outlives_its_module() -> None:
    assert all((ROOT / name).exists() and (ROOT / other).exists() for name, (other, _) in TESTED_WITH.items())


def test_a_file_called_test_holds_tests_and_no_other_does() -> None:
    """Pytest would pass the others by."""
    wrong = [
        source.name
        for source in sources("tests")
        if source.path.stem.startswith("test_") is not any(each.name.startswith("test_") for each in source.functions())
    ]
    assert wrong == []


def test_no_test_sleeps() -> None:
    """Waiting for nothing makes tests slow and flaky; `asyncio.sleep(0)` only lets others run."""
    sleeping = [
        f"{source.name}:{call.lineno}"
        for source in sources("tests")
        if not source.name.startswith(REAL_PROCESSES)
        for call in source.calls()
        if dotted(call.func) in {"time.sleep", "asyncio.sleep", "sleep"} and ast.unparse(call) != "asyncio.sleep(0)"
    ]
    assert sleeping == []


# --- words ---------------------------------------------------------------------------------------------------------------


def words(source: Source) -> int:
    return len((ast.get_docstring(source.tree) or "").split())


def test_a_module_says_what_it_is() -> None:
    silent = [source.name for source in OURS if words(source) < 4]
    assert silent == []


def test_a_module_of_core_or_wire_says_what_it_is_not_and_what_to_keep() -> None:
    faces = {f"{ring}/__init__.py" for ring in PURE}
    short = [source.name for source in sources(*PURE) if source.name not in faces and words(source) < 12]
    assert short == []


def test_no_module_is_called_after_nothing() -> None:
    wrong = [
        source.name
        for source in EVERYTHING
        if {part.removesuffix(".py").removeprefix("test_") for part in Path(source.name).parts} & NO_NOUN
    ]
    assert wrong == []


LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|HACK)\b")
REASON = re.compile(
    r"#\s*(?:noqa: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*"
    r"|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]"
    r"|pragma: no (?:cover|branch))(?P<why>.*)",
    re.IGNORECASE,
)


def unreasoned(source: Source) -> Iterator[str]:
    """Checks that are silenced without a reason of at least two words on the same line."""
    for line, text in source.comments():
        if re.match(r"#\s*(?:noqa|type: ignore|pragma)\b", text, re.IGNORECASE):
            match = REASON.match(text)
            if len(re.findall(r"\w+", match["why"]) if match else []) < 2:
                yield f"{source.name}:{line} {text}"


def test_nothing_is_left_for_later() -> None:
    assert [f"{each.name}:{line}" for each in EVERYTHING for line, text in each.comments() if LATER.search(text)] == []


def test_every_silenced_check_says_why() -> None:
    assert [fault for source in EVERYTHING for fault in unreasoned(source)] == []


# --- budgets -------------------------------------------------------------------------------------------------------------


def test_functions_are_short() -> None:
    long = [
        f"{source.name}: {function.name}"
        for source in OURS
        for function in source.functions()
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_core_files_are_short() -> None:
    long = {source.name: source.lines for source in sources("gateway/core") if source.lines > CORE_LINES}
    assert long == {}


def test_the_median_function_is_small() -> None:
    lengths = sorted(
        (function.end_lineno or 0) - body_start(function) + 1 for source in OURS for function in source.functions()
    )
    assert lengths[len(lengths) // 2] <= 10


def body_start(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The first line of the body after the docstring: words are not counted."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return first.lineno


# --- what lies at the root -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("LICENSE", "Apache License"),
        ("README.md", "make demo"),
        ("CHANGELOG.md", "## "),
        ("CONTRIBUTING.md", "docstring"),
        ("gateway/ARCHITECTURE.md", "Rings"),
        ("Makefile", "make test"),
        (".ci/run", "make lint"),
        ("requirements.lock", "--hash=sha256:"),
    ],
)
def test_what_a_stranger_looks_for_is_there(name: str, says: str) -> None:
    assert says in (ROOT / name).read_text("utf-8")


def test_choices_that_cannot_be_undone_are_recorded() -> None:
    records = sorted((ROOT / "gateway" / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    assert records
