"""What stands on paper: evidence documents of filings, entries of whitelists and of the restricted recipients.

What it is not: the documents. The registry has their digests, which two officers signed; the papers stay where they are.

A change must keep these:
1. A document is named once and has one digest; old records with a lone `evidence_sha256` are read as before.
2. Entries of lists carry the days they hold and the digest of what they were taken from.

Sources: plan clause 6 (whitelists of institutions, individuals and industries), PIPL art 42 (restricted recipients).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

MAX_DOCUMENTS: Final = 50
PAPERS: Final = (
    "application", "assessment", "certificate", "contract", "decision", "licence", "receipt", "undertaking", "other"
)  # fmt: skip
LISTED: Final = ("institution", "person", "industry")
COUNTS_AS: Final = {"institution": ("", "filed"), "person": ("", "real_name"), "industry": ("",)}
SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = {"name", "sha256", "what"}
_MAX_NAME: Final = 200


@dataclass(frozen=True)
class EvidenceDocument:
    """A document of a filing: what people call it, SHA-256 of its bytes in hex, and which of PAPERS it is."""

    name: str
    sha256: str
    what: str = "other"

    def table(self) -> dict[str, str]:
        """As a record's table has it."""
        return {"name": self.name, "sha256": self.sha256, "what": self.what}


@dataclass(frozen=True)
class WhitelistEntry:
    """An institution, person or industry on a whitelist of Hetao (plan clause 6).

    What a whitelist proves is not settled (rules.md 12.1), so each entry says what the two officers who signed it take it for.

    Attributes:
        kind: Of LISTED.
        subject: An institution's id or social credit code, a person's id, an industry's code.
        source: Which list: who published it, number, date.
        basis_sha256: Digest of the document it was taken from.
        listed_from: First day.
        listed_to: Last day, included; None while no end is known.
        counts_as: `filed` (institutions), `real_name` (persons); empty: recorded, and nothing follows.
    """

    id: str
    kind: str
    subject: str
    source: str
    basis_sha256: str
    listed_from: date
    listed_to: date | None = None
    counts_as: str = ""

    def holds_on(self, day: date) -> bool:
        """Whether it holds on that day, last day included."""
        return self.listed_from <= day and (self.listed_to is None or day <= self.listed_to)


@dataclass(frozen=True)
class RestrictedRecipient:
    """An organisation or person on the list of PIPL art 42, to whom no personal information may go.

    It meets every endpoint that has this id, name or registration number, those registered before it, too.

    Attributes:
        names: As the list spells them, in any language; compared without case, width and spaces.
        registrations: Registration numbers in the place where it is registered.
        endpoints: Ids of endpoints that officers know to be it, whatever they are called.
        source: The announcement: who, number, date.
        basis_sha256: Digest of it.
        listed_from: First day.
        listed_to: Last day, included; None while it is listed.
    """

    id: str
    source: str
    basis_sha256: str
    listed_from: date
    listed_to: date | None = None
    names: tuple[str, ...] = ()
    registrations: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()

    def holds_on(self, day: date) -> bool:
        """Whether it is listed on that day, last day included."""
        return self.listed_from <= day and (self.listed_to is None or day <= self.listed_to)


def plain(text: str) -> str:
    """A name without case, width, spaces and punctuation: what two spellings of it have in common."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in folded if unicodedata.category(each)[0] in "LN")


def as_documents(value: object) -> tuple[EvidenceDocument, ...]:
    """A list of tables with `name`, `sha256` and `what`; raises ValueError."""
    if not isinstance(value, list | tuple) or len(value) > MAX_DOCUMENTS:
        raise ValueError(f"must be a list of at most {MAX_DOCUMENTS} documents")
    return tuple(_as_document(each) for each in value)


def _as_document(value: object) -> EvidenceDocument:
    if isinstance(value, EvidenceDocument):
        return value
    if not isinstance(value, Mapping) or not set(value) <= _KEYS or not {"name", "sha256"} <= set(value):
        raise ValueError("must be a list of documents with name, sha256 and what")
    name, digest, what = value["name"], value["sha256"], value.get("what", "other")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _MAX_NAME or _unprintable(name):
        raise ValueError(f"must have documents with a name of at most {_MAX_NAME} characters")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        raise ValueError("must have documents whose sha256 is 64 hex digits in lower case")
    if what not in PAPERS:
        raise ValueError(f"must have documents that are one of {', '.join(PAPERS)}")
    return EvidenceDocument(name, digest, what)


def _unprintable(text: str) -> bool:
    return any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in text)


def document_complaints(documents: tuple[EvidenceDocument, ...]) -> Iterator[str]:
    """What is wrong with a filing's documents as a list."""
    for what, told in (("name", [each.name for each in documents]), ("sha256", [each.sha256 for each in documents])):
        if len(set(told)) != len(told):
            yield f"evidence has two documents of one {what}"


def whitelist_complaints(record: WhitelistEntry) -> Iterator[str]:
    """What is wrong with an entry that is well typed."""
    if record.kind not in LISTED:
        yield f"kind must be one of {', '.join(LISTED)}"
    elif record.counts_as not in COUNTS_AS[record.kind]:
        yield f"counts_as of a {record.kind} must be {' or '.join(map(repr, COUNTS_AS[record.kind]))}"
    if not record.subject.strip():
        yield "subject is empty: say who is listed"
    yield from _entry_complaints(record)


def restricted_complaints(record: RestrictedRecipient) -> Iterator[str]:
    """The same of a restricted recipient."""
    if not (record.names or record.registrations or record.endpoints):
        yield "names, registrations or endpoints must say who is listed"
    if not all(plain(each) for each in (*record.names, *record.registrations)):
        yield "names and registrations need letters or digits"
    yield from _entry_complaints(record)


def _entry_complaints(record: WhitelistEntry | RestrictedRecipient) -> Iterator[str]:
    if not SHA256.fullmatch(record.basis_sha256):
        yield "basis_sha256 must be 64 hex digits in lower case: the digest of the document it was taken from"
    if not record.source.strip():
        yield "source is empty: say who published it, and when"
    if record.listed_to is not None and record.listed_to < record.listed_from:
        yield "listed_to must not be before listed_from"
