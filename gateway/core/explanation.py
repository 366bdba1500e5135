"""Findings in words, for the officers who judge them: in simplified and traditional Chinese and in English.

What it is not: a place where anything is decided or left out. Kinds are named by the vocabulary, the rest by the catalogue.
A change must keep: nothing is shown that the finding does not hold; what has no words is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.catalogue import Catalogue
from gateway.core.situation import Vocabulary

_NAMED: Final = ("column", "key")
_LINEAGE: Final = frozenset({"lineage_added", "lineage_unproven"})
_PLACES: Final = {
    "text": "text",
    "header": "header",
    "name": "name",
    "identity numbers": "numbers",
    "days of birth": "births",
}


@dataclass(frozen=True)
class Explained:
    """A finding as people read it.

    Attributes:
        kind: What was found.
        where: In which file, and where in it.
        counts: How often, and how many distinct ones.
        confidence: How sure that is, in a word.
        samples: Masked, or empty.
    """

    kind: str
    where: str
    counts: str
    confidence: str
    samples: str


class Explanation:
    """Says findings in a language."""

    def __init__(self, catalogue: Catalogue, vocabulary: Vocabulary, language: str) -> None:
        self._catalogue = catalogue
        self._vocabulary = vocabulary
        self._language = language

    def text(self, message: str, **values: object) -> str:
        """A text of the catalogue."""
        return self._catalogue.text(message, self._language, **values)

    def kind(self, name: str) -> str:
        """What a kind of finding is called."""
        known = self._vocabulary.kinds.get(name)
        return known.names[self._language] if known else name

    def finding(self, found: Mapping[str, Any]) -> Explained:
        """One finding, as `FileFindings.to_json` or `Difference.finding` has it."""
        return Explained(
            kind=self.kind(found["kind"]),
            where=self._where(found),
            counts=self._counts(found),
            confidence=self.text(f"finding.{found['confidence']}"),
            samples=" ".join(found["samples"]),
        )

    def findings(self, found: Iterable[Mapping[str, Any]]) -> list[Explained]:
        """Several, the sure ones first."""
        ordered = sorted(found, key=lambda each: each["confidence"] != "strong")
        return [self.finding(each) for each in ordered]

    def persons(self, facts: Mapping[str, Any]) -> str:
        """How many people a transfer is about, as its joined findings say; exact, or an upper bound and said to be one."""
        message = "finding.persons_exact" if facts["persons_exact"] else "finding.persons_at_most"
        return self.text(message, sensitive=facts["persons_sensitive"], nonsensitive=facts["persons_nonsensitive"])

    def _where(self, found: Mapping[str, Any]) -> str:
        if found["kind"] == "level_proposal":
            level, _, reason = found["where"].partition(": ")
            return self._known("level", level) + self.text(
                "finding.because", reason=self._known("level_reason", reason)
            )
        if found["kind"] in _LINEAGE:
            return self._known("lineage", found["where"])
        if found["kind"] == "declared_less":
            return self._known("declared_less", found["where"].replace(".", "-"), found["where"])
        return " + ".join(self._place(part) for part in found["where"].split(" + "))

    def _place(self, part: str) -> str:
        kind, _, name = part.partition(" ")
        if kind in _NAMED and name:
            return self.text(f"finding.{kind}", name=name)
        return self.text(f"finding.{_PLACES[part]}") if part in _PLACES else part

    def _counts(self, found: Mapping[str, Any]) -> str:
        if found["kind"] == "declared_less":
            return self.text("finding.declared", declared=_said(found["declared"]), detected=_said(found["detected"]))
        if found["kind"] in _LINEAGE:
            return self.text("lineage.count", count=found["count"])
        return self.text("finding.counts", count=found["count"], distinct=found["distinct"])

    def _known(self, section: str, word: str, otherwise: str = "") -> str:
        message = f"{section}.{word.replace('_', '-')}"
        return self.text(message) if message in self._catalogue.ids() else otherwise or word


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
