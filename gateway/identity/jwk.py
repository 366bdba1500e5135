"""Public keys as JSON Web Keys, and the gateway's own token key.

What it is not: a place to make keys (`certs`), nor a choice of algorithms: there are two, and the key decides which.

A change must keep these:
1. The algorithm follows from the registered key's type and curve, never from a token's header: `none`, and HS256 with
   the public key as secret, are attacks on those who let the header choose.
2. A JWK with a private member is refused: it was copied to where it must never be.
3. No part of a private key, nor of a file that is no key, gets into a message.

Sources: RFC 7517 (JWK), RFC 7518 section 6.2 (P-256), RFC 8037 (Ed25519), RFC 7638 (thumbprint), RFC 8725 section 3.1.
"""

from __future__ import annotations

import base64
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from gateway.core.errors import StoreError, Unusable
from gateway.wire import canonical

ALGORITHMS: Final = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
EVENT_TYP: Final = "hetao-event"
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MEMBERS: Final = {"ES256": ("crv", "kty", "x", "y"), "EdDSA": ("crv", "kty", "x")}
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_JWS: Final = PyJWS(algorithms=sorted(ALGORITHMS.values()))

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class VerifyingKey:
    """A public key and the one algorithm it is used with.

    Attributes:
        algorithm: `ES256` or `EdDSA`.
        kid: RFC 7638 thumbprint.
        jwk: The public members, `kid`, `alg` and `use`, for a JWK set.
    """

    algorithm: str
    kid: str
    jwk: Mapping[str, str]

    def verified(self, token: str) -> tuple[dict[str, Any], bytes]:
        """The header and the payload of a compact JWS this key signed; nothing of the payload is checked.

        Raises:
            ValueError: Where the signature does not hold, the header names another algorithm, or has `crit`.
        """
        try:
            opened = _JWS.decode_complete(token, PyJWK(dict(self.jwk), self.algorithm), algorithms=[self.algorithm])
        except (PyJWTError, ValueError, TypeError) as wrong:
            raise ValueError("the signature does not hold") from wrong
        header: dict[str, Any] = opened["header"]
        if "crit" in header or "b64" in header:
            raise ValueError("the header has extensions that nobody here knows")  # RFC 7515 section 4.1.11
        return header, opened["payload"]


def algorithm_of(jwk: Mapping[str, str]) -> str | None:
    """The one algorithm a key of this type and curve is used with here, if any."""
    return ALGORITHMS.get((jwk.get("kty", ""), jwk.get("crv", "")))


def parse_jwk(jwk: Mapping[str, str]) -> VerifyingKey:
    """A registered public key.

    Raises:
        Unusable: Where it is not P-256 or Ed25519, says another algorithm or use, is not on its curve, or is private.
    """
    algorithm = algorithm_of(jwk)
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise Unusable("a client's key is a signing key on P-256 (ES256) or Ed25519 (EdDSA)", code="bad-jwk")
    if _PRIVATE_MEMBERS & set(jwk):
        raise Unusable("this JWK holds a private key: make a new pair and register the public half", code="bad-jwk")
    try:
        required = {name: jwk[name] for name in _MEMBERS[algorithm]}
        PyJWK(required, algorithm)
    except (KeyError, PyJWTError, ValueError, TypeError) as wrong:
        raise Unusable("this JWK holds no public key of its curve", code="bad-jwk") from wrong
    kid = _base64url(
        hashlib.sha256(canonical.encode(required)).digest()
    )  # RFC 7638 section 3: canonical, required only
    return VerifyingKey(algorithm, kid, {**required, "kid": kid, "alg": algorithm, "use": "sig"})


class TokenKey:
    """The gateway's own key for access tokens: P-256 or Ed25519 in an owner-only PKCS #8 PEM file without passphrase.

    Attributes:
        public: Its public half.

    Raises:
        Unusable: Where others can read the file or it holds something else.
        StoreError: Where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._key = _read_key(path)
        self.public = parse_jwk(public_jwk(self._key.public_key()))

    def signing(self) -> TokenKey:
        """Itself: a key that never changes (`tokens.SigningKeys`)."""
        return self

    def published(self, _now: datetime) -> Mapping[str, VerifyingKey]:
        """Its public half alone."""
        return {self.public.kid: self.public}

    def sign(self, payload: bytes, typ: str) -> str:
        """A compact JWS with `typ`, `alg` and `kid` in its header."""
        header = {"typ": typ, "kid": self.public.kid}
        return _JWS.encode(payload, self._key, self.public.algorithm, headers=header)

    def sign_detached(self, payload: bytes) -> str:
        """The same for an event, without the payload between the dots (`ports.EventSigner`; RFC 7515 appendix F).

        Its `typ` is no access token's, so that neither can be taken for the other (RFC 8725 section 3.11).
        """
        header, _, signature = self.sign(payload, EVENT_TYP).split(".")
        return f"{header}..{signature}"


def public_jwk(key: ec.EllipticCurvePublicKey | Ed25519PublicKey) -> dict[str, str]:
    """The public members of a key as a JWK (other curves than P-256 get their name and are refused by `parse_jwk`)."""
    if isinstance(key, Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    point, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    curve = "P-256" if isinstance(key.curve, ec.SECP256R1) else key.curve.name
    x, y = (_base64url(value.to_bytes(size, "big")) for value in (point.x, point.y))
    return {"crv": curve, "kty": "EC", "x": x, "y": y}


def _read_key(path: Path) -> PrivateKey:
    try:
        if path.stat().st_mode & _OTHERS:
            raise Unusable(f"others may read {path.name}: chmod 600", code="key-file")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as failed:
        raise StoreError(f"the token key {path.name} cannot be read: {failed.strerror}", retry=False) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable(f"{path.name} is no PEM private key without passphrase", code="key-file") from None
    if not isinstance(key, PrivateKey):
        raise Unusable(f"{path.name} is neither a P-256 nor an Ed25519 key", code="key-file")
    return key


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
