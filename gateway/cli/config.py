"""`hetao config`: the settings as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.desk import AsJson, Config, find_settings, out, show_json, write_new
from gateway.settings import sample

app = typer.Typer(no_args_is_help=True, help="The settings.")


@app.command("show")
def show_config(config: Config = None, as_json: AsJson = False) -> None:
    """Every setting as it stands, secrets masked."""
    settings = find_settings(config)
    if as_json:
        show_json(settings.shown())
        return
    for name, value in settings.shown().items():
        out.print(f"{name} = {value!r}  [dim]{settings.sources[name]}[/dim]", highlight=False)


@app.command("check")
def check_config(config: Config = None) -> None:
    """Whether the settings can be used."""
    find_settings(config)
    out.print("the settings can be used")


@app.command("sample")
def sample_config(file: Annotated[Path | None, typer.Argument()] = None) -> None:
    """A settings file with every setting at its default, commented."""
    if file is None:
        typer.echo(sample(), nl=False)
    else:
        write_new(file, sample().encode())
