"""Distinct persons by entity and year: the union is what its sets are, whoever counts, gives back, or looks."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.persons import pack, shards_of, unpack
from gateway.flow import census
from gateway.flow.census import GBA, NATIONAL
from gateway.ports import PersonSet, Records
from gateway.stores.database import Database
from tests.contracts.counting import ENTITY, YEAR, persons_of
from tests.contracts.recorded import keep, transfer
from tests.fakes.records import FakeRecords

WHO = st.frozensets(st.integers(0, 40).map(lambda n: n * (2**64 // 40 - 1)), max_size=12)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([NATIONAL, GBA]),
        WHO,
        WHO,
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
)


def packed(who: frozenset[int]) -> bytes:
    return pack(np.array(sorted(who), np.uint64))


async def looked(records: Records, entity: str, track: str, sensitive: bytes, nonsensitive: bytes) -> census.Standing:
    async with records.write() as tx:
        return await census.standing(tx, entity, YEAR, track, {"sensitive": sensitive, "nonsensitive": nonsensitive})


async def counted(records: Records, persons: PersonSet) -> census.Standing:
    await keep(records, transfer(persons.transfer_id, dataset=persons.transfer_id))
    async with records.write() as tx:
        before = await census.standing(
            tx,
            persons.entity,
            persons.year,
            persons.track,
            {"sensitive": persons.sensitive, "nonsensitive": persons.nonsensitive},
        )
        await census.add(tx, before, persons)
    return before


@given(STEPS)
@settings(max_examples=60)
def test_counts_are_those_of_sets(steps) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps) -> None:
    records, sets = FakeRecords(), {}
    for number, (entity, track, sensitive, ordinary, unkeyed, back) in enumerate(steps):
        before = await counted(
            records, PersonSet(f"t{number}", entity, YEAR, track, packed(sensitive), packed(ordinary), unkeyed, 1)
        )
        mine = [each for key, each in sets.items() if each[:2] == (entity, track)]
        assert before.sensitive == len(sensitive.union(*(each[2] for each in mine))) + sum(each[4] for each in mine)
        assert before.nonsensitive == len(ordinary.union(*(each[3] for each in mine))) + len(mine)
        theirs = frozenset().union(*(s | o for e, t, s, o, _ in sets.values() if e != entity and t == track))
        async with records.write() as tx:
            assert await census.sent_by_others(tx, before, 99) == len(theirs & (sensitive | ordinary))
        sets[f"t{number}"] = (entity, track, sensitive, ordinary, unkeyed)
        if back:
            async with records.write() as tx:
                assert await tx.drop_persons(f"t{number}")
            del sets[f"t{number}"]
    for entity, track in {each[:2] for each in sets.values()}:
        await looked(records, entity, track, b"", b"")
        async with records.read() as view:
            made, _ = await census.rebuilt(view, entity, YEAR, track)
        assert records.state.unions[entity, YEAR, track] == made


def test_a_shard_is_a_prefix() -> None:
    digests = np.array([0, 1, 2**54 - 1, 2**54, 2**64 - 1], np.uint64)
    cut = shards_of(digests)
    assert {number: part.tolist() for number, part in cut.items()} == {
        0: [0, 1, 2**54 - 1],
        1: [2**54],
        1023: [2**64 - 1],
    }
    assert shards_of(digests[:0]) == {}


async def test_a_union_that_is_not_made_of_the_sets_is_made_anew() -> None:
    records = FakeRecords()
    await counted(records, PersonSet("t1", "a", YEAR, NATIONAL, packed(frozenset({1, 2**60})), b""))
    await keep(records, transfer("t2", dataset="t2"))
    async with records.write() as tx:  # as an older version did, or a hand in the database
        await tx.put_persons(PersonSet("t2", "a", YEAR, NATIONAL, packed(frozenset({7})), packed(frozenset({9}))))
    found = await looked(records, "a", NATIONAL, packed(frozenset({7})), b"")
    assert (found.sensitive, found.nonsensitive, found.fresh["sensitive"]) == (3, 1, 0)


async def test_no_more_is_looked_for_than_is_enough() -> None:
    records = FakeRecords()
    mine = frozenset(n << 50 for n in range(300))
    for other in ("b", "c"):
        await counted(records, PersonSet(f"t-{other}", other, YEAR, NATIONAL, b"", packed(mine)))
    found = await looked(records, "a", NATIONAL, packed(mine), b"")
    asked: list[str] = []

    class Watched:
        def __init__(self, tx) -> None:
            self._tx = tx

        def __getattr__(self, name: str):
            return getattr(self._tx, name)

        async def person_shards(self, entity: str, *rest):
            asked.append(entity)
            return await self._tx.person_shards(entity, *rest)

    async with records.write() as tx:
        assert await census.sent_by_others(Watched(tx), found, 100) >= 100
    assert set(asked) == {"b"}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_three_processes_count_one_truth(engine: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    database = await Database.open(url)
    await database.migrate()
    names, transfers = ("red", "green", "blue"), 12
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contracts.counting", url, name, str(transfers)
        )
        for name in names
    ]
    assert [await process.wait() for process in started] == [0, 0, 0]
    kept = [(name, number) for name in names for number in range(transfers) if number % 7 != 2]
    everybody = [[set(unpack(part).tolist()) for part in persons_of(*each)] for each in kept]
    found = await looked(database, ENTITY, NATIONAL, b"", b"")
    assert found.sensitive == len(set().union(*(each[0] for each in everybody))) + len(kept)
    assert found.nonsensitive == len(set().union(*(each[1] for each in everybody)))
    async with database.read() as view:
        made, shards = await census.rebuilt(view, ENTITY, YEAR, NATIONAL)
        assert made == (await view.person_unions(YEAR, NATIONAL))[ENTITY]
        for kind, wanted in shards.items():
            assert await view.person_shards(ENTITY, YEAR, NATIONAL, kind, range(1024)) == wanted
    await database.close()
