"""The detectors' tables from all their documents together, as they lie in `policies/detectors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from gateway.core.detectors.sensitivity import parse_sensitivity
from gateway.core.detectors.tables import DetectorTables, Table, parse_tables
from gateway.core.errors import Unusable

FILES: Final = ("identifiers.toml", "marks.toml", "headers.toml", "sensitivity.toml", "dicom.toml")


def tables_of(documents: Mapping[str, Table]) -> DetectorTables:
    """The tables.

    Args:
        documents: Parsed TOML by file name: exactly those of FILES.

    Raises:
        Unusable: A document is missing, or misses a key or has one that is not known.
    """
    if documents.keys() != {*FILES}:
        raise Unusable(f"detectors need {', '.join(FILES)}, not {', '.join(sorted(documents))}")
    sensitivity = documents["sensitivity.toml"]
    headers = {**documents["headers.toml"], **cast("dict[str, object]", sensitivity.get("headers", {}))}
    tables = parse_tables(documents["identifiers.toml"], documents["marks.toml"], headers, documents["dicom.toml"])
    return replace(tables, sensitivity=parse_sensitivity(sensitivity))
