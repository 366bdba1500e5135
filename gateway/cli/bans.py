"""`hetao bans`: addresses no sign-in is taken from, for all processes of the gateway."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from gateway.cli.desk import AsJson, Config, out, show_json, show_table, with_gateway
from gateway.core.errors import Unusable
from gateway.ports import Ban

app = typer.Typer(no_args_is_help=True, help="Addresses no sign-in is taken from: list, lift, add.")

Address = Annotated[str, typer.Argument(help="An IPv4 address, or an IPv6 one: its /64 is meant.")]
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


@app.command("list")
def list_bans(config: Config = None, as_json: AsJson = False) -> None:
    """The bans that stand, the newest first."""
    rows = [_row(ban) for ban in with_gateway(config, lambda gateway: gateway.defender.standing())]
    if as_json:
        show_json(rows)
        return
    show_table(f"{len(rows)} ban(s)", ["address", "reason", "at", "until"], [list(row.values()) for row in rows])


@app.command()
def lift(address: Address, config: Config = None, as_json: AsJson = False) -> None:
    """Let an address try again; every process knows it within seconds."""
    lifted = with_gateway(config, lambda gateway: gateway.defender.lift(address))
    if as_json:
        show_json({"address": lifted})
        return
    out.print(f"{lifted} may sign in again", highlight=False)


@app.command()
def add(
    address: Address,
    length: Annotated[str, typer.Option("--for", help="How long: 30m, 12h or 7d.")] = "24h",
    reason: Annotated[str, typer.Option("--reason", help="Why, for your colleagues.")] = "operator",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take no sign-in from an address for a while."""
    lasting = parse_length(length)
    ban = with_gateway(config, lambda gateway: gateway.defender.ban(address, lasting, reason))
    if as_json:
        show_json(_row(ban))
        return
    out.print(f"{ban.remote} may not sign in until {_row(ban)['until']}", highlight=False)


def parse_length(text: str) -> timedelta:
    """A whole number of minutes, hours or days; raises Unusable."""
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", text, re.ASCII)
    if not found:
        raise Unusable(f"--for takes a length such as 30m, 12h or 7d, not {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _row(ban: Ban) -> dict[str, Any]:
    return {
        "address": ban.remote,
        "reason": ban.reason,
        "at": ban.at.isoformat(timespec="seconds"),
        "until": ban.until.isoformat(timespec="seconds"),
    }
