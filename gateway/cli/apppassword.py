"""`hetao keys app-password`: a generated password for folders and the upload page, as a record for two officers to sign.

What it is not: a way to set a password. It is drawn here, shown once, and only its digest goes anywhere.
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.desk import AsJson, Config, out, read_file, show_fields, show_json, with_gateway, write_new
from gateway.core.errors import Unusable
from gateway.core.facts import local_day
from gateway.core.identity import PASSWORD_LIFE, SENDER_SCOPES
from gateway.core.records import AppPassword, parse_record, password_digest, record_table

if TYPE_CHECKING:  # opening a gateway imports every ring; commands that open none must not wait for that
    from gateway.wiring import Gateway

SECRET_BYTES = 20  # 160 random bits, 32 letters and digits


def app_password(
    person: Annotated[str, typer.Option("--person", help="The registered person's identifier.")],
    institution: Annotated[str, typer.Option("--institution", help="Whose folders it opens.")],
    scopes: Annotated[
        str, typer.Option("--scopes", help="What it may do, with spaces between; all a sender may.")
    ] = " ".join(SENDER_SCOPES),
    days: Annotated[int, typer.Option("--days", min=1, max=PASSWORD_LIFE.days, help="How long it holds.")] = 30,
    identifier: Annotated[str, typer.Option("--id", help="The user name; made up where not given.")] = "",
    output: Annotated[Path | None, typer.Option("--out", help="Write the record here; else it is printed.")] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="An officer's private SSH key: propose the record at once.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """A password for the upload page, Explorer, Finder or davfs2. It holds once two officers signed its record, there alone."""
    secret = make_secret()
    today = local_day(datetime.now(UTC))
    name = identifier or f"{person[:48]}-{secrets.token_hex(3)}"
    table = {
        "id": name,
        "institution": institution,
        "person": person,
        "digest": password_digest(name, secret),
        "valid_from": today,
        "valid_to": today + timedelta(days=days),
        "scopes": scopes.split(),
    }
    record = parse_record("password", table)
    if not isinstance(record, AppPassword) or not record.scopes:
        raise Unusable(f"--scopes takes one or more of {', '.join(SENDER_SCOPES)}")
    text = _toml(record)
    if output is not None:
        write_new(output, text.encode())
    change = _propose(record, key, config) if key is not None else ""
    told: dict[str, Any] = {"user": name, "password": secret, "valid_to": record.valid_to.isoformat(), "change": change}
    if as_json:
        show_json({**told, "record": record_table(record)})
        return
    show_fields(told)
    out.print("The password is not shown again and is kept nowhere. It holds once a second officer has signed.")
    if output is None and key is None:
        print(text, end="")  # noqa: T201  # not through rich, which would wrap


def make_secret() -> str:
    """A password: `hap_` and 160 random bits in base32, one word to copy and one form for scanners of leaked secrets."""
    return "hap_" + base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii").lower()


def _toml(record: AppPassword) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in record_table(record).items()]
    return "\n".join(["[[password]]", *lines]) + "\n"


def _propose(record: AppPassword, key: Path, config: Path | None) -> str:
    from gateway.cli.officer import sign_file  # noqa: PLC0415  # only who proposes waits for the registry's modules
    from gateway.core.registry import NAMESPACE, compose_change  # noqa: PLC0415  # the same

    read_file(key)  # a wrong path is told before the gateway is opened

    async def work(gateway: Gateway) -> str:
        registry = await gateway.registrar.registry()
        change = compose_change(registry.head, (("password", record),))
        return await gateway.registrar.propose(change, sign_file(key, NAMESPACE, change.document))

    return with_gateway(config, work)
