"""Records read strictly: types, words, check digits, keys.

What it is not: references between records and signatures, which need the whole registry (`gateway.core.registry`).
A change must keep that every complaint is told at once.

Source: GA4GH Crypt4GH 1.0 (X25519 keys).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from ipaddress import ip_network
from typing import Any, get_type_hints

from gateway.core.errors import Unusable
from gateway.core.identity import CLIENT_URI, PASSWORD_LIFE, SENDER_SCOPES
from gateway.core.names import parse_identifier
from gateway.core.records.codes import uscc_is_valid
from gateway.core.records.kinds import (
    KINDS,
    ActiveRulebook,
    AppPassword,
    Client,
    Endpoint,
    FiledMechanism,
    Institution,
    Officer,
    Person,
    Project,
    Record,
    SshKey,
    Webhook,
)
from gateway.core.records.papers import (
    SHA256,
    RestrictedRecipient,
    WhitelistEntry,
    document_complaints,
    restricted_complaints,
    whitelist_complaints,
)
from gateway.core.records.places import in_mainland, place_complaints
from gateway.core.records.standing import Channel, Delegation, channel_complaints, delegation_complaints
from gateway.core.records.urls import split_url
from gateway.core.records.values import COERCERS
from gateway.wire import sshsig

ROLES = ("security", "audit", "system")
# The vocabulary's words (a test compares them): a record with another could never be decided on.
GBA_CITIES = (
    "Guangzhou", "Shenzhen", "Zhuhai", "Foshan", "Huizhou", "Dongguan", "Zhongshan", "Jiangmen", "Zhaoqing"
)  # fmt: skip
MECHANISMS = ("SA", "SCC", "CERT", "GBA", "HGR_REPORT", "HGR_BACKUP", "HGR_REVIEW", "HGR_COOPERATION", "MOFCOM")
STATES = (
    "open", "submitted", "classified", "held", "cleared", "sealed", "relaying", "delivered", "receipted", "refused",
    "rejected", "withdrawn", "expired", "failed"
)  # fmt: skip
WEBHOOK_EVENTS = (*STATES, "escalated")
MAX_QUIET_MINUTES = 1440
MAX_ESCALATE_DAYS = 15  # working days; a held transfer expires after thirty days
_CERTIFICATE = re.compile(r"sha256:[0-9a-f]{64}|(?!sha256:)[a-z][a-z0-9+.-]{0,31}:[\x21-\x7e]{1,200}")


def parse_record(kind: str, table: Mapping[str, object]) -> Record:
    """A record from a TOML or JSON table.

    Raises:
        Unusable: With every complaint at once: unknown kind or key, missing key, wrong type, bad check digit.
    """
    record_type = KINDS.get(kind) if isinstance(kind, str) else None
    if record_type is None:
        raise Unusable(f"there is no kind {kind!r}; use one of {', '.join(KINDS)}")
    if not isinstance(table, Mapping):
        raise Unusable(f"a record of kind {kind!r} is a table")
    hints = get_type_hints(record_type)
    known = {each.name: each for each in fields(record_type)}
    complaints = [f"unknown key {key!r}" for key in table if key not in known]
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name in table:
            try:
                values[name] = COERCERS[hints[name]](table[name])
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


def _complaints(record: Record) -> Iterator[str]:
    """What is wrong with a record that is well typed."""
    yield from _identifier_complaints(record.id, "id")
    for check in _CHECKS.get(type(record), ()):
        yield from check(record)


def _identifier_complaints(identifier: str, what: str) -> Iterator[str]:
    try:
        parse_identifier(identifier, what)
    except Unusable as wrong:
        yield wrong.message


def _institution_complaints(record: Institution) -> Iterator[str]:
    if not uscc_is_valid(record.uscc) and (record.uscc or in_mainland(record.place)):
        yield "uscc has a wrong form or check character (GB 32100-2015)"
    if record.gba_city and record.gba_city not in GBA_CITIES:
        yield f"gba_city must be empty or one of {', '.join(GBA_CITIES)}"


def _client_complaints(record: Client) -> Iterator[str]:
    if not record.public_keys() and not record.certificate:
        yield "jwk or certificate is missing: it has nothing to prove itself with"
    if record.certificate and not _CERTIFICATE.fullmatch(record.certificate):
        yield "certificate must be a URI that its certificates name, or sha256: and 64 hex digits in lower case"
    if record.certificate.startswith(CLIENT_URI) and record.certificate != CLIENT_URI + record.id:
        yield f"certificate must be {CLIENT_URI}{record.id}: another client's name is not its own"
    if record.bound_tokens and not record.certificate:
        yield "bound_tokens needs a certificate to bind them to"


def _password_complaints(record: AppPassword) -> Iterator[str]:
    if not SHA256.fullmatch(record.digest):
        yield "digest must be 64 hex digits in lower case: `hetao keys app-password` writes it"
    if not record.valid_from <= record.valid_to <= record.valid_from + PASSWORD_LIFE:
        yield f"valid_to must be the day valid_from, or at most {PASSWORD_LIFE.days} later"


def _scope_complaints(record: Client | SshKey | AppPassword) -> Iterator[str]:
    if strange := sorted(set(record.scopes) - set(SENDER_SCOPES)):
        yield f"scopes {', '.join(strange)} are not among {', '.join(SENDER_SCOPES)}"


def _filing_complaints(record: FiledMechanism) -> Iterator[str]:
    if record.kind not in MECHANISMS:
        yield f"kind must be one of {', '.join(MECHANISMS)}"
    if record.evidence_sha256 and not SHA256.fullmatch(record.evidence_sha256):
        yield "evidence_sha256 must be 64 hex digits in lower case"
    yield from document_complaints(record.evidence)


def _endpoint_complaints(record: Endpoint) -> Iterator[str]:
    if not _is_crypt4gh_key(record.recipient_key):
        yield "recipient_key must be the base64 of a Crypt4GH public key: 32 bytes, 44 characters"
    yield from _range_complaints(record.ranges)


def _range_complaints(ranges: tuple[str, ...]) -> Iterator[str]:
    for written in ranges:
        try:
            ip_network(written)
        except ValueError as wrong:
            yield f"ranges: {wrong}"


def _webhook_complaints(record: Webhook) -> Iterator[str]:
    try:
        split_url(record.url)
    except ValueError as wrong:
        yield f"url {wrong}"
    if not record.ranges:
        yield "ranges must name the address blocks its host lies in: nothing is sent outside them"
    yield from _range_complaints(record.ranges)
    if strange := sorted(set(record.events) - set(WEBHOOK_EVENTS)):
        yield f"events {', '.join(strange)} are not among {', '.join(WEBHOOK_EVENTS)}"


def _project_complaints(record: Project) -> Iterator[str]:
    if record.quiet_minutes > MAX_QUIET_MINUTES:
        yield f"quiet_minutes must be 0 (off) or 1 to {MAX_QUIET_MINUTES}"
    yield from _identifier_complaints(record.family, "family") if record.family else ()
    if record.escalate_days > MAX_ESCALATE_DAYS:
        yield f"escalate_days must be 0 (as the settings say) or 1 to {MAX_ESCALATE_DAYS}"
    if record.quiet_minutes and not record.declaration:
        yield "quiet_minutes needs a standing declaration: what nobody submits, nobody declares"


def _rulebook_complaints(record: ActiveRulebook) -> Iterator[str]:
    if not SHA256.fullmatch(record.digest):
        yield "digest must be 64 hex digits in lower case"


def _officer_complaints(record: Officer) -> Iterator[str]:
    if record.role not in ROLES:
        yield f"role must be one of {', '.join(ROLES)}"
    yield from _key_complaints(record)


def _person_complaints(record: Person) -> Iterator[str]:
    if set(record.qualified) - set(ROLES):
        yield f"qualified must be roles among {', '.join(ROLES)}"


def _key_complaints(record: Officer | SshKey | Delegation) -> Iterator[str]:
    try:
        sshsig.public_blob(record.key)
    except ValueError as wrong:
        yield f"key is not an OpenSSH public key: {wrong}"


def _is_crypt4gh_key(text: str) -> bool:
    """Whether this is the one base64 spelling of 32 bytes: a second one would be the same key with another fingerprint."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(key) == 32 and base64.b64encode(key).decode() == text


_CHECKS: dict[type, tuple[Callable[[Any], Iterator[str]], ...]] = {
    Institution: (_institution_complaints, place_complaints),
    Client: (_scope_complaints, _client_complaints),
    AppPassword: (_scope_complaints, _password_complaints),
    SshKey: (_scope_complaints, _key_complaints),
    Endpoint: (_endpoint_complaints, place_complaints),
    Webhook: (_webhook_complaints,),
    Project: (_project_complaints,),
    FiledMechanism: (_filing_complaints,),
    Officer: (_officer_complaints,),
    WhitelistEntry: (whitelist_complaints,),
    RestrictedRecipient: (restricted_complaints,),
    ActiveRulebook: (_rulebook_complaints,),
    Person: (_person_complaints,),
    Delegation: (_key_complaints, delegation_complaints),
    Channel: (channel_complaints,),
}
