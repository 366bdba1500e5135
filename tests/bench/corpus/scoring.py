"""Counts what was found against what is there: by file, by kind.

Findings have no positions that could be compared, so a file and kind is scored by counts: hits are the smaller of the two,
what is over is a false alarm, what is under is missed. Small files of one spelling keep the two from cancelling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.corpus.shown import Sample
from tests.bench.corpus.values import KINDS


@dataclass(frozen=True)
class Tally:
    """Hits, false alarms and misses."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float | None:
        """None where nothing was found."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    @property
    def recall(self) -> float | None:
        """None where there was nothing to find."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else None


Counts = Mapping[str, int]
Scores = dict[tuple[str, str], Tally]


def score_file(sample: Sample, found: Counts) -> dict[str, Tally]:
    """One file's tallies by kind, for the kinds that are scored; what else was found does not count."""
    truth = sample.counts()
    return {
        kind: Tally(
            hits=min(truth.get(kind, 0), found.get(kind, 0)),
            false=max(0, found.get(kind, 0) - truth.get(kind, 0)),
            missed=max(0, truth.get(kind, 0) - found.get(kind, 0)),
        )
        for kind in KINDS
    }


def score(samples: Iterable[Sample], founds: Iterable[Counts]) -> Scores:
    """Sums by group ("tables", "text") and kind."""
    sums: Scores = {}
    for sample, found in zip(samples, founds, strict=True):
        for kind, tally in score_file(sample, found).items():
            sums[sample.group, kind] = sums.get((sample.group, kind), Tally()) + tally
    return sums
