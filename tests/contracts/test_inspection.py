"""What every `gateway.ports.Inspection` promises, run by the worker processes and the fake."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from gateway.core.errors import BrokenPromise
from gateway.inspect.process import Workers
from gateway.ports import Inspection
from gateway.stores.detectors import read_documents
from gateway.wire import crypt4gh
from tests.fakes.inspection import FakeInspection

TABLES = read_documents()
KEYS = (bytes(range(32)), bytes(range(1, 33)))
ROWS = b"".join(b"N%d %s,\n" % (i, os.urandom(4).hex().encode()) for i in range(10_000))
PLAIN = gzip.compress(b"name,id_number\nA,11010519491231002X\nB,440300199001011238\n" + ROWS)


@pytest.fixture(params=["workers", "fake"])
def inspection(request: pytest.FixtureRequest) -> Inspection:
    return Workers(TABLES) if request.param == "workers" else FakeInspection()


def sealed(plain: bytes, key: bytes) -> bytes:
    out = bytearray(crypt4gh.cipher_size(len(plain)))
    crypt4gh.SegmentSealer(key).seal_into(plain, os.urandom(12 * -(-len(plain) // crypt4gh.SEGMENT)), out)
    return bytes(out)


@pytest.fixture
def parts(tmp_path: Path):
    """A file in two parts under two keys, the first of them longer than what counts."""
    cut = crypt4gh.SEGMENT
    for name, body in (
        ("0", sealed(PLAIN[:cut], KEYS[0]) + b"left over"),
        ("1", sealed(PLAIN[cut:], KEYS[1])),
    ):
        (tmp_path / name).write_bytes(body)
    with (tmp_path / "0").open("rb") as first, (tmp_path / "1").open("rb") as second:
        yield [(first, crypt4gh.CIPHER_SEGMENT), (second, crypt4gh.cipher_size(len(PLAIN) - cut))]


def test_it_knows_what_it_reads(inspection):
    assert inspection.reads("gzip")
    assert not inspection.reads("unknown")
    assert not inspection.reads("")


def test_a_sealed_file_is_read_whole(inspection, parts):
    with inspection.open() as inspecting:
        found = inspecting.inspect("people.csv.gz", parts, KEYS)
    assert (found.path, found.size, found.inspectable) == ("people.csv.gz", len(PLAIN), True)
    assert found.persons.nonsensitive == 10_002
    assert found.people[0].values["cn_resident_id"].size == 2


def test_the_wrong_key_is_a_broken_promise(inspection, parts):
    with inspection.open() as inspecting, pytest.raises(BrokenPromise):
        inspecting.inspect("people.csv.gz", parts, KEYS[:1])


def test_one_file_after_another(inspection, parts):
    with inspection.open() as inspecting:
        for name in ("a.csv.gz", "b.csv.gz"):
            for part, _ in parts:
                part.seek(0)
            assert inspecting.inspect(name, parts, KEYS).path == name


def test_stopping_without_anything_at_hand_does_nothing(inspection):
    with inspection.open() as inspecting:
        inspecting.stop()
