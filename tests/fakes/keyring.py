"""A keyring in memory."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from gateway.core.errors import StoreError
from gateway.ports import Clock


class FakeKeyring:
    """`gateway.ports.Keyring`; `secrets` holds `(month, secret)` by transfer and name."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self.secrets: dict[tuple[str, str], tuple[str, bytes]] = {}

    async def put(self, transfer_id: str, name: str, secret: bytes) -> None:
        _check(transfer_id, name)
        month = self._clock.now().strftime("%Y-%m") if self._clock else ""
        self.secrets[transfer_id, name] = (month, bytes(secret))

    async def get(self, transfer_id: str, name: str) -> bytes:
        _check(transfer_id, name)
        if (transfer_id, name) not in self.secrets:
            raise StoreError("this key was destroyed, or never made", code="key-destroyed", retry=False)
        return self.secrets[transfer_id, name][1]

    async def get_all(self, transfer_id: str, prefix: str = "") -> dict[str, bytes]:
        _check(transfer_id, prefix)
        return {
            name: secret
            for (owner, name), (_, secret) in self.secrets.items()
            if owner == transfer_id and name.startswith(prefix)
        }

    async def copy(self, transfer_id: str, to: str, names: Mapping[str, str]) -> None:
        month = self._clock.now().strftime("%Y-%m") if self._clock else ""
        copies: dict[tuple[str, str], tuple[str, bytes]] = {}
        for name, new in names.items():
            _check(to, new)
            copies[to, new] = (month, await self.get(transfer_id, name))
        self.secrets |= copies

    async def drop(self, transfer_id: str, name: str) -> None:
        _check(transfer_id, name)
        self.secrets.pop((transfer_id, name), None)

    async def destroy(self, transfer_id: str, prefix: str = "") -> int:
        _check(transfer_id, prefix)
        return self._remove({key for key in self.secrets if key[0] == transfer_id and key[1].startswith(prefix)})

    async def year_key(self, year: int) -> bytes:
        return sha256(f"fake year key {year}".encode()).digest()

    async def destroy_month(self, month: str) -> int:
        return self._remove({key for key, (known, _) in self.secrets.items() if known == month})

    def _remove(self, keys: set[tuple[str, str]]) -> int:
        for key in keys:
            del self.secrets[key]
        return len(keys)


def _check(transfer_id: str, name: str) -> None:
    if not transfer_id or "\0" in transfer_id or "\0" in name:
        raise ValueError("a secret is kept under a transfer's id, and neither id nor name has a NUL")
