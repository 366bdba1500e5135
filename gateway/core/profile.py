"""Profiles of technical controls: what must be shown before anything leaves (rule T1), by `policies/profiles.toml`.

What it is not: the showing. The rim says what this gateway does and why it does not do the rest (`Offer`).

A change must keep these:
1. A need that nobody offers is missing; a word that this program does not know is a need nobody offers.
2. Everything missing is told, with the reason; T1 denies while anything is.

Sources: Order 790 art 9; commercial cryptography regulation art 41; GB/T 39786-2021; RFC 8998; GB/T 38636.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.core.errors import Unusable
from gateway.core.rulebook import Rulebook, recorded
from gateway.core.rulebook.entry import said, spoken

DEFAULT: Final = "international"
_KEYS: Final = frozenset({"id", "needs", "citations", "title"})


@dataclass(frozen=True)
class Offer:
    """What a gateway says about one control: whether it keeps it, and in words how, or why not."""

    kept: bool
    says: str


@dataclass(frozen=True)
class Profile:
    """A set of controls that must be kept together.

    Attributes:
        id: Its name in the setting `controls.profile`.
        needs: Controls by name.
        citations: `instrument:article`.
        titles: By language.
    """

    id: str
    needs: tuple[str, ...]
    citations: tuple[str, ...]
    titles: Mapping[str, str]

    def missing(self, offers: Mapping[str, Offer]) -> tuple[str, ...]:
        """What of it is not kept, each with the reason; empty where T1 has nothing to say."""
        return tuple(_missing(need, offers.get(need)) for need in self.needs if not _kept(offers.get(need)))


def _kept(offer: Offer | None) -> bool:
    return offer is not None and offer.kept


def _missing(need: str, offer: Offer | None) -> str:
    return f"{need}: {offer.says if offer else 'this gateway does not know the control'}"


def parse_profiles(document: bytes, rulebook: Rulebook) -> Mapping[str, Profile]:
    """Profiles by id from their TOML.

    Args:
        document: Content of `profiles.toml`.
        rulebook: Whose instruments are cited.

    Raises:
        Unusable: With every fault found, or where the default profile is missing.
    """
    try:
        told = tomllib.loads(document.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"profiles: {wrong}") from wrong
    entries = told.get("profile", [])
    if set(told) != {"profile"} or not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise Unusable("profiles: must hold [[profile]] tables and nothing else")
    faults = [
        f"{each.get('id', 'a profile without id')}: {fault}" for each in entries for fault in _faults(each, rulebook)
    ]
    ids = [str(each.get("id")) for each in entries]
    faults += [f"{DEFAULT} is missing"] if DEFAULT not in ids else []
    faults += ["an id is taken twice"] if len(set(ids)) < len(ids) else []
    if faults:
        raise Unusable("the profiles cannot be used: " + "; ".join(faults))
    return MappingProxyType({each["id"]: _profile(each) for each in entries})


def _faults(entry: Mapping[str, Any], rulebook: Rulebook) -> list[str]:
    if set(entry) != _KEYS:
        return [f"keys {sorted(set(entry) ^ _KEYS)} are missing or unknown"]
    faults = [] if spoken(entry["title"]) and said(entry["id"]) else ["id and title need text in every language"]
    for key in ("needs", "citations"):
        if not isinstance(entry[key], list) or not entry[key] or not all(map(said, entry[key])):
            return [*faults, f"{key} must list words"]
    return faults + [
        f"it cites {text!r}, which is not recorded"
        for text in entry["citations"]
        if not recorded(text, rulebook.instruments)
    ]


def _profile(entry: Mapping[str, Any]) -> Profile:
    return Profile(
        id=entry["id"],
        needs=tuple(entry["needs"]),
        citations=tuple(entry["citations"]),
        titles=MappingProxyType(dict(entry["title"])),
    )
