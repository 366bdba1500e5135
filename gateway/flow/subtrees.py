"""Whole folders of a draft, and copies of its files: what doors with a tree ask for in one request.

What it is not: more than the verbs of single files. A copy is read back and received again, inspected under its new name.

The rules:
1. Only the caller's own draft; of a frozen version the draft after it is opened first, as by any other change.
2. A folder is deleted in one transaction. It is renamed file by file, since names are inspected: what could not be is told.
3. Bounded: by files of a request, and copies by `resume.MAX_REOPENED`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from gateway.core.errors import CallerError, Conflict, TooLarge
from gateway.core.identity import Permission, Principal
from gateway.core.intake import Part
from gateway.core.names import DatasetName
from gateway.core.transfer import State
from gateway.flow.enquiry import require
from gateway.flow.folders import FolderFile, Folders, Held
from gateway.flow.incoming import Announced, forget_row
from gateway.flow.intake import Intake
from gateway.flow.keeper import require_state
from gateway.flow.locks import is_below
from gateway.flow.marks import FOLDER
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.reread import Reread
from gateway.flow.resume import Resume

MAX_FILES: Final = 10_000
_PIECE: Final = 1 << 20


class Subtrees:
    """Folders as a whole, for any caller."""

    def __init__(self, *, recorder: Recorder, intake: Intake, folders: Folders, resume: Resume) -> None:
        self._recorder = recorder
        self._intake = intake
        self._folders = folders
        self._resume = resume

    async def drop(self, principal: Principal, name: DatasetName, path: str) -> None:
        """Delete a folder of a draft and everything in it.

        Raises:
            TooLarge: It has too many files for one request.
        """
        require(principal, Permission.TRANSFERS_WRITE)
        draft = await self._folders.draft(principal, name)
        await self._intake.own(principal, draft.id)
        held = await self._held(principal, name)
        marks = [mark for mark in held.marks.values() if mark.path == path or is_below(mark.path, path)]
        _check(sum(is_below(each, path) for each in held.files))

        async def job(ledger: Ledgering) -> list[Part]:
            require_state(await ledger.transfer(draft.id), State.OPEN)
            obsolete: list[Part] = []
            for partial in await ledger.tx.partials(draft.id):
                if is_below(partial.path, path):
                    await ledger.tx.drop_partial(draft.id, partial.path)
                    obsolete += partial.parts
            for stored in await ledger.tx.files(draft.id):
                if is_below(stored.file.path, path):
                    await forget_row(ledger, await ledger.transfer(draft.id), stored)
                    obsolete += stored.file.parts
            for mark in marks:
                await ledger.tx.drop_mark(mark.transfer_id, mark.path)
            return obsolete

        await self._intake.reception.forget(draft.id, await self._recorder.do(job))

    async def rename(self, principal: Principal, name: DatasetName, path: str, to: str) -> dict[str, CallerError]:
        """Give a folder another name, file by file; what could not be renamed, by its old path, stays where it is."""
        held = await self._opened(principal, name, path)
        refused: dict[str, CallerError] = {}
        for each in held.files.values():
            try:
                await self.rename_file(principal, name, each.path, to + each.path.removeprefix(path))
            except CallerError as no:
                refused[each.path] = no
        for mark in list(held.marks.values()):
            if mark.kind == FOLDER and not any(is_below(left, mark.path) for left in refused):
                await self._folders.rename_folder(principal, mark, to + mark.path.removeprefix(path))
        return refused

    async def rename_file(self, principal: Principal, name: DatasetName, path: str, to: str) -> None:
        """Give a file of the draft another name; where that has to be inspected with the bytes, it is received again."""
        found = await self._folders.own(principal, name, path)
        try:
            await self._intake.rename_file(principal, found.transfer_id, path, to)
        except Conflict as named:
            if named.code != "named-content":
                raise
            await self._again(principal, found, to)
            await self._intake.drop_file(principal, found.transfer_id, path)

    async def copy(self, principal: Principal, name: DatasetName, path: str, to: str) -> dict[str, CallerError]:
        """Receive the files of a folder again under another one, empty folders with them; what was refused, by its path."""
        held = await self._opened(principal, name, path)
        refused: dict[str, CallerError] = {}
        for each in held.files.values():
            try:
                await self._again(principal, each, to + each.path.removeprefix(path))
            except CallerError as no:
                refused[each.path] = no
        for mark in held.marks.values():
            if mark.kind == FOLDER:
                await self._folders.make_folder(principal, name, to + mark.path.removeprefix(path))
        return refused

    async def copy_file(self, principal: Principal, name: DatasetName, path: str, to: str) -> None:
        """Receive a file of the draft again under another name.

        Raises:
            Conflict: Its bytes were delivered with an earlier version, and are not here.
        """
        await self._again(principal, await self._folders.own(principal, name, path), to)

    async def _again(self, principal: Principal, found: FolderFile, to: str) -> None:
        source = await self._resume.reread(principal, found.transfer_id, found.path)
        about = Announced(size=source.size, modified=found.modified)
        async with aclosing(_pieces(source)) as body:
            await self._intake.receive(principal, found.transfer_id, to, body, about)

    async def _opened(self, principal: Principal, name: DatasetName, path: str) -> Held:
        """What is in a folder of the draft, itself included; the draft is opened where there is none."""
        require(principal, Permission.TRANSFERS_WRITE)
        draft = await self._folders.draft(principal, name)
        await self._intake.own(principal, draft.id)
        held = await self._held(principal, name)
        files = {each: found for each, found in held.files.items() if is_below(each, path)}
        _check(len(files))
        marks = {each: mark for each, mark in held.marks.items() if each == path or is_below(each, path)}
        return Held(files, marks)

    async def _held(self, principal: Principal, name: DatasetName) -> Held:
        return await self._folders.held(principal, name) or Held({}, {})


async def _pieces(source: Reread) -> AsyncGenerator[bytes]:
    offset = 0
    while piece := await asyncio.to_thread(source.read, offset, _PIECE):
        offset += len(piece)
        yield piece


def _check(files: int) -> None:
    if files > MAX_FILES:
        raise TooLarge(f"a folder of more than {MAX_FILES} files is not changed in one request: change its folders")


__all__: Sequence[str] = ["MAX_FILES", "Subtrees"]
