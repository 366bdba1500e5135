"""`hetao webhooks`: institutions' own systems that are told of their transfers, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from gateway.cli.desk import AsJson, Config, out, show_json, show_table, with_gateway
from gateway.core.records import split_url
from gateway.flow.webhooks import Standing

app = typer.Typer(no_args_is_help=True, help="Institutions' own systems that are told of transfers: list, retry.")

Webhook = Annotated[str, typer.Argument(help="The registered identifier.")]


@app.command("list")
def list_webhooks(config: Config = None, as_json: AsJson = False) -> None:
    """Every registered webhook, how far it was told, and why it is not told more."""
    rows = [_row(each) for each in with_gateway(config, lambda gateway: gateway.webhooks.standing())]
    if as_json:
        show_json(rows)
        return
    columns = ["webhook", "institution", "host", "state", "behind", "attempts", "reason", "next", "delivered"]
    show_table(f"{len(rows)} webhook(s)", columns, [[row[name] for name in columns] for row in rows])


@app.command()
def retry(
    webhook: Webhook,
    skip: Annotated[bool, typer.Option("--skip", help="Pass over the event that fails: it is never told.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take up a webhook again now, parked or not."""
    outbox = with_gateway(config, lambda gateway: gateway.webhooks.retry(webhook, skip=skip))
    if as_json:
        show_json({"webhook": outbox.webhook, "position": outbox.position})
        return
    out.print(f"{outbox.webhook} is told again from ledger entry {outbox.position} on", highlight=False)


def _row(standing: Standing) -> dict[str, Any]:
    outbox = standing.outbox
    return {
        "webhook": outbox.webhook,
        "institution": standing.webhook.institution,
        "host": split_url(standing.webhook.url)[0],
        "state": "parked" if outbox.parked_at else "failing" if outbox.attempts else "well",
        "behind": standing.behind,
        "attempts": outbox.attempts,
        "reason": outbox.reason,
        "next": _when(outbox.next_at if outbox.attempts and not outbox.parked_at else None),
        "delivered": _when(outbox.delivered_at),
        "parked": _when(outbox.parked_at),
    }


def _when(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""
