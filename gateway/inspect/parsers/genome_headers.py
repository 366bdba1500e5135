"""What headers of alignments and variants say of people, handed to the report in one way.

The logic is `core.classify.genomes`, as for text: what a header does not say counts as human, sequenced, individual.
"""

from __future__ import annotations

from typing import Final

from gateway.core.classify.genomes import GenomeHeader
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink

_PIECE: Final = 1 << 20


def read_header(text: bytes, marker: bytes, report: Report, place: str) -> GenomeHeader:
    """Take a header in: its people for `tell`, all of it for the classifier.

    Args:
        text: Lines of VCF or SAM; may end in NULs (SAM specification section 4.2).
        marker: `#` or `@`.
        report: Where it belongs.
        place: Name of the part.

    Raises:
        Unreadable: A line is longer than any header's.
    """
    text = text.rstrip(b"\0")
    header = GenomeHeader(marker)
    header.feed(memoryview(text))
    header.finish()
    if header.overlong:
        raise Unreadable("a header line is too long")
    sink = report.text(place)
    sink.line(
        "header"
    )  # of a text: with its first line it would be read as a file of its own, and people counted twice
    _classify(text, marker, sink)
    return header


def _classify(text: bytes, marker: bytes, sink: TextSink) -> None:
    bare = text.replace(b"\n" + marker, b"\n").lstrip(marker).replace(marker + b"fileformat", b" fileformat")
    plain = bare.decode("utf-8", "replace") + "\n"
    for at in range(0, len(plain), _PIECE):
        sink.feed(plain[at : at + _PIECE])


def tell(header: GenomeHeader, report: Report, *, persons: int = 0) -> None:
    """Say who is in the file.

    Args:
        header: As it was read.
        report: Hears it.
        persons: Behind the frequencies of a file without samples, where its records tell.
    """
    header.alleles = max(header.alleles, 2 * persons)
    told = header.told(report.path)
    for each in told.findings:
        report.found(each.kind, each.where, count=each.count, weak=each.confidence == "weak")
    if told.hgr.information:
        sequenced = told.hgr.sequencing_subjects > 0
        report.genomes(told.names, sequenced=sequenced, aggregate=told.hgr.aggregate_only)
