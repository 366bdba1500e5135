"""One large file by PUT from Shenzhen to Hong Kong: memory of the gateway, and what arrived.

    python -m tests.bench large_file [MiB]

Prints seconds, the gateway's peak resident memory (VmHWM) and whether the delivered file opens, with the stock
`crypt4gh` tool, to the bytes that were sent.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import build

PIECE = 1 << 20


def write_table(path: Path, mebibytes: int) -> str:
    """A numeric CSV of so many MiB; returns its SHA-256."""
    chance = np.random.default_rng(20261122)
    left, right = chance.random(40_000), chance.random(40_000)
    rows = "\n".join(f"{u:.4f},{v:.4f},{n:d}" for n, (u, v) in enumerate(zip(left, right, strict=True)))
    block = (rows.encode() + b"\n")[:PIECE].ljust(PIECE, b"\n")
    digest = hashlib.sha256()
    with path.open("wb") as opened:
        for number in range(mebibytes):
            piece = b"u,v,n\n" + block[6:] if number == 0 else block
            opened.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def peak_mebibytes(pid: int) -> float:
    """VmHWM of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def main(mebibytes: int = 2048) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as folder:
        running = build(Path(folder) / "world")
        running.start()
        try:
            _run(running, Path(folder), mebibytes)
        finally:
            running.world.stop()


def _run(running, folder: Path, mebibytes: int) -> None:
    source = folder / "large"
    source.mkdir()
    digest = write_table(source / "large.csv", mebibytes)
    sender = running.sender()
    sender.sign_in()
    assert running.world.gateway is not None
    before = peak_mebibytes(running.world.gateway.pid)
    transfer = sender.open("hkust-imaging", "phantom-scans", "large", GENERAL)
    began = time.monotonic()
    sent = sender.put_folder(transfer, source)
    received = time.monotonic()
    sender.submit(transfer, sent)
    sender.wait(transfer, {"receipted"}, 900)
    delivered = time.monotonic()
    peak = peak_mebibytes(running.world.gateway.pid)
    sealed = next((running.world.folder / "hong-kong-hkust").rglob("large.csv.c4gh"))
    tool = Path(sys.executable).with_name("crypt4gh")
    opened = hashlib.sha256()
    with sealed.open("rb") as stream:
        command = [str(tool), "decrypt", "--sk", str(running.world.keys / "hkust")]
        with subprocess.Popen(command, stdin=stream, stdout=subprocess.PIPE) as stock:
            assert stock.stdout is not None
            while piece := stock.stdout.read(PIECE):
                opened.update(piece)
    print(f"{mebibytes} MiB received in {received - began:.1f} s ({mebibytes / (received - began):.0f} MiB/s)")
    print(f"delivered {delivered - received:.1f} s later")
    print(f"gateway's peak resident memory: {peak:.0f} MiB (idle before: {before:.0f} MiB)")
    print(f"opened with crypt4gh: {'same bytes' if opened.hexdigest() == digest else 'OTHER BYTES'}")
    if opened.hexdigest() != digest:
        raise SystemExit(1)
