"""The record types, one frozen dataclass per kind.

What it is not: their checks (`parse.py`). A record in hand was parsed; a change must keep that every field has a type that
`parse.py` knows how to read, and that every kind has an `id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

Json = Any  # what canonical JSON can carry; narrowed by the record parsers below


@dataclass(frozen=True)
class Institution:
    """A legal entity that sends; its registration counts, not where its server stands."""

    id: str
    name_zh: str
    name_en: str
    uscc: str
    filing_number: str = ""  # 备案 number; empty: not filed
    filed_from: date | None = None
    filed_to: date | None = None
    ciio: bool = False
    overseas_controlled: bool = False
    gba_city: str = ""
    health_org: bool = False
    government_funded: bool = False
    in_ftz: bool = False

    def filed_on(self, day: date) -> bool:
        """Whether the filing holds on that day, last day included."""
        if not self.filing_number or self.filed_from is None:
            return False
        return self.filed_from <= day and (self.filed_to is None or day <= self.filed_to)


@dataclass(frozen=True)
class Person:
    """A natural person under the real name; `supervisor` draws the line in which nobody votes on another's transfer."""

    id: str
    name: str
    institution: str = ""
    real_name_verified: bool = False
    supervisor: str = ""
    valid_to: date | None = None


@dataclass(frozen=True)
class Client:
    """A machine credential of an institution, answered for by one person; `jwk` is its public key (RFC 7517)."""

    id: str
    institution: str
    person: str
    jwk: Mapping[str, str]
    scopes: tuple[str, ...] = ()
    valid_to: date | None = None


@dataclass(frozen=True)
class Endpoint:
    """A recipient in Hong Kong: where its bytes go, to which key they are sealed, and what the law must know of it."""

    id: str
    name: str
    place: str
    connector: str
    recipient_key: str  # Crypt4GH public key, base64 of the 32 bytes
    settings: Mapping[str, Json] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    mainland_controlled: bool = False
    listed_pipl42: bool = False
    in_hetao_hk_park: bool = False
    onward: tuple[str, ...] = ()

    def key_fingerprint(self) -> str:
        """`SHA256:` and the hex digest of the recipient key, as votes and clearances name it."""
        return "SHA256:" + hashlib.sha256(self.recipient_key.encode()).hexdigest()


@dataclass(frozen=True)
class Project:
    """A purpose under which datasets go to named endpoints; `declaration` is the standing one.

    `quiet_minutes`: a dataset in a folder nobody wrote to for so long is submitted; 0 turns that off.
    """

    id: str
    institution: str
    endpoints: tuple[str, ...]
    purpose: str
    declaration: Mapping[str, Json] = field(default_factory=dict)
    quiet_minutes: int = 0


@dataclass(frozen=True)
class FiledMechanism:
    """A mechanism on file: security assessment, contract, certificate, HGR report and so on (rules.md 2.7)."""

    id: str
    institution: str
    kind: str
    recipients: tuple[str, ...]
    purpose: str = ""
    data_types: tuple[str, ...] = ()
    effective: date | None = None
    filed: date | None = None
    valid_to: date | None = None
    extended: bool = False
    persons_cap: int = 0
    evidence_sha256: str = ""


@dataclass(frozen=True)
class Officer:
    """A person with an office and the SSH key that signs in it; the three roles are three different people."""

    id: str
    person: str
    role: str
    key: str
    valid_to: date | None = None


@dataclass(frozen=True)
class ActiveRulebook:
    """The rule pack in force: decisions are made under this digest or not at all."""

    id: str
    digest: str
    active_from: date


@dataclass(frozen=True)
class SshKey:
    """A person's SSH key at the SFTP door; the login name is the institution's id. `key` is a line of `authorized_keys`."""

    id: str
    institution: str
    person: str
    key: str
    scopes: tuple[str, ...] = ()
    valid_to: date | None = None


@dataclass(frozen=True)
class Webhook:
    """An institution's own system in the mainland that is told what happens to its transfers.

    It hears of transfers before their clearance, so officers sign where it is: `url` names the host, `ranges` the address
    blocks it lies in. `events` are names of states; none means all.
    """

    id: str
    institution: str
    url: str
    ranges: tuple[str, ...]
    events: tuple[str, ...] = ()
    valid_to: date | None = None


Record = (
    Institution | Person | Client | Endpoint | Project | FiledMechanism | Officer | ActiveRulebook | SshKey | Webhook
)

KINDS: dict[str, type[Any]] = {
    "institution": Institution,
    "person": Person,
    "client": Client,
    "endpoint": Endpoint,
    "project": Project,
    "filing": FiledMechanism,
    "officer": Officer,
    "rulebook": ActiveRulebook,
    "sshkey": SshKey,
    "webhook": Webhook,
}


def record_table(record: Record) -> dict[str, Json]:
    """The record as canonical JSON can carry it: dates as ISO strings, absent dates left out."""
    table: dict[str, Json] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if value is None:
            continue
        if isinstance(value, date):
            value = value.isoformat()
        table[each.name] = list(value) if isinstance(value, tuple) else value
    return table
