"""Seeds by target: small files of each format, made by what the tests make theirs with.

Several a target, so that every branch has a beginning: what mutation hardly finds by itself is another version, another order of
bytes, another compression, a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.fuzz.seeds import archives, documents, genomes, legacy, medicine, models, places, tables

SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    **archives.SEEDS,
    **tables.SEEDS,
    **documents.SEEDS,
    **genomes.SEEDS,
    **medicine.SEEDS,
    **places.SEEDS,
    **models.SEEDS,
    **legacy.SEEDS,
}


def seeds(target: str) -> Iterator[bytes]:
    """Files to begin with."""
    yield from SEEDS.get(target, lambda: iter(()))()
