"""Uploads that go on: whatever was cut where, the file that arrives is the file that was sent, and is inspected as one."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import BrokenPromise, Conflict, Incomplete, NotFound, TooLarge
from gateway.core.intake import Part
from gateway.flow import resume
from gateway.flow.incoming import NOTED, Announced, Incoming
from gateway.flow.reread import Reread, cut
from gateway.wire import crypt4gh
from tests.flow.rig import GENERAL, Rig

SEGMENT = crypt4gh.SEGMENT
TABLE = b"island,birds\n" + b"lamma,12\n" * 200_000


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


async def feed(incoming: Incoming, content: bytes, step: int = 50_000) -> None:
    for at in range(0, len(content), step):
        await incoming.feed(content[at : at + step])


async def begun(rig: Rig, transfer: str, content: bytes, path: str = "a.csv") -> Incoming:
    incoming = await rig.intake.begin(rig.sender, transfer, path, resumable=True)
    await feed(incoming, content)
    return incoming


async def noted(rig: Rig, transfer: str, path: str = "a.csv"):
    async with rig.records.read() as view:
        return await view.partial(transfer, path)


@pytest.mark.parametrize("at", [1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 1_100_000, len(TABLE)])
async def test_a_file_that_was_cut_off_goes_on_and_arrives_whole(rig, at):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:at])).suspend()
    note = await noted(rig, transfer)
    assert note.size == at
    assert (await rig.transfer(transfer)).files == 0
    with pytest.raises(Incomplete, match="not finished"):
        await rig.intake.submit(rig.sender, transfer)
    rig.restart()
    incoming = await rig.resume.resume(rig.sender, transfer, "a.csv", at)
    assert incoming.size == at
    await feed(incoming, TABLE[at:])
    stored = await incoming.finish(Announced())
    assert (stored.file.size, stored.file.sha256) == (len(TABLE), hashlib.sha256(TABLE).digest())
    assert await noted(rig, transfer) is None
    assert {part.name for part in stored.file.parts} == set(rig.spool.parts)
    keys = [name for owner, name in rig.keyring.secrets if owner == transfer and name.startswith(transfer)]
    assert sorted(keys) == sorted(rig.spool.parts)
    whole = await rig.intake.receive(rig.sender, transfer, "b.csv", pieces(TABLE), Announced())
    assert {**stored.findings, "path": ""} == {**whole.findings, "path": ""}
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert rig.arrived("a.csv.c4gh") == TABLE
    assert sum(len(part) for part in rig.spool.parts.values()) == 0


async def pieces(content: bytes):
    yield content


async def test_cut_off_again_and_again_it_still_arrives(rig):
    chance = np.random.default_rng(7)
    transfer = await opened(rig)
    at = 0
    incoming = await rig.intake.begin(rig.sender, transfer, "a.csv", resumable=True)
    while at < len(TABLE):
        end = min(len(TABLE), at + int(chance.integers(1, 200_000)))
        await feed(incoming, TABLE[at:end])
        await incoming.suspend()
        assert (await noted(rig, transfer)).size == end
        at = end
        incoming = await rig.resume.resume(rig.sender, transfer, "a.csv", at)
    await incoming.finish(Announced())
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert rig.arrived("a.csv.c4gh") == TABLE


async def test_a_received_file_goes_on_at_its_end_and_nowhere_else(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).finish(Announced())
    with pytest.raises(Conflict, match="in place"):
        await rig.resume.resume(rig.sender, transfer, "a.csv", 699_999)
    assert (await rig.transfer(transfer)).files == 1
    incoming = await rig.resume.resume(rig.sender, transfer, "a.csv", 700_000)
    assert (await rig.transfer(transfer)).files == 0
    with pytest.raises(Incomplete):
        await rig.intake.submit(rig.sender, transfer)
    await feed(incoming, TABLE[700_000:])
    await incoming.finish(Announced())
    after = await rig.transfer(transfer)
    assert (after.files, after.bytes) == (1, len(TABLE))
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert rig.arrived("a.csv.c4gh") == TABLE


async def test_what_fails_after_going_on_leaves_what_was_there(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).suspend()
    before = dict(rig.spool.parts)
    incoming = await rig.resume.resume(rig.sender, transfer, "a.csv", 700_000)
    await feed(incoming, TABLE[700_000:])
    with pytest.raises(Incomplete, match="announced"):
        await incoming.finish(Announced(size=5))
    assert (await noted(rig, transfer)).size == 700_000
    assert rig.spool.parts == before
    await (await rig.resume.resume(rig.sender, transfer, "a.csv", 700_000)).abort()
    assert rig.spool.parts == before


async def test_it_may_go_on_before_its_end_but_never_with_a_hole(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).suspend()
    earlier = await rig.resume.resume(rig.sender, transfer, "a.csv", 650_001)
    assert earlier.size == 650_001
    await earlier.abort()
    beyond = await rig.resume.resume(rig.sender, transfer, "a.csv", 900_000)
    assert beyond.size == 700_000
    await beyond.abort()


async def test_who_a_file_belongs_to_and_what_is_frozen(rig):
    transfer = await opened(rig)
    with pytest.raises(NotFound):
        await rig.resume.resume(rig.sender, transfer, "a.csv", 0)
    with pytest.raises(NotFound):
        await rig.resume.reread(rig.sender, transfer, "a.csv")
    await (await begun(rig, transfer, TABLE)).finish(Announced())
    stranger = rig.sender.__class__(**{**vars(rig.sender), "institution": "gz-lab"})
    with pytest.raises(NotFound):
        await rig.resume.reread(stranger, transfer, "a.csv")
    with pytest.raises(NotFound):
        await rig.resume.resume(stranger, transfer, "a.csv", len(TABLE))
    await rig.intake.submit(rig.sender, transfer)
    with pytest.raises(Conflict):
        await rig.resume.reread(rig.sender, transfer, "a.csv")
    with pytest.raises(Conflict):
        await rig.resume.resume(rig.sender, transfer, "a.csv", len(TABLE))


async def test_deleting_forgets_all_that_was_kept(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).suspend()
    await rig.intake.drop_file(rig.sender, transfer, "a.csv")
    assert rig.spool.parts == {}
    assert await noted(rig, transfer) is None
    with pytest.raises(NotFound):
        await rig.intake.drop_file(rig.sender, transfer, "a.csv")


async def test_a_new_upload_takes_the_place_of_one_that_was_cut_off(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).suspend()
    stored = await (await begun(rig, transfer, b"u,v\n1,2\n")).finish(Announced())
    assert await noted(rig, transfer) is None
    assert [part.name for part in stored.file.parts] == list(rig.spool.parts)


# --- a crash ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [0, 1, 40_000, crypt4gh.CIPHER_SEGMENT + 5])
async def test_after_a_crash_a_long_upload_goes_on_where_its_segments_end(rig, torn):
    content = np.random.default_rng(3).bytes(NOTED + 1_300_000)
    transfer = await opened(rig)
    incoming = await begun(rig, transfer, content[: NOTED + 1_200_000], "a.bin")
    assert (await noted(rig, transfer, "a.bin")).parts[-1].size == -1
    with pytest.raises(Conflict, match="another connection"):
        await rig.resume.resume(rig.sender, transfer, "a.bin", 5)
    await incoming._pass._settled()
    rig.spool.die()
    (name,) = rig.spool.left
    if torn:  # what the machine had not written when it lost its power
        rig.spool.left[name] = rig.spool.left[name][:-torn] + bytes(torn)
    rig.restart()
    assert await rig.resume.recover(alone=True) == 1
    assert await rig.resume.recover(alone=True) == 0
    note = await noted(rig, transfer, "a.bin")
    assert note.size % SEGMENT == 0
    assert NOTED + (1 << 20) - note.size in {0, SEGMENT, 2 * SEGMENT}
    incoming = await rig.resume.resume(rig.sender, transfer, "a.bin", note.size)
    await feed(incoming, content[note.size :])
    stored = await incoming.finish(Announced())
    assert stored.file.sha256 == hashlib.sha256(content).digest()


async def test_an_upload_that_lives_is_not_recovered_and_one_that_left_nothing_is_forgotten(rig):
    transfer = await opened(rig)
    incoming = await begun(rig, transfer, bytes(NOTED), "a.bin")
    assert await rig.resume.recover(alone=True) == 0
    assert (await noted(rig, transfer, "a.bin")).parts[-1].size == -1
    await incoming._pass._settled()
    rig.spool.die()
    rig.spool.left.clear()
    rig.restart()
    assert await rig.resume.recover(alone=True) == 1
    assert await noted(rig, transfer, "a.bin") is None


async def test_beside_another_process_a_part_that_is_whole_may_be_that_ones(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, bytes(NOTED), "a.bin"))._pass._settled()
    (name,) = rig.spool.busy
    rig.spool.die()
    rig.spool.parts[name] = rig.spool.left.pop(name)
    rig.restart()
    assert await rig.resume.recover(alone=False) == 0
    assert name in rig.spool.parts
    assert await rig.resume.recover(alone=True) == 1
    assert (await noted(rig, transfer, "a.bin")).size == NOTED


async def test_what_was_altered_in_the_vault_does_not_go_on(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).suspend()
    (name,) = rig.spool.parts
    rig.spool.parts[name] = rig.spool.parts[name][:70_000] + b"\0" + rig.spool.parts[name][70_001:]
    with pytest.raises(BrokenPromise, match="altered"):
        await rig.resume.resume(rig.sender, transfer, "a.csv", 700_000)
    assert set(rig.spool.parts) == {name}
    rig.spool.parts[name] = rig.spool.parts[name][:-1]
    with pytest.raises(BrokenPromise):
        await rig.resume.resume(rig.sender, transfer, "a.csv", 700_000)


# --- reading back ----------------------------------------------------------------------------------------------------


async def test_a_sender_reads_its_own_draft_and_every_time_is_a_fact(rig):
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE[:700_000])).finish(Announced())
    source = await rig.resume.reread(rig.sender, transfer, "a.csv")
    assert source.size == 700_000
    for offset, size in [(0, 10), (65_530, 20), (699_990, 100), (700_000, 1), (1 << 40, 1), (5, 0)]:
        got = source.read(offset, size)
        assert TABLE[:700_000][offset : offset + size].startswith(got)
        assert bool(got) is (offset < 700_000 and size > 0)
    await rig.resume.reread(rig.sender, transfer, "a.csv")
    async with rig.records.read() as view:
        entries = [json.loads(body) for _, body in await view.entries_of(transfer)]
    assert [each["body"] for each in entries if each["tag"] == "transfer.reopened"] == [{"purpose": "read"}] * 2
    assert all("a.csv" not in json.dumps(each) for each in entries)
    await rig.intake.submit(rig.sender, transfer)
    await rig.settle()
    assert (await rig.transfer(transfer)).state == "receipted"


async def test_reading_back_is_bounded(rig, monkeypatch):
    monkeypatch.setattr(resume, "MAX_REOPENED", 3)
    transfer = await opened(rig)
    await (await begun(rig, transfer, TABLE)).finish(Announced())
    for _ in range(3):
        await rig.resume.reread(rig.sender, transfer, "a.csv")
    with pytest.raises(TooLarge, match="at most 3 times"):
        await rig.resume.reread(rig.sender, transfer, "a.csv")


# --- parts -----------------------------------------------------------------------------------------------------------


def test_cutting_parts() -> None:
    parts = (Part("a", 10), Part("b", 5))
    assert cut(parts, 15) == parts
    assert cut(parts, 10) == (Part("a", 10),)
    assert cut(parts, 12) == (Part("a", 10), Part("b", 2))
    assert cut(parts, 3) == (Part("a", 3),)
    assert cut(parts, 0) == ()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.lists(st.integers(1, 20), max_size=3),
    tail=st.integers(0, 2 * SEGMENT),
    reads=st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 100_000)), max_size=8),
)
def test_any_read_of_any_parts_gives_the_bytes(whole, tail, reads):
    rig = Rig()
    keys = [bytes([number]) * 32 for number in range(len(whole) + 1)]
    content, parts = b"", []
    for number, size in enumerate([*(count * SEGMENT for count in whole), tail]):
        plain = np.random.default_rng(number).bytes(size)
        room = bytearray(crypt4gh.cipher_size(size))
        nonces = np.random.default_rng(number).bytes(12 * -(-size // SEGMENT))
        crypt4gh.SegmentSealer(keys[number]).seal_into(plain, nonces, room)
        rig.spool.parts[f"t/{number}"] = bytes(room) + b"what was replaced"
        parts.append(Part(f"t/{number}", len(room)))
        content += plain
    source = Reread(rig.spool, parts, keys)
    assert source.size == len(content)
    assert b"".join(run.plain for run in source.runs()) == content
    for offset, size in reads:
        got = source.read(offset, size)
        assert content[offset : offset + size].startswith(got)
        assert bool(got) == bool(content[offset : offset + size])
