"""The gateway's authority for client certificates: its key, certificates for registered clients, the list of those taken back.

What this is not: a register of what it issued, nor the judge of a certificate; that is the HTTPS door, which also asks the
registry. It needs no gateway: the key belongs on another machine, and only `<name>.crt` and the list go to the gateway's.

The rules a change must keep:
1. A certificate names one client and its institution, by URIs among its names; is for TLS clients alone; ends after 90 days at
   the most. What a request asks for besides its key is not read.
2. A private key is never asked for: the client brings a signing request or a public key.
3. A list replaces the one before it in one step, has a higher number, and forgets nobody.

Sources: RFC 5280 sections 4.2 and 5, RFC 8705 section 2.1.2 (`tls_client_auth_san_uri`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.keyfiles import sync_folder, write_private, write_public
from certs.profiles import CLOCK_SKEW
from gateway.core.errors import StoreError, Unusable
from gateway.core.identity import CLIENT_CERTIFICATE_LIFE, CLIENT_URI, INSTITUTION_URI
from gateway.core.names import parse_identifier

AUTHORITY_LIFE: Final = timedelta(days=2 * 365)
LIST_LIFE: Final = timedelta(days=30)
LEAST_RSA: Final = 2048

PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate that was issued.

    Attributes:
        pem: The certificate.
        serial: By which its authority takes it back, hex.
        thumbprint: SHA-256 of its DER form, hex: by which the gateway revokes it, and may have it registered.
        valid_to: Its last second.
    """

    pem: bytes
    serial: str
    thumbprint: str
    valid_to: datetime


class ClientAuthority:
    """Signs client certificates and lists of those taken back. Use `create` or `open`, not the constructor."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, now: datetime, *, name: str = "Hetao client authority") -> Self:
        """A new authority, ECDSA P-256, valid for two years from `now` (aware)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), now, now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def open(cls, key_file: Path) -> Self:
        """The authority that `save` wrote: `<name>.key` with `<name>.crt` beside it.

        Raises:
            StoreError: A file cannot be read.
            Unusable: They are not an authority's.
        """
        certificate_file = key_file.with_suffix(".crt")
        try:
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except OSError as refused:
            raise StoreError(f"the client authority cannot be read ({refused.strerror})", retry=False) from refused
        except (ValueError, TypeError, UnsupportedAlgorithm) as broken:
            raise Unusable(f"{key_file.name} or {certificate_file.name} is not PEM", code="bad-authority") from broken
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Unusable(f"{key_file.name} does not belong to {certificate_file.name}", code="bad-authority")
        return cls(key, certificate)

    @property
    def certificate_pem(self) -> bytes:
        """Its certificate: what `https.client_ca` names."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.key` (0600, folder 0700) and `<name>.crt`; returns (certificate, key).

        Raises:
            Conflict: One of the files exists.
        """
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = write_private(folder / f"{name}.key", pem)
        return write_public(folder / f"{name}.crt", self.certificate_pem), key

    def issue(
        self, request: bytes, *, institution: str, client: str, now: datetime, validity: timedelta
    ) -> ClientCertificate:
        """A certificate for a registered client.

        Args:
            request: A signing request (PKCS #10) or a public key, PEM. Of a request only the key is taken, once its signature
                shows that whoever made it holds the private half.
            institution: Identifier of the client's institution.
            client: The client's identifier.
            now: The current instant, aware.
            validity: How long it holds; 90 days at the most.

        Raises:
            Unusable: Any of these is not as said.
        """
        if not timedelta() < validity <= CLIENT_CERTIFICATE_LIFE:
            raise Unusable(
                f"a client certificate holds for at most {CLIENT_CERTIFICATE_LIFE.days} days",
                code="bad-certificate-life",
            )
        if now + validity > self._certificate.not_valid_after_utc:
            raise Unusable(
                "the client authority ends before this certificate would: make a new one", code="bad-authority"
            )
        names = [
            CLIENT_URI + parse_identifier(client, "client"),
            INSTITUTION_URI + parse_identifier(institution, "institution"),
        ]
        key = parse_subject_key(request)
        if key == self._key.public_key():
            raise Unusable("this is the authority's own key: certify a client's", code="bad-certificate-key")
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, institution),
                x509.NameAttribute(NameOID.COMMON_NAME, client),
            ]
        )
        certificate = (
            _builder(subject, self._certificate.subject, key, now, now + validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return ClientCertificate(
            pem=certificate.public_bytes(serialization.Encoding.PEM),
            serial=f"{certificate.serial_number:x}",
            thumbprint=certificate.fingerprint(hashes.SHA256()).hex(),
            valid_to=certificate.not_valid_after_utc,
        )

    def revocation_list(
        self,
        now: datetime,
        *,
        previous: bytes = b"",
        revoke: Sequence[int] = (),
        validity: timedelta = LIST_LIFE,
    ) -> bytes:
        """The next list, PEM: who stood on the one before, and who is taken back now.

        Args:
            now: The current instant, aware.
            previous: The list before, PEM; empty where this is the first.
            revoke: Serial numbers.
            validity: How long until the next one must be there; the door refuses everybody after that.

        Raises:
            Unusable: The list before is not this authority's.
        """
        number, listed = self._parse_list(previous) if previous else (0, {})
        listed |= {serial: now for serial in revoke if serial not in listed}
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now)
            .next_update(now + validity)
            .add_extension(x509.CRLNumber(number + 1), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for serial, at in sorted(listed.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _parse_list(self, previous: bytes) -> tuple[int, dict[int, datetime]]:
        try:
            before = x509.load_pem_x509_crl(previous)
            number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except (ValueError, x509.ExtensionNotFound) as broken:
            raise Unusable(
                "the list before this one cannot be read: move it away only if nobody stands on it"
            ) from broken
        if not before.is_signature_valid(self._key.public_key()):
            raise Unusable("another authority signed the list before this one: name this one's")
        return number, {each.serial_number: each.revocation_date_utc for each in before}

    def serial_of(self, certificate_pem: bytes) -> int:
        """The serial number of a certificate this authority issued; raises Unusable."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature) as wrong:
            raise Unusable("this is no certificate of this authority's", code="bad-certificate") from wrong
        return certificate.serial_number


def parse_subject_key(request: bytes) -> PublicKey:
    """The key to certify, from a signing request or a public key, PEM.

    Raises:
        Unusable: It is neither, its signature does not hold, or the key is of a kind that is not taken.
    """
    if b"PRIVATE KEY" in request:
        raise Unusable(
            "this is a private key, which stays where it is: make a request with "
            "`openssl req -new -key KEY -subj / -out client.csr`",
            code="bad-certificate-key",
        )
    try:
        if b"CERTIFICATE REQUEST" in request:
            asked = x509.load_pem_x509_csr(request)
            if not asked.is_signature_valid:
                raise Unusable("the signing request's signature does not hold", code="bad-certificate-key")
            key = asked.public_key()
        else:
            key = serialization.load_pem_public_key(request)  # type: ignore[assignment]  # two unions of key types
    except (ValueError, TypeError, UnsupportedAlgorithm) as wrong:
        raise Unusable(
            "this is neither a signing request nor a public key in PEM", code="bad-certificate-key"
        ) from wrong
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    if isinstance(key, Ed25519PublicKey) or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA):
        return key
    raise Unusable(
        "only P-256, P-384, Ed25519 and RSA keys of 2048 bits or more are certified", code="bad-certificate-key"
    )


def replace_list(path: Path, content: bytes) -> None:
    """Put a list in the place of the one before it, in one step: whoever reads has the one or the other, whole.

    Raises:
        StoreError: It cannot be written.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        write_public(beside, content)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as refused:
        raise StoreError(f"{path.name} cannot be written ({refused.strerror})", retry=False) from refused


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, until: datetime
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
        .not_valid_after(until)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
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
