"""ZIP: members as objects of their own, and every trick by which tools come to see different archives."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
PEOPLE = "name,id_number\n" + "".join(f"x,{i}\n" for i in ("11010519491231002X", "440300199001011238") * 3)
MARK = "机密★10年"


def inspected(content: bytes, path: str = "data.zip", limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, TABLES, limits or Limits())


def packed(*members: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = comment
    return out.getvalue()


def kinds(found) -> set[str]:
    return {finding.kind for finding in found.findings}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_are_read_under_every_method(method):
    found = inspected(packed(("a/people.csv", PEOPLE), ("b.txt", "words\n" * 1000), ("empty/", ""), method=method))
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)
    assert "!/a/people.csv: column id_number" in {finding.where for finding in found.findings}


def test_zstandard_members_are_read():
    content = PEOPLE.encode()
    squeezed = zstd.compress(content)
    head = struct.pack("<5H3L", 63, 0, 93, 0, 0, zipfile.crc32(content), len(squeezed), len(content))
    name = b"people.csv"
    local = b"PK\x03\x04" + head + struct.pack("<2H", len(name), 0) + name + squeezed
    central = b"PK\x01\x02\x3f\x00" + head + struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(central), len(local), 0)
    found = inspected(local + central + end)
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2


def test_a_streamed_archive_with_descriptors_and_zip64_is_read():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

        def seek(self, *_):
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("people.csv", "w", force_zip64=True) as member:
            member.write(PEOPLE.encode())
        archive.writestr("b.txt", "words\n")
    found = inspected(out.getvalue())
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2


def test_the_zip_program_is_read(tmp_path: Path):
    if not shutil.which("zip"):
        pytest.skip("no zip program: apt-get install zip")
    (tmp_path / "名单.csv").write_text(PEOPLE)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "note.txt").write_text("words\n" * 100)
    subprocess.run(["zip", "-qr", "out.zip", "名单.csv", "sub"], cwd=tmp_path, check=True)
    found = inspected((tmp_path / "out.zip").read_bytes())
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2


def test_archives_within_archives_are_read_and_end_at_a_depth():
    inner = packed(("people.csv", PEOPLE))
    found = inspected(packed(("inner.zip", inner)))
    assert found.inspectable
    assert found.persons.nonsensitive == 2
    for _ in range(9):
        inner = packed(("inner.zip", inner))
    found = inspected(inner)
    assert not found.inspectable
    assert "archive_limit" in kinds(found)


def test_bombs_and_crowds_end_as_findings():
    found = inspected(packed(("zeros.txt", bytes(8 << 20))), limits=Limits(spared=1 << 20, ratio=10))
    assert not found.inspectable
    assert "archive_limit" in kinds(found)
    found = inspected(packed(*((f"{n}", "x") for n in range(20))), limits=Limits(members=10))
    assert not found.inspectable
    assert "archive_limit" in kinds(found)


@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_bytes_outside_of_the_structure_are_a_gap(where):
    content = packed(("a.txt", "words\n"), ("b.txt", "more\n"))
    hidden = MARK.encode()
    if where == "before":  # as a self-extractor has it: offsets do not count it
        found = inspected(b"PK\x03\x04" + hidden + content)
        assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes 0-{len(hidden) + 4}"]
    elif where == "after":
        found = inspected(content + hidden)
        assert [f.where for f in found.findings if f.kind == "gap"] == [
            f"bytes {len(content)}-{len(content) + len(hidden)}"
        ]
    else:
        second = content.index(b"PK\x03\x04", 4)
        directory = content.index(b"PK\x01\x02")
        moved = bytearray(content[:second] + hidden + content[second:])
        entry = moved.index(b"PK\x01\x02", moved.index(b"PK\x01\x02") + 1)
        moved[entry + 42 : entry + 46] = (second + len(hidden)).to_bytes(4, "little")
        end = moved.rindex(b"PK\x05\x06")
        moved[end + 16 : end + 20] = (directory + len(hidden)).to_bytes(4, "little")
        assert zipfile.ZipFile(io.BytesIO(bytes(moved))).read("b.txt") == b"more\n"
        found = inspected(bytes(moved))
        assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {second}-{second + len(hidden)}"]
    assert not found.inspectable


def test_two_archives_in_one_file_are_no_clean_archive():
    found = inspected(packed(("a.txt", "words\n")) + packed(("b.txt", "more\n")))
    assert not found.inspectable
    first = packed(("a.txt", "words\n"))
    found = inspected(packed(("b.txt", "more\n"), comment=first))
    assert not found.inspectable


def test_comments_are_data():
    found = inspected(packed(("a.txt", "words\n"), comment=MARK.encode()))
    assert found.level == "secret"
    assert found.secrecy_mark


def test_the_names_of_members_are_data():
    found = inspected(packed(("机密★10年/a.txt", "words\n")))
    assert found.secrecy_mark
    raw = packed(("abcdefgh.txt", "words\n")).replace(
        b"abcdefgh", "名单身份".encode("gb18030")
    )  # as Chinese Windows writes it
    found = inspected(raw)
    assert found.inspectable
    assert inspected(packed(("住院号11010519491231002X.txt", "words\n"))).persons.nonsensitive == 1


@pytest.mark.parametrize(("offset", "value"), [(8, b"\x00"), (14, b"\xee"), (18, b"\xee"), (22, b"\xee"), (30, b"z")])
def test_a_local_header_that_differs_from_the_directory_is_refused(offset, value):
    content = bytearray(packed(("a.txt", "words\n" * 50)))
    content[offset : offset + 1] = value
    found = inspected(bytes(content))
    assert not found.inspectable
    assert "media_mismatch" in kinds(found)


def test_overlapping_members_are_refused_before_anything_is_decompressed():
    content = bytearray(packed(("a.txt", "a" * 5000), ("b.txt", "b" * 5000)))
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[second + 42 : second + 46] = bytes(4)  # both entries point at the first member
    content[second + 46 : second + 51] = b"a.txt"
    first = content.index(b"PK\x01\x02")
    content[second + 16 : second + 28] = content[first + 16 : first + 28]
    found = inspected(bytes(content))
    assert not found.inspectable
    assert "media_mismatch" in kinds(found)
    assert not [finding for finding in found.findings if finding.where.startswith("!/")]


def test_names_that_leave_the_folder_and_twins_are_findings():
    found = inspected(packed(("../evil.txt", "words\n"), ("/etc/x", "words\n"), ("C:\\x", "words\n")))
    assert [f.count for f in found.findings if f.kind == "media_mismatch"] == [3]
    with pytest.warns(UserWarning, match="Duplicate"):
        found = inspected(packed(("a.txt", "words\n"), ("a.txt", PEOPLE)))
    assert "media_mismatch" in kinds(found)
    assert found.persons.nonsensitive == 2


def test_members_under_a_password_are_encrypted_content():
    content = bytearray(packed(("a.txt", "words\n"), ("b.txt", "words\n")))
    second = content.index(b"PK\x03\x04", 4)
    entry = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[second + 6] |= 1
    content[entry + 8] |= 1
    found = inspected(bytes(content))
    assert not found.inspectable
    assert "encrypted_content" in kinds(found)


def test_slack_after_a_compressed_stream_is_found():
    content = bytearray(packed(("a.txt", "words\n" * 50)))
    size = int.from_bytes(content[18:22], "little")
    data = 30 + 5
    hidden = b"hidden"
    grown = content[: data + size] + hidden + content[data + size :]
    entry = grown.index(b"PK\x01\x02")
    for at in (18, entry + 20):
        grown[at : at + 4] = (size + len(hidden)).to_bytes(4, "little")
    end = grown.rindex(b"PK\x05\x06")
    grown[end + 16 : end + 20] = entry.to_bytes(4, "little")
    assert zipfile.ZipFile(io.BytesIO(bytes(grown))).read("a.txt") == b"words\n" * 50
    found = inspected(bytes(grown))
    assert not found.inspectable


def test_unknown_extra_fields_are_a_gap():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("a.txt")
        info.extra = struct.pack("<2H", 0x4242, 6) + b"hidden"
        archive.writestr(info, "words\n")
    found = inspected(out.getvalue())
    assert not found.inspectable
    assert "gap" in kinds(found)


@pytest.mark.parametrize("cut", [1, 10, 30, 80, 130])
def test_a_cut_archive_is_never_clean(cut):
    found = inspected(packed(("people.csv", PEOPLE), ("b.txt", "words\n"))[:-cut])
    assert not found.inspectable


WHOLE = packed(("people.csv", PEOPLE), ("b/c.txt", "words\n" * 100), comment=b"a comment")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(4, len(WHOLE) - 1))
def test_damage_is_a_finding_and_never_an_exception(at, change, cut):
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    inspected(bytes(damaged))
    assert not inspected(WHOLE[:cut]).inspectable
