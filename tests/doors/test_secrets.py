"""No secret in logs or metrics, whatever a client sends where: the real log and the real counters behind the real door."""

from __future__ import annotations

import base64
import io
import logging
from urllib.parse import urlencode

import pytest
import structlog

from gateway.doors.https import ROUTES
from gateway.telemetry.logs import LogObserver, configure_logs
from gateway.telemetry.metrics import PrometheusObserver
from gateway.telemetry.observers import Observers
from tests.doors.mutual import PASSWORD, USER, MutualSite

OTHER = "hap_" + "z7" * 16
ODD = "hunter2-in-an-odd-place"
TYPED = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def logs():
    """Everything anybody logs, down to the libraries' debugging; the process's logging is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logger = configure_logs("debug", stream)
    root.setLevel(logging.DEBUG)
    yield stream, LogObserver(logger)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def told(tmp_path, logs):
    stream, observer = logs
    metrics = PrometheusObserver(version="1", routes=ROUTES)
    site = MutualSite(tmp_path)
    site.rig.observer = Observers(observer, metrics)
    site.rig.restart()
    await site.found()
    return site, lambda: stream.getvalue() + metrics.exposed().decode()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()


async def send_everywhere(site, token: str) -> None:
    """A token and passwords where they belong and where they do not."""
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": f"Token {token}"},
        {"Authorization": basic(PASSWORD)},
        {"X-Api-Key": ODD, "Cookie": f"session={ODD}", "Accept-Language": ODD},
    ):
        await site.ask("GET", "/v1/transfers", headers)
        await site.ask("GET", f"/v1/transfers?access_token={token}&password={PASSWORD}&x={ODD}", headers)
        await site.ask("GET", f"/dav/{ODD}/{PASSWORD}", headers)


async def test_nothing_a_client_proves_itself_with_is_told(told):
    site, everything = told
    form = site.form()
    async with site.secured():
        card = site.card("sz")
        answers = [await site.ask("POST", "/oauth2/token", TYPED, urlencode(form).encode()) for _ in range(2)]
        assert [each.status for each in answers] == [200, 401]  # taken, spent
        token = answers[0].json()["access_token"]
        for path in ("/oauth2/introspect", "/oauth2/revoke"):
            body = urlencode({**site.form(), "token": token, "client_secret": ODD}).encode()
            await site.ask("POST", path, TYPED, body)
        await send_everywhere(site, token)
        await site.ask("GET", "/v1/transfers", card=card)
    async with site.folders(site.context()):
        for password in (PASSWORD, OTHER, ODD):
            await site.ask("GET", f"/dav/{ODD}", {"Authorization": basic(password)})
        await site.ask("GET", "/dav/x", {"Authorization": f"{basic(OTHER)} {ODD}"})
    said = everything()
    assert '"event": "login.failed"' in said  # it did log
    assert "hetao_login_failures_total" in said
    secrets = [token, token.rpartition(".")[2], form["client_assertion"], PASSWORD, OTHER, ODD]
    secrets += [basic(each).removeprefix("Basic ") for each in (PASSWORD, OTHER, ODD)]
    secrets += [card.key.read_text().splitlines()[1]]
    assert [secret for secret in secrets if secret in said] == []


async def test_a_mistake_of_ours_tells_no_secret_in_its_traceback(told, monkeypatch):
    """A traceback quotes what an exception says; what looks like a secret is masked last, whoever wrote it."""
    site, everything = told

    async def broken(_view):
        raise RuntimeError(f"while checking {basic(PASSWORD)} and {PASSWORD}")

    async with site.folders(site.context()):
        monkeypatch.setattr(site.rig.registrar, "fold", broken)
        answer = await site.ask("GET", "/dav/x", {"Authorization": basic(PASSWORD)})
    assert (answer.status, answer.json()["code"]) == (500, "internal")
    assert PASSWORD.encode() not in answer.body
    said = everything()
    assert "while checking" in said
    assert PASSWORD not in said
    assert basic(PASSWORD).removeprefix("Basic ") not in said
