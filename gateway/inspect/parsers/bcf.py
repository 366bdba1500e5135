"""BCF: variants in BGZF, in binary.

Source: VCF 4.5 section 6.3 (BCF2 records). Samples stand in the header, as in a VCF; the chain of records is walked to its
end, and each must have the header's number of samples. Text in records (identifiers, alleles, INFO, FORMAT) goes to the
classifier as the runs of characters that it is.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from gateway.core.classify.genomes import GenomeHeader
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.bgzf import Blocks, Reader
from gateway.inspect.parsers.genome_headers import read_header, tell
from gateway.inspect.report import Report, TextSink
from gateway.inspect.runs import legible
from gateway.inspect.source import Source, Stream

_MAGIC: Final = b"BCF\x02"
_MINORS: Final = frozenset({1, 2})
_BATCH: Final = 4 << 20
_LONGEST: Final = 256 << 20  # bytes of one record: 2 million samples with a hundred bytes each
# l_shared, l_indiv, CHROM, QUAL and others skipped, n_info, n_allele, n_sample below n_fmt
_FIXED: Final = struct.Struct("<IIi12xHHI")
_ALLELE_NUMBER: Final = re.compile(rb"##INFO=<ID=AN,[^\n]*IDX=(\d{1,6})")
_ASKED: Final = 10_000  # records whose allele number is looked up: it says the same all over a file
_WIDTHS: Final = {1: 1, 2: 2, 3: 4, 5: 4, 7: 1}  # bytes of a typed value's items (section 6.3.3)


def inspect(source: Source | Stream, report: Report) -> None:
    """Header, every record, then people."""
    budget = report.context.budget
    blocks = Blocks(source, budget)
    reader = Reader(blocks, budget)
    magic = reader.read(5)
    if not magic.startswith(_MAGIC) or magic[4] not in _MINORS:
        raise Unreadable("BCF: no header of version 2.1 or 2.2")
    text = reader.read(reader.number()).rstrip(b"\0")
    header = read_header(text, b"#", report, "header")
    walk = _Walk(header, text, report.text("records"))
    walk.records(reader)
    tell(header, report, persons=walk.alleles // 2)
    if not blocks.ended:
        report.unreadable("BCF: the end marker is missing: the file was cut off")
    report.cover(0, blocks.covered)


class _Walk:
    """From record to record.

    Attributes:
        alleles: Most called alleles that an INFO AN tells, of a file without samples.
    """

    def __init__(self, header: GenomeHeader, text: bytes, sink: TextSink) -> None:
        self._samples = None if header.sites_only else _columns(text)
        self._sink = sink
        found = _ALLELE_NUMBER.search(text) if header.sites_only else None
        self._key = int(found[1]) if found else -1
        self._asked = 0
        self.alleles = 0
        sink.line("records")

    def records(self, reader: Reader) -> None:
        """All of them."""
        left = b""
        for piece in reader.rest(_BATCH):
            left = self._batch(left + piece if left else piece)
            if len(left) > _LONGEST:
                raise Unreadable("BCF: a record is too long")
        if left:
            raise Unreadable("BCF: the last record breaks off")

    def _batch(self, held: bytes) -> bytes:
        at, end = 0, len(held)
        while at + _FIXED.size <= end:
            shared, own, chromosome, information, alleles, kinds = _FIXED.unpack_from(held, at)
            after = at + 8 + shared + own
            samples = kinds & 0xFF_FFFF
            if shared < 24 or shared + own > _LONGEST or chromosome < 0 or samples != (self._samples or 0):
                raise Unreadable("BCF: a record that does not fit the header")
            if after > end:
                break
            if self._key >= 0 and self._asked < _ASKED:
                self._ask(held[at + _FIXED.size : at + 8 + shared], alleles, information)
            at = after
        if found := legible(held[:at]):
            self._sink.raw(found)
        return held[at:]

    def _ask(self, body: bytes, alleles: int, information: int) -> None:
        """The allele number of one record."""
        self._asked += 1
        place = 0
        for _ in range(1 + alleles + 1):  # identifier, alleles, filters
            place = _typed(body, place)[1]
        for _ in range(information):
            key, place = _typed(body, place)
            value, place = _typed(body, place)
            if key == self._key:
                self.alleles = max(self.alleles, value)


def _typed(body: bytes, at: int) -> tuple[int, int]:
    """A typed value (section 6.3.3): its first number, and where the next begins."""
    if at >= len(body):
        raise Unreadable("BCF: a typed value breaks off")
    kind, count = body[at] & 15, body[at] >> 4
    at += 1
    if count == 15:
        count, at = _typed(body, at)
    width = _WIDTHS.get(kind, 0)
    end = at + width * count
    if count < 0 or end > len(body) or (kind and not width):
        raise Unreadable("BCF: a typed value breaks off")
    number = int.from_bytes(body[at : at + width], "little", signed=True) if kind in {1, 2, 3} and count else 0
    return number, end


def _columns(text: bytes) -> int:
    """Samples in the last line of the header, doubles counted."""
    line = text.rstrip(b"\n\r").rpartition(b"\n")[2]
    return max(len(line.split(b"\t")) - 9, 0)
