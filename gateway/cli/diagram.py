"""`python -m gateway.cli.diagram`: redraws the lifecycle in `gateway/ARCHITECTURE.md` from the tables in `core.transfer`.

What it is not: the description of the lifecycle. That is `gateway.core.transfer`; this only copies it, and only between the
two markers.

A change must keep these:
1. Text outside the markers is never touched.
2. Drawing twice changes nothing.
3. A document without exactly one pair of markers is refused, not guessed at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.core.errors import Unusable
from gateway.core.transfer import diagram, standing_table

DOCUMENT = Path(__file__).parents[1] / "ARCHITECTURE.md"
BEGIN = "<!-- lifecycle:begin -->"
END = "<!-- lifecycle:end -->"


def drawing() -> str:
    """What stands between the markers, markers excluded: the Mermaid diagram and the table of deadlines."""
    return f"\n```mermaid\n{diagram()}\n```\n\n{standing_table()}\n"


def redrawn(document: str) -> str:
    """The document with the marked part drawn anew.

    Raises:
        Unusable: Where it has not exactly one pair of markers in the right order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise Unusable(f"the document needs one {BEGIN} and one {END} after it: put them where the lifecycle belongs")
    return before + BEGIN + "\n" + drawing() + "\n" + END + after


def redraw(
    document: Annotated[Path, typer.Argument(help="the Markdown file to redraw")] = DOCUMENT,
    check: Annotated[bool, typer.Option("--check", help="change nothing; exit 1 where the drawing is stale")] = False,
) -> None:
    """Redraw the lifecycle between the markers of a Markdown document."""
    try:
        old = document.read_text("utf-8")
    except OSError as missing:
        typer.echo(f"{document} cannot be read: {missing.strerror}", err=True)
        raise typer.Exit(3) from missing
    try:
        new = redrawn(old)
    except Unusable as wrong:
        typer.echo(wrong.message, err=True)
        raise typer.Exit(2) from wrong
    if check and new != old:
        typer.echo(f"{document} does not show the lifecycle as it is: run `make diagram`", err=True)
        raise typer.Exit(1)
    if new != old:
        document.write_text(new, "utf-8")
        typer.echo(f"{document} redrawn")


if __name__ == "__main__":
    typer.run(redraw)
