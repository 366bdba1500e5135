"""Ed25519 keys that sign ledger checkpoints, cosign them as a witness, or sign manifests.

What this is not: a signer, nor the formats, which are `gateway.wire.checkpoint`. Ledger, witness and manifest have keys
of their own: a key used for two things lets a signature of one be shown as the other.
Source: C2SP signed-note and tlog-cosignature (verifier keys), RFC 8032 (Ed25519), RFC 8410 (its PKCS #8 form).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from certs.keyfiles import KeyFiles, write_pair
from gateway.core.errors import Unusable
from gateway.wire import Malformed
from gateway.wire.checkpoint import COSIGNATURE, ED25519, VerifierKey, format_verifier_key


def make_signing_key(folder: Path, name: str, origin: str, *, witness: bool = False) -> KeyFiles:
    """A fresh key pair as `<name>` (PKCS #8 PEM) and `<name>.vkey`; its identity is the verifier key.

    Args:
        folder: Key folder, mode 0700.
        name: File name.
        origin: Name of the signer in signed notes, such as `gateway.example.cn/ledger`.
        witness: The key cosigns other people's checkpoints instead of signing notes.

    Raises:
        Conflict: One of the files exists.
        Unusable: The origin cannot stand in a note, the folder is open to others or the name is no plain file name.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    identity = verifier_key(origin, key.public_key(), witness=witness)
    return write_pair(folder, name, pem, (".vkey", identity.encode() + b"\n"), identity)


def verifier_key(origin: str, key: Ed25519PublicKey, *, witness: bool = False) -> str:
    """The line by which others pin a signer: `<origin>+<hash>+<base64>`.

    Raises:
        Unusable: The origin cannot stand in a note.
    """
    algorithm = COSIGNATURE if witness else ED25519
    try:
        return format_verifier_key(VerifierKey(origin, algorithm, key.public_bytes_raw()))
    except Malformed as refused:
        raise Unusable(f"this signer's name cannot stand in a note: {refused}", code="bad-signer-name") from refused
