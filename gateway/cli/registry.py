"""`hetao registry`: what is registered, and changes to it under two signatures."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.desk import AsJson, Config, out, read_file, show_json, show_table, with_gateway, write_new
from gateway.cli.officer import Key, sign_file
from gateway.core.decide import check_cases
from gateway.core.errors import Unusable
from gateway.core.facts import local_day
from gateway.core.records import KINDS, ActiveRulebook, Record, parse_record, record_table
from gateway.core.registry import NAMESPACE, Change, Registry, compose_change, parse_change
from gateway.stores.rulebooks import Policies, prc_calendar
from gateway.wiring import Gateway

app = typer.Typer(
    no_args_is_help=True, help="Institutions, persons, endpoints, filings, officers: under two signatures."
)
Retire = Annotated[list[str] | None, typer.Option("--retire", help="kind:id to retire; may be repeated.")]


def parse_records(document: bytes) -> tuple[tuple[str, Record], ...]:
    """Records from a TOML file with one array of tables a kind: `[[institution]]`, `[[endpoint]]` and so on.

    Raises:
        Unusable: With the complaints of every record at once.
    """
    try:
        tables = tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise Unusable(f"the registry file is not TOML: {wrong}") from wrong
    complaints: list[str] = []
    found: list[tuple[str, Record]] = []
    for kind, listed in tables.items():
        if kind not in KINDS or not isinstance(listed, list):
            complaints.append(f"unknown table {kind!r}: use [[{']], [['.join(KINDS)}]]")
            continue
        for table in listed:
            try:
                found.append((kind, parse_record(kind, table)))
            except Unusable as wrong:
                complaints.append(wrong.message)
    if complaints:
        raise Unusable("; ".join(complaints))
    return tuple(found)


def _retired(names: list[str] | None) -> tuple[tuple[str, str], ...]:
    found = []
    for name in names or []:
        kind, colon, identifier = name.partition(":")
        if not colon or kind not in KINDS:
            raise Unusable(f"--retire takes kind:id, with a kind of {', '.join(KINDS)}; not {name!r}")
        found.append((kind, identifier))
    return tuple(found)


def describe(change: Change, registry: Registry) -> list[list[object]]:
    """What a change does, row by row: action, kind, id, and which keys differ."""
    rows: list[list[object]] = []
    for kind, record in change.put:
        before = registry.records.get((kind, record.id))
        if before is None:
            told = "; ".join(f"{key}: {value!r}" for key, value in record_table(record).items() if key != "id")
            rows.append(["add", kind, record.id, told])
            continue
        old, new = record_table(before), record_table(record)
        differing = [
            f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]
        rows.append(["change", kind, record.id, "; ".join(differing) or "nothing"])
    return rows + [["retire", kind, identifier, ""] for kind, identifier in change.retire]


@app.command()
def compose(
    file: Path, output: Annotated[Path, typer.Option("--out")], retire: Retire = None, config: Config = None
) -> None:
    """Write the change a TOML file makes, to be signed elsewhere with `ssh-keygen -Y sign -n hetao-registry`."""

    async def work(gateway: Gateway) -> Change:
        registry = await gateway.registrar.registry()
        return compose_change(registry.head, parse_records(read_file(file)), _retired(retire))

    change = with_gateway(config, work)
    write_new(output, change.document)
    out.print(f"change {change.digest} written to {output}")


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="TOML with records, or a composed change (.json) with --signature.")],
    key: Annotated[Path | None, typer.Option("--key", help="Your private SSH key.")] = None,
    signature: Annotated[Path | None, typer.Option("--signature", help="A signature made with ssh-keygen.")] = None,
    retire: Retire = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Record a change with the first of its two signatures."""
    if (key is None) == (signature is None):
        raise Unusable("sign with --key, or bring a composed change with its --signature")

    async def work(gateway: Gateway) -> tuple[str, list[list[object]]]:
        registry = await gateway.registrar.registry()
        if signature is not None:
            change, signed = parse_change(read_file(file)), read_file(signature)
        else:
            change = compose_change(registry.head, parse_records(read_file(file)), _retired(retire))
            signed = sign_file(key, NAMESPACE, change.document) if key else b""
        return await gateway.registrar.propose(change, signed), describe(change, registry)

    digest, rows = with_gateway(config, work)
    _show_change(digest, rows, "proposed; a second officer approves with: hetao registry approve", as_json=as_json)


@app.command("activate-rules")
def activate_rules(
    key: Key,
    active_from: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD; today where not given.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Propose that decisions are made under the installed rule pack from a day on; all its golden cases must pass."""

    async def work(gateway: Gateway) -> tuple[str, list[list[object]]]:
        registry = await gateway.registrar.registry()
        record = activation(gateway.policies, active_from or str(local_day(gateway.recorder.clock.now())))
        change = compose_change(registry.head, (("rulebook", record),))
        return await gateway.registrar.propose(change, sign_file(key, NAMESPACE, change.document)), describe(
            change, registry
        )

    digest, rows = with_gateway(config, work)
    _show_change(digest, rows, "proposed; a second officer approves with: hetao registry approve", as_json=as_json)


def activation(pack: Policies, active_from: str) -> ActiveRulebook:
    """The record that makes a pack decide from a day on.

    The day is in its id: an activation for a later day stands beside the one in force, and takes nothing from today.

    Raises:
        Unusable: A golden case of the pack fails, or the day is none.
    """
    results = check_cases(pack.cases, pack.rulebook, pack.vocabulary, prc_calendar())
    if failed := [result.case.id for result in results if result.faults]:
        raise Unusable(f"golden cases of the pack fail, see `hetao policy test`: {', '.join(failed)}")
    try:
        day = date.fromisoformat(active_from)
    except ValueError as wrong:
        raise Unusable("--from must be a day such as 2026-12-01") from wrong
    digest = pack.rulebook.digest
    return ActiveRulebook(f"pack-{digest[:12]}-{day}", digest, day)


@app.command()
def pending(config: Config = None, as_json: AsJson = False) -> None:
    """Changes that wait for a second signature."""

    async def work(gateway: Gateway) -> list[dict[str, Any]]:
        registry = await gateway.registrar.registry()
        return [
            {"digest": each.change.digest, "proposer": each.proposer, "does": describe(each.change, registry)}
            for each in await gateway.registrar.proposals()
        ]

    waiting = with_gateway(config, work)
    if as_json:
        show_json(waiting)
        return
    for each in waiting:
        show_table(f"{each['digest']} proposed by {each['proposer']}", ["does", "kind", "id", "what"], each["does"])
    if not waiting:
        out.print("nothing waits for a second signature")


@app.command()
def approve(
    digest: str,
    key: Annotated[Path | None, typer.Option("--key", help="Your private SSH key.")] = None,
    signature: Annotated[Path | None, typer.Option("--signature", help="A signature made with ssh-keygen.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give a change its second signature; it takes effect at once and what is held is decided again."""
    if (key is None) == (signature is None):
        raise Unusable("sign with --key, or bring a --signature")

    async def work(gateway: Gateway) -> tuple[str, int, list[list[object]]]:
        registry = await gateway.registrar.registry()
        for each in await gateway.registrar.proposals():
            if each.change.digest.startswith(digest) and len(digest) >= 8:
                signed = read_file(signature) if signature else b""
                signed = sign_file(key, NAMESPACE, each.change.document) if key else signed
                after = await gateway.registrar.approve(each.change.digest, signed)
                return each.change.digest, after.revision, describe(each.change, registry)
        raise Unusable(f"no pending change begins with {digest!r}: see `hetao registry pending`")

    approved, revision, rows = with_gateway(config, work)
    _show_change(approved, rows, f"approved; the registry is at revision {revision}", as_json=as_json)


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    identifier: Annotated[str, typer.Argument()] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What is registered."""
    if kind not in KINDS:
        raise Unusable(f"there is no kind {kind!r}; use one of {', '.join(KINDS)}")

    async def work(gateway: Gateway) -> list[dict[str, Any]]:
        registry = await gateway.registrar.registry()
        found = [record_table(each) for each in registry.all(KINDS[kind])]
        return [each for each in found if not identifier or each["id"] == identifier]

    found = with_gateway(config, work)
    if as_json or identifier:
        show_json(found)
        return
    columns = list(dict.fromkeys(key for each in found for key in each))[:6]
    show_table(kind, columns, [[each.get(key, "") for key in columns] for each in found])


def _show_change(digest: str, rows: list[list[object]], says: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"digest": digest, "does": rows})
        return
    show_table(f"change {digest}", ["does", "kind", "id", "what"], rows)
    out.print(says if says.startswith("approved") else f"{says} {digest[:16]}")
