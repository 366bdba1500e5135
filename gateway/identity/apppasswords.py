"""Application passwords: a user name and a generated secret in, a `Principal` out, or one refusal.

What it is not: a password people choose. A secret has 160 random bits in one written form (`SECRET`), and what has another
form is no password, whatever digest somebody registered.

A change must keep these:
1. The registry holds a digest that two officers signed; neither it nor the database nor a log holds the secret.
2. Every refusal is one and the same answer, and an unknown user name costs a digest like a known one.
3. It opens folders (WebDAV) and the upload page only, holds on its registered days only, and is as good as its person and
   institution today.
4. Registry and revocations are asked each time: what is retired or revoked is shut out in every process at once.

Source: RFC 7617.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from gateway.core.errors import NotAuthenticated
from gateway.core.facts import local_day
from gateway.core.identity import Credential, Door, Permission, Principal, password_client
from gateway.core.records import AppPassword, Institution, Person
from gateway.core.registry import Registry
from gateway.flow.registrar import Registrar
from gateway.ports import Clock, Reading, Records

SECRET: Final = re.compile(r"hap_[a-z2-7]{32}", re.ASCII)
_DECOY: Final = AppPassword("nobody", "", "", "0" * 64, date.min, date.min)


class AppPasswords:
    """Who a password belongs to, by the registry as it is at this moment."""

    def __init__(self, *, records: Records, registrar: Registrar, clock: Clock) -> None:
        self._records = records
        self._registrar = registrar
        self._clock = clock

    async def principal(self, user: str, secret: str, door: Door = Door.WEBDAV) -> Principal:
        """The caller behind a user name and a password.

        Raises:
            NotAuthenticated: `invalid-password`, whatever is wrong.
            StoreError: The database cannot be reached.
        """
        return (await self.proved(user, secret, door))[0]

    async def proved(self, user: str, secret: str, door: Door) -> tuple[Principal, AppPassword]:
        """The same, with the record that was proved: what a session holds on to."""
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            found = registry.find(AppPassword, user)
            proved = (found or _DECOY).is_proved_by(secret) and SECRET.fullmatch(secret) is not None
            held = await self._held(view, registry, found, door) if found and proved else None
        if held is None or found is None:
            raise NotAuthenticated(
                "user name or password does not hold: check them, their last day, and that nobody revoked them",
                code="invalid-password",
            )
        return held, found

    async def standing(self, user: str, session: str, door: Door) -> tuple[Principal, AppPassword] | None:
        """Who goes on with what began with a password: None where the password or that session ended.

        Args:
            user: The user name.
            session: The session's id, by which it may have been revoked alone.
            door: Where.
        """
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            found = registry.find(AppPassword, user)
            if found is None or await view.revoked(password_client(user), session):
                return None
            held = await self._held(view, registry, found, door)
        return (held, found) if held else None

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """Who holds a registered password, for what is done in that person's name later; None where it does not hold now.

        Args:
            institution: Whose password it must be.
            person: Who must answer for it.
            client: Its name in the ledger (`password_client`).
        """
        async with self._records.read() as view:
            registry = await self._registrar.fold(view)
            found = registry.find(AppPassword, client.removeprefix(password_client("")))
            if found is None or (found.institution, found.person, password_client(found.id)) != (
                institution,
                person,
                client,
            ):
                return None
            return await self._held(view, registry, found, Door.WEBDAV)

    async def _held(self, view: Reading, registry: Registry, found: AppPassword, door: Door) -> Principal | None:
        today = local_day(self._clock.now())
        person = registry.find(Person, found.person)
        if not found.valid_from <= today <= found.valid_to or registry.find(Institution, found.institution) is None:
            return None
        if person is None or (person.valid_to is not None and today > person.valid_to):
            return None
        client = password_client(found.id)
        if await view.revoked(client, ""):
            return None
        scopes = frozenset(Permission(scope) for scope in found.scopes)
        return Principal(found.institution, found.person, client, Credential.APP_PASSWORD, door, scopes)
