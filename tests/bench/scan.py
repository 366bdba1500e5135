"""How fast the classifier reads, one core: `python -m tests.bench scan [MiB [KiB [rounds]]]`. Seeded; not a test.

The kinds of text: a cohort table (an identifier or two among other columns), tables of hardly anything but identifiers
(80,000 persons who come again; as many as there are lines, each once) and one of none, the numbers that the SFTP bench
sends, short lines, reads with binned and with full quality values, with CRLF and long names, prose, JSON, base64 and
random bytes. It feeds pieces of 1 MiB, or of so many KiB. Each round reads
every kind beside SHA-256 over as many bytes, and the best round counts: a machine that others use too tells less in MB/s
than in the ratio. The time of `close` (sorting distinct persons) and of keyed digests stands apart, and so does what a
whole small file takes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from gateway.core.classify import Classifier
from gateway.core.persons import keyed_digests
from gateway.inspect.allocator import CLASSIFYING, keep_freed_memory
from gateway.stores.detectors import load_detector_tables
from tests.bench.large_file import write_table

_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])


def residents(rng: np.random.Generator, count: int) -> list[str]:
    parts = zip(
        rng.choice(["110105", "440300", "310101", "510104"], count),
        rng.integers(1950, 2010, count),
        rng.integers(1, 13, count),
        rng.integers(1, 29, count),
        rng.integers(1, 1000, count),
        strict=True,
    )
    bodies = [f"{region}{year}{month:02d}{day:02d}{turn:03d}" for region, year, month, day, turn in parts]
    digits = np.array([list(body.encode()) for body in bodies]) - 48
    return [body + "10X98765432"[check] for body, check in zip(bodies, digits @ _WEIGHTS % 11, strict=True)]


def cohort(rng: np.random.Generator, rows: int) -> bytes:
    people, phones = residents(rng, rows), rng.integers(0, 10**8, rows)
    lines = (
        f"{i:06d},张伟,{people[i]},139{phones[i]:08d},男,2026-03-{i % 28 + 1:02d},深圳市南山区科技园南区{i % 500}号,"
        f"高血压,{i % 60 + 90}/{i % 40 + 60},5.{i % 10},36.{i % 10},visit note {i % 97} stable\n"
        for i in range(rows)
    )
    return ("seq,姓名,身份证号,手机,性别,日期,住址,诊断,血压,血糖,体温,note\n" + "".join(lines)).encode()


def identifiers(rng: np.random.Generator, rows: int) -> bytes:
    people, phones = residents(rng, rows), rng.integers(0, 10**8, rows)
    lines = (f"{i},{people[i]},138{phones[i]:08d},{i % 97}\n" for i in range(rows))
    return ("seq,id,mobile,n\n" + "".join(lines)).encode()


def strangers(rng: np.random.Generator, size: int) -> bytes:
    """A table like `identifiers` in which no number comes twice; every line has the same length."""
    rows = size // 38
    regions, days = np.array([110105, 440300, 310101, 510104]), 55 * 12 * 28
    person = _distinct(rng, 4 * days * 999, rows)
    day, turn, region = person // 999 % days, person % 999 + 1, regions[person // (999 * days)]
    date = (1950 + day // 336) * 10_000 + (day // 28 % 12 + 1) * 100 + day % 28 + 1
    body = np.hstack([_digits(region, 6), _digits(date, 8), _digits(turn, 3)])
    check = np.frombuffer(b"10X98765432", np.uint8)[(body - 48) @ _WEIGHTS % 11]
    mobile = _distinct(rng, 10**8, rows)
    between, end = np.full((rows, 1), ord(","), np.uint8), np.full((rows, 1), ord("\n"), np.uint8)
    cells = [
        _digits(np.arange(rows), 6),
        between,
        body,
        check[:, None],
        between,
        _digits(13_800_000_000 + mobile, 11),
        end,
    ]
    return b"seq,id,mobile\n" + np.hstack(cells).tobytes()


def _distinct(rng: np.random.Generator, below: int, count: int) -> npt.NDArray[np.int64]:
    """So many different numbers in no order."""
    some = np.sort(rng.integers(0, below, count + count // 8))
    return rng.permutation(some[np.flatnonzero(np.diff(some, prepend=-1))])[:count]


def _digits(numbers: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    return (numbers[:, None] // 10 ** np.arange(width)[::-1] % 10 + 48).astype(np.uint8)


def reads(rng: np.random.Generator, count: int, qualities: bytes) -> bytes:
    bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), (count, 150))
    quality = rng.choice(np.frombuffer(qualities, np.uint8), (count, 150))
    return b"".join(
        b"@A00123:45:HXXXXDSX2:1:1101:%d:%d 1:N:0:ATCACG\n%b\n+\n%b\n" % (i % 32000, i % 3000, b.tobytes(), q.tobytes())
        for i, (b, q) in enumerate(zip(bases, quality, strict=True))
    )


def measurements(rng: np.random.Generator, rows: int) -> bytes:
    values = rng.integers(0, 10**7, rows).tolist()
    lines = (
        f"s{n % 97},BRCA{n % 9},{v / 1e5:.4f},{v % 1000 / 100},{n % 30},group {n % 3}\n" for n, v in enumerate(values)
    )
    return ("sample,gene,mean,sd,n,label\n" + "".join(lines)).encode()


def sent_table() -> bytes:
    """What the SFTP bench sends as a table."""
    with tempfile.TemporaryDirectory(prefix="hetao-bench-") as folder:
        write_table(Path(folder) / "table.csv", 4)
        return (Path(folder) / "table.csv").read_bytes()


def objects(rng: np.random.Generator, count: int) -> list[dict[str, object]]:
    values = rng.integers(0, 10**8, count).tolist()
    return [{"id": n, "value": v, "note": "stable at visit"} for n, v in enumerate(values)]


def samples(size: int, seed: int = 20261120) -> dict[str, tuple[str, bytes]]:
    """Name of a file and a few megabytes of its content by the kind of text; of new identifiers as many as are fed."""
    rng = np.random.default_rng(seed)
    raw = rng.bytes(6_000_000)
    binned, table, some = reads(rng, 20_000, b"F:,#"), measurements(rng, 60_000), objects(rng, 40_000)
    return {
        "cohort table": ("cohort.csv", cohort(rng, 40_000)),
        "identifiers only": ("ids.csv", identifiers(rng, 80_000)),
        "identifiers only, all new": ("new.csv", strangers(np.random.default_rng(seed), size)),
        "table without identifiers": ("measured.csv", table),
        "numbers, as by SFTP": ("table.csv", sent_table()),
        "short lines": ("short.txt", b"%s\n" % b"\n".join(b"%09d" % n for n in range(700_000))),
        "short lines of a table": (
            "short.csv",
            b"a,b\n" + b"".join(b"%d,%d\n" % (n % 997, n % 89) for n in range(700_000)),
        ),
        "reads, binned quality": ("a.fastq", binned),
        "reads, full quality": ("a.fastq", reads(rng, 20_000, bytes(range(33, 74)))),
        "reads, CRLF": ("a.fastq", binned.replace(b"\n", b"\r\n")),
        "reads, long names": ("a.fastq", binned.replace(b" 1:N:0", b" sample/barcode=" + b"x" * 80 + b" 1:N:0")),
        "prose, English": (
            "a.txt",
            ("The patient was seen on Tuesday with a cough and mild fever; stable. " * 9 + "\n").encode() * 5000,
        ),
        "prose, Chinese": (
            "a.txt",
            ("患者因反复发热、咳嗽三天入院，体温三十八度。初步诊断:肺炎，建议住院治疗。" * 9 + "\n").encode() * 3000,
        ),
        "JSON": ("a.json", json.dumps(some, indent=1).encode()),
        "JSON lines": ("a.ndjson", "\n".join(map(json.dumps, some)).encode()),
        "base64": ("a.txt", base64.encodebytes(raw)),
        "random bytes": ("a.bin", raw),
        "a table that ends in random bytes": ("a.csv", table[: 1 << 20] + raw[: 1 << 21]),
    }


def measure(name: str, data: bytes, size: int, piece: int) -> tuple[float, float, float, int]:
    """MB/s of feeding, seconds of closing, seconds of digests, persons."""
    tables, repeats = load_detector_tables(), max(size // len(data), 1)
    classifier = Classifier(name, tables)
    begun = time.process_time()
    for _ in range(repeats):
        for at in range(0, len(data), piece):
            classifier.feed(data[at : at + piece])
    fed = time.process_time()
    found = classifier.close()
    closed = time.process_time()
    keyed_digests(found.identifiers, bytes(32))
    rate = repeats * len(data) / (fed - begun) / 1e6
    return rate, closed - fed, time.process_time() - closed, found.identifiers.count


def sha256_rate(size: int) -> float:
    """MB/s of SHA-256 over as many bytes: what the machine can do just now."""
    data, begun = bytes(1 << 20), time.process_time()
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(data)
    return (size >> 20) * len(data) / (time.process_time() - begun) / 1e6


def small_files() -> dict[str, tuple[str, bytes]]:
    """Files whose fixed cost is all they cost; the first are those that the SFTP bench sends by the thousand."""
    return {
        "1 kB table": ("f57.csv", b"u,v\n" + b"57,1\n" * 200),
        "1 kB of reads": ("a.fastq", b"@r1 x\nACGTACGTACGT\n+\nFFFF:FF,FFFF\n" * 25),
        "1 kB of prose": ("a.txt", b"The patient was seen on Tuesday with a cough.\n" * 22),
        "1 kB of random bytes": ("a.bin", np.random.default_rng(5).bytes(1000)),
        "one line": ("a.txt", b"hello\n"),
    }


def measure_small(name: str, data: bytes, files: int = 100) -> float:
    """Milliseconds for one file, from its constructor to its findings."""
    tables, begun = load_detector_tables(), time.process_time()
    for _ in range(files):
        classifier = Classifier(name, tables)
        classifier.feed(data)
        classifier.close()
    return (time.process_time() - begun) * 1e3 / files


def best(rounds: int, run: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
    """The round that went fastest by its first figure."""
    return max((run() for _ in range(rounds)), key=lambda figures: figures[0])


def main(mebibytes: int = 32, kibibytes: int = 1024, rounds: int = 5) -> None:
    keep_freed_memory(CLASSIFYING)  # as the process that classifies does
    size, piece = mebibytes << 20, kibibytes << 10
    table = Table(
        "text",
        "MB/s",
        "of SHA-256",
        "close s",
        "digests s",
        "persons",
        title=f"scan, {mebibytes} MiB each in pieces of {kibibytes} KiB, one core, best of {rounds}",
    )
    rates = []
    for kind, (name, data) in samples(size).items():
        rate, closing, digesting, persons = best(rounds, lambda name=name, data=data: measure(name, data, size, piece))
        (peer,) = best(rounds, lambda: (sha256_rate(size),))
        rates.append(peer)
        table.add_row(kind, f"{rate:,.0f}", f"{rate / peer:.2f}", f"{closing:.3f}", f"{digesting:.3f}", f"{persons:,}")
    table.caption = f"SHA-256 in the same run: {min(rates):,.0f} to {max(rates):,.0f} MB/s"
    Console().print(table)
    for kind, (name, data) in small_files().items():
        (slowest,) = best(rounds, lambda name=name, data=data: (-measure_small(name, data),))
        print(f"{kind:>22}: {-slowest:.3f} ms, as long as SHA-256 of {-slowest * max(rates):,.0f} kB")


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
