"""Additions: what a transfer adds to a count by number, besides the digests of its persons and samples.

What it is not: a count. What was there before is known by who asks: the census of a year, or the usage of a filing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.flow.findings import Already, Joined


def hgr_of(declared: Mapping[str, Any], joined: Joined, known: Already) -> tuple[int, int]:
    """The subjects and sequenced subjects without a sample name that a transfer adds: those seen, or declared beyond what was.

    Those of carried files were added with the version that brought them: the count is all-time.
    """
    if not _individual(declared, joined):
        return 0, 0
    said: Mapping[str, Any] = declared.get("hgr", {})
    seen: Mapping[str, Any] = joined.facts["hgr"]
    subjects = max(said.get("subjects", 0), seen["subjects"]) - len(joined.samples) // 8 - known.subjects
    sequenced = max(said.get("wes_wgs_subjects", 0), seen["sequencing_subjects"])
    sequenced -= len(joined.sequenced) // 8 + known.sequenced
    return max(subjects, sequenced), sequenced


def samples_of(declared: Mapping[str, Any], joined: Joined) -> tuple[bytes, bytes]:
    """The samples a transfer counts, packed: all, and the sequenced ones; none where it is of aggregates only."""
    return (joined.samples, joined.sequenced) if _individual(declared, joined) else (b"", b"")


def _individual(declared: Mapping[str, Any], joined: Joined) -> bool:
    """Whether there is individual-level information on human genetic resources, by the declaration or the content."""
    said: Mapping[str, Any] = declared.get("hgr", {})
    seen: Mapping[str, Any] = joined.facts["hgr"]
    if not (said.get("information") or seen["information"]):
        return False
    return not (said.get("aggregate_only") and (seen["aggregate_only"] or not seen["information"]))


def unkeyed_of(joined: Joined, known: Already, declared: Mapping[str, int]) -> tuple[int, int]:
    """Persons without a digest that a transfer adds: sensitive, nonsensitive; what is known already left out."""
    sensitive = unkeyed(joined.sensitive, joined.unkeyed_sensitive, declared.get("sensitive", 0))
    nonsensitive = unkeyed(joined.nonsensitive, joined.unkeyed_nonsensitive, declared.get("nonsensitive", 0))
    return sensitive - known.sensitive, nonsensitive - known.nonsensitive


def unkeyed(packed: bytes, rows: int, declared: int) -> int:
    """Persons without a digest: the rows seen, or what the sender says beyond what was seen, whichever is more."""
    return max(rows, declared - len(packed) // 8)
