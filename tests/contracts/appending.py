"""A process of its own that appends entries: `python -m tests.contracts.appending URL NAME COUNT`.

Each of its transactions also counts in a transfer that all processes share: a lost update would show there.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime

from gateway.core.facts import Entry, Tag
from gateway.stores.database import Database

SHARED = "shared"


async def append(url: str, name: str, count: int) -> None:
    database = await Database.open(url)
    for number in range(count):
        async with database.write() as tx:
            shared = await tx.transfer(SHARED)
            assert shared is not None
            entry = Entry(f"{name} {number}".encode(), b"")
            await tx.append(Tag.OPENED, name, datetime(2026, 11, 20, tzinfo=UTC), entry, b"")
            await tx.put_transfer(replace(shared, attempts=shared.attempts + 1))
    await database.close()


if __name__ == "__main__":
    asyncio.run(append(sys.argv[1], sys.argv[2], int(sys.argv[3])))
