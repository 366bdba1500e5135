"""Who was counted, as statements: the sets of transfers, and the unions made of them, in shards.

What it is not: arithmetic. What a union is and when it is made is `gateway.flow.census`.

A change must keep this: no question that is asked at every decision reads a set, or more shards than it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import CursorResult, Executable, Row, Select, Table, and_, delete, func, insert, select
from sqlalchemy.sql import ColumnElement

from gateway.core.errors import Conflict
from gateway.ports import FilingUse, PersonSet, PersonSums, PersonUnion
from gateway.stores import tables

_SETS = [tables.person_sets.c[each.name] for each in fields(PersonSet)]
_UNIONS = [tables.person_unions.c[each.name] for each in fields(PersonUnion)]
_USES = [tables.filing_uses.c[each.name] for each in fields(FilingUse)]
_UNDER_FILINGS = "filing"  # the track of unions whose entity is a filing (`gateway.flow.usage`)
_WIDE = 300  # shards above which all of them are read: a list that long costs more than it saves


class CountingView:
    """The questions. Whoever inherits brings the connection (`_run`)."""

    async def _run(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        raise NotImplementedError

    async def _counted(self, statement: Select[Any]) -> Sequence[Row[*tuple[Any, ...]]]:
        return (await self._run(statement)).all()

    async def person_sets(self, entity: str, year: int, track: str) -> Sequence[PersonSet]:
        """Everybody counted for an entity in a year, by transfer; an empty entity asks for all of them."""
        columns = tables.person_sets.c
        statement = select(*_SETS).where(_of(tables.person_sets, entity, year, track))
        return [PersonSet(**row._mapping) for row in await self._counted(statement.order_by(columns.transfer_id))]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping

    async def person_set(self, transfer_id: str) -> PersonSet | None:
        """Who was counted for a transfer, or None."""
        rows = await self._counted(select(*_SETS).where(tables.person_sets.c.transfer_id == transfer_id))
        return PersonSet(**rows[0]._mapping) if rows else None  # noqa: SLF001  # as above

    async def counted_transfers(self, entity: str, year: int, track: str) -> frozenset[str]:
        """The transfers counted for an entity in a year."""
        statement = select(tables.person_sets.c.transfer_id).where(_of(tables.person_sets, entity, year, track))
        return frozenset(row[0] for row in await self._counted(statement))

    async def person_sums(self, year: int, track: str) -> Mapping[str, PersonSums]:
        """What the sets of each entity add up to: lengths and numbers only, which both engines know without reading a set."""
        columns = tables.person_sets.c
        size = func.coalesce(func.sum(func.length(columns.sensitive) + func.length(columns.nonsensitive)), 0)
        numbers = func.sum(columns.unkeyed_sensitive), func.sum(columns.unkeyed_nonsensitive)
        statement = select(columns.entity, func.count(), size, *numbers)
        statement = statement.where(_of(tables.person_sets, "", year, track)).group_by(columns.entity)
        return {
            row[0]: PersonSums(row[0], int(row[1]), int(row[2]) // 8, int(row[3]), int(row[4]))
            for row in await self._counted(statement.order_by(columns.entity))
        }

    async def person_unions(self, year: int, track: str) -> Mapping[str, PersonUnion]:
        """The unions there are, by entity."""
        statement = select(*_UNIONS).where(_of(tables.person_unions, "", year, track))
        rows = await self._counted(statement.order_by(tables.person_unions.c.entity))
        return {row.entity: PersonUnion(**row._mapping) for row in rows}  # noqa: SLF001  # as above

    async def person_shards(
        self, entity: str, year: int, track: str, kind: str, numbers: Sequence[int]
    ) -> Mapping[int, bytes]:
        """Shards of an entity's union by number, packed; empty ones are left out."""
        columns = tables.person_shards.c
        wanted = and_(_of(tables.person_shards, entity, year, track), columns.kind == kind)
        if len(numbers) <= _WIDE:
            wanted = and_(wanted, columns.number.in_(numbers))
        statement = select(columns.number, columns.digests).where(wanted).order_by(columns.number)
        asked = frozenset(numbers)
        return {row[0]: row[1] for row in await self._counted(statement) if row[0] in asked}

    async def hgr_samples(self, project: str, endpoint: str) -> Sequence[tuple[bytes, bytes]]:
        """Packed digests of the samples counted so far: all, and the sequenced ones, by transfer."""
        columns = tables.hgr_samples.c
        wanted = select(columns.samples, columns.sequenced).where(
            columns.project == project, columns.endpoint == endpoint
        )
        return [(row[0], row[1]) for row in await self._counted(wanted.order_by(columns.transfer_id))]

    async def hgr_counted(self, project: str, endpoint: str) -> tuple[int, int]:
        """Individual-level subjects and sequencing subjects cleared so far, for a project and a recipient."""
        columns = tables.hgr_counts.c
        sums = select(func.sum(columns.subjects), func.sum(columns.sequencing))
        rows = await self._counted(sums.where(columns.project == project, columns.endpoint == endpoint))
        return int(rows[0][0] or 0), int(rows[0][1] or 0)

    async def filing_uses(self, filing: str) -> Sequence[FilingUse]:
        """What went under a filing, by transfer; an empty id asks for every filing's."""
        columns = tables.filing_uses.c
        statement = select(*_USES).order_by(columns.transfer_id, columns.filing)
        rows = await self._counted(statement.where(columns.filing == filing) if filing else statement)
        return [FilingUse(**row._mapping) for row in rows]  # noqa: SLF001  # as above

    async def filing_sums(self, filing: str) -> Mapping[int, PersonSums]:
        """By year, how many sets of persons went under a filing and how many digests they hold; no set is read for it."""
        sets, uses = tables.person_sets.c, tables.filing_uses.c
        size = func.coalesce(func.sum(func.length(sets.sensitive) + func.length(sets.nonsensitive)), 0)
        statement = select(uses.year, func.count(), size).where(_under(filing)).group_by(uses.year)
        rows = await self._counted(statement.order_by(uses.year))
        return {int(row[0]): PersonSums(filing, int(row[1]), int(row[2]) // 8) for row in rows}

    async def filing_sets(self, filing: str, year: int) -> Sequence[PersonSet]:
        """The sets that went under a filing in a year, by transfer."""
        statement = select(*_SETS).where(_under(filing), tables.filing_uses.c.year == year)
        rows = await self._counted(statement.order_by(tables.person_sets.c.transfer_id))
        return [PersonSet(**row._mapping) for row in rows]  # noqa: SLF001  # as above

    async def filing_samples(self, filing: str) -> Sequence[tuple[bytes, bytes]]:
        """Packed digests of the samples that went under a filing, all time, by transfer: all, and the sequenced ones."""
        samples, uses = tables.hgr_samples.c, tables.filing_uses.c
        wanted = and_(samples.transfer_id == uses.transfer_id, uses.filing == filing)
        statement = select(samples.samples, samples.sequenced).where(wanted).order_by(samples.transfer_id)
        return [(row[0], row[1]) for row in await self._counted(statement)]


class Counting(CountingView):
    """The changes."""

    async def _put(self, table: Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        raise NotImplementedError

    async def put_persons(self, counted: PersonSet) -> None:
        """Count persons for a transfer; raises Conflict where the transfer is counted already."""
        await self._count_once(tables.person_sets, asdict(counted))

    async def put_samples(
        self, transfer_id: str, project: str, endpoint: str, samples: bytes, sequenced: bytes
    ) -> None:
        """Count a cleared transfer's samples; raises Conflict where they are counted already."""
        where = {"transfer_id": transfer_id, "project": project, "endpoint": endpoint}
        await self._count_once(tables.hgr_samples, {**where, "samples": samples, "sequenced": sequenced})

    async def put_hgr(self, transfer_id: str, project: str, endpoint: str, subjects: int, sequencing: int) -> None:
        """Count a cleared transfer's individual-level subjects; raises Conflict where they are counted already."""
        where = {"transfer_id": transfer_id, "project": project, "endpoint": endpoint}
        await self._count_once(tables.hgr_counts, {**where, "subjects": subjects, "sequencing": sequencing})

    async def _count_once(self, table: Table, values: dict[str, Any]) -> None:
        mine = table.c.transfer_id == values["transfer_id"]
        if await self._counted(select(table.c.transfer_id).where(mine)):
            raise Conflict("this transfer is counted already: take that count back first", code="already-counted")
        await self._run(insert(table), values)

    async def put_filing_use(self, use: FilingUse) -> None:
        """Note that a cleared transfer went under a filing."""
        await self._run(insert(tables.filing_uses), asdict(use))

    async def drop_persons(self, transfer_id: str) -> bool:
        """Uncount a transfer's persons, its individual-level subjects and its uses of filings; whether there were any.

        Nobody can be taken out of a union: it is forgotten, and made again from the sets that are left.
        """
        columns, dropped = tables.person_sets.c, 0
        where = select(columns.entity, columns.year, columns.track).where(columns.transfer_id == transfer_id)
        for row in await self._counted(where):
            await self.drop_union(row[0], row[1], row[2])
        uses = tables.filing_uses.c
        for row in await self._counted(select(uses.filing, uses.year).where(uses.transfer_id == transfer_id)):
            await self.drop_union(row[0], row[1], _UNDER_FILINGS)
        for table in (tables.person_sets, tables.hgr_counts, tables.hgr_samples, tables.filing_uses):
            dropped += (await self._run(delete(table).where(table.c.transfer_id == transfer_id))).rowcount
        return dropped > 0

    async def put_union(self, union: PersonUnion, shards: Mapping[str, Mapping[int, bytes]]) -> None:
        """Insert or replace an entity's union, and by kind those of its shards that changed."""
        await self._put(tables.person_unions, asdict(union))
        where = {"entity": union.entity, "year": union.year, "track": union.track}
        rows = [
            {**where, "kind": kind, "number": number, "digests": digests}
            for kind, changed in shards.items()
            for number, digests in changed.items()
        ]
        if rows:
            await self._put(tables.person_shards, rows)

    async def drop_union(self, entity: str, year: int, track: str) -> None:
        """Forget an entity's union with all of its shards, if it is there."""
        for table in (tables.person_unions, tables.person_shards):
            await self._run(delete(table).where(table.c.entity == entity, _of(table, "", year, track)))


def _of(table: Table, entity: str, year: int, track: str) -> ColumnElement[bool]:
    wanted = and_(table.c.year == year, table.c.track == track)
    return and_(wanted, table.c.entity == entity) if entity else wanted


def _under(filing: str) -> ColumnElement[bool]:
    sets, uses = tables.person_sets.c, tables.filing_uses.c
    return and_(sets.transfer_id == uses.transfer_id, uses.filing == filing)
