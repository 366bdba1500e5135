"""Facts: what happened, under permanent tags, and how each becomes a ledger entry.

The rules:
1. A tag is for ever. Tags and their fields are only ever added, never renamed, reused or removed (a test keeps the list).
2. A fact's `public` fields may be shown to witnesses' auditors: ids, counts of files, verdicts, rule ids, digests of documents.
   Names, sizes, content digests, exact person counts and reasons are `private`: the entry carries only a salted commitment.
3. A commitment is SHA-256(salt || canonical JSON of the private fields), salt 32 random bytes. The opening is kept
   under the transfer's evidence key and can be destroyed without breaking any proof (design.md section 7).
4. An entry is canonical JSON (RFC 8785); its bytes are what the tree hashes, so they are stored, never rebuilt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from gateway.wire import canonical

# All clocks of the law here run on Asia/Shanghai, which has had no daylight saving since 1991; Hong Kong's are the same.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

SALT_BYTES = 32  # one length, so that where the salt ends and the fields begin is never in question

Json = Any  # JSON as RFC 8785 can carry it; `canonical.encode` refuses the rest


class Tag(StrEnum):
    """`<subject>.<past participle>`; permanent."""

    OPENED = "transfer.opened"
    DECLARED = "transfer.declared"
    SUBMITTED = "transfer.submitted"
    CLASSIFIED = "transfer.classified"
    HELD = "transfer.held"
    VOTED = "transfer.voted"
    RECONSIDERED = "transfer.reconsidered"
    CLEARED = "transfer.cleared"
    LAPSED = "transfer.lapsed"
    REFUSED = "transfer.refused"
    REJECTED = "transfer.rejected"
    SEALED = "transfer.sealed"
    DEPARTED = "transfer.departed"
    DEFERRED = "transfer.deferred"
    DELIVERED = "transfer.delivered"
    RECEIPTED = "transfer.receipted"
    WITHDRAWN = "transfer.withdrawn"
    EXPIRED = "transfer.expired"
    FAILED = "transfer.failed"
    KEY_DESTROYED = "transfer.key_destroyed"
    PERSONS_RETURNED = "transfer.persons_returned"
    INITIALISED = "gateway.initialised"
    CHANGE_PROPOSED = "registry.proposed"
    CHANGE_APPROVED = "registry.approved"
    CHANGE_DISCARDED = "registry.discarded"
    CLIENT_REVOKED = "client.revoked"
    REOPENED = "transfer.reopened"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_DESCRIBED = "incident.described"
    INCIDENT_TOLD = "incident.told"
    INCIDENT_CLOSED = "incident.closed"
    ESCALATED = "transfer.escalated"
    SAMPLED = "transfer.sampled"
    SPOT_CHECKED = "transfer.spot_checked"
    FORGOTTEN = "transfer.forgotten"


# What each tag carries: (public fields, private fields). Fields are added at the end, never renamed or removed.
FIELDS: dict[Tag, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Tag.OPENED: (
        ("institution", "endpoint", "project", "version", "door", "direction", "follows"),
        ("dataset", "person", "declaration"),
    ),
    Tag.DECLARED: ((), ("declaration",)),
    Tag.SUBMITTED: (("files", "root_committed", "carried", "by"), ("root", "bytes", "declaration")),
    Tag.CLASSIFIED: (("inspectable", "level"), ("findings", "persons")),
    Tag.HELD: (("rules", "cure", "rulebook", "decision"), ("facts",)),
    Tag.VOTED: (("officer", "vote", "ballot"), ("reason", "signature")),
    Tag.RECONSIDERED: (("because",), ()),
    Tag.CLEARED: (
        ("rules", "rulebook", "decision", "endpoint_key", "votes", "mechanism", "basis", "channel", "filings"),
        ("facts", "root", "persons"),
    ),
    Tag.LAPSED: (("because",), ()),
    Tag.REFUSED: (("rules", "rulebook", "decision"), ("facts",)),
    Tag.REJECTED: (("officer", "ballot"), ("reason",)),
    Tag.SEALED: (("endpoint_key", "files"), ("manifest",)),
    Tag.DEPARTED: (("endpoint", "connector"), ()),
    Tag.DEFERRED: (("attempt", "code"), ("reason",)),
    Tag.DELIVERED: (("proof", "attempts"), ("detail", "sent")),
    Tag.RECEIPTED: (("receipt",), ()),
    Tag.WITHDRAWN: (("by",), ()),
    Tag.EXPIRED: (("state",), ()),
    Tag.FAILED: (("state", "code"), ("reason",)),
    Tag.KEY_DESTROYED: (("because", "files"), ()),
    Tag.PERSONS_RETURNED: (("because",), ("persons",)),
    Tag.INITIALISED: (("genesis", "origin", "ledger_key"), ()),
    Tag.CHANGE_PROPOSED: (("change", "officer"), ("document",)),
    Tag.CHANGE_APPROVED: (("change", "proposer", "approver", "revision"), ("document",)),
    Tag.CHANGE_DISCARDED: (("change", "officer"), ("reason",)),
    Tag.CLIENT_REVOKED: (("client",), ("reason",)),
    Tag.REOPENED: (("purpose",), ("path",)),
    Tag.INCIDENT_OPENED: (("incident", "because"), ()),
    Tag.INCIDENT_DESCRIBED: ((), ("facts", "transfers", "words")),
    Tag.INCIDENT_TOLD: (("duty",), ("reference",)),
    Tag.INCIDENT_CLOSED: ((), ("reason",)),
    Tag.ESCALATED: (("held_since",), ()),
    Tag.SAMPLED: (("channel", "because"), ()),
    Tag.SPOT_CHECKED: (("channel", "officer", "finding"), ("reason", "signature")),
    Tag.FORGOTTEN: (("kept_to", "by"), ()),
}


@dataclass(frozen=True)
class Fact:
    """Something that happened.

    Attributes:
        tag: What.
        subject: The transfer's or incident's id, or `gateway`, `registry` or `incidents`.
        at: When, aware.
        actor: Who or what did it: a client, an officer, or `gateway`.
        public: Fields of the entry itself.
        private: Fields behind the commitment.
    """

    tag: Tag
    subject: str
    at: datetime
    actor: str
    public: Mapping[str, Json] = field(default_factory=dict)
    private: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        public, private = FIELDS[self.tag]
        if set(self.public) != set(public) or set(self.private) != set(private):
            raise ValueError(f"{self.tag} carries {public} in the open and {private} committed, exactly")
        if self.at.tzinfo is None:
            raise ValueError("a fact's time is aware: a naive one would be read in the machine's own zone")


@dataclass(frozen=True)
class Entry:
    """A fact as the ledger keeps it.

    Attributes:
        body: Canonical JSON; the leaf the tree hashes.
        opening: Canonical JSON of `{"salt", "private"}`, to be kept encrypted; empty where nothing is private.
    """

    body: bytes
    opening: bytes


def enter(fact: Fact, salt: bytes) -> Entry:
    """The entry of a fact.

    Args:
        fact: The fact.
        salt: 32 bytes from the system's generator, fresh for every entry.

    Raises:
        ValueError: On a salt of another length.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    body: dict[str, Json] = {
        "v": 1,
        "tag": fact.tag.value,
        "subject": fact.subject,
        "at": timestamp(fact.at),
        "actor": fact.actor,
        "body": dict(fact.public),
    }
    if not fact.private:
        return Entry(canonical.encode(body), b"")
    private = canonical.encode(dict(fact.private))
    body["commitment"] = commit(salt, private)
    return Entry(canonical.encode(body), canonical.encode({"salt": salt.hex(), "private": dict(fact.private)}))


def commit(salt: bytes, private: bytes) -> str:
    """The commitment to canonical private bytes, hex."""
    return hashlib.sha256(salt + private).hexdigest()


def opens(entry: Mapping[str, Json], opening: Mapping[str, Json]) -> bool:
    """Whether an opening belongs to an entry: the auditor's check. What is no opening belongs to none."""
    try:
        salt, private = bytes.fromhex(opening["salt"]), canonical.encode(opening["private"])
    except (KeyError, TypeError, ValueError):
        return False
    return len(salt) == SALT_BYTES and entry.get("commitment") == commit(salt, private)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_day(at: datetime) -> date:
    """The calendar day in Asia/Shanghai, which is the day the law means."""
    return at.astimezone(SHANGHAI).date()
