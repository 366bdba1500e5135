"""What the findings of files mean for a decision, one file and all of them together.

The rules:
1. Joining is stricter-wins: one uninspectable file makes the transfer uninspectable, one secrecy mark marks it.
2. Persons with an identifier are counted distinct over all files by their keyed digests; persons known only as rows
   are added up, which is an upper bound and said to be one.
3. Weak findings count nobody, but many of one kind of identifier, in one file or over all of them, are no chance: the
   level is then at least `unknown`, so people look (rule D7). Cutting a table into a file per person hides nothing.
4. Digests are made under the key of a calendar year. In another year they are numbers only (upper bound again).
5. What a file is follows it into every version (levels, flags, distinct persons); a number that was added up with the
   version that brought the file is not added up again (`already`). A new year begins its numbers anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from gateway.core.classify import FileFindings, PersonSet, youngest
from gateway.core.declaration import LEVELS
from gateway.core.differences import differences
from gateway.core.lineage import finding as lineage_finding
from gateway.core.names import settled_name
from gateway.core.persons import keyed_digests, merge, pack, packed_digests, unpack
from gateway.flow.cohorts import beside, join_hgr, samples_of_files, unnamed
from gateway.ports import Classifying, StoredFile

SAMPLE_KIND = "genomic_sample"
SAMPLES_KEPT = 20_000  # of one file; far beyond what any rule asks (500), and more are numbers
DOUBTFUL = "cn_resident_id"
IDENTIFIERS = frozenset({DOUBTFUL, "hkid", "cn_mobile", "hk_mobile", "bank_card", "email"})
# A file of ten numbers in a column of their own would be strong; so many over all files deserve the same look.
WEAK_TOGETHER = 10
# In one file chance was weighed already (`classify.judge`): below this a judge would see order numbers only.
WEAK_IN_ONE = 20


def stricter(first: str, second: str) -> str:
    """The stricter of two levels."""
    return first if LEVELS.index(first) <= LEVELS.index(second) else second


def decision_facts(findings: FileFindings, year: int) -> dict[str, Any]:
    """What a decision needs of one file's findings, as JSON can carry it."""
    people = findings.people
    return {
        "year": year,
        "format": findings.format,
        "level": _level(findings),
        "weak": _weak(findings),
        "inspectable": findings.inspectable and _covered(findings),
        "secrecy_mark": findings.secrecy_mark,
        "personal": findings.personal,
        "sensitive": findings.sensitive,
        "precise_geo": findings.precise_geo,
        "classes": list(findings.classes),
        "rows_sensitive": sum(each.uncounted for each in people if each.sensitive),
        "rows_nonsensitive": sum(each.uncounted for each in people if each.ordinary),
        "rows": sum(each.uncounted for each in people),
        "newest_birth": youngest(findings),
        "categories": {name: list(types) for name, types in findings.categories.items()},
        "subject_limits": dict(findings.subject_limits),
        "columns": None if findings.columns is None else list(findings.columns),
        "hgr_information": findings.hgr.information,
        "hgr_aggregate_only": findings.hgr.aggregate_only,
        "hgr_subjects": findings.hgr.subjects,
        "hgr_sequencing_subjects": findings.hgr.sequencing_subjects,
        "hgr_pedigree": any(each.kind == "pedigree" and each.confidence == "strong" for each in findings.findings),
    }


def person_digests(findings: FileFindings, key: bytes, scope: bytes) -> tuple[bytes, bytes]:
    """Who is in a file, packed: those with sensitive data, those with other. A million people take a second or two."""
    return packed_digests([*findings.people, findings.minors], key, scope)


def lasting_digests(findings: FileFindings, key: bytes) -> bytes:
    """Everybody identified in a file, packed, under the key of a family of projects (`core.persons.lineage_key`)."""
    people = [each for each in (*findings.people, findings.minors) if each.values]
    return pack(merge(*(keyed_digests(each, key) for each in people)))


def sample_digests(findings: FileFindings, key: bytes, scope: bytes) -> str:
    """The samples a genomic file names, packed, in hexadecimal; empty where it has no subjects or too many to keep.

    Args:
        findings: Of the file.
        key: Of all time, since subjects are counted all time (rules.md 10.2); not that of a year.
        scope: Institution and project, within which sample names are unique.
    """
    sets = [people.values[SAMPLE_KIND] for people in findings.people if SAMPLE_KIND in people.values]
    named = merge(*sets)
    if not findings.hgr.subjects or not 0 < named.size <= SAMPLES_KEPT:
        return ""
    return pack(keyed_digests(PersonSet({SAMPLE_KIND: named}), key, scope)).hex()


def said_on_the_whole(
    facts: Mapping[str, Any], declared: Mapping[str, Any], on: date, lineage: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """What stands in no file by itself: findings about a transfer, in the form of a file's.

    Args:
        facts: As `join` made them; empty where nothing was classified.
        declared: The declaration.
        on: The day they are looked at.
        lineage: What the decision found of a claim that they came from abroad (`core.lineage`).
    """
    if not facts:
        return []
    found = lineage_finding(lineage or {}) + [difference.finding() for difference in differences(declared, facts, on)]
    many = facts.get("many_subjects", 0)
    if many:
        level = {
            "kind": "level_proposal",
            "where": "important_suspected: many_subjects",
            "count": many,
            "distinct": many,
        }
        found.append({**level, "confidence": "strong", "samples": []})
    return found


def findings_of(
    files: Sequence[StoredFile], facts: Mapping[str, Any], declared: Mapping[str, Any], on: date
) -> list[Mapping[str, Any]]:
    """What officers see and the ledger keeps of a transfer's content: every file's findings, and what is said on the whole.

    Of a transfer with a secrecy mark no samples are kept (design.md section 7); the whole stands under an empty path.
    """
    each = [without_samples(stored.findings) if facts["secrecy_mark"] else stored.findings for stored in files]
    whole = said_on_the_whole(facts, declared, on)
    return [*each, {"path": "", "findings": whole}] if whole else each


def without_samples(findings: Mapping[str, Any]) -> dict[str, Any]:
    """A file's findings without samples, for transfers with a secrecy mark (design.md section 7)."""
    return {**findings, "findings": [{**each, "samples": []} for each in findings.get("findings", ())]}


def says_something(classifier: Callable[[str], Classifying], old: str, new: str) -> bool:
    """Whether a file's new name would change its findings: identifiers in it, marks, or another extension.

    Answered without the bytes: a name alone is classified, and compared with one that says nothing.
    """
    extension = PurePosixPath(new).suffix
    if extension.lower() != PurePosixPath(settled_name(old)).suffix.lower():
        return True
    named, plain = (decision_facts(classifier(path).close(), 0) for path in (new, "a" + extension))
    return named != plain or bool(classifier(new).close().findings)


def _level(findings: FileFindings) -> str:
    """The file's level; `unknown` where a resident number was seen that did not count, or many other identifiers.

    A number with a right region, date and check character is hardly ever chance, but one alone is no proof either
    (rules.md 10.1), and padding could make real ones look like chance. So nobody is counted, and people look (rule D7).
    """
    weak = _weak(findings)
    doubtful = DOUBTFUL in weak or any(count >= WEAK_IN_ONE for count in weak.values())
    return stricter(findings.level, "unknown") if doubtful else findings.level


def _weak(findings: FileFindings) -> dict[str, int]:
    """Weak findings of personal identifiers by kind."""
    counts: dict[str, int] = {}
    for each in findings.findings:
        if each.confidence == "weak" and each.kind in IDENTIFIERS:
            counts[each.kind] = counts.get(each.kind, 0) + each.count
    return counts


def _covered(findings: FileFindings) -> bool:
    """Whether every byte was interpreted: the union of the ranges is the whole file."""
    reached = 0
    for start, end in sorted(findings.coverage):
        if start > reached:
            return False
        reached = max(reached, end)
    return reached >= findings.size


@dataclass(frozen=True)
class Joined:
    """All files of a transfer together.

    Attributes:
        facts: For the decision and the officers, as JSON.
        sensitive: Packed digests of distinct persons with sensitive data.
        nonsensitive: The same of the others.
        unkeyed_sensitive: Persons known only by number.
        unkeyed_nonsensitive: The same of the others.
        samples: Packed digests of genomic samples with individual-level data, under the key of all time.
        sequenced: Those of them that were sequenced.
    """

    facts: Mapping[str, Any]
    sensitive: bytes
    nonsensitive: bytes
    unkeyed_sensitive: int
    unkeyed_nonsensitive: int
    samples: bytes = b""
    sequenced: bytes = b""


def join(files: Sequence[StoredFile], year: int) -> Joined:
    """The findings of a transfer's files for a decision in a calendar year (Asia/Shanghai)."""
    facts = [stored.facts for stored in files]
    current = [stored for stored in files if stored.facts["year"] == year]
    stale = [stored for stored in files if stored.facts["year"] != year]
    sensitive = _union([stored.persons_sensitive for stored in current])
    nonsensitive = _union([stored.persons_nonsensitive for stored in current])
    rows_sensitive = sum(each["rows_sensitive"] for each in facts)
    rows_nonsensitive = sum(each["rows_nonsensitive"] for each in facts)
    unkeyed_sensitive = rows_sensitive + sum(len(unpack(stored.persons_sensitive)) for stored in stale)
    unkeyed_nonsensitive = rows_nonsensitive + sum(len(unpack(stored.persons_nonsensitive)) for stored in stale)
    persons_sensitive = len(unpack(sensitive)) + unkeyed_sensitive
    persons_nonsensitive = len(unpack(nonsensitive)) + unkeyed_nonsensitive
    many = _many(facts, persons_sensitive, persons_nonsensitive)
    level = _joined_level(facts)
    told = beside(files)
    joined = {
        "level": stricter(level, "important_suspected") if many else level,
        "inspectable": all(each["inspectable"] for each in facts),
        **{
            name: any(each[name] for each in facts) for name in ("secrecy_mark", "personal", "sensitive", "precise_geo")
        },
        "classes": sorted({name for each in facts for name in each["classes"]}),
        "formats": sorted({each["format"] for each in facts}),
        "categories": {name: words for each in facts for name, words in each.get("categories", {}).items()},
        "newest_birth": max((each.get("newest_birth", 0) for each in facts), default=0),
        "persons_sensitive": persons_sensitive,
        "persons_nonsensitive": persons_nonsensitive,
        "persons_exact": not (unkeyed_sensitive or unkeyed_nonsensitive),
        "many_subjects": many,
        "hgr": join_hgr(told),
        "uninspectable_files": [stored.file.number for stored in files if not stored.facts["inspectable"]][:100],
    }
    individual = _individuals(told)
    samples, sequenced = (samples_of_files(individual, each) for each in ("hgr_subjects", "hgr_sequencing_subjects"))
    return Joined(joined, sensitive, nonsensitive, unkeyed_sensitive, unkeyed_nonsensitive, samples, sequenced)


@dataclass(frozen=True)
class Already:
    """Numbers of carried files that were added up with the versions that brought them.

    Attributes:
        sensitive: Persons known only by number, on one track of one year.
        nonsensitive: The same of the others.
        subjects: Individual-level subjects of human genetic resources without a sample name, all time.
        sequenced: Those of them sequenced.
    """

    sensitive: int
    nonsensitive: int
    subjects: int
    sequenced: int


def already(files: Sequence[StoredFile], year: int, counted: AbstractSet[str]) -> Already:
    """What of a version's numbers is counted.

    Args:
        files: All files of the version.
        year: The calendar year of the decision.
        counted: Transfers that were counted on this track in this year; what another year counted is counted again.
    """
    carried = [stored for stored in files if stored.carried]
    known = join([stored for stored in carried if stored.carried in counted], year)
    told, now = (_individuals(beside(part)) for part in (carried, files))
    return Already(
        known.unkeyed_sensitive,
        known.unkeyed_nonsensitive,
        # A list that came since may show that genotypes had nobody besides those listed.
        min(unnamed(told, "hgr_subjects"), unnamed(now, "hgr_subjects")),
        min(unnamed(told, "hgr_sequencing_subjects"), unnamed(now, "hgr_sequencing_subjects")),
    )


def _joined_level(facts: Sequence[Mapping[str, Any]]) -> str:
    level = _strictest([each["level"] for each in facts])
    weak: dict[str, int] = {}
    for each in facts:
        for kind, count in each.get("weak", {}).items():  # files received before this was counted have none
            weak[kind] = weak.get(kind, 0) + count
    return stricter(level, "unknown") if any(count >= WEAK_TOGETHER for count in weak.values()) else level


def _strictest(levels: Sequence[str]) -> str:
    return min(levels, key=LEVELS.index, default="unknown")


def _many(facts: Sequence[Mapping[str, Any]], sensitive: int, nonsensitive: int) -> int:
    """The persons of all files together, where they reach the number from which on the level is doubted; else 0."""
    limits = [each["subject_limits"] for each in facts if each.get("subject_limits")]
    if not limits:
        return 0
    if sensitive >= min(each["sensitive"] for each in limits):
        return sensitive
    return nonsensitive if nonsensitive >= min(each["persons"] for each in limits) else 0


def _individuals(facts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in facts if each["hgr_information"] and not each["hgr_aggregate_only"]]


def _union(packed: Sequence[bytes]) -> bytes:
    return pack(merge(*(unpack(each) for each in packed)))
