"""Choices: where the law is open, the reading this pack takes, as data an officer can see and two officers can change.

What it is not: the parsing of `policies/choices.toml` (`core/rulebook/choices.py`), or a verdict.

A change must keep these:
1. Options stand strictest first. A reading laxer than the default puts a flag beside every decision made under it.
2. What code reads is listed here with its options and default; a pack that offers others is refused at load.
3. A pack without choices takes the defaults: an open question is never answered by leaving it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

READ_BY_CODE: Final[Mapping[str, tuple[tuple[str, ...], str]]] = MappingProxyType(
    {
        "labour_rules": (("both", "either"), "both"),
        "old_results": (("two-years", "three-years"), "three-years"),
        "sensitive_senders": (("no-exemption", "n-only"), "n-only"),
        "extension_window": (("before", "within"), "within"),
    }
)
"""Options (strictest first) and default of each choice that code reads, by id; all others are read by rules or by people."""


@dataclass(frozen=True)
class Choice:
    """One open question and the reading taken.

    Attributes:
        id: Under which rules read it, as `choice.<id>`.
        point: Its number in the legal brief's section 12.
        questions: What is uncertain, by language.
        options: Readings, strictest first.
        default: The careful reading the brief takes.
        taken: The reading this pack takes.
        read_by: Rules, derived facts and stages that read it.
        citations: `instrument:article`, the text that leaves it open.
    """

    id: str
    point: str
    questions: Mapping[str, str]
    options: tuple[str, ...]
    default: str
    taken: str
    read_by: tuple[str, ...]
    citations: tuple[str, ...]

    @property
    def laxer(self) -> bool:
        """Whether the reading taken asks for less than the default."""
        return self.options.index(self.taken) > self.options.index(self.default)


@dataclass(frozen=True)
class Choices:
    """All choices of a pack, by id."""

    entries: Mapping[str, Choice] = field(default_factory=lambda: MappingProxyType({}))

    def taken(self, choice_id: str) -> str:
        """The reading of a choice that code reads; its default where the pack says nothing.

        Raises:
            KeyError: Code does not read it, and the pack does not have it.
        """
        found = self.entries.get(choice_id)
        return found.taken if found is not None else READ_BY_CODE[choice_id][1]

    def readings(self) -> dict[str, str]:
        """Every reading by id, as conditions see it."""
        return {name: choice.taken for name, choice in self.entries.items()}

    def flags(self) -> tuple[str, ...]:
        """A flag for each reading laxer than its default."""
        return tuple(f"choice-{name}" for name, choice in self.entries.items() if choice.laxer)


CAREFUL: Final = Choices()
"""Every default."""
