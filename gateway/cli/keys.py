"""`hetao keys`: keys for the people and machines around the gateway; private halves never leave the folder they are made in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key, rotate_jwt_key
from certs.keyfiles import KeyFiles, make_key_folder
from certs.sshca import issue_user_certificate, make_ssh_ca
from certs.sshkeys import make_ssh_key
from gateway.cli import apppassword, clientca
from gateway.cli.desk import (
    SHELL,
    AsJson,
    Config,
    find_settings,
    out,
    parse_duration,
    read_file,
    show_fields,
    show_json,
    with_gateway,
    write_new,
)
from gateway.cli.officer import load_key
from gateway.core.errors import Unusable
from gateway.core.identity import SENDER_SCOPES
from gateway.identity.jwk import parse_jwk, public_jwk
from gateway.stores.signing import FileLedgerSigner, FileSigner

if TYPE_CHECKING:  # opening a gateway imports every ring; commands that open none must not wait for that
    from gateway.wiring import Gateway

app = typer.Typer(
    no_args_is_help=True,
    help="Make keys, certificates and passwords; revoke them; show and change the gateway's own keys.",
)
app.command("client-ca")(clientca.client_ca)
app.command("client-sign")(clientca.client_sign)
app.command("client-crl")(clientca.client_crl)
app.command("app-password")(apppassword.app_password)
Folder = Annotated[Path, typer.Option("--dir", help="Folder for keys, made with mode 0700 where it is missing.")]


def _tell(made: KeyFiles) -> None:
    show_fields({"private": made.private, "public": made.public, "known as": made.identity})


@app.command()
def officer(name: str, folder: Folder = Path("keys-of-mine")) -> None:
    """An SSH key for an officer (an Ed25519 key made with ssh-keygen serves as well)."""
    _tell(make_ssh_key(make_key_folder(folder), name, name))


@app.command()
def client(
    name: str,
    folder: Folder = Path("keys-of-mine"),
    algorithm: Annotated[str, typer.Option(help="ES256 or EdDSA.")] = "ES256",
) -> None:
    """A key for a machine client; its public JWK goes into the registry."""
    made = make_jwt_key(make_key_folder(folder), name, algorithm)
    _tell(made)
    out.print(json.dumps(json.loads(made.public.read_bytes())), soft_wrap=True, highlight=False)


@app.command()
def jwk(
    public: Annotated[Path, typer.Argument(help="A public SSH key, Ed25519 or ECDSA P-256; - for standard input.")],
) -> None:
    """The JWK of an SSH key, for `[[client]]` in the registry: `hetao send` signs in with it, from ssh-agent too."""
    try:
        key = load_ssh_public_key(read_file(public))
    except (ValueError, UnsupportedAlgorithm) as wrong:
        raise Unusable(f"{public} is no public SSH key: {wrong}") from wrong
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise Unusable("a client's key is Ed25519 or ECDSA P-256: make one with ssh-keygen -t ed25519")
    print(json.dumps(dict(parse_jwk(public_jwk(key)).jwk)))  # noqa: T201  # not through rich, which would wrap


@app.command()
def user(name: str, folder: Folder = Path("keys-of-mine")) -> None:
    """An SSH key for a person at the SFTP door (one made with ssh-keygen serves as well); its line goes into the registry."""
    made = make_ssh_key(make_key_folder(folder), name, name)
    _tell(made)
    out.print(" ".join(read_file(made.public).decode().split()[:2]), soft_wrap=True, highlight=False)


@app.command()
def host(name: str = "sftp_host", folder: Folder = Path("keys")) -> None:
    """A host key for the SFTP door of a gateway that was made before it had one; `hetao init` makes it for a new one."""
    _tell(make_ssh_key(make_key_folder(folder), name, "hetao-gateway"))


@app.command("ssh-ca")
def ssh_ca(name: str = "ssh_user_ca", folder: Folder = Path("keys-of-mine")) -> None:
    """A key for the SSH CA. Keep it off the gateway's host: `sftp.user_ca` there names the public half alone."""
    _tell(make_ssh_ca(make_key_folder(folder), name))


@app.command("ssh-sign")
def ssh_sign(
    public: Annotated[Path, typer.Argument(help="The person's public key, a .pub file; - for standard input.")],
    institution: Annotated[str, typer.Option("--institution", help="Its identifier: the login name.")],
    person: Annotated[str, typer.Option("--person", help="The registered person's identifier.")],
    authority: Annotated[Path, typer.Option("--ca", help="The CA's private key.")] = Path("keys-of-mine/ssh_user_ca"),
    valid: Annotated[str, typer.Option("--valid", help="How long: 90m, 24h or 7d; 90 days at the most.")] = "24h",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do; may be repeated. Everything a sender may.")
    ] = None,
    source_address: Annotated[
        list[str] | None, typer.Option("--source-address", help="Network it may be used from; may be repeated.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Certificate; <key>-cert.pub; - to print it.")] = None,
    as_json: AsJson = False,
) -> None:
    """A certificate for a person's SSH key, which then needs no registration of its own; the person does."""
    if output is None and public.suffix != ".pub":
        raise Unusable("name the certificate's file with --out")
    issued = issue_user_certificate(
        load_key(authority),
        read_file(public).decode("utf-8", "replace"),
        institution=institution,
        person=person,
        scopes=scope or SENDER_SCOPES,
        now=datetime.now(UTC),
        validity=parse_duration(valid),
        source_addresses=source_address or (),
    )
    target = output or public.with_name(f"{public.stem}-cert.pub")
    told = {
        "serial": str(issued.serial),
        "institution": institution,
        "person": person,
        "valid_from": issued.valid_from.isoformat(),
        "valid_to": issued.valid_to.isoformat(),
    }
    if str(target) == "-":
        print(issued.line.decode(), end="")  # noqa: T201  # not through rich, which would wrap
        return
    write_new(target, issued.line)
    told["certificate"] = str(target)
    (show_json if as_json else show_fields)(told)


@app.command()
def revoke(
    kind: Annotated[
        str, typer.Argument(help="client, sshkey, password, certificate (SSH), client-certificate (TLS), or person.")
    ],
    name: Annotated[
        str, typer.Argument(help="Its identifier; an SSH certificate's serial number, a TLS one's SHA-256.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the ledger, committed to and not shown.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shut out a credential, or all SSH certificates of a person, for ever; the doors follow in seconds, the ledger keeps it."""

    async def work(gateway: Gateway) -> tuple[str, bool]:
        return await gateway.revocation.revoke(SHELL, kind, name, reason)

    client, now = with_gateway(config, work)
    if as_json:
        show_json({"client": client, "revoked_now": now})
        return
    out.print(f"{client} is revoked" if now else f"{client} was revoked before", highlight=False)


@app.command("rotate-tokens")
def rotate_tokens(
    algorithm: Annotated[str, typer.Option(help="ES256 or EdDSA; the old key's where not given.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """A new key for access tokens: it signs from now on; the old one's tokens are good until the last of them has run out."""
    from gateway.identity.tokens import ACCEPTED_AFTER  # noqa: PLC0415  # it imports the flow: other commands need not wait

    done = rotate_jwt_key(find_settings(config).path("keys.tokens"), datetime.now(UTC), ACCEPTED_AFTER, algorithm)
    told = {"signs": done.kid, "signed": done.former, "accepted_until": done.until.isoformat(timespec="seconds")}
    (show_json if as_json else show_fields)(told)


@app.command()
def recipient(name: str, folder: Folder = Path("keys-of-mine")) -> None:
    """A Crypt4GH key pair for a recipient; the base64 of its public half goes into the registry."""
    made = make_crypt4gh_key(make_key_folder(folder), name)
    _tell(made)
    out.print(read_file(made.public).decode().splitlines()[1], highlight=False)


@app.command()
def show(config: Config = None) -> None:
    """The gateway's public keys: give them to whoever checks receipts and checkpoints."""
    settings = find_settings(config)
    signer = FileSigner(settings.path("keys.signing"))
    ledger = FileLedgerSigner(settings.path("keys.ledger"), settings.text("ledger.origin"))
    shown = {"signing": signer.public_line, "ledger": ledger.verifier_key}
    host_line = settings.path("sftp.host_key").with_suffix(".pub")
    if host_line.exists():
        shown["sftp"] = " ".join(read_file(host_line).decode().split()[:2])
    show_fields(shown)
