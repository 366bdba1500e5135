"""OpenSSH's client to our SFTP door, with the full pass, and to two servers that write plain files.

    python -m tests.bench sftp [MiB] [rounds]

The others are OpenSSH's own server and, where rclone is installed, `rclone serve sftp`. All on this machine, interleaved
in one run, the same client and cipher for all. The standard run, which figures in documents come from, is 256 MiB and 5
rounds. Prints medians in MB/s and our ratio to each for random data, FASTQ-like text and CSV, files a second for small
files, four clients at once, and the gateway's peak memory. Memory under eight large uploads: `python -m tests.bench rss`.
"""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from certs.keyfiles import make_key_folder
from certs.sshkeys import make_ssh_key
from gateway.cli.demo.world import free_port
from tests.bench.large_file import peak_mebibytes, write_table
from tests.interop.sftp_world import BASE, make_world, need

CIPHER = "aes128-gcm@openssh.com"  # rclone has no 256-bit one of this kind
SMALL = 1000
CLIENTS = 4


@dataclass
class Server:
    """Somebody who takes files by SFTP.

    Attributes:
        name: As figures name it.
        options: What OpenSSH's sftp is told to reach it.
        base: The folder files go to, as its clients name it.
        process: The server, where it is not the gateway.
        drop: Where the files lie, where they are plain.
    """

    name: str
    options: list[str]
    base: str
    process: subprocess.Popen[bytes] | None = None
    drop: Path | None = None

    def discard(self, name: str) -> None:
        """Make room again; the gateway's draft keeps what it was sent."""
        if self.drop is not None:
            (self.drop / name).unlink()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


def openssh(folder: Path, user_key: Path) -> Server:
    """OpenSSH's sshd with its internal-sftp, for this user, on loopback."""
    keys, port, drop, options = _others(folder / "openssh", user_key)
    (keys / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys / 'host'}\nAuthorizedKeysFile {keys / 'allowed'}\n"
        "Subsystem sftp internal-sftp\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nMaxStartups 50\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [need("sshd"), "-D", "-e", "-f", str(keys / "config")]
    return Server("OpenSSH", options, str(drop), started(command, port), drop)


def rclone(folder: Path, user_key: Path) -> Server | None:
    """`rclone serve sftp` over a plain folder; None where rclone is not installed."""
    program = shutil.which("rclone")
    if program is None:
        print("rclone is not installed: left out")
        return None
    keys, port, drop, options = _others(folder / "rclone", user_key)
    command = [
        program, "serve", "sftp", str(drop), "--addr", f"127.0.0.1:{port}", "--key", str(keys / "host"),
        "--authorized-keys", str(keys / "allowed"), "--config", "/dev/null",
    ]  # fmt: skip
    return Server("rclone", options, "", started(command, port), drop)


def _others(folder: Path, user_key: Path) -> tuple[Path, int, Path, list[str]]:
    """Keys, a port, a folder for files, and the client's options of a server that is not ours."""
    drop, port = folder / "drop", free_port()
    drop.mkdir(parents=True)
    keys = make_key_folder(folder / "keys")
    make_ssh_key(keys, "host", "host")
    (keys / "allowed").write_text(user_key.with_suffix(".pub").read_text("utf-8"))
    known = keys / "known"
    known.write_text(f"[127.0.0.1]:{port} {' '.join((keys / 'host.pub').read_text('utf-8').split()[:2])}\n")
    options = [
        "-F", "none", "-o", f"IdentityFile={user_key}", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
        "-o", f"UserKnownHostsFile={known}", "-P", str(port),
    ]  # fmt: skip
    return keys, port, drop, options


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} does not listen") from None
            time.sleep(0.05)
        else:
            return process


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
    left = mebibytes << 20
    with path.open("wb") as opened:
        while left:
            left -= opened.write(block[:left])


def main(mebibytes: int = 64, rounds: int = 3) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as scratch:
        folder = Path(scratch)
        world = make_world(folder / "world")
        servers = [Server("gateway", world.options(), f"{BASE}/bench")]
        try:
            servers.append(openssh(folder, world.key))
            if found := rclone(folder, world.key):
                servers.append(found)
            _run(servers, folder, mebibytes, rounds)
            gateway = world.running.world.gateway
            assert gateway is not None
            print(f"gateway's peak resident memory: {peak_mebibytes(gateway.pid):.0f} MiB")
        finally:
            for server in servers:
                server.stop()
            world.running.world.stop()


def _run(servers: list[Server], folder: Path, mebibytes: int, rounds: int) -> None:
    files = {"random.bin": write_random, "reads.fastq": write_reads, "table.csv": write_table}
    timed([lambda: put(servers[0].options, f"mkdir {servers[0].base}\n")])
    for name, write in files.items():
        write(folder / name, mebibytes)
        speeds: dict[str, list[float]] = {server.name: [] for server in servers}
        for number in range(rounds):
            for server in servers:
                speeds[server.name].append(_one(server, folder / name, f"{number}-{name}"))
        tell(name, speeds, "MB/s")
    _many(servers, folder / "random.bin")
    _small(servers, folder)


def _one(server: Server, file: Path, name: str) -> float:
    """MB/s of one upload by one client."""
    seconds = timed([lambda: put(server.options, f"put {file} {server.base}/{name}\n")])
    server.discard(name)
    return file.stat().st_size / 1e6 / seconds


def _many(servers: list[Server], file: Path) -> None:
    megabytes = CLIENTS * file.stat().st_size / 1e6
    speeds = {}
    for server in servers:
        batches = [f"put {file} {server.base}/many{number}.bin\n" for number in range(CLIENTS)]
        seconds = timed([lambda server=server, batch=batch: put(server.options, batch) for batch in batches])
        speeds[server.name] = [megabytes / seconds]
    tell(f"{CLIENTS} clients", speeds, "MB/s")


def _small(servers: list[Server], folder: Path) -> None:
    source = folder / "small"
    source.mkdir()
    for number in range(SMALL):
        (source / f"f{number}.csv").write_bytes(b"u,v\n" + b"%d,1\n" % number * 200)
    speeds = {}
    for server in servers:
        batch = f"mkdir {server.base}/small\nput -r {source}/* {server.base}/small/\n"
        speeds[server.name] = [SMALL / timed([lambda server=server, batch=batch: put(server.options, batch)])]
    tell(f"{SMALL} files of 1 kB", speeds, "files/s")


def tell(name: str, speeds: dict[str, list[float]], unit: str) -> None:
    (_, ours), *others = ((server, statistics.median(found)) for server, found in speeds.items())
    told = "".join(f"; {server} {speed:7.1f}, ratio {ours / speed:.2f}" for server, speed in others)
    print(f"{name:>20}: {ours:7.1f} {unit}{told}", flush=True)
