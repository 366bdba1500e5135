"""7z: members by the 7-Zip program, and everything by which an archive could hide bytes."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers.sevencoders import decoder
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
PEOPLE = "name,id_number\n" + "".join(f"x,{i}\n" for i in ("11010519491231002X", "440300199001011238") * 3)
WORDS = {"people.csv": PEOPLE, "a/notes.txt": "words and words\n" * 3000, "a/空.txt": "", "b.txt": "other words\n"}


def program() -> str:
    """7-Zip; without it the test is skipped loudly, and on CI it fails."""
    found = shutil.which("7zz") or shutil.which("7z")
    if found is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("7zz must be tested on CI: install 7zip")
        pytest.skip("7Z IS NOT TESTED: 7zip is not installed")
    return found


@cache
def packed(*options: str, names: tuple[str, ...] = tuple(WORDS)) -> bytes:
    with TemporaryDirectory() as made:
        folder = Path(made)
        for name in names:
            path = folder / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(WORDS.get(name, "words\n"))
        subprocess.run(
            [program(), "a", "-bd", "-y", *options, str(folder / "x.7z"), *{name.split("/")[0] for name in names}],
            cwd=folder / "in",
            check=True,
            capture_output=True,
        )
        return (folder / "x.7z").read_bytes()


def inspected(content: bytes, limits: Limits | None = None):
    return inspect_file(MemoryStore(content), "data.7z", TABLES, limits or Limits())


def says(found) -> str:
    return " | ".join(f"{finding.kind}: {finding.where}" for finding in found.findings)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-m0=LZMA",),
        ("-m0=LZMA:eos",),
        ("-m0=Copy", "-mhc=off"),
        ("-m0=BZip2",),
        ("-m0=Deflate",),
        ("-m0=Delta:4", "-m1=LZMA"),
        ("-m0=BCJ", "-m1=LZMA2"),
        ("-m0=BCJ", "-m1=LZMA"),
        ("-m0=ARM", "-m1=Deflate"),
        ("-m0=ARMT", "-m1=Copy"),
        ("-m0=PPC", "-m1=BZip2"),
        ("-m0=SPARC", "-m1=LZMA:lc=2:lp=2:pb=1"),
        ("-ms=off", "-mtc=on", "-mta=on"),
    ],
    ids=" ".join,
)
def test_members_are_read_under_every_method(options):
    found = inspected(packed(*options))
    assert found.inspectable, says(found)
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)
    assert "!/people.csv: column id_number" in {finding.where for finding in found.findings}


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        (("-m0=PPMd",), "uninspectable", "PPMd"),
        (("-m0=Deflate64",), "uninspectable", "Deflate64"),
        (("-m0=BCJ2",), "uninspectable", "BCJ2"),
        (("-m0=ARM64", "-m1=LZMA2"), "uninspectable", "ARM64"),
        (("-psecret",), "encrypted_content", "password"),
        (("-psecret", "-mhe=on"), "encrypted_content", "names and members"),
    ],
)
def test_what_nobody_here_unpacks_says_so(options, kind, told):
    found = inspected(packed(*options))
    assert not found.inspectable
    assert [each for each in found.findings if each.kind == kind and told in each.where], says(found)


def test_names_are_data_even_of_members_that_stay_closed():
    names = ("11010519491231002X.txt",)
    for options in ((), ("-m0=PPMd",)):
        found = inspected(packed(*options, names=names))
        assert "cn_resident_id" in {finding.kind for finding in found.findings}, says(found)


def test_names_that_leave_the_folder_are_found():
    found = inspected(renamed(packed("-mhc=off", "-m0=Copy"), "people.csv", "../ple.csv"))
    assert "media_mismatch" in {finding.kind for finding in found.findings}


def test_an_empty_archive_is_nothing():
    start = struct.pack("<QQI", 0, 0, 0)
    found = inspected(b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start)
    assert found.inspectable
    assert not found.findings


@pytest.mark.parametrize("options", [(), ("-m0=LZMA",), ("-m0=Copy", "-mhc=off")], ids=" ".join)
def test_bytes_around_an_archive_are_no_part_of_it(options):
    whole = packed(*options)
    behind = inspected(whole + b"hidden words")
    assert [each.where for each in behind.findings if each.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 12}"]
    assert not behind.inspectable
    assert not inspected(b"MZ" + bytes(510) + whole).inspectable


def test_bytes_between_packed_streams_and_header_are_a_gap():
    found = inspected(widened(packed("-m0=Copy", "-mhc=off"), b"hidden words"))
    assert not found.inspectable
    assert [each.count for each in found.findings if each.kind == "gap"] == [12], says(found)


@given(st.integers(min_value=0))
@settings(max_examples=100, deadline=None)
def test_an_archive_cut_off_is_never_clean(at):
    for options in ((), ("-m0=LZMA", "-mhc=off")):
        whole = packed(*options)
        assert not inspected(whole[: 6 + at % (len(whole) - 6)]).inspectable


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_flipped_byte_is_never_clean(at, flip):
    """Or it is one of which nothing depends: the minor version, last bits of a stream that no decoder reads."""
    for options in ((), ("-m0=LZMA",), ("-m0=BCJ", "-m1=Deflate", "-mhc=off")):
        content = bytearray(packed(*options))
        start = header_start(bytes(content))
        content[at % len(content)] ^= flip
        found = inspected(bytes(content))
        same = found.to_json("") == inspected(packed(*options)).to_json("")
        assert not found.inspectable or (same and 7 <= at % len(content) < start)


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_crafted_header_never_breaks_out(at, patch):
    """With its checksums made right, so that the header is read."""
    whole = packed("-mhc=off", "-m0=LZMA")
    start = header_start(whole)
    header = bytearray(whole[start:])
    at %= len(header)
    header[at : at + len(patch)] = patch
    found = inspected(signed(whole[:start], bytes(header)))
    assert found.size
    if found.inspectable:  # times, attributes and names may be anything
        assert found.coverage == ((0, found.size),)


def test_more_than_lzma_needs_in_its_packed_stream_is_found():
    """The last member grows its packed stream by two bytes; the declared sizes fit."""
    folder = {size: lzma_pieces(size) for size in (1, 17, 300, 5000)}
    for size, (properties, stream) in folder.items():
        content = bytes(i * 7 % 251 for i in range(size))
        assert unpacked(properties, stream, size) == content
        for more in (b"ab", b"hidden words that nobody reads"):
            with pytest.raises(ValueError, match="behind the end"):
                unpacked(properties, stream + more, size)


def test_bombs_end_as_findings():
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "zeros.txt").write_bytes(b"0" * (8 << 20))
        subprocess.run([program(), "a", "-bd", folder / "x.7z", folder / "zeros.txt"], check=True, capture_output=True)
        content = (folder / "x.7z").read_bytes()
    found = inspected(content, Limits(spared=1 << 20, ratio=10))
    assert not found.inspectable
    assert "archive_limit" in {finding.kind for finding in found.findings}


def test_an_archive_of_many_members_ends_at_the_limit():
    found = inspected(packed(), Limits(members=3))
    assert not found.inspectable
    assert "archive_limit" in {finding.kind for finding in found.findings}


# --- archives that no program writes ------------------------------------------------------------------------------------


def header_start(whole: bytes) -> int:
    return 32 + int.from_bytes(whole[12:20], "little")


def signed(before: bytes, header: bytes) -> bytes:
    start = struct.pack("<QQI", len(before) - 32, len(header), zlib.crc32(header))
    return before[:8] + struct.pack("<I", zlib.crc32(start)) + start + before[32:] + header


def widened(whole: bytes, between: bytes) -> bytes:
    start = header_start(whole)
    return signed(whole[:start] + between, whole[start:])


def renamed(whole: bytes, old: str, new: str) -> bytes:
    start = header_start(whole)
    header = whole[start:].replace(old.encode("utf-16-le"), new.encode("utf-16-le"))
    return signed(whole[:start], header)


def lzma_pieces(size: int) -> tuple[bytes, bytes]:
    """Properties and stream of so many bytes, from an archive of the program."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "x.bin").write_bytes(bytes(i * 7 % 251 for i in range(size)))
        run = [program(), "a", "-bd", "-m0=LZMA:d=64k", "-mhc=off", folder / "x.7z", folder / "x.bin"]
        subprocess.run(run, check=True, capture_output=True)
        whole = (folder / "x.7z").read_bytes()
    properties = re.search(rb"\x23\x03\x01\x01\x05(.{5})", whole[header_start(whole) :], re.DOTALL)
    assert properties
    return properties[1], whole[32 : header_start(whole)]


def unpacked(properties: bytes, stream: bytes, size: int) -> bytes:
    lzma = decoder(b"\3\1\1", properties, len(stream), size)
    out = lzma.decompress(stream, 1 << 20)
    while not lzma.eof:
        out += lzma.decompress(b"", 1 << 20)
    return out
