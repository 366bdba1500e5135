"""Datasets as folders: drafts, versions, what stays listed, and submissions that say what must be there."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.core.errors import Conflict, Incomplete, NotFound, NotPermitted, TooLarge, Unusable
from gateway.core.identity import Permission
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


# --- marks -----------------------------------------------------------------------------------------------------------


async def marks(rig):
    held = await rig.folders.held(rig.sender, NAME)
    return {path: (each.kind, each.size) for path, each in held.marks.items()} if held else None


async def test_an_empty_folder_is_the_drafts_and_stays_while_a_version_stands(rig):
    assert await rig.folders.held(rig.sender, NAME) is None
    assert await rig.folders.make_folder(rig.sender, NAME, "raw")
    assert not await rig.folders.make_folder(rig.sender, NAME, "raw")
    assert [each.state for each in await rig.folders.versions(rig.sender, NAME)] == [State.OPEN]
    await send(rig, a=A)
    assert await marks(rig) == {"raw": ("folder", 0)}
    assert not await rig.folders.make_folder(rig.sender, NAME, "raw")
    assert not await rig.folders.make_folder(rig.sender, NAME, "a.csv")
    assert await rig.folders.make_folder(rig.sender, NAME, "more")
    assert [each.version for each in await rig.folders.versions(rig.sender, NAME)] == [2, 1]
    await rig.folders.rename_folder(rig.sender, await rig.folders.mark(rig.sender, NAME, "raw"), "rare")
    assert await marks(rig) == {"rare": ("folder", 0), "more": ("folder", 0)}
    await rig.folders.withdraw(rig.sender, NAME)
    assert await marks(rig) == {"rare": ("folder", 0)}
    assert await rig.folders.drop_mark(rig.sender, NAME, "rare")
    assert not await rig.folders.drop_mark(rig.sender, NAME, "rare")
    assert await marks(rig) == {}


async def test_makers_at_once_make_one_folder(rig):
    made = await asyncio.gather(*(rig.folders.make_folder(rig.sender, NAME, "raw") for _ in range(8)))
    assert sorted(made) == [False] * 7 + [True]


async def test_empty_folders_are_bounded(rig, monkeypatch):
    monkeypatch.setattr("gateway.flow.marks.MAX_MADE", 2)
    assert await rig.folders.make_folder(rig.sender, NAME, "a")
    assert await rig.folders.make_folder(rig.sender, NAME, "b")
    with pytest.raises(TooLarge, match="at most 2 empty folders"):
        await rig.folders.make_folder(rig.sender, NAME, "c")


async def test_an_order_is_shown_with_its_version_until_the_next_write(rig):
    first = await send(rig, a=A)
    await rig.folders.note_order(first, "SUBMIT", b"123")
    assert await marks(rig) == {"SUBMIT": ("submit", 3)}
    assert await rig.folders.kept_order(rig.sender, NAME, "SUBMIT") == b""
    await write(rig, "b.csv", B)
    assert await marks(rig) == {}
    withdrawn = await rig.folders.withdraw(rig.sender, NAME)
    await rig.folders.note_order(withdrawn, "WITHDRAW", b"")
    assert await marks(rig) == {"WITHDRAW": ("withdraw", 0)}


async def test_an_order_under_a_temporary_name_keeps_what_it_says_and_the_oldest_gives_way(rig):
    with pytest.raises(NotFound):
        await rig.folders.keep_order(rig.sender, NAME, "SUBMIT.part", b"5 a.csv")
    await write(rig, "a.csv", A)
    await rig.folders.make_folder(rig.sender, NAME, "raw")
    for number in range(6):
        rig.clock.advance(seconds=1)
        await rig.folders.keep_order(rig.sender, NAME, f"SUBMIT.0000000{number}.partial", b"%d" % number)
    assert sorted(await marks(rig)) == [*(f"SUBMIT.0000000{number}.partial" for number in range(2, 6)), "raw"]
    assert await rig.folders.kept_order(rig.sender, NAME, "SUBMIT.00000005.partial") == b"5"
    assert await rig.folders.kept_order(rig.sender, NAME, "SUBMIT.00000000.partial") is None
    assert await rig.folders.kept_order(rig.sender, NAME, "raw") is None


async def test_marks_are_for_those_who_may_write(rig):
    reader = replace(rig.sender, scopes=frozenset({Permission.TRANSFERS_READ}))
    await write(rig, "a.csv", A)
    with pytest.raises(NotPermitted):
        await rig.folders.make_folder(reader, NAME, "raw")
    with pytest.raises(NotPermitted):
        await rig.folders.keep_order(reader, NAME, "SUBMIT.part", b"")
    await rig.folders.make_folder(rig.sender, NAME, "raw")
    with pytest.raises(NotPermitted):
        await rig.folders.drop_mark(reader, NAME, "raw")


class Late:
    """Records whose n-th view is followed, once it is open, by the recording of all that is held."""

    def __init__(self, rig, transfer_id, number):
        self._rig, self._transfer_id, self._number = rig, transfer_id, number

    def __getattr__(self, name):
        return getattr(self._rig.records, name)

    @asynccontextmanager
    async def read(self):
        async with self._rig.records.read() as view:
            self._number -= 1
            if self._number == 0:
                await self._rig.intake.keeper.settled(self._transfer_id)
            yield view


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("known", [True, False])
async def test_a_file_on_its_way_into_the_records_is_there_at_every_moment(rig, monkeypatch, number, known):
    draft = await rig.folders.draft(rig.sender, NAME)

    async def looked(look):
        incoming = await rig.intake.begin(rig.sender, draft.id, "d/a.csv", resumable=True)
        await incoming.feed(A)
        await incoming.finish(Announced(), soon=True)
        if not known:
            rig.folders._drafts.clear()
        monkeypatch.setattr(rig.recorder, "records", late := Late(rig, draft.id, number))
        try:
            return await look
        finally:
            monkeypatch.setattr(rig.recorder, "records", late._rig.records)
            await rig.intake.keeper.settled(draft.id)

    assert (await looked(rig.folders.file(rig.sender, NAME, "d/a.csv"))).size == len(A)
    assert set(await looked(rig.folders.files(rig.sender, NAME))) == {"d/a.csv"}
    assert set((await looked(rig.folders.held(rig.sender, NAME))).files) == {"d/a.csv"}
    assert await looked(rig.folders.beside(rig.sender, NAME, "d")) == (None, True)
