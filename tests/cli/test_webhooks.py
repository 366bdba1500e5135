"""`hetao webhooks`: what it prints, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from gateway.cli import REFUSED, exit_code, webhooks
from gateway.core.errors import Conflict, GatewayError
from gateway.flow.webhooks import Webhooks
from gateway.ports import Outbox
from tests.fakes.clock import EPOCH
from tests.flow.rig import Rig
from tests.flow.test_webhooks import ERP


@pytest.fixture
async def rig():
    made = Rig()
    await made.found()
    await made.register(("webhook", ERP))
    return made


@pytest.fixture
def run(rig, monkeypatch):
    gateway = SimpleNamespace(webhooks=Webhooks(recorder=rig.recorder, registrar=rig.registrar))
    done: list[object] = []

    def at_once(_config, work):
        return done.pop(0) if done else asyncio.run(work(gateway))

    monkeypatch.setattr(webhooks, "with_gateway", at_once)

    async def invoke(*arguments: str, outbox: Outbox | None = None):
        if outbox is not None:
            async with rig.records.write() as tx:
                await tx.put_outbox(outbox)
        rig.restart()
        gateway.webhooks = Webhooks(recorder=rig.recorder, registrar=rig.registrar)
        return await asyncio.to_thread(CliRunner().invoke, webhooks.app, arguments, env={"COLUMNS": "200"})

    return invoke


PARKED = Outbox("erp", 2, EPOCH, 32, "status 503", EPOCH, EPOCH - timedelta(days=1))


async def test_what_is_parked_is_shown_and_taken_up_again(run, rig):
    assert json.loads((await run("list", "--json")).stdout) == []  # nobody looked yet
    (row,) = json.loads((await run("list", "--json", outbox=PARKED)).stdout)
    assert row == {
        "webhook": "erp",
        "institution": "sz-lab",
        "host": "erp.example",
        "state": "parked",
        "behind": len(rig.records.state.entries) - 2,
        "attempts": 32,
        "reason": "status 503",
        "next": "",
        "delivered": "2026-11-19T02:00:00+00:00",
        "parked": "2026-11-20T02:00:00+00:00",
    }
    assert "parked" in (await run("list")).stdout
    assert "from ledger entry 2 on" in (await run("retry", "erp")).stdout
    assert rig.records.state.outboxes["erp"] == replace(
        PARKED, attempts=0, reason="", parked_at=None, next_at=rig.clock.now()
    )
    (row,) = json.loads((await run("list", "--json")).stdout)
    assert row["state"] == "well"


async def test_one_event_may_be_passed_over(run):
    assert json.loads((await run("retry", "erp", "--skip", "--json", outbox=PARKED)).stdout)["position"] == 3


@pytest.mark.parametrize(
    ("name", "outbox"), [("nobody", PARKED), ("erp", replace(PARKED, worker="w", until=EPOCH + timedelta(hours=1)))]
)
async def test_what_cannot_be_taken_up_is_refused(run, name, outbox):
    failure = (await run("retry", name, outbox=outbox)).exception
    assert isinstance(failure, GatewayError)
    assert exit_code(failure) == REFUSED
    assert isinstance(failure, Conflict) is (name == "erp")
