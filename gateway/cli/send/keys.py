"""The key a client proves itself with: from a file, or held by ssh-agent, which signs and never shows it.

What it is not: a place to make keys (`hetao keys client`, `ssh-keygen`). A change must keep these:
1. A file that others may read is refused, as ssh does; no part of a key gets into a message.
2. The algorithm follows from the key: Ed25519 is EdDSA, P-256 is ES256, and there is nothing else.

Sources: RFC 7515, RFC 7518 section 3.4, RFC 8037 section 3.1, RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8709,
draft-ietf-sshm-ssh-agent.
"""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from gateway.cli.desk import read_file
from gateway.core.errors import NotAuthenticated, Unusable
from gateway.wire.sshsig import public_blob

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_AGENT_KEYS: Final = {"ssh-ed25519": "EdDSA", "ecdsa-sha2-nistp256": "ES256"}


class Signing(Protocol):
    """A key that signs."""

    @property
    def algorithm(self) -> str:
        """`EdDSA` or `ES256`."""

    async def sign(self, message: bytes) -> bytes:
        """The signature in the form of a JWS: 64 bytes."""


def open_key(path: Path) -> Signing:
    """The key of a file: a private key, or a public one (`.pub`) whose private half ssh-agent holds.

    Raises:
        Unusable: It is no such key, others may read it, or it has a passphrase.
    """
    content = read_file(path)
    if path.suffix == ".pub" or content.startswith((b"ssh-", b"ecdsa-")):
        return AgentKey(content.decode("utf-8", "replace"))
    if path.stat().st_mode & _OTHERS:
        raise Unusable(f"others may read {path}: chmod 600")
    try:
        load = load_ssh_private_key if _OPENSSH in content else load_pem_private_key
        key = load(content, password=None)
    except TypeError:
        raise Unusable(
            f"{path} has a passphrase: add it to ssh-agent (ssh-add {path}) and name {path}.pub instead"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable(f"{path} is no private key in PEM or OpenSSH's form") from None
    if isinstance(key, Ed25519PrivateKey):
        return FileKey(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return FileKey(key)
    raise Unusable(f"{path} is neither an Ed25519 nor a P-256 key")


class FileKey:
    """A private key in memory."""

    def __init__(self, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"

    async def sign(self, message: bytes) -> bytes:
        """Sign with it."""
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(message)
        return _fixed(*decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256()))))


class AgentKey:
    """A key that ssh-agent holds.

    Args:
        line: Its public half, as in a `.pub` file.

    Raises:
        Unusable: It is no public key, or one that makes no JWS: a key of a FIDO token signs other bytes than it is given.
    """

    def __init__(self, line: str) -> None:
        kind = line.split(" ", 1)[0]
        if kind not in _AGENT_KEYS:
            raise Unusable(f"a key in ssh-agent must be one of {', '.join(_AGENT_KEYS)}, not {kind[:40]!r}")
        try:
            self._blob: bytes = public_blob(line)
        except ValueError as wrong:
            raise Unusable(f"this is no public key: {wrong}") from wrong
        self.algorithm = _AGENT_KEYS[kind]

    async def sign(self, message: bytes) -> bytes:
        """Have it signed; raises NotAuthenticated where no agent holds the key."""
        import asyncssh  # noqa: PLC0415  # it takes its time to load, and a key in a file does without

        try:
            async with asyncssh.connect_agent() as agent:
                return from_ssh(await agent.sign(self._blob, message))
        except (OSError, ValueError, asyncssh.Error) as wrong:
            digest = base64.b64encode(hashlib.sha256(self._blob).digest()).decode().rstrip("=")
            raise NotAuthenticated(
                f"ssh-agent does not sign with SHA256:{digest}: is it running ($SSH_AUTH_SOCK), and was the key added?"
            ) from wrong


def from_ssh(signature: bytes) -> bytes:
    """The 64 bytes of a JWS from a signature in SSH's form.

    Raises:
        ValueError: It is of another kind.
    """
    kind, rest = _string(signature)
    inner, after = _string(rest)
    if after:
        raise ValueError("bytes after the signature")
    if kind == b"ssh-ed25519" and len(inner) == 64:
        return inner
    if kind == b"ecdsa-sha2-nistp256":
        r, more = _string(inner)
        s, none = _string(more)
        if not none and len(r) <= 33 and len(s) <= 33:
            return _fixed(int.from_bytes(r), int.from_bytes(s))
    raise ValueError("a signature of another kind")


def _string(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4])
    if len(data) < 4 + length:
        raise ValueError("a signature that ends early")
    return data[4 : 4 + length], data[4 + length :]


def _fixed(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)
