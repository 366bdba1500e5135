"""Reports for authorities and files: what left in a period, under which mechanism, about how many people, with the evidence.

What it is not: a filing. It sums up what the ledger and the registry say, in the order authorities ask for; people complete, sign
and hand in. Numbers are distinct persons where they were counted by digest, and an upper bound where it says so.

Sources: Order 790 arts 30-33 (yearly report with the outbound facts), PIPL arts 55, 56 and Order 13 art 5 (what an impact
assessment looks at), Order 13 art 7 (contract filing), Order 11 (security assessment), rules.md 8.1 (what a log must let the
owner prove).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

KINDS: Final = ("yearly", "monthly", "pipia", "filing")
# A cell that a spreadsheet would take for a formula is text (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Section:
    """A table of a report.

    Attributes:
        id: Of the catalogue's `report` section: its title.
        columns: Ids of the catalogue's `report` section.
        rows: Cells by column.
    """

    id: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Report:
    """A report before it is written out.

    Attributes:
        kind: One of KINDS.
        about: Facts of the head: institution, period and the like; ids of the catalogue's `report` section.
        sections: In order; the first is what a CSV holds.
        evidence: What everything rests on: digests of rule packs, decisions, filings' documents, the ledger's head.
    """

    kind: str
    about: Mapping[str, Any]
    sections: tuple[Section, ...]
    evidence: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """For machines; ids, not words."""
        return {
            "kind": self.kind,
            "about": {key: _plain(value) for key, value in self.about.items()},
            "sections": {
                each.id: [dict(zip(each.columns, map(_plain, row), strict=True)) for row in each.rows]
                for each in self.sections
            },
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True)
class Left:
    """A transfer that was cleared in the period.

    Attributes:
        id, dataset, version, project, endpoint, mechanism, purpose, level, types, files, bytes, state: As recorded.
        day: Of the clearance, Asia/Shanghai.
        rules: That fired.
        sensitive, nonsensitive: Persons counted for it.
        subjects, sequenced: Of human genetic resources.
        filings: Ids of filings of its mechanism for its endpoint.
        officers: Who voted for it.
        decision, root, rulebook: Digests, hex.
        receipt: Whether the endpoint's receipt is there.
    """

    id: str
    dataset: str
    version: int
    project: str
    endpoint: str
    mechanism: str
    purpose: str
    level: str
    types: tuple[str, ...]
    files: int
    bytes: int
    state: str
    day: date
    rules: tuple[str, ...]
    sensitive: int
    nonsensitive: int
    subjects: int
    sequenced: int
    officers: tuple[str, ...]
    decision: str
    root: str
    rulebook: str
    receipt: bool


DETAIL: Final = (
    "day", "id", "dataset", "version", "project", "endpoint", "mechanism", "purpose", "level", "types", "files", "bytes",
    "sensitive", "nonsensitive", "subjects", "sequenced", "rules", "officers", "state", "decision", "root",
)  # fmt: skip


def details(left: Sequence[Left]) -> Section:
    """Every transfer, one a row, oldest first."""
    ordered = sorted(left, key=lambda each: (each.day, each.id))
    return Section("transfers", DETAIL, tuple(tuple(getattr(each, name) for name in DETAIL) for each in ordered))


def by_recipient(left: Sequence[Left], distinct: Mapping[tuple[str, str], tuple[int, int]]) -> Section:
    """Sums by recipient and mechanism.

    Args:
        left: Transfers of the period.
        distinct: Distinct persons (sensitive, nonsensitive) by (endpoint, mechanism): the same person twice is one.
    """
    rows = []
    for endpoint, mechanism in sorted({(each.endpoint, each.mechanism) for each in left}):
        mine = [each for each in left if (each.endpoint, each.mechanism) == (endpoint, mechanism)]
        sensitive, nonsensitive = distinct[endpoint, mechanism]
        rows.append(
            (
                endpoint, mechanism, len(mine), sum(each.files for each in mine), sum(each.bytes for each in mine),
                sensitive, nonsensitive, sum(each.subjects for each in mine), sum(each.sequenced for each in mine),
            )
        )  # fmt: skip
    columns = (
        "endpoint", "mechanism", "count", "files", "bytes", "sensitive", "nonsensitive", "subjects", "sequenced"
    )  # fmt: skip
    return Section("by_recipient", columns, tuple(rows))


def as_csv(report: Report, words: Mapping[str, str]) -> bytes:
    """The first section as CSV (RFC 4180) in UTF-8 with a mark, as spreadsheets in Chinese need; evidence in lines below.

    Args:
        report: What to write.
        words: Column titles and evidence names by id.
    """
    section = report.sections[0]
    rows = [
        [words[column] for column in section.columns],
        *([_cell(value) for value in row] for row in section.rows),
        [],
    ]
    rows += [[words.get(name, name), _cell(value)] for name, value in report.evidence.items()]
    return b"\xef\xbb\xbf" + "".join(",".join(map(_quoted, row)) + "\r\n" for row in rows).encode()


def shown(value: Any) -> str:
    """A cell as people read it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    """A field of RFC 4180 section 2: quoted where it holds a comma, a quote or a line break."""
    return '"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\r\n') else text


def _cell(value: Any) -> str:
    if type(value) is int:
        return str(value)
    text = shown(value)
    return "'" + text if text.startswith(_FORMULA) else text


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
