"""BGEN: genotype probabilities, one compressed block a variant.

Source: BGEN specification 1.2 and 1.3: header block, sample identifier block, variant data blocks of layouts 1 and 2. Every
block is inflated and held against the sizes it says and the number of samples; probabilities are no text.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source, Stream
from gateway.inspect.zstandard import opened

_MAGICS: Final = frozenset({b"bgen", b"\0\0\0\0"})
_PLAIN, _ZLIB, _ZSTD = range(3)
_NAMED: Final = 1 << 31
_SAMPLES: Final = 5_000_000
_ALLELE: Final = 1 << 20  # bases


@dataclass(frozen=True)
class _Header:
    start: int
    variants: int
    samples: int
    packing: int
    layout: int
    named: bool


def inspect(source: Source | Stream, report: Report) -> None:
    """Header, samples, every variant."""
    budget = report.context.budget
    cursor = Cursor(source, budget, "BGEN")
    header = _header(cursor, report)
    names = _names(cursor, header, report) if header.named else []
    if header.start > cursor.at:
        raise Unreadable("BGEN: bytes between the header and the first variant")
    distinct = set(names)
    report.genomes(distinct, sequenced=True, unnamed=header.samples - len(names))
    sink = report.text("variants")
    sink.line("variants")
    for _ in range(header.variants):
        _variant(cursor, header, budget, sink)
    report.cover(0, cursor.at)


def _header(cursor: Cursor, report: Report) -> _Header:
    start = cursor.number() + 4
    size, variants, samples = cursor.number(), cursor.number(), cursor.number()
    if cursor.take(4) not in _MAGICS or not 20 <= size <= start - 4:
        raise Unreadable("BGEN: no header")
    free = cursor.take(size - 20)  # "free data area": whatever its writer likes
    report.text("header").feed("header\n" + free.decode("utf-8", "replace"))
    flags = cursor.number()
    packing, layout = flags & 3, flags >> 2 & 15
    if packing > _ZSTD or layout not in {1, 2} or samples > _SAMPLES or flags & ~(_NAMED | 63):
        raise Unreadable("BGEN: an unknown layout or compression")
    return _Header(start, variants, samples, packing, layout, bool(flags & _NAMED))


def _names(cursor: Cursor, header: _Header, report: Report) -> list[str]:
    """The sample identifier block, which ends where the variants begin."""
    cursor.number()
    if cursor.number() != header.samples:
        raise Unreadable("BGEN: not as many names as samples")
    sink = report.text("samples")
    sink.line("samples")
    names = []
    for _ in range(header.samples):
        name = cursor.take(cursor.number(2)).decode("utf-8", "replace")
        sink.line(name)
        names.append(name)
    if cursor.at > header.start:
        raise Unreadable("BGEN: names reach into the variants")
    return names


def _variant(cursor: Cursor, header: _Header, budget: Budget, sink: TextSink) -> None:
    if header.layout == 1 and cursor.number() != header.samples:
        raise Unreadable("BGEN: a variant of another number of samples")
    words = [cursor.take(cursor.number(2)) for _ in range(3)]  # identifier, rs number, chromosome
    cursor.number()  # position
    for _ in range(2 if header.layout == 1 else cursor.number(2)):
        size = cursor.number()
        if size > _ALLELE:
            raise Unreadable("BGEN: an allele longer than any")
        words.append(cursor.take(size))
    sink.feed(b" ".join(words).decode("utf-8", "replace") + "\n")
    _probabilities(cursor, header, budget)


def _probabilities(cursor: Cursor, header: _Header, budget: Budget) -> None:
    """Genotype data (layout 1: six bytes a sample; layout 2: section "Probability data storage")."""
    if header.layout == 1:
        size = 6 * header.samples
        packed = cursor.take(size) if header.packing == _PLAIN else cursor.take(cursor.number())
    else:
        whole = cursor.number()
        size = cursor.number() if header.packing else whole
        packed = cursor.take(whole - 4 if header.packing else whole)
    budget.room(size)
    content = _INFLATE[header.packing](packed, size)
    if len(content) != size:
        raise Unreadable("BGEN: a block of another size than it says")
    budget.expand(size)
    if header.layout == 2:
        _check(content, header.samples)


def _check(content: bytes, samples: int) -> None:
    """The number of samples, and a size that agrees with ploidy and bits, as far as all have the same ploidy."""
    bits = content[9 + samples] if len(content) > 9 + samples else 0
    if int.from_bytes(content[:4], "little") != samples or not 1 <= bits <= 32:
        raise Unreadable("BGEN: a block that does not fit the header")
    alleles, low, high = int.from_bytes(content[4:6], "little"), content[6], content[7]
    if alleles == 2 and low == high:
        values = samples * high  # phased and unphased alike: one value less than genotypes or haplotypes
        if len(content) != 10 + samples + (values * bits + 7) // 8:
            raise Unreadable("BGEN: a block that holds more than its probabilities")


def _unzipped(packed: bytes, size: int) -> bytes:
    try:
        inflate = zlib.decompressobj()
        content = inflate.decompress(packed, size + 1)
    except zlib.error as wrong:
        raise Unreadable("BGEN: a block is damaged") from wrong
    if not inflate.eof or inflate.unused_data:
        raise Unreadable("BGEN: a block is not one whole stream")
    return content


_INFLATE: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    _PLAIN: lambda packed, _: packed,
    _ZLIB: _unzipped,
    _ZSTD: lambda packed, size: opened(packed, size, "BGEN: a block"),
}
