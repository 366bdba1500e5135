"""The tree of commands, built from no more than is asked for: a command should not wait for what others import."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from importlib import import_module
from typing import Annotated

import typer

ROOT_HELP = "The governed gateway on the Shenzhen-Hong Kong international data channel."

# name -> (module, attribute); groups have an `app`, single commands a function.
GROUPS = (
    "policy",
    "registry",
    "filings",
    "review",
    "incident",
    "report",
    "transfers",
    "ledger",
    "keys",
    "config",
    "bans",
    "webhooks",
)
SINGLES = {
    "init": ("init", "init"),
    "upgrade": ("init", "upgrade"),
    "serve": ("workers", "serve"),
    "inspect": ("inspect", "inspect"),
    "forecast": ("forecast", "forecast"),
    "send": ("send", "send"),
    "doctor": ("doctor", "doctor"),
    "demo": ("demo", "demo"),
}


def build(asked: str = "") -> typer.Typer:
    """The application with the asked command alone, or with all of them where none is asked for by name."""
    app = typer.Typer(
        name="hetao", invoke_without_command=True, no_args_is_help=True, pretty_exceptions_enable=False, help=ROOT_HELP
    )
    app.callback(invoke_without_command=True)(_root)
    for name in GROUPS:
        if asked in {name, ""} or asked not in (*GROUPS, *SINGLES):
            app.add_typer(import_module(f"gateway.cli.{name}").app, name=name)
    for name, (module, function) in SINGLES.items():
        if asked in {name, ""} or asked not in (*GROUPS, *SINGLES):
            command: Callable[..., object] = getattr(import_module(f"gateway.cli.{module}"), function)
            app.command(name)(command)
    return app


def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    """Keep the command's name on the command line even where only one was loaded."""
    if version:
        typer.echo(importlib.metadata.version("hetao-gateway"))
        raise typer.Exit


_root.__doc__ = ROOT_HELP
