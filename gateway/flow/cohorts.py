"""Subjects of human genetic resources over all files of a transfer: the same sample in two files is one person.

The rules:
1. A file's samples are keyed digests of all time (`findings.sample_digests`). Both reads of a sample, its lanes, its alignment
   and its variants are one subject; subjects without a kept name are added up.
2. Genotypes of PLINK and Oxford whose people are listed beside them (`study.pgen`, `study.psam`) are nobody besides those.

Every number here is an upper bound. Only a list of people (rule 2) can make it smaller, down to those that it lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from gateway.core.persons import merge, pack, unpack
from gateway.ports import StoredFile

_GENOTYPES: Final = frozenset({"plink_bed", "plink_pgen", "bgen"})
_LISTS: Final = frozenset({"plink_fam", "oxford_sample"})
Facts = Mapping[str, Any]


def join_hgr(facts: Sequence[Facts]) -> dict[str, Any]:
    """What files together say of human genetic resources, given their facts (`beside`)."""
    told = [each for each in facts if each["hgr_information"]]
    return {
        "information": bool(told),
        # Aggregate only where every file with such information is: one individual-level file makes the transfer so.
        "aggregate_only": bool(told) and all(each["hgr_aggregate_only"] for each in told),
        "subjects": _distinct(told, "hgr_subjects"),
        "sequencing_subjects": _distinct(told, "hgr_sequencing_subjects"),
        # Files received before it was looked for say nothing of it.
        "pedigree": any(each.get("hgr_pedigree", False) for each in told),
    }


def samples_of_files(facts: Sequence[Facts], counted: str) -> bytes:
    """The distinct samples of files that count subjects of a kind, packed."""
    told = [unpack(bytes.fromhex(each["samples"])) for each in facts if each[counted] and each.get("samples")]
    return pack(merge(*told))


def unnamed(facts: Sequence[Facts], counted: str) -> int:
    """Subjects of files beyond the samples they name; files of before names were kept have none."""
    return sum(max(int(each[counted]) - len(each.get("samples", "")) // 16, 0) for each in facts)


def _distinct(facts: Sequence[Facts], counted: str) -> int:
    return len(samples_of_files(facts, counted)) // 8 + unnamed(facts, counted)


def beside(files: Sequence[StoredFile]) -> list[Facts]:
    """The facts of files, in their order, after rule 2: a list takes over what its genotypes say of sequencing."""
    lists = {_stem(stored): stored for stored in files if stored.facts["format"] in _LISTS}
    taken: dict[str, int] = {}
    facts: dict[int, Facts] = {}
    for at, stored in enumerate(files):
        each = stored.facts
        listed = lists.get(_stem(stored)) if each["format"] in _GENOTYPES else None
        nameless = not each.get("samples")
        if listed is not None and nameless and listed.facts["hgr_subjects"] >= each["hgr_subjects"]:
            taken[_stem(stored)] = max(taken.get(_stem(stored), 0), each["hgr_sequencing_subjects"])
            facts[at] = {**each, "hgr_subjects": 0, "hgr_sequencing_subjects": 0}
    for at, stored in enumerate(files):
        if stored is lists.get(_stem(stored)) and (sequenced := taken.get(_stem(stored), 0)):
            most = max(stored.facts["hgr_sequencing_subjects"], sequenced)
            facts[at] = {**stored.facts, "hgr_sequencing_subjects": most}
    return [facts.get(at, stored.facts) for at, stored in enumerate(files)]


def _stem(stored: StoredFile) -> str:
    return str(PurePosixPath(stored.file.path).with_suffix("")) if stored.file.path else ""
