"""Which reader tells who is in a genetic text format.

A change must keep: a format that is not here says nothing of genomes, so what is added to `formats` for genetics belongs here.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.classify.expression import ArrayReport, Gct, GeneTable, MatrixMarket
from gateway.core.classify.families import Families, OxfordSamples, Variants
from gateway.core.classify.genomes import GenomeHeader, GenomeReader
from gateway.core.signatures import Format


def reader_of(format_: Format) -> GenomeReader | None:
    """A reader for a format; any table may be a matrix of genes.

    None for formats without genomes, and for reads, which have no header.
    """
    readers: dict[str, Callable[[], GenomeReader]] = {
        "vcf": lambda: GenomeHeader(b"#"),
        "sam": lambda: GenomeHeader(b"@"),
        "plink_fam": Families,
        "plink_ped": Families,
        "plink_bim": Variants,
        "oxford_sample": OxfordSamples,
        "gct": Gct,
        "mtx": MatrixMarket,
        "genomestudio": ArrayReport,
        "cel_text": ArrayReport,
    }
    make = readers.get(format_.name)
    if make is not None:
        return make()
    return GeneTable(chr(format_.delimiter)) if format_.delimiter is not None else None
