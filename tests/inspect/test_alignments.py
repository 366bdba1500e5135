"""BAM, CRAM and their indexes, as htslib writes them: people, text in records, and what is cut off, changed or added."""

from __future__ import annotations

import gzip

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.formats import sniff
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

HUMAN, MOUSE = 248_956_422, 195_154_279
IDENTITY = "11010519491231002X"
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def inspected(content: bytes, path: str = "reads.bam"):
    return inspect_file(MemoryStore(content), path, load_detector_tables())


def kinds(found) -> set[str]:
    return {f.kind for f in found.findings if f.confidence == "strong"}


def written(
    folder, mode="wb", *, samples=("S1", "S2"), length=HUMAN, comment="", tag="", name="r", count=400, options=()
) -> bytes:
    """A file of alignments; `length` 0 makes reads that were not aligned."""
    header = {"HD": {"VN": "1.6"}, "RG": [{"ID": f"g{i}", "SM": s} for i, s in enumerate(samples)]}
    header |= {"SQ": [{"SN": "chr1", "LN": length}, {"SN": "chr2", "LN": 5_000_000}]} if length else {}
    header |= {"CO": [comment]} if comment else {}
    path = folder / f"x.{mode}"
    draw = np.random.default_rng(1)
    with pysam.AlignmentFile(str(path), mode, header=header, format_options=list(options)) as out:
        for number in range(count):
            read = pysam.AlignedSegment(out.header)
            read.query_name = f"{name}:{number}"
            read.query_sequence = "".join(draw.choice(list("ACGT"), 80))
            read.query_qualities = pysam.qualitystring_to_array("".join(draw.choice(list("FFF:,#"), 80)))
            read.flag = 4
            if length:
                read.flag, read.reference_id, read.reference_start = 0, 0, 1_000 + 10 * number
                read.mapping_quality, read.cigartuples = 60, [(0, 80)]
            read.set_tag("NM", number % 7)
            if samples:
                read.set_tag("RG", f"g{number % len(samples)}")
            if tag:
                read.set_tag("XZ", tag)
            out.write(read)
    return path.read_bytes()


MODES = {"bam": ("wb", ()), "cram 3.0": ("wc", (b"no_ref=1", b"version=3.0")),
         "cram 3.1": ("wc", (b"no_ref=1", b"version=3.1")), "cram 2.1": ("wc", (b"no_ref=1", b"version=2.1"))}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("alignments")


@pytest.mark.parametrize("form", MODES)
def test_people_are_those_htslib_reads(folder, form):
    mode, options = MODES[form]
    content = written(folder, mode, options=options, samples=("S1", "S2", "S1"))
    (folder / "again").write_bytes(content)
    with pysam.AlignmentFile(str(folder / "again"), check_sq=False) as again:
        names = {group["SM"] for group in again.header.to_dict()["RG"]}
    found = inspected(content)
    assert found.format == form.split()[0]
    assert found.inspectable, found.findings
    assert found.coverage == ((0, len(content)),)
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (len(names), len(names))
    assert (found.persons.sensitive, found.persons.basis, found.hgr.aggregate_only) == (len(names), "subjects", False)


@pytest.mark.parametrize("form", MODES)
@pytest.mark.parametrize(
    ("samples", "length", "people"), [((), HUMAN, 1), ((), 0, 1), (("A",), 0, 1), (("M1", "M2"), MOUSE, 0)]
)
def test_whose_reads_they_are(folder, form, samples, length, people):
    mode, options = MODES[form]
    found = inspected(written(folder, mode, samples=samples, length=length, options=options, count=9))
    assert found.inspectable, found.findings
    assert found.hgr.information is bool(people)
    assert found.hgr.sequencing_subjects == people


@pytest.mark.parametrize("form", ["bam", "cram 3.0"])
def test_text_in_header_names_and_tags_is_read(folder, form):
    mode, options = MODES[form]
    for extra in ({"comment": f"身份证 {IDENTITY}"}, {"tag": IDENTITY}, {"name": f"id:{IDENTITY}"}):
        found = inspected(written(folder, mode, options=options, count=40, **extra))
        assert "cn_resident_id" in kinds(found), (extra, found.findings)
    found = inspected(written(folder, mode, options=options, comment="机密★10年"))
    assert found.secrecy_mark
    assert found.level == "secret"


def test_names_under_codecs_of_cram_are_said_to_be_unread(folder):
    found = inspected(written(folder, "wc", options=(b"no_ref=1", b"version=3.1")))
    assert any("own codecs" in f.where for f in found.findings)


@pytest.mark.parametrize("form", MODES)
def test_what_was_cut_off_is_no_clean_file(folder, form):
    mode, options = MODES[form]
    content = written(folder, mode, options=options)
    for cut in [1, 4, 10, 27, 28, 29, 38, 100, len(content) // 2, len(content) - 40]:
        found = inspected(content[:-cut])
        assert not found.inspectable, cut
        assert found.level == "unknown"


def test_a_bam_without_its_end_marker_was_cut_off(folder):
    content = written(folder)
    assert content.endswith(END)
    found = inspected(content.removesuffix(END))
    assert not found.inspectable
    assert any("cut off" in f.where for f in found.findings)
    assert found.hgr.sequencing_subjects == 2


@pytest.mark.parametrize("form", MODES)
@pytest.mark.parametrize("extra", [b"hidden", b"\0" * 9, b"PK\x03\x04" + bytes(40)])
def test_what_was_added_is_a_gap(folder, form, extra):
    mode, options = MODES[form]
    content = written(folder, mode, options=options)
    found = inspected(content + extra)
    assert not found.inspectable
    assert f"bytes {len(content)}-{len(content) + len(extra)}" in {f.where for f in found.findings if f.kind == "gap"}


def test_another_file_behind_the_first_is_not_passed_over(folder):
    content = written(folder)
    assert not inspected(content + content).inspectable
    cram = written(folder, "wc", options=(b"no_ref=1",))
    assert not inspected(cram + cram).inspectable


@pytest.mark.parametrize("form", ["bam", "cram 3.0"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_ends_as_a_finding(folder, form, data):
    mode, options = MODES[form]
    content = bytearray(written(folder, mode, options=options, count=20))
    at = data.draw(st.integers(20 if form == "bam" else 26, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    found = inspected(bytes(content))
    assert not found.inspectable or form == "bam"  # of gzip's own header nothing depends on times and systems


def test_a_record_that_lies_about_its_size(folder):
    content = gzip.decompress(written(folder, count=3))
    forged = bytearray(content)
    at = content.index(b"r:1\0") - 32 - 4
    forged[at : at + 4] = (10**6).to_bytes(4, "little")
    found = inspected(blocked(bytes(forged)))
    assert not found.inspectable
    forged[at : at + 4] = (40).to_bytes(4, "little")
    assert not inspected(blocked(bytes(forged))).inspectable
    assert inspected(blocked(content)).inspectable


def test_a_reference_that_only_the_binary_list_has(folder):
    content = gzip.decompress(written(folder, count=1, length=MOUSE))
    text = content[8 : 8 + int.from_bytes(content[4:8], "little")]
    bare = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"@SQ"))
    found = inspected(blocked(content[:4] + len(bare).to_bytes(4, "little") + bare + content[8 + len(text) :]))
    assert found.inspectable
    assert not found.hgr.information


def blocked(content: bytes) -> bytes:
    """BGZF, by hand: htslib writes no wrong BAM."""
    out = b""
    for at in range(0, len(content), 60_000):
        packed = gzip.compress(content[at : at + 60_000], mtime=0)
        size = len(packed) + 8
        out += packed[:3] + b"\x04" + packed[4:10] + b"\x06\0BC\x02\0" + (size - 1).to_bytes(2, "little") + packed[10:]
    return out + END


@pytest.mark.parametrize(("index", "name"), [("bai", "bai"), ("csi", "csi")])
def test_indexes_are_read_and_say_nothing(folder, index, name):
    path = folder / "sorted.bam"
    path.write_bytes(written(folder))
    pysam.index(str(path), *(["-c"] if index == "csi" else []))
    content = (folder / f"sorted.bam.{index}").read_bytes()
    found = inspected(content, f"sorted.bam.{index}")
    assert found.format == name == sniff(content, "x").name
    assert found.inspectable, found.findings
    assert not found.hgr.information
    assert not inspected(content[:-9], "x").inspectable
    assert not inspected(content + b"words", "x").inspectable


def test_cram_index(folder):
    path = folder / "x.cram"
    path.write_bytes(written(folder, "wc", options=(b"no_ref=1",)))
    pysam.index(str(path))
    found = inspected((folder / "x.cram.crai").read_bytes(), "x.cram.crai")
    assert found.inspectable
    assert not found.hgr.information
