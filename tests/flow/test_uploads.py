"""Uploads that have an address, where two processes and a claim meet: nobody's bytes are taken for another's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.errors import Conflict, Incomplete, NotFound
from gateway.core.intake import Part
from gateway.flow import turns
from gateway.flow.uploads import Addition, Kept, Wanted
from gateway.wire import crypt4gh
from tests.flow.rig import GENERAL, Rig

SEGMENT = crypt4gh.SEGMENT
TABLE = b"island,birds\n" + b"lamma,12\n" * 400_000


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


async def made(rig: Rig) -> tuple[str, str]:
    transfer = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    upload = await rig.uploads.make(rig.sender, Wanted(transfer.id, "a.csv", len(TABLE)))
    return transfer.id, upload.id


def anything(kept: Kept, added: Addition) -> None:
    """The protocol allows it."""


async def append(rig: Rig, upload: str, offset: int, *chunks: bytes, cut: bool = False) -> Kept:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if cut:
            raise Incomplete("the connection ended")

    return await rig.uploads.append(rig.sender, upload, Addition(offset, body(), lambda: None), anything)


async def claimed(rig: Rig, transfer: str, upload: str, content: bytes):
    """A run that writes, as another process would have it."""
    async with rig.records.read() as view:
        known, note, owner = await view.upload(upload), await view.partial(transfer, f"/{upload}"), None
        owner = await view.transfer(transfer)
    run = rig.intake.begin_run(owner, known, 0)
    await run.go_back(note, note.size if note else 0)
    await run.claim(known)
    await run.feed(content)
    return run


async def test_beside_living_processes_a_whole_part_waits_for_its_row_and_then_counts(rig, monkeypatch):
    monkeypatch.setattr(turns, "GRACE", 0.1)
    transfer, upload = await made(rig)
    run = await claimed(rig, transfer, upload, TABLE[: 2 << 20])
    await run._pass._settled()
    (name,) = rig.spool.busy
    rig.spool.die()
    rig.spool.parts[name] = rig.spool.left.pop(name)  # the other process died between the name and the row
    rig.restart()
    rig.uploads.turns.shared = True
    assert (await rig.uploads.look(rig.sender, upload)).offset == 2 << 20
    await append(rig, upload, 2 << 20, TABLE[2 << 20 :])
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
    assert stored.file.sha256 == hashlib.sha256(TABLE).digest()


async def test_who_was_taken_for_dead_leaves_alone_what_the_new_note_names(rig):
    transfer, upload = await made(rig)
    run = await claimed(rig, transfer, upload, TABLE[: 1 << 20])
    (name,) = rig.spool.busy
    async with rig.records.write() as tx:  # another one settled it meanwhile
        note = await tx.partial(transfer, f"/{upload}")
        settled = replace(note, parts=(Part(name, 16 * crypt4gh.CIPHER_SEGMENT),), size=1 << 20)
        await tx.put_partial(settled)
    with pytest.raises(Conflict, match="another request"):
        await run.pause(rig.clock.now())
    assert name in rig.spool.parts
    async with rig.records.read() as view:
        assert await view.partial(transfer, f"/{upload}") == settled
    await append(rig, upload, 1 << 20, TABLE[1 << 20 :])
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
    assert stored.file.sha256 == hashlib.sha256(TABLE).digest()


async def test_a_note_that_changed_elsewhere_ends_what_waits_in_memory(rig):
    transfer, upload = await made(rig)
    await append(rig, upload, 0, TABLE[:100_000])
    here = rig.uploads
    rig.restart()
    await append(rig, upload, 100_000, TABLE[100_000:300_000])  # another process
    elsewhere, rig.uploads = rig.uploads, here
    await append(rig, upload, 300_000, TABLE[300_000:500_000])
    rig.uploads = elsewhere
    await append(rig, upload, 500_000, TABLE[500_000:])
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
        entries = await view.entries_of(transfer)
    assert stored.file.sha256 == hashlib.sha256(TABLE).digest()
    assert sum(b"transfer.reopened" in body for _, body in entries) == 3  # whoever did not write last reads back


async def test_a_claim_on_an_upload_that_was_ended_or_changed_is_refused(rig):
    transfer, upload = await made(rig)
    await append(rig, upload, 0, TABLE[:100_000])
    async with rig.records.read() as view:
        known, note, owner = (
            await view.upload(upload),
            await view.partial(transfer, f"/{upload}"),
            await view.transfer(transfer),
        )
    late = rig.intake.begin_run(owner, known, 0)
    await late.go_back(note, note.size)
    await append(rig, upload, 100_000, TABLE[100_000:200_000])
    with pytest.raises(Conflict, match="another request"):
        await late.claim(known)
    await rig.uploads.end(rig.sender, upload)
    with pytest.raises(NotFound):
        await late.claim(known)
    assert rig.spool.parts == {}
    assert not rig.spool.busy


async def test_a_request_that_brings_nothing_keeps_what_waits_in_memory(rig):
    transfer, upload = await made(rig)
    await append(rig, upload, 0, TABLE[:100_001])
    await append(rig, upload, 100_001)
    with pytest.raises(Incomplete):
        await append(rig, upload, 100_001, cut=True)
    await append(rig, upload, 100_001, TABLE[100_001:])
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
        entries = await view.entries_of(transfer)
    assert stored.file.sha256 == hashlib.sha256(TABLE).digest()
    assert not any(b"transfer.reopened" in body for _, body in entries)
    assert {part.name for part in stored.file.parts} == set(rig.spool.parts)


async def test_what_waits_in_memory_is_bounded_and_may_be_dropped(rig, monkeypatch):
    monkeypatch.setattr("gateway.flow.uploads.MAX_READY", 2)
    transfer, first = await made(rig)
    others = [await rig.uploads.make(rig.sender, Wanted(transfer, f"{n}.csv", len(TABLE))) for n in range(3)]
    for upload in (first, *(each.id for each in others)):
        await append(rig, upload, 0, TABLE[:70_000])
    assert list(rig.uploads._ready) == [each.id for each in others[1:]]
    await append(rig, first, 70_000, TABLE[70_000:])
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
    assert stored.file.sha256 == hashlib.sha256(TABLE).digest()
