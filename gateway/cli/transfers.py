"""`hetao transfers`: what was sent, by whom, under which verdict; for auditors and operators."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.desk import SHELL, AsJson, Config, out, show_fields, show_json, show_table, with_gateway, write_new
from gateway.cli.found import show_found
from gateway.cli.language import LanguageOption, spoken
from gateway.core.errors import Unusable
from gateway.core.facts import SHANGHAI
from gateway.core.transfer import State, Transfer
from gateway.ports import TransferFilter
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="Transfers: list, show, search, export.")

COLUMNS = (
    "id",
    "institution",
    "endpoint",
    "project",
    "dataset",
    "version",
    "state",
    "verdict",
    "rules",
    "mechanism",
    "files",
    "bytes",
    "opened_at",
    "since",
    "root",
    "direction",
    "lineage",
)
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000)]
Institution = Annotated[str, typer.Option("--institution")]
Endpoint = Annotated[str, typer.Option("--endpoint")]
Project = Annotated[str, typer.Option("--project")]
Dataset = Annotated[str, typer.Option("--dataset")]
StateName = Annotated[str, typer.Option("--state", help="A state name, several separated by commas.")]
Verdict = Annotated[str, typer.Option("--verdict", help="allow, hold or deny.")]
Rule = Annotated[str, typer.Option("--rule", help="A rule id that fired, such as P8.")]
Direction = Annotated[str, typer.Option("--direction", help="outbound or inbound.")]
Since = Annotated[str, typer.Option("--since", help="Opened on or after this day, YYYY-MM-DD (Asia/Shanghai).")]
Until = Annotated[str, typer.Option("--until", help="Opened before this day.")]
Digest = Annotated[str, typer.Option("--digest", help="SHA-256 of a file, hex.")]


def row(transfer: Transfer) -> dict[str, Any]:
    """A transfer as auditors list it."""
    decision = transfer.decision
    return {
        "id": transfer.id,
        "institution": transfer.institution,
        "endpoint": transfer.endpoint,
        "project": transfer.project,
        "dataset": transfer.dataset,
        "version": transfer.version,
        "state": transfer.state.value,
        "verdict": decision.get("verdict", ""),
        "rules": " ".join(decision.get("rules", [])),
        "mechanism": decision.get("mechanism", ""),
        "files": transfer.files,
        "bytes": transfer.bytes,
        "opened_at": transfer.opened_at.isoformat(timespec="seconds"),
        "since": transfer.since.isoformat(timespec="seconds"),
        "root": transfer.root,
        "direction": transfer.direction,
        "lineage": " ".join(transfer.declaration.get("lineage", ())),
    }


def _wanted(asked: dict[str, str]) -> TransferFilter:
    days = {}
    for name in ("since", "until"):
        if asked[name]:
            try:
                days[name] = datetime.fromisoformat(asked[name]).replace(tzinfo=SHANGHAI).astimezone(UTC)
            except ValueError as wrong:
                raise Unusable(f"--{name} takes a day as YYYY-MM-DD, not {asked[name]!r}") from wrong
    try:
        states = tuple(State(each) for each in asked["state"].split(",") if each)
    except ValueError as wrong:
        raise Unusable(f"--state takes {', '.join(State)}") from wrong
    return TransferFilter(
        institution=asked["institution"],
        endpoint=asked["endpoint"],
        project=asked["project"],
        dataset=asked["dataset"],
        verdict=asked["verdict"],
        rule=asked["rule"],
        digest=asked["digest"],
        states=states,
        since=days.get("since"),
        until=days.get("until"),
        extra={"direction": asked["direction"]} if asked.get("direction") else {},
    )


@app.command("list")
def list_transfers(state: StateName = "", limit: Limit = 50, config: Config = None, as_json: AsJson = False) -> None:
    """The newest transfers."""
    search(state=state, limit=limit, config=config, as_json=as_json)


@app.command()
def search(
    institution: Institution = "",
    endpoint: Endpoint = "",
    project: Project = "",
    dataset: Dataset = "",
    state: StateName = "",
    verdict: Verdict = "",
    rule: Rule = "",
    since: Since = "",
    until: Until = "",
    digest: Digest = "",
    direction: Direction = "",
    limit: Limit = 50,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Transfers by who, where, what was decided, when, and what was in them."""
    asked = {
        "institution": institution,
        "endpoint": endpoint,
        "project": project,
        "dataset": dataset,
        "state": state,
        "verdict": verdict,
        "rule": rule,
        "since": since,
        "until": until,
        "digest": digest,
        "direction": direction,
    }
    wanted = _wanted(asked)
    found = with_gateway(config, lambda gateway: gateway.enquiry.transfers(SHELL, wanted, limit=limit))
    rows = [row(each) for each in found]
    if as_json:
        show_json(rows)
        return
    columns = ["id", "institution", "endpoint", "dataset", "version", "state", "verdict", "rules", "since"]
    show_table(f"{len(rows)} transfer(s)", columns, [[each[name] for name in columns] for each in rows])


@app.command()
def show(transfer: str, lang: LanguageOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """One transfer with its decision, what was found in its files, and its entries in the ledger."""

    async def work(gateway: Gateway) -> tuple[Transfer, dict[str, Any], list[dict[str, Any]]]:
        found = await gateway.enquiry.transfer(SHELL, transfer)
        return found, await gateway.review.show(transfer), await gateway.enquiry.history(SHELL, transfer)

    found, reviewed, history = with_gateway(config, work)
    if as_json:
        content = {name: reviewed[name] for name in ("findings", "on_the_whole")}
        content["file_findings"] = [each["findings"] for each in reviewed["files"]]
        shown = {**row(found), "reason": found.reason, "decision": dict(found.decision)}
        show_json({**shown, **content, "ledger": history})
        return
    show_fields({**row(found), "reason": found.reason, "due": found.due, **_lineage(found)})
    show_found(reviewed, spoken(lang, os.environ))
    rows = [[each["index"], each["at"], each["tag"], each["actor"], each["body"]] for each in history]
    show_table("ledger", ["entry", "at", "what", "who", "with"], rows)


def _lineage(transfer: Transfer) -> dict[str, Any]:
    """What was found of a claim that the data came from abroad: exact numbers, this is for officers and auditors."""
    found = transfer.decision.get("lineage")
    if not found:
        return {}
    sides = {
        name: "{identified} identified, {by_number} by number".format(**found[name])
        for name in ("came_in", "going_out")
    }
    return {"lineage found": found["state"], **sides, "added": found["added"]}


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write; - for standard output.")],
    as_csv: Annotated[bool, typer.Option("--csv/--json", help="CSV (default) or JSON lines.")] = True,
    institution: Institution = "",
    endpoint: Endpoint = "",
    state: StateName = "",
    verdict: Verdict = "",
    rule: Rule = "",
    since: Since = "",
    until: Until = "",
    config: Config = None,
) -> None:
    """Every transfer a filter finds, as CSV or JSON lines."""
    asked = dict.fromkeys(("project", "dataset", "digest"), "")
    asked |= {"institution": institution, "endpoint": endpoint, "state": state, "verdict": verdict, "rule": rule}
    wanted = _wanted(asked | {"since": since, "until": until})

    async def work(gateway: Gateway) -> list[dict[str, Any]]:
        return [row(each) async for each in gateway.enquiry.every(SHELL, wanted)]

    rows = with_gateway(config, work)
    if str(file) == "-":
        _write(sys.stdout, rows, as_csv=as_csv)
        return
    written = io.StringIO(newline="")
    _write(written, rows, as_csv=as_csv)
    write_new(file, written.getvalue().encode())
    out.print(f"{len(rows)} transfer(s) written to {file}")


def _write(opened: Any, rows: Iterable[dict[str, Any]], *, as_csv: bool) -> None:
    if as_csv:
        writer = csv.DictWriter(opened, COLUMNS)
        writer.writeheader()
        # A cell that begins like a formula would be run by a spreadsheet (CWE-1236).
        writer.writerows({key: _plain(value) for key, value in each.items()} for each in rows)
        return

    for each in rows:
        opened.write(json.dumps(each, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


@app.command()
def withdraw(transfer: str, config: Config = None) -> None:
    """End a transfer that has not left, in the operator's name."""
    ended = with_gateway(config, lambda gateway: gateway.intake.withdraw(SHELL, transfer))
    out.print(f"{ended.id} is {ended.state}")


@app.command()
def step(transfer: str, config: Config = None) -> None:
    """Do the next stage of a transfer now, without waiting for its turn."""

    async def work(gateway: Gateway) -> Transfer:
        await gateway.conductor.step(transfer)
        return await gateway.enquiry.transfer(SHELL, transfer)

    after = with_gateway(config, work)
    out.print(f"{after.id} is {after.state}" + (f": {after.reason}" if after.reason else ""))
