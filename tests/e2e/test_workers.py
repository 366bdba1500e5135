"""Two processes behind the same ports: what one of them did the other knows, and the death of one is only its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running, build
from tests.interop.sftp_world import BASE, DECLARATION

CSV = b"island,birds\nlamma,12\nlantau,7\n" * 1000
BIG = bytes(3 << 20)
TRIES = 60  # connections until both workers answered one: the odds against are 2 to the 59th


class Crew:
    """A gateway of two workers."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.world = running.world
        self.start()

    def start(self) -> None:
        told = len(self.seen("workers.started"))
        self.running.start()
        self.until(lambda: len(self.seen("workers.started")) > told)

    @property
    def parent(self) -> psutil.Process:
        assert self.world.gateway is not None
        return psutil.Process(self.world.gateway.pid)

    def pid(self, worker: int) -> int:
        return next(each.pid for each in self.parent.children() if each.cmdline()[-1] == str(worker))

    def seen(self, event: str) -> list[dict[str, Any]]:
        log = self.world.folder / "gateway.log"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        read = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [each for each in read if each["event"] == event]

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, (self.world.folder / "gateway.log").read_text("utf-8")[-2000:]
            time.sleep(0.05)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[int, asyncssh.SFTPClient]]:
        """A connection, and which worker has it."""
        line = (self.world.config.parent / "keys" / "sftp_host.pub").read_text("utf-8").split()[:2]
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{self.world.sftp_port} {' '.join(line)}\n")
        before = len(self.seen("sftp.entered"))
        async with (
            asyncssh.connect(
                "127.0.0.1",
                self.world.sftp_port,
                username="sz-genomics",
                client_keys=[str(self.world.keys / "lin")],
                known_hosts=known,
                config=None,
                agent_path=None,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            self.until(lambda: len(self.seen("sftp.entered")) > before)
            yield self.seen("sftp.entered")[-1]["worker"], client

    @asynccontextmanager
    async def both(self) -> AsyncIterator[tuple[asyncssh.SFTPClient, asyncssh.SFTPClient]]:
        """A connection to each worker."""
        async with AsyncExitStack() as stack:
            found: dict[int, asyncssh.SFTPClient] = {}
            for _ in range(TRIES):
                worker, client = await stack.enter_async_context(self.connected())
                found.setdefault(worker, client)
                if len(found) == 2:
                    break
            yield found[1], found[2]

    def scrape(self) -> dict[tuple[str, ...], float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.world.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        families = text_string_to_metric_families(text)
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    made = Crew(build(tmp_path_factory.mktemp("world"), HETAO_GATEWAY__WORKERS="2"))
    yield made
    made.world.stop()


async def put(client: asyncssh.SFTPClient, path: str, content: bytes) -> None:
    async with client.open(path, "wb") as file:
        await file.write(content)


async def status(client: asyncssh.SFTPClient, dataset: str) -> str:
    async with client.open(f"/status/hku-genomics/island-ecology/{dataset}.txt", "rb") as file:
        return (await file.read()).decode()


async def names(client: asyncssh.SFTPClient, folder: str) -> list[str]:
    return sorted(str(each.filename) for each in await client.readdir(folder) if each.filename not in {".", ".."})


async def test_what_one_worker_made_the_other_shows(crew: Crew) -> None:
    async with crew.both() as (one, two):
        await one.mkdir(f"{BASE}/shown")
        await one.mkdir(f"{BASE}/shown/raw")
        assert await two.isdir(f"{BASE}/shown/raw")
        assert await names(two, f"{BASE}/shown") == ["raw"]
        with pytest.raises(asyncssh.SFTPFailure):
            await two.mkdir(f"{BASE}/shown/raw")
        await two.rename(f"{BASE}/shown/raw", f"{BASE}/shown/rare")
        assert await names(one, f"{BASE}/shown") == ["rare"]
        await one.rmdir(f"{BASE}/shown/rare")
        assert await names(two, f"{BASE}/shown") == []
        await put(one, f"{BASE}/shown/declaration.toml", DECLARATION.encode())
        await put(two, f"{BASE}/shown/a.csv", CSV)
        listing = f"{len(DECLARATION.encode())} declaration.toml\n{len(CSV)} a.csv\n".encode()
        await put(one, f"{BASE}/shown/SUBMIT.filepart", listing)
        assert (await two.stat(f"{BASE}/shown/SUBMIT.filepart")).size == len(listing)
        await two.posix_rename(f"{BASE}/shown/SUBMIT.filepart", f"{BASE}/shown/SUBMIT")
        assert (await one.stat(f"{BASE}/shown/SUBMIT")).size == len(listing)
        assert "(open)" not in await status(one, "shown")
        await put(one, f"{BASE}/shown/b.csv", CSV)
        assert not await two.exists(f"{BASE}/shown/SUBMIT")


async def test_nothing_is_submitted_while_any_worker_receives(crew: Crew) -> None:
    async with crew.both() as (one, two):
        await put(two, f"{BASE}/busy/a.csv", CSV)
        file = await one.open(f"{BASE}/busy/b.bin", "wb")
        await file.write(BIG)
        with pytest.raises(asyncssh.SFTPFailure, match="1 upload"):
            await put(two, f"{BASE}/busy/SUBMIT", b"")
        await file.close()
        assert await names(two, f"{BASE}/busy") == ["a.csv", "b.bin"]
        await put(two, f"{BASE}/busy/SUBMIT", b"")
        assert await one.exists(f"{BASE}/busy/SUBMIT")


def asked(crew: Crew, token: str, method: str, url: str, body: bytes = b"", **headers: str) -> dict[str, str]:
    """A tus request on a connection of its own: the answer's header fields."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    request = urllib.request.Request(url, data=body or None, method=method, headers=given)
    context = ssl.create_default_context(cafile=str(crew.world.authority))
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}


def hanging(crew: Crew, token: str, url: str, offset: int, sent: bytes) -> ssl.SSLSocket:
    """A PATCH whose client fell silent: its connection stays, and nothing comes any more."""
    context = ssl.create_default_context(cafile=str(crew.world.authority))
    plain = socket.create_connection(("127.0.0.1", crew.world.https_port), timeout=30)
    silent = context.wrap_socket(plain, server_hostname="127.0.0.1")
    lines = [
        f"PATCH {url.removeprefix(crew.world.url)} HTTP/1.1",
        *("Host: x", f"Authorization: Bearer {token}", "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}"),
        *("Content-Type: application/offset+octet-stream", f"Content-Length: {len(BIG) - offset}"),
        "Expect: 100-continue",
    ]
    silent.sendall("\r\n".join([*lines, "", ""]).encode())
    assert silent.recv(100).startswith(b"HTTP/1.1 100 ")
    silent.sendall(sent)
    return silent


def test_an_upload_goes_on_at_another_worker_while_the_first_still_hangs(crew: Crew) -> None:
    sender = crew.running.sender()
    sender.sign_in()
    transfer = sender.open("hku-genomics", "island-ecology", "taken over", GENERAL)
    words = {"transfer": transfer, "path": "b.bin"}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in words.items())
    made = asked(
        crew, sender.token, "POST", f"{crew.world.url}/files/", Upload_Length=str(len(BIG)), Upload_Metadata=metadata
    )
    url, at, workers = made["location"], 0, [1, 1]
    for _ in range(TRIES):
        seen = len(crew.seen("request.answered"))
        silent = hanging(crew, sender.token, url, at, BIG[:50_000])
        began = time.monotonic()
        kept = int(asked(crew, sender.token, "HEAD", url)["upload-offset"])
        assert time.monotonic() - began < 5  # it is less than one; the machine may be busy
        assert at <= kept <= at + 50_000
        crew.until(lambda seen=seen: len(answered(crew, seen)) == 2)
        at, workers = kept, answered(crew, seen)
        silent.close()
        if len(set(workers)) == 2:
            break
    assert set(workers) == {1, 2}
    asked(
        crew,
        sender.token,
        "PATCH",
        url,
        BIG[at:],
        Upload_Offset=str(at),
        Content_Type="application/offset+octet-stream",
    )
    (received,) = sender.api("GET", f"/v1/transfers/{transfer}/files")["files"]
    assert received["sha256"] == hashlib.sha256(BIG).hexdigest()


def answered(crew: Crew, seen: int) -> list[int]:
    """Which workers answered tus requests since then."""
    told = [each for each in crew.seen("request.answered")[seen:] if each["route"] == "/files/{upload}"]
    return [each["worker"] for each in told]


async def test_connections_at_once_all_succeed(crew: Crew) -> None:
    async def send(number: int) -> int:
        async with crew.connected() as (worker, client):
            for each in range(3):
                await put(client, f"{BASE}/many/{number}-{each}.csv", CSV)
        return worker

    async def ask() -> None:
        sender = crew.running.sender()
        await asyncio.to_thread(sender.sign_in)
        transfer = await asyncio.to_thread(sender.open, "hku-genomics", "island-ecology", "asked", GENERAL)
        assert sender.status(transfer)["state"] == "open"

    await asyncio.gather(*(send(number) for number in range(8)), ask())
    async with crew.connected() as (_, client):
        assert len(await names(client, f"{BASE}/many")) == 24


def test_any_scrape_shows_what_all_workers_did(crew: Crew) -> None:
    counted = ("hetao_http_requests_total", "GET", "/v1/endpoints", "401")
    context = ssl.create_default_context(cafile=str(crew.world.authority))
    before, seen = crew.scrape().get(counted, 0.0), len(crew.seen("request.answered"))

    def answered() -> list[int]:
        return [each["worker"] for each in crew.seen("request.answered")[seen:] if each["route"] == "/v1/endpoints"]

    asked = 0
    while asked < TRIES and (asked < 8 or len(set(answered())) < 2):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{crew.world.url}/v1/endpoints", timeout=10, context=context)
        refused.value.close()
        asked += 1
    crew.until(lambda: len(answered()) == asked)
    assert set(answered()) == {1, 2}
    assert {crew.scrape()[counted] for _ in range(12)} == {before + asked}  # whichever worker is scraped


async def test_a_killed_worker_takes_its_own_uploads_along_and_comes_back(crew: Crew) -> None:
    async with crew.both() as (one, two):
        await put(two, f"{BASE}/killed/a.csv", CSV)
        other = await two.open(f"{BASE}/killed/b.bin", "wb")
        cut = await one.open(f"{BASE}/killed/cut.bin", "wb")
        await asyncio.gather(other.write(BIG), cut.write(BIG))
        restarted = len(crew.seen("worker.restarted"))
        os.kill(crew.pid(1), signal.SIGKILL)
        await other.write(BIG, len(BIG))
        await other.close()
        with pytest.raises(asyncssh.SFTPError):
            await one.stat(f"{BASE}/killed")  # its connection is gone
        assert await names(two, f"{BASE}/killed") == ["a.csv", "b.bin"]
        crew.until(lambda: len(crew.seen("worker.restarted")) > restarted)
        assert crew.seen("worker.failed")[-1]["worker"] == 1
        async with crew.both() as (again, _):
            assert (await again.stat(f"{BASE}/killed/b.bin")).size == 2 * len(BIG)
            await put(again, f"{BASE}/killed/SUBMIT", b"")
            assert "(open)" not in await status(two, "killed")
            assert await names(two, f"{BASE}/killed") == ["a.csv", "b.bin"]
    assert list((crew.world.config.parent / "data" / "vault").rglob("*.unfinished")) == []


def test_a_second_gateway_is_refused_and_workers_end_with_a_killed_parent(crew: Crew) -> None:
    assert "another gateway serves from" in crew.running.hetao("serve", fails=True)
    workers = crew.parent.children()
    crew.running.kill()
    psutil.wait_procs(workers, timeout=60)
    assert not any(each.is_running() for each in workers)
    crew.start()


def test_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    running = build(tmp_path / "world", HETAO_GATEWAY__WORKERS="3")
    (running.world.config.parent / "keys" / "sftp_host").unlink()
    told = running.hetao("serve", fails=True)
    assert told.count("hetao: the SFTP door's host key sftp_host cannot be read") == 1
