"""One transaction that writes: every change the flow makes, as a statement.

What it is not: the transaction's beginning and end (`gateway.stores.database`), nor the tree (`gateway.stores.tree`).

A change must keep these:
1. Whoever reads what it is about to change, or appends, holds the turn: the row lock on `tree_head`. SQLite gives it
   with BEGIN IMMEDIATE; in PostgreSQL the first statement takes it. So what a transaction read is still true when it
   commits: a count of persons, a transfer's state, the next version. One lock, and so no order of locks to get wrong.
2. Leases, outboxes, spent tokens and bans need no turn: they hold only their own rows, and so run beside everything else.
   A claim is best made in a transaction of its own.
3. A statement that failed leaves the transaction unfit to commit (`failed`), whoever catches the error: PostgreSQL
   would answer COMMIT with a silent rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, Executable, Table, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict, GatewayError
from gateway.core.facts import Entry, Tag
from gateway.core.intake import Part, ReceivedFile
from gateway.core.manifests import Manifest
from gateway.core.review import Vote
from gateway.core.transfer import State, Transfer
from gateway.ports import Ban, EditLock, Mark, Outbox, Partial, Passed, StoredChange, StoredFile, Upload
from gateway.stores import tables
from gateway.stores.counting import Counting
from gateway.stores.reading import OUTBOX, View, outbox_of
from gateway.stores.tree import Tree

ASSERTION_LIFE = timedelta(days=1)
TOKEN_MEMORY = timedelta(days=1)  # a token of ours lives for minutes (gateway.identity.tokens)
"""Doors refuse assertions that live longer; a client's spent ones are forgotten this long after they expired."""

_TRANSFER_FIELDS = tuple(each.name for each in fields(Transfer))


class Transaction(Counting, View):
    """What `gateway.ports.Writing` promises, over one connection inside one transaction.

    Attributes:
        failed: The first error of a statement; the transaction must not be committed then.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self._dialect = connection.dialect.name
        self._size: int | None = None
        self._tree: Tree | None = None
        self.failed: GatewayError | None = None

    async def _run(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        await self._take_turn()
        return await self._run_beside(statement, values)

    async def _run_beside(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        """Run a statement that needs no turn."""
        try:
            return await super()._run(statement, values)
        except GatewayError as failure:
            self.failed = self.failed or failure
            raise

    async def _take_turn(self) -> int:
        """Be the only writer from here to the end of the transaction; returns the ledger's size."""
        if self._size is None:
            head = await self._run_beside(select(tables.tree_head.c.size).with_for_update())
            self._size = int(head.scalar_one())
        return self._size

    async def _put(self, table: Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        rows = [dict(values)] if isinstance(values, Mapping) else [dict(each) for each in values]
        await self._run(_upsert(self._dialect, table, tuple(rows[0])), rows[0] if len(rows) == 1 else rows)

    async def serialise(self, name: str) -> None:
        """Let no other transaction that serialises on this name run until this one ends.

        One lock serves all names: whoever would wait for a name would append to the ledger next, and wait there.
        """
        del name
        await self._take_turn()

    # --- the ledger ----------------------------------------------------------------------------------------------

    async def append(self, tag: Tag, subject: str, at: datetime, entry: Entry, sealed_opening: bytes) -> int:
        """Add a ledger entry and the tree nodes it completes; returns its index."""
        if self._tree is None:
            self._tree = Tree(self._run, await self._take_turn())
        return await self._tree.append(tag, subject, at, entry, sealed_opening)

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint; one of the same size (with more signatures) takes its place."""
        await self._put(tables.checkpoints, {"size": size, "note": note})

    # --- transfers and what belongs to them ----------------------------------------------------------------------

    async def put_transfer(self, transfer: Transfer, idempotency_key: str = "") -> None:
        """Insert or replace a transfer.

        Raises:
            Conflict: Code `idempotency-key-used` where another transfer was opened under the key; plain where another
                transfer has this version of the dataset.
        """
        if idempotency_key:
            await self._put_key(transfer, idempotency_key)
        values = {name: getattr(transfer, name) for name in _TRANSFER_FIELDS}
        for name in ("declaration", "findings", "decision", "delivery"):
            values[name] = dict(values[name])
        values |= {"state": transfer.state.value, "verdict": str(transfer.decision.get("verdict", ""))}
        await self._put(tables.transfers, {**values, "rules": rules_column(transfer)})

    async def _put_key(self, transfer: Transfer, key: str) -> None:
        known = tables.idempotency_keys
        under = and_(known.c.institution == transfer.institution, known.c.key == key)
        row = await self._first(select(known.c.transfer_id).where(under))
        if row is None:
            values = {"institution": transfer.institution, "key": key, "transfer_id": transfer.id}
            await self._run(insert(known), values)
        elif row.transfer_id != transfer.id:
            raise Conflict(
                "this idempotency key opened another transfer: look at that one, or use a new key",
                code="idempotency-key-used",
            )

    async def put_file(self, stored: StoredFile) -> None:
        """Insert or replace a file by transfer and path."""
        await self._put(tables.files, _file_values(stored))

    async def put_files(self, stored: Sequence[StoredFile]) -> None:
        """The same for many, in one statement."""
        values = [_file_values(each) for each in stored]
        if values:
            await self._run(_upsert(self._dialect, tables.files, tuple(values[0])), values)

    async def drop_files(self, transfer_id: str) -> None:
        """Forget all files of a transfer at its end: no number of it is given again."""
        await self._run(delete(tables.files).where(tables.files.c.transfer_id == transfer_id))

    async def drop_file(self, transfer_id: str, path: str) -> None:
        """Forget a file of a transfer, if it is there; its number is not given again."""
        columns = tables.files.c
        found = delete(tables.files).where(columns.transfer_id == transfer_id, columns.path == path)
        dropped = (await self._run(found.returning(columns.number))).first()
        if dropped:
            free = await self._first_free_number(transfer_id, dropped.number + 1)
            await self._put(tables.file_numbers, {"transfer_id": transfer_id, "next": free})

    async def put_partial(self, partial: Partial) -> None:
        """Insert or replace the note of an upload."""
        values = {
            "transfer_id": partial.transfer_id,
            "path": partial.path,
            "parts": _parts_kept(partial.parts),
            "size": partial.size,
            "modified_at": partial.modified,
            "at": partial.at,
        }
        await self._put(tables.partials, values)

    async def drop_partial(self, transfer_id: str, path: str) -> None:
        """Forget it."""
        columns = tables.partials.c
        await self._run(delete(tables.partials).where(columns.transfer_id == transfer_id, columns.path == path))

    async def put_upload(self, upload: Upload) -> None:
        """Insert or replace an upload that has an address."""
        await self._put(tables.uploads, asdict(upload))

    async def drop_upload(self, upload_id: str) -> None:
        """Forget it, if it is there."""
        await self._run(delete(tables.uploads).where(tables.uploads.c.id == upload_id))

    async def put_manifest(self, transfer_id: str, manifest: Manifest) -> None:
        """Insert or replace what a manifest says, by transfer and path."""
        values = {**asdict(manifest), "document": dict(manifest.document)}
        await self._put(tables.manifests, {"transfer_id": transfer_id, **values})

    async def drop_manifest(self, transfer_id: str, path: str) -> None:
        """Forget what a manifest says, if it is there."""
        columns = tables.manifests.c
        await self._run(delete(tables.manifests).where(columns.transfer_id == transfer_id, columns.path == path))

    async def put_connection(self, transfer_id: str, connection: str, lost_at: datetime | None) -> None:
        """Note that a connection writes into a transfer, or when it broke off."""
        values = {"transfer_id": transfer_id, "connection": connection, "lost_at": lost_at}
        await self._put(tables.connections, values)

    async def drop_connection(self, transfer_id: str, connection: str) -> None:
        """A connection ended in order, if it was noted."""
        columns = tables.connections.c
        mine = and_(columns.transfer_id == transfer_id, columns.connection == connection)
        await self._run(delete(tables.connections).where(mine))

    async def next_file_number(self, transfer_id: str) -> int:
        """A number no file of this transfer had before, counting from 0."""
        return await self.next_file_numbers(transfer_id, 1)

    async def next_file_numbers(self, transfer_id: str, count: int) -> int:
        """The first of so many numbers that follow one another and that no file of this transfer had before."""
        first = await self._first_free_number(transfer_id, 0)
        await self._put(tables.file_numbers, {"transfer_id": transfer_id, "next": first + count})
        return first

    async def _first_free_number(self, transfer_id: str, at_least: int) -> int:
        """The first number free in a transfer, `at_least` or more."""
        counter, files = tables.file_numbers.c, tables.files.c
        known = await self._first(select(counter.next).where(counter.transfer_id == transfer_id))
        used = await self._first(select(func.max(files.number)).where(files.transfer_id == transfer_id))
        highest = -1 if used is None or used[0] is None else int(used[0])
        return max(at_least, highest + 1, known.next if known else 0)

    async def put_mark(self, mark: Mark, content: bytes = b"") -> None:
        """Insert or replace a mark by transfer and path."""
        await self._put(tables.marks, {**asdict(mark), "content": content})

    async def drop_mark(self, transfer_id: str, path: str) -> None:
        """Forget a mark, if it is there."""
        columns = tables.marks.c
        await self._run(delete(tables.marks).where(columns.transfer_id == transfer_id, columns.path == path))

    async def put_lock(self, lock: EditLock) -> None:
        """Insert or replace a lock by token."""
        await self._put(tables.locks, asdict(lock))

    async def drop_lock(self, token: str) -> None:
        """Forget a lock, if it is there."""
        await self._run(delete(tables.locks).where(tables.locks.c.token == token))

    async def put_vote(self, transfer_id: str, vote: Vote, at: datetime) -> None:
        """Add a vote."""
        values = {"transfer_id": transfer_id, "message": vote.message, "signature": vote.signature, "at": at}
        await self._run(insert(tables.votes), values)

    async def put_passage(self, passed: Passed) -> None:
        """Insert or replace a passage by transfer."""
        await self._put(tables.channel_passages, asdict(passed))

    async def wake(self, states: Sequence[State], now: datetime) -> None:
        """Set `next_at` to now for every transfer in these states: something they wait for may have changed."""
        columns = tables.transfers.c
        await self._run(update(tables.transfers).where(columns.state.in_([*states])).values(next_at=now))

    # --- counts and the registry ---------------------------------------------------------------------------------

    async def put_change(self, change: StoredChange) -> None:
        """Insert or replace a registry change; raises Conflict where another approved one has its serial."""
        await self._put(tables.changes, asdict(change))

    # --- work ----------------------------------------------------------------------------------------------------

    async def claim(
        self, states: Sequence[State], worker: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[str]:
        """Lease transfers in these states whose `next_at` has come (None never comes) and nobody leases; their ids.

        The longest waiting come first. A lease that ran out (`until` has come) counts for nothing. Rows that another
        transaction is busy with are passed over, not waited for.
        """
        columns, held = tables.transfers.c, tables.leases.c
        joined = tables.transfers.outerjoin(tables.leases, held.transfer_id == columns.id)
        due = and_(columns.state.in_([*states]), columns.next_at <= now, or_(held.until.is_(None), held.until <= now))
        found = await self._run_beside(
            select(columns.id)
            .select_from(joined)
            .where(due)
            .order_by(columns.next_at, columns.id)
            .limit(limit)
            .with_for_update(of=tables.transfers, skip_locked=True, key_share=True)
        )
        ids = [row.id for row in found]
        if not ids:
            return []
        # The select saw leases as they were when it began; only what this statement returns is really ours.
        lease = _inserting(self._dialect)(tables.leases).values(
            [{"transfer_id": each, "worker": worker, "until": until} for each in ids]
        )
        lease = lease.on_conflict_do_update(
            index_elements=["transfer_id"],
            set_={"worker": lease.excluded.worker, "until": lease.excluded.until},
            where=held.until <= now,
        )
        leased = {row.transfer_id for row in await self._run_beside(lease.returning(held.transfer_id))}
        return [each for each in ids if each in leased]

    async def extend(self, transfer_id: str, worker: str, until: datetime) -> None:
        """Keep a lease this worker has until later; nothing happens where somebody else has it by now."""
        columns = tables.leases.c
        mine = and_(columns.transfer_id == transfer_id, columns.worker == worker)
        await self._run_beside(update(tables.leases).where(mine).values(until=until))

    async def release(self, transfer_id: str, worker: str) -> None:
        """Give a lease back; nothing happens where somebody else has it by now."""
        columns = tables.leases.c
        await self._run_beside(
            delete(tables.leases).where(columns.transfer_id == transfer_id, columns.worker == worker)
        )

    # --- credentials ---------------------------------------------------------------------------------------------

    async def spend_token_id(self, client: str, token_id: str, expires: datetime) -> bool:
        """Remember an assertion's `jti` until it expires; False where it was spent before (RFC 7523 section 3)."""
        spent = tables.spent_tokens
        old = delete(spent).where(spent.c.client == client, spent.c.expires < expires - ASSERTION_LIFE)
        await self._run_beside(old)
        values = {"client": client, "token_id": token_id, "expires": expires}
        return (await self._run_beside(_insert_new(self._dialect, spent), values)).rowcount > 0

    async def revoke(self, client: str, token_id: str, at: datetime) -> None:
        """Revoke a client's token, or with an empty id the client as a whole; the first time stands."""
        revoked = tables.revocations
        if (
            token_id
        ):  # what was revoked a day ago has run out long since: a client that revokes all it gets fills no disk
            mine = and_(revoked.c.client == client, revoked.c.token_id != "")
            await self._run_beside(delete(revoked).where(mine, revoked.c.at < at - TOKEN_MEMORY))
        values = {"client": client, "token_id": token_id, "at": at}
        await self._run_beside(_insert_new(self._dialect, revoked), values)

    async def put_ban(self, ban: Ban) -> None:
        """Ban an address, or replace its ban; bans that had ended when this one begins are forgotten."""
        values = asdict(ban)
        await self._run_beside(_upsert(self._dialect, tables.bans, tuple(values)), values)
        await self._run_beside(delete(tables.bans).where(tables.bans.c.until <= ban.at))

    async def drop_ban(self, remote: str) -> bool:
        """Lift a ban; whether there was one, ended or not."""
        return (await self._run_beside(delete(tables.bans).where(tables.bans.c.remote == remote))).rowcount > 0

    # --- webhooks ------------------------------------------------------------------------------------------------

    async def put_outbox(self, outbox: Outbox) -> None:
        """Insert or replace what is known of a webhook."""
        values = asdict(outbox)
        await self._run_beside(_upsert(self._dialect, tables.outboxes, tuple(values)), values)

    async def drop_outbox(self, webhook: str) -> None:
        """Forget a webhook, if it is there."""
        await self._run_beside(delete(tables.outboxes).where(tables.outboxes.c.webhook == webhook))

    async def claim_outbox(self, webhook: str, worker: str, now: datetime, until: datetime) -> Outbox | None:
        """Lease a webhook's outbox that is due and neither parked nor leased; None otherwise."""
        columns = tables.outboxes.c
        free = or_(columns.until.is_(None), columns.until <= now)
        due = and_(columns.webhook == webhook, columns.parked_at.is_(None), columns.next_at <= now, free)
        lease = update(tables.outboxes).where(due).values(worker=worker, until=until)
        row = (await self._run_beside(lease.returning(*OUTBOX))).first()
        return outbox_of(row) if row else None

    async def keep_outbox(self, outbox: Outbox, worker: str) -> bool:
        """Replace an outbox this worker leases; False, and nothing kept, where it does not any more."""
        columns = tables.outboxes.c
        mine = and_(columns.webhook == outbox.webhook, columns.worker == worker)
        return (await self._run_beside(update(tables.outboxes).where(mine).values(**asdict(outbox)))).rowcount > 0


def _file_values(stored: StoredFile) -> dict[str, Any]:
    # By hand: `dataclasses.asdict` copies every finding of every file, which a hundred thousand rows pay for in seconds.
    values = {each.name: getattr(stored, each.name) for each in fields(StoredFile) if each.name != "file"}
    received = {each.name: getattr(stored.file, each.name) for each in fields(ReceivedFile)}
    kept = {"findings": dict(stored.findings), "facts": dict(stored.facts), "parts": _parts_kept(stored.file.parts)}
    return {**values, **received, **kept}


def _parts_kept(parts: Sequence[Part]) -> list[list[str | int]]:
    return [[part.name, part.size] for part in parts]


def rules_column(transfer: Transfer) -> str:
    """The rules of a transfer's decision as they are asked for: `|P8|P8.1|`; empty without any."""
    return "".join(f"|{rule}" for rule in transfer.decision.get("rules", ())) + "|"


def _inserting(dialect: str) -> Any:
    """The engine's INSERT, which knows ON CONFLICT."""
    return sqlite.insert if dialect == "sqlite" else postgresql.insert


@cache
def _upsert(dialect: str, table: Table, names: tuple[str, ...]) -> Executable:
    """Insert a row, or replace these columns of the row with the same primary key."""
    keys = [column.name for column in table.primary_key]
    statement = _inserting(dialect)(table)
    replaced = {name: statement.excluded[name] for name in names if name not in keys}
    upsert: Executable = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
    return upsert


@cache
def _insert_new(dialect: str, table: Table) -> Executable:
    """Insert a row, or leave the one with the same primary key as it is."""
    statement: Executable = _inserting(dialect)(table).on_conflict_do_nothing()
    return statement
