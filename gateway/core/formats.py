"""What a file is, judged by its first bytes and, where those leave it open, by its name.

Not here: reading formats (inspectors do that) and what follows from one. `interpretation` says whether scanning the raw
bytes *is* reading the file ("text") or says nothing about what it holds ("opaque").

A change must keep: a doubt ends in `unknown`, which holds the file; a name never makes opaque bytes text; the answer is
a function of the head and the name alone.
"""

from __future__ import annotations

import codecs
import re
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from gateway.core.encodings import encoding_of, is_binary
from gateway.core.signatures import Format, opaque, signatures_from

HEAD = 65_536  # bytes of head that `sniff` wants; less is fine where the file is shorter

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@lru_cache(maxsize=256)
def _text(name: str, media_type: str, delimiter: int | None = None, encoding: str = "", bom: int = 0) -> Format:
    """Made once: for a small file, making it takes as long as finding out which it is."""
    return Format(name, media_type, "text", encoding, bom, delimiter)


UNKNOWN = opaque("unknown", "application/octet-stream")
ONNX = opaque("onnx", "application/octet-stream")

# First path component in a zip's head that tells what kind of package it is.
_PACKAGES = (
    (b"word/", "docx"), (b"xl/", "xlsx"), (b"ppt/", "pptx"), (b"mimetypeapplication/vnd.oasis.opendocument", "odf"),
    (b"META-INF/", "jar"), (b".npy", "npz"), (b"/data.pkl", "torch"),
)  # fmt: skip

_GFF = re.compile(rb"^##gff-version", re.MULTILINE)
_SAM = re.compile(rb"^@(HD\tVN:|SQ\t(?:[A-Z][A-Z0-9]:[^\t\n]*\t)*SN:|RG\tID:|PG\tID:)")
_SAM_COMMENT = re.compile(rb"^(?:@CO\t[^\n]*\n)+@(?:HD|SQ|RG|PG|CO)\t")
# SAM 1.6 section 1.4: eleven mandatory fields; a file without its header is one too
_ALIGNMENT = re.compile(
    rb"^(?:@CO\t[^\n]*\n)*[!-?A-~][!-~]{0,253}\t\d{1,5}\t[!-~]+\t\d{1,10}\t\d{1,3}\t(?:\*|(?:\d+[MIDNSHPX=])+)"
    rb"\t[!-~]+\t\d{1,10}\t-?\d{1,10}\t(?:\*|[A-Za-z=.]+)\t[!-~]+"
)
_VCF = (b"\n##fileformat=VCF", b"\n#CHROM\tPOS\tID\tREF\tALT")
_BED = re.compile(rb"^(?:(?:#|track|browser)[^\n]*\n)*[^\t\n]+\t\d+\t\d+(?:\t|\r?\n|$)")
_FASTQ = re.compile(rb"^@[^\n]*\n([A-Za-z.*\-]*)\r?\n\+[^\n]*\n([!-~]*)")
_FASTA = re.compile(rb"^(?:>|;)[^\n]*\n[A-Za-z*\-\r\n]+(?:\n|$|>)")
_NUCLEOTIDES = re.compile(rb"^>[^\n]*\n[ACGTUNRYKMSWBDHVacgtunrykmswbdhv\r\n]+(?:\n>|$)")
_NDJSON = re.compile(rb"^\s*[{\[][^\n]*[}\]]\s*\n\s*[{\[]")
_REPORT = re.compile(rb"\[Header\]\s*\r?\nGSGT Version")
_MARKED_UP = frozenset({"json", "ndjson", "xml"})  # what a first character shows; a name alone does not
_NAMED = {
    ".csv": ("csv", "text/csv"), ".tsv": ("tsv", "text/tab-separated-values"), ".tab": ("tsv", "text/tab-separated-values"),
    ".json": ("json", "application/json"), ".geojson": ("json", "application/geo+json"),
    ".ndjson": ("ndjson", "application/x-ndjson"),
    ".jsonl": ("ndjson", "application/x-ndjson"), ".xml": ("xml", "application/xml"), ".gff": ("gff", "text/x-gff3"),
    ".gff3": ("gff", "text/x-gff3"), ".gtf": ("gff", "text/x-gtf"), ".ped": ("plink_ped", "text/plain"),
    ".fam": ("plink_fam", "text/plain"), ".psam": ("plink_fam", "text/plain"), ".bim": ("plink_bim", "text/plain"),
    ".sample": ("oxford_sample", "text/plain"),
}  # fmt: skip
_DBASE = frozenset(
    {0x02, 0x03, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0x8E, 0xCB, 0xE5, 0xF5, 0xFB}
)  # first byte of .dbf
_DELIMITERS = b",\t;|"
_QUOTED = re.compile(rb'"[^"]*"')


def sniff(head: bytes, name: str) -> Format:
    """Judge a file.

    Args:
        head: Its first HEAD bytes, or all of them where it is shorter.
        name: Its name or path; only the last component is looked at.
    """
    stem = name.replace("\\", "/").rpartition("/")[2].lower()
    if not head:
        return _text("empty", "application/x-empty", encoding="utf-8")
    for offset, signature, format_ in signatures_from(head[0]):
        if head.startswith(signature, offset) and _believed(signature, format_, head):
            return _refined(format_, head, stem)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return _encoded(head[len(bom) :], stem, encoding, len(bom))
    encoding = encoding_of(head)
    if encoding:
        return _encoded(head, stem, encoding, 0)
    if stem.endswith(".onnx") and head[0] == 0x08:  # protocol buffers have no signature; field 1 is first
        return ONNX
    return _unsigned(head)


def _unsigned(head: bytes) -> Format:
    """Binary formats without a signature, by the form of their header."""
    if len(head) < 65 or head[0] not in _DBASE or not (1 <= head[2] <= 12 and 1 <= head[3] <= 31):
        return UNKNOWN
    size = int.from_bytes(head[8:10], "little")  # of the header: fields of 32 bytes, their end, what FoxPro adds
    told = size >= 65 and size % 32 in (1, 2, 8) and head[43:44].isalpha()
    return opaque("dbf", "application/x-dbf") if told else UNKNOWN


def _believed(signature: bytes, format_: Format, head: bytes) -> bool:
    """A signature of printable characters may also begin a text: then the head must be binary."""
    lettered = signature.replace(b" ", b"").isalnum()
    return (
        format_.encrypted or not lettered or is_binary(head) or format_.name == "spss_portable"
    )  # which has nothing else


def _encoded(body: bytes, stem: str, encoding: str, bom: int) -> Format:
    plain = body
    if encoding != "utf-8" or not body.isascii():
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(body)
        except UnicodeDecodeError:
            return UNKNOWN
        plain = text.encode("utf-8", "surrogatepass")
    if is_binary(plain):
        return UNKNOWN
    kind = text_kind(plain, stem)
    return _text(kind.name, kind.media_type, kind.delimiter, encoding, bom)


def text_kind(text: bytes, stem: str) -> Format:
    """Which kind of text; `text` is the head in UTF-8, `stem` the lower-case file name."""
    text = text.lstrip(b" \t\r\n\v\f")  # a blank line before a header hides nothing
    suffix = "." + stem.rpartition(".")[2] if "." in stem else ""
    if suffix == ".vcf" or any(text.startswith(line[1:]) or line in text for line in _VCF):
        return _text("vcf", "text/x-vcf")
    if _SAM.match(text) or _SAM_COMMENT.match(text) or _ALIGNMENT.match(text):
        return _text("sam", "text/x-sam")
    if _is_fastq(text):
        return _text("fastq", "text/x-fastq")
    if _GFF.match(text):
        return _text("gff", "text/x-gff3")
    if _FASTA.match(text):
        return _text("fasta" if _NUCLEOTIDES.match(text) else "protein_fasta", "text/x-fasta")
    if matrix := _matrix(text):
        return matrix
    if suffix == ".bed" and _BED.match(text):
        return _text("bed", "text/x-bed")
    return _marked_up(text) or _tabular(text, suffix) or _text("text", "text/plain")


def _matrix(text: bytes) -> Format | None:
    """Matrices and reports of genetics that say so in their first line: GCT, Matrix Market, GenomeStudio."""
    if text.startswith((b"#1.2", b"#1.3")) and re.match(rb"#1\.[23][ \t]*\r?\n\d+\t\d+", text):
        return _text("gct", "text/plain")
    if text.startswith(b"%%MatrixMarket"):
        return _text("mtx", "text/plain")
    if text.startswith(b"[CEL]"):
        return _text("cel_text", "text/plain")
    return _text("genomestudio", "text/plain") if _REPORT.match(text) else None


def _is_fastq(text: bytes) -> bool:
    match = _FASTQ.match(text)
    if not match:
        return False
    whole = match.end() < len(text)  # a very long read may reach past the head
    return len(match[1]) == len(match[2]) or (not whole and len(match[2]) < len(match[1]))


def _marked_up(text: bytes) -> Format | None:
    first = text.lstrip()[:1]
    if first in (b"{", b"["):
        if _NDJSON.match(text):
            return _text("ndjson", "application/x-ndjson")
        return _text("json", "application/json")
    if first == b"<":
        return _text("xml", "application/xml")
    return None


def _tabular(text: bytes, suffix: str) -> Format | None:
    """A table by its content; a name may say which of two readings is meant, never that a table is something else."""
    lines = [line for line in text[:8192].split(b"\n", 20)[:20] if line.strip()]
    if len(text) > 8192:
        lines = lines[:-1] or lines
    delimiter = _delimiter(lines)
    named = _NAMED.get(suffix)
    if named is not None and named[0] in {"csv", "tsv"}:
        return _text(*named, delimiter if delimiter is not None else ord("\t" if "t" in suffix else ","))
    # GFF, GTF and PED are read by tabs or blanks; commas under such a name are a table like any other.
    if named is not None and named[0] not in _MARKED_UP and delimiter in {None, ord("\t"), ord(" ")}:
        return _text(*named)
    if delimiter is None or len(lines) < 2:
        return None
    return (
        _text("tsv", "text/tab-separated-values", delimiter)
        if delimiter == ord("\t")
        else _text("csv", "text/csv", delimiter)
    )


def _delimiter(lines: list[bytes]) -> int | None:
    """The byte that stands equally often, at least once, outside quotes in every line; the most frequent of such."""
    quoted = b'"' in b"".join(lines)
    bare = [_QUOTED.sub(b"", line) for line in lines] if quoted else lines
    even = []
    for place, byte in enumerate(_DELIMITERS if bare else b""):
        count = bare[0].count(byte)
        if count and {line.count(byte) for line in bare} == {count}:
            even.append((count, -place))
    return _DELIMITERS[-max(even)[1]] if even else None


def _refined(format_: Format, head: bytes, stem: str) -> Format:
    """Say more about containers: what is inside, and whether it is under a password."""
    if format_.name == "zip":
        return _zip(format_, head)
    if format_.name == "tiff" and is_georeferenced(head):
        return opaque("geotiff", "image/tiff; application=geotiff")
    if format_.name == "gzip":
        return _gzip(format_, head, stem)
    if format_.name == "pdf" and b"/Encrypt" in head:
        return replace(format_, encrypted=True)
    if format_.name == "ole2" and "EncryptedPackage".encode("utf-16-le") in head:
        return replace(format_, encrypted=True)
    return format_


def is_georeferenced(head: bytes) -> bool:
    """Whether the first directory of a TIFF places it on the globe, as far as the head shows.

    By tags 33550, 34264 or 34735 (OGC 19-008r4 section 7.3).
    """
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    wide = int.from_bytes(head[2:4], order) == 43
    at = int.from_bytes(head[8:16] if wide else head[4:8], order)
    start, step = (at + 8, 20) if wide else (at + 2, 12)
    count = int.from_bytes(head[at:start], order)
    tags = range(start, min(start + step * min(count, 4096), len(head) - 1), step)
    return any(int.from_bytes(head[tag : tag + 2], order) in {33550, 34264, 34735} for tag in tags)


def _zip(format_: Format, head: bytes) -> Format:
    locked = len(head) > 6 and head[2:4] == b"\x03\x04" and bool(head[6] & 1)  # general purpose bit 0, APPNOTE 4.4.4
    kinds = [kind for needle, kind in _PACKAGES if needle in head[:4096]]
    return replace(format_, name=kinds[0] if kinds else "zip", encrypted=locked)


def _gzip(format_: Format, head: bytes, stem: str) -> Format:
    blocked = len(head) > 14 and bool(head[3] & 4) and head[12:14] == b"BC"  # SAM specification, section 4.1
    try:
        inside = zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        inside = b""
    for magic, name in ((b"BAM\x01", "bam"), (b"BCF\x02", "bcf"), (b"CSI\x01", "csi"), (b"TBI\x01", "tbi")):
        if inside.startswith(magic):
            return opaque(name, f"application/x-{name}")
    inner = stem.removesuffix(".gz").removesuffix(".bgz")
    nested = not inside or inside.startswith(b"\x1f\x8b")  # gzip may hold itself for ever: look one layer deep only
    kind = "unknown" if nested else sniff(inside, inner).name
    return replace(format_, name="bgzf" if blocked else "gzip", hints=(f"inner:{kind}",))
