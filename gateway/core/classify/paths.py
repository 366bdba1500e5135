"""What the path of a file says, scanned as text: names are data too.

Not here: what the name tells about the format (`formats`) or about whose genome it is (`genomes`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from gateway.core.classify.escapes import decoded, may_escape
from gateway.core.classify.findings import Finding
from gateway.core.classify.grid import Grid
from gateway.core.classify.judge import NOTHING, Evidence, is_strong_in_name, mask
from gateway.core.classify.tally import Tally
from gateway.core.classify.window import fold
from gateway.core.detectors import DetectorTables, MarkForm, mark_finder, may_hold, open_window, scan

_NONE = Counter[MarkForm]()


def weigh_path(path: str, tables: DetectorTables) -> tuple[Evidence, Counter[MarkForm]]:
    """Identifiers and marks in a path; one identifier of small chance is enough there."""
    raw = path.encode("utf-8", "replace")
    if raw.isascii() and not may_escape(raw) and not may_hold(raw):
        return NOTHING, _NONE  # most paths: nothing becomes a digit, and marks are Chinese
    marks = Counter[MarkForm]()
    window = open_window(fold(decoded(np.frombuffer(raw, np.uint8))).tobytes())
    for mark in mark_finder(tables).find(window):
        marks[mark.form] += mark.count
    tally = Tally(tables, lambda _column, _key: False)
    found = scan(window, tables)
    tally.add(window, found, Grid(None).locate(window, [part.start for part in found]))
    return _weigh(tally, tables), marks


def _weigh(tally: Tally, tables: DetectorTables) -> Evidence:
    strong = [s for s in tally.sources.values() if is_strong_in_name(s, tables)]
    persons = tally.persons(strong)
    sensitive = any(source.detector.sensitive for source in strong)
    ordinary = any(source.detector.personal and not source.detector.sensitive for source in strong)
    findings = tuple(
        Finding(
            source.detector.kind,
            "name",
            source.hits,
            tally.distinct(source),
            "strong" if source in strong else "weak",
            tuple(mask(sample, source.detector) for sample in source.samples.values()),
        )
        for source in tally.sources.values()
        if source.hits
    )
    persons = replace(persons, sensitive=sensitive, ordinary=ordinary)
    classes = frozenset(source.detector.data_class for source in strong)
    personal = bool(persons.count)
    return Evidence(findings, persons, "identifier" if personal else "none", personal, sensitive, classes)
