"""The senders' verbs: what counts, what does not, and that nothing half done is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.errors import Conflict, Incomplete, NotFound, NotPermitted, StoreError, TooLarge, Unusable
from gateway.core.identity import Permission
from gateway.core.intake import Limits
from gateway.core.transfer import State
from gateway.flow.intake import Announced
from gateway.ports import TransferFilter
from gateway.wire import crypt4gh
from tests.fakes.keyring import FakeKeyring
from tests.fakes.spool import FakeSpool
from tests.flow.rig import GENERAL, Rig, chunks, sender


async def opened(rig: Rig, **about: str) -> str:
    transfer = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset=about.pop("dataset", "data"), declaration=GENERAL, **about
    )
    return transfer.id


async def put(rig: Rig, transfer: str, path: str, content: bytes, announced: Announced | None = None) -> bytes:
    body = chunks(content, 37_123)
    stored = await rig.intake.receive(rig.sender, transfer, path, body, announced or Announced(len(content)))
    return stored.file.sha256


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 3_000_001])
async def test_any_size_is_digested_and_sealed_whole(rig: Rig, size: int):
    content = os.urandom(size)
    transfer = await opened(rig)
    assert await put(rig, transfer, "x.bin", content) == hashlib.sha256(content).digest()
    names = rig.spool.names(transfer)
    assert len(names) == bool(size)
    for name in names:
        header = await rig.keyring.get(transfer, name)
        keys = crypt4gh.open_header(header, rig.vault_private).session_keys
        assert crypt4gh.SegmentOpener(keys).open(rig.spool.parts[name]) == content


async def test_a_body_that_ends_early_leaves_nothing(rig: Rig):
    transfer = await opened(rig)

    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise Incomplete("the connection was lost")

    with pytest.raises(Incomplete):
        await rig.intake.receive(rig.sender, transfer, "x.bin", cut(), Announced(3_000_000))
    assert not rig.spool.names(transfer)
    assert rig.records.state.files == {}
    with pytest.raises(Unusable, match="no file"):
        await rig.intake.submit(rig.sender, transfer)


async def test_fewer_bytes_than_announced_are_not_a_file(rig: Rig):
    transfer = await opened(rig)
    with pytest.raises(Incomplete, match="10 bytes were announced and 4 came"):
        await put(rig, transfer, "x.bin", b"four", Announced(10))
    assert not rig.spool.names(transfer)


async def test_another_digest_than_announced_is_refused(rig: Rig):
    transfer = await opened(rig)
    with pytest.raises(Conflict, match="sha-256"):
        await put(rig, transfer, "x.bin", b"four", Announced(4, {"sha-256": b"\0" * 32}))
    assert not rig.spool.names(transfer)


async def test_sending_a_path_again_replaces_it_and_its_key(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "x.bin", b"one")
    (first,) = rig.spool.names(transfer)
    await put(rig, transfer, "x.bin", b"three")
    (second,) = rig.spool.names(transfer)
    assert first != second
    with pytest.raises(StoreError):
        await rig.keyring.get(transfer, first)
    shown = await rig.transfer(transfer)
    assert (shown.files, shown.bytes) == (1, 5)


async def test_a_dropped_file_is_gone(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "x.bin", b"one")
    await rig.intake.drop_file(rig.sender, transfer, "x.bin")
    assert not rig.spool.names(transfer)
    assert (await rig.transfer(transfer)).files == 0
    with pytest.raises(NotFound):
        await rig.intake.drop_file(rig.sender, transfer, "x.bin")


async def test_a_submission_must_list_exactly_what_was_received(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "x.bin", b"one")
    with pytest.raises(Incomplete, match="not received"):
        await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 3, "y.bin": 1})
    with pytest.raises(Conflict, match="3 were received"):
        await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 4})
    await put(rig, transfer, "z.bin", b"")
    with pytest.raises(Conflict, match="not listed"):
        await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 3})
    submitted = await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 3, "z.bin": 0})
    again = await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 3, "z.bin": 0})
    assert (submitted.state, again.root) == (State.SUBMITTED, submitted.root)
    with pytest.raises(Conflict, match="another file list"):
        await rig.intake.submit(rig.sender, transfer, listed={"x.bin": 3})


async def test_an_upload_that_runs_stops_a_submission(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "done.bin", b"done")
    going, more = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        going.set()
        await more.wait()
        yield b"b"

    upload = asyncio.ensure_future(rig.intake.receive(rig.sender, transfer, "slow.bin", slow(), Announced(2)))
    await going.wait()
    with pytest.raises(Incomplete, match="not finished"):
        await rig.intake.submit(rig.sender, transfer)
    more.set()
    await upload
    assert (await rig.intake.submit(rig.sender, transfer)).files == 2


def another_process(rig: Rig, **parts: object) -> Rig:
    """The same stores, and a memory of its own."""
    other = Rig.__new__(Rig)
    other.__dict__.update(rig.__dict__ | parts)
    other.restart()
    return other


async def test_nothing_is_submitted_while_another_process_receives(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "x.bin", b"one")
    other = another_process(rig)
    upload = await other.intake.begin(rig.sender, transfer, "late.bin")
    await upload.feed(bytes(3 << 20))  # what waits for its first full piece is not in the vault yet
    with pytest.raises(Incomplete, match="1 upload"):
        await rig.intake.submit(rig.sender, transfer)
    await upload.finish(Announced())
    assert (await rig.intake.submit(rig.sender, transfer)).files == 2
    other.pool.shutdown()


class SlowKeyring(FakeKeyring):
    """Takes a part's key when it is told to: the part is whole then, and its row not written."""

    def __init__(self, shared: FakeKeyring) -> None:
        super().__init__()
        self.secrets = shared.secrets
        self.asked, self.told = asyncio.Event(), asyncio.Event()

    async def put(self, transfer_id: str, name: str, secret: bytes) -> None:
        self.asked.set()
        await self.told.wait()
        await super().put(transfer_id, name, secret)


async def test_a_late_file_never_enters_a_submitted_transfer(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "x.bin", b"one")
    before = rig.spool.names(transfer)
    slow = SlowKeyring(rig.keyring)
    other = another_process(rig, keyring=slow)
    upload = await other.intake.begin(rig.sender, transfer, "late.bin")
    await upload.feed(b"late")
    ending = asyncio.ensure_future(upload.finish(Announced()))
    await slow.asked.wait()
    await rig.intake.submit(rig.sender, transfer)
    slow.told.set()
    with pytest.raises(Conflict):
        await ending
    assert rig.spool.names(transfer) == before
    assert (await rig.transfer(transfer)).files == 1
    other.pool.shutdown()


async def test_the_same_idempotency_key_opens_one_transfer(rig: Rig):
    first = await opened(rig, idempotency_key="k1")
    second = await opened(rig, idempotency_key="k1")
    assert first == second
    with pytest.raises(Conflict, match="another dataset"):
        await opened(rig, idempotency_key="k1", dataset="other")
    third = await opened(rig)
    assert (await rig.transfer(third)).version == 2


async def test_another_institution_finds_nothing(rig: Rig):
    transfer = await opened(rig)
    stranger = sender("other-lab", "eve")
    with pytest.raises(NotFound, match="there is no transfer"):
        await rig.intake.submit(stranger, transfer)
    with pytest.raises(NotFound):
        await rig.intake.receive(stranger, transfer, "x", chunks(b""), Announced())
    with pytest.raises(NotFound):
        await rig.enquiry.transfer(stranger, transfer)
    with pytest.raises(NotFound):
        await rig.intake.open_transfer(stranger, endpoint="hku", project="trial", dataset="d")
    assert list(await rig.enquiry.transfers(stranger, TransferFilter())) == []


async def test_a_missing_scope_is_refused(rig: Rig):
    narrow = replace(rig.sender, scopes=frozenset({Permission.TRANSFERS_READ}))
    with pytest.raises(NotPermitted, match="transfers:open"):
        await rig.intake.open_transfer(narrow, endpoint="hku", project="trial", dataset="d")


async def test_bounds_hold_while_bytes_arrive(rig: Rig):
    rig.limits = Limits(files=2, file_bytes=1000, transfer_bytes=1500, open_transfers=1)
    rig.restart()
    transfer = await opened(rig)
    with pytest.raises(TooLarge, match="open at once"):
        await opened(rig)
    with pytest.raises(TooLarge, match="a file holds"):
        await put(rig, transfer, "big", b"x" * 1001, Announced())
    await put(rig, transfer, "a", b"x" * 1000)
    with pytest.raises(TooLarge, match="1500 bytes"):
        await put(rig, transfer, "b", b"x" * 501, Announced())
    await put(rig, transfer, "b", b"x" * 500)
    with pytest.raises(TooLarge, match="2 files"):
        await put(rig, transfer, "c", b"")
    assert len(rig.spool.names(transfer)) == 2


async def test_what_is_not_delivered_counts_against_the_quota(rig: Rig):
    rig.limits = Limits(undelivered_bytes=1500, open_transfers=2)
    rig.restart()
    first, second = await opened(rig), await opened(rig)
    await put(rig, first, "a", b"x" * 1000)
    begun = [await rig.intake.begin(rig.sender, second, name) for name in ("b", "c")]
    with pytest.raises(TooLarge, match="1500 bytes") as refused:
        await rig.intake.begin(rig.sender, second, "d", Announced(size=501))
    assert refused.value.code == "quota-reached"
    for each in begun:
        await each.feed(b"x" * 500)
    with pytest.raises(TooLarge, match="1500 bytes"):
        await begun[0].feed(b"x")  # while it comes
    await begun[0].abort()
    await begun[1].finish(Announced())
    with pytest.raises(TooLarge, match="1500 bytes"):
        await rig.intake.begin(rig.sender, second, "e")
    with pytest.raises(TooLarge) as many:
        await opened(rig)
    assert (many.value.code, many.value.retry) == ("too-many-transfers", True)
    await rig.intake.withdraw(rig.sender, first)
    await put(rig, second, "e", b"x" * 1000)


async def test_uploads_side_by_side_do_not_pass_the_quota_together(rig: Rig):
    rig.limits = Limits(undelivered_bytes=1500)
    rig.restart()
    transfer = await opened(rig)
    begun = [await rig.intake.begin(rig.sender, transfer, name) for name in ("a", "b")]
    for each in begun:
        await each.feed(b"x" * 1000)
    await begun[0].finish(Announced())
    with pytest.raises(TooLarge, match="1500 bytes"):
        await begun[1].finish(Announced())  # when it is recorded
    again = await rig.intake.begin(rig.sender, transfer, "a")
    await again.feed(b"y" * 500)
    await again.finish(Announced())  # a file that is replaced makes room for itself
    assert len(rig.spool.names(transfer)) == 1


async def test_a_full_disk_refuses_the_file_and_keeps_the_rest(rig: Rig):
    transfer = await opened(rig)
    await put(rig, transfer, "small", b"x")
    room = FakeSpool(room=100_000)
    room.parts = rig.spool.parts
    rig.spool = room
    rig.restart()
    with pytest.raises(StoreError):
        await put(rig, transfer, "big", os.urandom(3_000_000))
    assert len(rig.spool.names(transfer)) == 1
    assert (await rig.transfer(transfer)).files == 1


async def test_a_database_that_fails_at_the_last_step_leaves_no_file(rig: Rig):
    transfer = await opened(rig)

    def away() -> None:
        raise StoreError("the database is away")

    rig.records.before_commit = away
    with pytest.raises(StoreError, match="away"):
        await put(rig, transfer, "x", b"content")
    rig.records.before_commit = None
    assert not rig.spool.names(transfer)
    assert (await rig.transfer(transfer)).files == 0
    await put(rig, transfer, "x", b"content")


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a\x00b", "a/./b", "CON\u202e", ""])
async def test_bad_paths_are_refused_before_a_byte_is_stored(rig: Rig, path: str):
    transfer = await opened(rig)
    with pytest.raises(Unusable):
        await put(rig, transfer, path, b"x")
    assert not rig.spool.names(transfer)


async def test_a_declaration_is_checked_when_it_is_made(rig: Rig):
    with pytest.raises(Unusable, match=r"unknown key data\.levle"):
        await rig.intake.open_transfer(
            rig.sender, endpoint="hku", project="trial", dataset="d", declaration={"data": {"levle": "general"}}
        )
