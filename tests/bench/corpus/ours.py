"""Runs the gateway's classifier over a file, as `hetao inspect --json` does, and counts what it reports.

Only the contract of `hetao inspect` is read: whether the file could be inspected, and each finding's kind, count and confidence.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gateway.core.classify import Classifier
from gateway.stores.detectors import load_detector_tables

PIECE = 1 << 20


def inspect(name: str, data: bytes) -> dict[str, Any]:
    """What `hetao inspect --json` prints of one file, without its digest."""
    classifier = Classifier(name, load_detector_tables())
    for start in range(0, len(data), PIECE):
        classifier.feed(data[start : start + PIECE])
    return classifier.close().to_json("")


def counts(report: dict[str, Any], *, strong_only: bool) -> Counter[str]:
    """How often each kind was found, over all places in the file."""
    total: Counter[str] = Counter()
    for finding in report["findings"]:
        if not strong_only or finding["confidence"] == "strong":
            total[finding["kind"]] += finding["count"]
    return total
