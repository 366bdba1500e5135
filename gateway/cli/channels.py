"""Channels at the terminal: which there are, what a transfer looks like to one, and which bounds it breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import typer
from rich.markup import escape

from gateway.cli.desk import AsJson, Config, out, show_json, show_table, with_gateway
from gateway.core.channel import Shape
from gateway.core.facts import local_day
from gateway.core.transfer import Transfer
from gateway.stores.locales import load_catalogue
from gateway.wiring import Gateway

_DAYS = 90  # a draft's validity; officers change it
_PERCENT = 10  # and its share of looks


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("channels")(channels)
    app.command("draft-channel")(draft_channel)


def channels(config: Config = None, as_json: AsJson = False) -> None:
    """Green channels: what went through each, of how much, until when, and whether it is shut."""
    found = with_gateway(config, lambda gateway: gateway.review.channels())
    rows = [_row(each) for each in found]
    if as_json:
        show_json(rows)
        return
    columns = ["id", "project", "until", "transfers", "files", "bytes", "persons", "shut"]
    show_table("channels", columns, [[row[name] for name in columns] for row in rows])


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    channel, used = found["channel"], found["used"]
    shut = [word for word, true in (("objection", used.objected), ("unlooked", used.unlooked)) if true]
    return {
        "id": channel.id,
        "project": channel.project,
        "endpoint": channel.endpoint,
        "rules": " ".join(channel.rules),
        "until": channel.valid_to.isoformat(),
        "transfers": used.passages,
        "files": f"{used.files}/{channel.total_files}",
        "bytes": f"{used.bytes}/{channel.total_bytes}",
        "persons": f"{used.persons}/{channel.total_persons}",
        "signed": " ".join(found["signed"]),
        "shut": " ".join(shut),
    }


def draft_channel(transfer: str, config: Config = None) -> None:
    """Write what a transfer looks like as the TOML of a channel, for two officers to make narrower and sign."""

    async def work(gateway: Gateway) -> str:
        found, shape = await gateway.review.shape(transfer)
        today = local_day(gateway.recorder.clock.now())
        return drafted(found, shape, today.isoformat(), (today + timedelta(days=_DAYS)).isoformat())

    out.print(with_gateway(config, work), markup=False, highlight=False, soft_wrap=True)


def drafted(transfer: Transfer, shape: Shape, first: str, last: str) -> str:
    """The TOML: volumes as they are, and ten times as much in all."""
    columns = {name: sorted(kind for column, kind in shape.kinds if column == name) for name in sorted(shape.columns)}
    words: dict[str, Any] = {
        "id": f"{transfer.project}-channel",
        "institution": transfer.institution,
        "project": transfer.project,
        "endpoint": transfer.endpoint,
        "rules": sorted(transfer.decision.get("rules", ())),
        "formats": sorted(shape.formats),
        "classes": sorted(shape.classes),
        "kinds": sorted({kind for column, kind in shape.kinds if not column}),
        **{name: getattr(shape, name) for name in ("files", "bytes", "persons")},
        **{f"total_{name}": 10 * getattr(shape, name) for name in ("files", "bytes", "persons")},
        "valid_from": first,
        "valid_to": last,
        "sample_percent": _PERCENT,
        "reason": "",
    }
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in words.items()]
    told = [f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(kinds)}" for name, kinds in columns.items()]
    unread = [
        f"# {name}: columns of these files cannot be read; no channel lets them pass" for name in sorted(shape.unread)
    ]
    return "\n".join(["[[channel]]", *unread, *lines, "[channel.columns]", *told])


def show_bounds(told: Iterable[Mapping[str, Any]], language: str) -> None:
    """Print which bounds of which channel a transfer breaks."""
    catalogue = load_catalogue()
    for each in told:
        for bound in each["broken"]:
            says = catalogue.text(f"channel.{bound['word'].replace('_', '-')}", language, outside=bound["outside"])
            out.print(f"[bold]{escape(each['channel'])}[/bold]: {escape(says)}", highlight=False)
