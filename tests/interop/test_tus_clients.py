"""Uploads by tus with the programs people bring: tuspy, aiotus, curl; killed in the middle, over a gateway's restart."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import aiotus
import pytest

from gateway.cli.demo.sender import Sender
from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running, build
from tests.interop.sftp_world import need

CONTENT = b"island,birds\n" + b"lamma,12\nlantau,7\n" * 400_000  # 7 MB
TUSPY = """
import sys
from tusclient import client
from tusclient.storage import filestorage

url, token, file, transfer, urls, chunk = sys.argv[1:]
sender = client.TusClient(url + "/files/", headers={"Authorization": "Bearer " + token})
uploader = sender.uploader(
    file,
    chunk_size=int(chunk),
    metadata={"transfer": transfer, "path": "birds.csv"},
    store_url=True,
    url_storage=filestorage.FileStorage(urls),
    upload_checksum=True,
)
print("at", uploader.offset, flush=True)
while uploader.offset < uploader.get_file_size():
    uploader.upload_chunk()
    print("at", uploader.offset, flush=True)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = build(tmp_path_factory.mktemp("tus"))
    made.start()
    yield made
    made.world.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "birds.csv").write_bytes(CONTENT)
    return tmp_path / "birds.csv"


def opened(running: Running, dataset: str) -> tuple[Sender, str]:
    sender = running.sender()
    sender.sign_in()
    return sender, sender.open("hku-genomics", "island-ecology", dataset, GENERAL)


def arrives(sender: Sender, transfer: str, content: bytes = CONTENT) -> None:
    """It is there with its digest, and submitted it gets its receipt."""
    shown = sender.api("GET", f"/v1/transfers/{transfer}/files")
    digest = hashlib.sha256(content).hexdigest()
    assert shown == {"files": [{"path": "birds.csv", "size": len(content), "sha256": digest}]}
    sender.submit(transfer, {"birds.csv": len(content)})
    sender.wait(transfer, {"receipted"}, 60)


def tuspy(
    running: Running, sender: Sender, transfer: str, file: Path, *, chunk: int = 1 << 20
) -> subprocess.Popen[str]:
    """A process of its own, that says how far it is."""
    arguments = [running.world.url, sender.token, str(file), transfer, str(file.with_suffix(".urls")), str(chunk)]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(running.world.authority)}
    return subprocess.Popen(
        [sys.executable, "-c", TUSPY, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def said(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().removeprefix("at "))


@pytest.mark.parametrize("restarted", [False, True], ids=["same-gateway", "gateway-killed"])
def test_tuspy_is_killed_and_a_new_process_goes_on(running: Running, file: Path, *, restarted: bool) -> None:
    sender, transfer = opened(running, f"tuspy-{restarted}")
    with tuspy(running, sender, transfer, file) as first:
        assert said(first) == 0
        assert [said(first) for _ in range(3)] == [1 << 20, 2 << 20, 3 << 20]
        first.send_signal(signal.SIGKILL)
    if restarted:
        running.kill()
        running.start()
    with tuspy(running, sender, transfer, file) as second:
        assert said(second) >= 3 << 20  # what was answered for is there, whatever died
        second.communicate(timeout=60)
    assert second.returncode == 0
    arrives(sender, transfer)


async def test_aiotus_sends_a_file_and_its_retries_outlive_the_gateway(running: Running) -> None:
    sender, transfer = opened(running, "aiotus")
    trusting = aiotus.RetryConfiguration(ssl=ssl.create_default_context(cafile=str(running.world.authority)))
    told = {"transfer": transfer.encode(), "path": b"birds.csv"}
    headers = {"Authorization": f"Bearer {sender.token}"}

    class Killing(io.BytesIO):
        """Kills the gateway while the client reads its second chunk."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 1 << 20 and running.world.gateway is not None and not hasattr(self, "killed"):
                self.killed = True
                running.kill()
                running.start()
            return super().read(size)

    url = await aiotus.upload(
        f"{running.world.url}/files/", Killing(CONTENT), told, config=trusting, headers=headers, chunksize=1 << 20
    )
    assert url is not None
    kept = await aiotus.metadata(url, config=trusting, headers=headers)
    assert kept is not None
    assert kept["path"] == b"birds.csv"
    arrives(sender, transfer)


async def test_aiotus_sends_pieces_at_the_same_time(running: Running) -> None:
    sender, transfer = opened(running, "aiotus-pieces")
    context = ssl.create_default_context(cafile=str(running.world.authority))
    third = len(CONTENT) // 3
    pieces = [io.BytesIO(part) for part in (CONTENT[:third], CONTENT[third : 2 * third], CONTENT[2 * third :])]
    owner = base64.b64encode(transfer.encode()).decode()
    # A piece has to say whose it is; aiotus sends these headers with each, and replaces them for the file.
    headers = {"Authorization": f"Bearer {sender.token}", "Upload-Metadata": f"transfer {owner}"}
    async with aiohttp.ClientSession() as session:
        url = await aiotus.upload_multiple(
            f"{running.world.url}/files/",
            pieces,
            {"transfer": transfer.encode(), "path": b"birds.csv"},
            session,
            aiotus.RetryConfiguration(ssl=context, retry_attempts=1),
            headers,
            chunksize=1 << 20,
        )
    assert url is not None
    arrives(sender, transfer)


def test_curl_goes_on_as_the_readme_says(running: Running, file: Path) -> None:
    sender, transfer = opened(running, "curl")
    metadata = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in {"transfer": transfer, "path": "birds.csv"}.items()
    )

    def curl(*arguments: str) -> list[str]:
        return [
            need("curl"),
            *("--silent", "--show-error", "--fail", "--cacert", str(running.world.authority)),
            *("--header", f"Authorization: Bearer {sender.token}", "--header", "Tus-Resumable: 1.0.0", *arguments),
        ]

    def headers(*arguments: str, content: bytes = b"") -> dict[str, str]:
        done = subprocess.run(curl("--include", *arguments), input=content, capture_output=True, timeout=60, check=True)
        lines = [line.partition(":") for line in done.stdout.decode().splitlines()]
        return {name.lower(): value.strip() for name, _, value in lines}

    made = headers(
        *("--request", "POST", f"{running.world.url}/files/"),
        *("--header", f"Upload-Length: {len(CONTENT)}", "--header", f"Upload-Metadata: {metadata}"),
    )
    url = made["location"]
    assert url.startswith(running.world.url)
    patch = (
        "--request",
        "PATCH",
        "--header",
        "Content-Type: application/offset+octet-stream",
        url,
        "--upload-file",
        "-",
    )
    with subprocess.Popen(
        curl("--limit-rate", "4M", "--header", "Upload-Offset: 0", *patch), stdin=subprocess.PIPE
    ) as cut:
        assert cut.stdin is not None
        cut.stdin.write(CONTENT[: len(CONTENT) // 2])  # the rest never comes, so that what is cut off is cut off
        cut.stdin.flush()
        until = time.monotonic() + 30
        while not sender.api("GET", f"/v1/transfers/{transfer}/files").get("unfinished"):
            assert time.monotonic() < until
        assert cut.poll() is None
        cut.send_signal(signal.SIGKILL)
    at = int(headers("--head", url)["upload-offset"])
    assert 0 <= at <= len(CONTENT) // 2
    done = headers(*patch, "--header", f"Upload-Offset: {at}", content=CONTENT[at:])
    assert int(done["upload-offset"]) == len(CONTENT)
    arrives(sender, transfer)
