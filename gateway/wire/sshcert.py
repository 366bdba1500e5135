"""OpenSSH certificates: a public key with names, dates and bounds that an authority signed (PROTOCOL.certkeys).

What it is not: trust, or a clock. It says which authority signed what; whether that counts here and now is the caller's
question. X.509 in SSH (RFC 6187) is something else.

A change must keep these:
1. What was parsed has a signature that holds. There is no certificate value from outside whose signature was not checked.
2. One spelling: what is parsed and written again gives the signed bytes, else it is refused.
3. Subjects and authorities are the closed list of `sshsig`: no RSA, no DSA.

Source: OpenSSH PROTOCOL.certkeys, draft-miller-ssh-cert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.wire import Malformed
from gateway.wire.sshsig import (
    Fields,
    PublicKeyBlob,
    SigningKey,
    algorithm_of,
    blob_of,
    sign_raw,
    string,
    verify_raw,
)

USER: Final = 1
HOST: Final = 2
MAX_CERTIFICATE: Final = 16_384
"""Largest certificate in bytes; one for a security key takes about 600."""
NONCE_BYTES: Final = 32

_SUFFIX: Final = b"-cert-v01"
_OPENSSH: Final = b"@openssh.com"
_KEY_FIELDS: Final = {  # fields of the public key behind its algorithm's name
    b"ssh-ed25519": 1,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"sk-ssh-ed25519@openssh.com": 2,
    b"sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
_TYPES: Final = {each.removesuffix(_OPENSSH) + _SUFFIX + _OPENSSH: each for each in _KEY_FIELDS}
_TYPE_OF: Final = {algorithm: name for name, algorithm in _TYPES.items()}


@dataclass(frozen=True)
class Certificate:
    """A certificate's content.

    Attributes:
        subject: The key it is about, in SSH wire form.
        serial: Chosen by the authority.
        key_id: Whom the authority means, in its own words.
        principals: Login names (or host names) it is good for; by the standard none means all.
        valid_from: First second, since 1970.
        valid_to: The second it ends before.
        authority: The key that signs.
        critical: Options by name, with their data as they stand; whoever does not know one must refuse.
        extensions: The same, but those that are unknown do not count.
        kind: `USER` or `HOST`, or another number.
    """

    subject: PublicKeyBlob
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_from: int
    valid_to: int
    authority: PublicKeyBlob
    critical: Mapping[str, bytes] = field(default_factory=dict)
    extensions: Mapping[str, bytes] = field(default_factory=dict)
    kind: int = USER


def is_certificate(blob: bytes) -> bool:
    """Whether these bytes begin as a certificate, of whatever algorithm."""
    try:
        return _SUFFIX in Fields(blob).string()
    except Malformed:
        return False


def issue(certificate: Certificate, nonce: bytes, private_key: SigningKey) -> bytes:
    """The certificate in SSH wire form, signed.

    Args:
        certificate: Its content.
        nonce: 32 random bytes: nobody shall be able to choose what is signed.
        private_key: The authority's.

    Raises:
        ValueError: On another authority than the key's, a nonce of another length, or a number that does not fit.
        Malformed: On a subject that is refused.
    """
    if certificate.authority != blob_of(private_key) or len(nonce) != NONCE_BYTES:
        raise ValueError(f"the authority is another than the key's, or the nonce has not {NONCE_BYTES} bytes")
    if any(not 0 <= each < 1 << 64 for each in (certificate.serial, certificate.valid_from, certificate.valid_to)):
        raise ValueError("a serial and times are numbers of 64 bits")
    signed = _signed_part(certificate, nonce)
    return signed + string(sign_raw(private_key, signed))


def type_name(blob: bytes) -> str:
    """The first word of a certificate's line, such as `ssh-ed25519-cert-v01@openssh.com`."""
    return Fields(blob).string().decode("ascii")


def parse(blob: bytes) -> Certificate:
    """A certificate whose authority's signature holds.

    Raises:
        Malformed: When these bytes are no certificate, one of a refused algorithm, or in a second spelling.
        BadSignature: When the signature does not hold.
    """
    fields = Fields(blob if len(blob) <= MAX_CERTIFICATE else b"")
    algorithm = _TYPES.get(fields.string())
    if algorithm is None:
        raise Malformed("no certificate of an algorithm that is taken")
    nonce = fields.string()
    subject = string(algorithm) + b"".join(string(fields.string()) for _ in range(_KEY_FIELDS[algorithm]))
    serial, kind = fields.uint64(), fields.uint32()
    key_id, principals = _text(fields.string()), _texts(fields.string())
    valid_from, valid_to = fields.uint64(), fields.uint64()
    critical, extensions = _options(fields.string()), _options(fields.string())
    fields.string()  # reserved
    authority = PublicKeyBlob(fields.string())
    signature = fields.string()
    fields.end()
    found = Certificate(
        PublicKeyBlob(subject),
        serial,
        key_id,
        principals,
        valid_from,
        valid_to,
        authority,
        critical,
        extensions,
        kind,
    )
    signed = blob[: -len(string(signature))]
    if _signed_part(found, nonce) != signed:
        raise Malformed("a certificate with something in its reserved field")
    verify_raw(authority, signature, signed)
    return found


def option_data(text: str) -> bytes:
    """The data of an option that holds a text."""
    return string(text.encode())


def option_text(data: bytes) -> str:
    """The text an option holds; raises Malformed where it holds something else."""
    fields = Fields(data)
    found = _text(fields.string())
    fields.end()
    return found


def _signed_part(certificate: Certificate, nonce: bytes) -> bytes:
    algorithm = algorithm_of(certificate.subject)
    key = certificate.subject[len(string(algorithm)) :]
    parts = [
        string(_TYPE_OF[algorithm]) + string(nonce) + key,
        certificate.serial.to_bytes(8, "big") + certificate.kind.to_bytes(4, "big"),
        string(certificate.key_id.encode()),
        string(b"".join(string(each.encode()) for each in certificate.principals)),
        certificate.valid_from.to_bytes(8, "big") + certificate.valid_to.to_bytes(8, "big"),
        _option_list(certificate.critical),
        _option_list(certificate.extensions),
        string(b""),
        string(certificate.authority),
    ]
    return b"".join(parts)


def _option_list(options: Mapping[str, bytes]) -> bytes:
    encoded = sorted((name.encode(), data) for name, data in options.items())
    return string(b"".join(string(name) + string(data) for name, data in encoded))


def _options(data: bytes) -> dict[str, bytes]:
    """Options in ascending order of their names, none twice (PROTOCOL.certkeys)."""
    fields = Fields(data)
    found: list[tuple[bytes, bytes]] = []
    while not fields.at_end:
        found.append((fields.string(), fields.string()))
    names = [name for name, _ in found]
    if names != sorted(set(names)):
        raise Malformed("a certificate's options out of order, or one of them twice")
    return {_text(name): value for name, value in found}


def _texts(data: bytes) -> tuple[str, ...]:
    fields = Fields(data)
    found = []
    while not fields.at_end:
        found.append(_text(fields.string()))
    return tuple(found)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("a name in a certificate that is not UTF-8") from None
