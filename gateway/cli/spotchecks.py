"""Looks afterwards at the terminal: which wait, and an officer's signed finding."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.desk import AsJson, Config, out, show_json, show_table, with_gateway
from gateway.cli.officer import For, Key, Reason, office, sign_file
from gateway.core.registry import NAMESPACE as REGISTRY
from gateway.core.spotcheck import NAMESPACE, OBJECTION
from gateway.ports import Passed
from gateway.wiring import Gateway

Everything = Annotated[bool, typer.Option("--all", help="Those that were looked at, too.")]
Finding = Annotated[str, typer.Option("--finding", help="ok or objection.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("spot-checks")(spot_checks)
    app.command("look")(look)


def spot_checks(everything: Everything = False, config: Config = None, as_json: AsJson = False) -> None:
    """Transfers that went through a channel and wait for a look, the most urgent first."""
    found = with_gateway(config, lambda gateway: gateway.spot_checks.listed(everything=everything))
    rows = [
        {
            "transfer": each.transfer_id,
            "channel": each.channel,
            "because": each.sampled,
            "cleared": each.at.isoformat(timespec="seconds"),
            "until": each.due.isoformat(timespec="seconds") if each.due else "",
            "finding": each.finding,
        }
        for each in found
    ]
    if as_json:
        show_json(rows)
        return
    columns = ["transfer", "channel", "because", "cleared", "until", "finding"]
    show_table("spot checks", columns, [list(row.values()) for row in rows])


def look(
    transfer: str,
    finding: Finding,
    key: Key,
    reason: Reason,
    stands_for: For = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sign what you found; an objection shuts the channel, proposes that it be retired, and opens an incident."""

    async def work(gateway: Gateway) -> Passed:
        officer = await office(gateway, key, stands_for)
        signed = await gateway.spot_checks.look(transfer, officer=officer, finding=finding, reason=reason)
        closing = await gateway.spot_checks.closing(transfer) if finding == OBJECTION else None
        change = (closing.document, sign_file(key, REGISTRY, closing.document)) if closing else None
        message = signed.message()
        return await gateway.spot_checks.close(message, sign_file(key, NAMESPACE, message), change)

    closed = with_gateway(config, work)
    if as_json:
        show_json({"transfer": closed.transfer_id, "channel": closed.channel, "finding": closed.finding})
        return
    out.print(f"your finding on {closed.transfer_id} is recorded: {closed.finding}")
    if closed.finding == OBJECTION:
        out.print("the channel is shut; a second officer retires it: hetao registry pending")
