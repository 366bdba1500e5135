"""Tables of people who do not exist, and their inspection."""

from __future__ import annotations

from functools import cache

import pandas as pd

from gateway.core.classify import FileFindings
from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@cache
def resident_ids(count: int) -> tuple[str, ...]:
    """Distinct valid numbers (GB 11643-1999)."""
    bodies = (f"110105{1950 + i % 50}{1 + i // 50 % 12:02d}{1 + i // 600 % 28:02d}{i % 1000:03d}" for i in range(count))
    checked = (b + "10X98765432"[sum(int(c) * w for c, w in zip(b, _WEIGHTS, strict=True)) % 11] for b in bodies)
    return tuple(checked)


def people(count: int) -> pd.DataFrame:
    """One row a person; every third has no telephone, so that pandas keeps the numbers as floating."""
    return pd.DataFrame({
        "id_number": list(resident_ids(count)),
        "mobile": [None if i % 3 == 0 else 13_800_000_000.0 + i for i in range(count)],
        "visit": range(count),
    })  # fmt: skip


def inspected(content: bytes, path: str, limits: Limits | None = None) -> FileFindings:
    """As the gateway inspects it."""
    return inspect_file(MemoryStore(content), path, load_detector_tables(), limits or Limits())


def counted(found: FileFindings) -> dict[str, int]:
    """Occurrences by kind, over all places."""
    kinds: dict[str, int] = {}
    for each in found.findings:
        kinds[each.kind] = kinds.get(each.kind, 0) + each.count
    return kinds


def holds(found: FileFindings, frame: pd.DataFrame) -> bool:
    """Whether what was found is what pandas has in the frame: persons, cells with a number, cells with a telephone."""
    kinds = counted(found)
    return (
        found.inspectable
        and found.persons.nonsensitive == frame["id_number"].nunique()
        and kinds["cn_resident_id"] == frame["id_number"].count()
        and kinds.get("cn_mobile", 0) == frame["mobile"].count()
    )
