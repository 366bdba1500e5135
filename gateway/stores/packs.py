"""The signature over a rule pack: an SSH signature (SSHSIG) over its DIGEST file, beside it as DIGEST.sig.

What it is not: leave to decide. Two officers activate a digest; a signature says who made the pack, wherever it was copied.

A change must keep these:
1. A signature that is there holds, or the pack is refused: over this DIGEST, for `hetao-policy`, by a key that
   SSHSIG takes here.
2. Where signers are named, a pack without a signature by one of them is refused.
3. `ssh-keygen -Y verify -n hetao-policy` checks the same thing without us.

Source: OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from gateway.core.errors import StoreError, Unusable
from gateway.wire import Malformed, sshsig

DIGEST: Final = "DIGEST"
SIGNATURE: Final = "DIGEST.sig"
NAMESPACE: Final = "hetao-policy"
_MOST_SIGNERS: Final = 100


def signed_bytes(digest: str) -> bytes:
    """What is signed: the DIGEST file, byte for byte."""
    return digest.encode("ascii") + b"\n"


def checked_signer(root: Traversable, digest: str, signers: frozenset[sshsig.PublicKeyBlob]) -> str:
    """The fingerprint of the key that signed a pack; empty where nobody did and nobody had to.

    Args:
        root: The pack's folder.
        digest: Of its content, as it was computed.
        signers: Keys of which one must have signed; empty: no signature is asked for.

    Raises:
        Unusable: The signature does not hold, is another's, or is missing where signers are named.
        StoreError: It cannot be read.
    """
    armored = _signature(root)
    if armored is None:
        if signers:
            raise Unusable(
                f"the rule pack is not signed and policies.signers asks for it: `hetao policy sign` makes {SIGNATURE}"
            )
        return ""
    try:
        by = sshsig.verify(armored, signed_bytes(digest), NAMESPACE)
    except Malformed as wrong:
        raise Unusable(
            f"the rule pack's {SIGNATURE} does not hold over its content: {wrong}; review the pack and sign it again"
        ) from wrong
    if signers and by not in signers:
        raise Unusable(f"the rule pack was signed by {sshsig.fingerprint(by)}, which policies.signers does not name")
    return sshsig.fingerprint(by)


def read_signers(path: Path) -> frozenset[sshsig.PublicKeyBlob]:
    """The keys in a file of public key lines, as in `authorized_keys` without options; `#` begins a remark.

    Raises:
        Unusable: It cannot be read, holds no key, too many, or a line that is none.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise Unusable(f"policies.signers cannot be read: {wrong}") from wrong
    keys = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    if not 0 < len(keys) <= _MOST_SIGNERS:
        raise Unusable(f"policies.signers must name 1 to {_MOST_SIGNERS} keys, one a line: ssh-ed25519 AAAA...")
    try:
        return frozenset(map(sshsig.public_blob, keys))
    except Malformed as wrong:
        raise Unusable(f"policies.signers holds a line that is no public key: {wrong}") from wrong


def write_signature(folder: Path, armored: bytes) -> None:
    """Put a signature beside the DIGEST it is over.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        (folder / SIGNATURE).write_bytes(armored)
    except OSError as error:
        raise StoreError(f"the rule pack's {SIGNATURE} cannot be written: {error}", retry=False) from error


def drop_signature(folder: Path) -> None:
    """Remove the signature over a DIGEST that was replaced; it would be refused at every load.

    Raises:
        StoreError: It cannot be removed.
    """
    try:
        (folder / SIGNATURE).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"the rule pack's {SIGNATURE} cannot be removed: {error}", retry=False) from error


def _signature(root: Traversable) -> bytes | None:
    entry = root.joinpath(SIGNATURE)
    try:
        if not entry.is_file():
            return None
        with entry.open("rb") as file:
            return file.read(sshsig.MAX_SIGNATURE + 1)
    except OSError as error:
        raise StoreError(f"the rule pack's {SIGNATURE} cannot be read: {error}", retry=False) from error
