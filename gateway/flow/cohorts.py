"""Subjects of human genetic resources over all files of a transfer: the same sample in two files is one person.

The rules:
1. A named subject is in a file's keyed digests of persons with sensitive data (`core.persons`), so subjects of several files are
   at most the union of these and the nameless of each; and at most their sum. Both reads of a sample, its lanes, its
   alignment and its variants are one subject so.
2. Genotypes of PLINK and Oxford whose people are listed beside them (`study.pgen`, `study.psam`) are nobody besides those.
3. Digests of different years cannot be compared: their numbers are added up.

Every number here is an upper bound. Only a list of people (rule 2) can make it smaller, down to those that it lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from gateway.core.persons import merge, unpack
from gateway.ports import StoredFile

_GENOTYPES: Final = frozenset({"plink_bed", "plink_pgen", "bgen"})
_LISTS: Final = frozenset({"plink_fam", "oxford_sample"})
Facts = Mapping[str, Any]


def join_hgr(files: Sequence[StoredFile]) -> dict[str, Any]:
    """What the files together say of human genetic resources."""
    told = [(stored, facts) for stored, facts in _beside(files) if facts["hgr_information"]]
    return {
        "information": bool(told),
        # Aggregate only where every file with such information is: one individual-level file makes the transfer so.
        "aggregate_only": bool(told) and all(facts["hgr_aggregate_only"] for _, facts in told),
        "subjects": _distinct(told, "hgr_subjects"),
        "sequencing_subjects": _distinct(told, "hgr_sequencing_subjects"),
        "pedigree": any(
            facts.get("hgr_pedigree", False) for _, facts in told
        ),  # files received before have no word of it
    }


def _beside(files: Sequence[StoredFile]) -> list[tuple[StoredFile, Facts]]:
    """Rule 2: a list takes over what its genotypes say of sequencing."""
    lists = {_stem(stored): stored for stored in files if stored.facts["format"] in _LISTS}
    taken: dict[str, int] = {}
    facts: dict[int, Facts] = {}
    for at, stored in enumerate(files):
        each = stored.facts
        listed = lists.get(_stem(stored)) if each["format"] in _GENOTYPES else None
        nameless = not stored.persons_sensitive
        if listed is not None and nameless and listed.facts["hgr_subjects"] >= each["hgr_subjects"]:
            taken[_stem(stored)] = max(taken.get(_stem(stored), 0), each["hgr_sequencing_subjects"])
            facts[at] = {**each, "hgr_subjects": 0, "hgr_sequencing_subjects": 0}
    for at, stored in enumerate(files):
        if stored is lists.get(_stem(stored)) and (sequenced := taken.get(_stem(stored), 0)):
            most = max(stored.facts["hgr_sequencing_subjects"], sequenced)
            facts[at] = {**stored.facts, "hgr_sequencing_subjects": most}
    return [(stored, facts.get(at, stored.facts)) for at, stored in enumerate(files)]


def _stem(stored: StoredFile) -> str:
    return str(PurePosixPath(stored.file.path).with_suffix("")) if stored.file.path else ""


def _distinct(told: Sequence[tuple[StoredFile, Facts]], name: str) -> int:
    """Subjects over files: by year the sum, or the persons in these files, whichever is less."""
    years: dict[int, list[tuple[StoredFile, Facts]]] = {}
    for stored, facts in told:
        if facts[name]:
            years.setdefault(facts["year"], []).append((stored, facts))
    return sum(_of_year(each, name) for each in years.values())


def _of_year(told: Sequence[tuple[StoredFile, Facts]], name: str) -> int:
    added, lone, nameless, named = 0, 0, 0, []
    for stored, facts in told:
        digests = unpack(stored.persons_sensitive)
        if digests.size + facts["rows_sensitive"] < facts[name]:  # its subjects are not all among these: only added up
            lone += facts[name]
            continue
        added += facts[name]
        nameless += facts["rows_sensitive"]
        named.append(digests)
    return lone + min(added, int(merge(*named).size) + nameless)
