"""Formats by their first bytes: files that real tools wrote, and heads that only look like something."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile

import pytest

from gateway.core.formats import HEAD, UNKNOWN, sniff

TEXTS = [
    (b"", "a.bin", "empty"),
    (b"a,b\n1,2\n3,4\n", "x", "csv"),
    (b"a;b\n1;2\n", "x.csv", "csv"),
    (b"a\tb\n1\t2\n", "x.txt", "tsv"),
    (b'{"a": 1}\n{"a": 2}\n', "x", "ndjson"),
    (b'[{"a": 1},\n {"a": 2}]', "x", "json"),
    (b"<?xml version='1.0'?><a/>", "x", "xml"),
    (b"##fileformat=VCFv4.2\n#CHROM\n", "x", "vcf"),
    (b"@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1\n", "x", "sam"),
    (b"@r1\nACGT\n+\nFFFF\n", "x", "fastq"),
    (b"@r1\n" + b"A" * HEAD, "x", "text"),
    (b">s\nACGTACGT\n", "x", "fasta"),
    (b">s\nMKVLAAGIEF\n", "x", "protein_fasta"),
    (b"##gff-version 3\nchr1\t.\tgene\t1\t2\n", "x", "gff"),
    (b"chr1\t10\t20\n", "peaks.bed", "bed"),
    (b"chr1\t10\t20\nchr2\t1\t2\n", "peaks.txt", "tsv"),
    (b"F1 I1 0 0 1 2\n", "study.fam", "plink_fam"),
    (b"plain words, and more\nof them\n", "x", "text"),
    (b"MZ,DZ\n1,2\n", "twins.csv", "csv"),
    (b"BZh is how the file starts\n", "x", "text"),
]


@pytest.mark.parametrize(("head", "name", "expected"), TEXTS, ids=[t[2] + ":" + t[1] for t in TEXTS])
def test_texts(head, name, expected):
    found = sniff(head, name)
    assert (found.name, found.interpretation) == (expected, "text")


def _zip(name: str, *, locked: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    data = bytearray(buffer.getvalue())
    data[6] |= locked
    return bytes(data)


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t (a)")
        data = connection.serialize()
    connection.close()
    return data


OPAQUE = [
    (_zip("a.csv"), "zip", False),
    (_zip("a.csv", locked=True), "zip", True),
    (_zip("word/document.xml"), "docx", False),
    (_zip("xl/workbook.xml"), "xlsx", False),
    (gzip.compress(b"a,b\n1,2\n"), "gzip", False),
    (gzip.compress(gzip.compress(b"x")), "gzip", False),
    (b"\x1f\x8b\x08\x00broken", "gzip", False),
    (bz2.compress(b"abc" * 100), "bzip2", False),
    (lzma.compress(b"abc"), "xz", False),
    (_sqlite(), "sqlite", False),
    (b"%PDF-1.7\n1 0 obj << /Encrypt 2 0 R >>", "pdf", True),
    (b"%PDF-1.7\n", "pdf", False),
    (b"\0" * 128 + b"DICM", "dicom", False),
    (b"\x89HDF\r\n\x1a\n", "hdf5", False),
    (b"PAR1\x15\x04", "parquet", False),
    (b"\x6c\x1b\x01\xff", "plink_bed", False),
    (b"crypt4gh\x01\0\0\0", "crypt4gh", True),
    (b"-----BEGIN PGP MESSAGE-----\n", "pgp", True),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "ole2", True),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole2", False),
    (bytes(range(256)), "unknown", False),
    (b"text with a \0 in it", "unknown", False),
    (b"\xff\xfea\0\x00\xd8a\0", "unknown", False),
    (b"\xff\xfea\0\0\0", "unknown", False),
]


@pytest.mark.parametrize(("head", "expected", "encrypted"), OPAQUE, ids=[f"{o[1]}-{i}" for i, o in enumerate(OPAQUE)])
def test_opaque(head, expected, encrypted):
    found = sniff(head, "data.csv")
    assert (found.name, found.interpretation, found.encrypted) == (expected, "opaque", encrypted)


def test_blocked_gzip_of_real_tools(tmp_path):
    import pysam

    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": "chr1", "LN": 248956422}]}
    with pysam.AlignmentFile(str(tmp_path / "a.bam"), "wb", header=header):
        pass
    plain = tmp_path / "a.vcf"
    plain.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "a.vcf.gz"))
    assert sniff((tmp_path / "a.bam").read_bytes(), "a.bam").name == "bam"
    found = sniff((tmp_path / "a.vcf.gz").read_bytes(), "a.vcf.gz")
    assert (found.name, found.hints) == ("bgzf", ("inner:vcf",))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(codec):
    found = sniff("a,b\n1,2\n".encode(codec), "x.csv")
    assert (found.name, found.delimiter) == ("csv", ord(","))
    assert found.bom == len("".encode(codec))


def test_a_name_never_makes_opaque_bytes_text():
    assert sniff(b"\x00\x01\x02\x03", "harmless.csv") == UNKNOWN


@pytest.mark.parametrize("name", ["p.json", "p.xml", "p.gff", "p.ndjson", "p.ped", "p.bin", "p"])
def test_a_table_stays_a_table_under_any_name(name: str) -> None:
    table = "姓名,身份证号,诊断\n".encode() + b"a,11010519491231002X,E11\n" * 5
    assert (sniff(table, name).name, sniff(table, name).delimiter) == ("csv", ord(","))


@pytest.mark.parametrize("line", [b"##fileformat=VCFv4.2", b"#CHROM\tPOS\tID\tREF\tALT"])
def test_variants_are_known_at_the_start_of_a_line_only(line):
    assert sniff(b"x\n" + line + b"\n", "a.txt").name == "vcf"
    assert sniff(b"x\nsee " + line + b"\n", "a.txt").name != "vcf"
