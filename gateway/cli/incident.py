"""`hetao incident`: who must be told of a leak or a break-in by when, with a draft of what to tell, from the ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.cli.desk import AsJson, Config, out, show_fields, show_json, show_table, with_gateway, write_new
from gateway.cli.language import LanguageOption, spoken
from gateway.core.errors import Unusable
from gateway.core.facts import SHANGHAI
from gateway.core.incident import WORDS, Clocks, Due, Incident, due, size_of
from gateway.flow.incidents import Recorded
from gateway.stores.locales import load_catalogue
from gateway.stores.rulebooks import load_clocks
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="Incidents: whom to tell by when, drafts, and what was told.")

Is = Annotated[list[str] | None, typer.Option("--is", help=f"What is true of it, several times: {', '.join(WORDS)}.")]
Discovered = Annotated[str, typer.Option("--discovered", help="When it was seen, RFC 3339; now where not given.")]
Ended = Annotated[str, typer.Option("--ended", help="When handling ended, RFC 3339.")]
PersonsCount = Annotated[int | None, typer.Option("--persons", min=0, help="Persons whose data leaked, at most.")]
Transfers = Annotated[list[str] | None, typer.Option("--transfer", help="A transfer concerned; several times.")]
Words = Annotated[str, typer.Option("--words", help="What happened, for the report.")]


@app.command("open")
def open_incident(
    true: Is = None,
    discovered: Discovered = "",
    persons: PersonsCount = None,
    transfer: Transfers = None,
    words: Words = "",
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Open an incident, and say who must be told by when."""
    incident = Incident(_time(discovered) or datetime.now(UTC), None, persons, frozenset(true or ()))

    async def work(gateway: Gateway) -> Recorded:
        made = await gateway.incidents.open(incident, transfers=transfer or (), words=words)
        return await gateway.incidents.show(made)

    _show(with_gateway(config, work), load_clocks(), lang, as_json=as_json)


@app.command("list")
def list_incidents(config: Config = None, as_json: AsJson = False) -> None:
    """All incidents, with the next term of each."""
    now, table = datetime.now(UTC), load_clocks()
    rows = [_row(each, table, now) for each in with_gateway(config, lambda gateway: gateway.incidents.list())]
    if as_json:
        show_json(rows)
    else:
        show_table(
            "incidents", ["id", "because", "opened", "size", "next term", "state"], [list(row.values()) for row in rows]
        )


@app.command()
def show(incident: str, lang: LanguageOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """One incident: what is known, whom to tell by when, what was told."""
    _show(with_gateway(config, lambda gateway: gateway.incidents.show(incident)), load_clocks(), lang, as_json=as_json)


@app.command()
def update(
    incident: str,
    true: Is = None,
    persons: PersonsCount = None,
    ended: Ended = "",
    transfer: Transfers = None,
    words: Words = "",
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Add what became known; what is not given stays."""

    async def work(gateway: Gateway) -> Recorded:
        known = await gateway.incidents.show(incident)
        facts = known.incident
        await gateway.incidents.describe(
            incident,
            Incident(
                facts.discovered_at,
                _time(ended) or facts.ended_at,
                facts.persons if persons is None else persons,
                facts.true | {*(true or ())},
            ),
            transfers=[*known.transfers, *(each for each in transfer or () if each not in known.transfers)],
            words=words or known.words,
        )
        return await gateway.incidents.show(incident)

    _show(with_gateway(config, work), load_clocks(), lang, as_json=as_json)


@app.command()
def told(
    incident: str,
    duty: Annotated[str, typer.Argument(help="Its id, as `hetao incident show` lists it.")],
    reference: Annotated[
        str, typer.Option("--reference", help="The authority's receipt number, or how they were told.")
    ],
    config: Config = None,
) -> None:
    """Record that somebody was told."""
    if duty not in {clock.id for clock in load_clocks().clocks}:
        raise Unusable(f"there is no duty {duty}; `hetao incident show {incident}` lists them")
    with_gateway(config, lambda gateway: gateway.incidents.told(incident, duty, reference))


@app.command()
def close(incident: str, reason: Annotated[str, typer.Option("--reason")], config: Config = None) -> None:
    """End an incident; its facts stay."""
    with_gateway(config, lambda gateway: gateway.incidents.close(incident, reason))


@app.command()
def report(
    incident: str,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write; else standard output.")
    ] = None,
    lang: LanguageOption = None,
    config: Config = None,
) -> None:
    """Draft the report: what happened, whose data, how many, which transfers and under which decisions, what was told."""

    async def work(gateway: Gateway) -> tuple[Recorded, list[dict[str, Any]]]:
        known = await gateway.incidents.show(incident)
        async with gateway.database.read() as view:
            found = [await view.transfer(each) for each in known.transfers]
        return known, [_concerned(each) for each in found if each is not None]

    known, transfers = with_gateway(config, work)
    text = draft(known, transfers, load_clocks(), spoken(lang, os.environ))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_new(output, text.encode())


def draft(known: Recorded, transfers: Sequence[dict[str, Any]], table: Clocks, language: str) -> str:
    """The draft, as text in a language; the reporter completes it (Measures art 7: the first report may hold the first items)."""
    catalogue = load_catalogue()
    facts = known.incident
    lines = [
        catalogue.text("incident.title", language, id=known.id),
        "",
        catalogue.text("incident.discovered", language, at=_local(facts.discovered_at)),
        catalogue.text(
            "incident.size", language, size=catalogue.text(f"incident.size_{size_of(facts, table)}", language)
        ),
        catalogue.text("incident.persons", language, count=_count(facts.persons, language)),
        catalogue.text("incident.what", language, words=known.words or "-"),
        "",
        catalogue.text("incident.transfers", language),
        *[f"  - {json.dumps(each, ensure_ascii=False)}" for each in transfers],
        "",
        catalogue.text("incident.duties", language),
    ]
    for each in due(facts, table):
        done = known.told.get(each.clock.id)
        state = catalogue.text("incident.was_told", language, at=_local(done[0]), reference=done[1]) if done else "-"
        lines.append(
            f"  - {each.clock.who[language]} ({', '.join(each.clock.citations)}): {_by(each, language)}; {state}"
        )
    return "\n".join(lines) + "\n"


def _count(persons: int | None, language: str) -> str:
    return str(persons) if persons is not None else load_catalogue().text("incident.unknown", language)


def _concerned(transfer: Any) -> dict[str, Any]:
    decision = transfer.decision
    return {
        "transfer": transfer.id,
        "institution": transfer.institution,
        "endpoint": transfer.endpoint,
        "state": transfer.state.value,
        "since": transfer.since.isoformat(timespec="seconds"),
        "verdict": decision.get("verdict", ""),
        "rules": decision.get("rules", []),
        "mechanism": decision.get("mechanism", ""),
        "persons": (decision.get("situation") or {}).get("persons", {}),
        "files": transfer.files,
        "root": transfer.root,
    }


def _row(known: Recorded, table: Clocks, now: datetime) -> dict[str, Any]:
    open_terms = [
        each for each in due(known.incident, table) if each.clock.id not in known.told and each.by is not None
    ]
    state = "closed" if known.closed_at else "overdue" if any(each.overdue(now) for each in open_terms) else "open"
    return {
        "id": known.id,
        "because": known.because,
        "opened": _local(known.opened_at),
        "size": size_of(known.incident, table),
        "next": _local(open_terms[0].by) if open_terms and not known.closed_at else "",
        "state": state,
    }


def _show(known: Recorded, table: Clocks, lang: str | None, *, as_json: bool) -> None:
    language, now = spoken(lang, os.environ), datetime.now(UTC)
    duties = due(known.incident, table)
    if as_json:
        show_json(
            {
                **_row(known, table, now),
                "true": sorted(known.incident.true),
                "persons": known.incident.persons,
                "transfers": list(known.transfers),
                "duties": [
                    {
                        "id": each.clock.id,
                        "who": dict(each.clock.who),
                        "by": each.by.isoformat() if each.by else None,
                        "overdue": each.overdue(now) and each.clock.id not in known.told,
                        "told": list(map(str, known.told[each.clock.id])) if each.clock.id in known.told else None,
                        "citations": list(each.clock.citations),
                        "certainty": each.clock.certainty,
                    }
                    for each in duties
                ],
            }
        )
        return
    show_fields(
        {**_row(known, table, now), "is": " ".join(sorted(known.incident.true)), "persons": known.incident.persons}
    )
    rows = [
        [each.clock.id, escape(each.clock.who[language]), _by(each, language), ", ".join(each.clock.citations),
         known.told[each.clock.id][1] if each.clock.id in known.told else ""]
        for each in duties
    ]  # fmt: skip
    show_table("", ["duty", "who", "by", "articles", "told"], rows)
    out.print(load_catalogue().text("incident.draft_hint", language, id=known.id))


def _by(each: Due, language: str) -> str:
    catalogue = load_catalogue()
    if each.by is None:
        return catalogue.text("incident.when_ended", language)
    return _local(each.by) if each.clock.term else catalogue.text("incident.at_once", language)


def _local(at: datetime | None) -> str:
    return at.astimezone(SHANGHAI).isoformat(timespec="minutes") if at else ""


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise Unusable(f"{text} is no time: write 2026-11-24T09:30+08:00") from wrong
    if at.tzinfo is None:
        raise Unusable(f"{text} has no zone: write 2026-11-24T09:30+08:00")
    return at
