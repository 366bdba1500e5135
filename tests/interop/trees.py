"""Trees of many small files, the whole way: made, sent by strangers' clients, delivered, opened at the Hong Kong side.

What it is not: a test or a bench; both use it (`test_trees.py` with few files, `tests/bench/folders.py` with all).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from gateway.wire import crypt4gh
from tests.interop.sftp_world import DECLARATION, SftpWorld, need

HUNDRED = 100  # files a folder, about what instruments write
AT_ONCE = 8  # transfers of one rclone
STOCK = 20  # files that the stock crypt4gh tool opens too
LAST = "transfer.key_destroyed"


@dataclass(frozen=True)
class Place:
    """A recipient, and where what it receives lies."""

    endpoint: str
    project: str
    key: str
    arrived: str

    def outbox(self, dataset: str) -> str:
        return f"/outbox/{self.endpoint}/{self.project}/{dataset}"


BY_SFTP = Place("hku-genomics", "island-ecology", "hku", "hong-kong-hku/in")
BY_DIRECTORY = Place("hkust-imaging", "phantom-scans", "hkust", "hong-kong-hkust")


@dataclass
class Sent:
    """What came of a tree.

    Attributes:
        files: How many, the declaration included.
        plain: Plaintext bytes.
        seconds: By step: `upload`, `submit`, each stage of the gateway, `open` (all files, at the Hong Kong side).
    """

    files: int
    plain: int
    seconds: dict[str, float] = field(default_factory=dict)


def mixed_sizes(count: int, *, least: int = 1_000, most: int = 20_000) -> list[int]:
    """Sizes whose logarithms are spread evenly, as those of a real tree roughly are."""
    chance = np.random.default_rng(20261122)
    return [int(size) for size in np.exp(chance.uniform(np.log(least), np.log(most), count))]


def write_tree(folder: Path, sizes: list[int]) -> dict[str, str]:
    """Tables of numbers, no two alike, a hundred a folder, and a declaration; returns path to SHA-256."""
    block = b"".join(b"0.%04d,0.%04d\n" % (n * 7919 % 9973, n * 104_729 % 9967) for n in range(2_000))
    made = {}
    for number, size in enumerate(sizes):
        path = f"run{number // HUNDRED:03d}/table{number % HUNDRED:02d}.csv"
        start = 14 * (number % 500)
        content = (b"u,v\n0.%04d,0.%04d\n" % divmod(number, 10_000) + block[start:] * 2)[: size - 1] + b"\n"
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        made[path] = hashlib.sha256(content).hexdigest()
    (folder / "declaration.toml").write_text(DECLARATION)
    return made


def send_tree(world: SftpWorld, place: Place, dataset: str, sizes: list[int], *, patience: float) -> Sent:
    """The whole way of one tree; raises AssertionError where anything at the Hong Kong side is not what was sent."""
    source = world.folder / dataset
    made = write_tree(source, sizes)
    sent = Sent(len(made), sum(sizes))
    began = time.monotonic()
    _upload(world, source, place.outbox(dataset), patience)
    sent.seconds["upload"] = time.monotonic() - began
    began = time.monotonic()
    (world.folder / "SUBMIT").touch()
    world.sftp(f"put {world.folder}/SUBMIT {place.outbox(dataset)}/SUBMIT")
    sent.seconds["submit"] = time.monotonic() - began
    _until_receipted(world, place, dataset, patience)
    sent.seconds |= _stages(world, dataset, patience)
    began = time.monotonic()
    _open_all(world, place, dataset, made)
    sent.seconds["open"] = time.monotonic() - began
    shutil.rmtree(source)
    return sent


# --- sending ---------------------------------------------------------------------------------------------------------


def _upload(world: SftpWorld, source: Path, outbox: str, patience: float) -> None:
    """By rclone with several transfers at once; without it by as many of OpenSSH's clients, each with some folders."""
    if shutil.which("rclone") is None:
        _upload_by_openssh(world, source, outbox, patience)
        return
    known = next(word for word in world.options() if word.startswith("UserKnownHostsFile=")).partition("=")[2]
    remote = f":sftp,host=127.0.0.1,port={world.port},user=sz-genomics,key_file={world.key},known_hosts_file={known}:"
    command = [
        need("rclone"), "copy", str(source), remote + outbox, "--config", "/dev/null", "--retries", "1",
        "--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE), "--sftp-concurrency", "64",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    assert done.returncode == 0, done.stderr


def _upload_by_openssh(world: SftpWorld, source: Path, outbox: str, patience: float) -> None:
    world.sftp(f"mkdir {outbox}\nput {source}/declaration.toml {outbox}/declaration.toml")
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    clients = min(AT_ONCE, len(folders))
    running = []
    for share in (folders[number::clients] for number in range(clients)):
        command = [need("sftp"), "-q", *world.options(), "-b", "-", "127.0.0.1"]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert client.stdin is not None
        client.stdin.write("".join(f"put -r {each} {outbox}/\n" for each in share))
        client.stdin.close()
        running.append(client)
    assert [client.wait(patience) for client in running] == [0] * clients


# --- what became of it -----------------------------------------------------------------------------------------------


def _until_receipted(world: SftpWorld, place: Place, dataset: str, patience: float) -> None:
    target, deadline = world.folder / "status.txt", time.monotonic() + patience
    said = ""
    while "(receipted)" not in said:
        assert time.monotonic() < deadline, said
        assert not any(f"({end})" in said for end in ("held", "refused", "failed", "expired")), said
        world.running.world.check_gateway()
        time.sleep(0.2)
        world.sftp(f"get /status/{place.endpoint}/{place.project}/{dataset}.txt {target}")
        said = target.read_text("utf-8")


def _stages(world: SftpWorld, dataset: str, patience: float) -> dict[str, float]:
    """Seconds from each fact to the next, by the ledger's own times, until the last key is destroyed."""
    deadline = time.monotonic() + patience
    while LAST not in (at := _facts(world, dataset)):
        assert time.monotonic() < deadline, at
        time.sleep(0.2)
    order = list(at)[list(at).index("transfer.submitted") :]
    return {
        later.partition(".")[2]: (at[later] - at[earlier]).total_seconds()
        for earlier, later in itertools.pairwise(order)
    }


def _facts(world: SftpWorld, dataset: str) -> dict[str, datetime]:
    """Tag to time, in the ledger's order."""
    query = (
        "SELECT tag, at FROM entries JOIN transfers ON transfers.id = entries.subject"
        ' WHERE transfers.dataset = ? ORDER BY entries."index"'
    )
    with contextlib.closing(sqlite3.connect(world.running.world.config.parent / "data" / "gateway.db")) as database:
        return {tag: datetime.fromisoformat(at) for tag, at in database.execute(query, (dataset,))}


def _open_all(world: SftpWorld, place: Place, dataset: str, made: Mapping[str, str]) -> None:
    """Open every sealed file with the recipient's key and compare digests; a sample with the stock tool too."""
    here = world.running.world
    arrived = here.folder / place.arrived / "sz-genomics" / place.project / dataset / "v1"
    found = {path.relative_to(arrived).as_posix() for path in arrived.rglob("*.c4gh")}
    assert found == {f"{path}.c4gh" for path in (*made, "declaration.toml")}
    private = crypt4gh.parse_private_key((here.keys / place.key).read_bytes())
    for path, digest in made.items():
        assert hashlib.sha256(_opened((arrived / f"{path}.c4gh").read_bytes(), private)).hexdigest() == digest, path
    for path in list(made)[:: max(1, len(made) // STOCK)][:STOCK]:
        assert _stock_digest(arrived / f"{path}.c4gh", here.keys / place.key) == made[path], path


def _opened(sealed: bytes, private: bytes) -> bytes:
    length = crypt4gh.header_length(sealed)
    assert length is not None
    header = crypt4gh.open_header(sealed[:length], private)
    return crypt4gh.SegmentOpener(header.session_keys).open(sealed[length:])


def _stock_digest(sealed: Path, key: Path) -> str:
    command = [str(Path(sys.executable).with_name("crypt4gh")), "decrypt", "--sk", str(key)]
    with sealed.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, timeout=60, check=True)
    return hashlib.sha256(done.stdout).hexdigest()
