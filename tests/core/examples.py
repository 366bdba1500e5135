"""Builders of what several core tests need: keys, records, a registry of two signatures, cases, votes, decisions, files.

Everything here is real: Ed25519 keys from fixed seeds, SSH signatures, the packaged rule pack. Nothing reads a clock.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core import registry as registry_rules
from gateway.core.decide import Decision, decide
from gateway.core.facts import SHANGHAI
from gateway.core.intake import Part, ReceivedFile, files_root
from gateway.core.records import (
    ActiveRulebook,
    Channel,
    Client,
    Endpoint,
    FiledMechanism,
    Institution,
    Officer,
    Person,
    Project,
    Record,
)
from gateway.core.registry import Change, Registry, compose_change, found_registry
from gateway.core.review import APPROVE, NAMESPACE, Ballot, Case, Vote
from gateway.core.situation import parse_situation, situation_document
from gateway.stores.rulebooks import prc_calendar
from gateway.wire import sshsig
from tests.policies.packed import pack

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=SHANGHAI)

USCC = "91440300MA5EXAMP1F"  # made up; its check character is tested


def key(number: int) -> Ed25519PrivateKey:
    """A key of one's own per number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public_line(private: Ed25519PrivateKey) -> str:
    return "ssh-ed25519 " + base64.b64encode(sshsig.blob_of(private)).decode()


SECURITY_KEY, AUDIT_KEY, SYSTEM_KEY, STRANGER_KEY = key(1), key(2), key(3), key(9)
KEYS = {"officer-li": SECURITY_KEY, "officer-zhao": AUDIT_KEY, "officer-sun": SYSTEM_KEY}

PERSONS = (
    Person("wang", "王主任", "sz-lab", real_name_verified=True),
    Person("chen", "陈研究员", "sz-lab", real_name_verified=True, supervisor="wang"),
    Person("deng", "邓助理", "sz-lab", real_name_verified=True, supervisor="chen"),
    Person("li", "李安全", real_name_verified=True),
    Person("zhao", "赵审计", real_name_verified=True),
    Person("sun", "孙系统", real_name_verified=True),
)
OFFICERS = (
    Officer("officer-li", "li", "security", public_line(SECURITY_KEY)),
    Officer("officer-zhao", "zhao", "audit", public_line(AUDIT_KEY)),
    Officer("officer-sun", "sun", "system", public_line(SYSTEM_KEY)),
)
INSTITUTION = Institution(
    id="sz-lab",
    name_zh="深圳实验室",
    name_en="Shenzhen Lab",
    uscc=USCC,
    filing_number="HT-2026-001",
    filed_from=date(2026, 1, 1),
    filed_to=date(2028, 12, 31),
    gba_city="Shenzhen",
)
ENDPOINT = Endpoint(
    id="hku-genomics",
    name="HKU Genomics",
    place="HK",
    connector="directory",
    recipient_key=base64.b64encode(bytes(range(32))).decode(),
    settings={"base": "in"},
    ranges=("203.0.113.0/24",),
)
PROJECT = Project("trial-a", "sz-lab", ("hku-genomics",), "trial A")
CLIENT = Client("sz-lab-cli", "sz-lab", "chen", {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, ("transfers:open",))
FILING = FiledMechanism(
    id="scc-1",
    institution="sz-lab",
    kind="SCC",
    recipients=("hku-genomics",),
    purpose="trial A",
    data_types=("contact", "diagnosis"),
    effective=date(2026, 11, 2),
    filed=date(2026, 11, 16),
    valid_to=date(2029, 11, 1),
)

CHANNEL = Channel(
    id="sites",
    institution="sz-lab",
    project="trial-a",
    endpoint="hku-genomics",
    rules=("D7",),
    columns={"site": [], "Latitude": ["geo_precise"]},
    formats=("csv",),
    classes=("location",),
    kinds=("geo_precise",),
    files=10,
    bytes=1_000,
    persons=100,
    tolerance=10,
    total_files=100,
    total_bytes=10_000,
    total_persons=1_000,
    valid_from=date(2026, 11, 1),
    valid_to=date(2027, 1, 31),
    sample_percent=10,
    filings=("scc-1",),
    reason="weather stations, published anyway",
)

PEOPLE_PUT: tuple[tuple[str, Record], ...] = (
    ("institution", INSTITUTION),
    *(("person", person) for person in PERSONS),
    *(("officer", officer) for officer in OFFICERS),
)


def genesis() -> Change:
    return compose_change("", PEOPLE_PUT)


def founded() -> Registry:
    """The registry of the genesis: one institution, six persons, three officers."""
    return found_registry(genesis())


def signed(change: Change, *officers: str) -> tuple[bytes, bytes]:
    """The two signatures over a change."""
    first, second = (
        sshsig.sign(KEYS[officer], change.document, registry_rules.NAMESPACE)
        for officer in officers or ("officer-li", "officer-zhao")
    )
    return first, second


def changed(registry: Registry, *put: tuple[str, Record], retire: tuple[tuple[str, str], ...] = ()) -> Registry:
    """The registry after a change that the security and the audit officer signed."""
    change = compose_change(registry.head, put, retire)
    return registry.apply(change, signed(change), TODAY)


def registry() -> Registry:
    """A registry with everything a transfer needs."""
    return changed(
        founded(),
        ("endpoint", ENDPOINT),
        ("project", PROJECT),
        ("client", CLIENT),
        ("filing", FILING),
        ("rulebook", ActiveRulebook("pack-1", pack().rulebook.digest, date(2026, 1, 1))),
    )


# --- files -------------------------------------------------------------------------------------------------------------


def received(path: str, content: bytes, number: int = 1) -> ReceivedFile:
    return ReceivedFile(
        path=path,
        number=number,
        size=len(content),
        sha256=hashlib.sha256(content).digest(),
        body_blake3=hashlib.sha256(b"body" + content).digest(),
        body_size=len(content) + 28,
        parts=(Part(f"part-{number}", len(content) + 28),),
    )


FILES = (received("b/genes.csv", b"gene,count\n", 1), received("a.csv", b"x" * 65_536, 2))

# --- decisions, cases and votes ------------------------------------------------------------------------------------------


def decided(**facts: Any) -> Decision:
    """A decision of the packaged rules on the vocabulary's defaults with these facts changed."""
    return decide(pack().rulebook, parse_situation(facts, pack().vocabulary), prc_calendar())


ALLOWING: Mapping[str, Any] = {}
HELD_FOR_JUDGEMENT: Mapping[str, Any] = {"data": {"inspectable": False}}
HELD_FOR_DOCUMENTS: Mapping[str, Any] = {"sender": {"filed": False}}
HELD_FOR_BOTH: Mapping[str, Any] = {"data": {"inspectable": False}, "sender": {"filed": False}}
HELD_FOR_NOTHING_KNOWN: Mapping[str, Any] = {"on": date(2023, 1, 3)}  # before the pack's first day: no rule fires
DENIED: Mapping[str, Any] = {"data": {"level": "core"}}


def case_of(decision: Decision, **changes: Any) -> Case:
    case = Case(
        transfer_id="t-1",
        files_root=files_root(FILES).hex(),
        endpoint=ENDPOINT.id,
        endpoint_key=ENDPOINT.key_fingerprint(),
        rulebook=decision.rulebook,
        rules=decision.rules,
        known=situation_document(decision.situation),
    )
    return replace(case, **changes)


def ballot(case: Case, officer: str = "officer-li", vote: str = APPROVE, **changes: Any) -> Ballot:
    made = Ballot(case.digest(), case.transfer_id, officer, vote, "looked at it", NOW - timedelta(hours=1))
    return replace(made, **changes)


def cast(paper: Ballot, private: Ed25519PrivateKey | None = None, namespace: str = NAMESPACE) -> Vote:
    """The ballot, signed by the officer it names unless another key is given."""
    message = paper.message()
    return Vote(message, sshsig.sign(private or KEYS[paper.officer], message, namespace))


def approvals(case: Case, *officers: str) -> list[Vote]:
    return [cast(ballot(case, officer)) for officer in officers or ("officer-li", "officer-zhao")]
