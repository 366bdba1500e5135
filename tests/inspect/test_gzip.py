"""GZIP: read as what it holds; what follows it, or breaks it, is no clean verdict."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLE = "name,id_number\n" + "".join(f"x,{i}\n" for i in ("11010519491231002X", "440300199001011238") * 3)


def inspected(content: bytes, path: str = "people.csv.gz", limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, load_detector_tables(), limits or Limits())


def test_a_compressed_table_is_read_like_the_table():
    found = inspected(gzip.compress(TABLE.encode()))
    assert found.inspectable
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)
    assert {f.kind for f in found.findings} >= {"cn_resident_id"}


def test_members_are_one_content():
    half = len(TABLE) // 2
    found = inspected(gzip.compress(TABLE[:half].encode()) + gzip.compress(TABLE[half:].encode()))
    assert found.inspectable
    assert found.persons.nonsensitive == 2


def test_appended_bytes_are_a_gap():
    packed = gzip.compress(b"plain words\n")
    found = inspected(packed + b"hidden", "note.txt.gz")
    assert not found.inspectable
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(packed)}-{len(packed) + 6}"]


@pytest.mark.parametrize("cut", [1, 8, 12])
def test_a_broken_member_is_uninspectable(cut):
    found = inspected(gzip.compress(TABLE.encode())[:-cut])
    assert not found.inspectable
    assert found.level in {"unknown", "important_suspected", "secret"}


def test_a_bomb_ends_as_a_finding():
    bomb = zlib.compressobj(9, wbits=31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    found = inspected(packed, "x.gz", Limits(spared=1 << 20, ratio=10))
    assert not found.inspectable
    assert "archive_limit" in {f.kind for f in found.findings}


def test_gzip_within_gzip_ends_at_a_depth():
    packed = b"words\n"
    for _ in range(9):
        packed = gzip.compress(packed)
    found = inspected(packed, "x.gz")
    assert not found.inspectable
    assert "archive_limit" in {f.kind for f in found.findings}


def test_the_stored_name_is_data():
    found = inspected(
        gzip.compress(b"words\n")[:3]
        + b"\x08"
        + gzip.compress(b"words\n")[4:10]
        + "机密★10年.txt".encode()
        + b"\0"
        + gzip.compress(b"words\n")[10:]
    )
    assert found.inspectable or found.level != "general"
