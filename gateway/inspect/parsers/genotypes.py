"""Genotype matrices of PLINK: .bed (1.9) and .pgen (2.0). Names of people stand in the .fam or .psam beside them.

Sources: PLINK 1.9 file format reference, .bed; PLINK 2 PGEN specification (`pgen_spec`), fixed-width and variable-width
storage modes.

A .bed says neither how many people nor how many variants it has (size = 3 + ceil(n/4) * m), so one person is counted and a
finding says where the number is; files of a dataset are held together in `flow.findings`. A .pgen says both and is held
against them. Genotypes are no text; runs of characters among them, which genotypes do not make, are classified.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.runs import legible
from gateway.inspect.source import Source, Stream

_PIECE: Final = 1 << 20
_BLOCK: Final = 65_536  # variants that share an offset in a .pgen
_PEOPLE: Final = (1 << 31) - 3  # pgen_spec: most samples and variants
_SIMPLE, _DOSAGE, _PHASED_DOSAGE = 0x02, 0x03, 0x04
_VARIABLE: Final = 0x10


def bed(source: Source | Stream, report: Report) -> None:
    """PLINK 1 binary genotypes, variant-major (1) or, from before 2009, individual-major (0)."""
    cursor = Cursor(source, report.context.budget, "PLINK .bed")
    head = cursor.take(3)
    if head[2] > 1:
        raise Unreadable("PLINK .bed: an unknown mode")
    if not cursor.more():
        raise Unreadable("PLINK .bed: no genotypes")
    report.genomes((), sequenced=False, unnamed=1, where="magic number")
    report.found("genomic_data", "people and their number stand in the .fam of the dataset", weak=True)
    _matrix(cursor, report)
    report.cover(0, cursor.at)


def pgen(source: Source, report: Report) -> None:
    """PLINK 2 binary genotypes."""
    cursor = Cursor(source, report.context.budget, "PLINK .pgen")
    mode = cursor.take(3)[2]
    if mode not in {_SIMPLE, _DOSAGE, _PHASED_DOSAGE, _VARIABLE}:
        raise Unreadable("PLINK .pgen: an unknown storage mode, or an index apart")
    variants, people = cursor.number(), cursor.number()
    if not (0 < variants <= _PEOPLE and 0 < people <= _PEOPLE):
        raise Unreadable("PLINK .pgen: no people, or no variants")
    control = cursor.take(1)[0]
    size = _variable(cursor, variants, control) if mode == _VARIABLE else _fixed(mode, variants, people)
    if cursor.at + size > source.size:
        raise Unreadable("PLINK .pgen: the file breaks off")
    report.genomes((), sequenced=True, unnamed=people, where="header")
    end = cursor.at + size
    _matrix(cursor, report, end)
    report.cover(0, end)


def _fixed(mode: int, variants: int, people: int) -> int:
    """Bytes of fixed-width records: two bits a person, then 16 (32 where phased) bits of dosage."""
    width = (people + 3) // 4
    if mode != _SIMPLE:
        width += 2 * people
    if mode == _PHASED_DOSAGE:
        width += 2 * people
    return width * variants


def _variable(cursor: Cursor, variants: int, control: int) -> int:
    """Walk the index of variable-width records; bytes of all of them."""
    budget, blocks = variants, -(-variants // _BLOCK)
    wide, length = control & 15 >= 4, (control & 3) + 1
    if control & 15 >= 8:
        raise Unreadable("PLINK .pgen: an unknown index")
    counts, flags = control >> 4 & 3, control >> 6 == 3
    offsets = np.frombuffer(cursor.take(8 * blocks), "<u8").tolist()
    sizes = []
    for _ in range(blocks):
        here = min(budget, _BLOCK)
        budget -= here
        cursor.skip(here if wide else (here + 1) // 2)
        lengths = np.frombuffer(cursor.take(here * length), np.uint8).reshape(here, length).astype(np.uint64)
        sizes.append(int((lengths << np.arange(0, 8 * length, 8, dtype=np.uint64)).sum()))
        cursor.skip(here * counts + ((here + 7) // 8 if flags else 0))
    at = cursor.at
    for offset, size in zip(offsets, sizes, strict=True):
        if offset != at:
            raise Unreadable("PLINK .pgen: records that do not lie one behind the other")
        at += size
    return at - cursor.at


def _matrix(cursor: Cursor, report: Report, end: int | None = None) -> None:
    """Read on, to `end` or the end of the file."""
    sink = report.text("genotypes")
    sink.line("genotypes")
    while cursor.more() if end is None else cursor.at < end:
        cursor.more()
        piece = cursor.take(min(cursor.ahead() or 1, _PIECE if end is None else end - cursor.at))
        if found := legible(piece):
            sink.raw(found + b"\n")
