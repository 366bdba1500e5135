from __future__ import annotations

import io
import json
import logging
import re

import jwt
import pytest
import structlog

from gateway.telemetry.logs import MASK, LogObserver, configure_logs, is_secret, masked_text, masked_value
from gateway.telemetry.observers import Observers
from tests.fakes.observer import FakeObserver
from tests.identity.parties import p256


@pytest.fixture
def logs():
    """A stream that collects what is logged; the process's logging is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_event_and_fields(logs):
    LogObserver(configure_logs("info", logs)).saw("transfer.sealed", transfer_id="tabc", state="sealed", entry=7)
    (line,) = lines(logs)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("time"))
    assert line == {
        "event": "transfer.sealed",
        "level": "info",
        "transfer_id": "tabc",
        "state": "sealed",
        "entry": 7,
    }


def test_a_workers_number_is_on_every_line_also_on_those_of_libraries(logs):
    observer = LogObserver(configure_logs("info", logs, worker=2))
    observer.saw("file.received", bytes=1)
    observer.saw("worker.failed", worker=7)
    logging.getLogger("asyncssh").warning("something")
    assert [line["worker"] for line in lines(logs)] == [2, 7, 2]


@pytest.mark.parametrize(
    ("event", "fields", "level"),
    [
        ("file.received", {}, "info"),
        ("stage.faltered", {}, "warning"),
        ("token.refused", {}, "warning"),
        ("transfer.refused", {}, "warning"),
        ("request.mistaken", {}, "error"),
        ("request.answered", {"probe": True}, None),
    ],
)
def test_levels_follow_events(logs, event, fields, level):
    LogObserver(configure_logs("info", logs)).saw(event, **fields)
    assert [line["level"] for line in lines(logs)] == ([level] if level else [])


def test_libraries_pass_the_same_mask(logs):
    configure_logs("info", logs)
    logging.getLogger("asyncssh").warning("opened %s", "Bearer abcdefghijkl")
    logging.getLogger("sqlalchemy").info("not written")
    (line,) = lines(logs)
    assert line["event"] == f"opened {MASK}"
    assert (line["logger"], line["level"]) == ("asyncssh", "warning")


def test_a_traceback_does_not_show_what_it_failed_on(logs):
    logger = configure_logs("info", logs)
    token = jwt.encode({"sub": "x"}, p256(), "ES256")
    try:
        raise ValueError(f"cannot read {token}")
    except ValueError:
        logger.exception("request.mistaken")
        logging.getLogger("library").exception("failed")
    assert token not in logs.getvalue()
    assert all("ValueError: cannot read ***" in line["exception"] for line in lines(logs))


@pytest.mark.parametrize(
    "key",
    [
        "path",
        "file_path",
        "filename",
        "file_name",
        "name",
        "dataset",
        "token",
        "access_token",
        "Authorization",
        "client_assertion",
        "private_key",
        "apiKey",
        "jwk",
        "password",
        "person",
        "cookies_cookie",
        "url",
    ],
)
def test_secret_fields_are_masked_whatever_they_hold(key):
    assert is_secret(key)
    for value in ("zhang", {"a": "b"}, ["c"], 7, b"x"):
        assert masked_value(value, key) == MASK
    assert masked_value({"deep": [{key: "zhang"}]}) == {"deep": [{key: MASK}]}


@pytest.mark.parametrize(
    "key", ["event", "transfer_id", "token_id", "key_id", "state", "file", "bytes", "route", "code"]
)
def test_other_fields_are_shown(key):
    assert not is_secret(key)
    assert masked_value("shown", key) == "shown"


PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (f"key {PEM} end", "MIGHAgEAMBMGByqGSM49AgEG"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjE"),
        ("got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln today", "eyJzdWIiOiJ4In0"),
        ("cut eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0", "eyJzdWIiOiJ4In0"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("id 11010519491231002X found", "11010519491231002X"),
        ("postgresql://hetao:hunter2@db/hetao", "hunter2"),
    ],
)
def test_texts_lose_what_looks_like_a_secret(text, gone):
    shown = masked_text(text)
    assert gone not in shown
    assert MASK in shown


def test_harmless_texts_stay_and_long_ones_are_cut():
    for text in ("deny under P8.1", "t" + "a2" * 12, "2026-11-20T02:00:00Z", "sha256 " + "ab" * 32):
        assert masked_text(text) == text
    assert len(masked_text("x" * 10_000)) == 4099


def test_values_without_a_json_form_are_written(logs):
    looped: dict = {}
    looped["again"] = looped
    configure_logs("info", logs).info("odd", thing=object(), raw=b"abc", looped=looped, when={1, 2})
    (line,) = lines(logs)
    assert line["raw"] == "3 bytes"
    assert line["thing"].startswith("<object")


def test_several_observers_are_told():
    first, second = FakeObserver(), FakeObserver()
    Observers(first, second).saw("a.b", n=1)
    assert first.seen == second.seen == [("a.b", {"n": 1})]
