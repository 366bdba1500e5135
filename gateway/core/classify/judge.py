"""From what was seen to what it means: weak or strong, personal or sensitive, how many, which level.

Rules of this module:

1. A source (one detector in one column) is *strong* when its column's header, a JSON key or the words before a lone hit
   name its kind, or when it has at least two hits and more than three times what chance gives for that many candidates
   (`chance` in the tables) plus one, or, where words before one of its
   first hits name it, at least half of the candidates. In a file name one hit with a check digit of small chance is enough.
2. Everything else is *weak*: reported, never counted, and it makes nothing personal by itself.
3. Header words that are `certain` are strong. The others are strong beside a strong person in the same file or beside
   another such kind (a name with an age, an age with a diagnosis), since one of them alone also heads tables of genes,
   machines and animals.
4. Personal: a strong identifier of a person, a strong personal header, or individual genetic data. Sensitive: a strong
   sensitive kind in a file that is personal (PIPL art. 28); a resident number alone is not (GB/T 45574-2025 annex A).
5. Persons are counted by identifier where a record has one. In a table whose headers name people, a record without
   one counts as one person more, and the count is an upper bound by rows; so is that of labels in prose, and of JSON and
   XML without any identifier. Genomic files count subjects. A person with sensitive and other data is in both counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.core.classify.distinct import sorted_distinct
from gateway.core.classify.findings import Basis, Confidence, Finding, Hgr, PersonCount, PersonSet
from gateway.core.classify.genomes import SAMPLE_KIND, Told, sample_values
from gateway.core.classify.grid import NO_COLUMN
from gateway.core.classify.names import Names
from gateway.core.classify.tally import Source, Tally
from gateway.core.detectors.headers import normal_form
from gateway.core.detectors.tables import Detector, DetectorTables, HeaderWords

_SURE = 1e-3  # chance below which one hit in a name is strong
_PER_HIT = 3.0
HIDDEN = 3  # characters of a sample that are asterisks at the least


@dataclass(frozen=True)
class Evidence:
    """What the sources and names of a file amount to.

    Attributes:
        findings: Identifiers and headers.
        persons: By identifiers and, past them, by records.
        basis: How they were counted.
        personal: See rule 4.
        sensitive: See rule 4.
        classes: Kinds of data that the strong findings are.
    """

    findings: tuple[Finding, ...]
    persons: PersonSet
    basis: Basis
    personal: bool
    sensitive: bool
    classes: frozenset[str]


NOTHING = Evidence((), PersonSet(), "none", personal=False, sensitive=False, classes=frozenset())


def weigh(tally: Tally, names: Names, tables: DetectorTables, *, records: int, flat: bool) -> Evidence:
    """Judge the content of one text.

    Args:
        tally: Identifiers.
        names: Headers, keys, labels.
        tables: Where kinds are described.
        records: Data records of the file, for persons that only headers announce; 0 where it has none.
        flat: Whether a record is a row (of a table, of NDJSON) and not perhaps a part of one (JSON, XML).
    """
    if not (tally.sources or names.kinds or names.labels):
        return NOTHING
    strong = [s for s in tally.sources.values() if is_strong(s, names, tables)]
    known = any(source.detector.personal for source in strong)
    headers = _headers(names, tables)
    sure = [(column, words) for column, words in headers if words.certain]
    beside = {words.kind for _, words in headers if words.personal and not words.certain}
    if known or sure or len(beside) > 1:
        sure = headers
    people = [words for _, words in sure if words.personal]
    persons = tally.persons(strong)
    if people and (flat or not persons.count):
        bare = max([records, *names.labels.values()]) - tally.records_with(strong)
        persons = replace(persons, uncounted=persons.uncounted + max(bare, 0))
    basis: Basis = "rows" if persons.uncounted else "identifier" if persons.count else "none"
    kinds: list[Detector | HeaderWords] = [source.detector for source in strong]
    kinds += [words for _, words in sure]
    personal = known or bool(people and persons.count)
    sensitive = personal and any(kind.sensitive for kind in kinds)
    ordinary = personal and any(kind.personal and not kind.sensitive for kind in kinds)
    findings = [_identifier(source, tally, names, strong=source in strong) for source in tally.sources.values()]
    shown = {(source.column, source.detector.kind) for source in strong}  # its values say more than a column's name
    findings += [
        _header(column, words, names, records, strong=(column, words) in sure)
        for column, words in headers
        if (column, words.kind) not in shown
    ]
    return Evidence(
        findings=tuple(finding for finding in findings if finding.count),
        persons=replace(persons, sensitive=sensitive, ordinary=ordinary),
        basis=basis,
        personal=personal,
        sensitive=sensitive,
        classes=frozenset(kind.data_class for kind in kinds),
    )


def is_strong(source: Source, names: Names, tables: DetectorTables) -> bool:
    """Rule 1."""
    if not source.hits:
        return False
    if names.supports(source.column, source.detector.key):
        return True
    if source.hits > 1 + _PER_HIT * source.detector.chance * source.candidates:
        return source.hits > 1 or _named_before(source, tables)
    return (source.hits == 1 or 2 * source.hits >= source.candidates) and _named_before(source, tables)


def is_strong_in_name(source: Source, tables: DetectorTables) -> bool:
    """Rule 1 for file names, which are too short for chance."""
    sure = source.hits > 0 and 0 < source.detector.chance < _SURE
    return sure or source.hits > 1 or (source.hits == 1 and _named_before(source, tables))


def _named_before(source: Source, tables: DetectorTables) -> bool:
    """Whether the words before one of the first hits, on its line, name its kind."""
    befores = [normal_form(before.decode("utf-8", "ignore")) for before in source.before]
    return any(
        source.detector.key in header.supports
        and (any(part in words for part in header.parts) or any(words.endswith(word) for word in header.words))
        for header in tables.headers
        for words in befores
    )


def _headers(names: Names, tables: DetectorTables) -> list[tuple[int, HeaderWords]]:
    found = [(column, words) for column, kinds in sorted(names.kinds.items()) for words in kinds]
    by_label = [words for words in tables.headers if names.labels.get(words.kind)]
    return found + [(NO_COLUMN, words) for words in by_label]


def _identifier(source: Source, tally: Tally, names: Names, *, strong: bool) -> Finding:
    confidence: Confidence = "strong" if strong else "weak"
    samples = tuple(mask(text, source.detector) for text in source.samples.values())
    place = names.place(source.column)
    return Finding(source.detector.kind, place, source.hits, tally.distinct(source), confidence, samples)


def _header(column: int, words: HeaderWords, names: Names, records: int, *, strong: bool) -> Finding:
    confidence: Confidence = "strong" if strong else "weak"
    count = names.labels.get(words.kind, 0) if column == NO_COLUMN else records
    place = names.place(column)
    if column == NO_COLUMN and words.kind in names.shown:
        place, count = f"key {names.shown[words.kind]}", records
    return Finding(words.kind, place, max(count, 1), max(count, 1), confidence)


def mask(text: bytes, detector: Detector) -> str:
    """A sample with all but its first and last characters (`Detector.mask`) as asterisks.

    An e-mail address keeps its domain. Lower case becomes upper, separators go, so that a mask says nothing about form. At
    least HIDDEN characters are hidden: a short value shows less, or nothing.
    """
    shown = text.decode("utf-8", "replace")
    if "@" in shown:
        local, _, domain = shown.partition("@")
        return f"{local[:1] if len(local) > HIDDEN else ''}{'*' * max(len(local) - 1, HIDDEN)}@{domain}"
    plain = "".join(character for character in shown if character.isalnum()).upper()
    front, back = detector.mask
    if len(plain) < front + back + HIDDEN:
        front, back = (1, 0) if len(plain) > HIDDEN else (0, 0)
    return plain[:front] + "*" * max(len(plain) - front - back, HIDDEN) + plain[len(plain) - back :]


def with_subjects(persons: PersonSet, told: Told) -> PersonSet:
    """Add the subjects of a genomic file, whose data are sensitive (genes: GB/T 45574-2025 annex A)."""
    hgr = told.hgr
    if not hgr.subjects:
        return persons
    values, samples = dict(persons.values), sample_values(told.names)
    if samples.size:
        values[SAMPLE_KIND] = sorted_distinct([samples])
    missing = max(hgr.subjects - int(samples.size), 0)
    return PersonSet(values, persons.uncounted + missing, sensitive=True, ordinary=persons.ordinary)


def count_persons(persons: PersonSet, hgr: Hgr, basis: Basis) -> PersonCount:
    """Numbers for a report; rule 5."""
    if not persons.count:
        return PersonCount()
    subjects = hgr.subjects and persons.count == hgr.subjects
    return PersonCount(
        sensitive=persons.count if persons.sensitive else 0,
        nonsensitive=persons.count if persons.ordinary else 0,
        basis="subjects" if subjects else basis if basis != "none" else "identifier",
    )


def merged(first: PersonSet, second: PersonSet) -> PersonSet:
    """Persons of two places of one file."""
    if not (second.values or second.uncounted or second.sensitive or second.ordinary):
        return first
    kinds = sorted({*first.values, *second.values})
    empty = np.zeros(0, np.uint64)
    return PersonSet(
        {kind: sorted_distinct([first.values.get(kind, empty), second.values.get(kind, empty)]) for kind in kinds},
        first.uncounted + second.uncounted,
        sensitive=first.sensitive or second.sensitive,
        ordinary=first.ordinary or second.ordinary,
    )
