"""What a caller may do in the tree, whatever protocol asked for it: folders, names, orders, declarations, times.

What it is not: a way for bytes. Each door brings those to the flow in its own order.

A change must keep these:
1. Every verb is one of the flow's; nothing is decided here but where in the tree it makes sense.
2. A dataset is ended by WITHDRAW, never by deleting its folder; what is above datasets is the registry's.
3. An order counts when it has its own name, written or renamed, and not before.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from typing import Final

from gateway.core.errors import Conflict, NotFound, NotPermitted, Unusable
from gateway.core.identity import Principal
from gateway.core.names import DatasetName, settled_name
from gateway.core.transfer import Transfer
from gateway.doors.outbox.listings import parse_listing
from gateway.doors.outbox.places import DECLARATION, OUTBOX, SUBMIT, Place
from gateway.doors.outbox.tree import Tree
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.flow.marks import FOLDER
from gateway.ports import Mark

MAX_DECLARATION: Final = 1 << 16


class Verbs:
    """The verbs of one door, for any caller."""

    def __init__(self, *, intake: Intake, folders: Folders, tree: Tree) -> None:
        self._intake = intake
        self._folders = folders
        self._tree = tree

    # --- orders and declarations -------------------------------------------------------------------------------------

    async def obey(self, principal: Principal, place: Place, content: bytes) -> None:
        """Carry out a SUBMIT or WITHDRAW that was written; under a temporary name it is kept until it gets its own."""
        name = place.dataset(principal.institution)
        if place.path == place.order:
            await self._carry_out(principal, name, place, content)
        else:
            await self._folders.keep_order(principal, name, place.path, content)

    async def _carry_out(self, principal: Principal, name: DatasetName, place: Place, content: bytes) -> None:
        if place.order == SUBMIT:
            ended = await self._folders.submit(principal, name, parse_listing(content))
        else:
            ended = await self._folders.withdraw(principal, name)
        await self._folders.note_order(ended, place.path, content)

    async def declare(self, principal: Principal, draft: Transfer, content: bytes) -> None:
        """Take over what `declaration.toml` says; raises Unusable where it is no TOML."""
        try:
            declaration = tomllib.loads(content.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
            raise Unusable(f"{DECLARATION} is not TOML: {wrong}", code="bad-declaration") from wrong
        await self._intake.declare(principal, draft.id, declaration)

    # --- folders and names -------------------------------------------------------------------------------------------

    async def make_folder(self, principal: Principal, place: Place) -> None:
        """A dataset (its draft is opened), or a folder in it, which is remembered until it has a file.

        Raises:
            NotPermitted: Above the datasets.
            Conflict: `already-there`.
        """
        if place.area != OUTBOX or not place.leaf:
            raise not_here("folders are made below /outbox/<endpoint>/<project>/ only")
        await self._tree.check_project(principal, place)
        name = place.dataset(principal.institution)
        if not place.path:
            if await self._folders.versions(principal, name):
                raise already_there("this dataset is there already")
            await self._folders.draft(principal, name)
        elif not await self._folders.make_folder(principal, name, place.path):
            raise already_there("this is there already")

    async def remove_folder(self, principal: Principal, place: Place) -> None:
        """Forget an empty folder; raises Conflict where it is not empty."""
        if not (await self._tree.stat(principal, place)).folder or not place.path:
            raise not_here("a dataset is ended by creating WITHDRAW in it; other folders are not yours to remove")
        if await self._tree.listed(principal, place):
            raise Conflict("the folder is not empty")
        await self._folders.drop_mark(principal, place.dataset(principal.institution), place.path)

    async def remove_file(self, principal: Principal, place: Place) -> None:
        """Delete a file of the draft, or forget an order as it was written."""
        name = place.dataset(principal.institution)
        if place.order and await self._folders.drop_mark(principal, name, place.path):
            return
        if place.area != OUTBOX or not place.path:
            raise not_here("only files of a draft can be deleted")
        await self._folders.remove(principal, name, place.path)

    async def rename(self, principal: Principal, old: Place, new: Place, *, replacing: bool) -> None:
        """Give a file or an empty folder of the draft another name; to the name of an order, that carries it out.

        Raises:
            NotPermitted: Not both in one dataset.
            NotFound: There is nothing of the old name.
            Conflict: `already-there` where something has the new name and is not to be replaced; `named-content` where the
                new name would have to be inspected with the bytes.
        """
        within = (old.endpoint, old.project, old.leaf) == (new.endpoint, new.project, new.leaf)
        if not within or old.area != OUTBOX or new.area != OUTBOX or not (old.path and new.path):
            raise not_here("files are renamed within their dataset only")
        name = old.dataset(principal.institution)
        if new.order and new.path == new.order:
            await self._rename_to_order(principal, name, old, new)
            return
        if new.path == DECLARATION and settled_name(old.path) != DECLARATION:
            raise Conflict(f"{DECLARATION} is read when it is written: send it under this name")
        try:
            found = await self._folders.own(principal, name, old.path)
        except NotFound:
            mark = await self._folders.mark(principal, name, old.path)
            if mark is None or mark.kind != FOLDER:
                raise
            await self._rename_folder(principal, mark, old, new)
            return
        taken = await self._folders.file(principal, name, new.path)
        if taken is not None and not replacing:
            raise already_there("a file has this name already: delete it first")
        await self._intake.rename_file(principal, found.transfer_id, old.path, new.path)

    async def _rename_to_order(self, principal: Principal, name: DatasetName, old: Place, new: Place) -> None:
        content = await self._folders.kept_order(principal, name, old.path) if old.order == new.order else None
        if content is None:
            await self._folders.remove(principal, name, old.path)
        await self._carry_out(principal, name, new, content or b"")
        if content is not None and old.path != new.path:
            await self._folders.drop_mark(principal, name, old.path)

    async def _rename_folder(self, principal: Principal, mark: Mark, old: Place, new: Place) -> None:
        if await self._tree.listed(principal, old):
            raise Conflict("a folder with files in it is not renamed: send them under the new name")
        await self._folders.rename_folder(principal, mark, new.path)

    async def date(self, principal: Principal, place: Place, at: datetime) -> None:
        """Keep a file's time of last change; a time alone opens no version."""
        found = await self._folders.file(principal, place.dataset(principal.institution), place.path)
        if found is not None and int(found.modified.timestamp()) != int(at.timestamp()):
            await self._intake.date_file(principal, found.transfer_id, place.path, at)


def not_here(reason: str) -> NotPermitted:
    """What nobody may do at this place of the tree, whoever it is."""
    return NotPermitted(reason, code="not-here")


def already_there(reason: str) -> Conflict:
    """The name is taken."""
    return Conflict(reason, code="already-there")
