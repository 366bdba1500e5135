"""What strong findings mean together: categories of sensitive personal information, and combinations.

What it is not: whether a file is sensitive (`judge`): a combination is of kinds that are judged already. It says why.
Source: GB/T 45574-2025 annex A, as `policies/detectors/sensitivity.toml` has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core.classify.findings import Finding
from gateway.core.detectors.sensitivity import Sensitivity


def categories(found: Iterable[Finding], tables: Sensitivity) -> dict[str, tuple[str, ...]]:
    """Categories that strong findings are of, each with the other words that filings have for it."""
    kinds = {each.kind for each in found if each.confidence == "strong"}
    if not kinds:
        return {}
    return {name: each.types for name, each in sorted(tables.categories.items()) if kinds & each.kinds}


def combined(found: Iterable[Finding], tables: Sensitivity) -> list[Finding]:
    """Combinations of strong findings; a combination is about as many as the rarest of its parts at most."""
    strong: dict[str, list[Finding]] = {}
    for each in found:
        if each.confidence == "strong":
            strong.setdefault(each.kind, []).append(each)
    together = []
    for kind, combination in tables.combinations.items() if strong else ():
        if any(kinds.isdisjoint(strong) for kinds in combination.lists):
            continue
        parts = [_most(strong, kinds) for kinds in combination.lists]
        count = min(part.count for part in parts)
        where = " + ".join(sorted({part.where for part in parts}))
        together.append(Finding(kind, where, count, count, "strong"))
    return together


def _most(strong: Mapping[str, list[Finding]], kinds: Iterable[str]) -> Finding:
    """The most frequent finding of these kinds, one of which is there."""
    candidates = [each for kind in sorted(kinds) for each in strong.get(kind, ())]
    return max(candidates, key=lambda each: each.count)
