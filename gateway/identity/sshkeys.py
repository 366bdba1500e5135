"""SSH keys: a login name and a key in, a `Principal` out, or nothing. Certificates go on to `sshcertificates`.

What it is not: the proof that the caller holds the private key; the SSH transport gives that (RFC 4252 section 7).

A change must keep these:
1. Default deny: what is not registered for that institution, has run out, was revoked, or is of another kind gives nothing.
2. The login name is the institution's identifier. A key opens no other institution's tree, whoever owns it.
3. The answer tells nobody which of the two was wrong.
4. A certificate never counts as the key in it, nor the key as its certificate.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.facts import local_day
from gateway.core.identity import Credential, Door, Permission, Principal
from gateway.core.records import Institution, Person, SshKey
from gateway.core.registry import Registry
from gateway.flow.registrar import Registrar
from gateway.identity.sshcertificates import SshCertificates
from gateway.ports import Clock, Records
from gateway.wire import sshcert

_LOGIN: Final = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)


class SshKeys:
    """Who a key belongs to, by the registry as it is at this moment."""

    def __init__(
        self, *, records: Records, registrar: Registrar, clock: Clock, certificates: SshCertificates | None = None
    ) -> None:
        self._certificates = certificates
        self._records = records
        self._registrar = registrar
        self._clock = clock

    async def principal(self, login: str, blob: bytes, remote: str = "") -> Principal | None:
        """The caller behind a key or a certificate.

        Args:
            login: The SSH user name.
            blob: The public key, or the certificate, in SSH wire form.
            remote: The address the caller comes from; certificates may be bound to one.
        """
        if not _LOGIN.fullmatch(login):
            return None
        if sshcert.is_certificate(blob):
            return await self._certificates.principal(login, blob, remote) if self._certificates else None
        today = local_day(self._clock.now())
        registry = await self._registrar.registry()
        return await self._principal(registry, registry.ssh_key(login, blob, today), login)

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """Who holds a registered key, for what is done in that person's name later; None where the key does not hold now.

        Args:
            institution: Whose key it must be.
            person: Who must answer for it.
            client: The key's identifier.
        """
        registry = await self._registrar.registry()
        found = registry.find(SshKey, client)
        if found is None or (found.institution, found.person) != (institution, person):
            return None
        return await self._principal(registry, found, institution)

    async def _principal(self, registry: Registry, found: SshKey | None, login: str) -> Principal | None:
        today = local_day(self._clock.now())
        if found is None or (found.valid_to is not None and today > found.valid_to):
            return None
        if registry.find(Institution, login) is None:
            return None
        person = registry.find(Person, found.person)
        if person is None or (person.valid_to is not None and today > person.valid_to):
            return None
        async with self._records.read() as view:
            if await view.revoked(found.id, ""):
                return None
        scopes = frozenset(Permission(scope) for scope in found.scopes)
        return Principal(login, found.person, found.id, Credential.SSH_KEY, Door.SFTP, scopes)
