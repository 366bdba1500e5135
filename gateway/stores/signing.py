"""Private keys in files: the gateway's signing key, the ledger's, and the private half of the vault's.

What it is not: a place to make keys (`certs`). It only reads them, once, at the start.

A change must keep these:
1. A key file that anybody but its owner can read is refused, not warned about.
2. No part of a key, nor of a file that is no key, gets into a message.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from gateway.core.errors import BrokenPromise, Unusable
from gateway.wire import Malformed, checkpoint, crypt4gh, crypt4gh_keys, sshsig

MAX_KEY_FILE = 1 << 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileSigner:
    """`gateway.ports.Signer`: an Ed25519 key in an OpenSSH or PEM (PKCS #8) file without a passphrase.

    Attributes:
        public_line: The public half as OpenSSH writes it, without a comment.

    Raises:
        Unusable: Where the file cannot be read, others can read it, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._key = read_ed25519(path)
        self.public_line = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")

    def sign(self, namespace: str, message: bytes) -> bytes:
        """An armored SSHSIG over the message for the namespace."""
        return sshsig.sign(self._key, message, namespace)


class FileLedgerSigner:
    """`gateway.ports.LedgerSigner`: an Ed25519 key in a file as `FileSigner` takes it.

    Attributes:
        origin: The ledger's identity and key name, one line.
        verifier_key: The public half as C2SP writes it, `name+hash+base64`.

    Raises:
        Unusable: As `FileSigner`, and where the origin is no key name.
    """

    def __init__(self, path: Path, origin: str) -> None:
        self._key = read_ed25519(path)
        self.origin = origin
        public = self._key.public_key().public_bytes_raw()
        try:
            self.verifier_key = checkpoint.format_verifier_key(
                checkpoint.VerifierKey(origin, checkpoint.ED25519, public)
            )
        except Malformed as wrong:
            raise Unusable(f"the ledger's origin must be a key name such as gateway.example/ledger: {wrong}") from wrong

    def sign_checkpoint(self, size: int, root: bytes) -> bytes:
        """A signed note over the checkpoint (C2SP tlog-checkpoint)."""
        head = checkpoint.Checkpoint(self.origin, size, root)
        return checkpoint.format_note(checkpoint.sign(head, self.origin, self._key))


class VaultOpener:
    """`gateway.ports.HeaderOpener`: the vault's private key in a Crypt4GH key file without a passphrase.

    Raises:
        Unusable: Where the file cannot be read, others can read it, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._key = crypt4gh_keys.parse_private_key(read_secret(path))
        except Malformed as wrong:
            raise Unusable(f"{path} is no Crypt4GH private key without a passphrase: {wrong}") from wrong

    @property
    def public_key(self) -> bytes:
        """The public half, 32 bytes: what doors seal to."""
        return crypt4gh_keys.public_key(self._key)

    def open(self, header: bytes) -> Sequence[bytes]:
        """The session keys in a header sealed to the vault; raises BrokenPromise where it does not open."""
        try:
            return crypt4gh.open_header(header, self._key).session_keys
        except Malformed as wrong:
            raise BrokenPromise(f"a sealed part's header does not open with the vault's key: {wrong}") from wrong


def read_ed25519(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 private key in an OpenSSH or PEM file.

    Raises:
        Unusable: Where the file cannot be read, others can read it, or it holds something else.
    """
    data = read_secret(path)
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, password=None)
    except TypeError as protected:
        raise Unusable(f"{path} is protected by a passphrase: the gateway starts unattended, remove it") from protected
    except (ValueError, UnsupportedAlgorithm) as wrong:
        raise Unusable(f"{path} is no private key in OpenSSH or PEM form: make one with hetao keys") from wrong
    if not isinstance(key, Ed25519PrivateKey):
        raise Unusable(f"{path} holds a key that is not Ed25519: make one with ssh-keygen -t ed25519")
    return key


def read_secret(path: Path) -> bytes:
    """The bytes of a file that only its owner can read.

    Raises:
        Unusable: Where it cannot be read, is larger than `MAX_KEY_FILE`, or its mode lets others in.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unusable(f"{path} is not a file")
            if found.st_mode & _OTHERS:
                raise Unusable(f"others can read the key file {path}: chmod 600 it, and think of the key as known")
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as refused:
        raise Unusable(f"the key file {path} cannot be read: {os.strerror(refused.errno or 0)}") from refused
    if len(data) > MAX_KEY_FILE:
        raise Unusable(f"{path} is too large for a key file")
    return data
