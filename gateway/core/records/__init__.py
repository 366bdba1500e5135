"""What can be registered: one frozen record type per kind, parsed strictly.

The rules:
1. Records are strict: unknown keys, wrong types and words outside the lists are errors, all told at once.
2. Nothing is trusted for ever: filings, registrations, clients and officers carry the days they hold.
3. This package only says what a record is. What makes one effective (two signatures) is `gateway.core.registry`.

Sources: GB 32100-2015 (unified social credit code); plan clause 17 (filed institutions, real-name users).
"""

from gateway.core.records.codes import uscc_is_valid
from gateway.core.records.kinds import (
    KINDS,
    ActiveRulebook,
    AppPassword,
    Client,
    Endpoint,
    FiledMechanism,
    Institution,
    Json,
    Officer,
    Person,
    Project,
    Record,
    SshKey,
    Webhook,
    password_digest,
)
from gateway.core.records.papers import EvidenceDocument, RestrictedRecipient, WhitelistEntry, plain
from gateway.core.records.parse import (
    GBA_CITIES,
    MECHANISMS,
    ROLES,
    STATES,
    parse_record,
)
from gateway.core.records.places import INBOUND, OUTBOUND, country_of, direction_of, in_mainland
from gateway.core.records.standing import Channel, Delegation
from gateway.core.records.urls import split_url
from gateway.core.records.values import MAX_TEXT, record_table

__all__ = [
    "GBA_CITIES",
    "INBOUND",
    "KINDS",
    "MAX_TEXT",
    "MECHANISMS",
    "OUTBOUND",
    "ROLES",
    "STATES",
    "ActiveRulebook",
    "AppPassword",
    "Channel",
    "Client",
    "Delegation",
    "Endpoint",
    "EvidenceDocument",
    "FiledMechanism",
    "Institution",
    "Json",
    "Officer",
    "Person",
    "Project",
    "Record",
    "RestrictedRecipient",
    "SshKey",
    "Webhook",
    "WhitelistEntry",
    "country_of",
    "direction_of",
    "in_mainland",
    "parse_record",
    "password_digest",
    "plain",
    "record_table",
    "split_url",
    "uscc_is_valid",
]
