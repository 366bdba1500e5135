"""What commands on a sender's machine are told of a dataset: options they share, and the declaration as it is written.

What it is not: a check of the declaration. The gateway checks it when a transfer is opened, a forecast when it begins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli.desk import read_file
from gateway.core.errors import Unusable

DECLARATION: Final = "declaration.toml"  # as at the SFTP door (`gateway.core.declaration`)
MAX_DOCUMENT: Final = 1 << 20

Paths = Annotated[list[Path], typer.Argument(help="A folder, or files and folders.", show_default=False)]
Declaration = Annotated[
    Path | None, typer.Option("--declaration", help="What the data are (TOML); else declaration.toml in the folder.")
]
Declare = Annotated[
    list[str] | None, typer.Option("--declare", help="section.key=value on top of it, such as data.level=general.")
]
Facts = Annotated[
    Path | None,
    typer.Option(
        "--facts", help="Sender, recipient, filings (TOML), as for `hetao policy check`, without its persons table."
    ),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow symbolic links.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="Leave out what has this name, such as '*.tmp'.")]


def declared_document(paths: Sequence[Path], file: Path | None, words: Sequence[str]) -> dict[str, Any]:
    """What is said of the data, not yet checked: the file named, else the one in the folder, with words on top."""
    beside = paths[0] / DECLARATION if len(paths) == 1 and paths[0].is_dir() else None
    chosen = file or (beside if beside is not None and beside.is_file() else None)
    return with_words(read_document(chosen) if chosen else {}, words)


def with_words(document: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """A declaration with `section.key=value` words put on top; a value is TOML, or plain text where it is none.

    Raises:
        Unusable: A word of another form.
    """
    joined = {name: dict(table) if isinstance(table, Mapping) else table for name, table in document.items()}
    for word in words:
        name, equals, value = word.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and section and key) or not isinstance(joined.setdefault(section, {}), dict):
            raise Unusable(f"--declare takes section.key=value, such as data.level=general; not {word!r}")
        joined[section][key] = _value(value)
    return joined


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_document(path: Path) -> dict[str, Any]:
    """A TOML document from a file, `-` for standard input; raises Unusable."""
    raw = read_file(path)
    if len(raw) > MAX_DOCUMENT:
        raise Unusable(f"{path} is larger than {MAX_DOCUMENT} bytes: it is no declaration and no facts")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"{path} is not TOML: {wrong}") from wrong
