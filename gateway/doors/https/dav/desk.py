"""What every WebDAV request works with, who asks, and what is at the place it asks about."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from gateway.core.errors import Conflict, NotFound
from gateway.core.identity import Door, Principal
from gateway.core.names import DatasetName
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.dav.forgotten import Forgotten
from gateway.doors.https.dav.targets import Target, parent_path
from gateway.doors.https.guard import PRINCIPAL
from gateway.doors.outbox.tree import Node, Tree
from gateway.doors.outbox.verbs import Verbs
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.flow.locks import Locks
from gateway.flow.resume import Resume
from gateway.flow.subtrees import Subtrees
from gateway.ports import Clock, EditLock, Observer

PARENT_SECONDS: Final = (
    5.0  # a folder that was there so long ago is not looked for again: clients send many files into one
)
MAX_PARENTS: Final = 1_000
EMPTY_SHA256: Final = hashlib.sha256().digest()


@dataclass(frozen=True)
class Desk:
    """What requests use."""

    intake: Intake
    folders: Folders
    resume: Resume
    locks: Locks
    subtrees: Subtrees
    tree: Tree
    verbs: Verbs
    clock: Clock
    observer: Observer
    limits: BodyLimits
    forgotten: Forgotten = field(default_factory=Forgotten)
    parents: dict[tuple[DatasetName, str], float] = field(default_factory=dict)

    async def look(self, principal: Principal, target: Target) -> Found:
        """What is at a target, and the locks around it; nothing there is an answer, too."""
        name, path = target.lock_scope(principal.institution)
        scoped = target.forgotten or bool(target.place.leaf)
        locks = await self.locks.standing(principal, name) if scoped else ()
        node = await self._node(principal, target)
        if node is None and any(lock.awaits and lock.path == path for lock in locks):
            node = self.promised()
        return Found(node, locks)

    async def _node(self, principal: Principal, target: Target) -> Node | None:
        known = self.forgotten.find(principal, target.path) if target.forgotten else None
        if known is not None or (target.forgotten and not target.place.area):
            return known
        try:
            return await self.tree.stat(principal, target.place)
        except NotFound:
            return None

    async def listed(self, principal: Principal, target: Target, found: Found) -> dict[str, Node]:
        """What is in a folder, files that were promised by a lock included."""
        nodes = dict(await self.tree.listed(principal, target.place))
        for lock in found.locks if target.place.leaf else ():
            folder, _, last = lock.path.rpartition("/")
            if lock.awaits and folder == target.place.path:
                nodes.setdefault(last, self.promised())
        return nodes

    async def check_parent(self, principal: Principal, target: Target) -> None:
        """Raise Conflict where the folder a place of a dataset is to be made in is not there."""
        parent = parent_path(target.place.path) or ""
        known = (target.place.dataset(principal.institution), parent)
        now = asyncio.get_running_loop().time()
        if not parent or self.parents.get(known, 0.0) > now:
            return
        folder = replace(target, place=replace(target.place, path=parent), path=target.path.rpartition("/")[0])
        found = await self.look(principal, folder)
        if found.node is None or not found.node.folder:
            raise Conflict("the folder it belongs in is not there: make it first (MKCOL)", code="no-parent")
        if len(self.parents) >= MAX_PARENTS:
            self.parents.clear()
        self.parents[known] = now + PARENT_SECONDS

    def promised(self) -> Node:
        """An empty file that stands for one that a client said it will send."""
        at = self.clock.now().timestamp()
        return Node(folder=False, size=0, modified=at, writable=True, sha256=EMPTY_SHA256)


@dataclass(frozen=True)
class Found:
    """What is at a place: nothing where `node` is None; `locks` are those of its whole dataset."""

    node: Node | None
    locks: Sequence[EditLock] = ()


def caller(request: web.Request) -> Principal:
    """Who asks, as a caller of this door."""
    return request[PRINCIPAL].through(Door.WEBDAV)


def etag_of(node: Node) -> str:
    """The entity tag: from the digest, so that it is the same in every process; empty where nothing is whole."""
    if node.folder or (not node.sha256 and node.writable):
        return ""
    return f'"{node.sha256.hex()[:32] or f"{node.size:x}-{int(node.modified):x}"}"'
