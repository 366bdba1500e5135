"""BCF, PLINK and BGEN: people as the field's own programs count them, and no clean answer for what does not add up."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HUMAN, MOUSE = 248_956_422, 195_154_279
IDENTITY = "11010519491231002X"


def inspected(content: bytes, path: str):
    return inspect_file(MemoryStore(content), path, load_detector_tables())


def kinds(found) -> set[str]:
    return {f.kind for f in found.findings if f.confidence == "strong"}


def need(program: str) -> str:
    """The program's path; without it the test is skipped loudly, and on CI it fails."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{program} must be tested on CI: install it")
        pytest.skip(f"{program.upper()} IS NOT TESTED: it is not installed")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("genotypes")


def variants(
    folder, mode, *, samples=("P1", "P2", "P3"), length=HUMAN, note="", count=300, alleles=0, lines=()
) -> bytes:
    header = pysam.VariantHeader()
    header.add_line(f"##contig=<ID=chr1,length={length}>")
    header.add_line('##INFO=<ID=AN,Number=1,Type=Integer,Description="n">')
    header.add_line('##INFO=<ID=NOTE,Number=1,Type=String,Description="n">')
    header.add_line('##FORMAT=<ID=GT,Number=1,Type=String,Description="g">')
    for line in lines:
        header.add_line(line)
    for name in samples:
        header.add_sample(name)
    path = folder / f"x.{mode}"
    with pysam.VariantFile(str(path), mode, header=header) as out:
        for number in range(count):
            record = out.new_record(contig="chr1", start=100 * number, alleles=("A", "G"), id=f"rs{number}")
            if alleles:
                record.info["AN"] = alleles
            if note:
                record.info["NOTE"] = note
            for place, name in enumerate(samples):
                record.samples[name]["GT"] = ((number + place) % 2, number % 2)
            out.write(record)
    return path.read_bytes()


FORMS = {"bcf": ("wb", "x.bcf"), "vcf": ("w", "x.vcf"), "vcf.gz": ("wz", "x.vcf.gz"), "bcf -Ou": ("wb0", "x.bcf")}


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_those_htslib_reads(folder, form):
    mode, name = FORMS[form]
    content = variants(folder, mode, samples=[f"P{n}" for n in range(17)])
    (folder / "again").write_bytes(content)
    with pysam.VariantFile(str(folder / "again")) as again:
        expected = len(set(again.header.samples))
    found = inspected(content, name)
    assert found.inspectable, found.findings
    assert (found.hgr.subjects, found.hgr.sequencing_subjects, found.hgr.aggregate_only) == (expected, expected, False)
    assert found.persons.sensitive == expected
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("form", FORMS)
def test_sites_only_is_aggregate_and_says_who_stands_behind(folder, form):
    mode, name = FORMS[form]
    found = inspected(variants(folder, mode, samples=(), alleles=2_504 * 2), name)
    assert found.inspectable, found.findings
    assert (found.hgr.information, found.hgr.aggregate_only, found.hgr.subjects) == (True, True, 0)
    behind = [f.count for f in found.findings if "AN/2" in f.where]
    assert behind == [2_504]
    assert found.persons.sensitive == 0


@pytest.mark.parametrize("form", FORMS)
def test_other_species_are_no_people(folder, form):
    mode, name = FORMS[form]
    found = inspected(variants(folder, mode, length=MOUSE), name)
    assert found.inspectable
    assert not found.hgr.information


@pytest.mark.parametrize("form", FORMS)
def test_arrays_are_no_sequencing(folder, form):
    mode, name = FORMS[form]
    line = '##FORMAT=<ID=BAF,Number=1,Type=Float,Description="b">'
    found = inspected(variants(folder, mode, lines=[line]), name)
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (3, 0)


@pytest.mark.parametrize("form", FORMS)
def test_text_in_records_is_read(folder, form):
    mode, name = FORMS[form]
    assert "cn_resident_id" in kinds(inspected(variants(folder, mode, note=IDENTITY), name))


@pytest.mark.parametrize("form", FORMS)
def test_a_pedigree_in_the_header(folder, form):
    mode, name = FORMS[form]
    content = variants(folder, mode, lines=["##PEDIGREE=<ID=P3,Father=P1,Mother=P2>"])
    assert "pedigree" in kinds(inspected(content, name))
    assert "pedigree" not in kinds(inspected(variants(folder, mode), name))


def test_bcf_cut_off_or_added_to(folder):
    content = variants(folder, "wb")
    for cut in (1, 28, 29, 200, len(content) // 2):
        assert not inspected(content[:-cut], "x.bcf").inspectable, cut
    assert not inspected(content + b"x", "x.bcf").inspectable
    assert not inspected(content + content, "x.bcf").inspectable


def test_tabix_index(folder):
    path = folder / "t.vcf.gz"
    path.write_bytes(variants(folder, "wz"))
    for index, options in (("tbi", {}), ("csi", {"csi": True})):
        pysam.tabix_index(str(path), preset="vcf", force=True, **options)
        content = (folder / f"t.vcf.gz.{index}").read_bytes()
        found = inspected(content, f"t.vcf.gz.{index}")
        assert (found.format, found.inspectable) == (index, True), found.findings
        assert not inspected(content[:-30], "x").inspectable


# --- PLINK --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(folder):
    """A dataset that plink 1.9 and plink 2 made out of a VCF."""
    source = folder / "plink.vcf"
    source.write_bytes(variants(folder, "w", samples=[f"P{n}" for n in range(23)], count=500))
    for program, make in ((need("plink1.9"), "--make-bed"), (need("plink2"), "--make-pgen")):
        options = ["--vcf", str(source), "--double-id", make, "--out", str(folder / "study")]
        subprocess.run([program, *options, "--allow-extra-chr"], check=True, capture_output=True, timeout=60)
    plink = [need("plink2"), "--pfile", str(folder / "study"), "--out", str(folder / "export")]
    for layout in ("bgen-1.1", "bgen-1.2", "bgen-1.3"):
        subprocess.run(
            [*plink[:-1], str(folder / layout), "--export", layout], check=True, capture_output=True, timeout=60
        )
    return folder


def test_plink_bed_and_what_stands_beside_it(dataset):
    bed = (dataset / "study.bed").read_bytes()
    people, sites = (len((dataset / f"study.{x}").read_text().splitlines()) for x in ("fam", "bim"))
    assert len(bed) == 3 + -(-people // 4) * sites  # as rules.md 10.2 says of real files
    found = inspected(bed, "study.bed")
    assert found.inspectable, found.findings
    assert (found.format, found.hgr.subjects, found.hgr.sequencing_subjects) == ("plink_bed", 1, 0)
    assert any(".fam" in f.where for f in found.findings)
    fam = inspected((dataset / "study.fam").read_bytes(), "study.fam")
    assert (fam.hgr.subjects, fam.hgr.sequencing_subjects, fam.persons.sensitive) == (people, 0, people)


def test_plink_bed_of_an_unknown_mode_or_without_genotypes():
    assert not inspected(b"\x6c\x1b\x01", "x.bed").inspectable
    hidden = b"\x6c\x1b\x01" + b"\xff" * 40 + ("\n".join([IDENTITY] * 3)).encode() + b"\xff" * 40
    assert "cn_resident_id" in {f.kind for f in inspected(hidden, "x.bed").findings}


def test_pgen_counts_people_and_is_held_against_its_index(dataset):
    content = (dataset / "study.pgen").read_bytes()
    found = inspected(content, "study.pgen")
    assert found.inspectable, found.findings
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (23, 23)
    for cut in (1, 5, len(content) // 2, len(content) - 13):
        assert not inspected(content[:-cut], "study.pgen").inspectable
    found = inspected(content + b"hidden", "study.pgen")
    assert {f.where for f in found.findings if f.kind == "gap"} == {f"bytes {len(content)}-{len(content) + 6}"}


def test_simple_pgen(dataset):
    people, sites = 5, 7
    content = b"\x6c\x1b\x02" + struct.pack("<IIB", sites, people, 0x40) + bytes(2 * sites)
    assert inspected(content, "x.pgen").inspectable
    assert not inspected(content[:-1], "x.pgen").inspectable
    assert not inspected(content + b"\0", "x.pgen").inspectable


# --- BGEN ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["bgen-1.1", "bgen-1.2", "bgen-1.3"])
def test_bgen_of_plink(dataset, layout):
    content = (dataset / f"{layout}.bgen").read_bytes()
    found = inspected(content, "x.bgen")
    assert found.inspectable, found.findings
    assert found.hgr.subjects == 23
    for cut in (1, 7, len(content) // 2):
        assert not inspected(content[:-cut], "x.bgen").inspectable
    assert not inspected(content + b"hidden", "x.bgen").inspectable


def bgen(names=("A", "B"), *, packing=1, samples=None, note=b"", slack=b"", inner=b"", sites=3) -> bytes:
    """BGEN 1.3, layout 2: by hand, after the specification's text."""
    samples = len(names) if samples is None else samples
    block = b"".join(struct.pack("<H", len(n)) + n.encode() for n in names)
    listed = struct.pack("<II", 8 + len(block), len(names)) + block if names else b""
    flags = packing | 2 << 2 | (1 << 31 if names else 0)
    header = struct.pack("<III", 20 + len(note), sites, samples) + b"bgen" + note + struct.pack("<I", flags)
    out = struct.pack("<I", len(header) + len(listed) + len(slack)) + header + listed + slack
    for site in range(sites):
        words = b"".join(struct.pack("<H", len(w)) + w for w in (b"v%d" % site, b"rs%d" % site, b"1"))
        alleles = struct.pack("<IH", 100 + site, 2) + b"".join(struct.pack("<I", 1) + a for a in (b"A", b"G"))
        plain = struct.pack("<IHBB", samples, 2, 2, 2) + b"\2" * samples + b"\0\x08" + bytes(2 * samples) + inner
        packed = {0: bytes, 1: zlib.compress, 2: zstd.compress}[packing](plain)
        sizes = struct.pack("<II", len(packed) + 4, len(plain)) if packing else struct.pack("<I", len(plain))
        out += words + alleles + sizes + packed
    return out


@pytest.mark.parametrize("packing", [0, 1, 2])
def test_bgen_counts_its_names(packing):
    found = inspected(bgen(("A", "B", "C"), packing=packing), "x.bgen")
    assert found.inspectable, found.findings
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (3, 3)
    found = inspected(bgen((), samples=40, packing=packing), "x.bgen")
    assert (found.inspectable, found.hgr.subjects, found.persons.sensitive) == (True, 40, 40)


def test_bgen_with_something_in_it():
    assert "cn_resident_id" in kinds(inspected(bgen((IDENTITY, "P2", "440300199001011238")), "x.bgen"))
    assert inspected(bgen(note="机密★10年".encode()), "x.bgen").secrecy_mark
    assert not inspected(bgen(slack=b"hidden"), "x.bgen").inspectable
    assert not inspected(bgen(inner=b"hidden"), "x.bgen").inspectable
    assert not inspected(bgen(samples=3), "x.bgen").inspectable


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), packing=st.integers(1, 2))
def test_a_changed_bgen_never_breaks_the_inspector(at, bit, packing):
    content = bytearray(bgen(packing=packing))
    content[at % len(content)] ^= 1 << bit
    inspected(bytes(content), "x.bgen")
