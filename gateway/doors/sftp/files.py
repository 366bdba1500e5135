"""SFTP requests of one session: each is a look into the tree or a verb of the flow.

What it is not: a server of the host's files. asyncssh's own class is one, so every public method of it is overridden here
(a test enumerates them).

A change must keep these:
1. No path reaches the host: `places` parses it, the tree and the flow answer.
2. CLOSE finishes a file; `abandon` is for handles whose connection went away. asyncssh would call `close` for both.
3. What cannot be done truthfully is refused with the reason: changing in place, links, reading what was submitted.
4. No error leaves but through `answers`.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncssh
from asyncssh import SFTPAttrs, SFTPName, SFTPVFSAttrs
from asyncssh.constants import FXF_APPEND, FXF_CREAT, FXF_EXCL, FXF_TRUNC, FXF_WRITE

from gateway.core.errors import Conflict, GatewayError
from gateway.core.identity import Principal
from gateway.core.names import DatasetName, settled_name
from gateway.core.transfer import Transfer
from gateway.doors.outbox.listings import MAX_LISTING
from gateway.doors.outbox.places import DECLARATION, OUTBOX, Place, canonical, nothing_there, parse_place
from gateway.doors.outbox.tree import Node
from gateway.doors.outbox.verbs import MAX_DECLARATION, Verbs
from gateway.doors.sftp.answers import answer, denied, unsupported
from gateway.doors.sftp.arrivals import Arrival, Order
from gateway.doors.sftp.attributes import attributes, refuse_owners, time_of
from gateway.doors.sftp.desk import Desk
from gateway.doors.sftp.refusals import NoHost
from gateway.flow.incoming import Incoming
from gateway.flow.reread import Reread

_BLOCK: Final = 1 << 16

T = TypeVar("T")


@dataclass(eq=False)
class Text:
    """A text of ours, open for reading."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes of it."""
        return len(self.content)

    async def read(self, offset: int, size: int) -> bytes:
        """Some of it."""
        return self.content[offset : offset + size]


@dataclass(eq=False)
class Look:
    """A file of the sender's own draft, open for reading."""

    source: Reread

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.source.size

    async def read(self, offset: int, size: int) -> bytes:
        """As many bytes as are asked for, but at the end."""
        found = bytearray()
        while len(found) < size:
            got = await asyncio.to_thread(self.source.read, offset + len(found), size - len(found))
            if not got:
                break
            found += got
        return bytes(found)


def answering(work: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """A request handler whose failures are answered in SFTP's words."""

    @functools.wraps(work)
    async def handler(self: DoorFiles, *given: Any) -> T:
        try:
            return await work(self, *given)
        except GatewayError as failure:
            self.note(failure)
            raise answer(failure) from failure
        except (asyncssh.Error, OSError):
            raise
        except Exception as mistake:
            self.mistaken(mistake)
            raise answer(GatewayError("a mistake of the gateway's")) from mistake

    return handler


class DoorFiles(NoHost):
    """One SFTP session of one caller.

    Args:
        channel: Its SSH channel.
        desk: What it works with.
        caller: Gives the caller, checked again from time to time; raises NotPermitted where the key does not hold any more.
    """

    def __init__(
        self, channel: asyncssh.SSHServerChannel[bytes], desk: Desk, caller: Callable[[], Awaitable[Principal]]
    ) -> None:
        super().__init__(channel)
        self._desk = desk
        self._verbs = Verbs(intake=desk.intake, folders=desk.folders, tree=desk.tree)
        self._caller = caller
        self._open: set[Arrival | Order] = set()
        self._places: dict[Arrival | Order, tuple[DatasetName, str]] = {}
        self._connection = secrets.token_hex(8)
        self._drafts: set[str] = set()

    def note(self, failure: GatewayError) -> None:
        """Tell the observer of what is our doing."""
        if answer(failure).reason.startswith("the gateway "):
            self._desk.observer.saw("sftp.faltered", code=failure.code)

    def mistaken(self, mistake: Exception) -> None:
        """Tell the observer of a mistake of ours; its message may quote a name, its type does not."""
        self._desk.observer.saw("sftp.mistaken", error=type(mistake).__name__)

    # --- handles -----------------------------------------------------------------------------------------------------

    @answering
    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        """Open a text of ours for reading, or a dataset's file for writing it whole."""
        principal, place = await self._caller(), parse_place(path)
        if not pflags & FXF_WRITE:
            text = await self._desk.tree.read(principal, place)
            return await self._look(principal, place) if text is None else Text(text)
        if place.area != OUTBOX or not place.path:
            raise denied("files are written to /outbox/<endpoint>/<project>/<dataset>/ only")
        await self._desk.tree.check_project(principal, place)
        name = place.dataset(principal.institution)
        handle = self._order(place) if place.order else await self._arrival(principal, name, place, pflags)
        if attrs.mtime is not None:
            handle.modified = time_of(attrs.mtime)
        self._open.add(handle)
        return handle

    async def _look(self, principal: Principal, place: Place) -> Look:
        """A file of the caller's draft; what was submitted is read back by nobody here."""
        if (await self._desk.tree.stat(principal, place)).folder:
            raise denied("this is a folder")
        found = await self._desk.folders.file(principal, place.dataset(principal.institution), place.path)
        if found is None or found.frozen:
            raise denied("only files of a draft can be read back: this one is being written, or was submitted")
        return Look(await self._desk.resume.reread(principal, found.transfer_id, place.path))

    async def _arrival(self, principal: Principal, name: DatasetName, place: Place, pflags: int) -> Arrival:
        declares = settled_name(place.path) == DECLARATION
        before = await self._before(principal, name, place, pflags)
        if before and declares:
            raise unsupported(f"{DECLARATION} is read while it is written: send it as a whole")
        draft = await self._desk.folders.draft(principal, name)
        if draft.id not in self._drafts:
            await self._desk.intake.connected(principal, draft.id, self._connection)
            self._drafts.add(draft.id)
        arrival = Arrival(
            functools.partial(self._begin, draft, place.path, before),
            self._desk.budget,
            before=before,
            appends=bool(pflags & FXF_APPEND),
            keep=MAX_DECLARATION if declares else 0,
            before_end=functools.partial(self._declare, draft) if declares else None,
        )
        if not before:
            await arrival.begin()
        self._desk.underway.arrivals[name, place.path] = arrival
        self._places[arrival] = (name, place.path)
        return arrival

    async def _before(self, principal: Principal, name: DatasetName, place: Place, pflags: int) -> int:
        """Bytes that are there and that this request wants to go on with."""
        if pflags & FXF_CREAT and pflags & FXF_TRUNC and not pflags & FXF_EXCL:
            return 0  # whatever is there
        arriving = self._desk.underway.arrivals.get((name, place.path))
        if arriving is not None and not pflags & FXF_TRUNC:
            await arriving.abandon()  # of a connection that went away and does not know it yet: the newest one goes on
        earlier = await self._desk.folders.file(principal, name, place.path)
        if earlier is None and not pflags & FXF_CREAT:
            raise nothing_there()
        if earlier is not None and pflags & FXF_EXCL:
            raise asyncssh.SFTPFileAlreadyExists("this file is there already")
        if earlier is None or pflags & FXF_TRUNC or not earlier.size:
            return 0
        if earlier.frozen:
            raise unsupported("a submitted file cannot be changed or gone on with: send it as a whole")
        return earlier.size

    async def _begin(self, draft: Transfer, path: str, before: int, offset: int) -> Incoming:
        """An upload from its first byte, or one that goes on where there is something before it."""
        principal = await self._caller()
        if not before or not offset:
            return await self._desk.intake.begin_in(principal, draft, path, resumable=True)
        return await self._desk.resume.resume(principal, draft.id, path, offset)

    def _order(self, place: Place) -> Order:
        async def carry_out(content: bytes) -> None:
            await self._verbs.obey(await self._caller(), place, content)

        return Order(carry_out, MAX_LISTING)

    async def _declare(self, draft: Transfer, content: bytes) -> None:
        await self._verbs.declare(await self._caller(), draft, content)

    @answering
    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Take bytes; the answer comes when there is room for more."""
        if not isinstance(file_obj, Arrival | Order):
            raise denied("this file is open for reading")
        await file_obj.write(offset, data)
        return len(data)

    @answering
    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Bytes of a text of ours, or of a file of the caller's draft."""
        if not isinstance(file_obj, Text | Look):
            raise denied("this file is open for writing")
        return await file_obj.read(offset, size)

    @answering
    async def close(self, file_obj: object) -> None:
        """CLOSE: the file is durable and recorded before the answer, or an error says why it is not."""
        if isinstance(file_obj, Arrival | Order):
            try:
                await file_obj.finish()
            finally:
                self._closed(file_obj)

    @answering
    async def fsync(self, file_obj: object) -> None:
        """The same as CLOSE, but the handle stays: what has to be durable has to be whole. Nothing can be added after."""
        if isinstance(file_obj, Arrival | Order):
            await file_obj.finish()

    async def abandon(self, file_obj: object) -> None:
        """The connection went away before CLOSE: nothing was received, and what came is kept to go on with."""
        if isinstance(file_obj, Arrival | Order):
            try:
                await file_obj.abandon()
            except GatewayError as failure:
                self._desk.observer.saw("sftp.faltered", code=failure.code)
            finally:
                self._closed(file_obj)

    async def leave(self, *, broken: bool) -> None:
        """The session ended, in order or not; where that cannot be noted, nobody takes it for an end in order."""
        lost = broken or self._desk.underway.stopping
        for draft in self._drafts:
            try:
                await self._desk.intake.disconnected(draft, self._connection, lost=lost)
            except GatewayError as failure:
                self._desk.observer.saw("sftp.faltered", code=failure.code)

    def _closed(self, handle: Arrival | Order) -> None:
        self._open.discard(handle)
        where = self._places.pop(handle, None)
        if where is not None and self._desk.underway.arrivals.get(where) is handle:
            del self._desk.underway.arrivals[where]

    # --- attributes --------------------------------------------------------------------------------------------------

    @answering
    async def stat(self, path: bytes) -> SFTPAttrs:
        """Size and time of a place."""
        principal, place = await self._caller(), parse_place(path)
        return attributes(await self._desk.tree.stat(principal, place))

    async def lstat(self, path: bytes) -> SFTPAttrs:
        """The same: there are no links."""
        return await self.stat(path)

    @answering
    async def fstat(self, file_obj: object) -> SFTPAttrs:
        """Of a file under way: what was received without a hole."""
        writable = isinstance(file_obj, Arrival | Order)
        return attributes(
            Node(folder=False, size=getattr(file_obj, "size", 0), modified=time.time(), writable=writable)
        )

    @answering
    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Keep the time of last change; modes mean nothing here and are let pass; owners and sizes cannot be set."""
        principal, place = await self._caller(), parse_place(path)
        node = await self._desk.tree.stat(principal, place)
        refuse_owners(attrs)
        if attrs.size is not None and attrs.size != node.size:
            raise Conflict("a file is sent as a whole: it cannot be cut or grown")
        if attrs.mtime is None or not node.writable or node.folder or place.area != OUTBOX:
            return
        name = place.dataset(principal.institution)
        arrival = self._desk.underway.arrivals.get((name, place.path))
        if arrival is not None:
            arrival.modified = time_of(attrs.mtime)
        elif int(node.modified) != attrs.mtime:
            found = await self._desk.folders.file(principal, name, place.path)
            if found is not None:  # a time alone opens no version
                await self._desk.intake.date_file(principal, found.transfer_id, place.path, time_of(attrs.mtime))

    async def lsetstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """The same: there are no links."""
        await self.setstat(path, attrs)

    @answering
    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """As `setstat`, of an open file."""
        if not isinstance(file_obj, Arrival | Order):
            raise denied("this file is open for reading")
        refuse_owners(attrs)
        if attrs.size is not None:
            await file_obj.truncate(attrs.size)
        if attrs.mtime is not None:
            file_obj.modified = time_of(attrs.mtime)

    @answering
    async def statvfs(self, path: bytes) -> SFTPVFSAttrs:
        """Room in the vault."""
        await self._desk.tree.stat(await self._caller(), parse_place(path))
        return self._room()

    @answering
    async def fstatvfs(self, file_obj: object) -> SFTPVFSAttrs:
        """The same, of an open file."""
        del file_obj
        return self._room()

    def _room(self) -> SFTPVFSAttrs:
        total, free = (size // _BLOCK for size in self._desk.room())
        return SFTPVFSAttrs(bsize=_BLOCK, frsize=_BLOCK, blocks=total, bfree=free, bavail=free, namemax=250)

    # --- folders and names -------------------------------------------------------------------------------------------

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """What is in a folder."""
        for name, node in (await self._listed(path)).items():
            found = SFTPName(name.encode(), attrs=attributes(node))
            self.format_longname(found)
            yield found

    @answering
    async def _listed(self, path: bytes) -> dict[str, Node]:
        principal, place = await self._caller(), parse_place(path)
        node = await self._desk.tree.stat(principal, place)
        if not node.folder:
            raise nothing_there()
        around = {".": node, "..": node}
        return {**around, **await self._desk.tree.listed(principal, place)}

    @answering
    async def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """A dataset (its draft is opened), or a folder in it, which is remembered until it has a file."""
        del attrs
        await self._verbs.make_folder(await self._caller(), parse_place(path))

    @answering
    async def rmdir(self, path: bytes) -> None:
        """Forget an empty folder; a dataset is ended by WITHDRAW."""
        await self._verbs.remove_folder(await self._caller(), parse_place(path))

    @answering
    async def remove(self, path: bytes) -> None:
        """Delete a file of the draft."""
        await self._verbs.remove_file(await self._caller(), parse_place(path))

    @answering
    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Give a file of the draft another name; version 3 does not replace what has it."""
        await self._verbs.rename(await self._caller(), parse_place(oldpath), parse_place(newpath), replacing=False)

    @answering
    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """The same, and what has the name is replaced."""
        await self._verbs.rename(await self._caller(), parse_place(oldpath), parse_place(newpath), replacing=True)

    async def realpath(self, path: bytes) -> bytes:
        """The path without `.` and `..`; nothing is looked up."""
        return canonical(path)
