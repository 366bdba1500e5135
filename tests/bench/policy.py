"""How fast the law decides: `python -m tests.bench policy [transfers]`. Seeded; not a test.

First the whole pack on each golden case, closing and deriving included, then `hetao policy replay`'s way over a SQLite database
of so many decided transfers (100,000 unless told): read, parsed, decided again. Budgets: 5 ms a decision, 2 minutes for 100,000.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from gateway.core.decide import Decision, decide
from gateway.core.situation import parse_situation
from gateway.core.transfer import State
from gateway.flow.answers import Answers
from gateway.flow.decide import decision_record
from gateway.ports import TransferFilter
from gateway.stores import tables
from gateway.stores.database import Database
from gateway.stores.rulebooks import load_policies, prc_calendar
from tests.contracts.recorded import NOW, keep, transfer

BUDGET_MS = 5.0
BUDGET_S = 120.0
ROUNDS = 5
PAGE = 2_000


def main(count: int = 100_000) -> None:
    """Both timings, beside their budgets."""
    start = time.perf_counter()
    pack = load_policies()
    print(f"load and prove the pack: {time.perf_counter() - start:.3f} s, {len(pack.rulebook.rules)} rules")
    calendar = prc_calendar()
    known = [parse_situation(case.facts, pack.vocabulary) for case in pack.cases]
    taken = sorted(_milliseconds(pack, each) for each in known for _ in range(ROUNDS))
    made = [decide(pack.rulebook, each, calendar) for each in known]
    print(
        f"one decision, {len(known)} cases: median {taken[len(taken) // 2]:.2f} ms, "
        f"99 of 100 under {taken[len(taken) * 99 // 100]:.2f} ms, worst {taken[-1]:.2f} ms; budget {BUDGET_MS} ms"
    )
    seconds, seen, differ = asyncio.run(_replay(pack, made, count))
    print(f"replay of {seen}: {seconds:.1f} s, {seen / seconds:.0f} a second, {differ} differ; budget {BUDGET_S:.0f} s")


def _milliseconds(pack: Any, situation: Any) -> float:
    start = time.perf_counter()
    decide(pack.rulebook, situation, prc_calendar())
    return (time.perf_counter() - start) * 1000


async def _replay(pack: Any, made: list[Decision], count: int) -> tuple[float, int, int]:
    with tempfile.TemporaryDirectory() as folder:
        database = await Database.open(f"sqlite:///{Path(folder) / 'bench.db'}")
        try:
            await database.migrate()
            await _fill(database, made, count)
            recorder: Any = SimpleNamespace(records=database)  # replay asks it for nothing else
            answers = Answers(
                recorder=recorder,
                rulebooks=SimpleNamespace(),  # type: ignore[arg-type]  # nor for any rulebook but the one given
                vocabulary=pack.vocabulary,
                calendar=prc_calendar(),
                signer=SimpleNamespace(),  # type: ignore[arg-type]  # nor for a signature
            )
            start, seen, differ = time.perf_counter(), 0, 0
            async for each in answers.replayed(pack.rulebook, pack.vocabulary, TransferFilter()):
                seen, differ = seen + 1, differ + each.differs
            return time.perf_counter() - start, seen, differ
        finally:
            await database.close()


async def _fill(database: Database, made: list[Decision], count: int) -> None:
    """Rows as the decider leaves them: one written by the store itself, the others in its image."""
    records = [decision_record(each) for each in made]
    await keep(database, transfer("first", state=State.HELD, decision=records[0]))
    async with database._writers.begin() as connection:
        columns = tables.transfers
        row = dict((await connection.execute(sa.select(columns))).mappings().one())
        await connection.execute(sa.delete(columns))
        for at in range(0, count, PAGE):
            batch = [
                {
                    **row,
                    "id": f"t{number:07d}",
                    "dataset": f"dataset {number}",
                    "opened_at": NOW - timedelta(seconds=number),
                    "decision": records[number % len(records)],
                }
                for number in range(at, min(at + PAGE, count))
            ]
            await connection.execute(sa.insert(columns), batch)
