"""What a file was found to hold: values that travel, and their form in JSON.

`FileFindings.to_json` is the contract of `hetao inspect --json`. Identifiers themselves never leave: samples are masked
and a `PersonSet` is for counting in this process only.

A change must keep: no field of the JSON is renamed or removed without a major version; nothing here can print a full
identifier (`PersonSet` hides its values from `repr`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Level = Literal["general", "important_suspected", "core", "secret", "unknown"]
Basis = Literal["identifier", "rows", "subjects", "none"]
Confidence = Literal["weak", "strong"]


@dataclass(frozen=True)
class Finding:
    """One kind at one place.

    Attributes:
        kind: Name from the vocabulary, such as `cn_resident_id`.
        where: `column <name>`, `key <name>`, `text`, `header`, `name` or a byte offset, several of them joined by ` + `; of a
            proposed level `<level>: <reason>`; never content.
        count: Occurrences.
        distinct: Distinct values among them; equal to `count` where they could not be told apart.
        confidence: `weak` findings are reported and decide nothing.
        samples: At most three, masked; none for marks, and none at all of a file with a secrecy mark.
    """

    kind: str
    where: str
    count: int
    distinct: int
    confidence: Confidence
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class PersonCount:
    """Distinct persons of one file; an upper bound where `basis` is `rows`. One with both kinds of data is in both."""

    sensitive: int = 0
    nonsensitive: int = 0
    basis: Basis = "none"


@dataclass(frozen=True)
class Hgr:
    """Human genetic resource information (Order 717 art. 2; implementing rules art. 2)."""

    information: bool = False
    sequencing_subjects: int = 0
    subjects: int = 0
    aggregate_only: bool = False


@dataclass(frozen=True)
class PersonSet:
    """Persons of a file or transfer by packed identifier, for counting only.

    Attributes:
        values: By kind, sorted distinct uint64 canonical values (see the detectors' docstrings).
        uncounted: Persons known by number only (rows without identifiers, values past the cap): an upper bound to add.
        sensitive: They stand beside sensitive data.
        ordinary: They stand beside data that is personal but not sensitive.
    """

    values: Mapping[str, npt.NDArray[np.uint64]] = field(default_factory=dict, repr=False)
    uncounted: int = 0
    sensitive: bool = False
    ordinary: bool = False

    @property
    def count(self) -> int:
        """Distinct persons, at most."""
        return sum(len(part) for part in self.values.values()) + self.uncounted


@dataclass(frozen=True)
class FileFindings:
    """Everything known about one file's content.

    Attributes:
        path: As it came; names are data, mask it in logs.
        size: Bytes.
        format: Name of the format.
        level: Proposed level; `unknown` where the content was not interpreted.
        classes: Kinds of data in the words filings use, sorted.
        inspectable: Whether every byte was interpreted.
        coverage: Byte ranges [start, end) that were.
        persons: Distinct persons.
        hgr: Genetic resource information.
        findings: In the order kind, place.
        secrecy_mark: A state secrecy mark in the form of a mark.
        personal: Personal information, by strong findings.
        sensitive: Sensitive personal information, by strong findings.
        precise_geo: Coordinates of four decimals or more.
        identifiers: The persons, for counting across files.
        others: Further persons, who stand beside other kinds of data: in another part of an archive, say.
        births: How often a day of birth from 2000 on was met in columns that hold them, by YYYYMMDD.
        categories: Categories of sensitive personal information (GB/T 45574-2025), with other words that filings have for them.
        minors: Those of `identifiers` who are under fourteen, where the others' data are not sensitive (`minors.on_day`).
        columns: Names of all columns of a table with a delimiter; None where they were not read, and for every other format.
        subject_limits: From how many persons on, `sensitive` ones or any, the level is doubted.
    """

    path: str
    size: int
    format: str
    level: Level
    classes: tuple[str, ...]
    inspectable: bool
    coverage: tuple[tuple[int, int], ...]
    persons: PersonCount
    hgr: Hgr
    findings: tuple[Finding, ...]
    secrecy_mark: bool
    personal: bool
    sensitive: bool
    precise_geo: bool
    identifiers: PersonSet = field(repr=False)
    others: tuple[PersonSet, ...] = field(default=(), repr=False)
    births: Mapping[int, int] = field(default_factory=dict, repr=False)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    minors: PersonSet = field(default_factory=PersonSet, repr=False)
    subject_limits: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None

    @property
    def people(self) -> tuple[PersonSet, ...]:
        """All persons, in sets of the same company."""
        return (self.identifiers, *self.others)

    def to_json(self, sha256_hex: str) -> dict[str, object]:
        """The object `hetao inspect --json` prints; `sha256_hex` is the digest of the whole file."""
        return {
            "path": self.path,
            "size": self.size,
            "sha256": sha256_hex,
            "format": self.format,
            "level": self.level,
            "classes": list(self.classes),
            "inspectable": self.inspectable,
            "coverage": [list(part) for part in self.coverage],
            "persons": {
                "sensitive": self.persons.sensitive,
                "nonsensitive": self.persons.nonsensitive,
                "basis": self.persons.basis,
            },
            "hgr": {
                "information": self.hgr.information,
                "sequencing_subjects": self.hgr.sequencing_subjects,
                "subjects": self.hgr.subjects,
                "aggregate_only": self.hgr.aggregate_only,
            },
            "findings": [_finding_json(finding) for finding in self.findings],
        }


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "where": finding.where,
        "count": finding.count,
        "distinct": finding.distinct,
        "confidence": finding.confidence,
        "samples": list(finding.samples),
    }
