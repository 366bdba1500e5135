"""A process of its own that counts persons as a settlement does: `python -m tests.contracts.counting URL NAME COUNT`.

Process number n of its transfers counts the digests that `persons_of` says, many of which others count as well.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import numpy as np

from gateway.core.persons import merge, pack
from gateway.flow import census
from gateway.ports import PersonSet
from gateway.stores.database import Database
from tests.contracts.recorded import transfer

ENTITY, YEAR = "sz-lab", 2026


def persons_of(name: str, number: int) -> tuple[bytes, bytes]:
    """Who one transfer of a process is about, packed: sensitive, nonsensitive."""
    rng = np.random.default_rng([number, *name.encode()])
    spread = np.uint64(2**64 // 5_000)
    sensitive, ordinary = (merge(rng.integers(0, 5_000, size, np.uint64) * spread) for size in (300, 40))
    return pack(sensitive), pack(ordinary)


async def count(url: str, name: str, transfers: int) -> None:
    database = await Database.open(url)
    for number in range(transfers):
        sensitive, nonsensitive = persons_of(name, number)
        persons = PersonSet(f"{name}-{number}", ENTITY, YEAR, census.NATIONAL, sensitive, nonsensitive, 1, 0)
        async with database.write() as tx:
            await tx.serialise("persons")
            await tx.put_transfer(replace(transfer(persons.transfer_id), dataset=persons.transfer_id))
            before = await census.standing(
                tx, ENTITY, YEAR, census.NATIONAL, {"sensitive": sensitive, "nonsensitive": nonsensitive}
            )
            await census.add(tx, before, persons)
            if number % 7 == 3:  # some are given back, which makes the union anew
                await tx.drop_persons(f"{name}-{number - 1}")
    await database.close()


if __name__ == "__main__":
    asyncio.run(count(sys.argv[1], sys.argv[2], int(sys.argv[3])))
