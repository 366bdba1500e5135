"""Inspection in the flow: what the pass could not read is read before anything is concluded, and nothing is half done."""

from __future__ import annotations

import asyncio
import gzip
import threading

import pytest

from gateway.core.errors import StoreError
from gateway.core.transfer import State
from tests.flow.rig import Rig

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 100
PEOPLE = b"name,id_number\n" + b"".join(b"x,%s\n" % i for i in (b"11010519491231002X", b"440300199001011238"))


async def test_a_compressed_table_is_cleared_as_the_table_would_be(rig: Rig):
    sent = await rig.send({"penguins.csv.gz": gzip.compress(TABLE)})
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
    assert rig.inspection.inspected == ["penguins.csv.gz"]


async def test_people_in_a_compressed_table_are_counted_in_the_transfer(rig: Rig):
    sent = await rig.send({"a.csv.gz": gzip.compress(PEOPLE), "b.csv": PEOPLE})
    await rig.settle()
    transfer = await rig.transfer(sent.id)
    assert transfer.findings["persons_nonsensitive"] == 2  # the same two in both files
    assert transfer.findings["inspectable"]


async def test_what_an_inspector_cannot_read_is_held_with_its_reason(rig: Rig):
    sent = await rig.send({"a.csv.gz": gzip.compress(TABLE)[:-9]})
    await rig.settle()
    transfer = await rig.transfer(sent.id)
    assert transfer.state is State.HELD
    assert "D10" in transfer.decision["rules"]
    async with rig.recorder.records.read() as view:
        (stored,) = await view.files(sent.id)
    assert any("breaks off" in finding["where"] for finding in stored.findings["findings"])


async def test_files_that_were_read_as_they_came_are_not_read_again(rig: Rig):
    await rig.send({"a.csv": TABLE})
    await rig.settle()
    assert rig.inspection.inspected == []


async def test_no_inspector_to_be_had_leaves_the_transfer_where_it_is(rig: Rig):
    def broken(_path: str) -> None:
        raise StoreError("no worker", code="no-inspector")

    rig.inspection.before = broken
    sent = await rig.send({"a.csv.gz": gzip.compress(TABLE)})
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.SUBMITTED
    rig.inspection.before = lambda _path: None
    rig.clock.advance(seconds=60)
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED


async def test_sealed_bytes_that_do_not_open_fail_the_transfer(rig: Rig):
    sent = await rig.send({"a.csv.gz": gzip.compress(TABLE)})
    (name,) = rig.spool.names(sent.id)
    rig.spool.parts[name] = rig.spool.parts[name][:-1] + bytes([rig.spool.parts[name][-1] ^ 1])
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.FAILED


async def test_an_inspection_that_is_cancelled_stops_its_worker_and_writes_nothing(rig: Rig):
    begun, may_end = threading.Event(), threading.Event()

    def slow(_path: str) -> None:
        begun.set()
        assert may_end.wait(20)
        raise StoreError("stopped", code="no-inspector")

    rig.inspection.before = slow
    rig.inspection.stop = may_end.set
    sent = await rig.send({"a.csv.gz": gzip.compress(TABLE)})
    step = asyncio.ensure_future(rig.inspect.rows(await rig.transfer(sent.id)))
    await asyncio.to_thread(begun.wait, 20)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert may_end.is_set()
    assert (await rig.transfer(sent.id)).state is State.SUBMITTED


async def test_the_row_says_what_inspection_found(rig: Rig):
    sent = await rig.send({"a.csv.gz": gzip.compress(TABLE)})
    await rig.settle()
    async with rig.recorder.records.read() as view:
        (stored,) = await view.files(sent.id)
    assert stored.facts["inspectable"]
    assert stored.facts["format"] == "gzip"
    assert stored.findings["coverage"] == [[0, stored.file.size]]


async def test_a_long_inspection_holds_up_no_other_transfer(rig: Rig):
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(_path: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(60)

    rig.inspection.before = slow
    long = await rig.send({"a.csv.gz": gzip.compress(TABLE)}, dataset="long")
    running = asyncio.ensure_future(rig.conductor.run())
    try:
        await asyncio.wait_for(begun.wait(), 60)
        short = await rig.send({"b.csv": TABLE}, dataset="short")
        async with asyncio.timeout(60), rig.recorder.changed:
            while (await rig.transfer(short.id)).state is not State.RECEIPTED:
                await rig.recorder.changed.wait()
        assert (await rig.transfer(long.id)).state is State.SUBMITTED
    finally:
        may_end.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\n"


async def kinds(rig: Rig, transfer_id: str) -> set[str]:
    async with rig.recorder.records.read() as view:
        return {f["kind"] for stored in await view.files(transfer_id) for f in stored.findings["findings"]}


async def test_nothing_is_scanned_where_nobody_asks(rig: Rig):
    await rig.send({"a.txt": EICAR})
    await rig.settle()
    assert rig.scanner.scanned == 0


async def test_malware_is_held_where_the_endpoint_asks_for_a_scan(rig: Rig):
    await rig.register(("endpoint", rig.endpoint(malware_scan=True)))
    sent = await rig.send({"a.txt": EICAR, "b.csv": TABLE, "empty": b""})
    await rig.settle()
    transfer = await rig.transfer(sent.id)
    assert transfer.state is State.HELD
    assert "D10" in transfer.decision["rules"]
    assert transfer.findings["uninspectable_files"] == [0]
    assert "malware" in await kinds(rig, sent.id)
    assert rig.scanner.scanned == 3


async def test_a_clean_scan_changes_nothing(rig: Rig):
    await rig.register(("endpoint", rig.endpoint(malware_scan=True)))
    sent = await rig.send({"b.csv": TABLE, "c.csv.gz": gzip.compress(TABLE)})
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
    assert rig.scanner.scanned == 2


async def test_a_silent_scanner_means_not_scanned_and_held(rig: Rig):
    await rig.register(("endpoint", rig.endpoint(malware_scan=True)))
    rig.scanner.silent = True
    sent = await rig.send({"b.csv": TABLE})
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.HELD
    assert "unscanned" in await kinds(rig, sent.id)
