"""`hetao inspect PATH...`: findings of files on this machine, without sending anything.

Runs the gateway's own classifier over files and directories, and its inspectors in processes of their own. Not here:
verdicts (`hetao policy check`, `hetao forecast`).
Exit codes: 0 fine, 2 usage (a path that cannot be read).
"""

from __future__ import annotations

import json as json_codec
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.core.classify import FileFindings, on_day
from gateway.core.facts import local_day
from gateway.inspect.here import Here
from gateway.stores.detectors import read_documents


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files, or directories to walk.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a file, one a line.")] = False,
) -> None:
    """Show what files hold: format, classes, level, persons by kind, confidence, masked samples."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise typer.BadParameter(f"{missing[0]} does not exist")
    table = _empty_table()
    with Here(read_documents()) as here:
        for path in _walk(paths):
            try:
                findings, digest = here.read(path, _shown(path))
            except OSError as error:
                raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
            # Who is under fourteen is a matter of the day.
            findings = on_day(findings, local_day(datetime.now(UTC)))
            if json:
                typer.echo(json_codec.dumps(findings.to_json(digest), ensure_ascii=False))
            else:
                _add_row(table, findings)
    if not json:
        Console().print(table)


def _walk(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(inner for inner in path.rglob("*") if inner.is_file())
        else:
            yield path


def _shown(path: Path) -> str:
    """The path as text that can be printed: bytes that are no UTF-8 become question marks."""
    return str(path).encode("utf-8", "replace").decode()


def _empty_table() -> Table:
    table = Table(title="hetao inspect", show_lines=True)
    for heading in ("path", "format", "level", "persons (sensitive / other)", "findings"):
        table.add_column(heading, overflow="fold")
    return table


def _add_row(table: Table, findings: FileFindings) -> None:
    lines = [
        f"{f.kind} [{f.confidence}] {f.where}: {f.count}, distinct {f.distinct} {' '.join(f.samples)}".replace(
            "[", r"\["
        )
        for f in findings.findings
    ]
    persons = f"{findings.persons.sensitive} / {findings.persons.nonsensitive} by {findings.persons.basis}"
    level = findings.level if findings.inspectable else f"{findings.level}, not inspectable"
    table.add_row(findings.path.replace("[", r"\["), findings.format, level, persons, "\n".join(lines))


def main() -> None:
    """Run this command alone."""
    typer.run(inspect)


if __name__ == "__main__":
    main()
