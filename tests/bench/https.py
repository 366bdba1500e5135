"""One upload by HTTPS into the gateway, with the full pass, and into two servers that write plain files.

    python -m tests.bench https [MiB] [rounds]

The others are nginx (`dav_methods PUT`) and, where it is installed, `rclone serve webdav`. All on this machine,
interleaved in one run, one connection of the same curl over TLS 1.3, with the same certificate. The standard run, which
figures in documents come from, is 1024 MiB and 5 rounds. Prints, for random data, FASTQ-like text and CSV, medians in MB/s
with our ratio to each, and the CPU seconds that each server and the client took for a GiB; then, for eight uploads at
once, how late the gateway's event loop was (`hetao_event_loop_lag_seconds`; the target is 50 ms at p99).

What differs: only the gateway makes the file durable before it answers, so CPU and disk time that the kernel spends on
writing back later is in nobody's figures but ours. Wall time on a shared machine is noisy; CPU seconds are less so.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli.demo.sender import Sender
from gateway.cli.demo.story import GENERAL
from gateway.cli.demo.world import World, free_port
from tests.bench.large_file import write_table
from tests.bench.sftp import started, tell, timed, write_random, write_reads
from tests.e2e.conftest import build
from tests.interop.sftp_world import need

FILES = {"random.bin": write_random, "reads.fastq": write_reads, "table.csv": write_table}
AT_ONCE = 8
LAG = "hetao_event_loop_lag_seconds_bucket"

NGINX = """\
daemon off; user root; worker_processes auto; pid {folder}/pid; error_log stderr error;
events {{ }}
http {{
  access_log off;
  client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {folder}/temporary;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{ root {drop}; dav_methods PUT DELETE; }}
  }}
}}
"""


@dataclass
class Server:
    """Somebody who takes files by PUT.

    Attributes:
        name: As figures name it.
        url: What a file's name is appended to.
        process: It, or the parent of its workers.
        discard: Makes room again.
        headers: What its requests need.
        cpu: CPU seconds a GiB of each upload so far.
    """

    name: str
    url: str
    process: psutil.Process
    discard: Callable[[str], None]
    headers: str = ""
    cpu: list[float] = field(default_factory=list)

    def spent(self) -> float:
        """CPU seconds of the process and its children, those that ended included."""
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return sum(each.user + each.system for each in times) + times[0].children_user + times[0].children_system


def main(mebibytes: int = 1024, rounds: int = 5) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        folder = Path(scratch)
        running = build(folder / "world")
        running.start()
        processes: list[subprocess.Popen[bytes]] = []
        try:
            ours = gateway(running.world, running.sender())
            found = [ours, nginx(folder, running.world, processes), rclone(folder, running.world, processes)]
            servers = [server for server in found if server is not None]
            _compare(servers, folder, running.world.authority, mebibytes, rounds)
            _at_once(ours, running.world, folder / "random.bin")
        finally:
            for process in processes:
                process.terminate()
                process.wait(10)
            running.world.stop()


def gateway(world: World, sender: Sender) -> Server:
    """Ours, with a transfer to put files in."""
    sender.sign_in()
    transfer = sender.open("hkust-imaging", "phantom-scans", "bench", GENERAL)
    path = f"/v1/transfers/{transfer}/files/"

    def discard(name: str) -> None:
        sender.api("DELETE", path + name)

    assert world.gateway is not None
    process = psutil.Process(world.gateway.pid)
    return Server("gateway", world.url + path, process, discard, f"Authorization: Bearer {sender.token}\n")


def nginx(folder: Path, world: World, processes: list[subprocess.Popen[bytes]]) -> Server:
    """nginx as a plain store: it writes the body beside the file and renames it."""
    own, port = folder / "nginx", free_port()
    drop = own / "drop"
    drop.mkdir(parents=True)
    certificate, key = _pair(world)
    config = own / "nginx.conf"
    config.write_text(NGINX.format(folder=own, drop=drop, port=port, certificate=certificate, key=key))
    processes.append(started([need("nginx"), "-p", str(own), "-c", str(config)], port))
    return _plain("nginx", port, processes[-1], drop)


def rclone(folder: Path, world: World, processes: list[subprocess.Popen[bytes]]) -> Server | None:
    """`rclone serve webdav` over a plain folder; None where rclone is not installed."""
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        print("rclone is not installed: left out")
        return None
    drop, port = folder / "rclone", free_port()
    drop.mkdir()
    certificate, key = _pair(world)
    command = [
        program, "serve", "webdav", str(drop), "--addr", f"127.0.0.1:{port}", "--config", "/dev/null",
        "--cert", str(certificate), "--key", str(key), "--min-tls-version", "tls1.3",
    ]  # fmt: skip
    processes.append(started(command, port))
    return _plain("rclone", port, processes[-1], drop)


def _pair(world: World) -> tuple[Path, Path]:
    keys = world.config.parent / "keys"
    return keys / "https.crt", keys / "https.key"


def _plain(name: str, port: int, process: subprocess.Popen[bytes], drop: Path) -> Server:
    return Server(name, f"https://localhost:{port}/", psutil.Process(process.pid), lambda file: (drop / file).unlink())


def put(server: Server, authority: Path, file: Path, name: str) -> subprocess.Popen[bytes]:
    """A client that sends a file under a name."""
    command = [need("curl"), "--silent", "--show-error", "--fail-with-body", "--http1.1", "--tlsv1.3"]
    command += ["--cacert", str(authority), "--header", "@-", "--upload-file", str(file), server.url + name]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert running.stdin is not None
    running.stdin.write(server.headers.encode())  # not on the command line, which is in every process list
    running.stdin.close()
    return running


def _compare(servers: list[Server], folder: Path, authority: Path, mebibytes: int, rounds: int) -> None:
    for name, write in FILES.items():
        write(folder / name, mebibytes)
        speeds: dict[str, list[float]] = {server.name: [] for server in servers}
        clients: list[float] = []
        for server in servers:
            server.cpu.clear()
        for number in range(rounds):
            for server in servers:
                speed, client = _one(server, authority, folder / name, f"{number}-{name}")
                speeds[server.name].append(speed)
                clients.append(client)
        tell(name, speeds, "MB/s")
        told = "; ".join(f"{server.name} {statistics.median(server.cpu):.2f}" for server in servers)
        print(f"{'CPU s/GiB':>20}: {told}; client {statistics.median(clients):.2f}", flush=True)


def _one(server: Server, authority: Path, file: Path, name: str) -> tuple[float, float]:
    """MB/s of one upload, and the client's CPU seconds a GiB."""
    gibibytes = file.stat().st_size / (1 << 30)
    before, client = server.spent(), _children()
    seconds = timed([lambda: put(server, authority, file, name)])
    server.cpu.append((server.spent() - before) / gibibytes)
    client = _children() - client
    server.discard(name)
    return file.stat().st_size / 1e6 / seconds, client / gibibytes


def _children() -> float:
    """CPU seconds of this process's children that ended."""
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def _at_once(ours: Server, world: World, file: Path) -> None:
    before = lateness(world.metrics_port)
    began = time.monotonic()
    seconds = timed(
        [lambda number=number: put(ours, world.authority, file, f"{number}.bin") for number in range(AT_ONCE)]
    )
    elapsed = time.monotonic() - began
    during = {bound: count - before.get(bound, 0.0) for bound, count in lateness(world.metrics_port).items()}
    ticks = during[math.inf]
    quantiles = ", ".join(f"p{share:g} {within(during, share / 100) * 1000:g} ms" for share in (50, 95, 99, 99.9))
    print(f"{AT_ONCE} uploads at once: {AT_ONCE * file.stat().st_size / 1e6 / seconds:.0f} MB/s")
    print(f"event loop late at most, of {ticks:.0f} ticks in {elapsed:.0f} s: {quantiles}; the target is p99 50 ms")


def lateness(port: int) -> dict[float, float]:
    """How many ticks of the event loop were late by at most so many seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {float(each.labels["le"]): each.value for family in families for each in family.samples if each.name == LAG}


def within(cumulated: dict[float, float], share: float) -> float:
    """The smallest bound that so large a share keeps to."""
    wanted = share * cumulated[math.inf]
    return min(bound for bound, count in cumulated.items() if count >= wanted)
