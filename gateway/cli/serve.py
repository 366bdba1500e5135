"""One process of `hetao serve`: the doors, the conductor and the metrics, until SIGTERM or Ctrl-C.

What it is not: the command, and the parent of several processes (`workers`). A worker's ports are shared, its counts are
kept where all workers add them up, its log lines have its number, and it ends with its parent.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.core.errors import StoreError, Unusable
from gateway.doors.https.app import make_app
from gateway.doors.https.events import StreamLimits
from gateway.doors.https.guard import ROUTES
from gateway.doors.https.origins import parse_origins
from gateway.doors.https.server import serving
from gateway.doors.https.tls import server_context
from gateway.doors.page import ROUTES as PAGE_ROUTES
from gateway.doors.page import make_page_app
from gateway.doors.sftp import DoorLimits
from gateway.doors.sftp import serving as serving_sftp
from gateway.identity.apppasswords import AppPasswords
from gateway.identity.assertions import ClientAssertions
from gateway.identity.clientcertificates import ClientCertificates
from gateway.identity.revocationlists import RevocationLists, load_bundle
from gateway.identity.sessions import PageSessions
from gateway.identity.sshcertificates import SshCertificates, load_authorities
from gateway.identity.sshkeys import SshKeys
from gateway.identity.tokenkeys import TokenKeys
from gateway.identity.tokens import AccessTokens
from gateway.inspect.allocator import keep_freed_memory
from gateway.ports import Observer
from gateway.settings import Settings
from gateway.stores.locales import load_catalogue
from gateway.telemetry.health import gateway_health
from gateway.telemetry.lateness import watching_lateness
from gateway.telemetry.logs import LogObserver, configure_logs
from gateway.telemetry.metrics import PrometheusObserver, share_counts
from gateway.telemetry.observers import Observers
from gateway.telemetry.server import make_metrics_app
from gateway.wiring import Gateway, open_deliveries, open_gateway, unkept

LIVING = "living.lock"
PARENT = 0  # a worker's standard input is a socket to its parent (`workers`, rule 3)


SWITCH_SECONDS: Final = 0.0005
"""How long a thread keeps the interpreter while another wants it; Python's own 5 ms make the classifier's many short turns
wait for the event loop's. Measured: reads by SFTP a fifth faster, tables a twentieth, random bytes and small files the same."""


def serve(settings: Settings, worker: int = 0) -> None:
    """Run the gateway in this process; `worker` is its number where it has a parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold plaintext and keys
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_freed_memory()
    try:
        asyncio.run(_serve(settings, worker))
    except OSError as busy:
        raise StoreError(f"a door cannot be opened: {busy.strerror}; is another gateway on these ports?") from busy


async def _serve(settings: Settings, worker: int) -> None:
    logs = LogObserver(configure_logs(settings.text("telemetry.log_level"), worker=worker))
    shared = share_counts(worker) if worker else ""
    metrics = PrometheusObserver(version=version("hetao-gateway"), routes=ROUTES | PAGE_ROUTES, shared=shared)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    if worker:
        _end_with_parent(loop, stopping)
    observer = Observers(logs, metrics)
    async with open_gateway(settings, observer) as gateway, AsyncExitStack() as stack:
        with _living(settings.path("gateway.data")) as alone:
            await gateway.resume.recover(alone=alone)  # before the sweep, which takes what nobody knows of
            await gateway.intake.keeper.recover()
            gateway.intake.keeper.holds = not worker
            gateway.uploads.turns.shared = bool(worker)
            gateway.spool.sweep()
        await gateway.registrar.registry()  # refuse to serve on a registry that does not fold
        await stack.enter_async_context(gateway.defender.watching())
        https_port = await stack.enter_async_context(_https(gateway, observer, shared=bool(worker)))
        sftp_port = await stack.enter_async_context(_sftp(gateway, observer, shared=bool(worker)))
        page_port = None
        if settings.text("page.served") == "yes":
            page_port = await stack.enter_async_context(_page(gateway, observer, shared=bool(worker)))
        metrics_port = await stack.enter_async_context(_metrics(gateway, metrics, shared=bool(worker)))
        await stack.enter_async_context(watching_lateness(metrics.late))
        ports = {"https_port": https_port, "sftp_port": sftp_port, "page_port": page_port, "metrics_port": metrics_port}
        observer.saw("gateway.started", **ports)
        for reason in unkept(settings, gateway.policies):  # T1 denies everything: say so before anybody wonders
            observer.saw("controls.failed", profile=settings.text("controls.profile"), reason=reason)
        if worker:
            os.write(PARENT, b"+")
        deliveries = stack.enter_context(open_deliveries(gateway, TokenKeys(settings.path("keys.tokens"))))
        await _work_until(stopping, gateway.conductor.run(), deliveries.run())
        observer.saw("gateway.stopping")


@contextmanager
def _living(data: Path) -> Iterator[bool]:
    """Whether this process is the only one that serves from a data folder; another that starts meanwhile waits.

    The lock is shared from the end of the block to the end of the process.
    """
    descriptor = os.open(data / LIVING, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        alone = False
    yield alone
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def _end_with_parent(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Stop when the parent is gone: it never writes, so that a readable socket is a closed one."""

    def gone() -> None:
        loop.remove_reader(PARENT)
        stopping.set()

    loop.add_reader(PARENT, gone)


def _https(gateway: Gateway, observer: Observer, *, shared: bool) -> AbstractAsyncContextManager[int]:
    settings, recorder = gateway.settings, gateway.recorder
    issuer = settings.text("gateway.issuer").rstrip("/")
    certificates = _client_certificates(gateway, observer)
    tokens = AccessTokens(
        records=gateway.database,
        registrar=gateway.registrar,
        clock=recorder.clock,
        entropy=recorder.entropy,
        issuer=issuer,
        key=TokenKeys(settings.path("keys.tokens")),
        certificates=certificates,
    )
    assertions = ClientAssertions(
        records=gateway.database,
        registrar=gateway.registrar,
        clock=recorder.clock,
        audiences=(issuer, f"{issuer}/oauth2/token"),
    )
    app = make_app(
        intake=gateway.intake,
        uploads=gateway.uploads,
        enquiry=gateway.enquiry,
        folders=gateway.folders,
        resume=gateway.resume,
        locks=gateway.locks,
        subtrees=gateway.subtrees,
        clock=recorder.clock,
        newsroom=gateway.newsroom,
        assertions=assertions,
        tokens=tokens,
        catalogue=load_catalogue(),
        observer=observer,
        health=gateway_health(
            records=gateway.database, registrar=gateway.registrar, spool=gateway.spool, clock=recorder.clock
        ),
        defender=gateway.defender,
        origins=parse_origins(settings.text("https.origins")),
        certificates=certificates,
        passwords=AppPasswords(records=gateway.database, registrar=gateway.registrar, clock=recorder.clock),
        streams=StreamLimits(each=settings.number("https.streams")),
    )
    certificate, key = settings.path("https.certificate"), settings.path("https.key")
    client_ca = settings.path("https.client_ca") if certificates else None
    tls = server_context(certificate, key, minimum=settings.text("https.minimum_tls"), client_ca=client_ca)
    host, port = settings.text("https.host"), settings.number("https.port")
    return serving(app, host=host, port=port, tls=tls, shared=shared)


def _page(gateway: Gateway, observer: Observer, *, shared: bool) -> AbstractAsyncContextManager[int]:
    """The upload page; its TLS asks nobody for a certificate, whatever the HTTPS door's does."""
    settings, recorder = gateway.settings, gateway.recorder
    passwords = AppPasswords(records=gateway.database, registrar=gateway.registrar, clock=recorder.clock)
    app = make_page_app(
        intake=gateway.intake,
        uploads=gateway.uploads,
        enquiry=gateway.enquiry,
        sessions=PageSessions(
            passwords=passwords,
            records=gateway.database,
            clock=recorder.clock,
            entropy=recorder.entropy,
            issuer=settings.text("gateway.issuer").rstrip("/"),
            key=TokenKeys(settings.path("keys.tokens")),
        ),
        rulebook=gateway.policies.rulebook,
        catalogue=load_catalogue(),
        observer=observer,
        defender=gateway.defender,
    )
    certificate, key = settings.path("https.certificate"), settings.path("https.key")
    tls = server_context(certificate, key, minimum=settings.text("https.minimum_tls"))
    host, port = settings.text("page.host"), settings.number("page.port")
    return serving(app, host=host, port=port, tls=tls, shared=shared)


def _client_certificates(gateway: Gateway, observer: Observer) -> ClientCertificates | None:
    """Whose client certificates count; none is asked for where no authority is set."""
    settings, clock = gateway.settings, gateway.recorder.clock
    if not settings.text("https.client_ca"):
        if settings.text("https.client_crl"):
            raise Unusable("https.client_crl is of no use without https.client_ca", code="bad-settings")
        return None
    crl = settings.path("https.client_crl") if settings.text("https.client_crl") else None
    return ClientCertificates(
        records=gateway.database,
        registrar=gateway.registrar,
        clock=clock,
        observer=observer,
        lists=RevocationLists(load_bundle(settings.path("https.client_ca")), crl, clock),
    )


def _sftp(gateway: Gateway, observer: Observer, *, shared: bool) -> AbstractAsyncContextManager[int]:
    settings, clock = gateway.settings, gateway.recorder.clock
    data = settings.path("gateway.data")

    def room() -> tuple[int, int]:
        usage = shutil.disk_usage(data)
        return usage.total, usage.free

    return serving_sftp(
        host=settings.text("sftp.host"),
        port=settings.number("sftp.port"),
        host_key=settings.path("sftp.host_key"),
        intake=gateway.intake,
        enquiry=gateway.enquiry,
        folders=gateway.folders,
        resume=gateway.resume,
        keys=SshKeys(
            records=gateway.database,
            registrar=gateway.registrar,
            clock=clock,
            certificates=_certificates(gateway, observer),
        ),
        catalogue=load_catalogue(),
        clock=clock,
        observer=observer,
        defender=gateway.defender,
        room=room,
        limits=_door_limits(settings),
        shared=shared,
    )


def _door_limits(settings: Settings) -> DoorLimits:
    return DoorLimits(
        session_handles=settings.number("sftp.session_handles"),
        connections=settings.number("sftp.connections"),
        knocking=settings.number("sftp.knocking"),
        handles=settings.number("sftp.handles"),
        uploads=settings.number("sftp.uploads"),
        bandwidth=settings.number("sftp.bandwidth"),
        login=settings.number("sftp.login_seconds"),
        idle=settings.number("sftp.idle_seconds"),
        keepalive=settings.number("sftp.keepalive_seconds"),
    )


def _certificates(gateway: Gateway, observer: Observer) -> SshCertificates | None:
    """Who may come with a certificate; nobody where no authority is set."""
    if not gateway.settings.text("sftp.user_ca"):
        return None
    return SshCertificates(
        records=gateway.database,
        registrar=gateway.registrar,
        clock=gateway.recorder.clock,
        observer=observer,
        authorities=load_authorities(gateway.settings.path("sftp.user_ca")),
    )


@asynccontextmanager
async def _metrics(gateway: Gateway, metrics: PrometheusObserver, *, shared: bool) -> AsyncIterator[int]:
    clock = gateway.recorder.clock
    health = gateway_health(records=gateway.database, registrar=gateway.registrar, spool=gateway.spool, clock=clock)
    app = make_metrics_app(
        metrics=metrics, records=gateway.database, clock=clock, health=health, filings=gateway.filings.counts
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        host, port = gateway.settings.text("metrics.host"), gateway.settings.number("metrics.port")
        await web.TCPSite(runner, host, port, reuse_port=shared or None).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _work_until(stopping: asyncio.Event, *loops: Coroutine[Any, Any, None]) -> None:
    """Run the loops until asked to stop; if one ends by itself, so does the gateway, and loudly."""
    running = [asyncio.ensure_future(loop) for loop in loops]
    asked = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({*running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    ended = [each for each in running if each.done()]
    for each in running:
        each.cancel()
    await asyncio.wait(running)
    for each in ended:
        each.result()
