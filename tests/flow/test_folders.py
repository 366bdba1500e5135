"""Datasets as folders: drafts, versions, what stays listed, and submissions that say what must be there."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from gateway.core.errors import Conflict, Incomplete, NotFound, Unusable
from gateway.core.names import DatasetName
from gateway.core.transfer import State
from gateway.flow.folders import Folders
from gateway.flow.intake import Announced
from tests.flow.rig import GENERAL, NOW, Rig, chunks, sender

NAME = DatasetName("sz-lab", "hku", "trial", "birds")
A, B = b"island,birds\nlamma,12\n" * 50, b"island,birds\nlantau,7\n" * 70


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    made.folders = Folders(recorder=made.recorder, intake=made.intake)
    return made


async def write(rig, path, content):
    draft = await rig.folders.draft(rig.sender, NAME)
    await rig.intake.receive(rig.sender, draft.id, path, chunks(content), Announced())
    return draft


async def send(rig, **files):
    for path, content in files.items():
        draft = await write(rig, f"{path}.csv", content)
    await rig.intake.declare(rig.sender, draft.id, GENERAL)
    return await rig.folders.submit(rig.sender, NAME, None)


async def shown(rig):
    return {each.path: (each.size, each.frozen) for each in (await rig.folders.files(rig.sender, NAME)).values()}


async def test_many_writers_at_once_open_one_draft(rig):
    drafts = await asyncio.gather(*(rig.folders.draft(rig.sender, NAME) for _ in range(8)))
    assert len({each.id for each in drafts}) == 1
    assert [each.version for each in await rig.folders.versions(rig.sender, NAME)] == [1]


async def test_a_write_after_a_submission_opens_the_next_version_that_relays_only_what_changed(rig):
    first = await send(rig, a=A, b=B)
    await rig.settle()
    assert (await rig.transfer(first.id)).state is State.RECEIPTED
    assert await shown(rig) == {"a.csv": (len(A), True), "b.csv": (len(B), True)}
    await write(rig, "b.csv", A)
    assert await shown(rig) == {"a.csv": (len(A), False), "b.csv": (len(A), False)}
    second = await send(rig, c=B)
    assert second.version == 2
    await rig.settle()
    assert (await rig.transfer(second.id)).files == 3
    assert await shown(rig) == {"a.csv": (len(A), True), "b.csv": (len(A), True), "c.csv": (len(B), True)}
    assert [name for name in rig.hong_kong.files if "/v2/" in name and name.endswith("a.csv.c4gh")] == []


async def test_a_withdrawn_version_brings_nothing_and_the_next_draft_is_another(rig):
    draft = await write(rig, "a.csv", A)
    withdrawn = await rig.folders.withdraw(rig.sender, NAME)
    assert withdrawn.id == draft.id
    assert await shown(rig) == {}
    with pytest.raises(NotFound):
        await rig.folders.submit(rig.sender, NAME, None)
    again = await rig.folders.draft(rig.sender, NAME)
    assert (again.version, again.state) == (2, State.OPEN)


async def test_what_is_submitted_is_frozen_and_deleting_opens_the_version_after(rig):
    first = await send(rig, a=A, b=B)
    with pytest.raises(NotFound):
        await rig.folders.remove(rig.sender, NAME, "nothing.csv")
    assert len(await rig.folders.versions(rig.sender, NAME)) == 1
    await rig.folders.remove(rig.sender, NAME, "b.csv")
    with pytest.raises(NotFound):
        await rig.folders.remove(rig.sender, NAME, "b.csv")
    assert await shown(rig) == {"a.csv": (len(A), False)}
    assert [each["path"] for each in await rig.enquiry.files(rig.sender, first.id)] == ["a.csv", "b.csv"]
    draft = await rig.folders.draft(rig.sender, NAME)
    assert (draft.version, draft.files, draft.bytes) == (2, 1, len(A))


async def test_a_time_alone_opens_no_version(rig):
    first = await send(rig, a=A)
    await rig.intake.date_file(rig.sender, first.id, "a.csv", NOW)
    found = await rig.folders.file(rig.sender, NAME, "a.csv")
    assert (found.modified, found.frozen) == (NOW, True)
    await rig.settle()
    assert (await rig.transfer(first.id)).state is State.RECEIPTED


@pytest.mark.parametrize(
    ("listed", "refusal"),
    [
        ({"a.csv": len(A), "b.csv": hashlib.sha256(B).digest()}, None),
        ({"a.csv": len(A)}, Conflict),
        ({"a.csv": len(A), "b.csv": len(B) + 1}, Conflict),
        ({"a.csv": len(A), "b.csv": hashlib.sha256(A).digest()}, Conflict),
        ({"a.csv": len(A), "b.csv": len(B), "c.csv": hashlib.sha256(A).digest()}, Incomplete),
        ({}, Conflict),
    ],
)
async def test_a_submission_may_say_what_must_be_there(rig, listed, refusal):
    await write(rig, "a.csv", A)
    await write(rig, "b.csv", B)
    if refusal:
        with pytest.raises(refusal):
            await rig.folders.submit(rig.sender, NAME, listed)
        assert (await rig.folders.versions(rig.sender, NAME))[0].state is State.OPEN
    else:
        assert (await rig.folders.submit(rig.sender, NAME, listed)).state is State.SUBMITTED
        assert (await rig.folders.submit(rig.sender, NAME, None)).version == 1


async def test_nothing_is_submitted_with_a_temporary_name_or_without_files(rig):
    await rig.folders.draft(rig.sender, NAME)
    with pytest.raises(Unusable):
        await rig.folders.submit(rig.sender, NAME, None)
    await write(rig, "a.csv.filepart", A)
    with pytest.raises(Incomplete, match="temporary"):
        await rig.folders.submit(rig.sender, NAME, None)


async def test_another_institution_sees_and_opens_nothing(rig):
    await send(rig, a=A)
    other = sender("gz-lab", "li-si")
    assert await rig.folders.files(other, NAME) == {}
    assert await rig.folders.datasets(other, "hku", "trial") == {}
    assert await rig.folders.file(other, NAME, "a.csv") is None
    for verb in (rig.folders.draft, rig.folders.withdraw):
        with pytest.raises(NotFound):
            await verb(other, NAME)
