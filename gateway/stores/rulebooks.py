"""Rule packs from disk: the one that ships with the gateway, or a directory of the same shape; and the PRC calendar.

What it is not: a judge of rules. `gateway.core.rulebook` refuses what is wrong; this module only brings bytes.

A change must keep these:
1. A pack whose content differs from its DIGEST is refused: what runs is what somebody meant to run.
2. The calendar's last published day is the package's, never a guess.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import chinese_calendar

from gateway.core.calendar import WorkCalendar
from gateway.core.decide import Case, parse_cases
from gateway.core.errors import StoreError, Unusable
from gateway.core.incident import Clocks, parse_clocks
from gateway.core.rulebook import Rulebook, parse_rulebook
from gateway.core.situation import Vocabulary, parse_vocabulary

DIGEST: Final = "DIGEST"
VOCABULARY: Final = "vocabulary.toml"
CLOCKS: Final = "clocks.toml"
_FOLDERS: Final = ("instruments", "rules")


@dataclass(frozen=True)
class Policies:
    """Everything `policies/` says, checked.

    Attributes:
        vocabulary: Facts, derived facts and kinds of findings.
        rulebook: Rules and instruments.
        cases: Golden cases; not covered by the digest, they decide nothing.
    """

    vocabulary: Vocabulary
    rulebook: Rulebook
    cases: tuple[Case, ...]


def packaged_policies() -> Traversable:
    """The pack that ships with the gateway."""
    return files("policies")


def load_policies(folder: Path | None = None, *, verify: bool = True) -> Policies:
    """A pack, read and checked.

    Args:
        folder: A directory shaped like `policies/`; None for the packaged one.
        verify: Whether the content must match the pack's DIGEST; only the command that renews it says no.

    Raises:
        Unusable: Where the content does not fit together, or differs from its DIGEST.
        StoreError: Where it cannot be read.
    """
    root = packaged_policies() if folder is None else folder
    try:
        word_list = root.joinpath(VOCABULARY).read_bytes()
        documents = {VOCABULARY: word_list} | {name: data for part in _FOLDERS for name, data in _read(root, part)}
        cases = dict(_read(root, "cases"))
        stated = _stated(root) if verify else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the rule pack cannot be read: {error}", retry=False) from error
    vocabulary = _vocabulary(word_list)
    rulebook = parse_rulebook(documents, vocabulary)
    if verify and stated != rulebook.digest:
        raise Unusable(
            f"the rule pack's content has digest {rulebook.digest}, its {DIGEST} file says {stated or 'nothing'}: "
            "review the change, then run `hetao policy digest --write`"
        )
    return Policies(vocabulary, rulebook, parse_cases(cases))


def stated_digest(folder: Path | None = None) -> str:
    """What a pack's DIGEST says; empty where it says nothing.

    Raises:
        StoreError: Where it cannot be read.
    """
    try:
        return _stated(packaged_policies() if folder is None else folder)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the rule pack's {DIGEST} cannot be read: {error}", retry=False) from error


def write_digest(digest: str, folder: Path | None = None) -> None:
    """State a pack's digest in the pack, after its change was reviewed.

    Raises:
        StoreError: Where it cannot be written.
    """
    try:
        Path(str(packaged_policies() if folder is None else folder), DIGEST).write_text(digest + "\n", "ascii")
    except OSError as error:
        raise StoreError(f"the rule pack's {DIGEST} cannot be written: {error}", retry=False) from error


def load_clocks(folder: Path | None = None) -> Clocks:
    """Whom to tell of an incident by when, from a pack.

    Raises:
        Unusable: Where the table or the pack cannot be used.
        StoreError: Where it cannot be read.
    """
    rulebook = load_policies(folder).rulebook
    root = packaged_policies() if folder is None else folder
    try:
        document = root.joinpath(CLOCKS).read_bytes()
    except OSError as error:
        raise StoreError(f"{CLOCKS} cannot be read: {error}", retry=False) from error
    return parse_clocks(document, rulebook)


@cache
def prc_calendar() -> WorkCalendar:
    """The mainland's working days as far as the `chinesecalendar` package has the State Council's notices."""
    holidays = frozenset(chinese_calendar.holidays)
    return WorkCalendar(
        holidays=holidays,
        workdays=frozenset(chinese_calendar.workdays),
        published_to=date(max(holidays).year, 12, 31),
    )


def _stated(root: Traversable) -> str:
    return root.joinpath(DIGEST).read_text("ascii").strip()


def _vocabulary(data: bytes) -> Vocabulary:
    try:
        return parse_vocabulary(tomllib.loads(data.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"{VOCABULARY}: {error}") from error


def _read(root: Traversable, folder: str) -> list[tuple[str, bytes]]:
    entries = (entry for entry in root.joinpath(folder).iterdir() if entry.name.endswith(".toml"))
    return [(f"{folder}/{entry.name}", entry.read_bytes()) for entry in entries]
