"""The lifecycle in `gateway/ARCHITECTURE.md` is the one in `gateway.core.transfer`, and its verbs exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.commands import build
from gateway.cli.diagram import BEGIN, DOCUMENT, END, drawing, redraw, redrawn
from gateway.core.errors import Unusable
from gateway.core.transfer import STANDING, Standing, diagram, standing_table

BARE = f"# Title\n{BEGIN}\n{END}\nThe end.\n"


def run(*arguments: object) -> tuple[int, str]:
    command = typer.Typer()
    command.command()(redraw)
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_document_shows_the_lifecycle_as_it_is() -> None:
    document = DOCUMENT.read_text("utf-8")
    assert redrawn(document) == document, "run `make diagram`"
    marked = document.partition(BEGIN)[2].partition(END)[0]
    assert diagram() in marked
    assert standing_table() in marked
    assert marked.strip() == drawing().strip()


def test_drawing_twice_changes_nothing() -> None:
    once = redrawn(BARE)
    assert redrawn(once) == once != BARE
    assert once.startswith("# Title\n")
    assert once.endswith("\nThe end.\n")


@pytest.mark.parametrize(
    "document", ["", BEGIN, END, END + BEGIN, BEGIN + END + BEGIN, BEGIN + END + END, END + BEGIN + END, BARE + BARE]
)
def test_a_document_without_one_pair_of_markers_is_refused(document: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="needs one"):
        redrawn(document)
    (tmp_path / "d.md").write_text(document, "utf-8")
    assert run(tmp_path / "d.md")[0] == 2
    assert (tmp_path / "d.md").read_text("utf-8") == document


def test_the_command_redraws_and_checks(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text(BARE, "utf-8")
    code, said = run(document, "--check")
    assert (code, document.read_text("utf-8")) == (1, BARE)
    assert "make diagram" in said
    assert run(document)[0] == 0
    assert document.read_text("utf-8") == redrawn(BARE)
    assert run(document, "--check") == (0, "")
    assert run(document) == (0, "")


def test_a_document_that_is_not_there(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere.md")[0] == 3


@pytest.mark.parametrize(
    "standing", [each for each in STANDING.values() if each.verb.startswith("hetao ")], ids=lambda each: each.verb
)
def test_every_verb_is_a_command(standing: Standing) -> None:
    """Whoever is told to act can: the command answers."""
    program, *words = standing.verb.split()
    assert program == "hetao"
    result = CliRunner().invoke(build(words[0]), [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output
