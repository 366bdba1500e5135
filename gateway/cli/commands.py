"""The tree of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import demo, doctor, init, inspect, keys, ledger, policy, registry, review, serve, transfers
from gateway.cli.desk import AsJson, Config, find_settings, out, show_json
from gateway.settings import sample

app = typer.Typer(
    name="hetao",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    help="The governed gateway on the Shenzhen-Hong Kong international data channel.",
)
app.add_typer(policy.app, name="policy")
app.add_typer(registry.app, name="registry")
app.add_typer(review.app, name="review")
app.add_typer(transfers.app, name="transfers")
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="keys")
app.command()(init.init)
app.command()(init.upgrade)
app.command()(serve.serve)
app.command()(inspect.inspect)
app.command()(doctor.doctor)
app.command()(demo.demo)

config_app = typer.Typer(no_args_is_help=True, help="The settings.")
app.add_typer(config_app, name="config")


@config_app.command("show")
def show_config(config: Config = None, as_json: AsJson = False) -> None:
    """Every setting as it stands, secrets masked."""
    settings = find_settings(config)
    if as_json:
        show_json(settings.shown())
        return
    for name, value in settings.shown().items():
        out.print(f"{name} = {value!r}  [dim]{settings.sources[name]}[/dim]", highlight=False)


@config_app.command("check")
def check_config(config: Config = None) -> None:
    """Whether the settings can be used."""
    find_settings(config)
    out.print("the settings can be used")


@config_app.command("sample")
def sample_config(file: Annotated[Path | None, typer.Argument()] = None) -> None:
    """A settings file with every setting at its default, commented."""
    if file is None:
        typer.echo(sample(), nl=False)
    else:
        file.write_text(sample(), encoding="utf-8")
