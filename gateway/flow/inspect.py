"""Inspect: files that the pass could not read while they streamed are read now, before anything is concluded from them.

What it is not: parsing (`gateway.inspect` does, in processes that can do nothing else) or the pass (`flow.upload`).

The rules:
1. Only files whose bytes lie in the vault under this transfer: what an earlier version brought was inspected with it.
2. Rows are held against their seals before, and sealed again after: what inspection says replaces what the pass said.
3. Where the endpoint asks for it, and for everything that comes in from abroad where a scanner is set up, each file is scanned
   for malware. Found, or not scanned: the file counts as not inspectable, and people look.
4. The session keys of a file leave this process for its worker only, through a pipe that nobody else has.

Steps of a file, with what happens when one fails:
1. Open its parts and the headers of their keys. Gone or not ours: BrokenPromise, the transfer fails.
2. A worker reads it. It dies, hangs or gives up: the file stays uninspectable, and says why (rule D10 holds it).
3. A scanner that is asked and silent: not scanned.
4. Its row is made anew. Nothing is written here: `classify` writes all rows with its fact, so a crash means once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.core.classify import on_day
from gateway.core.facts import local_day
from gateway.core.records import Endpoint
from gateway.core.transfer import Transfer
from gateway.flow.findings import decision_facts, lasting_digests, person_digests, sample_digests
from gateway.flow.incoming import scope_of
from gateway.flow.lineage import family_key_of
from gateway.flow.recall import check_rows, sealed_row
from gateway.flow.recorder import ALL_TIME, Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.reread import Reread
from gateway.ports import HeaderOpener, Inspecting, Inspection, Scanned, Scanner, Spool, StoredFile

TOLD: Final = 300  # an observer hears of no more files of a transfer one by one


class Inspect:
    """Reads what needs seeking.

    Args:
        recorder: Its clock, keys and observer.
        spool: The vault.
        opener: The private half of the vault key.
        inspection: The workers.
        registrar: Which endpoint asks for a scan.
        scanner: Of malware; None where none is set up.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        spool: Spool,
        opener: HeaderOpener,
        inspection: Inspection,
        registrar: Registrar,
        scanner: Scanner | None = None,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._scanner = scanner
        self._spool = spool
        self._opener = opener
        self._inspection = inspection

    async def rows(self, transfer: Transfer) -> Mapping[int, StoredFile]:
        """New rows by file number, for the files of a submitted transfer that an inspector reads.

        Raises:
            BrokenPromise: A row, a part or a key is not what the gateway wrote.
            StoreError: No worker can be started.
        """
        async with self._recorder.records.read() as view:
            files = await view.files(transfer.id)
        scanned = await self._scans(transfer)
        wanted = [stored for stored in files if not stored.carried and (scanned or self._wanted(stored))]
        if not wanted:
            return {}
        evidence_key = await self._recorder.evidence_key(transfer.id)
        check_rows(wanted, evidence_key)
        headers = await self._recorder.keyring.get_all(transfer.id)
        year = local_day(self._recorder.clock.now()).year
        year_key = await self._recorder.year_key(year)
        sample_key = await self._recorder.year_key(ALL_TIME)
        family_key = await family_key_of(self._recorder, await self._registrar.registry(), transfer.project)
        rows: dict[int, StoredFile] = {}
        with self._inspection.open() as inspecting:
            for stored in wanted:
                counting = (year, year_key, sample_key, scope_of(transfer), family_key)
                work = partial(self._row, inspecting, stored, headers, counting, scanned=scanned)
                row = sealed_row(await _interruptible(inspecting, work), evidence_key)
                rows[stored.file.number] = row
                if len(rows) <= TOLD:
                    self._recorder.observer.saw(
                        "file.inspected", format=row.facts["format"], inspectable=row.facts["inspectable"]
                    )
        return rows

    async def _scans(self, transfer: Transfer) -> bool:
        """Whether its files are scanned for malware."""
        endpoint = (await self._registrar.registry()).get(Endpoint, transfer.endpoint)
        return endpoint.malware_scan or (transfer.direction == "inbound" and self._scanner is not None)

    def _wanted(self, stored: StoredFile) -> bool:
        return not stored.facts["inspectable"] and self._inspection.reads(stored.facts["format"])

    def _row(
        self,
        inspecting: Inspecting,
        stored: StoredFile,
        headers: Mapping[str, bytes],
        counting: tuple[int, bytes, bytes, bytes, bytes],
        *,
        scanned: bool,
    ) -> StoredFile:
        """The steps of a file, in a worker thread; `counting`: year, its key, that of samples, their scope, the family's key."""
        file, (year, year_key, sample_key, scope, family_key) = stored.file, counting
        keys: dict[bytes, None] = {}
        for name in dict.fromkeys(part.name for part in file.parts):
            keys |= dict.fromkeys(self._opener.open(headers.get(name, b"")))
        row = stored
        if self._wanted(stored):
            with ExitStack() as opened:
                parts = [(opened.enter_context(self._spool.open(part.name)), part.size) for part in file.parts]
                findings = inspecting.inspect(file.path, parts, tuple(keys))
            findings = on_day(findings, local_day(self._recorder.clock.now()))
            sensitive, ordinary = person_digests(findings, year_key, scope)
            row = replace(
                stored,
                findings=findings.to_json(file.sha256.hex()),
                facts={**decision_facts(findings, year), "samples": sample_digests(findings, sample_key, scope)},
                persons_sensitive=sensitive,
                persons_nonsensitive=ordinary,
                persons_lasting=lasting_digests(findings, family_key) if family_key else b"",
            )
        return self._scan(row, tuple(keys)) if scanned else row

    def _scan(self, row: StoredFile, keys: Sequence[bytes]) -> StoredFile:
        runs = Reread(self._spool, row.file.parts, keys).runs() if row.file.parts else iter(())
        none = Scanned("unscanned", "no scanner is set up")
        said = self._scanner.scan(run.plain for run in runs) if self._scanner is not None else none
        if said.verdict == "clean" and not said.told:
            return row
        kind = {"found": "malware", "unscanned": "unscanned", "clean": "unscanned"}[said.verdict]
        sure = "weak" if said.verdict == "clean" else "strong"  # in pieces: said, and believed
        finding = {"kind": kind, "where": said.told, "count": 1, "distinct": 1, "confidence": sure, "samples": []}
        findings = {**row.findings, "findings": [*row.findings["findings"], finding]}
        clean = said.verdict == "clean"
        return replace(row, findings=findings, facts={**row.facts, "inspectable": row.facts["inspectable"] and clean})


async def _interruptible(inspecting: Inspecting, work: Callable[[], StoredFile]) -> StoredFile:
    """One file in a thread; whoever cancels does not wait for a parser of a terabyte."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        inspecting.stop()
        await asyncio.wait([running])
        raise
