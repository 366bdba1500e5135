"""Classify: join what the pass found in each file into what the transfer shows.

Steps, with what happens when one fails:
1. Inspect what the pass could not read (`flow.inspect`). No worker to be had: StoreError, the conductor comes back.
2. Read the files the submission froze, with the inspected rows in their places. Database away: the same.
3. Check that they are the submitted list (same Merkle root) and that the gateway sealed their rows. If not, the database
   was altered: the transfer fails with `broken-promise`, nothing is decided on it.
4. Join (`flow.findings`): stricter wins.
5. Record `classified`, and the inspected rows with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.errors import BrokenPromise
from gateway.core.facts import Tag, local_day
from gateway.core.intake import files_root
from gateway.core.transfer import State, Transfer
from gateway.flow.findings import findings_of, join
from gateway.flow.inspect import Inspect
from gateway.flow.recall import check_rows, unsampled
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import StoredFile


class Classify:
    """Joins findings."""

    def __init__(self, recorder: Recorder, inspect: Inspect) -> None:
        self._recorder = recorder
        self._inspect = inspect

    async def step(self, transfer: Transfer) -> Transfer:
        """Classify one submitted transfer."""
        inspected = await self._inspect.rows(transfer)  # step 1

        async def job(ledger: Ledgering) -> Transfer:
            current = await ledger.transfer(transfer.id)
            if current.state is not State.SUBMITTED:
                return current
            received = await ledger.tx.files(current.id)  # step 2
            files = [inspected.get(stored.file.number, stored) for stored in received]
            key = await self._recorder.evidence_key(current.id)
            year = local_day(ledger.now).year
            # Off the event loop: ten thousand files take seconds.
            joined = await asyncio.to_thread(_joined, files, current.root, key, year)
            if joined["secrecy_mark"]:  # of what is secret no samples are kept (design.md section 7)
                files = await asyncio.to_thread(unsampled, files, key)
            if inspected or joined["secrecy_mark"]:
                await ledger.tx.put_files(files)
            return await ledger.record(  # step 5
                current,
                Tag.CLASSIFIED,
                public={"inspectable": joined["inspectable"], "level": joined["level"]},
                private={
                    "findings": findings_of(files, joined, current.declaration, local_day(ledger.now)),
                    "persons": {key: joined[f"persons_{key}"] for key in ("sensitive", "nonsensitive")},
                },
                changes={"findings": dict(joined)},
            )

        return await self._recorder.do(job)


def _joined(files: Sequence[StoredFile], root: str, evidence_key: bytes, year: int) -> Mapping[str, Any]:
    """Steps 3 and 4."""
    if files_root([stored.file for stored in files]).hex() != root:
        raise BrokenPromise("the files are not the ones that were submitted: the database was altered")
    check_rows(files, evidence_key)
    return join(files, year).facts
