"""Locks of clients that write into the same dataset: taken, refreshed and released, one truth for all processes.

What it is not: a lock of the gateway's own. It keeps WebDAV clients out of each other's way (RFC 4918 section 6); what comes
through another door, or is submitted, does not ask for it.

The rules:
1. A lock is exclusive, on one place of a dataset, with or without what is below, and ends by itself after ten minutes at most.
2. Only the credential that took it may use, refresh or release it.
3. A lock on a name that has no file promises one. The promise is shown as an empty file and is none: nothing is recorded of
   it. As long as it stands its dataset is not submitted; it ends with the lock, or with the first bytes.
4. Two that ask at once: one gets it. Locks are bounded for every institution.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.core.errors import Conflict, NotPermitted, TooLarge
from gateway.core.identity import Permission, Principal
from gateway.core.names import DatasetName
from gateway.core.transfer import Transfer
from gateway.flow.enquiry import require
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import EditLock, Reading

MAX_LOCKS: Final = 1_000  # of an institution
LONGEST: Final = timedelta(minutes=10)


class Locks:
    """Everybody's locks."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def standing(self, principal: Principal, name: DatasetName) -> Sequence[EditLock]:
        """The locks in one dataset of the caller's institution."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            return _in_dataset(await view.locks(principal.institution), name, self._recorder.clock.now())

    async def take(
        self,
        principal: Principal,
        name: DatasetName,
        path: str,
        *,
        owner: str,
        deep: bool,
        awaits: bool,
        life: timedelta,
    ) -> EditLock:
        """A new lock.

        Args:
            principal: Who takes it.
            name: The dataset.
            path: The place in it; empty for its folder.
            owner: What the client says of itself.
            deep: Whether it is on everything below, too.
            awaits: Whether it promises a file.
            life: How long it is to last; at most `LONGEST` is given.

        Raises:
            Conflict: `locked`, where somebody has it, or something below or above it.
            TooLarge: The institution has too many.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        until = self._recorder.clock.now() + min(life, LONGEST)
        about = (principal.institution, name.endpoint, name.project, name.dataset, path, principal.client)
        token = uuid.UUID(bytes=self._recorder.entropy.token(16), version=4).urn
        lock = EditLock(token, *about, owner=owner, deep=deep, awaits=awaits, until=until)

        async def job(ledger: Ledgering) -> EditLock:
            await ledger.tx.serialise(f"locks/{principal.institution}")
            known = await ledger.tx.locks(principal.institution)
            for each in known:
                if each.until <= ledger.now:
                    await ledger.tx.drop_lock(each.token)
            standing = [each for each in known if each.until > ledger.now]
            if len(standing) >= MAX_LOCKS:
                raise TooLarge(f"an institution has at most {MAX_LOCKS} locks: release some", code="too-many-locks")
            others = _in_dataset(standing, name, ledger.now)
            if any(covers(each, path) or (deep and is_below(each.path, path)) for each in others):
                raise Conflict("somebody has locked this: wait until it is released", code="locked", retry=True)
            await ledger.tx.put_lock(lock)
            return lock

        return await self._recorder.do(job)

    async def refresh(self, lock: EditLock, life: timedelta) -> EditLock:
        """A lock of the caller's with a new end; raises Conflict where it ended meanwhile."""

        async def job(ledger: Ledgering) -> EditLock:
            current = await _current(ledger, lock)
            later = replace(current, until=ledger.now + min(life, LONGEST))
            await ledger.tx.put_lock(later)
            return later

        return await self._recorder.do(job)

    async def release(self, principal: Principal, lock: EditLock) -> None:
        """End a lock; raises NotPermitted where another credential took it."""
        if lock.client != principal.client:
            raise NotPermitted("another client has this lock: it ends by itself, or by that client", code="not-here")
        await self._recorder.do(lambda ledger: ledger.tx.drop_lock(lock.token))

    async def fill(self, lock: EditLock, *, empty: bool) -> None:
        """Bytes came at a locked place, or a file without any: whether one is still awaited."""
        if lock.awaits is not empty:

            async def job(ledger: Ledgering) -> None:
                for each in await ledger.tx.locks(lock.institution):
                    if each.token == lock.token:
                        await ledger.tx.put_lock(replace(each, awaits=empty))

            await self._recorder.do(job)


async def promised(view: Reading, transfer: Transfer, now: datetime) -> int:
    """Files that were promised for a draft by locks that stand, and did not come yet."""
    name = DatasetName(transfer.institution, transfer.endpoint, transfer.project, transfer.dataset)
    return sum(each.awaits for each in _in_dataset(await view.locks(transfer.institution), name, now))


def covers(lock: EditLock, path: str) -> bool:
    """Whether a place is locked by this lock of its dataset."""
    return lock.path == path or (lock.deep and is_below(path, lock.path))


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, at any depth; everything but the folder itself lies in the dataset's, the empty one."""
    return path != folder and (not folder or path.startswith(f"{folder}/"))


def _in_dataset(locks: Sequence[EditLock], name: DatasetName, now: datetime) -> list[EditLock]:
    wanted = (name.endpoint, name.project, name.dataset)
    return [each for each in locks if each.until > now and (each.endpoint, each.project, each.dataset) == wanted]


async def _current(ledger: Ledgering, lock: EditLock) -> EditLock:
    for each in await ledger.tx.locks(lock.institution):
        if each.token == lock.token and each.until > ledger.now:
            return each
    raise Conflict("this lock has ended: take a new one", code="precondition-failed")
