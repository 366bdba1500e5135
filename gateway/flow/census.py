"""The census: how many distinct persons an entity sent in a year, and who of a transfer's persons is among them.

The rules:
1. The sets of the transfers are the truth (`ports.PersonSet`). Their union is kept beside them, cut into shards by the
   first bits of the digests: a decision reads the shards its own persons fall into, however many were sent before.
2. A union is trusted only where it is made of as many sets and digests as there are. Where it is not (a count was given
   back, an older version left none), it is made again from the sets, in the transaction that found out.
3. Everything here runs in the transaction that settles, under its turn (`Writing.serialise`): what was counted is still
   so when the clearance is recorded. What takes long is done in a thread.
4. Persons known only by number are added up beside the union: an upper bound.

When a step fails: the database away -> StoreError, nothing recorded; a shard that is not sorted digests -> Unusable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gateway.core.persons import Digests, among, merge, new_digests, pack, shards_of, unpack
from gateway.ports import PersonSet, PersonSums, PersonUnion, Reading, Writing

NATIONAL, GBA = "national", "gba"  # tracks: N and S of Order 16, and what goes under a GBA contract
INBOUND = "inbound"  # who came in from abroad, all time: counts to nothing and has no union (`flow.lineage`)
KINDS = ("sensitive", "nonsensitive")
Shards = Mapping[int, Digests]


@dataclass(frozen=True)
class Standing:
    """What is on record for an entity, beside the persons of a transfer that is being decided.

    Attributes:
        union: Everybody with a digest, before this transfer.
        sums: What the sets add up to.
        mine: The transfer's persons, by kind and shard.
        everybody: How many distinct persons it has a digest of.
        known: What is on record in these shards.
        fresh: How many of the transfer's persons are not on record, by kind.
    """

    union: PersonUnion
    sums: PersonSums
    mine: Mapping[str, Shards]
    everybody: int
    known: Mapping[str, Shards]
    fresh: Mapping[str, int]

    @property
    def sensitive(self) -> int:
        """Distinct persons with sensitive data, this transfer's included, at most: those known by number are added."""
        return self.union.sensitive + self.fresh["sensitive"] + self.sums.unkeyed_sensitive

    @property
    def nonsensitive(self) -> int:
        """The same of the others."""
        return self.union.nonsensitive + self.fresh["nonsensitive"] + self.sums.unkeyed_nonsensitive


async def standing(tx: Writing, entity: str, year: int, track: str, persons: Mapping[str, bytes]) -> Standing:
    """Count a transfer's persons (packed, by kind) with those on record for its entity."""
    sums = (await tx.person_sums(year, track)).get(entity, PersonSums(entity))
    union = await _union(tx, PersonUnion(entity, year, track), (await tx.person_unions(year, track)).get(entity), sums)
    mine = await asyncio.to_thread(_sharded, persons)
    known = {kind: await _shards(tx, union, kind, mine[kind]) for kind in KINDS}
    fresh = await asyncio.to_thread(_fresh, mine, known)
    everybody = sum(part.size for part in (await asyncio.to_thread(_everybody, mine)).values())
    return Standing(union, sums, mine, everybody, known, fresh)


async def add(tx: Writing, before: Standing, counted: PersonSet) -> None:
    """Count a transfer's persons: its set, and the union with it. `before` was read in this transaction."""
    await tx.put_persons(counted)
    changed = await asyncio.to_thread(_joined, before.mine, before.known)
    union = replace(
        before.union,
        sets=before.union.sets + 1,
        digests=before.union.digests + _digests_of(counted),
        sensitive=before.union.sensitive + before.fresh["sensitive"],
        nonsensitive=before.union.nonsensitive + before.fresh["nonsensitive"],
    )
    await tx.put_union(union, changed)


async def sent_by_others(tx: Writing, before: Standing, enough: int) -> int:
    """How many of a transfer's persons other entities have sent on this track; counts no further than `enough`."""
    union = before.union
    sums, unions = await tx.person_sums(union.year, union.track), await tx.person_unions(union.year, union.track)
    mine = await asyncio.to_thread(_everybody, before.mine)
    shared = {number: np.zeros(part.size, np.bool_) for number, part in mine.items()}
    found = 0
    for entity in sorted(set(sums) - {union.entity}):
        other = await _union(tx, PersonUnion(entity, union.year, union.track), unions.get(entity), sums[entity])
        for kind in KINDS:
            theirs = await _shards(tx, other, kind, mine)
            found = await asyncio.to_thread(_mark_shared, mine, theirs, shared)
            if found >= enough:
                return found
    return found


async def rebuilt(view: Reading, entity: str, year: int, track: str) -> tuple[PersonUnion, dict[str, dict[int, bytes]]]:
    """The union of an entity's sets as it must be, made from the sets alone; reads all of them."""
    sets = await view.person_sets(entity, year, track)
    return await asyncio.to_thread(_made, PersonUnion(entity, year, track), sets)


async def _union(tx: Writing, nothing: PersonUnion, union: PersonUnion | None, sums: PersonSums) -> PersonUnion:
    """The union on record, or a new one where that is not made of the sets there are (rule 2)."""
    if union is not None and (union.sets, union.digests) == (sums.sets, sums.digests):
        return union
    if not sums.sets:
        return nothing
    made, shards = await rebuilt(tx, nothing.entity, nothing.year, nothing.track)
    await tx.drop_union(nothing.entity, nothing.year, nothing.track)
    await tx.put_union(made, shards)
    return made


async def _shards(view: Reading, union: PersonUnion, kind: str, mine: Shards) -> dict[int, Digests]:
    if not mine or not union.sets:
        return {}
    packed = await view.person_shards(union.entity, union.year, union.track, kind, sorted(mine))
    return await asyncio.to_thread(lambda: {number: unpack(part) for number, part in packed.items()})


# --- in a thread ---------------------------------------------------------------------------------------------------------


def _sharded(persons: Mapping[str, bytes]) -> dict[str, dict[int, Digests]]:
    return {kind: shards_of(unpack(persons[kind])) for kind in KINDS}


def _everybody(mine: Mapping[str, Shards]) -> dict[int, Digests]:
    numbers = sorted({number for kind in KINDS for number in mine[kind]})
    return {n: merge(*(mine[kind][n] for kind in KINDS if n in mine[kind])) for n in numbers}


def _fresh(mine: Mapping[str, Shards], known: Mapping[str, Shards]) -> dict[str, int]:
    return {kind: sum(_new(part, known[kind].get(n)).size for n, part in mine[kind].items()) for kind in KINDS}


def _joined(mine: Mapping[str, Shards], known: Mapping[str, Shards]) -> dict[str, dict[int, bytes]]:
    """The shards that change, packed."""
    return {
        kind: {
            number: pack(merge(part, known[kind].get(number, part)))
            for number, part in mine[kind].items()
            if _new(part, known[kind].get(number)).size
        }
        for kind in KINDS
    }


def _new(part: Digests, known: Digests | None) -> Digests:
    return part if known is None else new_digests(part, known)


def _mark_shared(mine: Shards, theirs: Shards, shared: Mapping[int, npt.NDArray[np.bool_]]) -> int:
    for number, part in theirs.items():
        shared[number][among(mine[number], part)] = True
    return sum(int(np.count_nonzero(each)) for each in shared.values())


def _made(nothing: PersonUnion, sets: Sequence[PersonSet]) -> tuple[PersonUnion, dict[str, dict[int, bytes]]]:
    whole = {kind: merge(*(unpack(getattr(each, kind)) for each in sets)) for kind in KINDS}
    union = replace(
        nothing,
        sets=len(sets),
        digests=sum(_digests_of(each) for each in sets),
        sensitive=whole["sensitive"].size,
        nonsensitive=whole["nonsensitive"].size,
    )
    return union, {kind: {n: pack(part) for n, part in shards_of(whole[kind]).items()} for kind in KINDS}


def _digests_of(counted: PersonSet) -> int:
    return (len(counted.sensitive) + len(counted.nonsensitive)) // 8
