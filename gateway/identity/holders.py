"""Who may still speak for a draft: credentials asked about by their names, after their owners have gone.

What it is not: a sign-in. What was proved then is in the ledger; here is asked whether the credential holds at this moment.

A change must keep this: a credential that ended, or was revoked, holds nothing, and neither does that of a person who left.
"""

from __future__ import annotations

from typing import Protocol

from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal
from gateway.core.records import Client
from gateway.flow.registrar import Registrar
from gateway.identity.assertions import check_standing
from gateway.ports import Clock, Records


class Holding(Protocol):
    """One kind of credential (`sshkeys`, and clients here)."""

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """The principal of a credential where it holds at this moment; else None."""


class Holders:
    """All kinds, asked one after the other: identifiers are unique among them only by kind, so each checks whose it is."""

    def __init__(self, *kinds: Holding) -> None:
        self._kinds = kinds

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """As of `Holding`."""
        for kind in self._kinds:
            found = await kind.holder(institution, person, client)
            if found is not None:
                return found
        return None


class ClientHolders:
    """Machine clients (RFC 7523) that wrote into a folder."""

    def __init__(self, *, records: Records, registrar: Registrar, clock: Clock) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """As of `Holding`."""
        registry = await self._registrar.registry()
        found = registry.find(Client, client)
        if found is None or (found.institution, found.person) != (institution, person):
            return None
        try:
            check_standing(registry, found, self._clock.now())
        except ValueError:
            return None
        async with self._records.read() as view:
            if await view.revoked(client, ""):
                return None
        allowed = PERMISSION_DOORS[Credential.CLIENT_JWT, Door.WEBDAV]
        scopes = frozenset(permission for permission in allowed if permission.value in found.scopes)
        return Principal(institution, person, client, Credential.CLIENT_JWT, Door.WEBDAV, scopes)
