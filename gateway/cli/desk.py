"""What every command needs: settings found, a gateway opened, results printed for people or machines."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gateway.core.errors import Conflict, Unusable
from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal
from gateway.settings import CONFIG, Settings, load_settings

if TYPE_CHECKING:  # opening a gateway imports every ring; commands that open none must not wait for that
    from gateway.wiring import Gateway

T = TypeVar("T")

DEFAULT_CONFIG = "gateway.toml"
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; else $HETAO_CONFIG, else ./gateway.toml.", dir_okay=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

out = Console()

SHELL = Principal(
    institution="",
    person="",
    client="shell",
    credential=Credential.OPERATOR_SHELL,
    door=Door.CLI,
    scopes=PERMISSION_DOORS[Credential.OPERATOR_SHELL, Door.CLI],
)


class Quiet:
    """An observer for commands: what they do is printed, not logged."""

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        """Nothing to tell."""


def find_settings(config: Path | None) -> Settings:
    """The settings of `--config`, `$HETAO_CONFIG` or `./gateway.toml`, in this order."""
    named = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    if named is None:
        default = Path(DEFAULT_CONFIG)
        if not default.exists():
            raise Unusable("there is no gateway.toml here: name one with --config, or make one with `hetao init`")
        named = default
    return load_settings(named, os.environ)


def with_gateway(config: Path | None, work: Callable[[Gateway], Awaitable[T]]) -> T:
    """Open the gateway, do the work, close it."""
    from gateway.wiring import open_gateway  # noqa: PLC0415  # as above: only commands that open one pay for it

    async def run() -> T:
        async with open_gateway(find_settings(config), Quiet()) as gateway:
            return await work(gateway)

    return asyncio.run(run())


def show_json(value: object) -> None:
    """A value as indented JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # noqa: T201  # not through rich, which would wrap


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows as a table."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)  # the first one is what people copy
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table)


def show_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, one a line; empty ones left out."""
    for name, value in fields.items():
        if value not in ("", None, [], {}):
            out.print(f"[bold]{name}[/bold]: {value}", soft_wrap=True, highlight=False)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        Conflict: It exists; nothing is overwritten.
        Unusable: It cannot be made.
    """
    try:
        with path.open("xb") as opened:
            opened.write(content)
    except FileExistsError as there:
        raise Conflict(f"{path} exists: name another file, or remove it first") from there
    except OSError as wrong:
        raise Unusable(f"{path} cannot be written: {wrong.strerror}") from wrong


def read_file(path: Path) -> bytes:
    """A file's content, `-` for standard input."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise Unusable(f"{path} cannot be read: {wrong.strerror}") from wrong


def parse_duration(text: str) -> timedelta:
    """Minutes, hours or days: `90m`, `24h`, `7d`; raises Unusable for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text, re.ASCII)
    if found is None:
        raise Unusable(f"--valid takes a number and m, h or d, such as 24h; not {text!r}")
    return int(found[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[found[2]]
