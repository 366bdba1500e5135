"""Datasets as folders: what doors with a tree of files show, and which transfer a write belongs to.

What it is not: a protocol, or a store. It reads transfers and calls `intake`, nothing else.

The rules:
1. A folder is `<endpoint>/<project>/<dataset>` of the caller's own institution. What it holds is the newest version that
   stands; one that was withdrawn, refused, rejected, expired or failed brings nothing.
2. A submitted version is frozen. The next write, delete or rename opens the version after it over its listing
   (`flow.carry`): the whole dataset as it then is. What did not change is neither sent nor relayed again, and stays listed
   with its size and time. The time of a file alone is no version: it is set where the file is.
3. Two writers that come at once open one draft: the draft's idempotency key names the version it comes after.
4. A temporary name is no file of a submission: as long as there is one, nothing is submitted.
5. Empty folders and orders as they were written are marks (`flow.marks`): shown, and no part of anything.
6. A draft in which nothing is new is no version: submitting it ends it, and the version before stands as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from gateway.core.errors import Conflict, Incomplete, NotFound
from gateway.core.identity import Permission, Principal
from gateway.core.names import DatasetName, is_temporary
from gateway.core.transfer import FALLEN, State, Transfer
from gateway.flow.carry import standing
from gateway.flow.enquiry import PAGE, require
from gateway.flow.intake import NOTHING_CHANGED, Intake
from gateway.flow.marks import FOLDER, Marks, shown_marks
from gateway.flow.recorder import Recorder
from gateway.ports import Mark, Partial, Reading, StoredFile, TransferFilter

_TRIES = 3  # at opening a draft while the version before moves on, or another submits it


@dataclass(frozen=True)
class FolderFile:
    """A file as a folder shows it.

    Attributes:
        path: Below the dataset.
        size: Plaintext bytes.
        sha256: Its digest; empty where the file is not whole yet.
        modified: The sender's time of last change, else when it was received.
        transfer_id: The version it is in.
        frozen: Whether that version was submitted.
    """

    path: str
    size: int
    sha256: bytes
    modified: datetime
    transfer_id: str
    frozen: bool


@dataclass(frozen=True)
class Held:
    """Everything a folder shows at one moment, by path: files, and marks that are no files."""

    files: Mapping[str, FolderFile]
    marks: Mapping[str, Mark]


class Folders:
    """The folders of one gateway, for any caller."""

    def __init__(self, *, recorder: Recorder, intake: Intake) -> None:
        self._recorder = recorder
        self._intake = intake
        self._marks = Marks(recorder)
        # A client writes many files at once: one of them takes the listing over, the others find the draft.
        self._opening: WeakValueDictionary[DatasetName, asyncio.Lock] = WeakValueDictionary()

    # --- looking -----------------------------------------------------------------------------------------------------

    async def datasets(self, principal: Principal, endpoint: str, project: str) -> Mapping[str, Transfer]:
        """The newest version of every dataset under a project; a draft in which nothing was new is none."""
        require(principal, Permission.TRANSFERS_READ)
        wanted = TransferFilter(institution=principal.institution, endpoint=endpoint, project=project)
        found: dict[str, Transfer] = {}
        after = ""
        async with self._recorder.records.read() as view:
            while page := await view.transfers(wanted, limit=PAGE, after=after):
                for transfer in page:
                    known = found.get(transfer.dataset)
                    if known is None or _rank(transfer) > _rank(known):
                        found[transfer.dataset] = transfer
                after = page[-1].id
        return found

    async def versions(self, principal: Principal, name: DatasetName) -> Sequence[Transfer]:
        """Every version of a dataset, newest first."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            return await _versions(view, principal, name)

    async def file(self, principal: Principal, name: DatasetName, path: str) -> FolderFile | None:
        """One file of a folder, or None."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            transfer = await standing(view, _own(principal, name))
            if transfer is None:
                return None
            if held := self._intake.keeper.held(transfer.id).get(path):
                return _shown(transfer, held)
            if transfer.state is State.OPEN and (partial := await view.partial(transfer.id, path)):
                return _begun(partial)
            stored = await view.file(transfer.id, path)
            return _shown(transfer, stored) if stored else None

    async def files(self, principal: Principal, name: DatasetName) -> Mapping[str, FolderFile]:
        """Every file of a folder, by path."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            return await self._files(view, await standing(view, _own(principal, name)))

    async def held(self, principal: Principal, name: DatasetName) -> Held | None:
        """Every file and mark of a folder; None where there is no such dataset."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            versions = await _versions(view, principal, name)
            if not versions:
                return None
            files = await self._files(view, await standing(view, _own(principal, name)))
            return Held(files, await _marks(view, versions))

    async def mark(self, principal: Principal, name: DatasetName, path: str) -> Mark | None:
        """One mark of a folder, or None."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            return (await _marks(view, await _versions(view, principal, name))).get(path)

    # --- writing -----------------------------------------------------------------------------------------------------

    async def draft(self, principal: Principal, name: DatasetName) -> Transfer:
        """The open version of a dataset; where there is none it is opened over the listing of the newest that stands.

        Raises:
            NotFound: The endpoint or project is not this institution's.
        """
        found, _ = await self._newest(principal, name)
        if found is not None and found.state is State.OPEN:
            return found
        turn = self._opening.setdefault(_own(principal, name), asyncio.Lock())
        async with turn:
            for _ in range(_TRIES):
                found, last = await self._newest(principal, name)
                if found is None or found.state is not State.OPEN:
                    found = await self._open(principal, name, last)
                if found is not None and found.state is State.OPEN:
                    return found
        raise Conflict("this dataset is being submitted at this moment: try again")

    async def _open(self, principal: Principal, name: DatasetName, last: int) -> Transfer | None:
        """A new draft; None where the version before moved on meanwhile."""
        try:
            return await self._intake.open_transfer(
                principal,
                endpoint=name.endpoint,
                project=name.project,
                dataset=name.dataset,
                idempotency_key=_draft_key(name, last),
                follow=True,
            )
        except Conflict as moved:
            if not moved.retry:
                raise
            return None

    async def submit(
        self, principal: Principal, name: DatasetName, listed: Mapping[str, int | bytes] | None
    ) -> Transfer:
        """Submit the open version; where there is none, or nothing is new in it, the newest one stands as it is.

        Args:
            principal: The sender.
            name: The folder.
            listed: Path to size or SHA-256, where the sender lists what must be in it.

        Raises:
            NotFound: There is nothing to submit.
            Incomplete: A temporary name remains, or a listed file is missing.
            Conflict: A listed digest or size differs, or a received file is not listed.
        """
        newest, _ = await self._newest(principal, name)
        if newest is None or newest.state is not State.OPEN:
            versions = [each for each in await self._versions_of(principal, name) if not _needless(each)]
            newest = versions[0] if versions else None
        if newest is None or newest.state in FALLEN:
            raise NotFound("there is no draft to submit: upload files first", code="no-such-transfer")
        await self._intake.keeper.settled(newest.id)
        async with self._recorder.records.read() as view:
            stored = {each.file.path: each for each in await view.files(newest.id)}
        if newest.state is State.OPEN and (unsettled := sum(is_temporary(path) for path in stored)):
            raise Incomplete(f"{unsettled} file(s) still have temporary names: let the upload end, or delete them")
        sizes = None if listed is None else _sizes(listed, stored)
        return await self._intake.submit(principal, newest.id, listed=sizes, only_changed=True)

    async def withdraw(self, principal: Principal, name: DatasetName) -> Transfer:
        """Withdraw the newest version."""
        versions = [each for each in await self._versions_of(principal, name) if not _needless(each)]
        if not versions:
            raise NotFound("there is nothing to withdraw", code="no-such-transfer")
        return await self._intake.withdraw(principal, versions[0].id)

    async def remove(self, principal: Principal, name: DatasetName, path: str) -> None:
        """Delete a file of the draft; of a frozen version, that opens the draft after it.

        Raises:
            NotFound: No such file.
        """
        await self._intake.drop_file(principal, (await self.own(principal, name, path)).transfer_id, path)

    async def own(self, principal: Principal, name: DatasetName, path: str) -> FolderFile:
        """A file of the draft, to be changed; raises as `remove` does."""
        found = await self.file(principal, name, path)
        if found is not None and found.frozen:
            await self.draft(principal, name)
            found = await self.file(principal, name, path)
        if found is None:
            raise NotFound("there is no such file", code="no-such-file")
        return found

    # --- folders without files, and orders as they were written ------------------------------------------------------

    async def make_folder(self, principal: Principal, name: DatasetName, path: str) -> bool:
        """Remember an empty folder in the draft, which is opened where there is none; False where the name is taken.

        Raises:
            TooLarge: There are too many.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        if await self.mark(principal, name, path) or await self.file(principal, name, path):
            return False
        return await self._marks.put_folder(await self.draft(principal, name), path)

    async def rename_folder(self, principal: Principal, mark: Mark, to: str) -> None:
        """Give an empty folder another name."""
        require(principal, Permission.TRANSFERS_WRITE)
        await self._marks.move(mark, to)

    async def drop_mark(self, principal: Principal, name: DatasetName, path: str) -> bool:
        """Forget an empty folder, or an order as it was written; whether there was one."""
        require(principal, Permission.TRANSFERS_WRITE)
        found = await self.mark(principal, name, path)
        if found is not None:
            await self._marks.drop(found)
        return found is not None

    async def note_order(self, transfer: Transfer, path: str, content: bytes) -> None:
        """Show an order with the version it was carried out on, until the next write."""
        await self._marks.put_order(transfer, path, content)

    async def keep_order(self, principal: Principal, name: DatasetName, path: str, content: bytes) -> None:
        """Keep an order that has a temporary name, and what it says; raises NotFound where there is no dataset."""
        require(principal, Permission.TRANSFERS_SUBMIT)
        versions = await self._versions_of(principal, name)
        if not versions:
            raise NotFound("there is nothing to submit or withdraw: upload files first", code="no-such-transfer")
        await self._marks.put_order(versions[0], path, content, keep=True)

    async def kept_order(self, principal: Principal, name: DatasetName, path: str) -> bytes | None:
        """What an order that was kept says; None where there is none."""
        found = await self.mark(principal, name, path)
        if found is None or found.kind == FOLDER:
            return None
        async with self._recorder.records.read() as view:
            return await view.mark_content(found.transfer_id, path)

    async def _files(self, view: Reading, transfer: Transfer | None) -> dict[str, FolderFile]:
        if transfer is None:
            return {}
        held = self._intake.keeper.held(
            transfer.id
        )  # asked before the records: what is recorded meanwhile is in one of them
        found = {stored.file.path: _shown(transfer, stored) for stored in await view.files(transfer.id)}
        if transfer.state is State.OPEN:
            begun = await view.partials(transfer.id)
            found |= {each.path: _begun(each) for each in begun if not each.path.startswith("/")}
        return found | {path: _shown(transfer, stored) for path, stored in held.items()}

    async def _newest(self, principal: Principal, name: DatasetName) -> tuple[Transfer | None, int]:
        """The newest version that stands, and the number of the last one of all."""
        own = _own(principal, name)
        async with self._recorder.records.read() as view:
            last = await view.latest_version(own.institution, own.endpoint, own.project, own.dataset)
            return await standing(view, own), last

    async def _versions_of(self, principal: Principal, name: DatasetName) -> Sequence[Transfer]:
        async with self._recorder.records.read() as view:
            return await _versions(view, principal, name)


async def _versions(view: Reading, principal: Principal, name: DatasetName) -> Sequence[Transfer]:
    wanted = TransferFilter(
        institution=principal.institution, endpoint=name.endpoint, project=name.project, dataset=name.dataset
    )
    found = await view.transfers(wanted, limit=PAGE)
    return sorted(found, key=lambda transfer: -transfer.version)


async def _marks(view: Reading, versions: Sequence[Transfer]) -> Mapping[str, Mark]:
    standing = [each for each in versions if each.state not in FALLEN]
    return await shown_marks(view, standing, versions[0] if versions else None)


def _own(principal: Principal, name: DatasetName) -> DatasetName:
    """The dataset of this name that is the caller's own: another institution's does not exist for it."""
    return replace(name, institution=principal.institution)


def _needless(transfer: Transfer) -> bool:
    """Whether it was a draft that nothing was new in: what counts is the version before."""
    return transfer.state is State.WITHDRAWN and not transfer.root and transfer.reason == NOTHING_CHANGED


def _rank(transfer: Transfer) -> tuple[bool, int]:
    return not _needless(transfer), transfer.version


def _shown(transfer: Transfer, stored: StoredFile) -> FolderFile:
    return FolderFile(
        path=stored.file.path,
        size=stored.file.size,
        sha256=stored.file.sha256,
        modified=stored.modified_at or stored.received_at,
        transfer_id=transfer.id,
        frozen=transfer.state is not State.OPEN,
    )


def _begun(partial: Partial) -> FolderFile:
    """An upload that was cut off, with the size up to which it can be gone on with."""
    return FolderFile(
        path=partial.path,
        size=partial.size,
        sha256=b"",
        modified=partial.modified or partial.at,
        transfer_id=partial.transfer_id,
        frozen=False,
    )


def _draft_key(name: DatasetName, last: int) -> str:
    folder = "\0".join((name.endpoint, name.project, name.dataset, str(last)))
    return "folder/" + hashlib.sha256(folder.encode()).hexdigest()


def _sizes(listed: Mapping[str, int | bytes], stored: Mapping[str, Any]) -> dict[str, int]:
    """What a submission lists, by size; a digest stands for the size of the file that has it."""
    sizes: dict[str, int] = {}
    for path, wanted in listed.items():
        known = stored.get(path)
        if isinstance(wanted, int):
            sizes[path] = wanted
        elif known is None:
            sizes[path] = -1  # `check_submission` says that it is missing
        elif known.file.sha256 != wanted:
            raise Conflict("a file does not have the listed sha-256: send it again", code="digest-mismatch")
        else:
            sizes[path] = known.file.size
    return sizes
