"""CRAM 2.1, 3.0 and 3.1: alignments in containers of compressed blocks.

Source: CRAM format specification 3.1, sections 2 (ITF8, LTF8), 6 (file definition), 7 (containers), 8 (blocks, compression
header) and 9 (end of file). All containers and blocks are walked with their CRC-32 where the version has them. The header is
read as that of a BAM. Names of reads and string tags go to the classifier where they are stored plain or under gzip,
bzip2 or LZMA; under CRAM's own codecs they are covered as reads and a weak finding says so. Nothing follows a reference:
sequences are never rebuilt.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass
from typing import Final

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.parsers.genome_headers import read_header, tell
from gateway.inspect.report import Report, TextSink
from gateway.inspect.runs import legible
from gateway.inspect.source import Source, Stream

_VERSIONS: Final = frozenset({(2, 0), (2, 1), (3, 0), (3, 1)})
_RAW, _GZIP, _BZIP2, _LZMA = range(4)
_METHODS: Final = 9
_FILE_HEADER, _COMPRESSION_HEADER, _SLICE_HEADER, _EXTERNAL, _CORE = 0, 1, 2, 4, 5
_TYPES: Final = frozenset({_FILE_HEADER, _COMPRESSION_HEADER, _SLICE_HEADER, _EXTERNAL, _CORE})
_END_START: Final = 4_542_278  # "EOF" as the alignment start of the last container (section 9)
_EXTERNAL_CODEC, _LENGTHS_CODEC, _STOP_CODEC = 1, 4, 5
_STRINGS: Final = frozenset(b"ZH")


class _Bytes:
    """A cursor over bytes in memory, with CRAM's integers (section 2.3)."""

    def __init__(self, held: bytes) -> None:
        self.held = held
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.held):
            raise Unreadable("CRAM: a structure breaks off")
        self.at += size
        return self.held[self.at - size : self.at]

    def itf8(self) -> int:
        first = self.take(1)[0]
        more = min(4, 8 - (~first & 0xFF).bit_length())
        rest = int.from_bytes(self.take(more), "big")
        if more == 4:  # the last byte carries only four bits
            return (((first & 0x0F) << 28) | (rest >> 8 << 4) | (rest & 0x0F)) & 0xFFFF_FFFF
        return ((first & (0x7F >> more)) << (8 * more)) | rest

    def signed(self) -> int:
        found = self.itf8()
        return found - (1 << 32) if found >= 1 << 31 else found

    def ltf8(self) -> int:
        first = self.take(1)[0]
        more = 8 - (~first & 0xFF).bit_length()
        return ((first & (0x7F >> more)) << (8 * more)) | int.from_bytes(self.take(more), "big")


@dataclass(frozen=True)
class _Container:
    blocks: int
    records: int
    start: int
    body: bytes


@dataclass(frozen=True)
class _Block:
    method: int
    kind: int
    ident: int
    size: int
    data: bytes


def inspect(source: Source | Stream, report: Report) -> None:
    """The header, people, then every container."""
    budget = report.context.budget
    cursor = Cursor(source, budget, "CRAM")
    head = cursor.take(26)
    version = (head[4], head[5])
    if version not in _VERSIONS:
        raise Unreadable("CRAM: a version other than 2 and 3")
    checked = version[0] >= 3  # CRCs
    blocks = _blocks(_container(cursor, checked=checked), checked=checked)
    if not blocks or blocks[0].kind != _FILE_HEADER:
        raise Unreadable("CRAM: no header block")
    text = _Bytes(_plain(blocks[0], budget))
    header = read_header(text.take(int.from_bytes(text.take(4), "little")), b"@", report, "header")
    if text.held[text.at :].strip(b"\0") or any(_plain(each, budget).strip(b"\0") for each in blocks[1:]):
        raise Unreadable("CRAM: something lies behind the header's text")
    tell(header, report)
    ended = _walk(cursor, report, checked=checked)
    if not ended:
        report.unreadable("CRAM: the end container is missing: the file was cut off")
    report.cover(0, cursor.at)


def _walk(cursor: Cursor, report: Report, *, checked: bool) -> bool:
    """All containers of data; whether the last was the one that ends a file. What follows that one stays a gap."""
    sink, budget = report.text("read names and tags"), report.context.budget
    sink.line("reads")
    unread, ended = 0, False
    while not ended and cursor.more():
        container = _container(cursor, checked=checked)
        blocks = _blocks(container, checked=checked)
        if not container.records and container.start == _END_START:
            ended = _is_end(blocks, report)
        else:
            unread += _texts(blocks, budget, sink)
    if unread:
        where = "read names and tags: blocks under CRAM's own codecs are taken for reads"
        report.found("genomic_data", where, count=unread, weak=True)
    return ended


def _is_end(blocks: list[_Block], report: Report) -> bool:
    if len(blocks) != 1 or blocks[0].kind != _COMPRESSION_HEADER or blocks[0].data != b"\x01\0\x01\0\x01\0":
        report.unreadable("CRAM: the end container holds something")
    return True


def _container(cursor: Cursor, *, checked: bool) -> _Container:
    """One container, its header's CRC checked (section 7.1)."""
    held = bytearray(cursor.take(4))
    length = int.from_bytes(held, "little")

    def more(kind: str) -> int:
        first = cursor.take(1)
        extra = 8 - (~first[0] & 0xFF).bit_length()
        whole = first + cursor.take(min(extra, 4) if kind == "itf8" else extra)
        held.extend(whole)
        number = _Bytes(whole)
        return number.itf8() if kind == "itf8" else number.ltf8()

    more("itf8")
    start, _, records = more("itf8"), more("itf8"), more("itf8")
    more("ltf8")  # counter of records; ITF8 in version 2, whose forms for such numbers agree up to 2^28
    more("ltf8")  # bases
    blocks, landmarks = more("itf8"), more("itf8")
    if landmarks > length:
        raise Unreadable("CRAM: more landmarks than bytes")
    for _ in range(landmarks):
        more("itf8")
    if checked and zlib.crc32(held) != cursor.number():
        raise Unreadable("CRAM: a container's header is damaged")
    return _Container(
        blocks, records, start, cursor.take(length) if checked or start or records else _loose(cursor, length)
    )


def _loose(cursor: Cursor, length: int) -> bytes:
    """The header's container of version 2: htslib says two bytes less than its block has."""
    held = bytearray(cursor.take(2))
    sizes = []
    for _ in range(3):  # content id, size, size of the content
        first = cursor.take(1)
        whole = first + cursor.take(min(4, 8 - (~first[0] & 0xFF).bit_length()))
        sizes.append(_Bytes(whole).itf8())
        held += whole
    held += cursor.take(sizes[1])
    return bytes(held) + (cursor.take(length - len(held)) if length > len(held) else b"")


def _blocks(container: _Container, *, checked: bool) -> list[_Block]:
    """The blocks of a container, which must fill it (section 8)."""
    held = _Bytes(container.body)
    found = []
    for _ in range(min(container.blocks, len(container.body))):
        begin = held.at
        method, kind = held.take(2)
        ident, packed, size = held.itf8(), held.itf8(), held.itf8()
        data = held.take(packed)
        if checked and zlib.crc32(held.held[begin : held.at]) != int.from_bytes(held.take(4), "little"):
            raise Unreadable("CRAM: a block is damaged")
        if method >= _METHODS or kind not in _TYPES:
            raise Unreadable("CRAM: a block of an unknown kind")
        found.append(_Block(method, kind, ident, size, data))
    if held.held[held.at :].strip(b"\0"):  # section 7: the header's container may be padded
        raise Unreadable("CRAM: a container holds more than its blocks")
    return found


def _texts(blocks: list[_Block], budget: Budget, sink: TextSink) -> int:
    """Read names and string tags of a container to the classifier; how many blocks of them could not be decoded."""
    heads = [block for block in blocks if block.kind == _COMPRESSION_HEADER]
    if len(heads) != 1 or not any(block.kind == _SLICE_HEADER for block in blocks):
        raise Unreadable("CRAM: a container without its headers")
    wanted = _text_idents(_plain(heads[0], budget))
    unread = 0
    for block in blocks:
        if block.kind != _EXTERNAL or block.ident not in wanted or not block.size:
            continue
        if block.method > _LZMA:
            unread += 1
        elif found := legible(_plain(block, budget)):
            sink.raw(found + b"\n")
    return unread


def _plain(block: _Block, budget: Budget) -> bytes:
    """A block's content.

    Raises:
        Unreadable: It is damaged, too large, or under one of CRAM's own codecs.
    """
    budget.room(block.size)
    budget.expand(block.size)
    try:
        if block.method == _GZIP:
            content = zlib.decompressobj(47).decompress(block.data, block.size + 1)
        elif block.method == _BZIP2:
            content = bz2.BZ2Decompressor().decompress(block.data, block.size + 1)
        elif block.method == _LZMA:
            content = lzma.LZMADecompressor(memlimit=512 << 20).decompress(block.data, block.size + 1)
        elif block.method == _RAW:
            content = block.data
        else:
            raise Unreadable("CRAM: a header under a codec of reads")
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as wrong:
        raise Unreadable("CRAM: a block does not open") from wrong
    if len(content) != block.size:
        raise Unreadable("CRAM: a block of another size than it says")
    return content


def _text_idents(header: bytes) -> set[int]:
    """Content ids of the read names (RN) and of tags of type Z and H, from a compression header (section 8.4)."""
    held = _Bytes(header)
    held.take(held.itf8())  # preservation map
    found = set[int]()
    for tags in (False, True):
        within = _Bytes(held.take(held.itf8()))
        for _ in range(within.itf8()):
            key = within.itf8() if tags else int.from_bytes(within.take(2), "big")
            codec, parameters = within.itf8(), _Bytes(within.take(within.itf8()))
            if key & 0xFF in _STRINGS if tags else key == int.from_bytes(b"RN", "big"):
                found |= _external(codec, parameters)
    return found


def _external(codec: int, parameters: _Bytes) -> set[int]:
    """Blocks in which an encoding keeps its bytes (section 13)."""
    if codec == _EXTERNAL_CODEC:
        return {parameters.itf8()}
    if codec == _STOP_CODEC:
        parameters.take(1)
        return {parameters.itf8()}
    if codec == _LENGTHS_CODEC:
        for _ in range(2):  # lengths, then values
            inner, within = parameters.itf8(), _Bytes(parameters.take(parameters.itf8()))
        return _external(inner, within)
    return set()
