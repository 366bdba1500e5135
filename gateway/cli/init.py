"""`hetao init`: a new gateway in a folder: keys, certificate, settings, database, and the first officers."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certs.authority import DevelopmentAuthority
from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key
from certs.keyfiles import make_key_folder
from certs.ledgerkeys import make_signing_key
from certs.sshkeys import make_ssh_key
from gateway.cli.desk import DEFAULT_CONFIG, Config, Quiet, find_settings, out, read_file, show_fields
from gateway.cli.registry import parse_records
from gateway.core.errors import Conflict, Unusable
from gateway.core.facts import local_day
from gateway.core.records import ActiveRulebook, Record
from gateway.core.registry import compose_change, found_registry
from gateway.settings import SETTINGS, Settings, load_settings, sample
from gateway.stores.database import Database
from gateway.stores.rulebooks import load_policies
from gateway.wiring import database_url, open_gateway

GENESIS_KINDS = frozenset({"person", "officer", "institution"})


def init(
    genesis: Annotated[
        Path, typer.Argument(help="TOML tables person and officer: at least two officers, one for security.")
    ],
    folder: Annotated[Path, typer.Option("--dir", help="Folder of the new gateway.")] = Path(),
    origin: Annotated[str, typer.Option("--origin", help="The ledger's name in checkpoints.")] = "hetao-gateway",
    host: Annotated[
        list[str] | None, typer.Option("--host", help="DNS name or address of the HTTPS door; may be repeated.")
    ] = None,
    https_port: Annotated[int, typer.Option("--https-port")] = 8443,
    metrics_port: Annotated[int, typer.Option("--metrics-port")] = 9464,
    sftp_port: Annotated[int, typer.Option("--sftp-port")] = 2022,
    page_port: Annotated[int, typer.Option("--page-port")] = 8445,
) -> None:
    """Make a new gateway: keys, a development certificate, settings, the embedded database, and the first officers.

    The certificate is from a development authority made here; put your own in its place before anybody relies on it.
    """
    config = folder / DEFAULT_CONFIG
    if config.exists():
        raise Conflict(f"{config} exists: this folder has a gateway already")
    records = _founding_records(read_file(genesis))
    names = host or ["localhost", "127.0.0.1"]
    folder.mkdir(parents=True, exist_ok=True)
    _make_keys(folder / "keys", origin, names)
    _write_settings(
        config,
        origin,
        f"https://{names[0]}:{https_port}",
        {"https": https_port, "sftp": sftp_port, "page": page_port, "metrics": metrics_port},
    )
    digest = asyncio.run(_found(config, records))
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("[registry]\n", f'[registry]\ngenesis = "{digest}"\n', 1), encoding="utf-8")
    show_fields({"settings": config, "genesis": digest, "next": f"hetao serve --config {config}"})


def upgrade(config: Config = None) -> None:
    """Bring the database to this release's version."""

    async def work(settings: Settings) -> tuple[str, str]:
        database = await Database.open(database_url(settings))
        try:
            before, needed = await database.revision()
            await database.migrate()
        finally:
            await database.close()
        return before, needed

    before, needed = asyncio.run(work(find_settings(config)))
    out.print(f"the database was at {before or 'no version'} and is at {needed}")


def _founding_records(document: bytes) -> tuple[tuple[str, Record], ...]:
    records = parse_records(document)
    if strange := sorted({kind for kind, _ in records} - GENESIS_KINDS):
        raise Unusable(
            f"a genesis names {', '.join(sorted(GENESIS_KINDS))} only; {', '.join(strange)} come by a change"
        )
    digest = load_policies().rulebook.digest
    today = local_day(datetime.now(UTC))
    return (*records, ("rulebook", ActiveRulebook(f"pack-{digest[:12]}", digest, today)))


def _make_keys(folder: Path, origin: str, names: list[str]) -> None:
    make_key_folder(folder)
    make_crypt4gh_key(folder, "vault")
    make_ssh_key(folder, "signing", origin)
    make_signing_key(folder, "ledger", origin)
    make_jwt_key(folder, "tokens")
    make_ssh_key(folder, "sftp_host", origin)
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    authority.save(folder)
    authority.issue_server(names, now).save(folder, "https")


def _write_settings(config: Path, origin: str, issuer: str, ports: dict[str, int]) -> None:
    keys = config.parent / "keys"
    written = {path.stem + path.suffix for path in keys.iterdir()}
    text = sample()
    text = text.replace('# issuer = "https://localhost:8443"', f'issuer = "{issuer}"')
    text = text.replace('# origin = "hetao-gateway"', f'origin = "{origin}"')
    for section, port in ports.items():
        default = next(setting.default for setting in SETTINGS if setting.name == f"{section}.port")
        text = text.replace(f"# port = {default}", f"port = {port}")
    for setting, candidates in _KEY_FILES.items():
        key = setting.partition(".")[2]
        name = next((each for each in candidates if each in written), None)
        if name is None:
            raise Unusable(f"no key file for {setting} was made")
        text = _set_line(text, key, f'"keys/{name}"')
    config.write_text(text, encoding="utf-8")


# What `certs` calls its files; the first that is there is taken.
_KEY_FILES = {
    "keys.vault_public": ("vault.pub",),
    "keys.vault_private": ("vault",),
    "keys.signing": ("signing",),
    "keys.ledger": ("ledger",),
    "keys.tokens": ("tokens", "tokens.pem"),
    "https.certificate": ("https.crt",),
    "https.key": ("https.key",),
    "sftp.host_key": ("sftp_host",),
}


def _set_line(text: str, key: str, value: str) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith(f"# {key} = "):
            lines[number] = f"{key} = {value}"
            return "\n".join(lines)
    raise Unusable(f"there is no setting line for {key}")


async def _found(config: Path, records: tuple[tuple[str, Record], ...]) -> str:
    settings = load_settings(config, os.environ)
    settings.path("gateway.data").mkdir(mode=0o700, parents=True, exist_ok=True)
    genesis = compose_change("", records)
    found_registry(genesis)  # refuse a bad genesis before anything is recorded
    database = await Database.open(database_url(settings))
    try:
        await database.migrate()
    finally:
        await database.close()
    async with open_gateway(settings, Quiet()) as gateway:
        await gateway.registrar.initialise(
            genesis, origin=settings.text("ledger.origin"), ledger_key=gateway.ledger.verifier_key
        )
    return genesis.digest
