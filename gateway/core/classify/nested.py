"""Findings of a file that holds others: an archive, a workbook, a document with its text.

A *part* is what an inspector took out of a file and had classified: a member of an archive, a sheet, the text of a page.
Stricter wins, places carry the part they are in (`a.zip!/b.csv`, design.md section 6), and people are a union.

A change must keep: one part that nobody could read makes the whole unreadable; a byte is covered only where the inspector
says so; persons beside ordinary data in one part do not become sensitive because another part holds diagnoses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.core.classify.findings import Basis, FileFindings, Finding, Hgr, Level, PersonCount, PersonSet
from gateway.core.classify.genomes import SAMPLE_KIND
from gateway.core.classify.judge import merged

FINDINGS_CAP: Final = 1_000  # of one file; what is past it is summed up by kind
_STRICT: Final[tuple[Level, ...]] = ("secret", "important_suspected", "unknown", "general")
_BASES: Final[tuple[Basis, ...]] = ("rows", "identifier", "subjects", "none")  # the least certain first


@dataclass(frozen=True)
class Outer:
    """What an inspector says of the file itself.

    Attributes:
        path: As it came.
        size: Bytes.
        format: Name of the format.
        coverage: Byte ranges [start, end) it interpreted, in any order.
        findings: Its own, `uninspectable` and `encrypted_content` among them.
        readable: False where it met something that it could not interpret.
        classes: Kinds of data.
        level: Proposed.
        hgr: Genetic resource information outside of parts.
        persons: Persons outside of parts.
        personal: Personal information outside of parts.
        sensitive: Sensitive personal information outside of parts.
        precise_geo: Coordinates of four decimals or more outside of parts.
    """

    path: str
    size: int
    format: str
    coverage: Sequence[tuple[int, int]] = ()
    findings: Sequence[Finding] = ()
    readable: bool = True
    classes: AbstractSet[str] = field(default_factory=frozenset)
    level: Level = "general"
    hgr: Hgr = field(default_factory=Hgr)
    persons: PersonSet = field(default_factory=PersonSet)
    personal: bool = False
    sensitive: bool = False
    precise_geo: bool = False


def nest(outer: Outer, parts: Sequence[tuple[str, FileFindings]]) -> FileFindings:
    """The findings of a whole file.

    Args:
        outer: What its inspector says.
        parts: (place within the file, findings); an empty place is the file's own content under another form.
    """
    inner = [part for _, part in parts]
    spans = joined_spans(outer.coverage, outer.size)
    # What was not parsed at all has its reason already; every byte of it as a gap would say nothing more.
    gaps = gap_findings(spans, outer.size) if spans or outer.readable else []
    inspectable = outer.readable and not gaps and all(part.inspectable for part in inner)
    sets = by_company([outer.persons, *(people for part in inner for people in part.people)])
    hgr = _joined_hgr([outer.hgr, *(part.hgr for part in inner)], sets)
    findings = [*outer.findings, *gaps]
    findings += [_placed(finding, place) for place, part in parts for finding in part.findings]
    level = min([outer.level, *(part.level for part in inner)], key=_STRICT.index)
    if not inspectable:
        level = min(level, "unknown", key=_STRICT.index)
    return FileFindings(
        path=outer.path,
        size=outer.size,
        format=outer.format,
        level=level,
        classes=tuple(sorted({*outer.classes, *(name for part in inner for name in part.classes)})),
        inspectable=inspectable,
        coverage=spans,
        persons=_counted(sets, hgr, [part.persons.basis for part in inner]),
        hgr=hgr,
        findings=tuple(sorted(capped(findings), key=lambda f: (f.kind, f.where))),
        secrecy_mark=any(part.secrecy_mark for part in inner),
        personal=outer.personal or any(part.personal for part in inner),
        sensitive=outer.sensitive or any(part.sensitive for part in inner),
        precise_geo=outer.precise_geo or any(part.precise_geo for part in inner),
        identifiers=sets[0] if sets else PersonSet(),
        others=tuple(sets[1:]),
        births=_births(inner),
        categories=_categories(inner),
        subject_limits=next((part.subject_limits for part in inner if part.subject_limits), {}),
    )


def _births(parts: Sequence[FileFindings]) -> dict[int, int]:
    """How often each day of birth was met in all parts."""
    counted: Counter[int] = Counter()
    for part in parts:
        counted.update(part.births)
    return dict(counted)


def _categories(parts: Sequence[FileFindings]) -> dict[str, tuple[str, ...]]:
    joined: dict[str, set[str]] = {}
    for part in parts:
        for name, words in part.categories.items():
            joined.setdefault(name, set()).update(words)
    return {name: tuple(sorted(words)) for name, words in sorted(joined.items())}


def joined_spans(spans: Sequence[tuple[int, int]], size: int) -> tuple[tuple[int, int], ...]:
    """Ranges in order, touching ones joined, cut to the file."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((max(start, 0), min(end, size)) for start, end in spans):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)


def gap_findings(spans: Sequence[tuple[int, int]], size: int) -> list[Finding]:
    """One finding for every run of bytes that no structure refers to or nobody interpreted."""
    gaps, reached = [], 0
    for start, end in [*spans, (size, size)]:
        if start > reached:
            gaps.append(Finding("gap", f"bytes {reached}-{start}", start - reached, 1, "strong"))
        reached = max(reached, end)
    return gaps


def by_company(sets: Sequence[PersonSet]) -> list[PersonSet]:
    """Sets of the same company (sensitive, ordinary) as one; at most three, none of them empty."""
    groups: dict[tuple[bool, bool], PersonSet] = {}
    for people in sets:
        company = (people.sensitive, people.ordinary)
        if people.count:
            groups[company] = merged(groups[company], people) if company in groups else people
    return [groups[company] for company in sorted(groups, reverse=True)]


def capped(findings: Sequence[Finding]) -> list[Finding]:
    """At most FINDINGS_CAP; those past it are one finding a kind and confidence."""
    kept, rest = list(findings[:FINDINGS_CAP]), findings[FINDINGS_CAP:]
    summed: dict[tuple[str, str], Finding] = {}
    for each in rest:
        known = summed.get((each.kind, each.confidence))
        base = known or replace(each, where="further places", count=0, distinct=0, samples=())
        summed[each.kind, each.confidence] = replace(
            base, count=base.count + each.count, distinct=base.distinct + each.distinct
        )
    return kept + list(summed.values())


def _placed(finding: Finding, place: str) -> Finding:
    return replace(finding, where=f"{place}: {finding.where}") if place else finding


def _joined_hgr(parts: Sequence[Hgr], sets: Sequence[PersonSet]) -> Hgr:
    """Subjects named in several parts are one; those without a name are added."""
    told = [part for part in parts if part.information]
    if not told:
        return Hgr()
    named = sum(len(people.values.get(SAMPLE_KIND, ())) for people in sets)
    subjects = sum(part.subjects for part in told)
    unnamed = max(sum(people.uncounted for people in sets), 0)
    most = named + unnamed if named else subjects
    return Hgr(
        information=True,
        sequencing_subjects=min(sum(part.sequencing_subjects for part in told), most),
        subjects=min(subjects, most),
        aggregate_only=all(part.aggregate_only for part in told),
    )


def _counted(sets: Sequence[PersonSet], hgr: Hgr, bases: Sequence[Basis]) -> PersonCount:
    sensitive = sum(people.count for people in sets if people.sensitive)
    ordinary = sum(people.count for people in sets if people.ordinary)
    if not sensitive and not ordinary:
        return PersonCount()
    known: Mapping[Basis, int] = {basis: place for place, basis in enumerate(_BASES)}
    basis = min((basis for basis in bases if basis != "none"), key=lambda each: known[each], default=None)
    if basis is None:
        basis = "subjects" if hgr.subjects else "rows" if any(people.uncounted for people in sets) else "identifier"
    return PersonCount(sensitive, ordinary, basis)
