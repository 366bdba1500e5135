"""Indexes of genomic files: BAI, CSI and TBI. They hold places in another file, and names of its references.

Sources: SAM/BAM specification section 5.2 (BAI), CSIv1 specification, Tabix specification. All are walked to their last
number; they say nothing of people. A CRAI is a gzipped table, read as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.bgzf import Blocks, Reader
from gateway.inspect.report import Report
from gateway.inspect.runs import legible
from gateway.inspect.source import Source, Stream

_MOST: Final = 1 << 26  # references, bins, chunks or intervals


def bai(source: Source | Stream, report: Report) -> None:
    """Index of a BAM (section 5.2)."""
    cursor = Cursor(source, report.context.budget, "BAI")
    if cursor.take(4) != b"BAI\x01":
        raise Unreadable("BAI: no header")
    _references(cursor.number, cursor.skip, cursor.number(), loffset=False, intervals=True)
    if cursor.more():
        cursor.skip(8)  # reads without a place, where the writer counted them
    report.cover(0, cursor.at)


def csi(source: Source | Stream, report: Report) -> None:
    """Coordinate-sorted index of any depth."""
    blocks, reader = _opened(source, report, b"CSI\x01")
    reader.read(8)  # min_shift, depth
    _note(reader.read(reader.number()), report)
    _references(reader.number, _skipper(reader), reader.number(), loffset=True, intervals=False)
    _end(blocks, reader, report)


def tbi(source: Source | Stream, report: Report) -> None:
    """Tabix."""
    blocks, reader = _opened(source, report, b"TBI\x01")
    references = reader.number()
    reader.read(24)  # format, columns, comment character, lines to skip
    _note(reader.read(reader.number()), report)
    _references(reader.number, _skipper(reader), references, loffset=False, intervals=True)
    _end(blocks, reader, report)


def _opened(source: Source | Stream, report: Report, magic: bytes) -> tuple[Blocks, Reader]:
    budget = report.context.budget
    blocks = Blocks(source, budget)
    reader = Reader(blocks, budget)
    if reader.read(4) != magic:
        raise Unreadable("index: no header")
    return blocks, reader


def _skipper(reader: Reader) -> Callable[[int], None]:
    def skip(size: int) -> None:
        while size > 0:
            size -= len(reader.read(min(size, 1 << 20)))

    return skip


def _references(
    number: Callable[[int], int], skip: Callable[[int], None], count: int, *, loffset: bool, intervals: bool
) -> None:
    """Bins with their chunks, and linear intervals, of every reference."""
    for _ in range(_bounded(count)):
        for _ in range(_bounded(number(4))):
            skip(12 if loffset else 4)
            skip(16 * _bounded(number(4)))
        if intervals:
            skip(8 * _bounded(number(4)))


def _bounded(count: int) -> int:
    if not 0 <= count <= _MOST:
        raise Unreadable("index: a count out of bounds")
    return count


def _note(text: bytes, report: Report) -> None:
    sink = report.text("names")
    sink.line("names")
    sink.raw(legible(text.replace(b"\0", b"\n")) + b"\n")


def _end(blocks: Blocks, reader: Reader, report: Report) -> None:
    """Nothing, or the count of reads without a place, stands at the end."""
    left = b"".join(reader.rest(1 << 20))
    if len(left) not in {0, 8}:
        raise Unreadable("index: something lies behind its last reference")
    if not blocks.ended:
        report.unreadable("index: the end marker is missing: the file was cut off")
    report.cover(0, blocks.covered)
