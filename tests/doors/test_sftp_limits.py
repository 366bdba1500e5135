"""Bounds of the SFTP door: failed sign-ins and bans, shares of an institution, idle connections, and what is counted."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import asyncssh
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.errors import StoreError
from gateway.core.intake import Limits
from gateway.doors.sftp import DoorLimits, bandwidth
from gateway.doors.sftp.server import OFFERS
from gateway.flow.defender import Defence
from gateway.telemetry.metrics import PrometheusObserver
from tests.doors.sftp_site import BASE, SftpSite

REFUSED = (asyncssh.Error, OSError)


async def founded(folder, *, failures=3, limits=None) -> SftpSite:
    site = SftpSite(folder)
    site.rig.defence = Defence(failures=failures)
    if limits is not None:
        site.rig.limits = limits
    site.rig.restart()
    return await site.found()


@pytest.fixture
async def site(tmp_path):
    made = await founded(tmp_path)
    async with made.served():
        yield made


async def refused(site, name="stranger", **options) -> None:
    with pytest.raises(REFUSED):
        async with site.connected(name, **options):
            pass


async def told(site, event, count) -> None:
    """Wait until this was seen so often."""
    async with asyncio.timeout(60):
        while len(site.observer.of(event)) < count:
            site.observer.told.clear()
            await site.observer.told.wait()


async def failures(site, count) -> None:
    await told(site, "login.failed", count)


async def raw(site, sent=b"") -> bytes:
    """What the door says on a bare connection until it hangs up; nothing is sent where there is nothing to send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        writer.write(sent)
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def put(client, path, content) -> None:
    async with client.open(path, "wb") as file:
        await file.write(content)


def metrics(site) -> dict[str, float]:
    """What Prometheus would be told of everything seen, by name and labels."""
    observer = PrometheusObserver(version="1")
    for event, fields in site.observer.seen:
        observer.saw(event, **fields)
    families = text_string_to_metric_families(observer.exposed().decode())
    return {" ".join([each.name, *each.labels.values()]): each.value for family in families for each in family.samples}


# --- sign-ins --------------------------------------------------------------------------------------------------------


async def test_failed_sign_ins_ban_the_address_before_a_byte_is_said(site):
    for count in (1, 2, 3):
        await refused(site)
        await failures(site, count)
    assert await raw(site) == b""
    await refused(site, "lin")
    assert site.observer.of("login.failed") == [{"door": "sftp", "remote": "127.0.0.1"}] * 3  # being away is none
    counted = metrics(site)
    assert counted["hetao_login_failures_total sftp"] == 3
    assert counted["hetao_bans_total sftp"] == 1
    assert counted["hetao_sftp_refusals_total banned"] == 2
    await site.rig.defender.refresh()
    await site.rig.defender.lift("127.0.0.1")
    await site.rig.defender.refresh()
    async with site.client() as client:
        await client.listdir("/")


async def test_wrong_keys_before_the_right_one_are_no_failure_and_a_sign_in_clears(site):
    strangers = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(4)]
    right = asyncssh.read_private_key(site.folder / "lin")
    for count in (1, 2):
        await refused(site, client_keys=strangers)
        await failures(site, count)
    async with site.connected(client_keys=[*strangers, right]):
        pass
    for count in (3, 4):
        await refused(site, client_keys=strangers)
        await failures(site, count)
    async with site.connected():
        pass
    assert len(site.observer.of("login.failed")) == 4


async def test_a_connection_offers_so_many_keys_and_no_more(site):
    strangers = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(OFFERS + 5)]
    await refused(site, client_keys=[*strangers, asyncssh.read_private_key(site.folder / "lin")])
    await failures(site, 1)
    assert len(site.observer.of("login.refused")) == OFFERS


async def test_an_unknown_login_and_one_without_a_key_are_failures(site):
    await refused(site, "lin", login="nobody")
    await refused(site, "lin", client_keys=[], password="hunter2")
    await failures(site, 2)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-1.5-old\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 64])
async def test_what_is_not_ssh_is_a_failure(site, junk):
    await raw(site, junk)
    await failures(site, 1)


async def test_who_only_looks_is_no_failure(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    assert (await reader.readline()).startswith(b"SSH-2.0-")
    writer.close()
    await asyncssh.get_server_host_key("127.0.0.1", site.port)
    async with site.connected():
        pass
    assert site.observer.of("login.failed") == []


async def test_sitting_until_the_time_is_over_is_a_failure(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(login=0.3)):
        assert (await raw(made)).startswith(b"SSH-2.0-")
        await failures(made, 1)


async def test_a_database_that_is_away_bans_nobody(site, monkeypatch):
    async def away():
        raise StoreError("away")

    monkeypatch.setattr(site.rig.registrar, "registry", away)
    for _ in range(5):
        await refused(site, "lin")
    monkeypatch.undo()
    async with site.connected():
        pass
    assert site.observer.of("login.failed") == []


async def test_connections_that_have_not_signed_in_are_bounded(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(knocking=2)), AsyncExitStack() as stack:
        streams = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(2)]
        for reader, writer in streams:
            stack.callback(writer.close)
            await reader.readline()
        assert await raw(made) == b""
        streams[0][1].close()
        async with asyncio.timeout(60):
            while not await connected(made):
                pass
        async with made.connected(), made.connected(), made.connected():  # who signed in takes no place at the door
            pass
    assert {each["reason"] for each in made.observer.of("address.turned_away")} == {"knocking"}


async def connected(site) -> bool:
    try:
        async with site.connected():
            return True
    except REFUSED:
        return False


# --- shares ----------------------------------------------------------------------------------------------------------


async def test_an_institutions_open_files_are_bounded_over_its_sessions(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(handles=3, session_handles=2)), AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(made.client()) for _ in range(2)]
        other = await stack.enter_async_context(made.client("li-si"))
        kept = [await client.open("/README.txt", "rb") for client in (one, one, two)]
        with pytest.raises(asyncssh.SFTPError, match="at most 2 files are open in a session"):
            await one.open("/README.txt", "rb")
        with pytest.raises(asyncssh.SFTPError, match="at most 3 files of an institution"):
            await two.open("/README.txt", "rb")
        await other.open("/README.txt", "rb")  # another institution has its own
        await kept[0].close()
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await two.open("/nothing", "rb")  # what was not opened takes no place
        await two.open("/README.txt", "rb")
        one.exit()
        await one.wait_closed()
        await told(made, "sftp.closed", 2)
        third = await stack.enter_async_context(made.client())
        await third.open("/README.txt", "rb")  # the session that went away gave its places back


async def test_opens_sent_at_once_do_not_pass_a_bound_together(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(handles=3)), made.client() as one, made.client() as two:
        asked = [client.open("/README.txt", "rb") for client in (one, two) * 4]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, asyncssh.SFTPClientFile) for each in answers) == 3
    assert sum(isinstance(each, asyncssh.SFTPError) for each in answers) == 5


async def test_files_written_at_once_are_bounded(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(uploads=1)), made.client() as one, made.client() as two:
        file = await one.open(f"{BASE}/birds/a", "wb")
        with pytest.raises(asyncssh.SFTPError, match="at most 1 files of an institution are written"):
            await two.open(f"{BASE}/birds/b", "wb")
        await two.open("/README.txt", "rb")
        await file.close()
        await put(two, f"{BASE}/birds/b", b"x")
    assert metrics(made)["hetao_sftp_refusals_total uploads"] == 1


async def test_open_folders_are_bounded_by_session(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(session_handles=2)), made.client() as client:
        handler = client._handler
        for _ in range(2):
            await handler.opendir(b"/")
        with pytest.raises(asyncssh.SFTPError, match="at most 2 folders"):
            await handler.opendir(b"/")
        await client.open("/README.txt", "rb")


async def test_bandwidth_holds_writes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(bandwidth, "BURST", 0.01)
    made = await founded(tmp_path)
    async with made.served(DoorLimits(bandwidth=4_000_000)), made.client() as client:
        began = time.monotonic()
        async with client.open(f"{BASE}/birds/a", "wb") as file:
            for number in range(20):
                await file.write(bytes(50_000), 50_000 * number)
        assert time.monotonic() - began > 0.2
    assert await made.files() == {"a": 1_000_000}


@pytest.mark.parametrize("who", ["client", "door"])
async def test_nobody_waits_for_bandwidth_when_either_side_goes(tmp_path, who):
    made = await founded(tmp_path)
    async with asyncio.timeout(60), AsyncExitStack() as stack, made.served(DoorLimits(bandwidth=1, uploads=1)):
        connection = await stack.enter_async_context(made.connected())
        client = await connection.start_sftp_client()
        file = await client.open(f"{BASE}/birds/a", "wb")
        await file.write(bytes(1000))  # the next one would wait for a quarter of an hour
        waiting = asyncio.ensure_future(file.write(bytes(1000), 1000))
        stack.callback(waiting.cancel)
        async with made.client() as other:
            await other.stat("/")
            if who == "client":
                connection.abort()
                await told(made, "sftp.abandoned", 1)
                await other.open(f"{BASE}/birds/b", "wb")
    assert await made.files() in ({"a": 1000}, {"a": 2000})  # the one that waited may be taken at the end
    assert made.rig.records.state.files == {}
    assert not made.rig.spool.busy


async def test_a_quota_says_what_to_do_and_ends_what_passes_it(tmp_path):
    limits = replace(Limits(), undelivered_bytes=100_000)
    made = await founded(tmp_path, limits=limits)
    async with made.served(), made.client() as client, made.client("li-si") as other:
        await put(client, f"{BASE}/birds/a", bytes(60_000))
        file = await client.open(f"{BASE}/birds/b", "wb")
        with pytest.raises(asyncssh.SFTPError, match="withdraw what is not needed"):
            await file.write(bytes(60_000))
        with pytest.raises(asyncssh.SFTPFailure, match="failed before"):
            await file.close()
        await put(other, "/outbox/hku/other/birds/b", bytes(60_000))
        await put(client, f"{BASE}/birds/c", bytes(40_000))
        with pytest.raises(asyncssh.SFTPError, match="100000 bytes"):
            await client.open(f"{BASE}/birds/d", "wb")
        await put(client, f"{BASE}/birds/WITHDRAW", b"")
        await put(client, f"{BASE}/birds/d", bytes(60_000))
    assert metrics(made)["hetao_sftp_requests_total write quota"] >= 1
    assert await made.files() == {"d": 60_000}


# --- idle ------------------------------------------------------------------------------------------------------------


async def test_an_idle_connection_ends_and_one_that_writes_has_longer(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(idle=0.7)), made.connected() as idle, made.connected() as busy:
        client = await busy.start_sftp_client()
        await client.open(f"{BASE}/birds/a", "wb")
        began = time.monotonic()
        async with asyncio.timeout(60):
            await idle.wait_closed()
            assert not busy.is_closed()
            await busy.wait_closed()
        assert time.monotonic() - began > 2.1


# --- counting --------------------------------------------------------------------------------------------------------


async def test_what_a_session_does_is_counted_and_gauges_come_back_to_zero(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", bytes(100_000))
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.stat("/nothing")
        assert metrics(site)["hetao_sftp_connections"] == metrics(site)["hetao_sftp_sessions"] == 1
        await client.open(f"{BASE}/birds/b.csv", "wb")
        assert metrics(site)["hetao_sftp_open_files"] == 1
    await site.quiet()
    counted = metrics(site)
    for gauge in ("connections", "sessions", "open_files"):
        assert counted[f"hetao_sftp_{gauge}"] == 0
    assert counted["hetao_sftp_requests_total open ok"] == 2
    assert counted["hetao_sftp_requests_total stat no-such-file"] == 1
    assert counted["hetao_sftp_received_bytes_total"] == 100_000
    assert counted["hetao_sftp_abandoned_uploads_total"] == 1
    assert not any(name.startswith("hetao_sftp_requests_total other") for name in counted)


async def test_writes_are_told_in_bulk(site):
    async with site.client() as client, client.open(f"{BASE}/birds/a", "wb") as file:
        for number in range(1500):
            await file.write(b"x", number)
        assert len(site.observer.of("sftp.took")) == 1
    await site.quiet()
    assert sum(each["bytes"] for each in site.observer.of("sftp.took")) == 1500
    assert len(site.observer.of("sftp.took")) == 2


async def test_refused_connections_leave_the_gauge_alone(tmp_path):
    made = await founded(tmp_path)
    async with made.served(DoorLimits(connections=1)), made.connected():
        with pytest.raises(REFUSED):
            async with made.client():
                pass
        assert metrics(made)["hetao_sftp_connections"] == 1
        assert metrics(made)["hetao_sftp_refusals_total connections"] == 1
    await made.quiet()
    assert metrics(made)["hetao_sftp_connections"] == 0
    assert made.observer.of("login.failed") == []
