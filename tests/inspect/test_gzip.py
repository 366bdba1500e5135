"""GZIP: read as what it holds; what follows it, or breaks it, is no clean verdict."""

from __future__ import annotations

import gzip
import zlib
from functools import cache

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


# --- header fields ------------------------------------------------------------------------------------------------------


def member(content: bytes, *, flags: int = 0, fields: bytes = b"", method: int = 8) -> bytes:
    """One member by its parts (RFC 1952 section 2.3)."""
    packed = gzip.compress(content)
    return packed[:2] + bytes([method, flags]) + packed[4:10] + fields + packed[10:]


def test_names_are_read_in_the_encoding_they_are_in_however_many_members():
    for name in (b"11010519491231002X", "张三 11010519491231002X".encode(), b"caf\xe9 11010519491231002X"):
        content = b"".join(member(b"words\n", flags=8, fields=b"part %d\0" % i) for i in range(300))
        found = inspected(content + member(b"words\n", flags=24, fields=name + b"\0" + b"note\0"), "note.txt.gz")
        assert found.inspectable
        assert [f.kind for f in found.findings] == ["cn_resident_id"], name


@pytest.mark.parametrize(
    "content",
    [
        member(b"words\n", flags=4, fields=b"\x12\0XY\x0e\0hidden letters"),
        member(b"words\n", flags=0x80),
        member(b"words\n", method=7),
        member(b"words\n", flags=8, fields=b"a" * 70_000 + b"\0"),
        member(b"words\n", flags=2, fields=b"\0\0"),
    ],
    ids=["extra field", "reserved flag", "method", "endless name", "wrong header sum"],
)
def test_headers_in_which_something_could_lie_hold_a_file(content):
    assert not inspected(content, "note.txt.gz").inspectable


# --- BGZF ---------------------------------------------------------------------------------------------------------------

VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1\tP2\n" + "".join(
    f"1\t{at}\t.\tA\tG\t.\tPASS\t.\tGT\t0/1\t1/1\n" for at in range(1, 9000)
)


@cache
def blocks() -> bytes:
    """By htslib, with its end marker of 28 bytes."""
    return pysam_written(VCF.encode())


def pysam_written(content: bytes) -> bytes:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.vcf.gz"
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(content)
        return path.read_bytes()


def test_a_bgzf_file_with_its_end_marker_is_read():
    found = inspected(blocks(), "x.vcf.gz")
    assert found.inspectable
    assert found.hgr.subjects == 2
    assert found.coverage == ((0, found.size),)


def test_a_bgzf_file_cut_at_a_block_says_that_its_end_is_missing():
    first = 1 + int.from_bytes(blocks()[16:18], "little")
    for cut in (blocks()[:-28], blocks()[:first]):
        found = inspected(cut, "x.vcf.gz")
        assert not found.inspectable
        assert [f.kind for f in found.findings if "end marker is missing" in f.where] == ["uninspectable"]


def test_gzip_that_is_only_in_part_bgzf_needs_no_end_marker():
    found = inspected(blocks()[:-28] + gzip.compress(b"1\t9001\t.\tA\tG\t.\tPASS\t.\tGT\t0/1\t1/1\n"), "x.vcf.gz")
    assert found.inspectable


def test_a_block_of_another_size_than_it_says_is_held():
    content = bytearray(blocks())
    content[16] ^= 1
    assert "media_mismatch" in {f.kind for f in inspected(bytes(content), "x.vcf.gz").findings}


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_member_is_whole_only_where_zlib_says_so_too(at, flip):
    whole = gzip.compress(TABLE.encode()) + gzip.compress(TABLE.encode() * 50)
    content = bytearray(whole)
    content[2 + at % (len(content) - 2)] ^= flip
    if inspected(bytes(content)).inspectable:
        assert gzip.decompress(bytes(content)) == gzip.decompress(whole)
    assert not inspected(whole[: 18 + at % (len(whole) - 18)]).inspectable or 18 + at % (len(whole) - 18) == len(
        gzip.compress(TABLE.encode())
    )


def test_many_tiny_members_cost_what_they_are():
    found = inspected(gzip.compress(b"w\n") * 20_000, "note.txt.gz")
    assert found.inspectable
