"""Client certificates and an authority's lists as the tooling makes them, and as it never would."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.clientca import ClientAuthority
from tests.identity.parties import p256

Key = ec.EllipticCurvePrivateKey


def request(key: Key) -> bytes:
    """A signing request that asks for much more than it gets."""
    names = [x509.UniformResourceIdentifier("urn:hetao:client:everybody"), x509.DNSName("gateway.example")]
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def public_pem(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def issued(
    authority: ClientAuthority,
    now: datetime,
    client: str = "sz-lab-ec",
    institution: str = "sz-lab",
    *,
    key: Key | None = None,
    validity: timedelta = timedelta(days=30),
) -> x509.Certificate:
    made = authority.issue(request(key or p256()), institution=institution, client=client, now=now, validity=validity)
    return x509.load_pem_x509_certificate(made.pem)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def strange(authority: ClientAuthority, now: datetime, names: list[str], **changes: Any) -> x509.Certificate:
    """A certificate the authority would never sign, under its key; `names` are URIs."""
    key = changes.get("key") or p256()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strange")]))
        .issuer_name(authority._certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(changes.get("begins", now - timedelta(minutes=5)))
        .not_valid_after(changes.get("ends", now + timedelta(days=1)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority._key.public_key()), critical=False)
    )
    if names:
        alternative = [x509.UniformResourceIdentifier(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    for usage in changes.get("usages", [ExtendedKeyUsageOID.CLIENT_AUTH]):
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(authority._key, hashes.SHA256())


def write_bundle(path: Path, *authorities: ClientAuthority) -> Path:
    path.write_bytes(b"".join(each.certificate_pem for each in authorities))
    return path
