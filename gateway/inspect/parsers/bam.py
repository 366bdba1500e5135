"""BAM: alignments in BGZF, and reads that were not aligned.

Source: SAM/BAM specification 1.6, sections 4.1.2 (end of file) and 4.2 (header, records, auxiliary data). The chain of
records is walked to its end; names of reads and auxiliary data go to the classifier, bases and qualities do not. Who is
in the file stands in the header: distinct SM of @RG; without any it is one person.

A change must keep: a record whose parts are longer than itself, bytes after the last record and a missing end marker are
no clean file.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.bgzf import Blocks, Reader
from gateway.inspect.parsers.genome_headers import read_header, tell
from gateway.inspect.report import Report, TextSink
from gateway.inspect.runs import blanked, wide
from gateway.inspect.source import Source, Stream

_MAGIC: Final = b"BAM\x01"
_BATCH: Final = 4 << 20
# block_size, then within the record: refID, pos, l_read_name, mapq, bin, n_cigar_op, flag, l_seq
_FIELDS: Final = struct.Struct("<i8xB3xH2xi")
_FIXED: Final = 36  # block_size and the fixed fields
_LONGEST: Final = 64 << 20  # bytes of one record: the longest reads known have some 4 million bases
_REFERENCES: Final = 50_000_000


def inspect(source: Source | Stream, report: Report) -> None:
    """Header, people, then every record."""
    budget = report.context.budget
    blocks = Blocks(source, budget)
    reader = Reader(blocks, budget)
    if reader.read(4) != _MAGIC:
        raise Unreadable("BAM: no header")
    header = read_header(_header(reader), b"@", report, "header")
    tell(header, report)
    _records(reader, report)
    if not blocks.ended:
        report.unreadable("BAM: the end marker is missing: the file was cut off")
    report.cover(0, blocks.covered)


def _header(reader: Reader) -> bytes:
    """The header's text; reference names that only the binary list has are added as lines of it."""
    text = reader.read(reader.number()).rstrip(b"\0")
    count = reader.number()
    if count > _REFERENCES:
        raise Unreadable("BAM: more references than any genome has")
    lines = [text if text.endswith(b"\n") or not text else text + b"\n"]
    for _ in range(count):
        name = reader.read(reader.number()).rstrip(b"\0")
        length = reader.number()
        if b"\tSN:" + name not in text:
            lines.append(b"@SQ\tSN:%s\tLN:%d\n" % (name, length))
    return b"".join(lines)


def _records(reader: Reader, report: Report) -> None:
    names, tags = report.text("read names"), report.text("read tags")
    names.line("reads")
    tags.line("tags")
    left = b""
    for piece in reader.rest(_BATCH):
        left = _batch(left + piece if left else piece, names, tags)
        if len(left) > _LONGEST:
            raise Unreadable("BAM: a record longer than any read")
    if left:
        raise Unreadable("BAM: the last record breaks off")


def _batch(held: bytes, names: TextSink, tags: TextSink) -> bytes:
    """Walk whole records; what is left begins the next batch."""
    at, end = 0, len(held)
    fields = _FIELDS.unpack_from
    named: list[bytes] = []
    tagged: list[bytes] = []
    while at + _FIXED <= end:
        size, name, operations, bases = fields(held, at)
        after = at + 4 + size
        tail = at + _FIXED + name + 4 * operations + (bases + 1) // 2 + bases
        if bases < 0 or not name or tail > after or size > _LONGEST:
            raise Unreadable("BAM: a record whose parts do not fit in it")
        if after > end:
            break
        named.append(held[at + _FIXED : at + _FIXED + name - 1])
        tagged.append(held[tail:after])
        at = after
    if named:
        names.raw(blanked(b"\n".join(named) + b"\n"))
        _tags(b"\n".join(tagged) + b"\n", tags)
    return held[at:]


def _tags(content: bytes, sink: TextSink) -> None:
    """Auxiliary data as text: two characters of tag, one of type, the value; a string's type would stick to its value."""
    data = np.frombuffer(content, np.uint8).copy()
    letter, digit = (data | 0x20) - np.uint8(97) < 26, data - np.uint8(48) < 10
    typed = (data[2:] == ord("Z")) | (data[2:] == ord("A")) | (data[2:] == ord("H"))
    data[2:][typed & letter[:-2] & (letter[1:-1] | digit[1:-1])] = 0x20
    sink.raw(blanked(data.tobytes()))
    if found := wide(content):  # not allowed by the specification, and read all the same
        sink.raw(found)
