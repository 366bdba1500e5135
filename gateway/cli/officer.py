"""An officer's signature at the terminal: from a private key file, or made elsewhere with `ssh-keygen -Y sign`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from gateway.cli.desk import read_file
from gateway.core.errors import Unusable
from gateway.wire import sshsig

if TYPE_CHECKING:
    from gateway.wiring import Gateway

Key = Annotated[
    Path, typer.Option("--key", help="Your private SSH key (Ed25519 or ECDSA); it never leaves this command.")
]


Reason = Annotated[str, typer.Option("--reason", help="Why; goes into the ledger with your name.")]
For = Annotated[str, typer.Option("--for", help="The officer you stand in for; your own office where not given.")]


async def office(gateway: Gateway, key: Path, stands_for: str) -> str:
    """The officer in whose name this key signs today: its own office, or the one it stands in for.

    Raises:
        Unusable: It has no seat, or several and none was named.
    """
    seats = await gateway.review.seats(own_blob(key))
    named = [each for each in seats if stands_for in {"", each.officer.id}]
    if not named or (not stands_for and named[0].deputy and len(named) > 1):
        known = ", ".join(each.officer.id for each in seats) or "none"
        raise Unusable(f"say with --for in whose office you sign; this key signs for: {known}")
    return named[0].officer.id


@cache
def load_key(path: Path) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    """A private key in OpenSSH's format; asks for the passphrase where it has one.

    Raises:
        Unusable: It is no such key, or the passphrase is wrong.
    """
    data = read_file(path)
    try:
        try:
            key = load_ssh_private_key(data, None)
        except (TypeError, ValueError) as locked:
            if "password" not in str(locked).lower() and "encrypted" not in str(locked).lower():
                raise
            key = load_ssh_private_key(
                data, typer.prompt(f"Passphrase of {path.name}", hide_input=True, err=True).encode()
            )
    except (TypeError, ValueError, UnsupportedAlgorithm) as wrong:
        raise Unusable(f"{path.name} is not an OpenSSH private key this command can use: {wrong}") from wrong
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise Unusable(
            f"{path.name} must be an Ed25519 or ECDSA key; for a security key sign with `ssh-keygen -Y sign`"
        )
    return key


def sign_file(key: Path, namespace: str, message: bytes) -> bytes:
    """An armored SSHSIG over a message."""
    return sshsig.sign(load_key(key), message, namespace)


def own_blob(key: Path) -> bytes:
    """The public key blob of a private key file, by which the registry knows the officer."""
    return sshsig.blob_of(load_key(key))
