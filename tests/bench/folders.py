"""Trees of many small files, the whole way from Shenzhen to Hong Kong, every one of them opened there.

    python -m tests.bench folders [files of 1-20 kB] [files of 1 kB]

The first tree goes to a recipient's directory, the second to a recipient's SFTP server. Prints files a second for the
upload (rclone, eight transfers at once; OpenSSH's clients without it), seconds of every stage by the ledger's own times,
and the gateway's peak memory. A file that is not what was sent ends it with an error.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.large_file import peak_mebibytes
from tests.interop.sftp_world import SftpWorld, make_world
from tests.interop.trees import BY_DIRECTORY, BY_SFTP, Place, mixed_sizes, send_tree

PATIENCE = 3600  # seconds a step may take


def main(mixed: int = 3_000, small: int = 10_000) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        world = make_world(Path(scratch) / "world")
        try:
            for name, place, sizes in (
                ("mixed", BY_DIRECTORY, mixed_sizes(mixed)),
                ("small", BY_SFTP, [1_000] * small),
            ):
                if sizes:
                    _run(world, name, place, sizes)
        finally:
            world.running.world.stop()


def _run(world: SftpWorld, name: str, place: Place, sizes: list[int]) -> None:
    sent = send_tree(world, place, name, sizes, patience=PATIENCE)
    gateway = world.running.world.gateway
    assert gateway is not None
    print(f"{name}: {sent.files} files, {sent.plain / 1e6:.1f} MB, to {place.endpoint}; every digest is right there")
    print(f"{'upload':>14}: {sent.files / sent.seconds['upload']:7.1f} files/s")
    for stage, seconds in sent.seconds.items():
        print(f"{stage:>14}: {seconds:7.1f} s")
    print(f"{'peak memory':>14}: {peak_mebibytes(gateway.pid):7.0f} MiB", flush=True)
