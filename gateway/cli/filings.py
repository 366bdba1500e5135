"""`hetao filings`: what is on file, how it stands on a day, what must be done by when, and whether papers are those signed."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli import REFUSED
from gateway.cli.desk import AsJson, Config, out, read_file, show_fields, show_json, show_table, with_gateway
from gateway.cli.language import LanguageOption, spoken
from gateway.cli.officer import Key, sign_file
from gateway.cli.registry import describe
from gateway.core.errors import Unusable
from gateway.core.filings import TO_DO, URGENT
from gateway.core.records import Record, parse_record, record_table
from gateway.core.registry import NAMESPACE, compose_change
from gateway.flow.filings import Stood, missing_documents, recorded_document
from gateway.stores.locales import load_catalogue
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="Filings: list, show, check, import, verify.")

Institution = Annotated[str, typer.Option("--institution", help="Only this one's, by its id in the registry.")]
Day = Annotated[str, typer.Option("--on", help="The day they are looked at, YYYY-MM-DD; today where not given.")]
FilingId = Annotated[str, typer.Argument(metavar="FILING", help="Its id in the registry.")]
COLUMNS: Final = ("filing", "institution", "kind", "state", "ends", "days_left", "act_by", "used", "cap")
MAX_BYTES: Final = 1 << 22
MAX_ROWS: Final = 1_000
_LISTS: Final = ("recipients", "data_types")
_COUNTS: Final = ("persons_cap",)
_FLAGS: Final = ("extended",)


@app.command("list")
def list_filings(
    institution: Institution = "",
    on: Day = "",
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Every filing with its state on a day, and the persons sent under it against its cap."""
    _shown(_stood(config, institution, on), lang, as_json=as_json)


@app.command()
def check(
    institution: Institution = "",
    on: Day = "",
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Only those somebody must act on; exit 1 where a term has passed already."""
    found = [each for each in _stood(config, institution, on) if each.standing.state in TO_DO]
    _shown(found, lang, as_json=as_json)
    if any(each.standing.state in URGENT for each in found):
        raise typer.Exit(REFUSED)


@app.command()
def show(
    filing: FilingId, on: Day = "", lang: LanguageOption = None, config: Config = None, as_json: AsJson = False
) -> None:
    """One filing: what it covers, how it stands, its documents."""
    day = _day(on)

    async def look(gateway: Gateway) -> tuple[Stood, date | None]:
        stood = await gateway.filings.show(filing, on=day)
        return stood, gateway.retention.papers_kept_to(stood.standing.ends)

    found, kept_to = with_gateway(config, look)
    told = {**record_table(found.filing), **_told(found), "documents_kept_to": kept_to}
    if as_json:
        show_json(told)
        return
    words = _words(lang)
    show_fields({words.get(name, name): value for name, value in {**told, "state": words[told["state"]]}.items()})


@app.command("import")
def import_filings(file: Path, key: Key, config: Config = None, as_json: AsJson = False) -> None:
    """Propose the filings of a file, signed: .toml with [[filing]] tables, or .csv with a line a filing.

    In CSV the columns are the record's fields; lists are apart by `;`, and evidence is `name|sha256|what` each.
    """
    records = parse_filings(file.suffix.lower(), read_file(file))

    async def work(gateway: Gateway) -> tuple[str, list[list[object]]]:
        registry = await gateway.registrar.registry()
        change = compose_change(registry.head, tuple(("filing", each) for each in records))
        digest = await gateway.registrar.propose(change, sign_file(key, NAMESPACE, change.document))
        return digest, describe(change, registry)

    digest, rows = with_gateway(config, work)
    if as_json:
        show_json({"digest": digest, "does": rows})
        return
    show_table(f"change {digest}", ["does", "kind", "id", "what"], rows)
    out.print(f"proposed; a second officer approves with: hetao registry approve {digest[:16]}")


@app.command()
def verify(
    filing: FilingId,
    documents: Annotated[list[Path], typer.Argument(metavar="DOC...", help="The files as they lie in your archive.")],
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hold documents against the digests that two officers signed; exit 1 where one is not among them, or one is missing."""
    digests = {str(path): _sha256(path) for path in documents}
    found = with_gateway(config, lambda gateway: gateway.filings.show(filing))
    named = {path: recorded_document(found.filing, digest) for path, digest in digests.items()}
    missing = missing_documents(found.filing, list(digests.values()))
    if as_json:
        show_json({"documents": named, "missing": list(missing)})
    else:
        words = _words(lang)
        rows = [[path, words["is_recorded" if name else "is_not_recorded"], name or ""] for path, name in named.items()]
        rows += [["", words["is_missing"], name] for name in missing]
        show_table(filing, [words["file"], words["verdict"], words["document"]], rows)
    if missing or None in named.values():
        raise typer.Exit(REFUSED)


def parse_filings(suffix: str, document: bytes) -> tuple[Record, ...]:
    """Filings from a TOML or CSV file.

    Raises:
        Unusable: With the complaints of every filing at once, or because the file is too large or of another kind.
    """
    if len(document) > MAX_BYTES:
        raise Unusable(f"the file has more than {MAX_BYTES >> 20} MiB: split it")
    readers = {".toml": _from_toml, ".csv": _from_csv}
    if suffix not in readers:
        raise Unusable("name a .toml or .csv file")
    try:
        tables = readers[suffix](document.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as wrong:
        raise Unusable(f"the file cannot be read as {suffix[1:]} in UTF-8: {wrong}") from wrong
    if not 0 < len(tables) <= MAX_ROWS:
        raise Unusable(f"the file must have 1 to {MAX_ROWS} filings")
    return _parsed(tables)


def _parsed(tables: list[Mapping[str, Any]]) -> tuple[Record, ...]:
    found: list[Record] = []
    complaints: list[str] = []
    for table in tables:
        try:
            found.append(parse_record("filing", table))
        except Unusable as wrong:
            complaints.append(wrong.message)
    if complaints:
        raise Unusable("; ".join(complaints))
    return tuple(found)


def _from_toml(text: str) -> list[Mapping[str, Any]]:
    tables = tomllib.loads(text)
    listed = tables.get("filing")
    if set(tables) != {"filing"} or not isinstance(listed, list):
        raise Unusable("the file must hold [[filing]] tables and nothing else")
    return listed


def _from_csv(text: str) -> list[Mapping[str, Any]]:
    return [_row(row) for row in csv.DictReader(io.StringIO(text), strict=True)]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line as a record's table: what is empty was not said."""
    if None in row or None in row.values():
        raise Unusable("a line has more or fewer cells than the first one")
    table: dict[str, Any] = {}
    for name, cell in row.items():
        text = cell.strip()
        if not text:
            continue
        table[name] = _cell(name, text)
    return table


def _cell(name: str, text: str) -> Any:
    if name in _LISTS:
        return [each.strip() for each in text.split(";") if each.strip()]
    if name == "evidence":
        return [_document(each) for each in text.split(";") if each.strip()]
    if name in _COUNTS and text.isascii() and text.isdigit():
        return int(text)
    if name in _FLAGS and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return text


def _document(text: str) -> dict[str, str]:
    return dict(zip(("name", "sha256", "what"), (each.strip() for each in text.split("|")), strict=False))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as wrong:
        raise Unusable(f"{path} cannot be read: {wrong.strerror}") from wrong


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise Unusable(f"{text} is no day: write 2026-11-20") from wrong


def _stood(config: Path | None, institution: str, on: str) -> list[Stood]:
    day = _day(on)
    return with_gateway(config, lambda gateway: gateway.filings.all(institution=institution, on=day))


def _told(each: Stood) -> dict[str, Any]:
    filing, standing = each.filing, each.standing
    act_by = standing.file_by or (standing.ends if standing.state in {"extension", "expiring"} else None)
    return {
        "filing": filing.id,
        "institution": filing.institution,
        "kind": filing.kind,
        "state": standing.state,
        "ends": standing.ends,
        "days_left": standing.days_left,
        "act_by": act_by,
        "window_from": standing.window,
        "used": each.count,
        "used_exact": each.used.exact,
        "cap": filing.persons_cap or None,
        "transfers": each.used.transfers,
        "provisional": standing.provisional,
    }


def _shown(found: list[Stood], lang: str | None, *, as_json: bool) -> None:
    told = [_told(each) for each in found]
    if as_json:
        show_json(told)
        return
    words = _words(lang)
    rows = [[words[each[name]] if name == "state" else _plain(each[name]) for name in COLUMNS] for each in told]
    show_table(words["title"], [words[name] for name in COLUMNS], rows)
    if any(not each["used_exact"] for each in told):
        out.print(words["upper_bound"])
    if any(each["provisional"] for each in told):
        out.print(words["provisional_days"])


def _plain(value: object) -> object:
    return "" if value is None else value


def _words(lang: str | None) -> dict[str, str]:
    catalogue, language = load_catalogue(), spoken(lang, os.environ)
    ids = [each for each in catalogue.ids() if each.startswith("filings.")]
    return {each.removeprefix("filings."): catalogue.text(each, language) for each in ids}
