"""Rule packs from disk: the one that ships with the gateway, or a directory of the same shape; and the PRC calendar.

What it is not: a judge of rules. `gateway.core.rulebook` refuses what is wrong; this module only brings bytes.

A change must keep these:
1. A pack whose content differs from its DIGEST is refused: what runs is what somebody meant to run.
2. The calendar's last published day is the package's, never a guess.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import chinese_calendar

from gateway.core.calendar import WorkCalendar
from gateway.core.decide import Case, parse_cases, uncovered
from gateway.core.errors import StoreError, Unusable
from gateway.core.incident import Clocks, parse_clocks
from gateway.core.profile import Profile, parse_profiles
from gateway.core.retention import Retention, parse_retention
from gateway.core.rulebook import CHOICES, Rulebook, parse_rulebook
from gateway.core.rulebook.coverage import gaps
from gateway.core.situation import Vocabulary, parse_vocabulary
from gateway.stores.packs import DIGEST, checked_signer, drop_signature
from gateway.wire.sshsig import PublicKeyBlob

VOCABULARY: Final = "vocabulary.toml"
CLOCKS: Final = "clocks.toml"
RETENTION: Final = "retention.toml"
PROFILES: Final = "profiles.toml"
_FOLDERS: Final = ("instruments", "rules")
_TABLES: Final = (CHOICES, CLOCKS, RETENTION, PROFILES)
"""What a pack may hold beside; whatever it holds is under its digest."""


@dataclass(frozen=True)
class Policies:
    """Everything `policies/` says, checked.

    Attributes:
        vocabulary: Facts, derived facts and kinds of findings.
        rulebook: Rules and instruments.
        cases: Golden cases; not covered by the digest, they decide nothing.
        profiles: Technical controls by profile; empty where the pack has none, and then no profile is kept.
        signer: Fingerprint of the key that signed the pack; empty where nobody did, or nobody looked.
    """

    vocabulary: Vocabulary
    rulebook: Rulebook
    cases: tuple[Case, ...]
    signer: str = ""
    profiles: Mapping[str, Profile] = field(default_factory=dict)


def packaged_policies() -> Traversable:
    """The pack that ships with the gateway."""
    return files("policies")


def load_policies(
    folder: Path | None = None, *, verify: bool = True, signers: frozenset[PublicKeyBlob] = frozenset()
) -> Policies:
    """A pack, read and checked.

    Args:
        folder: A directory shaped like `policies/`; None for the packaged one.
        verify: Whether the pack must be whole: its content is that of its DIGEST, a signature that is there holds, every rule
            has a case it fires in and a near miss, and some rule fires whatever the facts (about 0.1 s in all). Commands that
            look at a pack under work say no.
        signers: Keys of which one must have signed it; empty: a signature may be missing.

    Raises:
        Unusable: Where the content does not fit together, is not whole, or differs from its DIGEST.
        StoreError: Where it cannot be read.
    """
    root = packaged_policies() if folder is None else folder
    try:
        word_list = root.joinpath(VOCABULARY).read_bytes()
        documents = {VOCABULARY: word_list} | {name: data for part in _FOLDERS for name, data in _read(root, part)}
        documents |= {name: root.joinpath(name).read_bytes() for name in _TABLES if root.joinpath(name).is_file()}
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
    profiles = parse_profiles(documents[PROFILES], rulebook) if PROFILES in documents else {}
    found = Policies(vocabulary, rulebook, parse_cases(cases), profiles=profiles)
    if not verify:
        return found
    if missing := untried(found):
        raise Unusable(f"the rule pack is not whole: {'; '.join(missing)}: see `hetao policy test`")
    return replace(found, signer=checked_signer(root, rulebook.digest, signers))


def untried(policies: Policies) -> tuple[str, ...]:
    """What a pack leaves open: rules without a hit or a near miss among the cases, and facts on which no rule fires."""
    return (*uncovered(policies.cases, policies.rulebook), *gaps(policies.rulebook, policies.vocabulary))


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
    target = Path(str(packaged_policies() if folder is None else folder))
    try:
        if not (target / DIGEST).is_file() or _stated(target) != digest:
            drop_signature(target)
        (target / DIGEST).write_text(digest + "\n", "ascii")
    except OSError as error:
        raise StoreError(f"the rule pack's {DIGEST} cannot be written: {error}", retry=False) from error


def load_clocks(folder: Path | None = None) -> Clocks:
    """Whom to tell of an incident by when, from a pack.

    Raises:
        Unusable: Where the table or the pack cannot be used.
        StoreError: Where it cannot be read.
    """
    return parse_clocks(_table(folder, CLOCKS), load_policies(folder).rulebook)


def load_retention(folder: Path | None = None) -> Retention:
    """How long records are kept, from a pack.

    Raises:
        Unusable: Where the table or the pack cannot be used.
        StoreError: Where it cannot be read.
    """
    return parse_retention(_table(folder, RETENTION), load_policies(folder).rulebook)


def _table(folder: Path | None, name: str) -> bytes:
    root = packaged_policies() if folder is None else folder
    try:
        return root.joinpath(name).read_bytes()
    except OSError as error:
        raise StoreError(f"{name} cannot be read: {error}", retry=False) from error


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
