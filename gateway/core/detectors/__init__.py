"""Detectors: vectorised scanners that find identifiers, marks and telling header words in UTF-8 text.

What a detector is: one table in `policies/detectors` and one pure function over a window of bytes that returns the
places of its shape and which of them pass every check. What it is not: a judgement. Weak or strong, personal or
sensitive, and how many people, is decided in `gateway.core.classify`.
"""

from gateway.core.detectors.candidates import Candidates
from gateway.core.detectors.headers import header_kinds
from gateway.core.detectors.lanes import PAD, Window, open_window
from gateway.core.detectors.marks import Mark, MarkFinder, MarkForm, mark_finder
from gateway.core.detectors.scan import may_hold, scan
from gateway.core.detectors.tables import Detector, DetectorTables, HeaderWords, parse_tables

__all__ = [
    "PAD",
    "Candidates",
    "Detector",
    "DetectorTables",
    "HeaderWords",
    "Mark",
    "MarkFinder",
    "MarkForm",
    "Window",
    "header_kinds",
    "mark_finder",
    "may_hold",
    "open_window",
    "parse_tables",
    "scan",
]
