"""Metrics: what observers are told, as Prometheus counters, gauges and histograms named `hetao_*`.

What it is not: a store. Counters begin at zero with every start of the gateway; facts are counted in the ledger.

A change must keep these:
1. Every label has a bounded set of values, listed here or taken from an enumeration of the core; anything else becomes
   `other`. No id, name, institution or endpoint is ever a label: they would grow without bound and tell who sends what.
2. Names and labels are a contract with dashboards and alerts (`deploy/prometheus`): they are added, not changed.
3. An event nobody knows is counted, not an error.
4. Workers count in files that all of them see, named by the worker's number, and whichever is asked adds them up: a worker
   that is started again goes on where it was. Gauges are of the database or of this release, not of a process.

Source: OpenMetrics 1.0; prometheus.io naming practice (base units, `_total`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

from gateway.core.facts import Tag
from gateway.core.identity import Door
from gateway.core.signatures import SIGNATURES
from gateway.core.transfer import STANDING, State

OTHER: Final = "other"
STATES: Final = frozenset(state.value for state in State)
TAGS: Final = frozenset(tag.value for tag in Tag)
_HTTP: Final = "GET HEAD POST PUT DELETE OPTIONS PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK"
METHODS: Final = frozenset(_HTTP.split())
_TEXT_FORMATS: Final = "csv tsv text json ndjson xml html vcf fasta protein_fasta fastq sam bed gff unknown empty"
FORMATS: Final = frozenset(known.name for _, _, known in SIGNATURES) | frozenset(_TEXT_FORMATS.split())
# Codes worth a series of their own; the others are in the logs.
_CODES: Final = """
bad-declaration bad-digest bad-json bad-path body-timeout broken-promise checksum-mismatch conflict database-busy
digest-mismatch disk-full endpoint endpoint-credential expectation host-key-mismatch incomplete internal
invalid-client invalid-scope invalid-token key-destroyed malformed-request method-not-allowed no-such-file
no-such-route no-such-transfer no-such-upload not-authenticated not-initialised not-permitted not-registered
offset-mismatch outside-ranges quota-reached readback store too-large too-many-failures too-many-streams
too-many-transfers unreachable unsupported-coding unsupported-media unusable upload-busy upload-gone wrong-state
"""
CODES: Final = frozenset(_CODES.split())
DOORS: Final = frozenset(door.value for door in Door)
_KINDS: Final = """
close fsetstat fstat fstatvfs fsync limits lsetstat lstat mkdir open opendir posix_rename read readdir realpath remove
rename rmdir setstat stat statvfs write
"""
KINDS: Final = frozenset(_KINDS.split())
OUTCOMES: Final = frozenset({"ok", "no-such-file", "denied", "unsupported", "quota", "no-room", "failure"})
LOST: Final = frozenset({"start", "died"})
DELIVERIES: Final = ("delivered", "deferred", "parked")
REFUSALS: Final = frozenset({"banned", "knocking", "connections", "session_handles", "handles", "uploads"})
_SECOND_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_LATE_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)
_STAY_BUCKETS: Final = (0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
_BYTE_BUCKETS: Final = tuple(float(1 << exponent) for exponent in range(10, 41, 3))

Fields = Mapping[str, Any]


def share_counts(worker: int) -> str:
    """Count in files that all workers see; returns their folder. Call it before any `PrometheusObserver` is made.

    The folder is a fresh one of the parent's, named in `PROMETHEUS_MULTIPROC_DIR`, as prometheus_client wants it.
    """
    # The library's own way to name the files; its name for processes that are forked is their id.
    values.ValueClass = MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]  # untyped there
    return os.environ["PROMETHEUS_MULTIPROC_DIR"]


class _Gauges(Collector):
    """What stands as it is and is not counted."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.counts: dict[str, int] = {}
        self.ages: dict[str, float] = {}
        self.banned = 0.0
        self.parked = 0.0
        self.filings: dict[str, int] = {}
        self.filing_days: dict[str, int] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families of the text format."""
        yield _gauge("hetao_build_info", "Which gateway this is.", "version", {self._version: 1})
        yield _gauge("hetao_transfers", "Transfers by state.", "state", self.counts)
        about = "Age of the oldest transfer in each state that is not an end."
        yield _gauge("hetao_transfer_state_age_seconds", about, "state", self.ages)
        bounds = {state.value: standing.within.total_seconds() for state, standing in STANDING.items()}
        yield _gauge("hetao_transfer_state_limit_seconds", "Longest stay in each state.", "state", bounds)
        yield GaugeMetricFamily("hetao_banned_addresses", "Bans that stand, in all processes.", value=self.banned)
        yield _gauge("hetao_filings", "Filings by state.", "state", self.filings)
        soonest = "Days until the first filing of a kind that holds ends."
        yield _gauge("hetao_filing_days_left", soonest, "kind", self.filing_days)
        yield GaugeMetricFamily("hetao_webhooks_parked", "Webhooks nothing is sent to any more.", value=self.parked)


class PrometheusObserver:
    """`gateway.ports.Observer` with a registry of its own.

    Args:
        version: This release, for `hetao_build_info`.
        routes: Route templates of the doors; a route not among them is `other`.
        shared: Where all workers count (`share_counts`); empty where this process is the only one.
    """

    def __init__(self, *, version: str, routes: frozenset[str] = frozenset(), shared: str = "") -> None:
        self._routes = routes
        self.registry = registry = CollectorRegistry()
        self._exposed = CollectorRegistry() if shared else registry
        if shared:
            MultiProcessCollector(self._exposed, shared)  # type: ignore[no-untyped-call]  # untyped there
        self._gauges = _Gauges(version)
        self._exposed.register(self._gauges)
        self._facts = Counter("hetao_facts_total", "Facts recorded.", ["tag"], registry=registry)
        self._stays = Histogram(
            "hetao_stage_seconds",
            "Time a transfer stood in a state, when it left it.",
            ["state"],
            buckets=_STAY_BUCKETS,
            registry=registry,
        )
        self._files = Counter("hetao_received_files_total", "Files received whole.", ["format"], registry=registry)
        self._bytes = Counter(
            "hetao_received_bytes_total", "Plaintext bytes received in whole files.", registry=registry
        )
        self._sizes = Histogram(
            "hetao_received_file_bytes", "Sizes of received files.", buckets=_BYTE_BUCKETS, registry=registry
        )
        self._faltered = Counter(
            "hetao_stage_faltered_total", "Stages that failed.", ["state", "code", "retry"], registry=registry
        )
        self._crashes = Counter("hetao_stage_crashed_total", "Defects of ours in a stage.", registry=registry)
        self._rounds = Counter("hetao_conductor_faltered_total", "Rounds that failed.", ["code"], registry=registry)
        self._requests = Counter(
            "hetao_http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "hetao_http_request_seconds",
            "From a request's head to its answer.",
            ["route"],
            buckets=_SECOND_BUCKETS,
            registry=registry,
        )
        self._problems = Counter("hetao_http_problems_total", "Problems answered.", ["code"], registry=registry)
        self._tokens = Counter("hetao_tokens_total", "Token requests.", ["outcome"], registry=registry)
        self._deliveries = Counter(
            "hetao_webhook_deliveries_total", "Events brought to webhooks, or not.", ["outcome"], registry=registry
        )
        self._late = Histogram(
            "hetao_event_loop_lag_seconds",
            "How late the event loop came to a tick that was due, twenty of them a second.",
            buckets=_LATE_BUCKETS,
            registry=registry,
        )
        self._classifiers = Counter(
            "hetao_classifiers_lost_total",
            "Processes beside the gateway that classify, which did not start, or ended before it did.",
            ["reason"],
            registry=registry,
        )
        self._others = Counter(
            "hetao_unknown_events_total", "Events this version has no metric for.", registry=registry
        )
        self._sign_ins = _SignIns(registry)
        self._sftp = _Sftp(registry)
        self._scraped = Counter("hetao_scrape_faltered_total", "Scrapes without a database.", registry=registry)
        self._seen: dict[str, Callable[[Fields], None]] = {
            "file.received": self._saw_file,
            "files.received": lambda _: None,  # the log's line for what was just counted file by file
            "stage.faltered": self._saw_stage_falter,
            "stage.crashed": lambda _: self._crashes.inc(),
            "classifier.lost": lambda fields: self._classifiers.labels(_among(LOST, fields.get("reason"))).inc(),
            "conductor.faltered": lambda fields: self._rounds.labels(_among(CODES, fields.get("code"))).inc(),
            "request.answered": self._saw_answer,
            "token.issued": lambda _: self._tokens.labels("issued").inc(),
            "token.refused": lambda fields: self._tokens.labels(_among(CODES, fields.get("code"))).inc(),
            **{f"webhook.{outcome}": self._saw_delivery(outcome) for outcome in DELIVERIES},
            "webhooks.faltered": lambda fields: self._rounds.labels(_among(CODES, fields.get("code"))).inc(),
            **self._sign_ins.seen(),
            **self._sftp.seen(),
        }
        self._begin()

    def _begin(self) -> None:
        """Every bounded series exists from the start: an alert on a rate needs the zero before the first one."""
        for tag in TAGS:
            self._facts.labels(tag)
        for reason in LOST:
            self._classifiers.labels(reason)
        for outcome in ("issued", "invalid-client", "invalid-scope"):
            self._tokens.labels(outcome)

    def _saw_delivery(self, outcome: str) -> Callable[[Fields], None]:
        counted = self._deliveries.labels(outcome)
        return lambda _: counted.inc()

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        """Count it."""
        if event in TAGS:
            self._saw_fact(event, fields)
        elif event in self._seen:
            self._seen[event](fields)
        else:
            self._others.inc()

    def counted(
        self, states: Mapping[str, tuple[int, datetime | None]], now: datetime, banned: int = 0, parked: int = 0
    ) -> None:
        """Set the gauges from the database's `state_counts`, the number of bans that stand and of webhooks parked."""
        self._gauges.banned, self._gauges.parked = banned, parked
        for state in STATES:
            count, oldest = states.get(state, (0, None))
            self._gauges.counts[state] = count
            if state in {each.value for each in STANDING}:
                age = (now - oldest).total_seconds() if oldest and count else 0.0
                self._gauges.ages[state] = max(0.0, age)

    def filed(self, states: Mapping[str, int], days_left: Mapping[str, int]) -> None:
        """Set the gauges of filings: how many are in each state, and by kind the days until the first one ends."""
        self._gauges.filings, self._gauges.filing_days = dict(states), dict(days_left)

    def not_counted(self) -> None:
        """The database could not be asked: gauges that would lie are taken back."""
        self._scraped.inc()
        self._gauges.counts.clear()
        self._gauges.ages.clear()
        self._gauges.filings.clear()
        self._gauges.filing_days.clear()
        self._gauges.banned = self._gauges.parked = float("nan")

    def exposed(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self._exposed)

    def late(self, seconds: float) -> None:
        """Count one tick of the event loop; no event, because logs have no use for twenty a second."""
        self._late.observe(seconds)

    # --- events ------------------------------------------------------------------------------------------------------

    def _saw_fact(self, tag: str, fields: Fields) -> None:
        self._facts.labels(tag).inc()
        seconds = fields.get("seconds")
        if isinstance(seconds, int | float):
            self._stays.labels(_among(STATES, fields.get("left"))).observe(max(0.0, seconds))

    def _saw_file(self, fields: Fields) -> None:
        size = float(fields.get("bytes") or 0)
        self._files.labels(_among(FORMATS, fields.get("format"))).inc()
        self._bytes.inc(size)
        self._sizes.observe(size)

    def _saw_stage_falter(self, fields: Fields) -> None:
        code, state = _among(CODES, fields.get("code")), _among(STATES, fields.get("state"))
        self._faltered.labels(state, code, "yes" if fields.get("retry") else "no").inc()

    def _saw_answer(self, fields: Fields) -> None:
        route = _among(self._routes, fields.get("route"))
        status = fields.get("status")
        known = isinstance(status, int) and 100 <= status <= 599
        self._requests.labels(_among(METHODS, fields.get("method")), route, str(status) if known else OTHER).inc()
        self._request_seconds.labels(route).observe(float(fields.get("seconds") or 0.0))
        if code := fields.get("code"):
            self._problems.labels(_among(CODES, code)).inc()


class _SignIns:
    """Sign-ins that failed, and what came of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter("hetao_login_failures_total", "Sign-ins that failed.", ["door"], registry=registry)
        self.bans = Counter("hetao_bans_total", "Addresses banned by this process.", ["door"], registry=registry)
        for door in DOORS:
            self.failures.labels(door)
            self.bans.labels(door)

    def seen(self) -> Mapping[str, Callable[[Fields], None]]:
        """By event."""
        return {
            "login.failed": lambda fields: self.failures.labels(_among(DOORS, fields.get("door"))).inc(),
            "address.banned": lambda fields: self.bans.labels(_among(DOORS, fields.get("door"))).inc(),
        }


class _Sftp:
    """The SFTP door."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = _standing("hetao_sftp_connections", "Connections that are signed in.", registry)
        self.sessions = _standing("hetao_sftp_sessions", "Channels at work.", registry)
        self.files = _standing("hetao_sftp_open_files", "Files that are open.", registry)
        self.requests = Counter(
            "hetao_sftp_requests_total", "Requests answered.", ["kind", "outcome"], registry=registry
        )
        self.received = Counter(
            "hetao_sftp_received_bytes_total",
            "Bytes of WRITE requests taken, of files that were never finished too.",
            registry=registry,
        )
        self.abandoned = Counter(
            "hetao_sftp_abandoned_uploads_total", "Files whose connection went away before CLOSE.", registry=registry
        )
        self.refusals = Counter(
            "hetao_sftp_refusals_total", "What a bound or a ban refused.", ["reason"], registry=registry
        )
        for reason in REFUSALS:
            self.refusals.labels(reason)

    def seen(self) -> Mapping[str, Callable[[Fields], None]]:
        """By event."""
        return {
            "sftp.entered": lambda _: self.connections.inc(),
            "sftp.left": lambda _: self.connections.dec(),
            "sftp.session_began": lambda _: self.sessions.inc(),
            "sftp.session_ended": lambda _: self.sessions.dec(),
            "sftp.opened": lambda _: self.files.inc(),
            "sftp.closed": lambda _: self.files.dec(),
            "sftp.abandoned": lambda _: self.abandoned.inc(),
            "sftp.took": lambda fields: self.received.inc(float(fields.get("bytes") or 0)),
            "sftp.answered": self._answered,
            "sftp.refused": self._refused,
            "address.turned_away": self._refused,
        }

    def _answered(self, fields: Fields) -> None:
        kind, outcome = _among(KINDS, fields.get("kind")), _among(OUTCOMES, fields.get("outcome"))
        self.requests.labels(kind, outcome).inc(float(fields.get("count") or 0))

    def _refused(self, fields: Fields) -> None:
        self.refusals.labels(_among(REFUSALS, fields.get("reason"))).inc(float(fields.get("count") or 1))


def _standing(name: str, about: str, registry: CollectorRegistry) -> Gauge:
    """What stands now in a process; workers add up. A worker that died left its number to the next one, which begins at 0."""
    gauge = Gauge(name, about, registry=registry, multiprocess_mode="sum")
    gauge.set(0)
    return gauge


def _gauge(name: str, about: str, label: str, held: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=[label])
    for value, number in held.items():
        family.add_metric([value], number)
    return family


def _among(known: frozenset[str], value: object) -> str:
    return value if isinstance(value, str) and value in known else OTHER
