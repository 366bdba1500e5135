"""Formats of binary files and their signatures.

Source: the formats' own specifications, where the signature is the magic number that they prescribe. Not here: formats of
text, which have none, and what else a head or a name tells (`formats`).

A change must keep: longer signatures stand before their beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Format:
    """A judged format.

    Attributes:
        name: Short stable name: `csv`, `vcf`, `bam`, `zip`, `unknown`, ...
        media_type: IANA or customary media type.
        interpretation: `text` where scanning the decoded bytes reads all of the file, else `opaque`.
        encoding: `utf-8`, `utf-16-le`, `utf-16-be`, `gb18030` or `big5hkscs`; empty for opaque formats.
        bom: Bytes of byte order mark at the start.
        delimiter: Byte between cells for tables, else None.
        encrypted: The content is under a key we do not have.
        hints: What else the head or name suggests, such as `inner:vcf` for `x.vcf.gz`; never evidence of harmlessness.
    """

    name: str
    media_type: str
    interpretation: Literal["text", "opaque"]
    encoding: str = ""
    bom: int = 0
    delimiter: int | None = None
    encrypted: bool = False
    hints: tuple[str, ...] = ()


BINARY = bytes({*range(0x20)} - {*range(0x09, 0x0E), 0x1B})  # no text file holds these; escape colours terminal logs


def opaque(name: str, media_type: str, *, encrypted: bool = False) -> Format:
    """A format that no inspector reads."""
    return Format(name, media_type, "opaque", encrypted=encrypted)


# (offset, bytes, format); the first that matches wins, so longer signatures stand before their beginnings.
SIGNATURES: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"crypt4gh", opaque("crypt4gh", "application/octet-stream", encrypted=True)),
    (0, b"age-encryption.org/v1", opaque("age", "application/octet-stream", encrypted=True)),
    (0, b"-----BEGIN AGE ENCRYPTED FILE-----", opaque("age", "text/plain", encrypted=True)),
    (0, b"-----BEGIN PGP MESSAGE-----", opaque("pgp", "application/pgp-encrypted", encrypted=True)),
    (0, b"Salted__", opaque("openssl-enc", "application/octet-stream", encrypted=True)),
    (0, b"LUKS\xba\xbe", opaque("luks", "application/octet-stream", encrypted=True)),
    (0, b"PK\x03\x04", opaque("zip", "application/zip")),
    (0, b"PK\x05\x06", opaque("zip", "application/zip")),
    (0, b"PK\x07\x08", opaque("zip", "application/zip")),
    (0, b"\x1f\x8b", opaque("gzip", "application/gzip")),
    (0, b"BZh", opaque("bzip2", "application/x-bzip2")),
    (0, b"\xfd7zXZ\x00", opaque("xz", "application/x-xz")),
    (0, b"\x28\xb5\x2f\xfd", opaque("zstd", "application/zstd")),
    (0, b"\x04\x22\x4d\x18", opaque("lz4", "application/x-lz4")),
    (0, b"7z\xbc\xaf\x27\x1c", opaque("7z", "application/x-7z-compressed")),
    (0, b"Rar!\x1a\x07", opaque("rar", "application/vnd.rar")),
    (257, b"ustar", opaque("tar", "application/x-tar")),
    (0, b"%PDF-", opaque("pdf", "application/pdf")),
    (128, b"DICM", opaque("dicom", "application/dicom")),
    # DICOM without a preamble begins with a group length, a character set, an image type or a class (PS3.5 section 7.1)
    (0, b"\x02\x00\x00\x00UL\x04\x00", opaque("dicom", "application/dicom")),
    (0, b"\x08\x00\x00\x00UL\x04\x00", opaque("dicom", "application/dicom")),
    (0, b"\x08\x00\x00\x00\x04\x00\x00\x00", opaque("dicom", "application/dicom")),
    (0, b"\x08\x00\x05\x00", opaque("dicom", "application/dicom")),
    (0, b"\x08\x00\x08\x00", opaque("dicom", "application/dicom")),
    (0, b"\x08\x00\x16\x00", opaque("dicom", "application/dicom")),
    (0, b"\x00\x08\x00\x05CS", opaque("dicom", "application/dicom")),
    (0, b"\x00\x08\x00\x08CS", opaque("dicom", "application/dicom")),
    (0, b"\x89HDF\r\n\x1a\n", opaque("hdf5", "application/x-hdf5")),
    (0, b"CDF\x01", opaque("netcdf", "application/x-netcdf")),
    (0, b"PAR1", opaque("parquet", "application/vnd.apache.parquet")),
    (0, b"PARE", opaque("parquet", "application/vnd.apache.parquet", encrypted=True)),
    (0, b"ARROW1", opaque("arrow", "application/vnd.apache.arrow.file")),
    (0, b"\xff\xff\xff\xff", opaque("arrow_stream", "application/vnd.apache.arrow.stream")),
    (0, b"ORC", opaque("orc", "application/vnd.apache.orc")),
    (0, b"Obj\x01", opaque("avro", "application/vnd.apache.avro")),
    (0, b"FEA1", opaque("feather", "application/octet-stream")),
    (0, b"SQLite format 3\x00", opaque("sqlite", "application/vnd.sqlite3")),
    (0, b"\x89PNG\r\n\x1a\n", opaque("png", "image/png")),
    (0, b"\xff\xd8\xff", opaque("jpeg", "image/jpeg")),
    (0, b"GIF8", opaque("gif", "image/gif")),
    (0, b"II*\x00", opaque("tiff", "image/tiff")),
    (0, b"MM\x00*", opaque("tiff", "image/tiff")),
    (0, b"II+\x00", opaque("tiff", "image/tiff")),
    (0, b"MM\x00+", opaque("tiff", "image/tiff")),
    (0, b"BAM\x01", opaque("bam", "application/x-bam")),
    (0, b"BCF\x02", opaque("bcf", "application/x-bcf")),
    (0, b"BAI\x01", opaque("bai", "application/octet-stream")),
    (0, b"CRAM", opaque("cram", "application/x-cram")),
    (0, b"\x6c\x1b\x01", opaque("plink_bed", "application/octet-stream")),
    (0, b"\x6c\x1b", opaque("plink_pgen", "application/octet-stream")),
    (16, b"bgen", opaque("bgen", "application/octet-stream")),
    (0, b"\x40\x00\x00\x00\x04\x00\x00\x00", opaque("cel", "application/octet-stream")),
    (14, b"affymetrix-calvin-", opaque("cel", "application/octet-stream")),
    (0, b"IDAT", opaque("idat", "application/octet-stream")),
    (0, b"\x8bPOD\r\n\x1a\n", opaque("pod5", "application/octet-stream")),
    (344, b"n+1\x00", opaque("nifti", "application/x-nifti")),
    (344, b"ni1\x00", opaque("nifti", "application/x-nifti")),
    (0, b"\x1c\x02\x00\x00n+2\x00", opaque("nifti", "application/x-nifti")),
    (0, b"\x00\x00\x02\x1cn+2\x00", opaque("nifti", "application/x-nifti")),
    (0, b"\x1c\x02\x00\x00ni2\x00", opaque("nifti", "application/x-nifti")),
    (0, b"0       ", opaque("edf", "application/x-edf")),
    (0, b"\xffBIOSEMI", opaque("edf", "application/x-bdf")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", opaque("ole2", "application/x-ole-storage")),
    (0, b"\x93NUMPY", opaque("npy", "application/octet-stream")),
    (0, b"X\n\x00\x00\x00\x02", opaque("rdata", "application/octet-stream")),
    (0, b"X\n\x00\x00\x00\x03", opaque("rdata", "application/octet-stream")),
    (0, b"HEADER RECORD*******LIB", opaque("xport", "application/x-sas-xport")),
    (
        0,
        bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11",
        opaque("sas7bdat", "application/x-sas-data"),
    ),
    (0, b"\x37\x7f\x06\x82", opaque("sqlite_wal", "application/octet-stream")),
    (0, b"\x37\x7f\x06\x83", opaque("sqlite_wal", "application/octet-stream")),
    (0, b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", opaque("sqlite_journal", "application/octet-stream")),
    (0, b"MATLAB 5.0 MAT-file", opaque("matlab", "application/x-matlab-data")),
    (0, b"RDX2", opaque("rdata", "application/octet-stream")),
    (0, b"RDX3", opaque("rdata", "application/octet-stream")),
    (0, b"$FL2", opaque("spss", "application/x-spss-sav")),
    (0, b"$FL3", opaque("spss", "application/x-spss-sav")),
    (28, b"ENCRYPTEDSAV", opaque("spss", "application/x-spss-sav", encrypted=True)),
    (8, b"ENCRYPTEDSAV", opaque("spss", "application/x-spss-sav", encrypted=True)),
    # numbers in base 30: no text; two of five splash strings, or the tag behind five lines with the ends that they may have
    *(
        (at, magic, opaque("spss_portable", "application/x-spss-por"))
        for at, magic in (
            (0, b"ASCII SPSS PORT FILE"),
            (40, b"ASCII SPSS PORT FILE"),
            (456, b"SPSSPORT"),
            (461, b"SPSSPORT"),
            (466, b"SPSSPORT"),
        )
    ),
    *(
        (0, bytes([version, order, 1]), opaque("stata", "application/x-stata-dta"))
        for version in range(102, 116)
        for order in (1, 2)
    ),
    (0, b"<stata_dta>", opaque("stata", "application/x-stata-dta")),
    (0, b"\x00\x00\x27\x0a", opaque("shapefile", "application/vnd.shp")),
    (0, b"LASF", opaque("las", "application/vnd.las")),
    (0, b"GGUF", opaque("gguf", "application/octet-stream")),
    (4, b'\x00\x00\x00\x00{"', opaque("safetensors", "application/octet-stream")),
    (4, b"\x00\x00\x00\x00{}", opaque("safetensors", "application/octet-stream")),
    (0, b"\x80\x02", opaque("pickle", "application/octet-stream")),
    (0, b"\x80\x03", opaque("pickle", "application/octet-stream")),
    (0, b"\x80\x04\x95", opaque("pickle", "application/octet-stream")),
    (0, b"\x80\x05\x95", opaque("pickle", "application/octet-stream")),
    (0, b"MZ", opaque("executable", "application/vnd.microsoft.portable-executable")),
    (0, b"\x7fELF", opaque("executable", "application/x-executable")),
)

_BY_FIRST = [tuple(s for s in SIGNATURES if s[0] or s[1][0] == first) for first in range(256)]  # in the same order


def signatures_from(first: int) -> tuple[tuple[int, bytes, Format], ...]:
    """Signatures that a file may have whose first byte is this one."""
    return _BY_FIRST[first]
