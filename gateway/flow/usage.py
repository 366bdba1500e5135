"""Usage: how many distinct persons went under a filing, against the number it was granted for.

What it is not: the census of an entity's year. A filing lasts for years, and several carry the same person.

The rules:
1. Which filings carried a clearance is recorded with it (`FilingUse`, and `filings` of the fact): each one in force for it,
   since any of them may be asked about. One that an exemption made needless carried nobody.
2. Each filing counts for itself: what another one carried before is new here. Persons with both kinds of data are one.
3. Digests of persons are of a year and cannot be compared with another's: the years' numbers are added, an upper bound.
   Subjects of human genetic resources have digests of all time: theirs are distinct.
4. A union of each filing's year is kept in shards, as the census keeps an entity's, and made anew by the same test.
5. Everything here runs in the transaction that settles: two transfers never both take the last place under a cap.

When a step fails: the database away -> StoreError, nothing recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.core.persons import Digests, merge, new_digests, pack, shards_of, unpack
from gateway.core.records import FiledMechanism
from gateway.core.transfer import Transfer
from gateway.flow.additions import hgr_of, samples_of, unkeyed_of
from gateway.flow.findings import Already, Joined, already
from gateway.ports import FilingUse, PersonSet, PersonSums, PersonUnion, Reading, StoredFile, Writing

UNDER_FILINGS: Final = "filing"  # the track of unions whose entity is a filing
EVERYBODY: Final = "everybody"
_HGR: Final = "HGR_"


@dataclass(frozen=True)
class Used:
    """What went under a filing so far.

    Attributes:
        persons: Distinct persons.
        subjects: Distinct subjects of human genetic resources with individual-level data.
        exact: Whether nobody may be among the persons twice: all are of one year and have a digest.
        transfers: How many clearances.
    """

    persons: int
    subjects: int
    exact: bool
    transfers: int

    def of(self, kind: str) -> int:
        """The number that a filing's cap is about: subjects for HGR filings, else persons."""
        return self.subjects if kind.startswith(_HGR) else self.persons


@dataclass(frozen=True)
class Usage:
    """What a filing carried, beside a transfer that is being decided.

    Attributes:
        union: Everybody of this year with a digest, before this transfer.
        mine: The transfer's persons by shard.
        known: Who of these shards is on record.
        fresh: How many of `mine` are not.
        use: What the transfer adds by number.
        persons: Distinct persons, the transfer's included.
        subjects: Subjects of human genetic resources, the transfer's included.
    """

    union: PersonUnion
    mine: Mapping[int, Digests]
    known: Mapping[int, Digests]
    fresh: int
    use: FilingUse
    persons: int
    subjects: int

    def of(self, kind: str) -> int:
        """As `Used.of`."""
        return self.subjects if kind.startswith(_HGR) else self.persons


async def usage(
    tx: Writing, filing: str, transfer: Transfer, files: Sequence[StoredFile], joined: Joined, year: int
) -> Usage:
    """Count a transfer's persons with those a filing carried."""
    uses, sums = await tx.filing_uses(filing), await tx.filing_sums(filing)
    years = sorted({year, *(each.year for each in uses)})
    unions = {each: await _union(tx, filing, each, sums) for each in years}
    mine = await asyncio.to_thread(_everybody, joined)
    known = await _known(tx, unions[year], mine)
    fresh = await asyncio.to_thread(_fresh, mine, known)
    use = await asyncio.to_thread(_own, filing, transfer, files, joined, year, uses)
    samples = await _samples(tx, filing, samples_of(transfer.declaration, joined)[0])
    return Usage(
        union=unions[year],
        mine=mine,
        known=known,
        fresh=fresh,
        use=use,
        persons=sum(each.sensitive for each in unions.values()) + sum(each.persons for each in [*uses, use]) + fresh,
        subjects=samples + sum(each.subjects for each in [*uses, use]),
    )


async def add(tx: Writing, before: Usage, counted: PersonSet | None) -> None:
    """Record that a clearance went under a filing. `before` was read in this transaction, `counted` is the clearance's set."""
    await tx.put_filing_use(before.use)
    if counted is None:
        return
    changed = await asyncio.to_thread(_joined, before.mine, before.known)
    union = replace(
        before.union,
        sets=before.union.sets + 1,
        digests=before.union.digests + _digests_of(counted),
        sensitive=before.union.sensitive + before.fresh,
    )
    await tx.put_union(union, {EVERYBODY: changed})


async def used(view: Reading, filing: FiledMechanism) -> Used:
    """What went under a filing so far, for people."""
    uses, sums = await view.filing_uses(filing.id), await view.filing_sums(filing.id)
    unions = [(await _standing(view, filing.id, year, sums))[0] for year in sums]
    numbers = sum(each.persons for each in uses)
    return Used(
        persons=sum(each.sensitive for each in unions) + numbers,
        subjects=await _samples(view, filing.id, b"") + sum(each.subjects for each in uses),
        exact=not numbers and len(unions) <= 1,
        transfers=len(uses),
    )


async def rebuilt(view: Reading, filing: str, year: int) -> tuple[PersonUnion, dict[int, bytes]]:
    """The union of a filing's year as it must be, made from the sets alone; reads all of them."""
    sets = await view.filing_sets(filing, year)
    return await asyncio.to_thread(_made, PersonUnion(filing, year, UNDER_FILINGS), sets)


async def _standing(
    view: Reading, filing: str, year: int, sums: Mapping[int, PersonSums]
) -> tuple[PersonUnion, dict[int, bytes] | None]:
    """The union on record, or a new one with its shards where that is not made of the sets there are."""
    told = sums.get(year, PersonSums(filing))
    found = (await view.person_unions(year, UNDER_FILINGS)).get(filing)
    if found is not None and (found.sets, found.digests) == (told.sets, told.digests):
        return found, None
    if not told.sets:
        return PersonUnion(filing, year, UNDER_FILINGS), None
    return await rebuilt(view, filing, year)


async def _union(tx: Writing, filing: str, year: int, sums: Mapping[int, PersonSums]) -> PersonUnion:
    union, made = await _standing(tx, filing, year, sums)
    if made is not None:
        await tx.drop_union(filing, year, UNDER_FILINGS)
        await tx.put_union(union, {EVERYBODY: made})
    return union


async def _known(view: Reading, union: PersonUnion, mine: Mapping[int, Digests]) -> dict[int, Digests]:
    if not mine or not union.sets:
        return {}
    packed = await view.person_shards(union.entity, union.year, UNDER_FILINGS, EVERYBODY, sorted(mine))
    return await asyncio.to_thread(lambda: {number: unpack(part) for number, part in packed.items()})


async def _samples(view: Reading, filing: str, own: bytes) -> int:
    kept = [samples for samples, _ in await view.filing_samples(filing)]
    return await asyncio.to_thread(lambda: int(merge(*map(unpack, [*kept, own])).size))


# --- in a thread ---------------------------------------------------------------------------------------------------------


def _own(
    filing: str, transfer: Transfer, files: Sequence[StoredFile], joined: Joined, year: int, uses: Sequence[FilingUse]
) -> FilingUse:
    """What a transfer adds by number: what its carried files brought under this filing before is not added again."""
    under = {each.transfer_id: each.year for each in uses}
    declared: Mapping[str, Any] = transfer.declaration
    here = [each if each.carried in under else replace(each, carried="") for each in files]
    known: Already = already(here, year, {each for each, then in under.items() if then == year})
    subjects, _ = hgr_of(declared, joined, known)
    persons = sum(unkeyed_of(joined, known, declared.get("persons", {})))
    return FilingUse(transfer.id, filing, year, persons, subjects)


def _everybody(joined: Joined) -> dict[int, Digests]:
    return shards_of(merge(unpack(joined.sensitive), unpack(joined.nonsensitive)))


def _fresh(mine: Mapping[int, Digests], known: Mapping[int, Digests]) -> int:
    return sum(_new(part, known.get(number)).size for number, part in mine.items())


def _joined(mine: Mapping[int, Digests], known: Mapping[int, Digests]) -> dict[int, bytes]:
    """The shards that change, packed."""
    return {
        number: pack(merge(part, known.get(number, part)))
        for number, part in mine.items()
        if _new(part, known.get(number)).size
    }


def _new(part: Digests, known: Digests | None) -> Digests:
    return part if known is None else new_digests(part, known)


def _made(nothing: PersonUnion, sets: Sequence[PersonSet]) -> tuple[PersonUnion, dict[int, bytes]]:
    whole = merge(*(unpack(part) for each in sets for part in (each.sensitive, each.nonsensitive)))
    union = replace(nothing, sets=len(sets), digests=sum(map(_digests_of, sets)), sensitive=int(whole.size))
    return union, {number: pack(part) for number, part in shards_of(whole).items()}


def _digests_of(counted: PersonSet) -> int:
    return (len(counted.sensitive) + len(counted.nonsensitive)) // 8
