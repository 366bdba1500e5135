"""Classify: what a file holds and how many people are behind it, while its bytes stream by.

In order of the flow: `stream` cuts bytes into blocks of text, `window` folds and pads them, the detectors find candidates,
`grid` places them in records and columns, `cells` finds what only columns tell, `tally` counts people, `names` reads headers,
`genomes` and `geo` what their formats say, `births` reads days of birth, `judge` weighs it all, `sensitivity` and `levels`
say what it means together, `paths` reads the name, `classifier` drives them, `findings` is what comes out, `minors` looks at
it on a day.
"""

from gateway.core.classify.classifier import Classifier
from gateway.core.classify.findings import FileFindings, Finding, Hgr, Level, PersonCount, PersonSet
from gateway.core.classify.minors import is_minor, newest_birth, on_day, youngest
from gateway.core.classify.tally import CAP

__all__ = [
    "CAP",
    "Classifier",
    "FileFindings",
    "Finding",
    "Hgr",
    "Level",
    "PersonCount",
    "PersonSet",
    "is_minor",
    "newest_birth",
    "on_day",
    "youngest",
]
