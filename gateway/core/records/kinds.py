"""The record types, one frozen dataclass per kind.

What it is not: their checks (`parse.py`). A record in hand was parsed; a change must keep that every field has a type that
`parse.py` knows how to read, and that every kind has an `id`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from gateway.core.records.papers import EvidenceDocument, RestrictedRecipient, WhitelistEntry
from gateway.core.records.standing import Channel, Delegation

Json = Any  # what canonical JSON can carry; narrowed by the record parsers below


@dataclass(frozen=True)
class Institution:
    """A legal entity that sends; its registration counts, not where its server stands.

    `place` is where it is registered, as an endpoint's; empty: in the mainland. One outside has no unified social credit code.
    """

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
    place: str = ""

    def filed_on(self, day: date) -> bool:
        """Whether the filing holds on that day, last day included."""
        if not self.filing_number or self.filed_from is None:
            return False
        return self.filed_from <= day and (self.filed_to is None or day <= self.filed_to)


@dataclass(frozen=True)
class Person:
    """A natural person under the real name; `supervisor` draws the line in which nobody votes on another's transfer.

    `qualified`: roles of officers the person may stand in for.
    """

    id: str
    name: str
    institution: str = ""
    real_name_verified: bool = False
    supervisor: str = ""
    valid_to: date | None = None
    qualified: tuple[str, ...] = ()


@dataclass(frozen=True)
class Client:
    """A machine credential of an institution, answered for by one person.

    Attributes:
        jwk: Its public key (RFC 7517); empty where it comes with a certificate only.
        jwks: Keys that hold beside `jwk`, while one takes the other's place; an assertion names the one it means by `kid`.
        certificate: What its TLS certificate must be, besides signed by an authority of the gateway's: a URI among the
            certificate's names (`urn:hetao:client:<id>`), or one certificate, `sha256:` and the hex digest of its DER form.
        bound_tokens: Whether its tokens hold only on connections with its certificate (RFC 8705 section 3.4).
    """

    id: str
    institution: str
    person: str
    jwk: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    valid_to: date | None = None
    jwks: tuple[Mapping[str, str], ...] = ()
    certificate: str = ""
    bound_tokens: bool = False

    def public_keys(self) -> tuple[Mapping[str, str], ...]:
        """Its public keys, the first one first."""
        return (*((self.jwk,) if self.jwk else ()), *self.jwks)


@dataclass(frozen=True)
class Endpoint:
    """A recipient: where its bytes go, to which key they are sealed, and what the law must know of it.

    `institution` is who receives there, for an endpoint in the mainland: what came in is that institution's to process.
    """

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
    malware_scan: bool = False  # every file for it must be scanned and found clean
    institution: str = ""
    registration: str = ""  # its number in the register of the place; lists of restricted recipients name it
    also_named: tuple[str, ...] = ()  # its other names, such as the Chinese one

    def key_fingerprint(self) -> str:
        """`SHA256:` and the hex digest of the recipient key, as votes and clearances name it."""
        return "SHA256:" + hashlib.sha256(self.recipient_key.encode()).hexdigest()


@dataclass(frozen=True)
class Project:
    """A purpose under which datasets go to named endpoints; `declaration` is the standing one.

    `quiet_minutes`: a dataset in a folder nobody wrote to for so long is submitted; 0 turns that off.
    `family`: projects of one name here are one undertaking on both sides of the border: what comes in under one of them may go
    back, processed, under another (Order 16 art 4).
    `escalate_days`: working days after which a held transfer without votes is escalated; 0 as the settings say.
    """

    id: str
    institution: str
    endpoints: tuple[str, ...]
    purpose: str
    declaration: Mapping[str, Json] = field(default_factory=dict)
    quiet_minutes: int = 0
    family: str = ""
    escalate_days: int = 0


@dataclass(frozen=True)
class FiledMechanism:
    """A mechanism on file: security assessment, contract, certificate, HGR report and so on (rules.md 2.7).

    Attributes:
        number: What the authority gave it; empty where it gave none yet.
        authority: Who that is.
        evidence: Its documents by digest; `evidence_sha256` is the lone one of older records.
    """

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
    number: str = ""
    authority: str = ""
    evidence: tuple[EvidenceDocument, ...] = ()

    def digests(self) -> tuple[str, ...]:
        """SHA-256 of its documents, hex."""
        alone = (self.evidence_sha256,) if self.evidence_sha256 else ()
        return (*alone, *(each.sha256 for each in self.evidence if each.sha256 not in alone))


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
class AppPassword:
    """A generated password of a person, for WebDAV programs that know nothing but Basic; its `id` is the user name.

    Attributes:
        digest: `password_digest` of it; the password itself is nowhere.
        valid_from: Its first day.
        valid_to: Its last day, at most 90 later.
    """

    id: str
    institution: str
    person: str
    digest: str
    valid_from: date
    valid_to: date
    scopes: tuple[str, ...] = ()

    def is_proved_by(self, secret: str) -> bool:
        """Whether this is the password; in the same time whatever was given."""
        return hmac.compare_digest(password_digest(self.id, secret), self.digest)


def password_digest(identifier: str, secret: str) -> str:
    """What the registry holds of an application password: SHA-256, hex, over its user name and itself.

    A fast digest is right for a secret drawn from 160 random bits: nobody searches those, however fast, and a slow one would
    let strangers keep a door's processors busy (decisions/0030).
    """
    return hashlib.sha256(f"hetao-app-password-1\0{identifier}\0{secret}".encode()).hexdigest()


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
    Institution
    | Person
    | Client
    | Endpoint
    | Project
    | FiledMechanism
    | Officer
    | ActiveRulebook
    | SshKey
    | AppPassword
    | Webhook
    | Delegation
    | Channel
    | WhitelistEntry
    | RestrictedRecipient
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
    "password": AppPassword,
    "webhook": Webhook,
    "delegation": Delegation,
    "channel": Channel,
    "whitelist": WhitelistEntry,
    "restricted": RestrictedRecipient,
}
