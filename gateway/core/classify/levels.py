"""Which level a file's content proposes, and why: every reason is a finding, the strictest level stands.

What it is not: a decision. An officer may judge otherwise (rule D7); a declared level that is stricter stands.
Source: the reasons in `policies/detectors/sensitivity.toml`, each with its citation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.core.classify.findings import Finding, Level
from gateway.core.detectors import DetectorTables, MarkForm, Window
from gateway.core.detectors.sensitivity import Reason

STRICTEST_FIRST: tuple[Level, ...] = ("secret", "core", "important_suspected")
_BEFORE, _AFTER = 48, 24  # bytes beside a word in which its form is judged


@dataclass
class LevelMarks:
    """Words of the law's levels, told apart from the owner's other marks as they are met."""

    tables: DetectorTables
    seen: Counter[str] = field(default_factory=Counter)

    def take(self, window: Window, place: int, count: int) -> None:
        """An internal mark stands here: say which reason it is."""
        text = window.text(place, place + _AFTER).decode("utf-8", "ignore")
        before = window.text(max(place - _BEFORE, 0), place).decode("utf-8", "ignore")
        self.seen[_reason_of(text, before, self.tables)] += count


def proposed(
    marks: Counter[MarkForm],
    words: Mapping[str, int],
    *,
    tables: DetectorTables,
    coordinates: int,
    persons: int,
    sensitive: int,
) -> list[Finding]:
    """The reasons a file gives for a level above general.

    Args:
        marks: Marks by form.
        words: What `LevelMarks` saw.
        tables: Reasons and their numbers.
        coordinates: Records with precise mainland coordinates.
        persons: Distinct persons.
        sensitive: Of these, with sensitive data.
    """
    if not (marks or words or coordinates or persons):
        return []
    levels = tables.sensitivity.levels
    counts = {**words, "secrecy_mark": marks[MarkForm.MARKED], "secrecy_word": marks[MarkForm.RARE]}
    counts["internal_mark"] = marks[MarkForm.INTERNAL] - sum(words.values()) + words.get("internal_mark", 0)
    if _reaches(levels.get("bulk_coordinates"), "records", coordinates):
        counts["bulk_coordinates"] = coordinates
    many = levels.get("many_subjects")
    if _reaches(many, "sensitive", sensitive):
        counts["many_subjects"] = sensitive
    elif _reaches(many, "persons", persons):
        counts["many_subjects"] = persons
    return [
        Finding("level_proposal", f"{levels[reason].level}: {reason}", count, count, "strong")
        for reason, count in sorted(counts.items())
        if count > 0 and reason in levels
    ]


def strictest(found: list[Finding]) -> Level | None:
    """The level the proposals come to; None without any."""
    levels = {each.where.partition(":")[0] for each in found if each.kind == "level_proposal"}
    return next((level for level in STRICTEST_FIRST if level in levels), None)


def _reaches(reason: Reason | None, key: str, count: int) -> bool:
    return reason is not None and count >= reason.numbers[key]


def _reason_of(text: str, before: str, tables: DetectorTables) -> str:
    word, before = text.replace(" ", "").replace("\t", "").rstrip("\0"), before.lstrip("\0")
    levels = tables.sensitivity.levels
    if not levels:
        return "internal_mark"
    if word.startswith(levels["core_mark"].words):
        # A heading or brackets are no mark: the words also mean the key figures of a report, and a mark denies.
        return "core_mark" if _label(tables).search(before) else "core_words"
    return "important_mark" if word.startswith(levels["important_mark"].words) else "internal_mark"


@lru_cache(maxsize=8)
def _label(tables: DetectorTables) -> re.Pattern[str]:
    """A label for the level of data, at the end of what stands before a word."""
    labels = "|".join(re.escape(each) for each in tables.sensitivity.levels["core_mark"].labels)
    return re.compile(rf"(?:{labels})[ \t\"]*[:：=为為]?[ \t\"]*$")
