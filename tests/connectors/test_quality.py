"""The connectors' own grades are complete, and every `done` names a test that exists and is no skip."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gateway.ports import CanResume, Connector
from tests.connectors.test_settings import GOOD
from tests.fakes.channel import FakeChannel

ROOT = Path(__file__).parents[2]
RULES = tomllib.loads((ROOT / "connectors" / "quality.toml").read_text())["rules"]
KINDS = sorted(path.parent.name for path in (ROOT / "connectors").glob("*/__init__.py"))


def grades(kind: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / "connectors" / kind / "quality.toml").read_text())


def test_every_connector_package_is_an_entry_point_and_the_other_way_round() -> None:
    found = {point.name: point.value for point in entry_points(group="hetao.connectors")}
    assert sorted(found) == KINDS
    assert all(value.startswith(f"connectors.{name}:") for name, value in found.items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_is_graded_once(kind: str) -> None:
    assert list(grades(kind)) == list(RULES)


@pytest.mark.parametrize(("kind", "rule"), [(kind, rule) for kind in KINDS for rule in RULES])
def test_a_grade_says_why_or_shows_how(kind: str, rule: str) -> None:
    answer = grades(kind)[rule]
    if answer["grade"] == "done":
        assert set(answer) == {"grade", "test"}
        path, _, name = answer["test"].partition("::")
        assert name in named_tests(ROOT / path)
    else:
        assert answer["grade"] in {"exempt", "todo"}
        assert set(answer) == {"grade", "why"}
        assert len(answer["why"]) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_graded_agrees_with_what_the_class_says(kind: str) -> None:
    (point,) = entry_points(group="hetao.connectors", name=kind)
    connector: Connector = point.load()(GOOD[kind], FakeChannel())
    assert connector.kind == kind
    resumes = isinstance(connector, CanResume) and connector.resumes
    assert (grades(kind)["resumes"]["grade"] == "done") is resumes


def named_tests(path: Path) -> set[str]:
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}
