"""The composition root: settings in, a wired gateway out. The only module that sees every ring.

Nothing is decided here; a change of what talks to what is a change of this file.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from connectors.channel import BoundChannel
from connectors.courier import HttpsCourier
from gateway.core.errors import EndpointError, StoreError, Unusable
from gateway.core.intake import Limits
from gateway.core.records import Endpoint
from gateway.core.rulebook import Rulebook
from gateway.core.transfer import State
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
from gateway.flow.filings import Filings
from gateway.flow.folders import Folders
from gateway.flow.housekeeping import Housekeeping
from gateway.flow.incidents import Incidents
from gateway.flow.inspect import Inspect
from gateway.flow.intake import Intake
from gateway.flow.locks import Locks
from gateway.flow.news import Newsroom
from gateway.flow.receipt import Receipts
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.relay import Relay
from gateway.flow.reports import Reports
from gateway.flow.resume import Resume
from gateway.flow.retention import TRANSFERS, Retention
from gateway.flow.review import Review
from gateway.flow.revocation import Revocation
from gateway.flow.seal import Seal
from gateway.flow.spotchecks import SpotChecks
from gateway.flow.subtrees import Subtrees
from gateway.flow.uploads import Uploads
from gateway.flow.webhooks import Deliveries, Webhooks
from gateway.identity.apppasswords import AppPasswords
from gateway.identity.holders import ClientHolders, Holders
from gateway.identity.sshkeys import SshKeys
from gateway.inspect.beside import Beside
from gateway.inspect.clamd import Clamd
from gateway.inspect.limits import Limits as Expansion
from gateway.inspect.process import Allowance, Workers
from gateway.ports import Channel, Connector, EventSigner, Observer, Scanner
from gateway.settings import Settings
from gateway.stores.database import Database
from gateway.stores.detectors import read_documents
from gateway.stores.keyring import FileKeyring
from gateway.stores.offers import missing_controls
from gateway.stores.packs import read_signers
from gateway.stores.rulebooks import RETENTION, Policies, load_policies, load_retention, prc_calendar
from gateway.stores.signing import FileLedgerSigner, FileSigner, VaultOpener
from gateway.stores.spool import LocalSpool
from gateway.wire import crypt4gh

CONNECTORS = "hetao.connectors"
WEBHOOK_THREADS = 8


class SystemClock:
    """The system's clock (`ports.Clock`)."""

    def now(self) -> datetime:
        """The current instant in UTC."""
        return datetime.now(UTC)


class SystemEntropy:
    """The system's generator (`ports.Entropy`)."""

    def token(self, size: int) -> bytes:
        """`size` random bytes."""
        return secrets.token_bytes(size)


class InstalledConnectors:
    """Endpoint kinds from entry points (`ports.Connectors`)."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def make(self, endpoint: Endpoint) -> Connector:
        """The connector of an endpoint, with its settings and pinned ranges."""
        found = entry_points(group=CONNECTORS, name=endpoint.connector)
        if not found:
            raise EndpointError(f"no connector {endpoint.connector!r} is installed", code="no-connector", retry=False)
        kind: Any = next(iter(found)).load()
        settings: Mapping[str, Any] = dict(endpoint.settings)
        if endpoint.ranges:
            settings = {**settings, "ranges": list(endpoint.ranges)}
        try:
            connector: Connector = kind(settings, self._channel)
        except Unusable as wrong:
            raise EndpointError(f"endpoint {endpoint.id}: {wrong.message}", code="bad-endpoint", retry=False) from wrong
        return connector


class InstalledRulebooks:
    """The rule packs at hand (`ports.Rulebooks`)."""

    def __init__(self, policies: Policies) -> None:
        self._packs = {policies.rulebook.digest: policies.rulebook}

    def rulebook(self, digest: str) -> Rulebook:
        """The pack of that digest."""
        if digest not in self._packs:
            raise StoreError(
                f"rule pack {digest[:12]} is active and not installed (installed: "
                f"{', '.join(each[:12] for each in self._packs)}): install it, or activate the installed one with "
                "`hetao registry activate-rules`",
                code="no-rulebook",
            )
        return self._packs[digest]


@dataclass(frozen=True)
class Gateway:
    """A wired gateway: what doors and commands call."""

    settings: Settings
    database: Database
    keyring: FileKeyring
    spool: LocalSpool
    recorder: Recorder
    registrar: Registrar
    policies: Policies
    intake: Intake
    enquiry: Enquiry
    newsroom: Newsroom
    folders: Folders
    resume: Resume
    uploads: Uploads
    locks: Locks
    subtrees: Subtrees
    review: Review
    revocation: Revocation
    webhooks: Webhooks
    audit: Audit
    answers: Answers
    incidents: Incidents
    filings: Filings
    retention: Retention
    reports: Reports
    conductor: Conductor
    housekeeping: Housekeeping
    signer: FileSigner
    ledger: FileLedgerSigner
    connectors: InstalledConnectors
    defender: Defender

    @property
    def spot_checks(self) -> SpotChecks:
        """Looks afterwards at what went through a channel."""
        return SpotChecks(recorder=self.recorder, registrar=self.registrar)


@contextmanager
def open_deliveries(gateway: Gateway, signer: EventSigner) -> Iterator[Deliveries]:
    """What brings events to webhooks, with threads of its own; they do not go over the channel to Hong Kong."""
    settings = gateway.settings
    authorities = settings.path("webhooks.ca_file") if settings.text("webhooks.ca_file") else None
    pool = ThreadPoolExecutor(max_workers=WEBHOOK_THREADS, thread_name_prefix="webhook")
    try:
        yield Deliveries(
            recorder=gateway.recorder,
            registrar=gateway.registrar,
            courier=HttpsCourier(BoundChannel(), authorities),
            signer=signer,
            source=settings.text("gateway.issuer").rstrip("/"),
            worker=worker_name(),
            pool=pool,
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def database_url(settings: Settings) -> str:
    """The configured URL, or the embedded SQLite file."""
    return settings.text("database.url") or f"sqlite:///{settings.path('gateway.data') / 'gateway.db'}"


def worker_name() -> str:
    """A name for this process's leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@asynccontextmanager
async def open_gateway(settings: Settings, observer: Observer) -> AsyncIterator[Gateway]:
    """A gateway over its stores, closed at the end of the block.

    Raises:
        Unusable: A key file or rule pack cannot be used.
        StoreError: The database cannot be reached, or is of another version.
    """
    database = await Database.open(database_url(settings))
    pool = ThreadPoolExecutor(max_workers=max(6, 2 * (os.cpu_count() or 1)), thread_name_prefix="pass")
    beside = Beside(
        read_documents(),
        settings.number("inspect.classifiers"),
        told=lambda reason: observer.saw("classifier.lost", reason=reason),
    )
    try:
        revision, needed = await database.revision()
        if revision != needed:
            raise StoreError(
                f"the database is at version {revision or 'none'} and this release needs {needed}: "
                "run `hetao init` for a new one or `hetao upgrade` for an old one",
                code="database-version",
                retry=False,
            )
        yield _wire(settings, observer, database, pool, beside)
    finally:
        await asyncio.to_thread(beside.close)
        pool.shutdown(wait=True, cancel_futures=True)
        await database.close()


def _wire(
    settings: Settings, observer: Observer, database: Database, pool: ThreadPoolExecutor, beside: Beside
) -> Gateway:
    data = settings.path("gateway.data")
    clock, entropy = SystemClock(), SystemEntropy()
    spool, keyring = LocalSpool(data / "vault"), FileKeyring(data / "keyring", clock, entropy)
    signer = FileSigner(settings.path("keys.signing"))
    ledger = FileLedgerSigner(settings.path("keys.ledger"), settings.text("ledger.origin"))
    policies = _policies(settings)
    rulebooks, calendar = InstalledRulebooks(policies), prc_calendar()
    connectors, opener = InstalledConnectors(_channel(settings)), VaultOpener(settings.path("keys.vault_private"))
    recorder = Recorder(records=database, keyring=keyring, clock=clock, entropy=entropy, observer=observer)
    registrar = Registrar(recorder, settings.text("registry.genesis"), policies.vocabulary)
    intake = Intake(
        recorder=recorder,
        spool=spool,
        registrar=registrar,
        vault_public=crypt4gh.parse_public_key(_read(settings.path("keys.vault_public"))),
        opener=opener,
        classifier=beside.classifier,
        vocabulary=policies.vocabulary,
        pool=pool,
        limits=_limits(settings),
    )
    decider = _decider(settings, recorder, registrar, policies, ledger, keyring, signer)
    seal = _seal(recorder, registrar, policies, spool, opener, signer)
    relay = Relay(recorder=recorder, registrar=registrar, spool=spool, connectors=connectors, signer=signer)
    receipts = Receipts(recorder=recorder, signer=signer, ledger=ledger)
    enquiry = Enquiry(recorder=recorder, registrar=registrar)
    incidents, retention, housekeeping = _keeping(settings, recorder, spool)
    folders, resume = Folders(recorder=recorder, intake=intake), Resume(recorder=recorder, intake=intake)
    inspect = _inspect(settings, recorder, registrar, spool, opener)
    stages = {
        State.OPEN: _completion(recorder, registrar, intake, database).step,
        State.SUBMITTED: Classify(recorder, inspect).step,
        State.CLASSIFIED: decider.step,
        State.HELD: decider.step,
        State.CLEARED: seal.step,
        State.SEALED: relay.depart,
        State.RELAYING: relay.step,
        State.DELIVERED: receipts.step,
    }
    return Gateway(
        settings=settings,
        database=database,
        keyring=keyring,
        spool=spool,
        recorder=recorder,
        registrar=registrar,
        policies=policies,
        intake=intake,
        enquiry=enquiry,
        newsroom=Newsroom(recorder=recorder, enquiry=enquiry, received=intake.received),
        folders=folders,
        resume=resume,
        uploads=_uploads(settings, recorder, intake, resume),
        locks=Locks(recorder),
        subtrees=Subtrees(recorder=recorder, intake=intake, folders=folders, resume=resume),
        review=Review(recorder=recorder, registrar=registrar),
        revocation=Revocation(recorder=recorder, registrar=registrar),
        webhooks=Webhooks(recorder=recorder, registrar=registrar),
        audit=Audit(records=database, registrar=registrar, keyring=keyring, ledger=ledger),
        incidents=incidents,
        filings=Filings(recorder=recorder, registrar=registrar, calendar=calendar, choices=policies.rulebook.choices),
        retention=retention,
        reports=Reports(recorder=recorder, registrar=registrar, ledger=ledger),
        answers=_answers(recorder, rulebooks, policies, signer),
        conductor=Conductor(recorder=recorder, stages=stages, housekeeping=housekeeping, worker=worker_name()),
        housekeeping=housekeeping,
        signer=signer,
        ledger=ledger,
        connectors=connectors,
        defender=Defender(records=database, clock=clock, observer=observer, defence=_defence(settings)),
    )


def _policies(settings: Settings) -> Policies:
    folder, signers = settings.text("policies.folder"), settings.text("policies.signers")
    trusted = read_signers(settings.path("policies.signers")) if signers else frozenset()
    return load_policies(Path(folder) if folder else None, signers=trusted)


def unkept(settings: Settings, policies: Policies) -> tuple[str, ...]:
    """What of the profile of technical controls this gateway does not keep: rule T1 denies while there is any."""
    return missing_controls(policies.profiles, settings.text("controls.profile"), settings.text("https.minimum_tls"))


def _uploads(settings: Settings, recorder: Recorder, intake: Intake, resume: Resume) -> Uploads:
    idle = timedelta(hours=settings.number("limits.upload_hours"))
    return Uploads(recorder=recorder, intake=intake, resume=resume, idle=idle)


def _completion(recorder: Recorder, registrar: Registrar, intake: Intake, database: Database) -> Completion:
    """The stage of drafts in folders, with everybody who may speak for one."""
    about: dict[str, Any] = {"records": database, "registrar": registrar, "clock": recorder.clock}
    senders = Holders(SshKeys(**about), ClientHolders(**about), AppPasswords(**about))
    return Completion(recorder=recorder, registrar=registrar, intake=intake, senders=senders)


def _answers(recorder: Recorder, rulebooks: InstalledRulebooks, policies: Policies, signer: FileSigner) -> Answers:
    return Answers(
        recorder=recorder,
        rulebooks=rulebooks,
        vocabulary=policies.vocabulary,
        calendar=prc_calendar(),
        signer=signer,
    )


def _inspect(
    settings: Settings, recorder: Recorder, registrar: Registrar, spool: LocalSpool, opener: VaultOpener
) -> Inspect:
    allowance = Allowance(
        memory=settings.number("inspect.memory_mib") << 20,
        seconds=float(settings.number("inspect.seconds")),
        limits=Expansion(pictures="noted" if settings.text("inspect.pictures") == "noted" else "held"),
    )
    return Inspect(
        recorder=recorder,
        spool=spool,
        opener=opener,
        inspection=Workers(read_documents(), allowance),
        registrar=registrar,
        scanner=_scanner(settings),
    )


def _scanner(settings: Settings) -> Scanner | None:
    address = settings.text("clamd.address")
    if not address:
        return None
    return Clamd(
        address, stream=settings.number("clamd.stream_mib") << 20, timeout=float(settings.number("clamd.seconds"))
    )


def _appeal_term(settings: Settings) -> timedelta:
    return timedelta(days=settings.number("review.appeal_days"))


def _seal(
    recorder: Recorder,
    registrar: Registrar,
    policies: Policies,
    spool: LocalSpool,
    opener: VaultOpener,
    signer: FileSigner,
) -> Seal:
    return Seal(
        recorder=recorder,
        registrar=registrar,
        rulebooks=InstalledRulebooks(policies),
        calendar=prc_calendar(),
        vocabulary=policies.vocabulary,
        carry=Carry(recorder, spool),
        opener=opener,
        signer=signer,
    )


def _keeping(settings: Settings, recorder: Recorder, spool: LocalSpool) -> tuple[Incidents, Retention, Housekeeping]:
    """What time ends, and what stands in its way."""
    incidents = Incidents(recorder)
    retention = _retention(settings, recorder, incidents)
    appeal = _appeal_term(settings)
    return (
        incidents,
        retention,
        Housekeeping(recorder=recorder, spool=spool, appeal_term=appeal, retention=retention),
    )


def _retention(settings: Settings, recorder: Recorder, incidents: Incidents) -> Retention:
    years, folder = settings.number("retention.years"), settings.text("policies.folder")
    # A pack without a table has the packaged one.
    table = load_retention(Path(folder) if folder and (Path(folder) / RETENTION).is_file() else None)
    if years and 12 * years < (least := table.months(TRANSFERS)):
        raise Unusable(
            f"retention.years is {years}: the rule pack's retention.toml asks for {least} months at least, "
            "and 0 leaves it to people"
        )
    return Retention(recorder=recorder, incidents=incidents, table=table, years=years)


def _needed(settings: Settings) -> frozenset[str]:
    asked = settings.text("whitelist.needed")
    return frozenset({"institution", "person"} if asked == "both" else {asked} - {"none"})


def _decider(
    settings: Settings,
    recorder: Recorder,
    registrar: Registrar,
    policies: Policies,
    ledger: FileLedgerSigner,
    keyring: FileKeyring,
    signer: FileSigner,
) -> Decider:
    return Decider(
        recorder=recorder,
        registrar=registrar,
        rulebooks=InstalledRulebooks(policies),
        calendar=prc_calendar(),
        controls=Controls(ledger=ledger, keyring=keyring, protected=not unkept(settings, policies)),
        signer=signer,
        escalate_days=settings.number("review.escalate_days"),
        whitelist_needed=_needed(settings),
    )


def _channel(settings: Settings) -> BoundChannel:
    return BoundChannel(
        source_address=settings.text("channel.source_address") or None,
        interface=settings.text("channel.interface") or None,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        files=settings.number("limits.files"),
        file_bytes=settings.number("limits.file_bytes"),
        transfer_bytes=settings.number("limits.transfer_bytes"),
        open_transfers=settings.number("limits.open_transfers"),
        undelivered_bytes=settings.number("limits.undelivered_bytes"),
    )


def _defence(settings: Settings) -> Defence:
    try:
        exempt = parse_networks(settings.text("defender.exempt"))
    except Unusable as wrong:
        raise Unusable(f"defender.exempt: {wrong.message}", code="bad-settings") from wrong
    return Defence(
        failures=settings.number("defender.failures"),
        window=timedelta(seconds=settings.number("defender.window_seconds")),
        ban=timedelta(seconds=settings.number("defender.ban_seconds")),
        exempt=exempt,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise Unusable(
            f"{path.name} cannot be read ({wrong.strerror}): run `hetao init` or mend the settings"
        ) from wrong
