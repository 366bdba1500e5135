"""Received files on their way into the records: many in one transaction, and small ones soon rather than at once.

What it is not: the upload (`incoming`), which hands over what it made.

The rules:
1. What was answered as received is durable: recorded (`keep`), or held in the vault with a note that says all the records
   need (`hold`). A process that died left the note; the next one records it (`recover`).
2. Whoever changes, submits or reads on of a transfer waits until nothing of it is held (`settled`). So a file that was
   answered as received is in every submission that follows.
3. A note is authenticated under the transfer's evidence key: what was written into the vault by another hand is not recorded.
4. Files held are bounded by number and by size; beyond that the sender waits. Nothing is held where several processes serve:
   a client's connections meet different ones, and what one holds the others would not show.

When a step fails: the transfer was submitted or ended meanwhile -> that file is refused, removed, and whoever waits for the
transfer is told; the database is away -> what is held stays held and is tried again, and whoever waits is told.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.core.completeness import SETTLE
from gateway.core.errors import BrokenPromise, Conflict, GatewayError, NotFound, StoreError
from gateway.core.identity import Door
from gateway.core.intake import Limits, Part, ReceivedFile, check_quota, check_room
from gateway.core.manifests import Manifest, manifest_kind
from gateway.core.names import is_temporary
from gateway.core.transfer import State, Transfer
from gateway.flow.recall import sealed_row
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import Spool, SpoolWriter, StoredFile

MAX_HELD: Final = 256
MAX_BATCH: Final = 64
LINGER_SECONDS: Final = 0.25
AGAIN_SECONDS: Final = 1.0
RENAME_SECONDS: Final = 1.0  # how long a file that is held under a temporary name waits for its own
FOLDER_DOORS: Final = frozenset(
    {Door.SFTP.value, Door.WEBDAV.value}
)  # where a dataset is a folder, which nobody need submit by a call
_NOTES: Final = b"hetao/held-notes/v1"  # keeps the notes' key apart from the other uses of the evidence key


Along = Callable[[Ledgering, StoredFile], Awaitable[tuple[Part, ...]]]
"""What is recorded in one transaction with a file: returns the parts nothing names any more; raises Conflict before it writes."""


@dataclass(frozen=True)
class Arrived:
    """A file as its upload made it.

    Attributes:
        stored: Its row, without number and seal.
        header: Its session key sealed to the vault; empty where the key is in the keyring, or there is no new part.
        manifest: What it says of other files, where it is a manifest.
        along: What is recorded with it.
    """

    stored: StoredFile
    header: bytes = b""
    manifest: Manifest | None = None
    along: Along | None = None

    @property
    def part(self) -> str:
        """The new part's name; empty where there is none."""
        return self.stored.file.parts[-1].name if self.stored.file.parts else ""


@dataclass(eq=False)
class _Waiting:
    arrived: Arrived
    done: asyncio.Future[StoredFile]
    writer: SpoolWriter | None = None  # of a part that is held
    taken: bool = False  # into a transaction
    noting: asyncio.Future[None] | None = None  # while it gets another note
    since: float = 0.0  # on the loop's clock
    wanted: bool = False  # somebody waits until it is recorded

    @property
    def path(self) -> str:
        return self.arrived.stored.file.path

    def ready(self, now: float) -> bool:
        """Whether it may be recorded now: a temporary name will be another in a moment, which costs nothing till then."""
        settled = self.writer is None or self.wanted or now - self.since >= RENAME_SECONDS
        return self.noting is None and (settled or not is_temporary(self.path))


class Place:
    """Room for one file that is held.

    Args:
        evidence_key: Of its transfer.
    """

    def __init__(self, evidence_key: bytes) -> None:
        self._evidence_key = evidence_key
        self.held: tuple[Arrived, SpoolWriter] | None = None

    def hold(self, arrived: Arrived, writer: SpoolWriter) -> None:
        """Make a file durable in the vault with its note. Blocking.

        Args:
            arrived: With its header.
            writer: Of its only part; the keeper's when the room's block ends.
        """
        writer.hold(_note(arrived, self._evidence_key))
        self.held = (arrived, writer)


class Keeper:
    """Records what arrived.

    Args:
        recorder: The only writer.
        spool: Where parts are.
        pool: Worker threads.
        limits: Bounds on a transfer.
    """

    def __init__(self, *, recorder: Recorder, spool: Spool, pool: Executor, limits: Limits) -> None:
        self._recorder = recorder
        self._spool = spool
        self._pool = pool
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._held: dict[str, dict[str, _Waiting]] = defaultdict(dict)  # by transfer and path, the newest
        self._unsettled: dict[str, set[_Waiting]] = defaultdict(set)
        self._lost: dict[str, GatewayError] = {}
        self._room = asyncio.Semaphore(MAX_HELD)
        self._drainer: asyncio.Future[None] | None = None
        self.holds = True  # not where several processes serve: what one holds the others do not see
        self._wanted = asyncio.Event()  # somebody waits, or a batch is full: no lingering

    # --- what uploads and readers call -------------------------------------------------------------------------------

    async def keep(self, arrived: Arrived) -> StoredFile:
        """Record a file whose parts are committed; returns its row once that is durable.

        Raises:
            Conflict: The transfer is not open any more.
            TooLarge: The transfer is full.
        """
        await self.settled(arrived.stored.transfer_id)
        waiting = self._enqueue(arrived, None)
        try:
            return await asyncio.shield(waiting.done)
        finally:
            self._unsettled_no_more(waiting)

    @asynccontextmanager
    async def room(self, transfer_id: str) -> AsyncIterator[Place]:
        """Wait for room to hold a file of a transfer. What the block held is recorded soon after it ends."""
        await self._room.acquire()
        try:
            place = Place(await self._recorder.evidence_key(transfer_id))
            yield place
            assert place.held is not None, "nothing was held"
        except BaseException:
            self._room.release()
            raise
        arrived, writer = place.held
        waiting = self._enqueue(arrived, writer)
        self._held[arrived.stored.transfer_id][arrived.stored.file.path] = waiting

    def held(self, transfer_id: str) -> Mapping[str, StoredFile]:
        """Files of a transfer that were answered as received and are not recorded yet, by path."""
        return {path: each.arrived.stored for path, each in self._held.get(transfer_id, {}).items()}

    def date(self, transfer_id: str, path: str, modified: datetime) -> bool:
        """Give a held file its time of last change; False where it is not held, or on its way into the records already.

        The note does not learn of it: a crash in that quarter of a second costs the time, not the file.
        """
        waiting = self._held.get(transfer_id, {}).get(path)
        if waiting is None or waiting.taken:
            return False
        waiting.arrived = replace(waiting.arrived, stored=replace(waiting.arrived.stored, modified_at=modified))
        return True

    async def rename(self, transfer_id: str, path: str, to: str) -> StoredFile | None:
        """Give a held file another name, durably; the caller knows that it may have it.

        Returns:
            It under its new name. None where it is not held, is on its way into the records already, or either name needs a
            look at the records: then it has its old name.
        """
        key, held = await self._recorder.evidence_key(transfer_id), self._held.get(transfer_id, {})
        waiting = held.get(path)
        if waiting is None or waiting.taken or waiting.noting or to in held or manifest_kind(path) or manifest_kind(to):
            return None
        stored, writer = waiting.arrived.stored, waiting.writer
        assert writer is not None, "a held file has a writer"
        findings = {**stored.findings, "path": to}
        renamed = replace(stored, file=replace(stored.file, path=to), findings=findings)
        arrived, loop = replace(waiting.arrived, stored=renamed), asyncio.get_running_loop()
        waiting.noting = loop.create_future()
        try:
            await loop.run_in_executor(self._pool, writer.hold, _note(arrived, key))
            waiting.arrived = replace(arrived, stored=replace(renamed, modified_at=waiting.arrived.stored.modified_at))
            del held[path]
            held[to] = waiting
        finally:
            waiting.noting.set_result(None)
            waiting.noting = None
        return renamed

    async def settled(self, transfer_id: str, path: str = "") -> None:
        """Wait until nothing of a transfer is held, or nothing that has this path.

        Raises:
            GatewayError: A file that was answered as received could not be recorded; told once.
        """
        while waited := self._waited_for(transfer_id, path):
            for each in waited:
                each.wanted = True
            self._wanted.set()
            waiting = [each.done for each in waited]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failed = [each for each in waiting if each.done() and each.exception() is not None]
            if failed:
                break
        if lost := self._lost.pop(transfer_id, None):
            raise lost

    def _waited_for(self, transfer_id: str, path: str) -> list[_Waiting]:
        held = (each for each in self._unsettled.get(transfer_id, ()) if each.writer is not None)
        return [each for each in held if not path or each.path == path]

    async def close(self) -> None:
        """Record what is held; what cannot be stays held for the next process."""
        for each in self._queue:
            each.wanted = True
        self._wanted.set()
        if self._drainer is not None and not self._drainer.done():
            await asyncio.wait({self._drainer}, timeout=AGAIN_SECONDS)

    # --- recording ---------------------------------------------------------------------------------------------------

    def _enqueue(self, arrived: Arrived, writer: SpoolWriter | None) -> _Waiting:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(arrived, loop.create_future(), writer, since=loop.time())
        self._queue.append(waiting)
        self._unsettled[arrived.stored.transfer_id].add(waiting)
        if writer is None or len(self._queue) >= MAX_BATCH:
            self._wanted.set()
        if self._drainer is None or self._drainer.done():
            self._drainer = asyncio.ensure_future(self._drain())
        return waiting

    async def _drain(self) -> None:
        while self._queue:
            await self._linger()
            batch = self._next()
            if noting := [each.noting for each in self._queue if each.noting and not batch]:
                await asyncio.wait(noting)  # it may be wanted, and will be ready at once
                self._wanted.set()
            for each in batch:
                each.taken = True
            try:
                await self._record(batch)
            except Exception as failure:  # noqa: BLE001  # handed to whoever waits, below
                await self._failed(batch, failure)

    async def _linger(self) -> None:
        """Let a batch fill, as long as nobody waits: what is held is durable, and a transaction costs the same for many."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), LINGER_SECONDS)
        self._wanted.clear()

    def _next(self) -> list[_Waiting]:
        """The oldest ones, of each path one."""
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        taken: set[tuple[str, str]] = set()
        now = asyncio.get_running_loop().time()
        while self._queue and len(batch) < MAX_BATCH:
            each = self._queue.popleft()
            name = (each.arrived.stored.transfer_id, each.path)
            (batch if each.ready(now) and name not in taken else later).append(each)
            taken.add(name)
        self._queue.extendleft(reversed(later))
        return batch

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        recorder = self._recorder
        headers = [each.arrived for each in batch if each.arrived.header]
        await asyncio.gather(
            *(recorder.keyring.put(each.stored.transfer_id, each.part, each.header) for each in headers)
        )
        answers = await recorder.do(lambda ledger: self._keep_all(ledger, [each.arrived for each in batch]))
        held = [
            each.writer for each, (answer, _) in zip(batch, answers, strict=True) if each.writer and not _no(answer)
        ]
        if held:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._spool.commit, held)
        received: dict[str, list[int]] = defaultdict(list)
        for each, (answer, obsolete) in zip(batch, answers, strict=True):
            if isinstance(answer, GatewayError):
                await self._refused(each, answer)
                continue
            await forget(recorder, self._spool, answer.transfer_id, obsolete, but=answer.file.parts)
            self._settle(each)
            each.done.set_result(answer)
            recorder.observer.saw(
                "file.received",
                transfer_id=answer.transfer_id,
                file=answer.file.number,
                bytes=answer.file.size,
                format=str(answer.findings.get("format", "")),
                probe=True,
            )
            received[answer.transfer_id].append(answer.file.size)
        for transfer_id, sizes in received.items():
            recorder.observer.saw("files.received", transfer_id=transfer_id, files=len(sizes), bytes=sum(sizes))

    async def _keep_all(
        self, ledger: Ledgering, arrived: Sequence[Arrived]
    ) -> list[tuple[StoredFile | GatewayError, tuple[Part, ...]]]:
        """Rows as they were recorded, or why not, each with the parts of what it replaces."""
        by_transfer: dict[str, list[Arrived]] = defaultdict(list)
        for each in arrived:
            by_transfer[each.stored.transfer_id].append(each)
        answers: dict[tuple[str, str], tuple[StoredFile | GatewayError, tuple[Part, ...]]] = {}
        for transfer_id, files in by_transfer.items():
            for path, answer in (await self._keep_of(ledger, transfer_id, files)).items():
                answers[transfer_id, path] = answer
        return [answers[each.stored.transfer_id, each.stored.file.path] for each in arrived]

    async def _keep_of(
        self, ledger: Ledgering, transfer_id: str, files: Sequence[Arrived]
    ) -> dict[str, tuple[StoredFile | GatewayError, tuple[Part, ...]]]:
        try:
            transfer = await ledger.transfer(transfer_id)
            require_state(transfer, State.OPEN)
        except (Conflict, NotFound) as no:
            return {each.stored.file.path: (no, ()) for each in files}
        paths = [each.stored.file.path for each in files]
        before = {each.file.path: each for each in await ledger.tx.files_at(transfer_id, paths)}
        notes = {each.path: each for each in await ledger.tx.partials(transfer_id)}
        undelivered = await ledger.tx.undelivered(transfer.institution) if self._limits.undelivered_bytes else 0
        number = await ledger.tx.next_file_numbers(transfer_id, len(files))
        key = await self._recorder.evidence_key(transfer_id)
        answers: dict[str, tuple[StoredFile | GatewayError, tuple[Part, ...]]] = {}
        rows: list[StoredFile] = []
        for each in files:
            file = each.stored.file
            replaced = before.get(file.path)
            gone = replaced.file.size if replaced else 0
            try:
                check_room(self._limits, transfer.files - bool(replaced), transfer.bytes - gone, file.size)
                check_quota(self._limits, undelivered - gone, file.size)
                obsolete = await each.along(ledger, each.stored) if each.along else ()
            except GatewayError as no:
                answers[file.path] = (no, ())
                continue
            undelivered += file.size - gone
            grown = {"files": transfer.files + (not replaced), "bytes": transfer.bytes + file.size - gone}
            transfer = changed(transfer, ledger.now, **grown)
            rows.append(sealed_row(replace(each.stored, file=replace(file, number=number)), key))
            number += 1
            obsolete += replaced.file.parts if replaced else ()
            if note := notes.get(file.path):
                await ledger.tx.drop_partial(transfer_id, file.path)
                obsolete += note.parts
            if each.manifest is not None:  # a path is a manifest's or not: what was there is replaced with the file
                await ledger.tx.put_manifest(transfer_id, each.manifest)
            answers[file.path] = (rows[-1], obsolete)
        if rows:
            await ledger.tx.put_files(rows)
            await ledger.tx.put_transfer(transfer)
        return answers

    # --- ends --------------------------------------------------------------------------------------------------------

    async def _refused(self, waiting: _Waiting, no: GatewayError) -> None:
        """Tell who waits; of a file that was held, remove every trace."""
        transfer_id = waiting.arrived.stored.transfer_id
        if waiting.writer is not None:
            self._lost[transfer_id] = no
            self._recorder.observer.saw("file.lost", transfer_id=transfer_id, code=no.code)
            await asyncio.get_running_loop().run_in_executor(self._pool, waiting.writer.abort)
            await self._recorder.keyring.drop(transfer_id, waiting.arrived.part)
        self._settle(waiting)
        waiting.done.set_exception(no)
        waiting.done.exception()  # of one that was held nobody may be waiting

    async def _failed(self, batch: Sequence[_Waiting], failure: Exception) -> None:
        """Nothing of a batch was recorded: what is held is tried again, the rest is told."""
        again: list[_Waiting] = []
        for each in batch:
            if each.done.done():
                continue
            if each.writer is None:
                each.done.set_exception(failure)
                continue
            transfer_id = each.arrived.stored.transfer_id
            self._lost[transfer_id] = StoreError("a file that was received is not recorded yet: try again")
            each.done.set_exception(failure)
            each.done.exception()
            self._unsettled[transfer_id].discard(each)
            each.taken = False
            each.done = asyncio.get_running_loop().create_future()
            self._unsettled[transfer_id].add(each)
            again.append(each)
        if again:
            self._recorder.observer.saw("file.waiting", files=len(again))
            self._queue.extendleft(reversed(again))
            await asyncio.sleep(AGAIN_SECONDS)

    def _settle(self, waiting: _Waiting) -> None:
        self._unsettled_no_more(waiting)
        if waiting.writer is None:
            return
        self._room.release()
        stored = waiting.arrived.stored
        held = self._held.get(stored.transfer_id, {})
        if held.get(stored.file.path) is waiting:
            del held[stored.file.path]
        if not held:
            self._held.pop(stored.transfer_id, None)

    def _unsettled_no_more(self, waiting: _Waiting) -> None:
        transfer_id = waiting.arrived.stored.transfer_id
        unsettled = self._unsettled.get(transfer_id, set())
        unsettled.discard(waiting)
        if not unsettled:
            self._unsettled.pop(transfer_id, None)

    # --- after a crash -----------------------------------------------------------------------------------------------

    async def recover(self) -> int:
        """Record what dead processes held; returns how many files."""
        loop = asyncio.get_running_loop()
        recovered = 0
        for name, note in await loop.run_in_executor(self._pool, self._spool.held):
            try:
                recovered += await self._recover(name, note)
            except GatewayError as failure:  # one altered note must not keep the gateway from its work
                self._recorder.observer.saw("file.unrecovered", code=failure.code)
        return recovered

    async def _recover(self, name: str, note: bytes) -> bool:
        transfer_id = name.partition("/")[0]
        arrived = _noted(note, await self._recorder.evidence_key(transfer_id))
        if arrived.stored.transfer_id != transfer_id or arrived.part != name:
            raise BrokenPromise("a note in the vault is about another part: it was moved")
        async with self._recorder.records.read() as view:  # by its part: a rename may have followed
            known = any(each.parts == arrived.stored.file.parts for each in await view.received(transfer_id))
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(self._pool, self._spool.salvage, name) is None or known:
            return False  # it lives, or it was recorded, and only its name was missing
        try:
            await self.keep(arrived)
        except GatewayError:
            await forget(self._recorder, self._spool, transfer_id, arrived.stored.file.parts)
            raise
        return True


async def forget(
    recorder: Recorder, spool: Spool, transfer_id: str, parts: Iterable[Part], *, but: Iterable[Part] = ()
) -> None:
    """Destroy the keys of parts no file names any more, then the parts; housekeeping finds what a crash leaves.

    Args:
        recorder: Has the keyring.
        spool: Has the parts.
        transfer_id: Whose they are.
        parts: What was named.
        but: What is named still.
    """
    kept = {part.name for part in but}
    for name in dict.fromkeys(part.name for part in parts if part.name not in kept):
        await recorder.keyring.drop(transfer_id, name)
        spool.delete(name)


def require_state(transfer: Transfer, state: State) -> None:
    """Raise Conflict where a transfer is in another state."""
    if transfer.state is not state:
        raise Conflict(f"the transfer is {transfer.state}, not {state}: open a new one", code="wrong-state")


def changed(transfer: Transfer, now: datetime, **changes: Any) -> Transfer:
    """A draft after a change of what is in it; one in a folder is looked at when nothing changed for `SETTLE` (`completion`)."""
    looked_at: dict[str, Any] = {"next_at": now + SETTLE, "reason": ""} if transfer.door in FOLDER_DOORS else {}
    return replace(transfer, **changes, **looked_at)


def _no(answer: StoredFile | GatewayError) -> bool:
    return isinstance(answer, GatewayError)


# --- notes -----------------------------------------------------------------------------------------------------------


def _note(arrived: Arrived, evidence_key: bytes) -> bytes:
    stored, file = arrived.stored, arrived.stored.file
    told = json.dumps(
        {
            "transfer": stored.transfer_id,
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256.hex(),
            "body_blake3": file.body_blake3.hex(),
            "body_size": file.body_size,
            "parts": [[part.name, part.size] for part in file.parts],
            "findings": dict(stored.findings),
            "facts": dict(stored.facts),
            "sensitive": stored.persons_sensitive.hex(),
            "nonsensitive": stored.persons_nonsensitive.hex(),
            "received_at": stored.received_at.isoformat(),
            "modified_at": stored.modified_at.isoformat() if stored.modified_at else "",
            "header": arrived.header.hex(),
            "lasting": stored.persons_lasting.hex(),
        },
        ensure_ascii=False,
    ).encode()
    return _authentic(told, evidence_key) + told


def _authentic(told: bytes, evidence_key: bytes) -> bytes:
    return hmac.digest(hmac.digest(evidence_key, _NOTES, "sha256"), told, "sha256")


def _noted(note: bytes, evidence_key: bytes) -> Arrived:
    """What a note says; raises BrokenPromise where the gateway did not write it."""
    told = note[32:]
    if not hmac.compare_digest(note[:32], _authentic(told, evidence_key)):
        raise BrokenPromise("a note in the vault is not the gateway's: it was altered; open an incident")
    said: dict[str, Any] = json.loads(told)  # our own words, as they were just shown to be
    modified = said["modified_at"]
    file = ReceivedFile(
        path=said["path"],
        number=0,
        size=said["size"],
        sha256=bytes.fromhex(said["sha256"]),
        body_blake3=bytes.fromhex(said["body_blake3"]),
        body_size=said["body_size"],
        parts=tuple(Part(name, size) for name, size in said["parts"]),
    )
    stored = StoredFile(
        transfer_id=said["transfer"],
        file=file,
        findings=said["findings"],
        facts=said["facts"],
        persons_sensitive=bytes.fromhex(said["sensitive"]),
        persons_nonsensitive=bytes.fromhex(said["nonsensitive"]),
        received_at=datetime.fromisoformat(said["received_at"]),
        modified_at=datetime.fromisoformat(modified) if modified else None,
        persons_lasting=bytes.fromhex(said.get("lasting", "")),  # notes of before it was kept have none
    )
    return Arrived(stored, bytes.fromhex(said["header"]))
