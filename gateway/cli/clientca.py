"""`hetao keys client-ca`, `client-sign`, `client-crl`: an authority for TLS client certificates; needs no gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certs.clientca import ClientAuthority, replace_list
from certs.keyfiles import make_key_folder
from gateway.cli.desk import AsJson, parse_duration, read_file, show_fields, show_json, write_new
from gateway.core.errors import Unusable
from gateway.core.identity import CLIENT_URI

Authority = Annotated[Path, typer.Option("--ca", help="The authority's private key; its .crt lies beside it.")]
CA_FILE = Path("keys-of-mine/client_ca.key")


def client_ca(
    name: str = "client_ca",
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder, made with mode 0700 where it is missing.")
    ] = CA_FILE.parent,
) -> None:
    """An authority for client certificates. Keep its key off the gateway's host: `https.client_ca` there names the .crt alone."""
    certificate, key = ClientAuthority.create(datetime.now(UTC)).save(make_key_folder(folder), name)
    show_fields({"private": key, "https.client_ca": certificate})


def client_sign(
    request: Annotated[Path, typer.Argument(help="A signing request or a public key, PEM; - for standard input.")],
    institution: Annotated[str, typer.Option("--institution", help="Identifier of the client's institution.")],
    client: Annotated[str, typer.Option("--client", help="The registered client's identifier.")],
    authority: Authority = CA_FILE,
    valid: Annotated[str, typer.Option("--valid", help="How long: 24h or 30d; 90 days at the most.")] = "30d",
    output: Annotated[Path | None, typer.Option("--out", help="Certificate; <request>.crt; - to print it.")] = None,
    as_json: AsJson = False,
) -> None:
    """A certificate for a client's key; the registry says `certificate = "urn:hetao:client:<id>"` of the client."""
    if output is None and str(request) == "-":
        raise Unusable("name the certificate's file with --out")
    issued = ClientAuthority.open(authority).issue(
        read_file(request),
        institution=institution,
        client=client,
        now=datetime.now(UTC),
        validity=parse_duration(valid),
    )
    if str(output) == "-":
        print(issued.pem.decode(), end="")  # noqa: T201  # not through rich, which would wrap
        return
    target = output or request.with_suffix(".crt")
    write_new(target, issued.pem)
    told = {
        "certificate": str(target),
        "registry": f'certificate = "{CLIENT_URI}{client}"',
        "serial": issued.serial,
        "sha256": issued.thumbprint,
        "valid_to": issued.valid_to.isoformat(),
    }
    (show_json if as_json else show_fields)(told)


def client_crl(
    output: Annotated[Path, typer.Argument(help="The list; replaced in one step where it is there.")],
    revoke: Annotated[
        list[Path] | None, typer.Option("--revoke", help="A certificate to take back; may be repeated.")
    ] = None,
    serial: Annotated[
        list[str] | None, typer.Option("--serial", help="The same by its serial number, hex; may be repeated.")
    ] = None,
    authority: Authority = CA_FILE,
    valid: Annotated[str, typer.Option("--valid", help="When the next list must be there, or nobody gets in.")] = "30d",
    as_json: AsJson = False,
) -> None:
    """The next list of certificates that were taken back: `https.client_crl`. The gateway reads it again by itself."""
    signer, now = ClientAuthority.open(authority), datetime.now(UTC)
    serials = [signer.serial_of(read_file(each)) for each in revoke or []] + [_serial(each) for each in serial or []]
    previous = read_file(output) if output.exists() else b""
    validity = parse_duration(valid)
    replace_list(output, signer.revocation_list(now, previous=previous, revoke=serials, validity=validity))
    told = {
        "list": str(output),
        "taken back now": [f"{each:x}" for each in serials],
        "next list before": (now + validity).isoformat(timespec="seconds"),
    }
    (show_json if as_json else show_fields)(told)


def _serial(text: str) -> int:
    try:
        found = int(text.replace(":", ""), 16)
    except ValueError:
        found = 0
    if not 0 < found < 1 << 160:  # RFC 5280 section 4.1.2.2: 20 octets
        raise Unusable("--serial takes hex digits, as `openssl x509 -noout -serial` prints them")
    return found
