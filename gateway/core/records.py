"""What can be registered: one frozen record type per kind, parsed strictly.

The rules:
1. Records are strict: unknown keys, wrong types and words outside the lists are errors, all told at once.
2. Nothing is trusted for ever: filings, registrations, clients and officers carry the days they hold.
3. This file only says what a record is. What makes one effective (two signatures) is `gateway.core.registry`.

Sources: GB 32100-2015 (unified social credit code); plan clause 17 (filed institutions, real-name users).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from typing import Any, get_type_hints

from gateway.core.errors import Unusable
from gateway.core.names import parse_identifier
from gateway.wire import sshsig

ROLES = ("security", "audit", "system")
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))

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
    """A purpose under which datasets go to named endpoints; `declaration` is the standing one."""

    id: str
    institution: str
    endpoints: tuple[str, ...]
    purpose: str
    declaration: Mapping[str, Json] = field(default_factory=dict)


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


Record = Institution | Person | Client | Endpoint | Project | FiledMechanism | Officer | ActiveRulebook

KINDS: dict[str, type[Any]] = {
    "institution": Institution,
    "person": Person,
    "client": Client,
    "endpoint": Endpoint,
    "project": Project,
    "filing": FiledMechanism,
    "officer": Officer,
    "rulebook": ActiveRulebook,
}


def uscc_is_valid(code: str) -> bool:
    """Whether a unified social credit code has 18 characters of the alphabet and the right check character (GB 32100-2015)."""
    if len(code) != 18 or any(character not in _USCC_ALPHABET for character in code):
        return False
    total = sum(
        _USCC_ALPHABET.index(character) * weight for character, weight in zip(code, _USCC_WEIGHTS, strict=False)
    )
    return _USCC_ALPHABET[(31 - total % 31) % 31] == code[17]


def _as_date(value: object) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if type(value) is date:
        return value
    raise ValueError("must be a date (YYYY-MM-DD)")


def _as_words(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError("must be a list of strings")


def _exactly(kind: type[Any], says: str) -> Callable[[object], object]:
    def coerce(value: object) -> object:
        if type(value) is not kind:  # bool is an int to isinstance, and True is no number
            raise ValueError(f"must be {says}")
        return value

    return coerce


def _as_table(value: object) -> Mapping[str, Json]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    raise ValueError("must be a table")


_COERCERS: dict[Any, Callable[[object], Any]] = {
    str: _exactly(str, "a string"),
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "a whole number"),
    date: _as_date,
    date | None: _as_date,
    tuple[str, ...]: _as_words,
    Mapping[str, Json]: _as_table,
    Mapping[str, str]: _as_table,
}


def parse_record(kind: str, table: Mapping[str, object]) -> Record:
    """A record from a TOML or JSON table.

    Raises:
        Unusable: With every complaint at once: unknown kind or key, missing key, wrong type, bad check digit.
    """
    record_type = KINDS.get(kind)
    if record_type is None:
        raise Unusable(f"there is no kind {kind!r}; use one of {', '.join(KINDS)}")
    hints = get_type_hints(record_type)
    known = {each.name: each for each in fields(record_type)}
    complaints = [f"unknown key {key!r}" for key in table if key not in known]
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name in table:
            try:
                values[name] = _COERCERS[hints[name]](table[name])
            except ValueError as wrong:
                complaints.append(f"{name} {wrong}")
        elif each.default is MISSING and each.default_factory is MISSING:
            complaints.append(f"{name} is missing")
    if not complaints:
        record: Record = record_type(**values)
        complaints = list(_complaints(record))
        if not complaints:
            return record
    raise Unusable(f"{kind} {table.get('id', '?')!r}: " + "; ".join(complaints))


def _complaints(record: Record) -> tuple[str, ...]:
    """What is wrong with a record that is well typed."""
    found: list[str] = []
    try:
        parse_identifier(record.id, "id")
    except Unusable as wrong:
        found.append(wrong.message)
    if isinstance(record, Institution) and not uscc_is_valid(record.uscc):
        found.append("uscc has a wrong form or check character (GB 32100-2015)")
    if isinstance(record, Officer):
        if record.role not in ROLES:
            found.append(f"role must be one of {', '.join(ROLES)}")
        try:
            sshsig.public_blob(record.key)
        except ValueError as wrong:
            found.append(f"key is not an OpenSSH public key: {wrong}")
    if isinstance(record, Endpoint) and not record.place:
        found.append("place must be HK, MO or another ISO 3166-1 code")
    return tuple(found)


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
