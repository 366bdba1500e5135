"""The sections of a situation, field by field.

What it is not: the description of the fields. That is `policies/vocabulary.toml`, which must name exactly these fields
(`parse_vocabulary` refuses a vocabulary that does not). No field has a default, on purpose.

Counts are whole numbers from 0 to 2**53 - 1, dates are days in Asia/Shanghai, tuples keep the order given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The legal entity that sends; `gba_city` is empty outside the nine cities."""

    id: str
    filed: bool
    real_name: bool
    ciio: bool
    overseas_controlled: bool
    gba_city: str
    health_org: bool
    government_funded: bool
    splitting_suspected: bool
    in_ftz: bool


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Who receives; `onward` names every place where the data are passed on, stored or looked at."""

    id: str
    place: str
    mainland_controlled: bool
    listed_pipl42: bool
    in_hetao_hk_park: bool
    onward: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asked for the data (DSL art 36, PIPL art 41)."""

    by: str
    mainland_approval: bool


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is sent, declared and detected taken together, the stricter of both."""

    level: str
    types: tuple[str, ...]
    secrecy_mark: bool
    controlled_technology: bool
    inspectable: bool
    precise_geo: bool
    personal: bool
    sensitive: bool
    under14: bool
    anonymous_claimed: bool
    reidentification_tested: bool
    remote_access: bool


@dataclass(frozen=True, kw_only=True)
class Hgr:
    """Human genetic resources; counts are all-time for this project and recipient, this transfer included."""

    information: bool
    material: bool
    aggregate_only: bool
    subjects: int
    wes_wgs_subjects: int
    pedigree: bool
    special_region: bool


@dataclass(frozen=True, kw_only=True)
class Persons:
    """N and S of Order 16: distinct persons in the calendar year of `on`, this transfer included."""

    nonsensitive: int
    sensitive: int


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """The exemption claimed and what proves it."""

    claimed: str
    evidence: tuple[str, ...]
    mainland_data_added: bool


@dataclass(frozen=True, kw_only=True)
class Duties:
    """Duties towards the persons and approvals on file; `pipia` is the day the newest assessment was finished."""

    notice: bool
    separate_consent: bool
    consent_based: bool
    guardian_consent: bool
    pipia: date | None
    withdrawn_subjects: int
    ethics_approval: bool
    written_consent: bool
    institution_approval: bool
    owner_unit_approval: bool


@dataclass(frozen=True, kw_only=True)
class Filing:
    """One mechanism of this sender; None means absent, as the vocabulary explains field by field."""

    kind: str
    recipients: tuple[str, ...]
    purpose: str
    data_types: tuple[str, ...]
    effective: date | None
    filed: date | None
    valid_to: date | None
    extended: bool
    persons_cap: int
    persons_used: int | None


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """The purpose of this transfer, in the words of the filings."""

    stated: str


@dataclass(frozen=True, kw_only=True)
class Technical:
    """Whether the gateway itself is fit to send."""

    controls_ok: bool
    ledger_ok: bool
    clock_ok: bool


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything one decision may rest on."""

    on: date
    direction: str
    sender: Sender
    recipient: Recipient
    request: Request
    data: Data
    hgr: Hgr
    persons: Persons
    exemption: Exemption
    duties: Duties
    filings: tuple[Filing, ...]
    purpose: Purpose
    technical: Technical


SECTIONS: dict[str, type] = {
    "sender": Sender,
    "recipient": Recipient,
    "request": Request,
    "data": Data,
    "hgr": Hgr,
    "persons": Persons,
    "exemption": Exemption,
    "duties": Duties,
    "purpose": Purpose,
    "technical": Technical,
}
"""Section names in a document, with their classes."""
