"""The gateway's memory while several of OpenSSH's clients upload large files at once.

    python -m tests.bench rss [clients] [MiB each]

Prints the highest resident memory the kernel saw (VmHWM), what of it was the process's own at the highest sample
(`/proc/PID/smaps_rollup`), and the speed. The bound is 300 MB for eight files of 1 GiB; above it, it ends with an error.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.large_file import peak_mebibytes
from tests.bench.sftp import put, timed, write_reads
from tests.interop.sftp_world import BASE, make_world

BOUND = 300e6 / (1 << 20)  # MiB
FIELDS = ("Rss", "Pss", "Anonymous", "Private_Dirty", "Shared_Clean", "Private_Clean")


def held(pid: int) -> dict[str, float]:
    """What a process holds now, MiB by the kernel's words."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
    return {name: found[name] for name in FIELDS}


def told(memory: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in memory.items())


def main(clients: int = 8, mebibytes: int = 1024) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        folder = Path(scratch)
        world = make_world(folder / "world")
        try:
            gateway = world.running.world.gateway
            assert gateway is not None
            file = folder / "reads.fastq"
            write_reads(file, mebibytes)
            options = world.options()
            timed([lambda: put(options, f"mkdir {BASE}/rss\n")])
            print(f"idle, MiB: {told(held(gateway.pid))}", flush=True)
            began = time.monotonic()
            running = [put(options, f"put {file} {BASE}/rss/{number}.fastq\n") for number in range(clients)]
            highest = held(gateway.pid)
            while any(client.poll() is None for client in running):
                highest = max(highest, held(gateway.pid), key=lambda memory: memory["Rss"])
                time.sleep(0.5)
            seconds = time.monotonic() - began
            if any(client.returncode for client in running):
                raise SystemExit("a client failed")
            peak = peak_mebibytes(gateway.pid)
            print(f"{clients} clients of {mebibytes} MiB: {clients * file.stat().st_size / 1e6 / seconds:.0f} MB/s")
            print(f"highest sample, MiB: {told(highest)}")
            print(f"after, MiB: {told(held(gateway.pid))}")
            print(f"peak resident memory: {peak * 1.048576:.0f} MB; the bound is 300 MB")
        finally:
            world.running.world.stop()
    if peak > BOUND:
        raise SystemExit(1)
