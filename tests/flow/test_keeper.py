"""Files answered as received are in the records, or in the vault with a note that brings them there; never in neither."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.core.errors import Conflict, GatewayError, StoreError
from gateway.core.facts import Tag
from gateway.core.transfer import State
from gateway.flow import keeper
from gateway.flow.incoming import Announced
from tests.flow.rig import GENERAL, Rig


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


async def opened(rig: Rig) -> str:
    transfer = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    return transfer.id


async def send(rig: Rig, transfer: str, path: str, content: bytes, *, soon: bool = True) -> None:
    incoming = await rig.intake.begin(rig.sender, transfer, path, resumable=True)
    await incoming.feed(content)
    await incoming.finish(Announced(), soon=soon)


async def recorded(rig: Rig, transfer: str) -> dict[str, bytes]:
    async with rig.records.read() as view:
        return {each.file.path: each.file.sha256 for each in await view.files(transfer)}


def digests(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {path: hashlib.sha256(content).digest() for path, content in contents.items()}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # the keeper tells nobody: its loop gets a turn
            await asyncio.sleep(0)


def tables(count: int) -> dict[str, bytes]:
    return {f"f{number}.csv": b"island,birds\nlamma,%d\n" % number for number in range(count)}


@pytest.mark.parametrize("count", [1, 5, keeper.MAX_BATCH + 7])
async def test_what_is_held_is_in_the_submission_that_follows(rig, count):
    transfer, contents = await opened(rig), tables(count)
    before = rig.records.commits
    for path, content in contents.items():
        await send(rig, transfer, path, content)
    assert set(rig.intake.keeper.held(transfer)) | set(await recorded(rig, transfer)) == set(contents)
    submitted = await rig.intake.submit(rig.sender, transfer)
    assert rig.records.commits - before <= 2 + count // keeper.MAX_BATCH + 1
    assert submitted.files == count
    assert await recorded(rig, transfer) == digests(contents)
    assert rig.intake.keeper.held(transfer) == {}
    assert len(rig.spool.parts) == count
    await rig.settle()
    assert (await rig.transfer(transfer)).state is State.RECEIPTED
    assert rig.arrived("f0.csv.c4gh") == contents["f0.csv"]


async def test_what_is_held_is_recorded_by_itself(rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 0.0)
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    await until(lambda: rig.observer.of("file.received"))
    assert set(await recorded(rig, transfer)) == {"a.csv"}


async def test_the_newest_of_a_path_counts_and_the_rest_is_forgotten(rig):
    transfer = await opened(rig)
    for number in range(4):
        await send(rig, transfer, "a.csv", b"u,v\n%d,2\n" % number)
    await rig.intake.keeper.settled(transfer)
    assert await recorded(rig, transfer) == digests({"a.csv": b"u,v\n3,2\n"})
    assert len(rig.spool.parts) == 1
    assert (await rig.transfer(transfer)).files == 1
    assert len([name for owner, name in rig.keyring.secrets if owner == transfer and "/" in name]) == 1


@pytest.mark.parametrize("died_after_recording", [False, True])
async def test_a_process_that_died_left_notes_and_the_next_one_records_them(rig, monkeypatch, died_after_recording):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer, contents = await opened(rig), tables(3)
    for path, content in contents.items():
        await send(rig, transfer, path, content)
    assert await recorded(rig, transfer) == {}
    if died_after_recording:
        waiting = list(rig.intake.keeper._queue)
        for each in waiting:
            await rig.keyring.put(transfer, each.arrived.part, each.arrived.header)
        arrived = [each.arrived for each in waiting]
        await rig.recorder.do(lambda ledger: rig.intake.keeper._keep_all(ledger, arrived))
    rig.spool.die()
    rig.restart()
    assert await rig.intake.keeper.recover() == (0 if died_after_recording else 3)
    assert rig.spool.notes == {}
    assert await recorded(rig, transfer) == digests(contents)
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert rig.arrived("f1.csv.c4gh") == contents["f1.csv"]


async def renamed(rig: Rig, transfer: str, path: str, to: str) -> None:
    await rig.intake.rename_file(rig.sender, transfer, path, to)


@pytest.mark.parametrize("died", [False, True])
async def test_a_held_file_gets_its_own_name_without_being_recorded_first(rig, monkeypatch, died):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer, when = await opened(rig), datetime(2026, 5, 1, tzinfo=UTC)
    await send(rig, transfer, "a.csv.filepart", b"u,v\n1,2\n")
    before = rig.records.commits
    await renamed(rig, transfer, "a.csv.filepart", "a.csv")
    await rig.intake.date_file(rig.sender, transfer, "a.csv", when)
    assert rig.records.commits == before
    assert set(rig.intake.keeper.held(transfer)) == {"a.csv"}
    if died:
        rig.spool.die()
        rig.restart()
        assert await rig.intake.keeper.recover() == 1
    await rig.intake.keeper.settled(transfer)
    async with rig.records.read() as view:
        (stored,) = await view.files(transfer)
    assert stored.file.path == stored.findings["path"] == "a.csv"
    assert stored.modified_at == (None if died else when)  # what a crash may cost
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert rig.arrived("a.csv.c4gh") == b"u,v\n1,2\n"


async def test_a_rename_over_what_is_recorded_takes_its_place(rig):
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n", soon=False)
    await send(rig, transfer, "a.csv.part", b"u,v\n3,4\n")
    await renamed(rig, transfer, "a.csv.part", "a.csv")
    await rig.intake.keeper.settled(transfer)
    assert await recorded(rig, transfer) == digests({"a.csv": b"u,v\n3,4\n"})
    assert len(rig.spool.parts) == 1


@pytest.mark.parametrize(("path", "to"), [("a.csv", "b.csv"), ("a.csv.part", "b.csv")])
async def test_a_name_it_was_not_inspected_under_waits_for_the_records(rig, path, to):
    transfer = await opened(rig)
    await send(rig, transfer, path, b"u,v\n1,2\n")
    await renamed(rig, transfer, path, to)
    assert rig.intake.keeper.held(transfer) == {}
    assert set(await recorded(rig, transfer)) == {to}


async def test_a_rename_over_what_is_held_waits_for_the_records(rig, monkeypatch):
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv.part", b"u,v\n3,4\n")
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    await renamed(rig, transfer, "a.csv.part", "a.csv")
    await rig.intake.keeper.settled(transfer)
    assert await recorded(rig, transfer) == digests({"a.csv": b"u,v\n3,4\n"})


async def test_what_gets_another_note_is_recorded_after_it(rig, monkeypatch):
    """The recording that somebody waits for comes while the note is written: it is made with the new name."""
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv.part", b"u,v\n3,4\n")
    async with asyncio.TaskGroup() as both:
        both.create_task(renamed(rig, transfer, "a.csv.part", "a.csv"))
        await until(lambda: rig.intake.keeper._held[transfer]["a.csv.part"].noting)
        both.create_task(rig.intake.keeper.settled(transfer))
    assert set(await recorded(rig, transfer)) == {"a.csv"}
    assert rig.intake.keeper.held(transfer) == {}


async def test_what_was_recorded_under_another_name_is_not_recorded_again(rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv.part", b"u,v\n3,4\n")
    (waiting,) = rig.intake.keeper._queue
    stored = replace(waiting.arrived.stored, file=replace(waiting.arrived.stored.file, path="a.csv"))
    await rig.keyring.put(transfer, waiting.arrived.part, waiting.arrived.header)
    await rig.recorder.do(lambda ledger: rig.intake.keeper._keep_all(ledger, [replace(waiting.arrived, stored=stored)]))
    rig.spool.die()  # before its part got its name
    rig.restart()
    assert await rig.intake.keeper.recover() == 0
    assert set(await recorded(rig, transfer)) == {"a.csv"}
    assert len(rig.spool.parts) == 1


async def test_a_note_that_was_altered_or_moved_is_not_recorded(rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    await send(rig, transfer, "b.csv", b"u,v\n3,4\n")
    rig.spool.die()
    (first, note), (second, other) = rig.spool.notes.items()
    rig.spool.notes = {first: note.replace(b"a.csv", b"c.csv"), second: note}
    rig.restart()
    assert await rig.intake.keeper.recover() == 0
    assert len(rig.observer.of("file.unrecovered")) == 2
    assert await recorded(rig, transfer) == {}
    rig.spool.notes = {second: other}
    assert await rig.intake.keeper.recover() == 1


async def test_a_file_that_cannot_be_kept_is_told_to_whoever_comes_next(rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    current = await rig.transfer(transfer)
    await rig.recorder.record(transfer, Tag.WITHDRAWN, public={"by": "operator"})
    assert current.state is State.OPEN
    with pytest.raises(Conflict, match="withdrawn"):
        await rig.intake.keeper.settled(transfer)
    await rig.intake.keeper.settled(transfer)  # told once
    assert rig.spool.parts == {}
    assert not rig.spool.busy
    assert len(rig.observer.of("file.lost")) == 1


async def test_a_database_that_was_away_loses_nothing(rig, monkeypatch):
    monkeypatch.setattr(keeper, "AGAIN_SECONDS", 0.0)
    transfer = await opened(rig)

    def away() -> None:
        raise StoreError("the database is away")

    rig.records.before_commit = away
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    with pytest.raises(GatewayError, match="not recorded yet"):
        await rig.intake.submit(rig.sender, transfer)
    assert rig.intake.keeper.held(transfer)
    rig.records.before_commit = None
    await until(lambda: not rig.intake.keeper.held(transfer))
    assert set(await recorded(rig, transfer)) == {"a.csv"}


async def test_a_file_over_the_bound_is_the_only_one_refused(rig):
    rig.limits = type(rig.limits)(files=2)
    rig.restart()
    transfer = await opened(rig)
    uploads = [await rig.intake.begin(rig.sender, transfer, f"{name}.csv", resumable=True) for name in "abc"]
    for upload in uploads:
        await upload.feed(b"u,v\n1,2\n")
        await upload.finish(Announced(), soon=True)
    with pytest.raises(GatewayError, match="at most 2 files"):
        await rig.intake.keeper.settled(transfer)
    assert set(await recorded(rig, transfer)) == {"a.csv", "b.csv"}


async def test_a_held_file_gets_its_time_without_waiting(rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    transfer, at = await opened(rig), datetime(2026, 1, 2, tzinfo=UTC)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    await rig.intake.date_file(rig.sender, transfer, "a.csv", at)
    assert await recorded(rig, transfer) == {}
    await rig.intake.keeper.settled(transfer)
    later = datetime(2026, 1, 3, tzinfo=UTC)
    async with rig.records.read() as view:
        assert (await view.file(transfer, "a.csv")).modified_at == at
    assert not rig.intake.keeper.date(transfer, "a.csv", later)
    await rig.intake.date_file(rig.sender, transfer, "a.csv", later)
    async with rig.records.read() as view:
        assert (await view.file(transfer, "a.csv")).modified_at == later


async def test_beside_other_processes_nothing_is_held(rig):
    rig.intake.keeper.holds = False
    transfer = await opened(rig)
    await send(rig, transfer, "a.csv", b"u,v\n1,2\n")
    assert set(await recorded(rig, transfer)) == {"a.csv"}
    assert rig.spool.notes == {}


async def test_large_files_and_those_of_other_doors_are_recorded_before_the_answer(rig):
    transfer = await opened(rig)
    await send(rig, transfer, "big.bin", bytes((1 << 20) + 1))
    assert set(await recorded(rig, transfer)) == {"big.bin"}
    await send(rig, transfer, "now.csv", b"u,v\n1,2\n", soon=False)
    assert set(await recorded(rig, transfer)) == {"big.bin", "now.csv"}
