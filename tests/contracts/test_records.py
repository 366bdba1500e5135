"""What every `gateway.ports.Records` promises: run by the fake, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.errors import Conflict, StoreError, Unusable
from gateway.core.facts import Entry, Tag
from gateway.core.intake import Part
from gateway.core.review import Vote
from gateway.core.transfer import ENDS, State, Transfer
from gateway.ports import (
    Ban,
    EditLock,
    FilingUse,
    Mark,
    Outbox,
    Partial,
    Passed,
    PersonSet,
    PersonSums,
    PersonUnion,
    Records,
    StoredChange,
    TransferFilter,
    Upload,
    Writing,
)
from gateway.stores.database import Database
from tests.contracts.recorded import (
    MANIFEST,
    NOW,
    SOON,
    check_ledger,
    everything,
    keep,
    stored,
    transfer,
    write_everything,
)
from tests.fakes.records import FakeRecords

ENGINES = ["fake", "sqlite", "postgresql"]


@pytest.fixture(params=ENGINES)
async def records(request: pytest.FixtureRequest) -> AsyncIterator[Records]:
    if request.param == "fake":
        yield FakeRecords()
        return
    database = await Database.open(request.getfixturevalue(f"{request.param}_url"))
    await database.migrate()
    yield database
    await database.close()


async def committing(records: Records, work: Callable[[Writing], Awaitable[Any]]) -> None:
    """A transaction that does its work and ends well, unless the database says otherwise."""
    async with records.write() as tx:
        await work(tx)


async def failing(records: Records, work: Callable[[Writing], Awaitable[Any]]) -> None:
    """A transaction that does its work and then fails."""
    async with records.write() as tx:
        await work(tx)
        raise ZeroDivisionError


# --- transactions ----------------------------------------------------------------------------------------------------


async def test_what_is_written_together_is_there_together(records: Records) -> None:
    async with records.write() as tx:
        await write_everything(tx)
    left = await everything(records)
    assert left["transfers"] == [transfer(next_at=NOW)]
    assert left["files"] == [stored()]
    assert left["marks"] == [Mark("t1", "raw", "folder", 0, NOW)]
    assert left["manifests"] == [MANIFEST]
    assert left["connections"] == [("c1", NOW)]
    assert left["votes"] == [Vote(b"{}", b"sig")]
    assert left["persons"] == [PersonSet("t1", "sz-lab", 2026, "national", b"\1" * 8, b"", 3, 4)]
    assert left["hgr"] == (5, 2)
    assert left["changes"] == [StoredChange("d1", b"{}", "approved", b"p", b"a", 1, NOW, NOW)]
    assert left["entries"] == [(0, b"{}")]
    assert left["checkpoint"] == b"note"
    assert left["key"] == transfer(next_at=NOW)
    assert left["revoked"]


async def test_an_exception_leaves_nothing(records: Records) -> None:
    before = await everything(records)
    with pytest.raises(ZeroDivisionError):
        await failing(records, write_everything)
    assert await everything(records) == before
    async with records.write() as tx:  # neither the lease nor the token was kept
        assert await tx.spend_token_id("sz-lab-client", "jti", SOON)
        await tx.put_transfer(transfer(next_at=NOW))
        assert await tx.claim([State.OPEN], "w2", NOW, SOON, 1) == ["t1"]


async def test_a_cancelled_transaction_leaves_nothing_and_lets_others_in(records: Records) -> None:
    before = await everything(records)
    begun = asyncio.Event()

    async def hang() -> None:
        async with records.write() as tx:
            await write_everything(tx)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(hang())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await everything(records) == before
    await keep(records, transfer())


async def test_a_view_does_not_move(records: Records) -> None:
    await keep(records, transfer())
    async with records.read() as view:
        assert await view.transfer("t1") == transfer()
        async with records.write() as tx:
            await tx.put_transfer(transfer(attempts=9))
            await tx.append(Tag.OPENED, "t1", NOW, Entry(b"{}", b""), b"")
        assert await view.transfer("t1") == transfer()
        assert await view.tree_size() == 0
    async with records.read() as view:
        assert await view.transfer("t1") == transfer(attempts=9)


async def test_a_transaction_sees_what_it_wrote(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        assert await tx.transfer("t1") == transfer()
        await tx.append(Tag.OPENED, "t1", NOW, Entry(b"{}", b""), b"")
        assert await tx.entries_of("t1") == [(0, b"{}")]
        assert await tx.tree_size() == 1


async def test_counting_in_parallel_loses_nothing(records: Records) -> None:
    await keep(records, transfer())

    async def count() -> None:
        async with records.write() as tx:
            known = await tx.transfer("t1")
            assert known is not None
            await asyncio.sleep(0)
            await tx.put_transfer(replace(known, attempts=known.attempts + 1))

    await asyncio.gather(*(count() for _ in range(25)))
    async with records.read() as view:
        assert await view.transfer("t1") == transfer(attempts=25)


OWNED: dict[str, Callable[[Writing], Awaitable[None]]] = {
    "passage": lambda tx: tx.put_passage(Passed("nobody", "a", "00", 1, 1, 1, 0, NOW)),
    "file": lambda tx: tx.put_file(stored("nobody")),
    "manifest": lambda tx: tx.put_manifest("nobody", MANIFEST),
    "connection": lambda tx: tx.put_connection("nobody", "c1", None),
}


@pytest.mark.parametrize("what", OWNED)
async def test_what_belongs_to_no_transfer_is_refused_at_the_end(records: Records, what: str) -> None:
    before = await everything(records)
    with pytest.raises(StoreError) as refused:
        await committing(records, OWNED[what])
    assert (refused.value.code, refused.value.retry) == ("database-refused", False)
    assert await everything(records) == before


async def test_a_failed_step_is_not_committed_even_where_it_was_caught(records: Records) -> None:
    await keep(records, transfer("t1", dataset="d"))

    async def swallow(tx: Writing) -> None:
        await tx.put_transfer(transfer("t9"))
        with pytest.raises(Conflict):
            await tx.put_transfer(transfer("t2", dataset="d"))

    with pytest.raises(StoreError):
        await committing(records, swallow)
    async with records.read() as view:
        assert await view.transfer("t9") is None


# --- transfers -------------------------------------------------------------------------------------------------------


async def test_a_transfer_comes_back_as_it_went(records: Records) -> None:
    values: dict[str, Any] = {}
    for each in fields(Transfer):
        before = getattr(transfer(), each.name)
        values[each.name] = {
            str: f"{each.name} 表",
            int: 1 << 40,
            bool: True,
            dict: {"a": [1, 2.5, None, True, {"b": "鹤"}], "zero": "\0"},
        }.get(type(before), NOW + timedelta(microseconds=len(values)))
    odd = Transfer(**{**values, "state": State.RELAYING})
    await keep(records, odd)
    async with records.read() as view:
        assert await view.transfer(odd.id) == odd
        assert await view.transfer("somebody else's") is None
    await keep(records, replace(odd, due=None, next_at=None, ended_at=None, state=State.FAILED))
    async with records.read() as view:
        found = await view.transfer(odd.id)
    assert found is not None
    assert (found.due, found.next_at, found.ended_at, found.state) == (None, None, None, State.FAILED)


async def test_times_come_back_in_utc_wherever_they_were_said(records: Records) -> None:
    shenzhen = datetime(2026, 11, 20, 10, tzinfo=UTC).astimezone(tz=None)
    await keep(records, transfer(since=shenzhen))
    async with records.read() as view:
        found = await view.transfer("t1")
    assert found is not None
    assert found.since == shenzhen
    if isinstance(records, Database):
        assert found.since.tzinfo is UTC


async def test_an_idempotency_key_opens_one_transfer(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer(), "key")
        await tx.put_transfer(transfer(attempts=1), "key")
    with pytest.raises(Conflict) as refused:
        async with records.write() as tx:
            await tx.put_transfer(transfer("t2"), "key")
    assert refused.value.code == "idempotency-key-used"
    async with records.write() as tx:
        await tx.put_transfer(transfer("t3", institution="gz-lab"), "key")
    async with records.read() as view:
        assert await view.transfer("t2") is None
        assert await view.transfer_by_key("sz-lab", "key") == transfer(attempts=1)
        assert await view.transfer_by_key("gz-lab", "key") == transfer("t3", institution="gz-lab")
        assert await view.transfer_by_key("sz-lab", "other") is None


async def test_versions_of_a_dataset(records: Records) -> None:
    asked = ("sz-lab", "hku-genomics", "trial-a", "d")
    async with records.read() as view:
        assert await view.latest_version(*asked) == 0
    await keep(records, transfer("t1", dataset="d"), transfer("t2", dataset="d", version=2), transfer("t3", version=7))
    async with records.read() as view:
        assert await view.latest_version(*asked) == 2
    with pytest.raises(Conflict):
        await keep(records, transfer("t4", dataset="d", version=2))


PAST = [transfer(f"t{number}", opened_at=NOW + timedelta(hours=number // 2)) for number in range(7)]


async def test_the_newest_version_that_a_filter_finds(records: Records) -> None:
    states = [State.RECEIPTED, State.HELD, State.REFUSED]
    versions = [
        transfer(f"t{number}", dataset="a", version=number, state=state) for number, state in enumerate(states, 1)
    ]
    await keep(records, *versions, transfer("t9", dataset="b", version=9))
    async with records.read() as view:
        assert await view.newest(TransferFilter(dataset="a")) == versions[2]
        assert await view.newest(TransferFilter(dataset="a", states=(State.RECEIPTED, State.HELD))) == versions[1]
        assert await view.newest(TransferFilter(dataset="c")) is None


async def test_listing_goes_from_the_newest_to_the_oldest_in_pages(records: Records) -> None:
    await keep(records, *PAST)
    seen: list[str] = []
    async with records.read() as view:
        while page := await view.transfers(TransferFilter(), limit=2, after=seen[-1] if seen else ""):
            assert len(page) <= 2
            seen += [each.id for each in page]
        with pytest.raises(Unusable):
            await view.transfers(TransferFilter(), limit=2, after="nobody")
        for limit in (0, 1001):
            with pytest.raises(Unusable):
                await view.transfers(TransferFilter(), limit=limit)
    assert seen == ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]


FILTERED = [
    transfer("a", institution="gz-lab", endpoint="cuhk", project="trial-b", dataset="Cohort_1"),
    transfer("b", state=State.HELD, decision={"verdict": "hold", "rules": ["P8.1", "H3"]}, person="li-si"),
    transfer("c", state=State.REFUSED, decision={"verdict": "deny", "rules": ["P8"]}, reason="100% wrong"),
    transfer("d", opened_at=NOW + timedelta(days=1), direction="inbound", door="cli", client="Other"),
]
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "dcba"),
    ({"institution": "gz-lab"}, "a"),
    ({"endpoint": "cuhk"}, "a"),
    ({"project": "trial-b"}, "a"),
    ({"dataset": "Cohort_1"}, "a"),
    ({"dataset": "Cohort"}, ""),
    ({"states": (State.HELD, State.REFUSED)}, "cb"),
    ({"verdict": "hold"}, "b"),
    ({"rule": "P8"}, "c"),
    ({"rule": "P8.1"}, "b"),
    ({"rule": "H3"}, "b"),
    ({"rule": "H_"}, ""),
    ({"rule": "%"}, ""),
    ({"since": NOW + timedelta(days=1)}, "d"),
    ({"until": NOW + timedelta(days=1)}, "cba"),
    ({"digest": "AB" * 32}, "b"),
    ({"digest": "00" * 32}, ""),
    ({"text": "cohort_"}, "a"),
    ({"text": "0%"}, "c"),
    ({"text": "oho"}, "a"),
    ({"text": "o_o"}, ""),
    ({"text": "LI-SI"}, "b"),
    ({"text": "other"}, "d"),
    ({"text": "问卷É"}, "c"),
    ({"text": "问卷é"}, ""),
    ({"text": "\\"}, ""),
    ({"extra": {"direction": "inbound"}}, "d"),
    ({"extra": {"door": "cli", "client": "Other", "person": "zhang-san"}}, "d"),
    ({"institution": "sz-lab", "states": (State.OPEN,)}, "d"),
]


async def test_filters(records: Records) -> None:
    async with records.write() as tx:
        for each in FILTERED:
            await tx.put_transfer(each)
        await tx.put_file(stored("b", sha256=b"\xab" * 32))
        await tx.put_file(stored("c", path="调查/问卷É.csv"))
    async with records.read() as view:
        for wanted, expected in FILTERS:
            found = await view.transfers(TransferFilter(**wanted), limit=1000)
            assert "".join(each.id for each in found) == expected, wanted
        for unusable in ({"extra": {"state": "open"}}, {"digest": "00"}, {"digest": "zz" * 32}):
            with pytest.raises(Unusable):
                await view.transfers(TransferFilter(**unusable), limit=1)


async def test_what_is_due(records: Records) -> None:
    late, later = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    overdue = [transfer("b", due=later), transfer("a", due=later), transfer("c", due=late), transfer("d", due=NOW)]
    ended = [transfer(f"end {state}", due=late, state=state) for state in ENDS]
    await keep(records, *overdue, *ended, transfer("x", due=SOON), transfer("y", due=None))
    async with records.read() as view:
        assert [each.id for each in await view.due(NOW, 10)] == ["c", "a", "b", "d"]
        assert [each.id for each in await view.due(NOW, 2)] == ["c", "a"]


async def test_what_ended_and_still_has_its_keys(records: Records) -> None:
    past = NOW - timedelta(days=31)
    gone = {"state": State.REFUSED, "ended_at": past}
    await keep(
        records,
        transfer("a", **gone),
        transfer("b", **{**gone, "ended_at": past - timedelta(days=1)}),
        transfer("c", **gone, keys_destroyed=True),
        transfer("d", **{**gone, "ended_at": NOW}),
        transfer("e", **{**gone, "state": State.EXPIRED}),
        transfer("f", state=State.REFUSED),
    )
    async with records.read() as view:
        found = await view.ended_before([State.REFUSED, State.REJECTED], NOW, 10)
        assert [each.id for each in found] == ["b", "a"]
        assert [each.id for each in await view.ended_before([State.REFUSED], NOW, 1)] == ["b"]


async def test_state_counts(records: Records) -> None:
    async with records.read() as view:
        assert await view.state_counts() == {}
    await keep(records, transfer("a"), transfer("b", since=SOON), transfer("c", since=SOON, state=State.HELD))
    async with records.read() as view:
        counts: Mapping[str, tuple[int, datetime | None]] = await view.state_counts()
    assert counts == {"open": (2, NOW), "held": (1, SOON)}


# --- files and votes -------------------------------------------------------------------------------------------------


async def test_files_are_replaced_by_path_and_listed_by_code_point(records: Records) -> None:
    paths = ["b", "B", "a/z", "a-z", "é", "数据", "~"]
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        for number, path in enumerate(paths):
            await tx.put_file(stored(path=path, number=number))
        await tx.put_file(stored(path="b", number=9, parts=(), persons_lasting=b"\1" * 8))
    async with records.read() as view:
        assert [each.file.path for each in await view.files("t1")] == sorted(paths)
        assert await view.file("t1", "b") == stored(path="b", number=9, parts=(), persons_lasting=b"\1" * 8)
        assert await view.file("t1", "数据") == stored(path="数据", number=5)
        assert await view.file("t1", "none") is None
        assert await view.files("t2") == []


async def test_uploads_that_have_an_address_are_found_replaced_and_dropped(records: Records) -> None:
    first = Upload("u1", "t1", "数据/a.bam", 1 << 40, NOW, SOON, metadata="path YQ==", modified=NOW)
    piece = Upload("u0", "t1", "", None, NOW, SOON + timedelta(1), concat="partial")
    other = Upload("u2", "t2", "b", 0, SOON, NOW, done=True, sha256="00", turn=7)
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        for each in (replace(first, turn=1), other, piece, first):
            await tx.put_upload(each)
        assert await tx.upload("u1") == first
    async with records.read() as view:
        assert await view.uploads("t1") == [piece, first]
        assert await view.uploads("t3") == []
        assert await view.upload("U1") is None
        assert await view.uploads_expired(NOW, 9) == [other]
        assert await view.uploads_expired(SOON + timedelta(2), 2) == [other, first]
    async with records.write() as tx:
        await tx.drop_upload("u1")
        await tx.drop_upload("never there")
    async with records.read() as view:
        assert await view.upload("u1") is None
        assert await view.uploads("t1") == [piece]


async def test_notes_of_uploads_are_replaced_and_dropped(records: Records) -> None:
    begun = Partial("t1", "数据/a.bam", (Part("t1/0", 65_564), Part("t1/1", -1)), 7, NOW)
    later = replace(begun, parts=(Part("t1/0", 65_564),), size=65_536, at=SOON, modified=NOW)
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        for note in (begun, replace(begun, path="b"), replace(begun, transfer_id="t2"), later):
            await tx.put_partial(note)
        assert await tx.partial("t1", "数据/a.bam") == later
    async with records.write() as tx:
        await tx.drop_partial("t1", "b")
        await tx.drop_partial("t1", "never there")
    async with records.read() as view:
        assert await view.partial("t1", "b") is None
        assert await view.partials("t1") == [later]
        assert await view.partials() == [later, replace(begun, transfer_id="t2")]
        assert await view.partials("t3") == []
        assert await view.kept("sz-lab") == 65_536 + begun.size
        assert await view.kept("gz-lab") == 0
    async with records.write() as tx:
        await tx.put_transfer(transfer(state=State.SUBMITTED))
    async with records.read() as view:
        assert await view.kept("sz-lab") == begun.size


async def test_whether_a_file_lies_in_a_folder(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2", dataset="other"))
        for path in ("a/b/c", "ab", "数据/x"):
            await tx.put_file(stored(path=path))
        await tx.put_partial(Partial("t1", "p/q", (), 0, NOW))
    async with records.read() as view:
        for folder in ("a", "a/b", "数据", "p"):
            assert await view.has_below("t1", folder)
        for folder in ("ab", "a/b/c", "", "b", "p/q", "数"):
            assert not await view.has_below("t1", folder)
        assert not await view.has_below("t2", "a")


async def test_locks_are_an_institutions_and_replaced_by_token(records: Records) -> None:
    lock = EditLock("urn:b", "sz-lab", "hku", "p", "d", "数据/a", "c1", "<x/>", deep=False, awaits=True, until=SOON)
    async with records.write() as tx:
        await tx.put_lock(lock)
        await tx.put_lock(replace(lock, token="urn:a", deep=True, path=""))
        await tx.put_lock(replace(lock, token="urn:c", institution="gz-lab"))
        await tx.put_lock(replace(lock, awaits=False))
        await tx.drop_lock("urn:none")
    async with records.read() as view:
        expected = [replace(lock, token="urn:a", deep=True, path=""), replace(lock, awaits=False)]
        assert await view.locks("sz-lab") == expected
        assert [each.token for each in await view.locks("gz-lab")] == ["urn:c"]
        assert await view.locks("none") == []
    async with records.write() as tx:
        await tx.drop_lock("urn:a")
        assert [each.token for each in await tx.locks("sz-lab")] == ["urn:b"]


async def test_marks_are_replaced_by_path_and_forgotten(records: Records) -> None:
    paths = ["b", "B", "a/z", "a-z", "数据"]
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        for path in paths:
            await tx.put_mark(Mark("t1", path, "folder", 0, NOW))
        await tx.put_mark(Mark("t1", "SUBMIT.part", "submit", 5, SOON), b"\0 a\n\xff")
        await tx.put_mark(Mark("t1", "b", "withdraw", 7, SOON))
        assert await tx.mark_content("t1", "SUBMIT.part") == b"\0 a\n\xff"
        await tx.drop_mark("t1", "B")
        await tx.drop_mark("t1", "B")
        await tx.drop_mark("t2", "b")
    async with records.read() as view:
        assert [each.path for each in await view.marks("t1")] == sorted({*paths, "SUBMIT.part"} - {"B"})
        assert (await view.marks("t1"))[0] == Mark("t1", "SUBMIT.part", "submit", 5, SOON)
        assert Mark("t1", "b", "withdraw", 7, SOON) in await view.marks("t1")
        assert await view.mark_content("t1", "SUBMIT.part") == b"\0 a\n\xff"
        assert await view.mark_content("t1", "b") == await view.mark_content("t1", "none") == b""
        assert await view.marks("t2") == []
    with pytest.raises(StoreError):
        await committing(records, lambda tx: tx.put_mark(Mark("t9", "a", "folder", 0, NOW)))


async def test_many_files_are_kept_at_once(records: Records) -> None:
    first = [stored(path=f"{number:03d}.csv", number=number, carried="t0" * (number % 2)) for number in range(300)]
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_files([])
        await tx.put_files(first)
        await tx.put_files([replace(first[7], modified_at=NOW, carried="t9")])
    async with records.read() as view:
        found = await view.files("t1")
    assert found[7].carried == "t9"
    assert [*found[:7], *found[8:]] == [*first[:7], *first[8:]]


async def test_files_come_in_pages_by_their_numbers(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_files([stored(path=path, number=number) for path, number in (("b", 0), ("a", 1), ("c", 5))])
    async with records.read() as view:
        assert [each.file.path for each in await view.files_after("t1", -1, 2)] == ["b", "a"]
        assert [each.file.path for each in await view.files_after("t1", 1, 2)] == ["c"]
        assert await view.files_after("t1", 5, 2) == []
        assert await view.files_after("t2", -1, 2) == []


async def test_file_numbers_never_come_back(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        assert [await tx.next_file_number("t1") for _ in range(3)] == [0, 1, 2]
        assert await tx.next_file_number("t2") == 0
    async with records.write() as tx:
        await tx.put_file(stored(number=7))
        assert await tx.next_file_number("t1") == 8
        await tx.put_file(stored(number=11))
        await tx.drop_file("t1", "a.csv")
        await tx.drop_file("t1", "a.csv")
        assert await tx.next_file_number("t1") == 12
        assert await tx.file("t1", "a.csv") is None


async def test_manifests_are_kept_by_path_and_dropped(records: Records) -> None:
    other = replace(MANIFEST, path="bagit.txt", kind="bagit", document={"entries": {"data/\0姓名": ""}})
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        await tx.put_manifest("t1", other)
        await tx.put_manifest("t1", replace(other, path=MANIFEST.path))
        await tx.put_manifest("t1", MANIFEST)
        await tx.put_manifest("t2", other)
        assert await tx.manifests("t1") == [other, MANIFEST]
        await tx.drop_manifest("t1", other.path)
        await tx.drop_manifest("t1", "never.txt")
    async with records.read() as view:
        assert await view.manifests("t1") == [MANIFEST]
        assert await view.manifests("t2") == [other]


async def test_connections_are_noted_lost_and_ended(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        for name in ("c2", "c1", "c3"):
            await tx.put_connection("t1", name, None)
        await tx.put_connection("t2", "c1", None)
        await tx.put_connection("t1", "c2", NOW)
        await tx.drop_connection("t1", "c3")
        await tx.drop_connection("t1", "c4")
    async with records.read() as view:
        assert await view.connections("t1") == [("c1", None), ("c2", NOW)]
        assert await view.connections("t2") == [("c1", None)]


async def test_passages_by_channel_and_number(records: Records) -> None:
    await keep(records, *(transfer(f"t{number}") for number in range(4)))
    passages = [
        Passed("t2", "a", "00", 1, 3, 1 << 40, 7, NOW),
        Passed("t0", "a", "00", 2, 1, 5, 0, NOW, "random first", SOON),
        Passed("t1", "b", "11", 1, 1, 5, 0, NOW, "random", SOON, "objection", NOW, b"{}", b"sig"),
    ]
    async with records.write() as tx:
        for each in reversed(passages):
            await tx.put_passage(each)
    async with records.read() as view:
        assert await view.passages() == passages
        assert await view.passages("a") == passages[:2]
        assert await view.passages(transfer_id="t1") == passages[2:]
        assert await view.passages("a", "t1") == await view.passages("c") == []
    looked = replace(passages[1], finding="ok", closed_at=SOON, message=b"{}", signature=b"sig")
    async with records.write() as tx:
        await tx.put_passage(looked)
    async with records.read() as view:
        assert await view.passages("a") == [passages[0], looked]


async def test_only_held_transfers_whose_time_has_come_are_escalated(records: Records) -> None:
    later = SOON + timedelta(seconds=1)
    await keep(
        records,
        transfer("t1", state=State.HELD, escalate_at=SOON),
        transfer("t2", state=State.HELD, escalate_at=NOW),
        transfer("t3", state=State.HELD, escalate_at=later),
        transfer("t4", state=State.HELD),
        transfer("t5", state=State.CLEARED, escalate_at=NOW),
    )
    async with records.read() as view:
        assert [each.id for each in await view.escalating(SOON, 10)] == ["t2", "t1"]
        assert [each.id for each in await view.escalating(SOON, 1)] == ["t2"]


async def test_votes_in_the_order_they_came(records: Records) -> None:
    votes = [Vote(bytes([number]), b"sig") for number in (3, 1, 2)]
    async with records.write() as tx:
        await tx.put_transfer(transfer())
        await tx.put_transfer(transfer("t2"))
        for vote in votes:
            await tx.put_vote("t1", vote, NOW)
        await tx.put_vote("t2", votes[0], NOW)
    async with records.read() as view:
        assert await view.votes("t1") == votes


# --- counts and the registry -----------------------------------------------------------------------------------------


async def test_persons_are_counted_once_and_given_back(records: Records) -> None:
    sets = [
        PersonSet("t1", "sz-lab", 2026, "national", b"\1" * 16, b"\2" * 8),
        PersonSet("t2", "sz-lab", 2026, "national", b"", b"\3" * 8, 1, 2),
        PersonSet("t3", "sz-lab", 2026, "gba", b"", b""),
        PersonSet("t4", "sz-lab", 2027, "national", b"", b""),
        PersonSet("t5", "gz-lab", 2026, "national", b"", b""),
    ]
    await keep(records, *(transfer(each.transfer_id) for each in sets))
    async with records.write() as tx:
        for each in sets:
            await tx.put_persons(each)
    with pytest.raises(Conflict) as refused:
        async with records.write() as tx:
            await tx.put_persons(sets[0])
    assert refused.value.code == "already-counted"
    async with records.read() as view:
        assert await view.person_sets("sz-lab", 2026, "national") == sets[:2]
        assert await view.person_sets("", 2026, "national") == [sets[0], sets[1], sets[4]]
        assert [await view.person_set(each) for each in ("t2", "t9")] == [sets[1], None]
    async with records.write() as tx:
        assert await tx.drop_persons("t1")
        assert not await tx.drop_persons("t1")
        assert await tx.person_sets("sz-lab", 2026, "national") == [sets[1]]
        await tx.put_persons(sets[0])


async def test_unions_have_shards_and_go_with_any_set_they_are_made_of(records: Records) -> None:
    await keep(records, transfer("t1"), transfer("t2"))
    union = PersonUnion("sz-lab", 2026, "national", 1, 2, 2, 0)
    async with records.write() as tx:
        await tx.put_persons(PersonSet("t1", "sz-lab", 2026, "national", b"\1" * 8 + b"\2" * 8, b"", 5, 6))
        await tx.put_persons(PersonSet("t2", "sz-lab", 2026, "gba", b"", b"\1" * 8, 7, 8))
        await tx.put_union(union, {"sensitive": {4: b"\1" * 8, 8: b"\2" * 8}})
        await tx.put_union(replace(union, track="gba"), {"nonsensitive": {4: b"\1" * 8}})
        await tx.put_union(replace(union, entity="gz-lab"), {"sensitive": {4: b"\7" * 8}})
        await tx.put_union(replace(union, sensitive=3), {"sensitive": {8: b"\3" * 8}, "nonsensitive": {}})
    async with records.read() as view:
        assert await view.person_sums(2026, "national") == {"sz-lab": PersonSums("sz-lab", 1, 2, 5, 6)}
        assert await view.person_sums(2025, "national") == {}
        assert await view.counted_transfers("sz-lab", 2026, "gba") == {"t2"}
        unions = await view.person_unions(2026, "national")
        assert unions == {"sz-lab": replace(union, sensitive=3), "gz-lab": replace(union, entity="gz-lab")}
        shards = await view.person_shards("sz-lab", 2026, "national", "sensitive", range(1024))
        assert shards == {4: b"\1" * 8, 8: b"\3" * 8}
        assert await view.person_shards("sz-lab", 2026, "national", "sensitive", [8, 9]) == {8: b"\3" * 8}
        assert await view.person_shards("sz-lab", 2026, "national", "nonsensitive", [4]) == {}
    async with records.write() as tx:
        assert await tx.drop_persons("t1")
        assert set(await tx.person_unions(2026, "national")) == {"gz-lab"}
        assert await tx.person_shards("sz-lab", 2026, "national", "sensitive", range(1024)) == {}
        assert set(await tx.person_unions(2026, "gba")) == {"sz-lab"}
        await tx.drop_union("sz-lab", 2026, "gba")
        assert await tx.person_unions(2026, "gba") == {}


async def test_filings_know_what_went_under_them_and_forget_what_was_given_back(records: Records) -> None:
    await keep(records, transfer("t1"), transfer("t2"), transfer("t3"))
    sets = [
        PersonSet("t1", "sz-lab", 2026, "national", b"\1" * 8, b"\2" * 16, 5, 6),
        PersonSet("t2", "sz-lab", 2027, "gba", b"", b"\1" * 8),
    ]
    uses = [FilingUse("t1", "sa", 2026, 11, 2), FilingUse("t1", "scc", 2026), FilingUse("t2", "sa", 2027, 1)]
    union = PersonUnion("sa", 2026, "filing", 1, 3, 3)
    async with records.write() as tx:
        for each in sets:
            await tx.put_persons(each)
        for use in [*uses, FilingUse("t3", "sa", 2027, 0, 7)]:  # the last one counted nobody by digest
            await tx.put_filing_use(use)
        await tx.put_samples("t3", "trial-a", "hku-genomics", b"\4" * 16, b"\4" * 8)
        await tx.put_union(union, {"everybody": {4: b"\1" * 8}})
        await tx.put_union(replace(union, entity="scc"), {"everybody": {4: b"\1" * 8}})
        await tx.put_union(replace(union, year=2027), {"everybody": {4: b"\1" * 8}})
    async with records.read() as view:
        assert await view.filing_uses("sa") == [uses[0], uses[2], FilingUse("t3", "sa", 2027, 0, 7)]
        assert len(await view.filing_uses("")) == 4
        assert await view.filing_uses("other") == []
        assert await view.filing_sums("sa") == {2026: PersonSums("sa", 1, 3), 2027: PersonSums("sa", 1, 1)}
        assert await view.filing_sums("other") == {}
        assert await view.filing_sets("sa", 2026) == sets[:1]
        assert await view.filing_sets("sa", 2027) == sets[1:]
        assert await view.filing_samples("sa") == [(b"\4" * 16, b"\4" * 8)]
        assert await view.filing_samples("scc") == []
        assert await view.person_set("t2") == sets[1]
        assert await view.person_set("t3") is None
    async with records.write() as tx:
        assert await tx.drop_persons("t1")
        assert not await tx.drop_persons("t1")
        assert [each.transfer_id for each in await tx.filing_uses("")] == ["t2", "t3"]
        assert await tx.person_unions(2026, "filing") == {}
        assert set(await tx.person_unions(2027, "filing")) == {"sa"}
        assert await tx.drop_persons("t3"), "a use alone was something to take back"


async def test_evidence_is_kept_until_it_is_gone_and_whose_files_are_carried_is_known(records: Records) -> None:
    ended = {"state": State.RECEIPTED, "ended_at": NOW, "keys_destroyed": True}
    rows = [
        transfer("t1", **ended),
        transfer("t2", **ended, evidence="going"),
        transfer("t3", **ended, evidence="gone"),
        transfer("t4"),
        transfer("t5", **{**ended, "ended_at": SOON}),
    ]
    await keep(records, *rows)
    async with records.write() as tx:
        await tx.put_file(stored(transfer_id="t4", carried="t1"))
        await tx.put_file(stored(transfer_id="t5"))
    async with records.read() as view:
        assert [each.id for each in await view.kept_evidence(SOON, 9)] == ["t1", "t2"]
        assert await view.kept_evidence(NOW, 9) == []
        assert [each.id for each in await view.kept_evidence(SOON, 1)] == ["t1"]
        assert [each.id for each in await view.kept_evidence(SOON, 9, "t1")] == ["t2"]
        assert await view.carriers("t1") == {"t4"}
        assert await view.carriers("t4") == frozenset()
    async with records.write() as tx:
        await tx.drop_files("t4")
        await tx.drop_files("t4")
    async with records.read() as view:
        assert await view.files("t4") == []
        assert len(await view.files("t5")) == 1
        assert await view.carriers("t1") == frozenset()


async def test_hgr_subjects_add_up_and_are_given_back(records: Records) -> None:
    await keep(records, transfer("t1"), transfer("t2"), transfer("t3"))
    async with records.write() as tx:
        await tx.put_hgr("t1", "trial-a", "hku-genomics", 500, 20)
        await tx.put_hgr("t2", "trial-a", "hku-genomics", 7, 1)
        await tx.put_hgr("t3", "trial-a", "cuhk", 1, 1)
        with pytest.raises(Conflict):
            await tx.put_hgr("t3", "trial-a", "cuhk", 1, 1)
    async with records.write() as tx:
        assert await tx.hgr_counted("trial-a", "hku-genomics") == (507, 21)
        assert await tx.hgr_counted("trial-b", "hku-genomics") == (0, 0)
        assert await tx.drop_persons("t1")
        assert await tx.hgr_counted("trial-a", "hku-genomics") == (7, 1)


async def test_samples_are_kept_by_project_and_recipient_and_given_back(records: Records) -> None:
    await keep(records, transfer("t1"), transfer("t2"), transfer("t3"))
    async with records.write() as tx:
        await tx.put_samples("t1", "trial-a", "hku-genomics", b"\1" * 16, b"\1" * 8)
        await tx.put_samples("t2", "trial-a", "hku-genomics", b"\2" * 8, b"")
        await tx.put_samples("t3", "trial-a", "cuhk", b"\3" * 8, b"")
        with pytest.raises(Conflict):
            await tx.put_samples("t3", "trial-a", "cuhk", b"", b"")
    async with records.write() as tx:
        assert await tx.hgr_samples("trial-a", "hku-genomics") == [(b"\1" * 16, b"\1" * 8), (b"\2" * 8, b"")]
        assert await tx.hgr_samples("trial-b", "hku-genomics") == []
        assert await tx.drop_persons("t1")
        assert await tx.hgr_samples("trial-a", "hku-genomics") == [(b"\2" * 8, b"")]


async def test_registry_changes(records: Records) -> None:
    first = StoredChange("d1", b"1", "proposed", b"p", proposed_at=NOW)
    second = StoredChange("d2", b"2", "approved", b"p", b"a", 2, SOON, SOON)
    third = StoredChange("d3", b"3", "approved", b"p", b"a", 1, NOW, SOON)
    fourth = StoredChange("d4", b"4", "discarded", b"p")
    async with records.write() as tx:
        for each in (first, second, third, fourth):
            await tx.put_change(each)
    async with records.read() as view:
        assert await view.changes("approved") == [third, second]
        assert await view.changes("proposed") == [first]
        assert await view.changes() == [third, second, fourth, first]
    with pytest.raises(Conflict):
        async with records.write() as tx:
            await tx.put_change(replace(first, state="approved", serial=2))
    async with records.write() as tx:
        await tx.put_change(replace(first, state="approved", serial=3))
        assert [each.digest for each in await tx.changes("approved")] == ["d3", "d2", "d1"]


# --- the ledger ------------------------------------------------------------------------------------------------------


async def test_the_ledger_grows_entry_by_entry_and_batch_by_batch(records: Records) -> None:
    bodies: list[bytes] = []
    for batch in (1, 2, 1, 4, 7, 1, 1):
        async with records.write() as tx:
            for _ in range(batch):
                entry = Entry(f"entry {len(bodies)}".encode(), b"")
                assert await tx.append(Tag.OPENED, f"t{batch}", NOW, entry, b"sealed" * batch) == len(bodies)
                bodies.append(entry.body)
        await check_ledger(records, bodies)
    async with records.read() as view:
        assert await view.entries(3, 2) == [(3, bodies[3]), (4, bodies[4])]
        assert await view.entries(17, 5) == []
        assert await view.entries_of("t2") == [(1, bodies[1]), (2, bodies[2])]
        assert await view.entries_of("t1") == [(index, bodies[index]) for index in (0, 3, 15, 16)]
        assert await view.entries_of("none") == []
        assert await view.entries_after("t1", -1, 2) == [(index, bodies[index]) for index in (0, 3)]
        assert await view.entries_after("t1", 3, 5) == [(index, bodies[index]) for index in (15, 16)]
        assert await view.entries_after("t1", 16, 5) == []
        assert await view.opening(1) == b"sealedsealed"
        assert await view.opening(99) is None


async def test_the_entries_of_an_institution_are_those_of_its_transfers(records: Records) -> None:
    await keep(records, transfer("t1"), transfer("t2", institution="gz-lab"), transfer("t3", dataset="other"))
    async with records.write() as tx:
        for subject in ("t1", "t2", "registry", "t3", "t1"):
            await tx.append(Tag.OPENED, subject, NOW, Entry(subject.encode(), b""), b"")
    async with records.read() as view:
        own = await view.entries_of_institution(transfer().institution, 0, 5)
        assert own == [(0, b"t1"), (3, b"t3"), (4, b"t1")]
        assert await view.entries_of_institution("gz-lab", 0, 9) == [(1, b"t2")]
        assert await view.entries_of_institution(transfer().institution, 1, 4) == [(3, b"t3")]
        assert await view.entries_of_institution("nobody", 0, 5) == []
        assert await view.entries_of_institution(transfer().institution, 5, 9) == []


async def test_an_entry_without_private_fields_has_no_opening(records: Records) -> None:
    async with records.write() as tx:
        index = await tx.append(Tag.RECEIPTED, "t1", NOW, Entry(b"{}", b""), b"")
    async with records.read() as view:
        assert await view.opening(index) is None


async def test_a_ledger_that_rolled_back_goes_on_where_it_was(records: Records) -> None:
    for body in (b"kept 0", b"kept 1"):
        async with records.write() as tx:
            await tx.append(Tag.OPENED, "t", NOW, Entry(body, b""), b"")
        with pytest.raises(ZeroDivisionError):
            await failing(records, lambda tx: tx.append(Tag.OPENED, "t", NOW, Entry(b"lost", b""), b""))
    await check_ledger(records, [b"kept 0", b"kept 1"])


async def test_the_latest_checkpoint_is_the_largest(records: Records) -> None:
    async with records.read() as view:
        assert await view.latest_checkpoint() is None
    async with records.write() as tx:
        await tx.put_checkpoint(9, b"nine")
        await tx.put_checkpoint(3, b"three")
        assert await tx.latest_checkpoint() == b"nine"
        await tx.put_checkpoint(9, b"nine, cosigned")
    async with records.read() as view:
        assert await view.latest_checkpoint() == b"nine, cosigned"


# --- work ------------------------------------------------------------------------------------------------------------


async def test_a_claim_takes_what_is_ready_and_free(records: Records) -> None:
    await keep(
        records,
        transfer("late", state=State.SUBMITTED, next_at=NOW - timedelta(hours=1)),
        transfer("now", state=State.CLEARED, next_at=NOW),
        transfer("never", state=State.SUBMITTED, next_at=None),
        transfer("soon", state=State.SUBMITTED, next_at=SOON),
        transfer("held", state=State.HELD, next_at=NOW),
    )
    working = [State.SUBMITTED, State.CLEARED]
    async with records.write() as tx:
        assert await tx.claim(working, "w1", NOW, SOON, 1) == ["late"]
    async with records.write() as tx:
        assert await tx.claim(working, "w2", NOW, SOON, 9) == ["now"]
        assert await tx.claim(working, "w1", NOW, SOON, 9) == []
        await tx.release("now", "w1")  # not its lease
        assert await tx.claim(working, "w1", NOW, SOON, 9) == []
        await tx.release("now", "w2")
        await tx.release("now", "w2")
    async with records.write() as tx:
        assert await tx.claim(working, "w1", NOW, SOON, 9) == ["now"]


async def test_leases_run_out_and_can_be_extended(records: Records) -> None:
    await keep(records, transfer("t1", next_at=NOW), transfer("t2", next_at=NOW))
    later = SOON + timedelta(minutes=5)
    async with records.write() as tx:
        assert await tx.claim([State.OPEN], "w1", NOW, SOON, 9) == ["t1", "t2"]
        await tx.extend("t1", "w1", later)
        await tx.extend("t2", "w2", later)  # not its lease
    async with records.write() as tx:
        assert await tx.claim([State.OPEN], "w2", SOON - timedelta(microseconds=1), later, 9) == []
        assert await tx.claim([State.OPEN], "w2", SOON, later, 9) == ["t2"]
        assert await tx.claim([State.OPEN], "w3", later, later, 9) == ["t1", "t2"]


async def test_waking(records: Records) -> None:
    await keep(records, transfer("t1", state=State.HELD), transfer("t2", next_at=SOON))
    async with records.write() as tx:
        await tx.wake([State.HELD], NOW)
    async with records.read() as view:
        assert await view.transfer("t1") == transfer("t1", state=State.HELD, next_at=NOW)
        assert await view.transfer("t2") == transfer("t2", next_at=SOON)


async def test_two_workers_never_have_the_same_transfer(records: Records) -> None:
    ids = [f"t{number:02}" for number in range(40)]
    await keep(records, *(transfer(each, next_at=NOW) for each in ids))

    async def work(name: str) -> list[str]:
        mine: list[str] = []
        misses = 0
        while misses < 3:  # a miss may mean that another one is just taking the same rows
            async with records.write() as tx:
                got = await tx.claim([State.OPEN], name, NOW, SOON, 3)
                mine += got
                misses = 0 if got else misses + 1
        return mine

    taken = await asyncio.gather(*(work(f"w{number}") for number in range(4)))
    assert sorted(each for mine in taken for each in mine) == ids


# --- credentials -----------------------------------------------------------------------------------------------------


async def test_a_token_id_is_spent_once(records: Records) -> None:
    async with records.write() as tx:
        assert await tx.spend_token_id("c1", "a", SOON)
        assert not await tx.spend_token_id("c1", "a", SOON)
        assert await tx.spend_token_id("c2", "a", SOON)
    async with records.write() as tx:
        assert not await tx.spend_token_id("c1", "a", SOON + timedelta(minutes=1))
        assert await tx.spend_token_id("c1", "b", SOON + timedelta(minutes=1))


async def test_a_token_id_is_spent_once_by_many_at_the_same_time(records: Records) -> None:
    async def spend() -> bool:
        async with records.write() as tx:
            return await tx.spend_token_id("c1", "a", SOON)

    assert sorted(await asyncio.gather(*(spend() for _ in range(6)))) == [False] * 5 + [True]


async def test_revocations(records: Records) -> None:
    async with records.write() as tx:
        await tx.revoke("c1", "a", NOW)
        await tx.revoke("c1", "a", SOON)
        await tx.revoke("c2", "", NOW)
    async with records.read() as view:
        asked = [("c1", "a"), ("c1", "b"), ("c2", "b"), ("c3", "a")]
        assert [await view.revoked(*each) for each in asked] == [True, False, True, False]


async def test_tokens_revoked_a_day_ago_are_forgotten_and_clients_never(records: Records) -> None:
    async with records.write() as tx:
        for client, token_id in (("c1", "old"), ("c1", ""), ("c2", "old")):
            await tx.revoke(client, token_id, NOW)
        await tx.revoke("c3", "late", NOW + timedelta(minutes=1))
        for client in ("c1", "c3"):
            await tx.revoke(client, "new", NOW + timedelta(days=1, seconds=1))
    async with records.read() as view:
        assert await view.revoked("c1", "any")
        assert await view.revoked("c2", "old")  # its client has revoked nothing since
        assert await view.revoked("c3", "late")
        assert await view.revoked("c3", "new")
        assert not await view.revoked("c3", "old")


# --- faults: the fake's own hook -------------------------------------------------------------------------------------


# --- bounds ----------------------------------------------------------------------------------------------------------


async def test_bytes_that_are_neither_delivered_nor_at_an_end(records: Records) -> None:
    for number, state in enumerate(State):
        await keep(records, transfer(f"t{number}", state=state, bytes=1 << (2 * number)))
    await keep(records, transfer("big", bytes=1 << 50), transfer("other", institution="gz-lab", bytes=7))
    counted = [number for number, state in enumerate(State) if state not in ENDS | {State.DELIVERED}]
    async with records.read() as view:
        assert await view.undelivered("sz-lab") == sum(1 << (2 * number) for number in counted) + (1 << 50)
        assert await view.undelivered("gz-lab") == 7
        assert await view.undelivered("nobody") == 0


async def test_bans_stand_until_they_end_or_are_lifted(records: Records) -> None:
    later = NOW + timedelta(hours=1)
    first = Ban("192.0.2.1", "failures", NOW, SOON)
    second = Ban("2001:db8::/64", "scanning", NOW + timedelta(seconds=1), later)
    async with records.write() as tx:
        await tx.put_ban(first)
        await tx.put_ban(second)
    async with records.read() as view:
        assert await view.bans(NOW, 10) == [second, first]
        assert await view.bans(NOW, 1) == [second]
        assert await view.bans(SOON, 10) == [second]
        assert await view.bans(later, 10) == []
    longer = replace(first, until=later, reason="again")
    async with records.write() as tx:
        await tx.put_ban(longer)
        assert await tx.bans(SOON, 10) == [second, longer]
        assert await tx.drop_ban(second.remote)
        assert not await tx.drop_ban(second.remote)
    async with records.read() as view:
        assert await view.bans(SOON, 10) == [longer]


async def test_bans_that_ended_are_forgotten_by_the_next(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_ban(Ban("192.0.2.1", "failures", NOW, SOON))
        await tx.put_ban(Ban("192.0.2.2", "failures", SOON, SOON + timedelta(hours=1)))
    async with records.read() as view:
        assert [each.remote for each in await view.bans(NOW, 10)] == ["192.0.2.2"]


async def test_the_fake_plays_a_database_that_goes_away_at_the_commit() -> None:
    records = FakeRecords()

    def away() -> None:
        raise StoreError("the database cannot be reached", code="database-away")

    records.before_commit = away
    with pytest.raises(StoreError):
        await keep(records, transfer())
    records.before_commit = None
    assert (await everything(records))["transfers"] == []
    await keep(records, transfer())
    assert records.commits == 1


async def test_a_value_that_is_no_json_is_our_fault(records: Records) -> None:
    with pytest.raises(StoreError) as refused:
        async with records.write() as tx:
            await tx.put_transfer(transfer(findings={"a": {1, 2}}))
    assert not refused.value.retry


# --- webhooks --------------------------------------------------------------------------------------------------------

FULL = Outbox("erp", 7, NOW, 3, "no answer", NOW, SOON, "w1", SOON)


async def test_outboxes_are_replaced_and_forgotten_by_their_webhook(records: Records) -> None:
    async with records.write() as tx:
        for outbox in (FULL, Outbox("b", 0, NOW), Outbox("erp", 9, SOON), Outbox("a", 1 << 40, NOW)):
            await tx.put_outbox(outbox)
        assert len(await tx.outboxes()) == 3
    async with records.write() as tx:
        await tx.put_outbox(FULL)
        await tx.drop_outbox("b")
        await tx.drop_outbox("nobody")
    async with records.read() as view:
        assert await view.outboxes() == [Outbox("a", 1 << 40, NOW), FULL]


@pytest.mark.parametrize(
    ("outbox", "leased"),
    [
        (Outbox("erp", 7, NOW), "yes"),
        (Outbox("erp", 7, SOON), "no"),
        (Outbox("erp", 7, NOW, parked_at=NOW), "no"),
        (Outbox("erp", 7, NOW, worker="w1", until=SOON), "no"),
        (Outbox("erp", 7, NOW, worker="w1", until=NOW), "yes"),
        (Outbox("other", 7, NOW), "no"),
    ],
)
async def test_an_outbox_is_leased_when_it_is_due(records: Records, outbox: Outbox, leased: str) -> None:
    async with records.write() as tx:
        await tx.put_outbox(outbox)
    async with records.write() as tx:
        found = await tx.claim_outbox("erp", "w2", NOW, SOON)
        assert found == (replace(outbox, worker="w2", until=SOON) if leased == "yes" else None)
        assert await tx.claim_outbox("erp", "w3", NOW, SOON) is None


async def test_one_of_many_leases_an_outbox(records: Records) -> None:
    async with records.write() as tx:
        await tx.put_outbox(Outbox("erp", 7, NOW))

    async def claim(worker: str) -> Outbox | None:
        async with records.write() as tx:
            return await tx.claim_outbox("erp", worker, NOW, SOON)

    found = await asyncio.gather(*(claim(f"w{number}") for number in range(8)))
    (one,) = [each for each in found if each]
    async with records.write() as tx:
        assert not await tx.keep_outbox(replace(one, position=99), "somebody-else")
        assert await tx.keep_outbox(replace(one, position=8, worker="", until=None), one.worker)
        assert not await tx.keep_outbox(replace(one, position=99), one.worker)
    async with records.read() as view:
        assert await view.outboxes() == [Outbox("erp", 8, NOW)]
