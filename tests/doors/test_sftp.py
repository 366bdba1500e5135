"""The SFTP door with asyncssh's client: the tree, drafts, orders, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import sys
from contextlib import AsyncExitStack

import asyncssh
import pytest
from asyncssh import SSHServerChannel
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger
from asyncssh.sftp import SFTPServerHandler
from asyncssh.stream import SSHServerStreamSession
from hypothesis import given
from hypothesis import strategies as st

from gateway.doors.sftp import DoorLimits, server
from gateway.doors.sftp.inbox import LIBRARY_CUTS, Inbox
from gateway.doors.sftp.metered import MeteredFiles
from gateway.doors.sftp.sessions import OFFERED, DoorSession
from gateway.doors.sftp.windows import window
from tests.doors.sftp_site import BASE, SftpSite

CSV = b"island,birds\nlamma,12\n" * 2000
BIG = hashlib.shake_256(b"big").digest(3_000_000)
DECLARATION = b"""
[data]
level = "general"
personal = false
controlled_technology = false
remote_access = false
precise_geo = false
[hgr]
information = false
material = false
"""


@pytest.fixture
async def site(tmp_path):
    made = await SftpSite(tmp_path).found()
    async with made.served():
        yield made


async def put(client, path, content):
    async with client.open(path, "wb") as file:
        await file.write(content)


async def test_a_dataset_goes_its_whole_way(site):
    async with site.client() as client:
        assert sorted(await client.listdir("/")) == [".", "..", "README.txt", "outbox", "receipts", "status"]
        assert await client.listdir("/outbox/hku") == [".", "..", "trial"]
        await client.mkdir(f"{BASE}/birds")
        await put(client, f"{BASE}/birds/declaration.toml", DECLARATION)
        await put(client, f"{BASE}/birds/2026/a.csv", CSV)
        assert (await client.stat(f"{BASE}/birds/2026/a.csv")).size == len(CSV)
        assert await client.isdir(f"{BASE}/birds/2026")
        assert sorted(await client.listdir(f"{BASE}/birds")) == [".", "..", "2026", "declaration.toml"]
        await put(client, f"{BASE}/birds/SUBMIT", b"")
        assert (await client.stat(f"{BASE}/birds/SUBMIT")).size == 0
        await site.rig.settle()
        status = await (await client.open("/status/hku/trial/birds.txt", "rb")).read()
        assert "receipted" in status.decode()
        assert "状态" in status.decode()
        assert (await client.stat("/status/hku/trial/birds.txt")).size == len(status)
        receipts = sorted(await client.listdir("/receipts/hku/trial"))
        assert receipts == [".", "..", "birds.v1.json", "birds.v1.json.sig"]
        receipt = await (await client.open("/receipts/hku/trial/birds.v1.json", "rb")).read()
        assert b"receipt" in receipt or receipt.startswith(b"{")
        signature = await (await client.open("/receipts/hku/trial/birds.v1.json.sig", "rb")).read()
        assert signature.startswith(b"-----BEGIN SSH SIGNATURE")
        assert (await client.stat(f"{BASE}/birds/2026/a.csv")).size == len(CSV)
        assert (await client.statvfs("/outbox")).bavail
    assert site.rig.arrived("a.csv.c4gh") == CSV
    assert site.observer.of("sftp.mistaken") == []


async def test_the_next_version_is_the_whole_folder_and_sends_what_changed(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/declaration.toml", DECLARATION)
        for name in ("a", "b", "c", "d"):
            await put(client, f"{BASE}/birds/2026/{name}.csv", CSV + name.encode())
        await put(client, f"{BASE}/birds/SUBMIT", b"")
        await site.rig.settle()
        await client.utime(f"{BASE}/birds/2026/a.csv", (1_700_000_000, 1_700_000_000))
        assert (await client.stat(f"{BASE}/birds/2026/a.csv")).mtime == 1_700_000_000
        assert "Version 1: 5 files" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.remove(f"{BASE}/birds/2026/x.csv")
        await client.remove(f"{BASE}/birds/2026/b.csv")
        await client.rename(f"{BASE}/birds/2026/c.csv", f"{BASE}/birds/2026/e.csv")
        await put(client, f"{BASE}/birds/2026/d.csv", CSV)
        assert sorted(await client.listdir(f"{BASE}/birds/2026")) == [".", "..", "a.csv", "d.csv", "e.csv"]
        assert (await client.stat(f"{BASE}/birds/2026/a.csv")).mtime == 1_700_000_000
        assert "Version 2: 4 files" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()
        await put(client, f"{BASE}/birds/SUBMIT", b"")
        await site.rig.settle()
        assert "receipted" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()
        folder = "sz-lab/trial/birds/v2/"
        arrived = {name.removeprefix(folder) for name in site.rig.hong_kong.files if name.startswith(folder)}
        assert arrived == {"2026/d.csv.c4gh", "manifest.json", "manifest.json.sig"}
        await put(client, f"{BASE}/birds/2026/d.csv", CSV)  # the same bytes again
        await put(client, f"{BASE}/birds/SUBMIT", b"")
        assert "Version 2: 4 files" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()
    assert site.observer.of("sftp.mistaken") == []


@pytest.mark.parametrize("how", ["abort", "disconnect", "eof", "exit"])
@pytest.mark.parametrize("sent", [0, 1, 65_536, 2_900_000])
async def test_a_connection_that_goes_away_before_close_leaves_what_can_go_on(site, how, sent):
    """asyncssh calls the server's close for all of these, as if CLOSE had come."""
    async with site.connected() as connection:
        client = await connection.start_sftp_client()
        file = await client.open(f"{BASE}/birds/a.bin", "wb")
        if sent:
            await file.write(BIG[:sent])
        if how == "abort":
            connection.abort()
        elif how == "disconnect":
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "bye")
        elif how == "eof":
            client._handler._writer.write_eof()
        else:
            client.exit()
            await client.wait_closed()
        async with site.client() as other:
            while len(site.observer.of("sftp.abandoned")) < 1:
                await other.stat("/")
            if sent:
                assert (await other.stat(f"{BASE}/birds/a.bin")).size == sent
            else:
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await other.stat(f"{BASE}/birds/a.bin")
            with pytest.raises(asyncssh.SFTPError):
                await put(other, f"{BASE}/birds/SUBMIT", b"")
            assert site.observer.of("file.received") == []
            if not sent:
                assert site.rig.spool.parts == {}
                return
            file = await other.open(f"{BASE}/birds/a.bin", "r+b")
            await file.write(BIG[sent:], sent)
            await file.close()
            (received,) = site.rig.records.state.files.values()
            assert received.file.sha256 == hashlib.sha256(BIG).digest()
            await put(other, f"{BASE}/birds/SUBMIT", b"")


async def test_stopping_the_door_keeps_what_came_of_an_upload_to_go_on_with(tmp_path):
    made = await SftpSite(tmp_path).found()
    async with AsyncExitStack() as clients:
        async with made.served():
            client = await clients.enter_async_context(made.client())
            file = await client.open(f"{BASE}/birds/a.bin", "wb")
            await file.write(BIG)
        assert not made.rig.spool.busy
        assert await made.files() == {"a.bin": len(BIG)}
        assert made.rig.records.state.files == {}


async def test_a_key_that_is_retired_stops_while_it_works(site, monkeypatch):
    monkeypatch.setattr("gateway.doors.sftp.server.RECHECK_SECONDS", -1.0)
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        async with site.rig.records.write() as tx:
            await tx.revoke("lin-key", "", site.rig.clock.now())
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.open(f"{BASE}/birds/b.csv", "wb")
    assert await site.files() == {"a.csv": len(CSV)}


async def test_orders_by_temporary_name_are_carried_out_at_the_rename_by_any_session(site):
    async with site.client() as client, site.client() as other:
        await put(client, f"{BASE}/birds/declaration.toml.0a1B2c3D.partial", DECLARATION)
        await client.posix_rename(f"{BASE}/birds/declaration.toml.0a1B2c3D.partial", f"{BASE}/birds/declaration.toml")
        await put(client, f"{BASE}/birds/a.csv", CSV)
        await put(client, f"{BASE}/birds/SUBMIT.0a1B2c3D.partial", b"")
        assert (await other.stat(f"{BASE}/birds/SUBMIT.0a1B2c3D.partial")).size == 0
        await other.rename(f"{BASE}/birds/SUBMIT.0a1B2c3D.partial", f"{BASE}/birds/SUBMIT")
        assert (await client.stat(f"{BASE}/birds/SUBMIT")).size == 0
        await site.rig.settle()
        status = (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()
        assert "receipted" in status


async def test_readme_speaks_three_languages(site):
    async with site.client() as client:
        text = (await (await client.open("/README.txt", "rb")).read()).decode()
        assert (await client.stat("/README.txt")).size == len(text.encode())
    assert "Hetao gateway" in text
    assert "把数据集" in text
    assert "把資料集" in text


async def test_stat_is_true_while_uploading_and_times_are_kept(site):
    async with site.client() as client:
        file = await client.open(f"{BASE}/birds/a.bin", "wb")
        await file.write(BIG[:2_500_000])
        assert (await client.stat(f"{BASE}/birds/a.bin")).size == 2_500_000
        assert (await client.lstat(f"{BASE}/birds/a.bin")).size == (await file.stat()).size
        assert [each.attrs.size for each in await client.readdir(f"{BASE}/birds") if each.filename == "a.bin"] == [
            2_500_000
        ]
        await file.utime((1_700_000_000, 1_700_000_000))
        await file.write(BIG[2_500_000:])
        await file.close()
        found = await client.stat(f"{BASE}/birds/a.bin")
        assert (found.size, found.mtime) == (len(BIG), 1_700_000_000)
        await client.utime(f"{BASE}/birds/a.bin", (1_600_000_000, 1_600_000_000))
        assert (await client.stat(f"{BASE}/birds/a.bin")).mtime == 1_600_000_000
        await client.chmod(f"{BASE}/birds/a.bin", 0o600)
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.chown(f"{BASE}/birds/a.bin", 1, 1)
        with pytest.raises(asyncssh.SFTPFailure):
            await client.truncate(f"{BASE}/birds/a.bin", 10)


async def test_parallel_and_out_of_order_writes_give_the_file(site):
    async with site.client() as client:
        file = await client.open(f"{BASE}/birds/a.bin", "wb")
        offsets = list(range(0, len(BIG), 100_000))
        order = offsets[1::2] + offsets[::2]
        await asyncio.gather(*(file.write(BIG[at : at + 100_000], at) for at in order))
        await file.close()
        async with site.connected() as connection:
            said = await connection.run(f"sha256sum '{BASE}/birds/a.bin'")
    assert said.stdout == f"{hashlib.sha256(BIG).hexdigest()}  {BASE}/birds/a.bin\n"
    assert said.exit_status == 0


async def test_a_hole_an_overwrite_and_a_write_too_far_ahead_record_nothing(site):
    async with site.client() as client:
        hole = await client.open(f"{BASE}/birds/hole", "wb")
        await hole.write(b"a", 0)
        await hole.write(b"c", 2)
        with pytest.raises(asyncssh.SFTPFailure, match="hole at byte 1"):
            await hole.close()
        again = await client.open(f"{BASE}/birds/again", "wb")
        await again.write(b"abc", 0)
        with pytest.raises(asyncssh.SFTPFailure, match="taken already"):
            await again.write(b"x", 0)
        with pytest.raises(asyncssh.SFTPFailure, match="failed before"):
            await again.close()
        far = await client.open(f"{BASE}/birds/far", "wb")
        with pytest.raises(asyncssh.SFTPError, match="before its turn"):
            await far.write(b"x", 40 << 20)
        with pytest.raises(asyncssh.SFTPFailure):
            await far.close()
    assert await site.files() == {}
    assert site.rig.spool.parts == {}
    assert not site.rig.spool.busy


async def test_temporary_names_settle_by_either_rename(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv.filepart", CSV)
        with pytest.raises(asyncssh.SFTPFailure, match="temporary"):
            await put(client, f"{BASE}/birds/SUBMIT", b"")
        await client.rename(f"{BASE}/birds/a.csv.filepart", f"{BASE}/birds/a.csv")
        await put(client, f"{BASE}/birds/a.csv.filepart", CSV * 2)
        with pytest.raises(asyncssh.SFTPError):
            await client.rename(f"{BASE}/birds/a.csv.filepart", f"{BASE}/birds/a.csv")
        await client.posix_rename(f"{BASE}/birds/a.csv.filepart", f"{BASE}/birds/a.csv")
        assert await site.files() == {"a.csv": len(CSV) * 2}
        listing = f"{hashlib.sha256(CSV * 2).hexdigest()}  a.csv\n".encode()
        await put(client, f"{BASE}/birds/SUBMIT.filepart", listing)
        await client.posix_rename(f"{BASE}/birds/SUBMIT.filepart", f"{BASE}/birds/SUBMIT")
        assert "(submitted)" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()


@pytest.mark.parametrize(
    "listing", [b"nonsense", b"12 a.csv\n12 a.csv", b"0" * 64 + b"  a.csv", b"1 ../a.csv", b"1 b.csv"]
)
async def test_a_submission_that_lists_something_else_is_refused(site, listing):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        with pytest.raises(asyncssh.SFTPError):
            await put(client, f"{BASE}/birds/SUBMIT", listing)
        assert "open" in (await (await client.open("/status/hku/trial/birds.txt", "rb")).read()).decode()


async def test_withdraw_ends_it_and_the_next_write_begins_another(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        await put(client, f"{BASE}/birds/WITHDRAW", b"")
        assert await client.listdir(f"{BASE}/birds") == [".", ".."]
        await put(client, f"{BASE}/birds/b.csv", CSV)
        assert sorted(await client.listdir(f"{BASE}/birds")) == [".", "..", "b.csv"]
        await client.remove(f"{BASE}/birds/b.csv")
        assert await site.files() == {}


async def test_a_declaration_that_cannot_be_used_is_no_file(site):
    async with site.client() as client:
        for wrong in (b"not toml", b"[data]\nlevel = 'x'", b"\xff", b"#" * 70_000):
            with pytest.raises(asyncssh.SFTPError):
                await put(client, f"{BASE}/birds/declaration.toml", wrong)
    assert await site.files() == {}


async def test_fsync_makes_the_file_whole_and_nothing_is_added_after(site):
    async with site.client() as client:
        file = await client.open(f"{BASE}/birds/a.csv", "wb")
        await file.write(CSV)
        await file.fsync()
        assert await site.files() == {"a.csv": len(CSV)}
        with pytest.raises(asyncssh.SFTPFailure):
            await file.write(b"more")
        await file.close()
    assert await site.files() == {"a.csv": len(CSV)}


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/outbox/../../etc/passwd", "etc", "/outbox/hku/other/x/a", "/outbox/nowhere/trial/x/a",
        "/status/hku/trial/x.txt",
        "/receipts/hku/trial/x.v1.json", "/outbox/HKU/trial", "/outbox/hku/trial/nothing", "/README.txt/x",
    ],
)  # fmt: skip
async def test_what_is_not_in_the_tree_is_not_there(site, path):
    async with site.client() as client:
        for look in (client.stat, client.lstat, client.readdir):
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await look(path)
        with pytest.raises(asyncssh.SFTPError):
            await client.open(path, "rb")


@pytest.mark.parametrize(
    "path", ["/x", "/outbox/x", "/outbox/hku/x", f"{BASE}/x", "/status/hku/trial/x.txt", "/README.txt"]
)
async def test_nothing_is_written_outside_a_dataset(site, path):
    async with site.client() as client:
        with pytest.raises(asyncssh.SFTPError):
            await client.open(path, "wb")
        with pytest.raises(asyncssh.SFTPError):
            await client.remove(path)
        if path != f"{BASE}/x":
            with pytest.raises(asyncssh.SFTPError):
                await client.mkdir(path)
        with pytest.raises(asyncssh.SFTPError):
            await client.rename(path, f"{BASE}/birds/a")


@pytest.mark.parametrize(
    "name", [b"a\\b", b"\xff", "e\u0301.csv".encode(), b"a\nb", b"x" * 251, b" a", "\u202ea".encode()]
)
async def test_names_that_are_refused_say_why(site, name):
    async with site.client() as client:
        with pytest.raises(asyncssh.SFTPError) as refused:
            await client.open(f"{BASE}/birds/".encode() + name, "wb")
        assert any(word in refused.value.reason for word in ("name", "path"))
    assert await site.files() == {}


async def test_what_cannot_be_done_truthfully_is_refused(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        changed = await client.open(f"{BASE}/birds/a.csv", "r+b")
        with pytest.raises(asyncssh.SFTPFailure, match="in place"):
            await changed.write(b"x", 5)
        with pytest.raises(asyncssh.SFTPFailure):
            await changed.close()
        shorter = await client.open(f"{BASE}/birds/a.csv", "r+b")
        await shorter.write(b"x", 0)
        with pytest.raises(asyncssh.SFTPFailure, match="as a whole"):
            await shorter.close()
        for link in (client.symlink, client.link):
            with pytest.raises(asyncssh.SFTPError):
                await link(f"{BASE}/birds/a.csv", f"{BASE}/birds/b.csv")
        with pytest.raises(asyncssh.SFTPError):
            await client.readlink(f"{BASE}/birds/a.csv")
    assert await site.files() == {"a.csv": len(CSV)}


@pytest.mark.parametrize("mode", ["ab", "r+b"])
async def test_a_received_file_goes_on_at_its_end(site, mode):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.bin", BIG[:1_000_000])
        file = await client.open(f"{BASE}/birds/a.bin", mode)
        await file.write(BIG[1_000_000:], 1_000_000)
        await file.close()
        untouched = await client.open(f"{BASE}/birds/a.bin", mode)
        await untouched.close()
    (received,) = site.rig.records.state.files.values()
    assert received.file.sha256 == hashlib.sha256(BIG).digest()


async def test_the_newest_connection_goes_on_where_an_older_one_hangs(site):
    async with site.client() as older, site.client() as newer:
        hanging = await older.open(f"{BASE}/birds/a.bin", "wb")
        await hanging.write(BIG[:1_000_000])
        assert (await newer.stat(f"{BASE}/birds/a.bin")).size == 1_000_000
        file = await newer.open(f"{BASE}/birds/a.bin", "r+b")
        await file.write(BIG[1_000_000:], 1_000_000)
        with pytest.raises(asyncssh.SFTPFailure, match="finished or has failed"):
            await hanging.write(b"late", 1_000_000)
        await file.close()
        with pytest.raises(asyncssh.SFTPFailure):
            await hanging.close()
    (received,) = site.rig.records.state.files.values()
    assert received.file.sha256 == hashlib.sha256(BIG).digest()


async def test_a_draft_is_read_back_by_its_sender_until_it_is_submitted(site):
    async with site.client() as client, site.client("reader") as reader:
        await put(client, f"{BASE}/birds/a.bin", BIG)
        assert await (await client.open(f"{BASE}/birds/a.bin", "rb")).read() == BIG
        file = await client.open(f"{BASE}/birds/a.bin", "rb")
        assert await file.read(70_000, 1_040_000) == BIG[1_040_000:1_110_000]
        assert await file.read(10, len(BIG)) == b""
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await reader.open(f"{BASE}/birds/a.bin", "rb")
        await put(client, f"{BASE}/birds/SUBMIT", b"")
        with pytest.raises(asyncssh.SFTPPermissionDenied, match="read back"):
            await client.open(f"{BASE}/birds/a.bin", "rb")


async def test_a_file_of_a_draft_is_copied_where_it_lies(site):
    async with site.client() as client:
        assert client.supports_remote_copy
        await put(client, f"{BASE}/birds/a.bin", BIG)
        await client.remote_copy(f"{BASE}/birds/a.bin", f"{BASE}/birds/b.bin")
    digests = {each.file.sha256 for each in site.rig.records.state.files.values()}
    assert (await site.files(), digests) == ({"a.bin": len(BIG), "b.bin": len(BIG)}, {hashlib.sha256(BIG).digest()})


async def test_another_institution_sees_nothing_of_it(site):
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        async with site.client("li-si") as other:
            assert await other.listdir("/outbox/hku") == [".", "..", "other"]
            for path in (BASE, f"{BASE}/birds", f"{BASE}/birds/a.csv", "/status/hku/trial/birds.txt"):
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await other.stat(path)
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await other.open(f"{BASE}/birds/b.csv", "wb")
        async with site.connected("li-si") as connection:
            said = await connection.run(f"sha256sum {BASE}/birds/a.csv")
            assert (said.exit_status, said.stdout) == (1, "")


async def test_a_key_that_may_only_read_writes_nothing(site):
    async with site.client("reader") as client:
        assert await client.listdir("/outbox") == [".", "..", "hku"]
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.open(f"{BASE}/birds/a.csv", "wb")


@pytest.mark.parametrize(
    ("name", "login", "options"),
    [
        ("stranger", "", {}), ("lin", "gz-lab", {}), ("lin", "root", {}), ("li-si", "sz-lab", {}),
        ("lin", "", {"client_keys": None, "password": "x", "preferred_auth": "password,keyboard-interactive"}),
    ],
)  # fmt: skip
async def test_nobody_else_signs_in(site, name, login, options):
    with pytest.raises(asyncssh.PermissionDenied):
        async with site.connected(name, login, **options):
            pass


@pytest.mark.parametrize(
    "options",
    [{"kex_algs": ["diffie-hellman-group14-sha256"]}, {"encryption_algs": ["aes128-ctr"]}],
)
async def test_weak_algorithms_are_not_spoken(site, options):
    with pytest.raises(asyncssh.KeyExchangeFailed):
        async with site.connected(**options):
            pass


async def test_the_key_exchange_is_post_quantum_where_the_client_can(site):
    async with site.connected() as connection:
        assert connection._kex.algorithm == b"mlkem768x25519-sha256" if connection._kex else True
        assert connection.get_extra_info("send_cipher") in {
            "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
        }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "sh",
        "sha256sum",
        "sha256sum -c x",
        "scp -t /x",
        "sha256sum a; ls",
        "cat /etc/passwd",
        "sha256sum 'a",
        "md5sum a",
    ],
)
async def test_no_other_command_no_shell_no_forwarding(site, command):
    async with site.connected() as connection:
        if command == "sha256sum a; ls":  # one command with odd names, not two
            assert (await connection.run(command)).exit_status == 1
        else:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.run(command or None)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", 22)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("", 0, "127.0.0.1", 22)


async def test_connections_of_an_institution_and_open_files_are_bounded(tmp_path):
    made = await SftpSite(tmp_path).found()
    bounds = DoorLimits(connections=2, session_handles=3)
    async with made.served(bounds), made.client() as client, made.connected(), made.client("li-si"):
        with pytest.raises((asyncssh.Error, OSError)):
            async with made.client():
                pass
        files = [await client.open(f"{BASE}/birds/{number}", "wb") for number in range(3)]
        with pytest.raises(asyncssh.SFTPError, match="at most 3"):
            await client.open(f"{BASE}/birds/3", "wb")
        for file in files:
            await file.close()


async def test_every_public_method_of_the_librarys_server_is_overridden():
    """The inherited ones touch the host's files."""
    theirs = {
        name
        for name, member in vars(asyncssh.SFTPServer).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    ours = {name for each in MeteredFiles.__mro__ if each.__module__.startswith("gateway.") for name in vars(each)}
    assert len(theirs) > 30
    assert theirs - ours == set()


def test_the_private_parts_we_stand_on_are_still_there():
    """Another version of asyncssh is looked at before it is used: see `sessions`."""
    assert {"_cleanup", "_packet_handlers", "_extensions", "_process_close"} <= set(vars(SFTPServerHandler))
    source = inspect.getsource(SFTPServerHandler._cleanup)
    assert "_file_handles" in source
    assert "self._server.close(file_obj)" in source
    assert {name for name, _ in OFFERED} <= set(SFTPServerHandler._packet_handlers)
    assert {"log_sent_packet", "log_received_packet"} <= set(vars(SSHPacketLogger))
    assert "self.send_packet(MSG_IGNORE, String(b''))" in inspect.getsource(asyncssh.SSHServerConnection.send_packet)


def test_the_windows_private_parts_are_still_there():
    """As above, for `windows`: who grants, when, and what of it is counted."""
    source = inspect.getsource(SSHServerChannel._deliver_data)
    assert "if self._recv_window < self._init_recv_window / 2:" in source
    assert "self._recv_window -= len(data)" in inspect.getsource(SSHServerChannel._accept_data)
    assert "self._maybe_resume_reading()" in inspect.getsource(SSHServerStreamSession.read)


def test_the_buffer_is_cut_as_ours_expects():
    """As above, for `inbox`: nothing else is asked of it, and what is cut off its front takes its place."""
    source = inspect.getsource(sys.modules["asyncssh.connection"])
    asked = [line.strip() for line in source.splitlines() if "self._inpbuf" in line]
    for cut in LIBRARY_CUTS:
        assert f"self._inpbuf = {cut}" in asked
    rest = [line for line in asked if not any(line == f"self._inpbuf = {cut}" for cut in LIBRARY_CUTS)]
    known = {
        "self._inpbuf = b''", "self._inpbuf += data", "while self._inpbuf and self._recv_handler():",
        "idx = self._inpbuf.find(b'\\n', 0, _MAX_BANNER_LINE_LEN)", "if len(self._inpbuf) >= _MAX_BANNER_LINE_LEN:",
        "version = self._inpbuf[:idx]", "if len(self._inpbuf) < self._recv_blocksize:",
        "self._packet = self._inpbuf[:self._recv_blocksize]", "if len(self._inpbuf) < rem:",
        "rest = self._inpbuf[:rem-self._recv_macsize]", "mac = self._inpbuf[rem-self._recv_macsize:rem]",
        "if is_async and self._inpbuf:",
    }  # fmt: skip
    assert set(rest) <= known


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 50)), max_size=20))
def test_the_buffer_is_as_bytes_are(steps):
    ours, theirs = Inbox(), b""
    for more, taken in steps:
        ours += more
        theirs += more
        assert ours.find(b"\0", 0, 30) == theirs.find(b"\0", 0, 30)
        assert (len(ours), bool(ours)) == (len(theirs), bool(theirs))
        assert ours[:taken] == theirs[:taken]
        assert ours[taken : taken + 7] == theirs[taken : taken + 7]
        ours, theirs = ours[taken:], theirs[taken:]
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize(("sessions", "bytes_each"), [(0, 8 << 20), (8, 2 << 20), (16, 1 << 20), (1000, 128 << 10)])
def test_windows_shrink_as_sessions_come(sessions, bytes_each):
    assert window(sessions) == bytes_each


async def test_a_client_is_never_further_ahead_than_its_window(site, monkeypatch):
    """asyncssh by itself grants a whole window on top of what waits: the backlog grows to all that a client likes to send."""
    ahead, received = [], DoorSession.data_received

    def counted(self, data, datatype):
        received(self, data, datatype)
        waiting = sum(map(len, self._recv_buf[None])) + sum(len(each) for each, _ in self._chan._recv_buf)
        ahead.append(waiting + self._chan._recv_window)

    monkeypatch.setattr(DoorSession, "data_received", counted)
    content = hashlib.shake_256(b"ahead").digest(12 << 20)
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.bin", content)
    assert len(ahead) >= 12 << 5
    assert max(ahead) <= window(1)
    assert await site.files() == {"a.bin": len(content)}


@pytest.mark.parametrize("quiet", [True, False])
async def test_no_idle_packets_are_sent(site, monkeypatch, quiet):
    """They protect ciphers that this door does not offer; without our word asyncssh sends one before each packet."""
    if not quiet:
        monkeypatch.setattr(server, "_send_nothing_idle", lambda _conn: None)
    async with site.connected() as connection:
        came, process = [], connection.process_packet

        def seen(kind, *rest):
            came.append(kind)
            return process(kind, *rest)

        connection.process_packet = seen
        async with connection.start_sftp_client() as client:
            await put(client, f"{BASE}/birds/a.csv", CSV)
    assert (MSG_IGNORE in came) is not quiet


async def test_packets_are_not_logged(site, caplog):
    """Names and content are in them. The client beside the door logs what it sends."""
    with caplog.at_level(logging.DEBUG, logger="asyncssh"):
        asyncssh.set_debug_level(3)
        try:
            async with site.client() as client:
                await put(client, f"{BASE}/birds/a.csv", CSV)
        finally:
            asyncssh.set_debug_level(1)
    said = [each.getMessage() for each in caplog.records]
    assert any("Sent FXP_OPEN" in each for each in said)
    assert not any("Received FXP_OPEN" in each for each in said)


async def test_the_tree_touches_no_file_of_the_host(site, tmp_path):
    before = sorted(path.name for path in tmp_path.rglob("*"))
    async with site.client() as client:
        await put(client, f"{BASE}/birds/a.csv", CSV)
        await client.listdir(f"{BASE}/birds")
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
