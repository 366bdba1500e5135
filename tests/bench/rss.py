"""The gateway's memory while several clients upload large files at once.

    python -m tests.bench rss [clients] [MiB each] [1 for HTTPS]

The clients are OpenSSH's sftp, or curl where HTTPS is asked for.

Prints the highest resident memory the kernel saw of the gateway and of the process that classifies for it (VmHWM), what of it
was their own at the highest sample (`/proc/PID/smaps_rollup`; Pss counts what both map once), and the speed. The bound is
300 MB for eight files of 1 GiB by SFTP and sixteen by HTTPS, all processes together; above it, it ends with an error.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench import https
from tests.bench.large_file import peak_mebibytes
from tests.bench.sftp import put, timed, write_reads
from tests.interop.sftp_world import BASE, SftpWorld, make_world

BOUND = 300e6 / (1 << 20)  # MiB
Start = Callable[[str], "subprocess.Popen[bytes]"]
FIELDS = ("Rss", "Pss", "Anonymous", "Private_Dirty", "Shared_Clean", "Private_Clean")


def processes(pid: int) -> list[int]:
    """The gateway and its children."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def held(pid: int) -> dict[str, float]:
    """What the gateway and its children hold now, MiB by the kernel's words."""
    each = [_held(one) for one in processes(pid)]
    return {name: sum(memory[name] for memory in each) for name in FIELDS}


def _held(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
    return {name: found[name] for name in FIELDS}


def told(memory: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in memory.items())


def _by_sftp(world: SftpWorld, file: Path) -> Start:
    options = world.options()
    timed([lambda: put(options, f"mkdir {BASE}/rss\n")])
    return lambda name: put(options, f"put {file} {BASE}/rss/{name}\n")


def _by_https(world: SftpWorld, file: Path) -> Start:
    server = https.gateway(world.running.world, world.running.sender())
    return lambda name: https.put(server, world.running.world.authority, file, name)


def main(clients: int = 8, mebibytes: int = 1024, by_https: int = 0) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        folder = Path(scratch)
        world = make_world(folder / "world")
        try:
            gateway = world.running.world.gateway
            assert gateway is not None
            file = folder / "reads.fastq"
            write_reads(file, mebibytes)
            start = _by_https(world, file) if by_https else _by_sftp(world, file)
            print(f"idle, MiB: {told(held(gateway.pid))}", flush=True)
            began = time.monotonic()
            running = [start(f"{number}.fastq") for number in range(clients)]
            highest = held(gateway.pid)
            while any(client.poll() is None for client in running):
                highest = max(highest, held(gateway.pid), key=lambda memory: memory["Rss"])
                time.sleep(0.5)
            seconds = time.monotonic() - began
            if any(client.returncode for client in running):
                raise SystemExit("a client failed")
            peaks = [peak_mebibytes(one) for one in processes(gateway.pid)]
            peak = sum(peaks)
            print(f"{clients} clients of {mebibytes} MiB: {clients * file.stat().st_size / 1e6 / seconds:.0f} MB/s")
            print(f"highest sample, MiB: {told(highest)}")
            print(f"after, MiB: {told(held(gateway.pid))}")
            apart = " + ".join(f"{one * 1.048576:.0f}" for one in peaks)
            print(f"peak resident memory: {apart} = {peak * 1.048576:.0f} MB; the bound is 300 MB")
        finally:
            world.running.world.stop()
    if peak > BOUND:
        raise SystemExit(1)
