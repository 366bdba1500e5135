"""Who is under fourteen on a day: by the birth date in resident numbers, and by columns of birth dates (PIPL arts. 28, 31).

What it is not: a count of children among people whose births nobody told.
A change must keep: the fourteenth birthday itself still counts as under fourteen (fourteen full years are reached on the day
after, as the Supreme People's Court counts ages), and the day comes in as a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import numpy as np

from gateway.core.classify.findings import FileFindings, Finding, PersonSet
from gateway.core.detectors.lanes import Lanes

AGE = 14
NUMBERED = (
    "cn_resident_id",
    "cn_residence_permit",
    "cn_foreigner_permit",
)  # kinds whose canonical value has the birth date above three digits of sequence
UNKNOWN = 9999_12_31  # births of numbers that were too many to keep: nobody knows that there is no child among them


def born_from(on: date) -> int:
    """The day, as YYYYMMDD, from which on those born are under fourteen on a day."""
    return (on.year - AGE) * 10_000 + on.month * 100 + on.day


def is_minor(birth: int, on: date) -> bool:
    """Whether somebody born on YYYYMMDD (0: not known to be anybody) is under fourteen on a day."""
    return birth >= born_from(on)


def newest_birth(persons: PersonSet) -> int | None:
    """Latest birth date among resident identity numbers as YYYYMMDD."""
    latest = [int(_births(persons, kind).max()) for kind in NUMBERED if len(persons.values.get(kind, ()))]
    return max(latest, default=None)


def youngest(found: FileFindings) -> int:
    """Latest birth date in a file about people, by numbers and by columns; 0 where it tells none."""
    if not found.personal:
        return 0
    return max(*(newest_birth(people) or 0 for people in found.people), *found.births, 0)


def on_day(found: FileFindings, on: date) -> FileFindings:
    """The findings of a file as they are on a day: who is under fourteen then has sensitive data (PIPL art. 28).

    Those told apart by their numbers are counted as such (`minors`). Where a column tells of more than the numbers do,
    nobody knows which of the file's people they are, and all of them may be: an upper bound.
    """
    if not found.personal:
        return found
    limit = born_from(on)
    by_number = sum(int(part.size) for part in _under(found.people, limit).values())
    by_day = sum(count for day, count in found.births.items() if day >= limit)
    if not (by_number or by_day):
        return found
    told = [("identity numbers", by_number), ("days of birth", by_day)]
    fresh = [Finding("minor", where, count, count, "strong") for where, count in told if count]
    people, minors = found.people, PersonSet()
    if by_day > by_number:
        people = tuple(replace(each, sensitive=True) for each in people)
    else:  # those who stand beside sensitive data are counted with it
        minors = PersonSet(_under([each for each in people if not each.sensitive], limit), sensitive=True)
    count = sum(each.count for each in people if each.sensitive) + minors.count
    return replace(
        found,
        classes=tuple(sorted({*found.classes, "under14"})),
        findings=tuple(sorted([*found.findings, *fresh], key=lambda each: (each.kind, each.where))),
        persons=replace(found.persons, sensitive=max(found.persons.sensitive, count)),
        sensitive=True,
        identifiers=people[0],
        others=people[1:],
        minors=minors,
    )


def _under(sets: Iterable[PersonSet], limit: int) -> dict[str, Lanes]:
    """Distinct numbers of those born on a day or after it, by kind; kinds without any are left out."""
    found: dict[str, Lanes] = {}
    for kind in NUMBERED:
        parts = [each.values[kind][_births(each, kind) >= limit] for each in sets if kind in each.values]
        together = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        if together.size:
            found[kind] = together
    return found


def _births(persons: PersonSet, kind: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    births: np.ndarray[tuple[int], np.dtype[np.uint64]] = persons.values[kind] // np.uint64(1000) % np.uint64(10**8)
    return births
