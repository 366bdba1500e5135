"""Shuts credentials out: clients, TLS and SSH certificates, SSH keys, passwords, all SSH certificates of a person.

The rules:
1. A revocation and its entry in the ledger commit together. It stands for ever: a new credential gets a new name.
2. It only takes away. One operator may do it alone; giving access takes two officers and the registry.
3. A client, key or person must be registered, so that a slip of the pen is not taken for a revocation.

When a step fails: nothing is recorded and nothing is revoked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.core.errors import Unusable
from gateway.core.facts import Fact, Tag
from gateway.core.identity import (
    Permission,
    Principal,
    certificate_client,
    holder_client,
    password_client,
    tls_certificate_client,
)
from gateway.core.records import AppPassword, Client, Person, SshKey
from gateway.core.registry import Registry
from gateway.flow.enquiry import require
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import GATEWAY, Registrar

MAX_REASON: Final = 500
_THUMBPRINT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SERIAL: Final = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)


class Revocation:
    """Revokes credentials by kind and name."""

    def __init__(self, *, recorder: Recorder, registrar: Registrar) -> None:
        self._recorder = recorder
        self._registrar = registrar

    async def revoke(self, principal: Principal, kind: str, name: str, reason: str) -> tuple[str, bool]:
        """Revoke a credential; effective at the doors within seconds.

        Args:
            principal: Who does it.
            kind: `client`, `sshkey`, `password`, `certificate` (SSH), `client-certificate` (TLS), or `person` for all SSH
                certificates of one.
            name: The registered identifier; for an SSH certificate its serial number in decimal, for a TLS certificate its
                SHA-256 thumbprint.
            reason: Why, for the ledger; only committed to, not shown.

        Returns:
            What it is called in the ledger, and whether it was revoked now (False: it was before, nothing is recorded).

        Raises:
            NotPermitted: The principal may not.
            NotFound: Nothing of that kind and name is registered.
            Unusable: An unknown kind, no serial number, or a reason that is empty or too long.
        """
        require(principal, Permission.CREDENTIALS_REVOKE)
        if kind not in KINDS:
            raise Unusable(f"revoke one of {', '.join(KINDS)}; not {kind!r}")
        if not 0 < len(reason.strip()) <= MAX_REASON:
            raise Unusable(f"a revocation needs a reason of at most {MAX_REASON} characters")

        async def job(ledger: Ledgering) -> tuple[str, bool]:
            client = KINDS[kind](await self._registrar.fold(ledger.tx), name)
            if await ledger.tx.revoked(client, ""):
                return client, False
            now = ledger.now
            await ledger.tx.revoke(client, "", now)
            public, private = {"client": client}, {"reason": reason.strip()}
            await ledger.enter(Fact(Tag.CLIENT_REVOKED, GATEWAY, now, principal.client, public, private))
            return client, True

        return await self._recorder.do(job)


def _certificate(registry: Registry, name: str) -> str:
    del registry  # it knows nothing of certificates
    if not _SERIAL.fullmatch(name) or int(name) >= 1 << 64:
        raise Unusable("a certificate is named by its serial number in decimal, as `ssh-keygen -L` prints it")
    return certificate_client(int(name))


def _client_certificate(registry: Registry, name: str) -> str:
    del registry  # it knows names and not certificates
    thumbprint = name.replace(":", "").lower()
    if not _THUMBPRINT.fullmatch(thumbprint):
        raise Unusable(
            "a TLS certificate is named as `openssl x509 -noout -fingerprint -sha256` prints it: 64 hex digits"
        )
    return tls_certificate_client(thumbprint)


KINDS: Final[dict[str, Callable[[Registry, str], str]]] = {
    "client": lambda registry, name: registry.get(Client, name).id,
    "sshkey": lambda registry, name: registry.get(SshKey, name).id,
    "password": lambda registry, name: password_client(registry.get(AppPassword, name).id),
    "certificate": _certificate,
    "client-certificate": _client_certificate,
    "person": lambda registry, name: holder_client(registry.get(Person, name).id),
}
