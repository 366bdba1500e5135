"""`hetao inspect` on files: JSON lines for machines, a table for people, 2 for usage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.inspect import inspect


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(inspect)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_one_object_a_file_in_order(tmp_path, run):
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.csv").write_text("id card\n11010519491231002X\n", encoding="utf-8")
    (tmp_path / "sub" / "a.bin").write_bytes(bytes(3_000_000))
    result = run(tmp_path, "--json")
    assert result.exit_code == 0
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["path"].endswith("b.csv")
    assert first["persons"] == {"sensitive": 0, "nonsensitive": 1, "basis": "identifier"}
    assert (second["size"], second["inspectable"], second["coverage"]) == (3_000_000, False, [])
    assert second["sha256"] == hashlib.sha256(bytes(3_000_000)).hexdigest()


def test_the_table_names_kinds_and_masks(tmp_path, run):
    path = tmp_path / "b.csv"
    path.write_text("id card\n11010519491231002X\n", encoding="utf-8")
    result = run(path)
    assert result.exit_code == 0
    assert "11010519491231002X" not in result.stdout


def test_a_path_that_is_not_there_is_usage(tmp_path, run):
    assert run(tmp_path / "nothing").exit_code == 2


def test_a_file_that_cannot_be_read_is_usage(tmp_path, run, monkeypatch):
    path = tmp_path / "a"
    path.write_text("x", encoding="utf-8")

    opening = Path.open

    def refuse(self, *args, **kwargs):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opening(self, *args, **kwargs)

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert run(path).exit_code == 2
