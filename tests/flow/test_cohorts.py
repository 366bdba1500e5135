"""Subjects over all files of a transfer: who is one person, and that no file makes the number smaller."""

from __future__ import annotations

import gzip
import io
import tarfile
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.persons import keyed_digests, pack
from gateway.flow.findings import already, decision_facts, join, sample_digests
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.ports import ReceivedFile, StoredFile
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
READ = b"@r1\nACGTACGT\n+\nFFFFFFFF\n"
VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t%s\n1\t100\t.\tA\tG\t50\tPASS\t.\tGT\t%s\n"


def stored(path: str, content: bytes, number: int = 1, *, year: int = 2026, carried: str = "") -> StoredFile:
    """A file as the flow keeps it."""
    found = inspect_file(MemoryStore(content), path, TABLES)
    people = found.identifiers
    digests = pack(keyed_digests(people, b"k" * 16 + str(year).encode(), b"lab/cohort")) if people.values else b""
    file = ReceivedFile(path, number, len(content), b"", b"", 0, ())
    facts = {**decision_facts(found, year), "samples": sample_digests(found, b"all" * 8, b"lab/cohort")}
    sensitive, ordinary = (digests if flag else b"" for flag in (people.sensitive, people.ordinary))
    return StoredFile("t", file, {}, facts, sensitive, ordinary, datetime(2026, 5, 4, tzinfo=UTC), carried=carried)


def hgr(*files: tuple[str, bytes]) -> dict:
    return join([stored(path, content, at) for at, (path, content) in enumerate(files)], 2026).facts["hgr"]


def vcf(*names: str) -> bytes:
    return VCF % ("\t".join(names).encode(), b"\t".join([b"0/1"] * len(names)))


def test_both_reads_and_all_lanes_are_one_subject():
    names = [f"raw/NA1_S1_L00{lane}_R{read}_001.fastq.gz" for lane in (1, 2) for read in (1, 2)]
    found = hgr(*((name, gzip.compress(READ)) for name in names))
    assert (found["subjects"], found["sequencing_subjects"]) == (1, 1)
    assert hgr(("a_R1.fastq", READ), ("a_R2.fastq", READ), ("b_R1.fastq", READ))["sequencing_subjects"] == 2


def test_the_same_in_an_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("x/a_R1.fastq", "x/a_R2.fastq"):
            member = tarfile.TarInfo(name)
            member.size = len(READ)
            archive.addfile(member, io.BytesIO(READ))
    found = inspect_file(MemoryStore(buffer.getvalue()), "reads.tar", TABLES)
    if not found.inspectable:
        pytest.skip("NO ARCHIVES ARE READ YET: this becomes a test with the inspector of tar")
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (1, 1)


def test_reads_and_variants_of_one_sample():
    found = hgr(("na1_R1.fastq", READ), ("chr1.vcf", vcf("na1", "na2")), ("chr2.vcf", vcf("na1", "na2")))
    assert (found["subjects"], found["sequencing_subjects"]) == (2, 2)


def test_an_array_beside_reads_makes_nobody_sequenced():
    array = vcf("a", "b", "c").replace(b"#CHROM", b'##FORMAT=<ID=BAF,Number=1,Type=Float,Description="b">\n#CHROM')
    found = hgr(("array.vcf", array), ("a_R1.fastq", READ))
    assert (found["subjects"], found["sequencing_subjects"]) == (3, 1)


FAM = "".join(f"F{n} I{n} 0 0 1 2\n" for n in range(501)).encode()
PGEN = b"\x6c\x1b\x02" + (7).to_bytes(4, "little") + (501).to_bytes(4, "little") + b"\x40" + bytes(7 * 126)


def test_genotypes_are_of_those_listed_beside_them():
    found = hgr(("d/s.bed", b"\x6c\x1b\x01" + bytes(126)), ("d/s.fam", FAM), ("d/s.bim", b"1 rs1 0 100 A G\n"))
    assert (found["subjects"], found["sequencing_subjects"], found["aggregate_only"]) == (501, 0, False)
    found = hgr(("d/s.pgen", PGEN), ("d/s.psam", b"#FID IID\n" + FAM))
    assert (found["subjects"], found["sequencing_subjects"]) == (501, 501)
    assert hgr(("d/s.pgen", PGEN), ("e/s.psam", FAM))["subjects"] == 1002  # of another dataset
    assert (
        hgr(("d/s.pgen", PGEN), ("d/s.psam", FAM.splitlines()[0]))["subjects"] == 502
    )  # a list of fewer people is none of theirs


def test_a_list_that_comes_later_takes_nobody_back():
    files = [stored("a.pgen", PGEN, 1, carried="v1"), stored("b.fam", FAM, 2, carried="v1"), stored("a.fam", FAM, 3)]
    joined, known = join(files, 2026).facts["hgr"], already(files, 2026, {"v1"})
    assert (joined["subjects"], known.subjects) == (
        501,
        0,
    )  # all have names now, and names are counted once by themselves


def test_a_pedigree_reaches_the_facts():
    assert not hgr(("s.fam", FAM))["pedigree"]
    assert hgr(("s.fam", FAM + b"F1 child I1 0 1 2\n"))["pedigree"]
    assert hgr(("s.ped", b"F1 c f m 1 2 A A G G\n"), ("x.txt", b"words\n"))["pedigree"]


def test_what_is_carried_was_counted_once():
    files = [
        stored("a_R1.fastq", READ, 1, carried="v1"),
        stored("a_R2.fastq", READ, 2, carried="v1"),
        stored("b.fastq", READ, 3),
    ]
    joined = join(files, 2026)
    known = already(files, 2026, {"v1"})
    assert (joined.facts["hgr"]["subjects"], len(joined.samples) // 8, known.subjects, known.sequenced) == (2, 2, 0, 0)


def test_samples_of_two_years_are_the_same_samples():
    files = [stored("a_R1.fastq", READ, 1), stored("a_R2.fastq", READ, 2, year=2025)]
    assert join(files, 2026).facts["hgr"]["subjects"] == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["fastq", "vcf", "pgen", "bed"])), max_size=7, unique=True
    )
)
def test_no_genotypes_or_reads_make_the_number_smaller(drawn):
    contents = {"fastq": READ, "vcf": vcf("a", "z"), "pgen": PGEN, "bed": b"\x6c\x1b\x01\x00"}
    files = [stored(f"{stem}.{kind}", contents[kind], at) for at, (stem, kind) in enumerate(drawn)]
    counts = [join(files[:at], 2026).facts["hgr"] for at in range(len(files) + 1)]
    for before, after in pairwise(counts):
        assert before["subjects"] <= after["subjects"]
        assert before["sequencing_subjects"] <= after["sequencing_subjects"]
