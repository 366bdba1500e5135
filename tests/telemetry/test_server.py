"""The metrics port over a real socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import date, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.errors import BrokenPromise, StoreError
from gateway.core.facts import local_day
from gateway.core.records import parse_record
from gateway.flow.filings import Filings
from gateway.ports import Ban
from gateway.stores.rulebooks import prc_calendar
from gateway.telemetry.health import Health, gateway_health
from gateway.telemetry.metrics import PrometheusObserver
from gateway.telemetry.server import make_metrics_app
from tests.fakes.records import FakeRecords
from tests.fakes.spool import FakeSpool
from tests.identity.parties import Parties


class AwayRecords(FakeRecords):
    """A database that can be switched off."""

    away = False

    @asynccontextmanager
    async def read(self):
        if self.away:
            raise StoreError("the database cannot be reached at db.internal")
        async with super().read() as view:
            yield view


@pytest.fixture
async def parties():
    return await Parties(records=AwayRecords()).found()


@pytest.fixture
async def client(parties):
    health = gateway_health(
        records=parties.records, registrar=parties.registrar, spool=FakeSpool(), clock=parties.clock
    )
    health._fresh = 0.0
    app = make_metrics_app(
        metrics=PrometheusObserver(version="1"),
        records=parties.records,
        clock=parties.clock,
        health=health,
        filings=Filings(recorder=parties.recorder, registrar=parties.registrar, calendar=prc_calendar()).counts,
    )
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        yield client


async def test_metrics_are_exposed_with_gauges(parties, client):
    now = parties.clock.now()
    async with parties.records.write() as tx:
        await tx.put_ban(Ban("192.0.2.7", "failures", now, now + timedelta(hours=1)))
        await tx.put_ban(Ban("192.0.2.8", "failures", now - timedelta(hours=2), now - timedelta(hours=1)))
    answer = await client.get("/metrics")
    text = await answer.text()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'hetao_transfers{state="held"} 0.0' in text
    assert "hetao_build_info" in text
    assert "hetao_banned_addresses 1.0" in text
    parties.records.away = True
    text = await (await client.get("/metrics")).text()
    assert "hetao_transfers{" not in text
    assert "hetao_scrape_faltered_total 1.0" in text


async def test_filings_are_gauges_without_names(parties, client):
    table = {"id": "sa-secret-name", "institution": "sz-lab", "kind": "SA", "recipients": [], "effective": "2024-01-02"}
    unfiled = {**table, "id": "scc", "kind": "SCC", "effective": "2026-01-02", "valid_to": "2027-01-01"}
    tables = (table, {**table, "id": "sa-2", "extended": True}, unfiled)
    await parties.amend(*(("filing", parse_record("filing", each)) for each in tables))
    text = await (await client.get("/metrics")).text()
    assert 'hetao_filings{state="overdue"} 1.0' in text
    assert 'hetao_filings{state="expired"} 0.0' in text
    days = (date(2027, 1, 2) - local_day(parties.clock.now())).days
    assert f'hetao_filing_days_left{{kind="SA"}} {float(days)}' in text
    assert "secret-name" not in text
    parties.records.away = True
    text = await (await client.get("/metrics")).text()
    assert "hetao_filings{" not in text
    assert "hetao_filing_days_left{" not in text


async def test_living_is_not_being_ready(parties, client):
    answer = await client.get("/readyz")
    assert answer.status == 200
    assert await answer.json() == {"status": "ok", "checks": {"database": "ok", "registry": "ok", "spool": "ok"}}
    parties.records.away = True
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["checks"] == {"database": "store", "registry": "store", "spool": "ok"}
    assert "db.internal" not in await answer.text()
    assert (await client.get("/healthz")).status == 200


async def test_a_registry_that_does_not_fold_is_not_ready(parties, client):
    parties.registrar._genesis = "0" * 64
    parties.registrar._folded = type(parties.registrar._folded)()
    answer = await client.get("/readyz")
    assert (await answer.json())["checks"]["registry"] == "broken-promise"


async def test_a_full_spool_is_not_ready(parties):
    spool = FakeSpool(room=0)
    health = gateway_health(records=parties.records, registrar=parties.registrar, spool=spool, clock=parties.clock)
    assert (await health())["spool"] == "disk-full"
    assert not spool.busy


async def test_every_check_is_bounded_and_named():
    async def stuck():
        await asyncio.Event().wait()

    async def broken():
        raise RuntimeError("secret")

    async def lying():
        raise BrokenPromise("evidence")

    async def fine():
        return None

    health = Health({"stuck": stuck, "broken": broken, "lying": lying, "fine": fine}, bound=0.01)
    assert await health() == {"stuck": "timeout", "broken": "broken", "lying": "broken-promise", "fine": "ok"}


async def test_many_probes_ask_once():
    asked = []

    async def check():
        asked.append(1)

    health = Health({"check": check}, fresh=60)
    await asyncio.gather(*(health() for _ in range(50)))
    assert len(asked) == 1


async def test_the_age_of_the_oldest_is_told(parties, client):
    from gateway.core.transfer import State
    from tests.telemetry.standing import held

    async with parties.records.write() as tx:
        await tx.put_transfer(held("t" + "a" * 24, parties.clock.now() - timedelta(hours=1)))
    text = await (await client.get("/metrics")).text()
    assert f'hetao_transfer_state_age_seconds{{state="{State.HELD.value}"}} 3600.0' in text
