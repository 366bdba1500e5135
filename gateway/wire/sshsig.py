"""Signatures by SSH keys: OpenSSH's PROTOCOL.sshsig, with security keys as in PROTOCOL.u2f.

What it is not: trust, or an agent. It says which key signed; whether that key may is the caller's question.

A change must keep these:
1. The namespace is checked before the signature counts: a signature made for `git` approves no transfer.
2. Algorithms are a closed list: Ed25519, ECDSA on P-256 and P-384, and their security-key forms. RSA is refused.
3. A security key must say that its user was present; a signature made without a touch is not a person's.
4. No randomness: ECDSA signs deterministically (RFC 6979).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NewType, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.wire import BadSignature, Malformed
from gateway.wire.armor import armored, dearmored, strict_base64

PublicKeyBlob = NewType("PublicKeyBlob", bytes)
"""A public key in SSH wire form, as it stands in `authorized_keys` behind base64; equal bytes are the same key."""

SigningKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey

MAX_SIGNATURE: Final = 16_384
"""Largest armoured signature in bytes; one by a security key takes about 500."""
MAX_LINE: Final = 16_384

_LABEL: Final = b"SSH SIGNATURE"
_WIDTH: Final = 70  # where ssh-keygen breaks lines, so that equal signatures are equal files
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_HASHES: Final = frozenset({b"sha256", b"sha512"})
_USER_PRESENT: Final = 0x01

_ED25519: Final = b"ssh-ed25519"
_SK_ED25519: Final = b"sk-ssh-ed25519@openssh.com"
_SK_ECDSA: Final = b"sk-ecdsa-sha2-nistp256@openssh.com"
_SECURITY_KEYS: Final = frozenset({_SK_ED25519, _SK_ECDSA})
_P256: Final = (b"nistp256", ec.SECP256R1(), hashes.SHA256())
_P384: Final = (b"nistp384", ec.SECP384R1(), hashes.SHA384())
_ECDSA: Final = {b"ecdsa-sha2-nistp256": _P256, b"ecdsa-sha2-nistp384": _P384, _SK_ECDSA: _P256}
_ECDSA_OF_CURVE: Final = {"secp256r1": b"ecdsa-sha2-nistp256", "secp384r1": b"ecdsa-sha2-nistp384"}


@dataclass(frozen=True)
class Signature:
    """An SSH signature, parsed and not verified.

    Attributes:
        public: The key that claims to have signed.
        namespace: What the signature is for.
        reserved: Signed bytes without a meaning yet.
        hash_algorithm: `sha256` or `sha512`, over the message.
        signature: The inner signature in SSH wire form.
    """

    public: PublicKeyBlob
    namespace: bytes
    reserved: bytes
    hash_algorithm: bytes
    signature: bytes


@dataclass(frozen=True)
class _Key:
    """A public key taken apart; `application` is empty but for security keys."""

    algorithm: bytes
    verifier: Ed25519PublicKey | ec.EllipticCurvePublicKey
    application: bytes


# --- signatures ------------------------------------------------------------------------------------------------------


def parse_armored(data: bytes) -> Signature:
    """Take an armoured signature apart; nothing is verified but its form.

    Raises:
        Malformed: When this is no SSH signature of version 1, or by a key or hash that is refused.
    """
    body = Fields(dearmored(_LABEL, data, max_size=MAX_SIGNATURE))
    if body.take(len(_MAGIC)) != _MAGIC or body.uint32() != _VERSION:
        raise Malformed("not an SSH signature of version 1")
    found = Signature(PublicKeyBlob(body.string()), body.string(), body.string(), body.string(), body.string())
    body.end()
    if not found.namespace or found.hash_algorithm not in _HASHES:
        raise Malformed("an SSH signature with an empty namespace or an unknown hash")
    _parse_key(found.public)
    return found


def verify(signature_armored: bytes, message: bytes, namespace: str) -> PublicKeyBlob:
    """The key that signed `message` for `namespace`.

    Raises:
        Malformed: When this is no SSH signature, or by a key that is refused.
        BadSignature: When it is for another namespace or message, or a security key's user was not present.
    """
    found = parse_armored(signature_armored)
    # 1. the namespace, 2. the algorithm, 3. the user's presence, 4. the signature itself
    if found.namespace != namespace.encode("utf-8"):
        raise BadSignature("the signature was made for another namespace")
    verify_raw(
        found.public,
        found.signature,
        _signed_data(found.namespace, found.reserved, found.hash_algorithm, message),
    )
    return found.public


def verify_raw(public: bytes, signature: bytes, signed: bytes) -> None:
    """Check a signature in SSH wire form over bytes as they are (RFC 8709, RFC 5656, PROTOCOL.u2f).

    Raises:
        Malformed: When the key is refused or the signature is of another form.
        BadSignature: When it does not hold, or a security key's user was not present.
    """
    key = _parse_key(public)
    fields = Fields(signature)
    if fields.string() != key.algorithm:
        raise Malformed("the signature's algorithm is not that of its key")
    inner = fields.string()
    if key.algorithm in _SECURITY_KEYS:
        trailer = fields.take(5)  # flags and counter
        if not trailer[0] & _USER_PRESENT:
            raise BadSignature("the security key's user was not present")
        signed = sha256(key.application).digest() + trailer + sha256(signed).digest()
    fields.end()
    _verify_inner(key, inner, signed)


def sign(private_key: SigningKey, message: bytes, namespace: str) -> bytes:
    """An armoured signature, byte for byte what `ssh-keygen -Y sign` writes for an Ed25519 key.

    Args:
        private_key: Ed25519, or ECDSA on P-256 or P-384.
        message: What is signed, hashed with SHA-512.
        namespace: What for; not empty.

    Raises:
        ValueError: On an empty namespace or a key on another curve.
    """
    if not namespace:
        raise ValueError("a signature without a namespace could be taken for any other")
    name = namespace.encode("utf-8")
    signature = sign_raw(private_key, _signed_data(name, b"", b"sha512", message))
    parts = [blob_of(private_key), name, b"", b"sha512", signature]
    return armored(_LABEL, _MAGIC + _VERSION.to_bytes(4, "big") + b"".join(map(string, parts)), width=_WIDTH)


def sign_raw(private_key: SigningKey, signed: bytes) -> bytes:
    """A signature in SSH wire form over bytes as they are; raises ValueError for a key on another curve."""
    if isinstance(private_key, Ed25519PrivateKey):
        algorithm, inner = _ED25519, private_key.sign(signed)
    else:
        algorithm = _curve_algorithm(private_key.curve)
        digest = _ECDSA[algorithm][2]
        r, s = decode_dss_signature(private_key.sign(signed, ec.ECDSA(digest, deterministic_signing=True)))
        inner = _mpint(r) + _mpint(s)
    return string(algorithm) + string(inner)


def _signed_data(namespace: bytes, reserved: bytes, algorithm: bytes, message: bytes) -> bytes:
    digest = hashlib.new(algorithm.decode("ascii"), message).digest()
    return _MAGIC + b"".join(map(string, [namespace, reserved, algorithm, digest]))


def _verify_inner(key: _Key, inner: bytes, signed: bytes) -> None:
    try:
        if isinstance(key.verifier, Ed25519PublicKey):
            key.verifier.verify(inner, signed)
        else:
            fields = Fields(inner)
            der = encode_dss_signature(fields.mpint(), fields.mpint())
            fields.end()
            key.verifier.verify(der, signed, ec.ECDSA(_ECDSA[key.algorithm][2]))
    except InvalidSignature:
        raise BadSignature("the signature does not hold for this message") from None


# --- keys ------------------------------------------------------------------------------------------------------------


def blob_of(key: SigningKey | Ed25519PublicKey | ec.EllipticCurvePublicKey) -> PublicKeyBlob:
    """The SSH wire form of a key's public half.

    Raises:
        ValueError: On a curve other than P-256 and P-384.
    """
    public = key.public_key() if isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey) else key
    if isinstance(public, Ed25519PublicKey):
        return PublicKeyBlob(string(_ED25519) + string(public.public_bytes_raw()))
    algorithm = _curve_algorithm(public.curve)
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return PublicKeyBlob(b"".join(map(string, [algorithm, _ECDSA[algorithm][0], point])))


def public_blob(line: str) -> PublicKeyBlob:
    """The key of a `.pub` line: algorithm, base64, and a comment that is dropped.

    Raises:
        Malformed: When the line is something else (options of `authorized_keys` included), or its key is refused.
    """
    parts = line.strip().split(maxsplit=2) if len(line) <= MAX_LINE else []
    if len(parts) < 2 or not (parts[0] + parts[1]).isascii():
        raise Malformed("a public key is an algorithm, base64 and a comment")
    blob = PublicKeyBlob(strict_base64(parts[1].encode("ascii")))
    if _parse_key(blob).algorithm != parts[0].encode("ascii"):
        raise Malformed("the line names another algorithm than its key")
    return blob


def algorithm_of(blob: bytes) -> bytes:
    """The algorithm of a public key; raises Malformed where the key is refused."""
    return _parse_key(blob).algorithm


def fingerprint(blob: PublicKeyBlob) -> str:
    """`SHA256:` and unpadded base64, as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(sha256(blob).digest()).decode("ascii").rstrip("=")


def _parse_key(blob: bytes) -> _Key:
    fields = Fields(blob)
    algorithm = fields.string()
    verifier: Ed25519PublicKey | ec.EllipticCurvePublicKey
    try:
        if algorithm in {_ED25519, _SK_ED25519}:
            verifier = Ed25519PublicKey.from_public_bytes(fields.string())
        elif algorithm in _ECDSA:
            name, curve, _ = _ECDSA[algorithm]
            if fields.string() != name:
                raise Malformed("an ECDSA key on another curve than its algorithm says")
            verifier = ec.EllipticCurvePublicKey.from_encoded_point(curve, _uncompressed(fields.string()))
        else:
            raise Malformed("a key of this algorithm is refused; Ed25519, ECDSA and security keys are taken")
    except Malformed:
        raise
    except ValueError:
        raise Malformed("a public key that is not on its curve") from None
    application = fields.string() if algorithm in _SECURITY_KEYS else b""
    fields.end()
    return _Key(algorithm, verifier, application)


def _uncompressed(point: bytes) -> bytes:
    if point[:1] != b"\x04":  # RFC 5656 section 3.1 allows compression, OpenSSH does not: one key, one spelling
        raise Malformed("an ECDSA key whose point is compressed")
    return point


def _curve_algorithm(curve: ec.EllipticCurve) -> bytes:
    if curve.name not in _ECDSA_OF_CURVE:
        raise ValueError(f"keys on {curve.name} are refused")
    return _ECDSA_OF_CURVE[curve.name]


# --- SSH wire encoding (RFC 4251 section 5) --------------------------------------------------------------------------


class Fields:
    """Reads fields one after another; every read past the end is Malformed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        """So many bytes."""
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise Malformed("an SSH blob ends inside a field")
        self._at += size
        return piece

    def uint32(self) -> int:
        """A number of 32 bits."""
        return int.from_bytes(self.take(4), "big")

    def uint64(self) -> int:
        """A number of 64 bits."""
        return int.from_bytes(self.take(8), "big")

    def string(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.uint32())

    def mpint(self) -> int:
        """A positive integer in its one spelling."""
        data = self.string()
        number = int.from_bytes(data, "big")
        if _mpint(number) != string(data):  # negative, or with leading zeroes that would be a second spelling
            raise Malformed("an SSH integer that is negative or not minimal")
        return number

    def end(self) -> None:
        """Nothing may be left."""
        if not self.at_end:
            raise Malformed("an SSH blob goes on after its last field")


def string(data: bytes) -> bytes:
    """Bytes behind their length."""
    return len(data).to_bytes(4, "big") + data


def _mpint(number: int) -> bytes:
    """A positive integer; the high bit of its first byte is clear, since the encoding is two's complement."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")
