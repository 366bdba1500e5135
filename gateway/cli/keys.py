"""`hetao keys`: keys for the people and machines around the gateway; private halves never leave the folder they are made in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key
from certs.keyfiles import KeyFiles, make_key_folder
from certs.sshkeys import make_ssh_key
from gateway.cli.desk import Config, find_settings, out, read_file, show_fields
from gateway.stores.signing import FileLedgerSigner, FileSigner

app = typer.Typer(no_args_is_help=True, help="Make keys for officers, clients and recipients; show the gateway's own.")
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
def user(name: str, folder: Folder = Path("keys-of-mine")) -> None:
    """An SSH key for a person at the SFTP door (one made with ssh-keygen serves as well); its line goes into the registry."""
    made = make_ssh_key(make_key_folder(folder), name, name)
    _tell(made)
    out.print(" ".join(read_file(made.public).decode().split()[:2]), soft_wrap=True, highlight=False)


@app.command()
def host(name: str = "sftp_host", folder: Folder = Path("keys")) -> None:
    """A host key for the SFTP door of a gateway that was made before it had one; `hetao init` makes it for a new one."""
    _tell(make_ssh_key(make_key_folder(folder), name, "hetao-gateway"))


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
