"""TLS client certificates: one that a handshake proved in, the registered client out, or one refusal.

What it is not: the check of its chain and the proof of its key; the TLS handshake gives both, against `https.client_ca`.

A change must keep these:
1. A certificate is not believed for being signed: exactly one client must be registered with it, by one of its URIs or by its
   thumbprint, and that client, its person and its institution must hold today. What it says of an institution must be so.
2. Times, revocation list and revocations are asked at every request: a connection may outlive all three.
3. The answer to the caller is one and the same; why is told to the observer.

Sources: RFC 8705 sections 2.1 and 3.1, RFC 5280.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.errors import NotAuthenticated
from gateway.core.identity import (
    CLIENT_URI,
    INSTITUTION_URI,
    PERMISSION_DOORS,
    Credential,
    Door,
    Principal,
    tls_certificate_client,
)
from gateway.core.records import Client
from gateway.core.registry import Registry
from gateway.flow.registrar import Registrar
from gateway.identity.assertions import check_standing
from gateway.identity.revocationlists import RevocationLists
from gateway.ports import Clock, Observer, Records

PINNED: Final = "sha256:"


class ClientCertificates:
    """Whose a certificate is, by the registry, the lists and the revocations as they are at this moment."""

    def __init__(
        self, *, records: Records, registrar: Registrar, clock: Clock, observer: Observer, lists: RevocationLists
    ) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._observer = observer
        self._lists = lists

    async def client(self, der: bytes) -> Client:
        """The client a proved certificate belongs to.

        1. It is a client's certificate and holds now.
        2. One registered client has it, of the institution it names if it names one, and holds today.
        3. Neither the client nor the certificate was revoked, here or by its authority.

        Args:
            der: The certificate as the handshake brought it; empty where it brought none.

        Raises:
            NotAuthenticated: `invalid-certificate`, whatever is wrong with it.
            StoreError: The database cannot be reached, or the authority's list cannot be relied on.
        """
        thumbprint = hashlib.sha256(der).hexdigest()
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            try:
                certificate = _parse(der, self._clock.now())  # step 1
                found = _registered(registry, certificate, thumbprint)  # step 2
                check_standing(registry, found, self._clock.now())
            except ValueError as wrong:
                raise self._refused(str(wrong), thumbprint) from wrong
            for name in (found.id, tls_certificate_client(thumbprint)):  # step 3
                if await view.revoked(name, ""):
                    raise self._refused("revoked", thumbprint)
        if self._lists.has_revoked(certificate):
            raise self._refused("on the authority's list", thumbprint)
        return found

    async def principal(self, der: bytes, door: Door = Door.HTTPS) -> Principal:
        """The caller behind a certificate alone; raises as `client` does."""
        found = await self.client(der)
        allowed = PERMISSION_DOORS.get((Credential.CLIENT_CERTIFICATE, door), frozenset())
        return Principal(
            institution=found.institution,
            person=found.person,
            client=found.id,
            credential=Credential.CLIENT_CERTIFICATE,
            door=door,
            scopes=frozenset(permission for permission in allowed if permission.value in found.scopes),
        )

    def _refused(self, because: str, thumbprint: str) -> NotAuthenticated:
        self._observer.saw("certificate.refused", because=because, client=tls_certificate_client(thumbprint))
        return NotAuthenticated(
            "the client certificate does not hold: check its dates, and that it is registered and not revoked",
            code="invalid-certificate",
        )


def token_thumbprint(der: bytes) -> str:
    """What a bound token names its certificate by (`x5t#S256`, RFC 8705 section 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")


def _parse(der: bytes, now: datetime) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        usages = certificate.extensions.get_extension_for_class(
            x509.ExtendedKeyUsage
        ).value  # all extensions are parsed here
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as wrong:
        raise ValueError("no client's certificate") from wrong
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise ValueError("no client's certificate")
    if now < certificate.not_valid_before_utc:
        raise ValueError("early")
    if now > certificate.not_valid_after_utc:  # RFC 5280 section 4.1.2.5: through its last second
        raise ValueError("expired")
    return certificate


def _registered(registry: Registry, certificate: x509.Certificate, thumbprint: str) -> Client:
    names = _uris(certificate)
    if len([each for each in names if each.startswith(CLIENT_URI)]) > 1:
        raise ValueError("it names two clients")
    # A certificate may call itself anything its authority lets through: that is no thumbprint of another one.
    wanted = {PINNED + thumbprint, *(each for each in names if not each.startswith(PINNED))}
    found = [each for each in registry.records.values() if isinstance(each, Client) and each.certificate in wanted]
    if len(found) != 1:
        raise ValueError("not registered" if not found else "registered for several clients")
    institutions = {each for each in names if each.startswith(INSTITUTION_URI)}
    if institutions - {INSTITUTION_URI + found[0].institution}:
        raise ValueError("another institution")
    return found[0]


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
