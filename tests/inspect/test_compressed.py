"""bzip2, xz, Zstandard, LZ4 and TAR: one content, members, and what stands between them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
PEOPLE = ("name,id_number\n" + "".join(f"x,{i}\n" for i in ("11010519491231002X", "440300199001011238") * 3)).encode()
MARK = "机密★10年".encode()
PACKERS = {"bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress, "lz4": lz4.frame.compress}


def inspected(content: bytes, path: str, limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, TABLES, limits or Limits())


def kinds(found) -> set[str]:
    return {finding.kind for finding in found.findings}


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_table_is_read_like_the_table(suffix):
    pack = PACKERS[suffix]
    found = inspected(pack(PEOPLE[:30]) + pack(PEOPLE[30:]), f"people.csv.{suffix}")
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)


@pytest.mark.parametrize("suffix", PACKERS)
def test_appended_cut_and_flipped_bytes_are_never_clean(suffix):
    whole = PACKERS[suffix](b"plain words\n" * 100)
    found = inspected(whole + b"hidden", f"a.txt.{suffix}")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 6}"]
    for cut in (1, 4, 9, len(whole) // 2):
        assert not inspected(whole[:-cut], f"a.txt.{suffix}").inspectable
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x55
    found = inspected(bytes(damaged), f"a.txt.{suffix}")
    if suffix in {"bz2", "xz"}:  # the others write no checksum unless asked
        assert not found.inspectable


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_ends_as_a_finding(suffix):
    found = inspected(PACKERS[suffix](bytes(8 << 20)), f"x.{suffix}", Limits(spared=1 << 20, ratio=10))
    assert not found.inspectable
    assert "archive_limit" in kinds(found)


def test_padding_of_xz_is_zeros_and_four_by_four():
    whole = lzma.compress(b"words\n")
    assert inspected(whole + bytes(8) + whole, "a.txt.xz").inspectable
    assert not inspected(whole + bytes(6), "a.txt.xz").inspectable
    assert not inspected(whole + b"\0\0\0\1", "a.txt.xz").inspectable


def test_skippable_frames_are_read_where_they_are_text_and_gaps_where_not():
    frame = zstd.compress(b"words\n")

    def skippable(content: bytes) -> bytes:
        return b"\x50\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content

    assert inspected(frame + skippable(MARK) + frame, "a.txt.zst").secrecy_mark
    assert inspected(frame + skippable(b"fine words"), "a.txt.zst").inspectable
    assert not inspected(frame + skippable(bytes(range(40))), "a.txt.zst").inspectable
    assert not inspected(frame + skippable(b"broken off")[:-1], "a.txt.zst").inspectable


def tarred(form: int, *members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return out.getvalue()


FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_tar_is_read_member_by_member_and_compressed_too(form, pack):
    long = "long/" * 30 + "name.csv"
    content = pack(tarred(FORMS[form], (long, PEOPLE), ("b.txt", b"words\n")))
    found = inspected(content, {bytes: "a.tar", gzip.compress: "a.tgz", zstd.compress: "a.tar.zst"}[pack])
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)


def test_the_tar_program_is_read(tmp_path: Path):
    if not shutil.which("tar"):
        pytest.skip("no tar program")
    (tmp_path / "名单.csv").write_bytes(PEOPLE)
    (tmp_path / "link").symlink_to("名单.csv")
    for form in ("ustar", "gnu", "pax", "oldgnu"):
        subprocess.run(["tar", "cf", "out.tar", f"--format={form}", "名单.csv", "link"], cwd=tmp_path, check=True)
        found = inspected((tmp_path / "out.tar").read_bytes(), "out.tar")
        assert found.inspectable, (form, found.findings)
        assert found.persons.nonsensitive == 2


@pytest.mark.parametrize("behind", [b"x" * 30, b"0" * 30, b"\n" * 30, b"0 a=b\n", b"99 a=b\n", b" a=b\n", b"6 =b\n"])
def test_what_is_no_record_behind_a_pax_record_ends_the_reading(behind):
    record = b"10 a=bcde\n"
    extension = tarfile.TarInfo("x")
    extension.type, extension.size = tarfile.XHDTYPE, len(record + behind)
    body = (record + behind).ljust(512, b"\0")
    content = extension.tobuf(tarfile.USTAR_FORMAT) + body + tarred(tarfile.USTAR_FORMAT, ("a", b"b"))
    assert not inspected(content, "a.tar").inspectable


def test_links_owners_and_pax_records_are_data():
    for change in ("linkname", "uname"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            info = tarfile.TarInfo("a")
            info.type = tarfile.SYMTYPE
            setattr(info, change, MARK.decode())
            archive.addfile(info)
        assert inspected(out.getvalue(), "a.tar").secrecy_mark, change
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": MARK.decode()}
    ) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert inspected(out.getvalue(), "a.tar").secrecy_mark


def test_slack_in_tar_is_found():
    whole = bytearray(tarred(tarfile.USTAR_FORMAT, ("a.txt", b"words\n")))
    for at in (520, 1020, len(whole) - 1):  # after the content, at the end of its block, after the end of the archive
        changed = bytearray(whole)
        changed[at] = 0x41
        assert not inspected(bytes(changed), "a.tar").inspectable, at
    for at in (90, 400, 505):  # behind the name, in the prefix and the padding of a header
        changed = bytearray(whole)
        changed[at] = 0x41
        total = sum(changed[:512]) - sum(changed[148:156]) + 256
        changed[148:156] = b"%06o\0 " % total
        assert not inspected(bytes(changed), "a.tar").inspectable, at
    assert not inspected(bytes(whole) + b"x", "a.tar").inspectable
    for cut in (512, 513, 1024, 1500):
        assert not inspected(bytes(whole[:cut]), "a.tar").inspectable, cut


def test_names_that_leave_the_folder_are_findings():
    assert "media_mismatch" in kinds(inspected(tarred(tarfile.USTAR_FORMAT, ("../x", b"words\n")), "a.tar"))


WHOLE = tarred(tarfile.PAX_FORMAT, ("名单.csv", PEOPLE), ("b.txt", b"words\n"))[:6144]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.sampled_from(sorted(PACKERS)))
def test_damage_is_a_finding_and_never_an_exception(at, change, suffix):
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    inspected(bytes(damaged), "a.tar")
    squeezed = bytearray(PACKERS[suffix](WHOLE))
    squeezed[at % len(squeezed)] ^= change
    inspected(bytes(squeezed), f"a.tar.{suffix}")
