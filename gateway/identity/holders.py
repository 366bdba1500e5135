"""Who holds a registered credential at this moment, for what is done in that person's name later without a request of theirs.

What it is not: a sign-in. Nobody proved anything just now; it says whether the credential that once did would still do.

A change must keep these:
1. It is looked up by the name the ledger has of it, and must still be of the institution and person it was then.
2. What is retired, has run out or was revoked is nobody's.
"""

from __future__ import annotations

from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal, password_client
from gateway.core.records import Client
from gateway.flow.registrar import Registrar
from gateway.identity.apppasswords import AppPasswords
from gateway.identity.assertions import check_standing
from gateway.identity.sshkeys import SshKeys
from gateway.ports import Clock, Records


class Holders:
    """SSH keys, application passwords and machine clients (`gateway.flow.completion.Senders`)."""

    def __init__(self, *, records: Records, registrar: Registrar, clock: Clock) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock
        self._keys = SshKeys(records=records, registrar=registrar, clock=clock)
        self._passwords = AppPasswords(records=records, registrar=registrar, clock=clock)

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """The principal of a registered credential, where it holds at this moment; else None.

        Args:
            institution: Whose it must be.
            person: Who must answer for it.
            client: What the ledger names it.
        """
        if client.startswith(password_client("")):
            return await self._passwords.holder(institution, person, client)
        key = await self._keys.holder(institution, person, client)
        return key or await self._client(institution, person, client)

    async def _client(self, institution: str, person: str, client: str) -> Principal | None:
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            revoked = await view.revoked(client, "")
        found = registry.find(Client, client)
        if found is None or revoked or (found.institution, found.person) != (institution, person):
            return None
        try:
            check_standing(registry, found, self._clock.now())
        except ValueError:
            return None
        allowed = PERMISSION_DOORS[Credential.CLIENT_JWT, Door.WEBDAV]
        scopes = frozenset(permission for permission in allowed if permission.value in found.scopes)
        return Principal(institution, person, client, Credential.CLIENT_JWT, Door.WEBDAV, scopes)
