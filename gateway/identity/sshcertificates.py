"""SSH certificates: a login name, a certificate and an address in, a `Principal` out, or nothing.

What it is not: the proof that the caller holds the certified key; the SSH transport gives that (RFC 4252 section 7).

A change must keep these:
1. Default deny: without a configured authority there are no certificates, and whatever is not understood gives nothing.
2. A certificate is not believed for being signed: its person must be registered for that institution and be valid, and
   neither the serial number nor the person's certificates may be revoked.
3. It says itself what it may do (`scopes@hetao`); one that says nothing may do nothing.
4. Why a certificate was refused is told to the observer, never to the caller, and only once its signature held: before
   that its fields are a stranger's words.

Source: OpenSSH PROTOCOL.certkeys.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from gateway.core.errors import Unusable
from gateway.core.facts import local_day
from gateway.core.identity import (
    CERTIFICATE_LIFE,
    CERTIFICATE_SCOPES,
    SENDER_SCOPES,
    Credential,
    Door,
    Permission,
    Principal,
    certificate_client,
    holder_client,
)
from gateway.core.records import Institution, Person
from gateway.flow.registrar import Registrar
from gateway.ports import Clock, Observer, Records
from gateway.wire import Malformed, sshcert, sshsig

SOURCE_ADDRESS: Final = "source-address"
# The issuing machine's clock may be behind, and a certificate begins a little before it was made.
_SLACK: Final = timedelta(hours=1)


class SshCertificates:
    """Who a certificate belongs to, by the registry and the revocations as they are at this moment."""

    def __init__(
        self,
        *,
        records: Records,
        registrar: Registrar,
        clock: Clock,
        observer: Observer,
        authorities: frozenset[bytes],
    ) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._observer = observer
        self._authorities = authorities

    async def principal(self, login: str, blob: bytes, remote: str) -> Principal | None:
        """The caller behind a certificate.

        1. An authority from the settings signed it.
        2. It is a user's, holds now and not for longer than anything may, names the login, and has no option but
           `source-address`, which holds.
        3. Its key id names a valid person of that institution.
        4. Neither its serial number nor the person's certificates were revoked.

        Args:
            login: The SSH user name.
            blob: The certificate in SSH wire form.
            remote: The address the caller comes from.
        """
        try:
            found = sshcert.parse(blob)
        except Malformed:
            return None
        if found.authority not in self._authorities:  # step 1
            return None
        scopes = scopes_of(found)
        because = refusal(found, login, remote, self._clock.now()) or ("" if scopes else "scopes")  # step 2
        because = because or await self._standing(login, found)  # steps 3 and 4
        if because:
            self._observer.saw("certificate.refused", because=because, client=certificate_client(found.serial))
            return None
        client = certificate_client(found.serial)
        return Principal(login, found.key_id, client, Credential.SSH_CERTIFICATE, Door.SFTP, scopes)

    async def _standing(self, login: str, found: sshcert.Certificate) -> str:
        """What speaks against the person or the serial number; empty for nothing."""
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            serial_revoked = await view.revoked(certificate_client(found.serial), "")
            person_revoked = await view.revoked(holder_client(found.key_id), "")
        today = local_day(self._clock.now())
        person = registry.find(Person, found.key_id)
        if person is None or person.institution != login or registry.find(Institution, login) is None:
            return "person"
        if person.valid_to is not None and today > person.valid_to:
            return "person"
        return "revoked" if serial_revoked or person_revoked else ""


def refusal(certificate: sshcert.Certificate, login: str, remote: str, now: datetime) -> str:
    """What in a certificate speaks against it, in one word; empty for nothing."""
    seconds = now.timestamp()
    if certificate.kind != sshcert.USER:
        return "kind"
    if seconds < certificate.valid_from:
        return "early"
    if seconds >= certificate.valid_to:
        return "expired"
    if certificate.valid_to - certificate.valid_from > (CERTIFICATE_LIFE + _SLACK).total_seconds():
        return "life"
    if not certificate.serial:  # it could not be revoked by itself
        return "serial"
    if login not in certificate.principals:  # the standard takes none for all; here none is none
        return "principal"
    if set(certificate.critical) - {SOURCE_ADDRESS}:
        return "option"
    if SOURCE_ADDRESS in certificate.critical and not _comes_from(certificate.critical[SOURCE_ADDRESS], remote):
        return "address"
    return ""


def scopes_of(certificate: sshcert.Certificate) -> frozenset[Permission]:
    """What a certificate may do; nothing where it does not say, or says a word that is no sender's scope."""
    try:
        words = sshcert.option_text(certificate.extensions.get(CERTIFICATE_SCOPES, b"")).split(",")
    except Malformed:
        return frozenset()
    return frozenset(map(Permission, words)) if set(words) <= set(SENDER_SCOPES) else frozenset()


def load_authorities(path: Path) -> frozenset[bytes]:
    """The public keys of SSH CAs, one a line as in OpenSSH's TrustedUserCAKeys; `#` begins a comment.

    Raises:
        Unusable: The file cannot be read, holds something else, or holds nothing.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = frozenset(bytes(sshsig.public_blob(line)) for line in lines if line and not line.startswith("#"))
    except (OSError, ValueError) as wrong:
        raise Unusable(
            f"the SSH CA's public key {path.name} cannot be read ({wrong}): mend sftp.user_ca, or empty it to refuse "
            "certificates"
        ) from wrong
    if not found:
        raise Unusable(f"{path.name} holds no public key: mend sftp.user_ca, or empty it to refuse certificates")
    return found


def _comes_from(data: bytes, remote: str) -> bool:
    """Whether an address lies in one of the networks of a `source-address`; not where either cannot be read."""
    try:
        address = ip_address(remote)
        networks = [ip_network(each) for each in sshcert.option_text(data).split(",")]
    except ValueError:
        return False
    return any(_plain(address) in network for network in networks)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address as such, where a socket of both families shows it mapped into IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
