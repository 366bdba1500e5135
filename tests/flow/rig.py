"""A whole flow over fakes, with real rules, real detectors and real signatures; restartable at any point."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.core.classify import Classifier
from gateway.core.identity import PERMISSION_DOORS, Credential, Door, Principal
from gateway.core.intake import Limits
from gateway.core.records import Endpoint, parse_record
from gateway.core.registry import NAMESPACE, Change, compose_change
from gateway.core.rulebook import Rulebook
from gateway.core.transfer import State, Transfer
from gateway.flow.answers import Answers
from gateway.flow.audit import Audit
from gateway.flow.carry import Carry
from gateway.flow.classify import Classify
from gateway.flow.completion import Completion
from gateway.flow.conductor import Conductor
from gateway.flow.controls import Controls
from gateway.flow.decide import Decider
from gateway.flow.defender import Defence, Defender, parse_networks
from gateway.flow.enquiry import Enquiry
from gateway.flow.folders import Folders
from gateway.flow.housekeeping import Housekeeping
from gateway.flow.inspect import Inspect
from gateway.flow.intake import Announced, Intake
from gateway.flow.locks import Locks
from gateway.flow.news import Newsroom
from gateway.flow.receipt import Receipts
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.relay import Relay
from gateway.flow.resume import Resume
from gateway.flow.review import Review
from gateway.flow.seal import Seal
from gateway.flow.subtrees import Subtrees
from gateway.flow.uploads import Uploads
from gateway.identity.holders import ClientHolders, Holders
from gateway.identity.sshkeys import SshKeys
from gateway.ports import Connector
from gateway.stores.detectors import load_detector_tables
from gateway.stores.rulebooks import Policies, load_policies, prc_calendar
from gateway.wire import checkpoint, crypt4gh, sshsig
from tests.fakes.clock import FakeClock
from tests.fakes.connector import FakeConnector, FakeEndpoint
from tests.fakes.entropy import FakeEntropy
from tests.fakes.inspection import FakeInspection, FakeScanner
from tests.fakes.keyring import FakeKeyring
from tests.fakes.observer import FakeObserver
from tests.fakes.records import FakeRecords
from tests.fakes.spool import FakeSpool

ORIGIN = "rig.test/ledger"
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
GENERAL: dict[str, Any] = {
    "data": {
        "level": "general",
        "personal": False,
        "controlled_technology": False,
        "remote_access": False,
        "precise_geo": False,
    },
    "hgr": {"information": False, "material": False},
}
DUTIES: dict[str, Any] = {
    "notice": True,
    "separate_consent": True,
    "consent_based": True,
    "pipia": "2026-11-01",
    "withdrawn_subjects": 0,
    "ethics_approval": True,
    "written_consent": True,
    "institution_approval": True,
    "owner_unit_approval": True,
}


def personal(nonsensitive: int = 0, sensitive: int = 0) -> dict[str, Any]:
    return {
        "data": {**GENERAL["data"], "personal": True, "sensitive": sensitive > 0, "under14": False},
        "hgr": GENERAL["hgr"],
        "persons": {"nonsensitive": nonsensitive, "sensitive": sensitive},
        "duties": DUTIES,
    }


@cache
def policies() -> Policies:
    return load_policies()


def seeded_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(FakeEntropy(name).token(32))


def public_line(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


OFFICERS = {
    "chen": ("security", seeded_key("chen")),
    "zhao": ("audit", seeded_key("zhao")),
    "wu": ("system", seeded_key("wu")),
    "sun": ("security", seeded_key("sun")),
}


@dataclass
class RigSigner:
    key: Ed25519PrivateKey = field(default_factory=lambda: seeded_key("gateway"))

    def __post_init__(self) -> None:
        self.public_line = public_line(self.key)

    def sign(self, namespace: str, message: bytes) -> bytes:
        return sshsig.sign(self.key, message, namespace)


@dataclass
class RigLedgerSigner:
    key: Ed25519PrivateKey = field(default_factory=lambda: seeded_key("ledger"))
    origin: str = ORIGIN

    def __post_init__(self) -> None:
        public = self.key.public_key().public_bytes_raw()
        self.verifier_key = checkpoint.format_verifier_key(checkpoint.VerifierKey(ORIGIN, checkpoint.ED25519, public))

    def sign_checkpoint(self, size: int, root: bytes) -> bytes:
        return checkpoint.format_note(checkpoint.sign(checkpoint.Checkpoint(ORIGIN, size, root), ORIGIN, self.key))


@dataclass
class RigOpener:
    private: bytes

    def open(self, header: bytes) -> tuple[bytes, ...]:
        return crypt4gh.open_header(header, self.private).session_keys


class RigRulebooks:
    def __init__(self) -> None:
        self.packs: dict[str, Rulebook] = {policies().rulebook.digest: policies().rulebook}

    def rulebook(self, digest: str) -> Rulebook:
        return self.packs[digest]


@dataclass
class RigConnectors:
    endpoint: FakeEndpoint

    def make(self, endpoint: Endpoint) -> Connector:
        return FakeConnector(endpoint=self.endpoint)


def key_pair(name: str) -> tuple[bytes, bytes]:
    private = FakeEntropy(name).token(32)
    return private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class Rig:
    """Everything outside lives in `records`, `spool`, `keyring`, `hong_kong`; `restart` makes the inside anew."""

    def __init__(self) -> None:
        self.records = FakeRecords()
        self.spool = FakeSpool()
        self.clock = FakeClock(NOW)
        self.keyring = FakeKeyring(self.clock)
        self.entropy = FakeEntropy("rig")
        self.observer = FakeObserver()
        self.hong_kong = FakeEndpoint()
        self.signer = RigSigner()
        self.ledger = RigLedgerSigner()
        self.rulebooks = RigRulebooks()
        self.vault_private, self.vault_public = key_pair("vault")
        self.hku_private, self.hku_public = key_pair("hku")
        self.genesis = ""
        self.limits = Limits()
        self.defence = Defence(exempt=parse_networks("127.0.0.0/8"))
        self.protected = True
        self.restart()

    def restart(self) -> None:
        """Forget everything held in memory, as a killed process does."""
        pool = ThreadPoolExecutor(4)
        self.pool = pool
        self.recorder = Recorder(
            records=self.records,
            keyring=self.keyring,
            clock=self.clock,
            entropy=self.entropy,
            observer=self.observer,
        )
        self.defender = Defender(records=self.records, clock=self.clock, observer=self.observer, defence=self.defence)
        self.registrar = Registrar(self.recorder, self.genesis, policies().vocabulary)
        calendar, tables = prc_calendar(), load_detector_tables()
        self.intake = Intake(
            recorder=self.recorder,
            spool=self.spool,
            registrar=self.registrar,
            vault_public=self.vault_public,
            opener=RigOpener(self.vault_private),
            classifier=lambda path: Classifier(path, tables),
            vocabulary=policies().vocabulary,
            pool=pool,
            limits=self.limits,
        )
        self.resume = Resume(recorder=self.recorder, intake=self.intake)
        self.uploads = Uploads(recorder=self.recorder, intake=self.intake, resume=self.resume)
        self.folders = Folders(recorder=self.recorder, intake=self.intake)
        self.locks = Locks(self.recorder)
        self.subtrees = Subtrees(recorder=self.recorder, intake=self.intake, folders=self.folders, resume=self.resume)
        self.decider = Decider(
            recorder=self.recorder,
            registrar=self.registrar,
            rulebooks=self.rulebooks,
            calendar=calendar,
            controls=Controls(ledger=self.ledger, keyring=self.keyring, protected=self.protected),
            signer=self.signer,
        )
        self.seal = Seal(
            recorder=self.recorder,
            registrar=self.registrar,
            rulebooks=self.rulebooks,
            calendar=calendar,
            vocabulary=policies().vocabulary,
            carry=Carry(self.recorder, self.spool),
            opener=RigOpener(self.vault_private),
            signer=self.signer,
        )
        connectors = RigConnectors(self.hong_kong)
        self.relay = Relay(
            recorder=self.recorder,
            registrar=self.registrar,
            spool=self.spool,
            connectors=connectors,
            signer=self.signer,
        )
        self.receipts = Receipts(recorder=self.recorder, signer=self.signer, ledger=self.ledger)
        self.housekeeping = Housekeeping(recorder=self.recorder, spool=self.spool)
        self.review = Review(recorder=self.recorder, registrar=self.registrar)
        self.enquiry = Enquiry(recorder=self.recorder, registrar=self.registrar)
        self.newsroom = Newsroom(
            recorder=self.recorder, enquiry=self.enquiry, received=self.intake.received, interval=0.05
        )
        self.audit = Audit(records=self.records, registrar=self.registrar, keyring=self.keyring, ledger=self.ledger)
        self.answers = Answers(
            recorder=self.recorder,
            rulebooks=self.rulebooks,
            vocabulary=policies().vocabulary,
            calendar=calendar,
            signer=self.signer,
        )
        self.completion = Completion(
            recorder=self.recorder,
            registrar=self.registrar,
            intake=self.intake,
            senders=Holders(
                SshKeys(records=self.records, registrar=self.registrar, clock=self.clock),
                ClientHolders(records=self.records, registrar=self.registrar, clock=self.clock),
            ),
        )
        self.inspection = FakeInspection()
        self.scanner = FakeScanner()
        self.inspect = Inspect(
            recorder=self.recorder,
            spool=self.spool,
            opener=RigOpener(self.vault_private),
            inspection=self.inspection,
            registrar=self.registrar,
            scanner=self.scanner,
        )
        self.conductor = Conductor(
            recorder=self.recorder,
            stages={
                State.OPEN: self.completion.step,
                State.SUBMITTED: Classify(self.recorder, self.inspect).step,
                State.CLASSIFIED: self.decider.step,
                State.HELD: self.decider.step,
                State.CLEARED: self.seal.step,
                State.SEALED: self.relay.depart,
                State.RELAYING: self.relay.step,
                State.DELIVERED: self.receipts.step,
            },
            housekeeping=self.housekeeping,
            worker="rig",
        )

    # --- the registry ------------------------------------------------------------------------------------------------

    async def found(self) -> None:
        """Genesis, one institution with one sender, one endpoint, one project, the packaged rules active."""
        records = []
        for name, (role, key) in OFFICERS.items():
            records.append(("person", {"id": name, "name": name, "real_name_verified": True}))
            officer = {"id": f"{role}-{name}", "person": name, "role": role, "key": public_line(key)}
            records.append(("officer", officer))
        pack = {"id": "pack", "digest": policies().rulebook.digest, "active_from": "2026-01-01"}
        records.append(("rulebook", pack))
        genesis = compose_change("", tuple((kind, parse_record(kind, table)) for kind, table in records))
        self.genesis = genesis.digest
        await self.registrar.initialise(genesis, origin=ORIGIN, ledger_key=self.ledger.verifier_key)
        await self.register(*self.world())

    def world(self) -> list[tuple[str, dict[str, Any]]]:
        institution = {
            "id": "sz-lab",
            "name_zh": "深圳实验室",
            "name_en": "Shenzhen Laboratory",
            "uscc": "91110000600037341L",
            "filing_number": "HT-1",
            "filed_from": "2026-01-01",
            "gba_city": "Shenzhen",
        }
        return [
            ("institution", institution),
            ("person", {"id": "boss", "name": "Boss", "institution": "sz-lab", "real_name_verified": True}),
            (
                "person",
                {"id": "lin", "name": "Lin", "institution": "sz-lab", "real_name_verified": True, "supervisor": "boss"},
            ),
            ("endpoint", self.endpoint()),
            ("project", {"id": "trial", "institution": "sz-lab", "endpoints": ["hku"], "purpose": "trial A"}),
        ]

    def endpoint(self, **changes: Any) -> dict[str, Any]:
        key = base64.b64encode(self.hku_public).decode()
        return {"id": "hku", "name": "HKU", "place": "HK", "connector": "fake", "recipient_key": key, **changes}

    async def register(self, *records: tuple[str, dict[str, Any]], by: tuple[str, str] = ("chen", "zhao")) -> Change:
        """Propose and approve a change with two officers' signatures."""
        registry = await self.registrar.registry()
        put = tuple((kind, parse_record(kind, table)) for kind, table in records)
        change = compose_change(registry.head, put)
        first, second = (sshsig.sign(OFFICERS[name][1], change.document, NAMESPACE) for name in by)
        await self.registrar.propose(change, first)
        await self.registrar.approve(change.digest, second)
        return change

    # --- people ------------------------------------------------------------------------------------------------------

    @property
    def sender(self) -> Principal:
        return sender()

    async def send(
        self,
        files: Mapping[str, bytes],
        declaration: Mapping[str, Any] | None = None,
        *,
        dataset: str = "data",
        submit: bool = True,
    ) -> Transfer:
        """Open, fill and (by default) submit a transfer."""
        opened = await self.intake.open_transfer(
            self.sender, endpoint="hku", project="trial", dataset=dataset, declaration=declaration or GENERAL
        )
        for path, content in files.items():
            announced = Announced(len(content))
            await self.intake.receive(self.sender, opened.id, path, chunks(content), announced)
        if submit:
            await self.intake.submit(self.sender, opened.id)
        return await self.transfer(opened.id)

    async def settle(self) -> None:
        await self.conductor.settle()

    async def transfer(self, transfer_id: str) -> Transfer:
        return await self.enquiry.transfer(self.sender, transfer_id)

    async def vote(self, transfer_id: str, name: str, vote: str = "approve") -> Transfer:
        """An officer's signed vote."""
        role, key = OFFICERS[name]
        ballot = await self.review.ballot(transfer_id, officer=f"{role}-{name}", vote=vote, reason="looked at it")
        return await self.review.vote(ballot.message(), sshsig.sign(key, ballot.message(), "hetao-vote"))

    def arrived(self, suffix: str) -> bytes:
        """The plaintext of a delivered file, opened with the recipient's key alone."""
        (sealed,) = [content for name, content in self.hong_kong.files.items() if name.endswith(suffix)]
        length = crypt4gh.header_length(sealed)
        assert length is not None
        keys = crypt4gh.open_header(sealed[:length], self.hku_private).session_keys
        return crypt4gh.SegmentOpener(keys).open(sealed[length:])


def sender(institution: str = "sz-lab", person: str = "lin") -> Principal:
    return Principal(
        institution,
        person,
        f"{institution}-client",
        Credential.CLIENT_JWT,
        Door.HTTPS,
        PERMISSION_DOORS[Credential.CLIENT_JWT, Door.HTTPS],
    )


async def chunks(content: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def filing(kind: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    table = {
        "id": kind.lower().replace("_", "-"),
        "institution": "sz-lab",
        "kind": kind,
        "recipients": ["hku"],
        "effective": date(2026, 11, 2).isoformat(),
        "filed": date(2026, 11, 10).isoformat(),
    }
    return "filing", table | changes
