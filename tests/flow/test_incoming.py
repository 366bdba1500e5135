"""Files that are renamed and dated: what was inspected under one name is not sent under another."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.errors import Conflict, NotFound
from gateway.flow.incoming import Announced
from tests.flow.rig import Rig

CONTENT = b"island,birds\nlamma,12\n" * 50


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


async def listed(rig: Rig, transfer_id: str) -> dict[str, int]:
    return {each["path"]: each["size"] for each in await rig.enquiry.files(rig.sender, transfer_id)}


@pytest.mark.parametrize("suffix", [".filepart", ".part", ".tmp", ".partial", ".0a1B2c3D.partial"])
async def test_a_temporary_name_settles_and_was_inspected_under_the_final_one(rig, suffix):
    opened = await rig.send({f"d/a.csv{suffix}": CONTENT}, submit=False)
    renamed = await rig.intake.rename_file(rig.sender, opened.id, f"d/a.csv{suffix}", "d/a.csv")
    assert await listed(rig, opened.id) == {"d/a.csv": len(CONTENT)}
    assert renamed.findings["path"] == "d/a.csv"
    assert renamed.findings["format"] == "csv"
    assert len(rig.spool.parts) == 1


async def test_a_rename_replaces_and_forgets_what_had_the_name(rig):
    opened = await rig.send({"a.csv": b"old,old\n1,2\n", "a.csv.part": CONTENT}, submit=False)
    await rig.intake.rename_file(rig.sender, opened.id, "a.csv.part", "a.csv")
    after = await rig.transfer(opened.id)
    assert (after.files, after.bytes) == (1, len(CONTENT))
    assert len(rig.spool.parts) == 1
    assert len([name for owner, name in rig.keyring.secrets if owner == opened.id and "/" in name]) == 1
    await rig.intake.submit(rig.sender, opened.id)
    await rig.settle()
    assert rig.arrived("a.csv.c4gh") == CONTENT


async def test_a_rename_to_itself_changes_nothing(rig):
    opened = await rig.send({"a.csv": CONTENT}, submit=False)
    await rig.intake.rename_file(rig.sender, opened.id, "a.csv", "a.csv")
    assert await listed(rig, opened.id) == {"a.csv": len(CONTENT)}
    assert (await rig.transfer(opened.id)).files == 1


@pytest.mark.parametrize(
    ("new", "allowed"),
    [("b.csv", True), ("far/b.csv", True), ("a.vcf", False), ("11010519491231002X.csv", False), ("a", False)],
)
async def test_a_new_name_that_says_something_has_to_come_with_the_bytes(rig, new, allowed):
    opened = await rig.send({"a.csv": CONTENT}, submit=False)
    if allowed:
        await rig.intake.rename_file(rig.sender, opened.id, "a.csv", new)
        assert await listed(rig, opened.id) == {new: len(CONTENT)}
        return
    with pytest.raises(Conflict, match="inspected"):
        await rig.intake.rename_file(rig.sender, opened.id, "a.csv", new)
    assert await listed(rig, opened.id) == {"a.csv": len(CONTENT)}


async def test_nothing_is_renamed_or_dated_that_is_not_there_or_renamed_that_is_submitted(rig):
    opened = await rig.send({"a.csv": CONTENT}, submit=False)
    with pytest.raises(NotFound):
        await rig.intake.rename_file(rig.sender, opened.id, "b.csv", "c.csv")
    with pytest.raises(NotFound):
        await rig.intake.date_file(rig.sender, opened.id, "b.csv", datetime(2026, 1, 1, tzinfo=UTC))
    await rig.intake.submit(rig.sender, opened.id)
    with pytest.raises(Conflict, match="open"):
        await rig.intake.rename_file(rig.sender, opened.id, "a.csv", "c.csv")


async def test_what_is_fed_counts_when_it_is_finished_and_leaves_nothing_when_aborted(rig):
    opened = await rig.send({}, submit=False)
    first, second = [await rig.intake.begin(rig.sender, opened.id, f"{name}.csv") for name in "ab"]
    for each in (first, second):
        await each.feed(CONTENT)
    assert await listed(rig, opened.id) == {}
    await second.abort()
    await second.abort()
    modified = datetime(2026, 1, 1, tzinfo=UTC)
    stored = await first.finish(Announced(modified=modified))
    assert stored.modified_at == modified
    assert await listed(rig, opened.id) == {"a.csv": len(CONTENT)}
    assert len(rig.spool.parts) == 1
    assert not rig.spool.busy
    assert (await rig.intake.submit(rig.sender, opened.id)).state == "submitted"
