"""How fast the classifier reads, one core: `python -m tests.bench.scan [MiB]`. Seeded; not a test.

The kinds of text: a cohort table (an identifier or two among other columns), a table of hardly anything but identifiers,
reads with binned and with full quality values, base64 and random bytes. The time of `close` (sorting distinct persons)
and of keyed digests stands apart.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from gateway.core.classify import Classifier
from gateway.core.persons import keyed_digests
from gateway.stores.detectors import load_detector_tables

PIECE = 1 << 20
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


def reads(rng: np.random.Generator, count: int, qualities: bytes) -> bytes:
    bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), (count, 150))
    quality = rng.choice(np.frombuffer(qualities, np.uint8), (count, 150))
    return b"".join(
        b"@A00123:45:HXXXXDSX2:1:1101:%d:%d 1:N:0:ATCACG\n%b\n+\n%b\n" % (i % 32000, i % 3000, b.tobytes(), q.tobytes())
        for i, (b, q) in enumerate(zip(bases, quality, strict=True))
    )


def samples(seed: int = 20261120) -> dict[str, tuple[str, bytes]]:
    """Name of a file and a few megabytes of its content by the kind of text."""
    rng = np.random.default_rng(seed)
    raw = rng.bytes(6_000_000)
    return {
        "cohort table": ("cohort.csv", cohort(rng, 40_000)),
        "identifiers only": ("ids.csv", identifiers(rng, 80_000)),
        "reads, binned quality": ("a.fastq", reads(rng, 20_000, b"F:,#")),
        "reads, full quality": ("a.fastq", reads(rng, 20_000, bytes(range(33, 74)))),
        "base64": ("a.txt", base64.encodebytes(raw)),
        "random bytes": ("a.bin", raw),
    }


def measure(name: str, data: bytes, size: int) -> tuple[float, float, float, int]:
    """MB/s of feeding, seconds of closing, seconds of digests, persons."""
    tables, repeats = load_detector_tables(), max(size // len(data), 1)
    classifier = Classifier(name, tables)
    begun = time.process_time()
    for _ in range(repeats):
        for at in range(0, len(data), PIECE):
            classifier.feed(data[at : at + PIECE])
    fed = time.process_time()
    found = classifier.close()
    closed = time.process_time()
    keyed_digests(found.identifiers, bytes(32))
    rate = repeats * len(data) / (fed - begun) / 1e6
    return rate, closed - fed, time.process_time() - closed, found.identifiers.count


def sha256_rate() -> float:
    """MB/s of SHA-256 in the same run: what the machine can do just now."""
    data, begun = bytes(64 << 20), time.process_time()
    hashlib.sha256(data).digest()
    return len(data) / (time.process_time() - begun) / 1e6


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 128) << 20
    table = Table("text", "MB/s", "close s", "digests s", "persons", title=f"scan, {size >> 20} MiB each, one core")
    for kind, (name, data) in samples().items():
        rate, closing, digesting, persons = measure(name, data, size)
        table.add_row(kind, f"{rate:,.0f}", f"{closing:.3f}", f"{digesting:.3f}", f"{persons:,}")
    table.caption = f"SHA-256 in the same run: {sha256_rate():,.0f} MB/s"
    Console().print(table)


if __name__ == "__main__":
    main()
