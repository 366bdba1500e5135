"""`hetao bans`: what it prints, and what it refuses with which exit code."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from gateway.cli import REFUSED, USAGE, bans, exit_code
from gateway.core.errors import GatewayError, Unusable
from gateway.flow.defender import Defence, Defender, parse_networks
from tests.fakes.clock import FakeClock
from tests.fakes.observer import FakeObserver
from tests.fakes.records import FakeRecords


@pytest.fixture
def run(monkeypatch):
    defence = Defence(exempt=parse_networks("10.0.0.0/8"))
    defender = Defender(records=FakeRecords(), clock=FakeClock(), observer=FakeObserver(), defence=defence)
    gateway = SimpleNamespace(defender=defender)
    monkeypatch.setattr(bans, "with_gateway", lambda _config, work: asyncio.run(work(gateway)))

    def invoke(*arguments: str):
        return CliRunner().invoke(bans.app, arguments, env={"COLUMNS": "200"})

    return invoke


def test_a_ban_is_added_listed_and_lifted(run):
    assert json.loads(run("list", "--json").stdout) == []
    added = run("add", "2001:db8::1", "--for", "90m", "--reason", "scanning", "--json")
    ban = {
        "address": "2001:db8::/64",
        "reason": "scanning",
        "at": "2026-11-20T02:00:00+00:00",
        "until": "2026-11-20T03:30:00+00:00",
    }
    assert json.loads(added.stdout) == ban
    assert json.loads(run("list", "--json").stdout) == [ban]
    assert "2001:db8::/64" in run("list").stdout
    assert "may sign in again" in run("lift", "2001:db8::77").stdout
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("lift", "192.0.2.1"), REFUSED),
        (("lift", "nonsense"), USAGE),
        (("add", "192.0.2.0/24"), USAGE),
        (("add", "10.1.2.3"), USAGE),
        (("add", "192.0.2.1", "--for", "soon"), USAGE),
        (("add", "192.0.2.1", "--for", "0m"), USAGE),
        (("add", "192.0.2.1", "--for", "99999d"), USAGE),
    ],
)
def test_refusals_have_the_exit_codes_of_the_others(run, arguments, code):
    failure = run(*arguments).exception
    assert isinstance(failure, GatewayError)
    assert exit_code(failure) == code
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("text", "length"), [("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), ("7d", timedelta(days=7))]
)
def test_lengths(text, length):
    assert bans.parse_length(text) == length


@pytest.mark.parametrize("text", ["", "m", "-1h", "1w", "1.5h", "1h30m", "١h"])
def test_what_is_no_length(text):
    with pytest.raises(Unusable):
        bans.parse_length(text)
