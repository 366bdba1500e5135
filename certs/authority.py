"""A certificate authority for development, demos and tests.

DANGEROUS in production: its root key lies unencrypted on the same machine as everything it vouches for, there is no
revocation, no record of what it issued and no second person. Whoever can read that file can be any endpoint and any
client. `DevelopmentAuthority` therefore warns whenever one is made or opened, unless the caller says in so many words
that it knows.

What this is not: the institutions' PKI. In production the certificates come from the authority named in the registry.

The rules a change must keep:
1. Keys are ECDSA P-256: what every TLS client accepts (Ed25519 certificates are still refused by many).
2. Every extension RFC 5280 asks of a conforming authority is there (Python 3.13 checks with VERIFY_X509_STRICT).
3. The authority may sign end-entity certificates only (path length 0).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs.keyfiles import write_private, write_public
from certs.profiles import AUTHORITY_VALIDITY, CLIENT, CLOCK_SKEW, PEER, SERVER, Profile, alternative_names
from gateway.core.errors import StoreError, Unusable


class DevelopmentAuthorityWarning(UserWarning):
    """A development authority is in use: nothing it signs proves anything to anybody else."""


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key.

    Attributes:
        certificate_pem: The end-entity certificate.
        private_key_pem: PKCS #8, unencrypted.
        authority_pem: The root to trust.
    """

    certificate_pem: bytes
    private_key_pem: bytes
    authority_pem: bytes

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.key` (0600, folder 0700) and `<name>.crt`; returns (certificate, key).

        Raises:
            Conflict: One of the files exists.
        """
        key = write_private(folder / f"{name}.key", self.private_key_pem)
        return write_public(folder / f"{name}.crt", self.certificate_pem), key


class DevelopmentAuthority:
    """A root that signs server, client and peer certificates. For development only; see the module's text.

    Use `create` or `open`, not the constructor.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, now: datetime, *, name: str = "Hetao development root", accept_risk: bool = False) -> Self:
        """A new root, valid for a year from `now` (aware).

        Args:
            now: The current instant.
            name: Common name of the root.
            accept_risk: True says that the caller knows what this is, and keeps the warning quiet.
        """
        _warn(accept_risk=accept_risk)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_VALIDITY + CLOCK_SKEW)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def open(cls, folder: Path, *, accept_risk: bool = False) -> Self:
        """The root that `save` wrote.

        Raises:
            StoreError: The files cannot be read.
            Unusable: They are not an authority's.
        """
        _warn(accept_risk=accept_risk)
        try:
            key_pem = (folder / "authority.key").read_bytes()
            certificate_pem = (folder / "authority.crt").read_bytes()
        except OSError as refused:
            raise StoreError(f"the development authority cannot be read ({refused.strerror})", retry=False) from refused
        try:
            key = serialization.load_pem_private_key(key_pem, None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as broken:
            raise Unusable("authority.key or authority.crt is not PEM", code="bad-authority") from broken
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Unusable("authority.key does not belong to authority.crt", code="bad-authority")
        return cls(key, certificate)

    @property
    def certificate_pem(self) -> bytes:
        """The root certificate, for `ca_file` settings."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def save(self, folder: Path) -> Path:
        """Write `authority.key` (0600, folder 0700) and `authority.crt`; returns the certificate's path.

        Raises:
            Conflict: One of the files exists.
        """
        write_private(folder / "authority.key", _private_pem(self._key))
        return write_public(folder / "authority.crt", self.certificate_pem)

    def issue_server(self, names: Sequence[str], now: datetime) -> Issued:
        """A certificate for a server's DNS names and addresses (RFC 9525: the common name does not count)."""
        return self.issue(SERVER, names[0] if names else "", names, now)

    def issue_client(self, common_name: str, now: datetime, names: Sequence[str] = ()) -> Issued:
        """A certificate for a client; URIs among `names` (`urn:hetao:institution:...`) identify it to the gateway."""
        return self.issue(CLIENT, common_name, names, now)

    def issue_peer(self, names: Sequence[str], now: datetime) -> Issued:
        """A certificate for a machine that is server and client of mutual TLS."""
        return self.issue(PEER, names[0] if names else "", names, now)

    def issue(self, profile: Profile, common_name: str, names: Sequence[str], now: datetime) -> Issued:
        """A certificate with a fresh key.

        Raises:
            Unusable: A name is missing or no name, or the root has expired.
        """
        if profile.needs_names and not names:
            raise Unusable(f"a {profile.name} certificate needs a DNS name or an address", code="bad-certificate-name")
        if now + profile.validity > self._certificate.not_valid_after_utc:
            raise Unusable("the development authority is about to expire: make a new one", code="bad-authority")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(common_name), self._certificate.subject, key.public_key(), now, profile.validity)
        builder = _end_entity(builder, profile, key.public_key(), self._key.public_key())
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names(names)), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key), self.certificate_pem)


def _warn(*, accept_risk: bool) -> None:
    if not accept_risk:
        warnings.warn(
            "this authority is for development only: its key is unprotected and nothing it signs can be revoked",
            DevelopmentAuthorityWarning,
            stacklevel=3,
        )


def _subject(common_name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as broken:
        raise Unusable("a certificate's common name has 1 to 64 characters", code="bad-certificate-name") from broken


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, validity: timedelta
) -> x509.CertificateBuilder:
    if now.tzinfo is None:
        raise ValueError("now must be aware: a naive time would be taken for UTC")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + validity)
    )


def _end_entity(
    builder: x509.CertificateBuilder,
    profile: Profile,
    key: ec.EllipticCurvePublicKey,
    authority: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(profile.usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
