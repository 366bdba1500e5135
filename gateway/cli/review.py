"""`hetao review`: what is held, and the officers' signed votes on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.cli import channels, spotchecks
from gateway.cli.channels import show_bounds
from gateway.cli.desk import AsJson, Config, out, read_file, show_fields, show_json, show_table, with_gateway, write_new
from gateway.cli.found import show_found
from gateway.cli.language import LanguageOption, spoken
from gateway.cli.officer import For, Key, Reason, office, sign_file
from gateway.core.review import APPROVE, NAMESPACE, REJECT
from gateway.core.transfer import Transfer
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="Held transfers, and the officers' signed votes.")


@app.command("list")
def list_held(config: Config = None, as_json: AsJson = False) -> None:
    """Held transfers, oldest first."""
    found = with_gateway(config, lambda gateway: gateway.review.held())
    rows = [_row(each) for each in found]
    if as_json:
        show_json(rows)
        return
    show_table(
        "held",
        ["id", "institution", "endpoint", "since", "until", "cure", "rules", "escalated"],
        [list(row.values()) for row in rows],
    )


def _row(transfer: Transfer) -> dict[str, Any]:
    return {
        "id": transfer.id,
        "institution": transfer.institution,
        "endpoint": transfer.endpoint,
        "since": transfer.since.isoformat(timespec="seconds"),
        "until": transfer.due.isoformat(timespec="seconds") if transfer.due else "",
        "cure": transfer.decision["cure"],
        "rules": " ".join(transfer.decision["rules"]),
        "escalated": transfer.escalated_at.isoformat(timespec="seconds") if transfer.escalated_at else "",
    }


@app.command()
def show(transfer: str, lang: LanguageOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """A held transfer: the decision with its articles and remedies, the findings, the votes so far."""
    shown = with_gateway(config, lambda gateway: gateway.review.show(transfer))
    if as_json:
        show_json(shown)
        return
    language, decision = spoken(lang, os.environ), shown["decision"]
    show_fields(
        {
            "transfer": shown["id"],
            "state": shown["state"],
            "verdict": decision.get("verdict"),
            "cure": decision.get("cure"),
        }
    )
    for remedy in decision.get("remedies", []):
        cited = [each for each in decision["citations"] if each["rule"] == remedy["rule"]]
        articles = ", ".join(f"{each['instrument']} {each['article']}" for each in cited)
        out.print(
            f"[bold]{remedy['rule']}[/bold] ({articles}): {escape(remedy.get(language, remedy['en']))}", highlight=False
        )
    rows = [
        [
            each["number"],
            escape(each["path"]),
            each["size"],
            each["findings"]["format"],
            each["findings"]["inspectable"],
        ]
        for each in shown["files"][:50]
    ]
    show_table("files", ["no", "path", "bytes", "format", "inspectable"], rows)
    show_found(shown, language)
    show_bounds(decision.get("channels", ()), language)
    if "votes" in shown:
        show_fields({"approvals": shown["votes"]["approvals"], "still needed": shown["votes"]["missing"]})


def _vote(
    transfer: str, vote: str, key: Path, reason: str, stands_for: str, config: Path | None, *, as_json: bool
) -> None:
    async def work(gateway: Gateway) -> Transfer:
        officer = await office(gateway, key, stands_for)
        ballot = await gateway.review.ballot(transfer, officer=officer, vote=vote, reason=reason)
        message = ballot.message()
        return await gateway.review.vote(message, sign_file(key, NAMESPACE, message))

    voted = with_gateway(config, work)
    if as_json:
        show_json({"id": voted.id, "state": voted.state.value, "vote": vote})
        return
    out.print(f"your vote to {vote} {voted.id} is recorded; the running gateway counts it")


@app.command()
def approve(
    transfer: str, key: Key, reason: Reason, stands_for: For = "", config: Config = None, as_json: AsJson = False
) -> None:
    """Vote for a held transfer to leave; it takes two officers, and only where the hold is a judgement."""
    _vote(transfer, APPROVE, key, reason, stands_for, config, as_json=as_json)


@app.command()
def reject(
    transfer: str, key: Key, reason: Reason, stands_for: For = "", config: Config = None, as_json: AsJson = False
) -> None:
    """Vote against a held transfer; one rejection ends it."""
    _vote(transfer, REJECT, key, reason, stands_for, config, as_json=as_json)


@app.command()
def ballot(
    transfer: str,
    officer: Annotated[str, typer.Option("--officer", help="Your officer id.")],
    vote: Annotated[str, typer.Option("--vote", help="approve or reject.")],
    reason: Reason,
    output: Annotated[Path, typer.Option("--out")],
    config: Config = None,
) -> None:
    """Write a ballot to sign elsewhere: `ssh-keygen -Y sign -n hetao-vote -f KEY BALLOT`."""
    made = with_gateway(
        config, lambda gateway: gateway.review.ballot(transfer, officer=officer, vote=vote, reason=reason)
    )
    write_new(output, made.message())
    out.print(f"ballot written to {output}; sign it and bring it back with `hetao review cast`")


@app.command()
def cast(file: Path, signature: Annotated[Path, typer.Option("--signature")], config: Config = None) -> None:
    """Record a ballot that was signed elsewhere."""
    voted = with_gateway(config, lambda gateway: gateway.review.vote(read_file(file), read_file(signature)))
    out.print(f"the vote on {voted.id} is recorded")


channels.add_to(app)
spotchecks.add_to(app)
