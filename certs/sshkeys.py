"""SSH host and user keys (Ed25519) in OpenSSH's format.

What this is not: an SSH certificate authority, nor a replacement for `ssh-keygen`: users make their own keys, machines
get theirs here.
Source: OpenSSH PROTOCOL.key, RFC 8709 (Ed25519 in SSH).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certs.keyfiles import KeyFiles, write_pair
from gateway.core.errors import Unusable


def make_ssh_key(folder: Path, name: str, comment: str) -> KeyFiles:
    """A fresh key pair as `<name>` and `<name>.pub`; its identity is `SHA256:...` as `ssh-keygen -l` prints it.

    Args:
        folder: Key folder, mode 0700.
        name: File name, such as `ssh_host_ed25519_key` or `hku_upload`.
        comment: What stands at the end of the public line: the machine or account.

    Raises:
        Conflict: One of the files exists.
        Unusable: The comment is not one line, the folder is open to others or the name is no plain file name.
    """
    if not comment.isprintable():
        raise Unusable("a key's comment must be one line of text", code="bad-key-comment")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public = line + (b" " + comment.encode() if comment else b"") + b"\n"
    return write_pair(folder, name, private, (".pub", public), fingerprint(line))


def fingerprint(public_line: bytes) -> str:
    """`SHA256:` and the unpadded base64 of the SHA-256 of a public key's wire form, as OpenSSH prints it."""
    blob = base64.b64decode(public_line.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
