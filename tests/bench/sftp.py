"""OpenSSH's client to our SFTP door, with the full pass, and to OpenSSH's own server that writes plain files.

    python -m tests.bench sftp [MiB] [rounds]

Both on this machine, interleaved in one run, the same cipher for both. Prints medians in MB/s and their ratio for random
data, FASTQ-like text and CSV, files a second for small files, four clients at once, and the gateway's peak memory.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from certs.keyfiles import make_key_folder
from certs.sshkeys import make_ssh_key
from gateway.cli.demo.world import free_port
from tests.bench.large_file import peak_mebibytes, write_table
from tests.interop.sftp_world import BASE, SftpWorld, make_world, need

CIPHER = "aes256-gcm@openssh.com"
SMALL = 1000
CLIENTS = 4


class OpenSsh:
    """OpenSSH's sshd with its internal-sftp, for this user, on loopback."""

    def __init__(self, folder: Path, user_key: Path) -> None:
        keys = make_key_folder(folder / "sshd")
        make_ssh_key(keys, "host", "host")
        self.port = free_port()
        self.drop = folder / "drop"
        self.drop.mkdir()
        allowed = keys / "authorized_keys"
        allowed.write_text(user_key.with_suffix(".pub").read_text("utf-8"))
        (keys / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {keys / 'host'}\nAuthorizedKeysFile {allowed}\n"
            "Subsystem sftp internal-sftp\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nMaxStartups 50\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [need("sshd"), "-D", "-e", "-f", str(keys / "config")], stderr=subprocess.DEVNULL
        )
        (folder / "known_openssh").write_text(
            f"[127.0.0.1]:{self.port} {' '.join((keys / 'host.pub').read_text('utf-8').split()[:2])}\n"
        )
        self.options = [
            "-F", "none", "-o", f"IdentityFile={user_key}", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={folder / 'known_openssh'}", "-P", str(self.port),
        ]  # fmt: skip

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def put(options: list[str], commands: str) -> subprocess.Popen[bytes]:
    """A client that carries out a batch."""
    program = [need("sftp"), "-q", "-c", CIPHER, *options, "-b", "-", "127.0.0.1"]
    running = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert running.stdin is not None
    running.stdin.write(commands.encode())
    running.stdin.close()
    return running


def timed(starts: list[Callable[[], subprocess.Popen[bytes]]]) -> float:
    began = time.monotonic()
    for client in [start() for start in starts]:
        if client.wait(600):
            raise SystemExit("a client failed")
    return time.monotonic() - began


def write_random(path: Path, mebibytes: int) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(mebibytes << 20))


def write_reads(path: Path, mebibytes: int) -> None:
    """FASTQ-like text: a name, bases, a plus, qualities."""
    chance = np.random.default_rng(2)
    bases = chance.choice(np.frombuffer(b"ACGT", np.uint8), 4000 * 150).tobytes()
    quality = chance.integers(33, 74, 4000 * 150, dtype=np.uint8).tobytes()
    reads = [
        b"@read.%d\n%s\n+\n%s\n" % (n, bases[n * 150 : n * 150 + 150], quality[n * 150 : n * 150 + 150])
        for n in range(4000)
    ]
    block = b"".join(reads)
    path.write_bytes((block * ((mebibytes << 20) // len(block) + 1))[: mebibytes << 20])


def main(mebibytes: int = 64, rounds: int = 3) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        folder = Path(scratch)
        world = make_world(folder / "world")
        openssh = OpenSsh(folder, world.key)
        try:
            _run(world, openssh, folder, mebibytes, rounds)
        finally:
            openssh.stop()
            world.running.world.stop()


def _run(world: SftpWorld, openssh: OpenSsh, folder: Path, mebibytes: int, rounds: int) -> None:
    files = {name: folder / f"{name}.dat" for name in ("random", "fastq", "csv")}
    write_random(files["random"], mebibytes)
    write_reads(files["fastq"], mebibytes)
    write_table(files["csv"], mebibytes)
    ours = world.options()
    timed([lambda: put(ours, f"mkdir {BASE}/bench\n")])
    for name, file in files.items():
        megabytes = file.stat().st_size / 1e6
        pairs = []
        for number in range(rounds):
            suffix = {"random": "bin", "fastq": "fastq", "csv": "csv"}[name]
            target = f"{BASE}/bench/{name}{number}.{suffix}"
            theirs = f"{openssh.drop}/{name}{number}"
            pairs.append(
                (
                    timed([lambda file=file, target=target: put(ours, f"put {file} {target}\n")]),
                    timed([lambda file=file, theirs=theirs: put(openssh.options, f"put {file} {theirs}\n")]),
                )
            )
            Path(theirs).unlink()
        tell(name, [megabytes / mine for mine, _ in pairs], [megabytes / their for _, their in pairs], "MB/s")
    _many(world, openssh, files["random"], mebibytes)
    _small(world, openssh, folder)
    gateway = world.running.world.gateway
    assert gateway is not None
    print(f"gateway's peak resident memory: {peak_mebibytes(gateway.pid):.0f} MiB")


def _many(world: SftpWorld, openssh: OpenSsh, file: Path, mebibytes: int) -> None:
    megabytes = CLIENTS * (mebibytes << 20) / 1e6
    ours, theirs = world.options(), openssh.options
    mine = timed([lambda n=n: put(ours, f"put {file} {BASE}/bench/many{n}.bin\n") for n in range(CLIENTS)])
    other = timed([lambda n=n: put(theirs, f"put {file} {openssh.drop}/many{n}\n") for n in range(CLIENTS)])
    tell(f"{CLIENTS} clients", [megabytes / mine], [megabytes / other], "MB/s")


def _small(world: SftpWorld, openssh: OpenSsh, folder: Path) -> None:
    source = folder / "small"
    source.mkdir()
    for number in range(SMALL):
        (source / f"f{number}.csv").write_bytes(b"u,v\n" + b"%d,1\n" % number * 200)
    (openssh.drop / "small").mkdir()
    mine = timed([lambda: put(world.options(), f"mkdir {BASE}/small\nput -r {source}/* {BASE}/small/\n")])
    other = timed([lambda: put(openssh.options, f"put -r {source}/* {openssh.drop}/small/\n")])
    tell(f"{SMALL} files of 1 kB", [SMALL / mine], [SMALL / other], "files/s")


def tell(name: str, mine: list[float], theirs: list[float], unit: str) -> None:
    ours, other = statistics.median(mine), statistics.median(theirs)
    print(f"{name:>20}: {ours:7.1f} {unit}, OpenSSH {other:7.1f} {unit}, ratio {ours / other:.2f}", flush=True)
