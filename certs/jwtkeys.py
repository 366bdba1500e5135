"""Keys for JWTs: a machine client's, with which it proves who it is (`private_key_jwt`, RFC 7523), and the gateway's for tokens.

What this is not: a token; the client signs its assertions itself, the gateway its tokens. The registry holds the public JWK and
the natural person who answers for the client.
Source: RFC 7517 (JWK), RFC 7518 section 6.2 (P-256), RFC 8037 (Ed25519), RFC 7638 (thumbprint as key id).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from certs.keyfiles import KeyFiles, sync_folder, write_pair, write_private, write_public
from gateway.core.errors import StoreError, Unusable

ALGORITHMS = ("ES256", "EdDSA")


def make_jwt_key(folder: Path, name: str, algorithm: str = "ES256") -> KeyFiles:
    """A fresh key pair as `<name>` (PKCS #8 PEM) and `<name>.jwk`; its identity is the key id.

    Raises:
        Conflict: One of the files exists.
        Unusable: The algorithm is not ES256 or EdDSA, the folder is open to others or the name is no plain file name.
    """
    key = _fresh(algorithm)
    jwk = public_jwk(key.public_key())
    return write_pair(folder, name, _pem(key), (".jwk", _text(jwk)), jwk["kid"])


@dataclass(frozen=True)
class Rotation:
    """A token key that took another's place.

    Attributes:
        kid: The new key's id.
        former: The id of the one before.
        until: When that one's tokens are refused.
    """

    kid: str
    former: str
    until: datetime


def rotate_jwt_key(path: Path, now: datetime, overlap: timedelta, algorithm: str = "") -> Rotation:
    """A fresh token key in the place of the one at `path`, whose private half is destroyed.

    1. The public half of the old key is written to `<path>.former`, with the time until which its tokens are taken. Others there
       whose time has passed are dropped.
    2. The new key takes the file's place in one step, and `<path>.jwk` follows.
    After a crash between the steps the old key goes on signing, and the command is run again.

    Args:
        path: The private key's file.
        now: The current instant, aware.
        overlap: The life of the longest token the old key may sign yet.
        algorithm: ES256 or EdDSA; the old key's where not given.

    Raises:
        Conflict: Another rotation is under way, or one was cut off and left `<path>.next`.
        StoreError: A file cannot be read or written.
        Unusable: The file holds no such key, or `<path>.former` something else.
    """
    former = path.with_name(path.name + ".former")
    beside = path.with_name(path.name + ".next")
    old = public_jwk(_read(path).public_key())
    key = _fresh(algorithm or old["alg"])
    until = now + overlap
    write_private(beside, _pem(key))  # refuses to run beside another
    try:
        kept = [each for each in _listed(former) if each["until"] > now.timestamp() and each["kid"] != old["kid"]]
        entry: dict[str, Any] = {**old, "until": int(until.timestamp()) + 1}
        _replace(former, _text({"keys": [entry, *kept]}))  # step 1
        beside.replace(path)  # step 2
        sync_folder(path.parent)
        new = public_jwk(key.public_key())
        _replace(path.with_name(path.name + ".jwk"), _text(new))
    except OSError as refused:
        raise StoreError(f"the token key cannot be replaced ({refused.strerror})", retry=False) from refused
    finally:
        beside.unlink(missing_ok=True)
    return Rotation(new["kid"], old["kid"], until)


def _fresh(algorithm: str) -> ec.EllipticCurvePrivateKey | Ed25519PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    raise Unusable(f"the algorithm must be one of {', '.join(ALGORITHMS)}", code="bad-key-algorithm")


def _read(path: Path) -> ec.EllipticCurvePrivateKey | Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as refused:
        raise StoreError(f"{path.name} cannot be read ({refused.strerror})", retry=False) from refused
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable(f"{path.name} is no PEM private key without passphrase", code="key-file") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise Unusable(f"{path.name} is neither a P-256 nor an Ed25519 key", code="key-file")
    return key


def _listed(former: Path) -> list[dict[str, Any]]:
    try:
        listed = json.loads(former.read_bytes())["keys"]
        if all(isinstance(each["kid"], str) and isinstance(each["until"], int) for each in listed):
            return list(listed)
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        pass  # said below
    raise Unusable(f"{former.name} is no list of former token keys: move it away", code="key-file")


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    write_public(beside, content).replace(path)
    sync_folder(path.parent)


def _pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _text(document: Any) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def public_jwk(key: ec.EllipticCurvePublicKey | Ed25519PublicKey) -> dict[str, str]:
    """A public key as JWK with `kid` (its RFC 7638 thumbprint), `alg` and `use`.

    Raises:
        Unusable: An elliptic curve other than P-256.
    """
    if isinstance(key, Ed25519PublicKey):
        required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
        algorithm = "EdDSA"
    elif isinstance(key.curve, ec.SECP256R1):
        point = key.public_numbers()
        required = {"crv": "P-256", "kty": "EC", "x": _coordinate(point.x), "y": _coordinate(point.y)}
        algorithm = "ES256"
    else:
        raise Unusable("only P-256 and Ed25519 keys are accepted", code="bad-key-algorithm")
    # RFC 7638 section 3: the required members in lexicographic order, without white space.
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    thumbprint = _base64url(hashlib.sha256(canonical).digest())
    return {**required, "kid": thumbprint, "alg": algorithm, "use": "sig"}


def _coordinate(value: int) -> str:
    return _base64url(value.to_bytes(32, "big"))  # RFC 7518 section 6.2.1.2: full length, zeros included


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
