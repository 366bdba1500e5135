"""Crypt4GH key pairs (X25519) in the files that the stock `crypt4gh` tool reads.

What this is not: the file format, which is `gateway.wire.crypt4gh_keys`, nor `crypt4gh-keygen`: these keys have no
passphrase, because a machine starts without a person; the file's mode and the disk protect them.
Source: GA4GH Crypt4GH 1.0, section 4 (key files of the reference tool).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from certs.keyfiles import KeyFiles, write_pair
from gateway.wire.crypt4gh_keys import format_private_key, format_public_key, public_key


def make_crypt4gh_key(folder: Path, name: str) -> KeyFiles:
    """A fresh key pair as `<name>` and `<name>.pub`; its identity is the public key's base64 line.

    Raises:
        Conflict: One of the files exists.
        Unusable: The folder is open to others or the name is no plain file name.
    """
    private = X25519PrivateKey.generate().private_bytes_raw()
    public = format_public_key(public_key(private))
    identity = public.splitlines()[1].decode("ascii")
    return write_pair(folder, name, format_private_key(private), (".pub", public), identity)
