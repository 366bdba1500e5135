"""Keys with which a machine client proves who it is to `/oauth2/token` (`private_key_jwt`, RFC 7523).

What this is not: a token; the client signs those itself. The registry holds the public JWK and the natural person who
answers for the client.
Source: RFC 7517 (JWK), RFC 7518 section 6.2 (P-256), RFC 8037 (Ed25519), RFC 7638 (thumbprint as key id).
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from certs.keyfiles import KeyFiles, write_pair
from gateway.core.errors import Unusable

ALGORITHMS = ("ES256", "EdDSA")


def make_jwt_key(folder: Path, name: str, algorithm: str = "ES256") -> KeyFiles:
    """A fresh key pair as `<name>` (PKCS #8 PEM) and `<name>.jwk`; its identity is the key id.

    Raises:
        Conflict: One of the files exists.
        Unusable: The algorithm is not ES256 or EdDSA, the folder is open to others or the name is no plain file name.
    """
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        key = Ed25519PrivateKey.generate()
    else:
        raise Unusable(f"the algorithm must be one of {', '.join(ALGORITHMS)}", code="bad-key-algorithm")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    jwk = public_jwk(key.public_key())
    text = json.dumps(jwk, indent=2, sort_keys=True).encode() + b"\n"
    return write_pair(folder, name, pem, (".jwk", text), jwk["kid"])


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
