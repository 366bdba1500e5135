"""Bags through the SFTP door: submitted by themselves when whole, never before; what is awaited; how connections end."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

from gateway.core.names import DatasetName
from gateway.core.transfer import State
from gateway.flow.folders import Folders
from tests.core.test_completeness import bag, listing
from tests.doors.sftp_site import BASE, SftpSite
from tests.doors.test_sftp import DECLARATION, put

CSV = b"island,birds\nlamma,12\n" * 2000
PAYLOAD = {"data/2026/a.csv": CSV, "data/b.csv": CSV[:11]}
NAME = DatasetName("sz-lab", "hku", "trial", "birds")


@pytest.fixture
async def site(tmp_path):
    made = await SftpSite(tmp_path).found()
    async with made.served():
        yield made


async def upload(client, files):
    for path, content in files.items():
        await put(client, f"{BASE}/birds/{path}", content)


async def newest(site):
    folders = Folders(recorder=site.rig.recorder, intake=site.rig.intake)
    return (await folders.versions(site.rig.sender, NAME))[0]


async def passes(site, **time):
    await site.rig.intake.keeper.settled((await newest(site)).id)
    site.rig.clock.advance(**time)
    await site.rig.settle()
    return await newest(site)


async def status(client):
    text = await (await client.open("/status/hku/trial/birds.txt", "rb")).read()
    assert (await client.stat("/status/hku/trial/birds.txt")).size == len(text)
    return text.decode()


async def test_a_bag_is_submitted_when_it_is_whole_with_the_exact_list(site):
    files = {**bag(PAYLOAD, bag_info=None), "declaration.toml": DECLARATION}
    async with site.client() as client:
        await upload(client, files)
        assert "10 seconds" in await status(client)
        assert (await passes(site, seconds=9)).state is State.OPEN
        sent = await passes(site, seconds=1)
        assert sent.state is State.RECEIPTED
        assert await site.files() == {path: len(content) for path, content in files.items()}
        async with site.rig.records.read() as view:
            assert {each.file.path for each in await view.files(sent.id)} == set(files)
        assert "Not submitted yet" not in await status(client)
    assert site.rig.arrived("a.csv.c4gh") == CSV
    assert sent.person == "lin"


async def test_a_client_that_renames_what_it_sent_is_waited_for(site):
    files = {**bag(PAYLOAD, bag_info=None), "declaration.toml": DECLARATION}
    async with site.client() as client:
        await upload(client, {f"{path}.filepart": content for path, content in files.items()})
        assert (await passes(site, seconds=10)).state is State.OPEN
        assert "temporary names" in await status(client)
        for path in files:
            await client.rename(f"{BASE}/birds/{path}.filepart", f"{BASE}/birds/{path}")
        assert (await passes(site, seconds=10)).state is State.RECEIPTED


async def test_a_bag_with_a_payload_file_missing_never_is(site):
    whole = listing({**PAYLOAD, "data/c.csv": b"c"})
    files = bag(PAYLOAD, bag_info=None, manifest_sha256=whole)
    async with site.client() as client:
        await upload(client, {**files, "declaration.toml": DECLARATION})
        assert (await passes(site, seconds=10)).state is State.OPEN
        told = await status(client)
        assert "1 file(s) listed in manifest-sha256.txt were not received, first data/c.csv" in told
        assert "未收到" in told
        assert "補" not in told
        assert "請" in told
        assert (await passes(site, days=6)).state is State.OPEN


async def test_a_file_still_open_holds_a_whole_bag(site):
    async with site.client() as client:
        await upload(client, {**bag(PAYLOAD, bag_info=None), "declaration.toml": DECLARATION})
        file = await client.open(f"{BASE}/birds/data/b.csv", "wb")
        await file.write(b"x")
        assert (await passes(site, seconds=10)).state is State.OPEN
        await file.close()
        assert (await passes(site, seconds=10)).state is State.OPEN
        assert "are not those listed" in await status(client)


async def connections(site):
    async with site.rig.records.read() as view:
        return [lost for _, lost in await view.connections((await newest(site)).id)]


async def test_a_connection_is_noted_while_it_writes_and_forgotten_when_it_ends_in_order(site):
    async with site.client() as client:
        await upload(client, {"a.csv": CSV})
        await upload(client, {"b.csv": CSV})
        assert await connections(site) == [None]
    assert await ended(site) == []


async def ended(site):
    """What is noted of connections once none is under way any more."""
    async with asyncio.timeout(60), site.client("reader") as other:
        while (found := await connections(site)) == [None]:
            await other.stat("/")
    return found


@pytest.mark.parametrize("how", ["abort", "open handle"])
async def test_a_connection_that_breaks_off_is_remembered(site, how):
    async with site.connected() as connection:
        client = await connection.start_sftp_client()
        await upload(client, {"a.csv": CSV})
        if how == "abort":
            connection.abort()
        else:
            await client.open(f"{BASE}/birds/b.csv", "wb")
            client.exit()
            await client.wait_closed()
        assert await ended(site) == [site.rig.clock.now()]


async def test_stopping_the_door_is_a_connection_lost(tmp_path):
    made = await SftpSite(tmp_path).found()
    async with made.served():
        connection = await asyncssh.connect(
            "127.0.0.1",
            made.port,
            username="sz-lab",
            client_keys=[str(tmp_path / "lin")],
            known_hosts=str(tmp_path / "known_hosts"),
            config=None,
            agent_path=None,
        )
        client = await connection.start_sftp_client()
        await upload(client, {"a.csv": CSV})
    assert await connections(made) == [made.rig.clock.now()]
    connection.abort()
