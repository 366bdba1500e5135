"""One consistent view of the database: every question the flow asks, as a statement.

What it is not: a transaction. `gateway.stores.database` begins and ends those; this only speaks inside one.

A change must keep these:
1. Every value reaches the database as a bound parameter.
2. Every statement goes through `_run`, where a library's errors become ours.
3. Order is part of an answer: every statement that gives several rows says in which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import CursorResult, Executable, Row, Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import StoreError, Unusable
from gateway.core.intake import Part, ReceivedFile
from gateway.core.manifests import Manifest
from gateway.core.review import Vote
from gateway.core.transfer import ENDS, State, Transfer
from gateway.ports import (
    Ban,
    EditLock,
    Mark,
    Outbox,
    Partial,
    Passed,
    StoredChange,
    StoredFile,
    TransferFilter,
    Upload,
)
from gateway.stores import tables
from gateway.stores.counting import CountingView
from gateway.stores.failures import translated

MAX_LISTED = 1_000
ALSO_ASKED = frozenset({"direction", "door", "person", "client"})
"""What `TransferFilter.extra` may name: columns that are asked for by equality and have no field of their own."""

_Row = Row[*tuple[Any, ...]]
_TRANSFER = [tables.transfers.c[each.name] for each in fields(Transfer)]
_FILE = [tables.files.c[each.name] for each in fields(ReceivedFile)]
_STORED = (
    "findings",
    "facts",
    "persons_sensitive",
    "persons_nonsensitive",
    "received_at",
    "seal",
    "modified_at",
    "carried",
)
_MARK = [tables.marks.c[each.name] for each in fields(Mark)]
_UPLOAD = [tables.uploads.c[each.name] for each in fields(Upload)]
_LOCK = [tables.locks.c[each.name] for each in fields(EditLock)]
_BAN = [tables.bans.c[each.name] for each in fields(Ban)]
OUTBOX = [tables.outboxes.c[each.name] for each in fields(Outbox)]
_UNDELIVERED = sorted(set(State) - ENDS - {State.DELIVERED})
_MANIFEST = [tables.manifests.c[each.name] for each in fields(Manifest)]
_CHANGE = [tables.changes.c[each.name] for each in fields(StoredChange)]


class View(CountingView):
    """What `gateway.ports.Reading` promises, over one connection inside one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def _run(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        with translated():
            return await self._connection.execute(statement, values)

    async def _rows(self, statement: Select[Any]) -> Sequence[_Row]:
        return (await self._run(statement)).all()

    async def _first(self, statement: Select[Any]) -> _Row | None:
        return (await self._run(statement)).first()

    async def _transfers(self, statement: Select[Any]) -> Sequence[Transfer]:
        return [_transfer(row) for row in await self._rows(statement)]

    # --- transfers and what belongs to them ----------------------------------------------------------------------

    async def transfer(self, transfer_id: str) -> Transfer | None:
        """A transfer, or None."""
        row = await self._first(select(*_TRANSFER).where(tables.transfers.c.id == transfer_id))
        return _transfer(row) if row else None

    async def transfers(self, wanted: TransferFilter, *, limit: int, after: str = "") -> Sequence[Transfer]:
        """Transfers by `opened_at`, newest first, from after the given id on.

        `since` is included and `until` is not, both of `opened_at`. `text` is looked for in id, dataset, person,
        client, reason and file paths; only ASCII letters lose their case. `extra` may name `ALSO_ASKED`.

        Raises:
            Unusable: On an unknown key in `extra`, a digest that is no SHA-256 in hex, a limit that is not 1 to
                `MAX_LISTED`, or an `after` that names no transfer.
        """
        columns = tables.transfers.c
        statement = select(*_TRANSFER).where(*_conditions(wanted)).limit(listed(limit))
        if after:
            cursor = await self._first(select(columns.opened_at).where(columns.id == after))
            if cursor is None:
                raise Unusable("the list cannot continue after a transfer that is not there: start it again")
            earlier = columns.opened_at < cursor.opened_at
            statement = statement.where(or_(earlier, and_(columns.opened_at == cursor.opened_at, columns.id < after)))
        return await self._transfers(statement.order_by(columns.opened_at.desc(), columns.id.desc()))

    async def transfer_by_key(self, institution: str, idempotency_key: str) -> Transfer | None:
        """The transfer an institution opened under this idempotency key."""
        keys = tables.idempotency_keys
        joined = tables.transfers.join(keys, keys.c.transfer_id == tables.transfers.c.id)
        under = and_(keys.c.institution == institution, keys.c.key == idempotency_key)
        row = await self._first(select(*_TRANSFER).select_from(joined).where(under))
        return _transfer(row) if row else None

    async def latest_version(self, institution: str, endpoint: str, project: str, dataset: str) -> int:
        """The highest version of a dataset, 0 where there is none."""
        columns = tables.transfers.c
        row = await self._first(
            select(func.max(columns.version)).where(
                columns.institution == institution,
                columns.endpoint == endpoint,
                columns.project == project,
                columns.dataset == dataset,
            )
        )
        return int(row[0] or 0) if row else 0

    async def newest(self, wanted: TransferFilter) -> Transfer | None:
        """Of the transfers a filter finds the one of the highest version, or None; raises as `transfers` does."""
        statement = select(*_TRANSFER).where(*_conditions(wanted)).order_by(tables.transfers.c.version.desc()).limit(1)
        row = await self._first(statement)
        return _transfer(row) if row else None

    async def files(self, transfer_id: str) -> Sequence[StoredFile]:
        """Its received files, by path in code point order."""
        of = tables.files.c.transfer_id == transfer_id
        rows = await self._rows(select(tables.files).where(of).order_by(tables.files.c.path))
        return [_stored_file(row) for row in rows]

    async def received(self, transfer_id: str) -> Sequence[ReceivedFile]:
        """The same, without what was found in them, which is nine tenths of a row."""
        of = tables.files.c.transfer_id == transfer_id
        return [_received(row) for row in await self._rows(select(*_FILE).where(of).order_by(tables.files.c.path))]

    async def files_after(self, transfer_id: str, number: int, limit: int) -> Sequence[StoredFile]:
        """At most so many of its received files whose numbers are above one, by number."""
        columns = tables.files.c
        beyond = select(tables.files).where(columns.transfer_id == transfer_id, columns.number > number)
        return [_stored_file(row) for row in await self._rows(beyond.order_by(columns.number).limit(limit))]

    async def file(self, transfer_id: str, path: str) -> StoredFile | None:
        """One received file, or None."""
        columns = tables.files.c
        row = await self._first(select(tables.files).where(columns.transfer_id == transfer_id, columns.path == path))
        return _stored_file(row) if row else None

    async def files_at(self, transfer_id: str, paths: Sequence[str]) -> Sequence[StoredFile]:
        """Those of its received files that have one of these paths."""
        columns = tables.files.c
        of = and_(columns.transfer_id == transfer_id, columns.path.in_([*paths]))
        return [_stored_file(row) for row in await self._rows(select(tables.files).where(of).order_by(columns.path))]

    async def has_below(self, transfer_id: str, folder: str) -> bool:
        """Whether a received file or a partial of it has a path that begins with `folder` and a slash."""
        for table in (tables.files, tables.partials):
            path = table.c.path  # ordered by code points: a range, which the key's index answers; `0` follows the slash
            of = and_(table.c.transfer_id == transfer_id, path > f"{folder}/", path < f"{folder}0")
            if await self._first(select(table.c.path).where(of).limit(1)):
                return True
        return False

    async def partial(self, transfer_id: str, path: str) -> Partial | None:
        """An upload of this file that is under way or was cut off, or None."""
        columns = tables.partials.c
        row = await self._first(select(tables.partials).where(columns.transfer_id == transfer_id, columns.path == path))
        return _partial(row) if row else None

    async def partials(self, transfer_id: str = "") -> Sequence[Partial]:
        """All of a transfer's by path, or with an empty id everybody's."""
        columns = tables.partials.c
        statement = select(tables.partials).order_by(columns.transfer_id, columns.path)
        if transfer_id:
            statement = statement.where(columns.transfer_id == transfer_id)
        return [_partial(row) for row in await self._rows(statement)]

    async def upload(self, upload_id: str) -> Upload | None:
        """An upload that has an address, or None."""
        row = await self._first(select(*_UPLOAD).where(tables.uploads.c.id == upload_id))
        return Upload(*row) if row else None

    async def uploads(self, transfer_id: str) -> Sequence[Upload]:
        """All of a transfer's, the oldest first."""
        columns = tables.uploads.c
        of = select(*_UPLOAD).where(columns.transfer_id == transfer_id).order_by(columns.made_at, columns.id)
        return [Upload(*row) for row in await self._rows(of)]

    async def uploads_expired(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Those that are gone at that time, whosever, the earliest first."""
        columns = tables.uploads.c
        gone = select(*_UPLOAD).where(columns.expires <= now).order_by(columns.expires, columns.id).limit(limit)
        return [Upload(*row) for row in await self._rows(gone)]

    async def marks(self, transfer_id: str) -> Sequence[Mark]:
        """What was made in its folder that is no file, by path in code point order."""
        columns = tables.marks.c
        rows = await self._rows(select(*_MARK).where(columns.transfer_id == transfer_id).order_by(columns.path))
        return [Mark(*row) for row in rows]

    async def mark_content(self, transfer_id: str, path: str) -> bytes:
        """What was kept with a mark; empty where nothing was, or there is no such mark."""
        columns = tables.marks.c
        row = await self._first(select(columns.content).where(columns.transfer_id == transfer_id, columns.path == path))
        return bytes(row.content) if row else b""

    async def locks(self, institution: str) -> Sequence[EditLock]:
        """Every lock in an institution's tree by token, those that ran out included."""
        columns = tables.locks.c
        rows = await self._rows(select(*_LOCK).where(columns.institution == institution).order_by(columns.token))
        return [EditLock(*row) for row in rows]

    async def manifests(self, transfer_id: str) -> Sequence[Manifest]:
        """What its received manifests say, by path in code point order."""
        columns = tables.manifests.c
        statement = select(*_MANIFEST).where(columns.transfer_id == transfer_id).order_by(columns.path)
        return [Manifest(**row._mapping) for row in await self._rows(statement)]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping

    async def connections(self, transfer_id: str) -> Sequence[tuple[str, datetime | None]]:
        """Connections that wrote into it and did not end in order, by name, with the time each broke off."""
        columns = tables.connections.c
        statement = select(columns.connection, columns.lost_at).where(columns.transfer_id == transfer_id)
        return [(row.connection, row.lost_at) for row in await self._rows(statement.order_by(columns.connection))]

    async def votes(self, transfer_id: str) -> Sequence[Vote]:
        """Recorded votes in the order they came; none of them is trusted before its signature is checked."""
        columns = tables.votes.c
        statement = select(columns.message, columns.signature).where(columns.transfer_id == transfer_id)
        return [Vote(row.message, row.signature) for row in await self._rows(statement.order_by(columns.number))]

    async def passages(self, channel: str = "", transfer_id: str = "") -> Sequence[Passed]:
        """What went through a channel, or through any; by channel and number."""
        columns = tables.channel_passages.c
        statement = select(tables.channel_passages).order_by(columns.channel, columns.number)
        if channel:
            statement = statement.where(columns.channel == channel)
        if transfer_id:
            statement = statement.where(columns.transfer_id == transfer_id)
        return [Passed(**row._mapping) for row in await self._rows(statement)]  # noqa: SLF001  # SQLAlchemy's documented name

    async def escalating(self, now: datetime, limit: int) -> Sequence[Transfer]:
        """Held transfers whose `escalate_at` has come, the longest waiting first."""
        columns = tables.transfers.c
        waiting = and_(columns.escalate_at <= now, columns.state == State.HELD.value)
        ordered = select(*_TRANSFER).where(waiting).order_by(columns.escalate_at, columns.id)
        return await self._transfers(ordered.limit(limit))

    async def due(self, now: datetime, limit: int) -> Sequence[Transfer]:
        """Transfers not at an end whose deadline has passed, the longest overdue first."""
        columns = tables.transfers.c
        overdue = and_(columns.due <= now, columns.state.not_in(sorted(ENDS)))
        return await self._transfers(select(*_TRANSFER).where(overdue).order_by(columns.due, columns.id).limit(limit))

    async def ended_before(self, states: Sequence[State], before: datetime, limit: int) -> Sequence[Transfer]:
        """Transfers at one of these ends whose `ended_at` lies before that time and whose keys still exist."""
        columns = tables.transfers.c
        ended = and_(columns.state.in_([*states]), columns.ended_at < before, columns.keys_destroyed.is_(False))
        ordered = select(*_TRANSFER).where(ended).order_by(columns.ended_at, columns.id)
        return await self._transfers(ordered.limit(limit))

    async def kept_evidence(self, before: datetime, limit: int, after: str = "") -> Sequence[Transfer]:
        """Transfers at their end since before that time whose evidence is not gone, by id from after one on."""
        columns = tables.transfers.c
        kept = and_(columns.ended_at < before, columns.evidence != "gone", columns.id > after)
        return await self._transfers(select(*_TRANSFER).where(kept).order_by(columns.id).limit(limit))

    async def carriers(self, transfer_id: str) -> frozenset[str]:
        """Transfers with files whose bytes this one brought."""
        columns = tables.files.c
        rows = await self._rows(select(columns.transfer_id).where(columns.carried == transfer_id).distinct())
        return frozenset(row[0] for row in rows)

    async def state_counts(self) -> Mapping[str, tuple[int, datetime | None]]:
        """By state: how many transfers and the oldest `since`; states without transfers are left out."""
        columns = tables.transfers.c
        grouped = select(columns.state, func.count(), func.min(columns.since)).group_by(columns.state)
        return {state: (count, oldest) for state, count, oldest in await self._rows(grouped.order_by(columns.state))}

    # --- the registry ----------------------------------------------------------------------------------------------

    async def changes(self, state: str = "") -> Sequence[StoredChange]:
        """Registry changes: approved ones first, by serial, then the others by the time they were proposed."""
        columns = tables.changes.c
        statement = select(*_CHANGE).order_by(
            columns.serial == 0, columns.serial, columns.proposed_at.nulls_first(), columns.digest
        )
        if state:
            statement = statement.where(columns.state == state)
        return [StoredChange(**row._mapping) for row in await self._rows(statement)]  # noqa: SLF001  # as above

    # --- the ledger ----------------------------------------------------------------------------------------------

    async def entries(self, start: int, count: int) -> Sequence[tuple[int, bytes]]:
        """Ledger entries `(index, canonical JSON)` from `start` on, at most `count`."""
        columns = tables.entries.c
        wanted = select(columns.index, columns.body).where(columns.index >= start).order_by(columns.index).limit(count)
        return [(row[0], row[1]) for row in await self._rows(wanted)]

    async def entries_of(self, subject: str) -> Sequence[tuple[int, bytes]]:
        """Every ledger entry of a subject, oldest first."""
        columns = tables.entries.c
        wanted = select(columns.index, columns.body).where(columns.subject == subject).order_by(columns.index)
        return [(row[0], row[1]) for row in await self._rows(wanted)]

    async def entries_after(self, subject: str, index: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most so many ledger entries of a subject from after a position on, oldest first."""
        columns = tables.entries.c
        wanted = select(columns.index, columns.body).where(columns.subject == subject, columns.index > index)
        return [(row[0], row[1]) for row in await self._rows(wanted.order_by(columns.index).limit(limit))]

    async def entries_of_institution(self, institution: str, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
        """Ledger entries of an institution's transfers at positions from `start` to before `stop`, oldest first."""
        columns, owner = tables.entries.c, tables.transfers.c
        joined = tables.entries.join(tables.transfers, owner.id == columns.subject)
        between = and_(columns.index >= start, columns.index < stop, owner.institution == institution)
        wanted = select(columns.index, columns.body).select_from(joined).where(between).order_by(columns.index)
        return [(row[0], row[1]) for row in await self._rows(wanted)]

    async def opening(self, index: int) -> bytes | None:
        """The encrypted opening of an entry's private fields; None where it has none or there is no such entry."""
        row = await self._first(select(tables.entries.c.opening).where(tables.entries.c.index == index))
        return row.opening or None if row else None

    async def tree_size(self) -> int:
        """Entries in the ledger."""
        row = await self._first(select(tables.tree_head.c.size))
        if row is None:
            raise StoreError("the ledger's head is missing: restore a backup", code="database-damaged", retry=False)
        return int(row.size)

    async def tree_node(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree: `level` 0 are leaves (RFC 6962).

        Raises:
            StoreError: Code `no-such-node`, where no such subtree is complete.
        """
        columns = tables.tree_nodes.c
        row = await self._first(select(columns.hash).where(columns.level == level, columns.index == index))
        if row is None:
            raise StoreError(f"the ledger has no node {index} at level {level} yet", code="no-such-node", retry=False)
        return bytes(row.hash)

    async def latest_checkpoint(self) -> bytes | None:
        """The signed note over the largest tree, None before the first."""
        row = await self._first(select(tables.checkpoints.c.note).order_by(tables.checkpoints.c.size.desc()).limit(1))
        return bytes(row.note) if row else None

    # --- credentials ---------------------------------------------------------------------------------------------

    async def revoked(self, client: str, token_id: str) -> bool:
        """Whether a client, or one of its tokens, was revoked."""
        columns = tables.revocations.c
        named = select(columns.client).where(columns.client == client, columns.token_id.in_(["", token_id]))
        return await self._first(named.limit(1)) is not None

    # --- bounds --------------------------------------------------------------------------------------------------

    async def undelivered(self, institution: str) -> int:
        """Plaintext bytes in an institution's transfers that are neither delivered nor at an end."""
        columns = tables.transfers.c
        # The index over states finds few rows, the one over institutions their whole history: SQLite would take that one.
        owned = columns.institution.concat("") == institution
        held = and_(owned, columns.state.in_(_UNDELIVERED))
        row = await self._first(select(func.sum(columns.bytes)).where(held))
        return int(row[0] or 0) if row else 0

    async def kept(self, institution: str) -> int:
        """Plaintext bytes of uploads that are not whole, in an institution's open transfers."""
        partials, owners = tables.partials.c, tables.transfers.c
        own = and_(
            partials.transfer_id == owners.id, owners.institution == institution, owners.state == State.OPEN.value
        )
        row = await self._first(select(func.sum(partials.size)).where(own))
        return int(row[0] or 0) if row else 0

    async def bans(self, now: datetime, limit: int) -> Sequence[Ban]:
        """Bans that stand at that time, the newest first."""
        columns = tables.bans.c
        standing = select(*_BAN).where(columns.until > now).order_by(columns.at.desc(), columns.remote).limit(limit)
        return [Ban(**row._mapping) for row in await self._rows(standing)]  # noqa: SLF001  # as above

    # --- webhooks ------------------------------------------------------------------------------------------------

    async def outboxes(self) -> Sequence[Outbox]:
        """How far each webhook was told, by its identifier."""
        rows = await self._rows(select(*OUTBOX).order_by(tables.outboxes.c.webhook))
        return [outbox_of(row) for row in rows]


def outbox_of(row: _Row) -> Outbox:
    """An outbox from the columns of `OUTBOX`."""
    return Outbox(*row)


def listed(limit: int) -> int:
    """A limit that may be asked for; raises Unusable otherwise."""
    if not 1 <= limit <= MAX_LISTED:
        raise Unusable(f"a list holds 1 to {MAX_LISTED} transfers: ask for the next ones after its last")
    return limit


def sha256_asked(digest: str) -> bytes:
    """The digest a filter names; raises Unusable where it is no SHA-256 in hex."""
    try:
        found = bytes.fromhex(digest)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise Unusable("a digest is the 64 hexadecimal digits of a SHA-256")
    return found


def folded(text: str) -> str:
    """The text with ASCII letters in lower case: what `lower()` does in SQLite and under PostgreSQL's collation C."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def _conditions(wanted: TransferFilter) -> list[sa.ColumnElement[bool]]:
    """What a filter asks, as conditions that must all hold."""
    columns = tables.transfers.c
    equal = {name: getattr(wanted, name) for name in ("institution", "endpoint", "project", "dataset", "verdict")}
    if unknown := sorted(set(wanted.extra) - ALSO_ASKED):
        raise Unusable(f"transfers cannot be asked by {unknown[0]!r}: use one of {', '.join(sorted(ALSO_ASKED))}")
    asked = [columns[name] == value for name, value in {**equal, **wanted.extra}.items() if value]
    if wanted.states:
        asked.append(columns.state.in_([*wanted.states]))
    if wanted.rule:
        asked.append(columns.rules.like(f"%|{_literally(wanted.rule)}|%", escape="\\"))
    if wanted.since:
        asked.append(columns.opened_at >= wanted.since)
    if wanted.until:
        asked.append(columns.opened_at < wanted.until)
    if wanted.digest:
        asked.append(_has_file(tables.files.c.sha256 == sha256_asked(wanted.digest)))
    if wanted.text:
        asked.append(_mentions(wanted.text))
    return asked


def _mentions(text: str) -> sa.ColumnElement[bool]:
    columns = tables.transfers.c
    pattern = f"%{_literally(folded(text))}%"
    named = [columns.id, columns.dataset, columns.person, columns.client, columns.reason]
    in_path = _has_file(func.lower(tables.files.c.path).like(pattern, escape="\\"))
    return or_(in_path, *(func.lower(column).like(pattern, escape="\\") for column in named))


def _has_file(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return exists().where(tables.files.c.transfer_id == tables.transfers.c.id, condition)


def _literally(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _transfer(row: _Row) -> Transfer:
    values = dict(row._mapping)  # noqa: SLF001  # as above
    return Transfer(**{**values, "state": State(values["state"])})


def _stored_file(row: _Row) -> StoredFile:
    values = dict(row._mapping)  # noqa: SLF001  # as above
    return StoredFile(
        transfer_id=values["transfer_id"],
        file=_received(row),
        **{name: values[name] for name in _STORED},
        persons_lasting=values["persons_lasting"] or b"",
    )


def _received(row: _Row) -> ReceivedFile:
    values = {each.name: row._mapping[each.name] for each in _FILE}  # noqa: SLF001  # as above
    return ReceivedFile(**{**values, "parts": _parts(values["parts"])})


def _partial(row: _Row) -> Partial:
    return Partial(row.transfer_id, row.path, _parts(row.parts), row.size, row.at, row.modified_at)


def _parts(kept: object) -> tuple[Part, ...]:
    return tuple(Part(name, size) for name, size in cast("list[tuple[str, int]]", kept))
