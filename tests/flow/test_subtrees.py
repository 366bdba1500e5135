"""Whole folders of a draft: deleted in one step, renamed and copied file by file, what is refused told by name."""

from __future__ import annotations

import pytest

from gateway.core.errors import Conflict, TooLarge
from gateway.core.names import DatasetName
from gateway.core.transfer import State
from gateway.flow import subtrees
from tests.flow.rig import GENERAL, Rig

NAME = DatasetName("sz-lab", "hku", "trial", "d")
CSV = b"island,birds\nlamma,12\n"


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


async def filled(rig: Rig, *paths: str) -> str:
    opened = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    for path in paths:
        incoming = await rig.intake.begin(rig.sender, opened.id, path)
        await incoming.feed(CSV)
        await incoming.finish(subtrees.Announced())
    return opened.id


async def paths(rig: Rig) -> set[str]:
    return set(await rig.folders.files(rig.sender, NAME))


async def test_a_folder_goes_with_everything_in_it_and_its_keys(rig):
    transfer_id = await filled(rig, "a/b/c", "a/d", "ab", "z")
    await rig.folders.make_folder(rig.sender, NAME, "a/empty")
    cut = await rig.intake.begin(rig.sender, transfer_id, "a/cut", resumable=True)
    await cut.feed(CSV)
    await cut.suspend()
    commits = rig.records.commits
    await rig.subtrees.drop(rig.sender, NAME, "a")
    assert rig.records.commits == commits + 1
    assert await paths(rig) == {"ab", "z"}
    held = await rig.folders.held(rig.sender, NAME)
    assert dict(held.marks) == {}
    transfer = await rig.transfer(transfer_id)
    assert (transfer.files, transfer.bytes) == (2, 2 * len(CSV))
    assert await rig.intake.unfinished(transfer_id) == 0
    assert len(rig.spool.names(transfer_id)) == 2


async def test_too_many_files_are_not_one_request(rig, monkeypatch):
    await filled(rig, "a/b", "a/c")
    monkeypatch.setattr(subtrees, "MAX_FILES", 1)
    for change in (rig.subtrees.drop(rig.sender, NAME, "a"), rig.subtrees.rename(rig.sender, NAME, "a", "b")):
        with pytest.raises(TooLarge):
            await change
    assert await paths(rig) == {"a/b", "a/c"}


async def test_what_cannot_be_renamed_stays_and_is_told(rig):
    await filled(rig, "a/b", "a/c")
    real = rig.intake.rename_file

    async def refusing(principal, transfer_id, path, to):
        if path == "a/b":
            raise Conflict("not this one")
        return await real(principal, transfer_id, path, to)

    rig.subtrees._intake.rename_file = refusing
    refused = await rig.subtrees.rename(rig.sender, NAME, "a", "n")
    assert list(refused) == ["a/b"]
    assert await paths(rig) == {"a/b", "n/c"}


async def test_a_copy_is_inspected_under_its_own_name_and_is_a_fact(rig):
    transfer_id = await filled(rig, "a/b.csv")
    await rig.subtrees.copy_file(rig.sender, NAME, "a/b.csv", "11010519491231002X.csv")
    async with rig.records.read() as view:
        one, other = await view.file(transfer_id, "a/b.csv"), await view.file(transfer_id, "11010519491231002X.csv")
    assert one.file.sha256 == other.file.sha256
    assert one.file.parts != other.file.parts
    assert [each["where"] for each in other.findings["findings"]] != [
        each["where"] for each in one.findings["findings"]
    ]
    tags = [tag.value for tag, *_ in rig.records.state.entries]
    assert tags.count("transfer.reopened") == 1


async def test_a_frozen_folder_is_changed_in_the_next_version(rig):
    transfer_id = await filled(rig, "a/b", "c")
    await rig.intake.submit(rig.sender, transfer_id)
    await rig.subtrees.drop(rig.sender, NAME, "a")
    assert await paths(rig) == {"c"}
    assert (await rig.transfer(transfer_id)).state is State.SUBMITTED
    assert [each.version for each in await rig.folders.versions(rig.sender, NAME)] == [2, 1]
