"""The pure parts of `hetao send`: patience, pace, plans, what answers mean, when a folder is at rest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.dataset import LocalFile
from gateway.cli.send.answers import Answer, Step, after_ask, after_create, after_put, after_send
from gateway.cli.send.pace import Pace, duration
from gateway.cli.send.patience import LONGEST, Patience
from gateway.cli.send.plan import Received, differ, fingerprint, parse_received
from gateway.cli.send.uploads import file_address, format_metadata
from gateway.cli.send.verdicts import state_line, verdict_lines
from gateway.cli.send.watch import Quiet
from gateway.core.names import parse_raw_url_path
from gateway.stores.locales import load_catalogue
from gateway.stores.rulebooks import load_policies
from gateway.wire import tus


def answer(status: int, body: dict | None = None, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body or {})


def problem(status: int, code: str, *, retry: bool = False) -> Answer:
    return answer(status, {"code": code, "retry": retry, "title": "No", "detail": "it is so.", "remedy": "Mend it."})


# --- patience ------------------------------------------------------------------------------------------------------------


def test_pauses_grow_and_are_spread():
    patience = Patience(3600)
    first = [patience.pause(0.0, 1.0) for _ in range(10)]
    assert first == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert Patience(60).pause(0.0, 0.0) == 0.125


def test_what_the_gateway_asked_for_is_never_undercut():
    assert Patience(60).pause(0.0, 0.0, 7.0) == 7.0


def test_patience_ends_and_begins_anew_when_something_moved():
    patience = Patience(10)
    assert patience.pause(100.0, 1.0) is not None
    assert patience.pause(109.5, 1.0) is None
    patience.moved()
    assert patience.pause(200.0, 1.0) == 0.5


@given(st.lists(st.floats(0, 1), max_size=60))
def test_no_pause_is_longer_than_the_longest(draws):
    patience = Patience(1e9)
    assert all(0 < (patience.pause(0.0, draw) or 0) <= LONGEST for draw in draws)


# --- pace ----------------------------------------------------------------------------------------------------------------


def test_the_time_left_is_measured_over_the_last_moments_only():
    pace = Pace(0.0, window=10.0, still=5.0)
    for second in range(1, 11):
        pace.moved(float(second), 1000)  # slow at first
    for second in range(11, 31):
        pace.moved(float(second), 10_000)
    assert pace.rate(30.0) == pytest.approx(10_000, rel=0.11)
    assert pace.left(30.0, 100_000) == pytest.approx(10, rel=0.11)


def test_nothing_that_moves_has_no_time_left_but_waits():
    pace = Pace(0.0)
    pace.moved(2.0, 50_000)
    assert not pace.waiting(6.9)
    assert pace.waiting(7.1)
    assert pace.left(7.1, 100) is None
    assert pace.rate(40.0) == 0.0
    assert pace.left(40.0, 100) is None


def test_the_first_moment_and_steps_back_say_nothing():
    pace = Pace(0.0)
    pace.moved(0.1, 1_000_000)
    assert pace.left(0.5, 100) is None
    pace.moved(0.6, -500)
    assert pace.rate(2.0) == 500_000


def test_samples_stay_few():
    pace = Pace(0.0)
    for step in range(100_000):
        pace.moved(step / 1000, 1)
    assert len(pace._samples) <= 20 / 0.25 + 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min"), (273_600, "3 d 4 h")],
)
def test_durations_are_read_by_people(seconds, text):
    assert duration(seconds) == text


# --- plans ---------------------------------------------------------------------------------------------------------------


def local(path: str, size: int = 3, modified: int = 1) -> LocalFile:
    return LocalFile(path, Path("/nowhere") / path, size, modified, 7)


@pytest.mark.parametrize(
    ("received", "missing", "surplus"),
    [
        ({}, ["a", "b"], []),
        ({"a": Received(3, "aa"), "b": Received(3, "bb")}, [], []),
        ({"a": Received(3, "aa"), "b": Received(4, "bb")}, ["b"], []),
        ({"a": Received(3, "xx"), "b": Received(3, "bb")}, ["a"], []),
        ({"a": Received(3, "aa"), "c": Received(3, "cc")}, ["b"], ["c"]),
    ],
)
def test_only_the_same_name_size_and_digest_is_the_same_file(received, missing, surplus):
    found = differ([local("a"), local("b")], {"a": "aa", "b": "bb"}, received)
    assert ([each.path for each in found.missing], list(found.surplus)) == (missing, surplus)


def test_a_file_without_a_digest_is_never_the_same():
    assert differ([local("a")], {}, {"a": Received(3, "unknown-digest")}).missing


@pytest.mark.parametrize("listed", [[{}], [{"path": "a", "size": "3", "sha256": "x"}], [{"path": 1}]])
def test_a_strange_list_is_refused(listed):
    with pytest.raises(ValueError, match="without path"):
        parse_received(listed)


def test_a_fingerprint_changes_with_names_sizes_times_and_words():
    files = [local("a"), local("b")]
    marks = {
        fingerprint(files, {}),
        fingerprint(files[:1], {}),
        fingerprint([local("a", 4), local("b")], {}),
        fingerprint([local("a", modified=2), local("b")], {}),
        fingerprint(files, {"data": {"level": "general"}}),
    }
    assert len(marks) == 5
    assert fingerprint(list(files), {}) in marks


# --- answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (answer(201, location="/files/1"), Step.SEND),
        (answer(201), Step.REFUSED),
        (problem(404, "no-such-route"), Step.REFUSED),
        (problem(404, "no-such-transfer"), Step.REFUSED),
        (answer(503), Step.WAIT),
        (problem(413, "quota-reached", retry=True), Step.WAIT),
        (problem(413, "too-large"), Step.REFUSED),
    ],
)
def test_after_making_an_upload(given, step):
    assert after_create(given) is step


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (answer(200, upload_offset="0", upload_length="10"), Step.SEND),
        (answer(200, upload_offset="4", upload_length="10"), Step.SEND),
        (answer(200, upload_offset="10", upload_length="10"), Step.DONE),
        (answer(204, upload_offset="10"), Step.DONE),
        (answer(200, upload_offset="11", upload_length="10"), Step.CREATE),
        (answer(200, upload_offset="4", upload_length="11"), Step.CREATE),
        (answer(200, upload_offset="-1"), Step.CREATE),
        (answer(200, upload_offset="٤"), Step.CREATE),
        (answer(200), Step.CREATE),
        (answer(404), Step.CREATE),
        (answer(410), Step.CREATE),
        (answer(403), Step.CREATE),
        (answer(423), Step.WAIT),
        (answer(502), Step.WAIT),
        (answer(429, retry_after="3"), Step.WAIT),
        (answer(401), Step.REFUSED),
        (answer(302), Step.REFUSED),
    ],
)
def test_after_asking_where_an_upload_stands(given, step):
    assert after_ask(given, 10) is step


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (answer(204, upload_offset="10"), Step.DONE),
        (answer(204, upload_offset="4"), Step.ASK),
        (answer(204), Step.ASK),
        (answer(200, upload_offset="10"), Step.REFUSED),
        (problem(409, "offset-mismatch"), Step.ASK),
        (problem(409, "digest-mismatch"), Step.CHANGED),
        (answer(460), Step.CHANGED),
        (answer(404), Step.CREATE),
        (answer(503), Step.WAIT),
        (problem(400, "incomplete", retry=True), Step.REFUSED),
        (problem(400, "bad-header"), Step.REFUSED),
    ],
)
def test_after_sending(given, step):
    assert after_send(given, 10) is step


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (answer(201, {"sha256": "ab"}), Step.DONE),
        (answer(200, {"sha256": "ab"}), Step.DONE),
        (answer(201, {"sha256": "cd"}), Step.CHANGED),
        (answer(201), Step.CHANGED),
        (problem(409, "digest-mismatch"), Step.CHANGED),
        (problem(409, "wrong-state"), Step.REFUSED),
        (answer(500), Step.WAIT),
    ],
)
def test_after_a_put_only_the_right_digest_is_done(given, step):
    assert after_put(given, "ab") is step


@given(st.integers(100, 599), st.text(max_size=5), st.text(max_size=5))
def test_every_answer_gives_a_step(status, offset, code):
    given_one = answer(status, {"code": code}, upload_offset=offset)
    assert {type(after(given_one, 10)) for after in (after_ask, after_send)} == {Step}
    assert isinstance(after_create(given_one), Step)


def test_an_answer_says_why_and_how_long_to_wait():
    assert problem(400, "x").says == "No. it is so. Mend it"
    assert answer(418).says == "the gateway answered 418"
    assert answer(401, {"error": "invalid_client", "error_description": "no"}).says == "no"
    waits = {"3": 3.0, "99999": 3600.0, "Wed, 21 Oct 2026 07:28:00 GMT": 0.0, "-1": 0.0}
    assert {asked: answer(503, retry_after=asked).wait for asked in waits} == waits


def test_names_reach_the_gateway_as_they_are():
    name = "数据/a b%c?d#e+f.csv"
    assert parse_raw_url_path(file_address("t1", name).removeprefix("/v1/transfers/t1/files/")) == name
    read = tus.parse_metadata(format_metadata({"transfer": "t1", "path": name, "sha256": "ab"}))
    assert read == {"transfer": b"t1", "path": name.encode(), "sha256": b"ab"}


# --- at rest -------------------------------------------------------------------------------------------------------------


def test_a_folder_is_due_when_it_changed_and_came_to_rest():
    rest = Quiet(60.0, sent="one")
    looks = [(0, "one"), (10, "two"), (60, "three"), (119, "three"), (120, "three"), (130, "three")]
    assert [rest.due(float(now), mark) for now, mark in looks] == [False, False, False, False, True, True]
    rest.sent("three")
    assert not rest.due(500.0, "three")
    assert not rest.due(501.0, "four")
    assert not rest.due(502.0, "three")  # back to what was sent: nothing to do
    assert not rest.due(900.0, "three")


# --- verdicts ------------------------------------------------------------------------------------------------------------

DECISION = {
    "verdict": "hold",
    "rules": ["P8", "X1"],
    "citations": [
        {"rule": "P8", "instrument": "cac-order-16", "article": "8"},
        {"rule": "X1", "instrument": "of-another-pack", "article": "2"},
    ],
    "remedies": [{"rule": "P8", "cure": "documents", "en": "File it.", "zh-Hans": "备案。", "zh-Hant": "備案。"}],
}


@pytest.mark.parametrize(("language", "law", "cure"), [("en", "Provisions", "File it."), ("zh-Hant", "數據", "備案。")])
def test_a_verdict_is_told_with_rules_articles_and_what_to_do(language, law, cure):
    rulebook = load_policies().rulebook
    transfer = {"state": "held", "says": "held", "decision": {**DECISION, "rulebook": rulebook.digest}}
    lines = list(verdict_lines(transfer, load_catalogue(), language, rulebook))
    text = "\n".join(lines)
    assert "(hold)" in lines[0].replace("（", "(").replace("）", ")")
    assert law in text
    assert cure in text
    assert "of-another-pack 2" in text
    assert rulebook.rule("P8").titles[language] in text


def test_titles_of_another_pack_are_not_claimed():
    rulebook = load_policies().rulebook
    transfer = {"state": "held", "decision": {**DECISION, "rulebook": "0" * 64}}
    text = "\n".join(verdict_lines(transfer, load_catalogue(), "en", rulebook))
    assert rulebook.rule("P8").titles["en"] not in text


def test_a_secrecy_mark_says_nothing_but_the_way():
    transfer = {
        "state": "refused",
        "reason": "",
        "decision": {"verdict": "deny", "rules": [], "citations": [], "remedies": [{"code": "see", "en": "See her."}]},
    }
    lines = list(verdict_lines(transfer, load_catalogue(), "en", load_policies().rulebook))
    assert lines == ["Verdict: may not go (deny)", "  See her."]
    assert state_line(transfer, load_catalogue(), "en") == "refused (refused)"


def test_no_decision_is_no_verdict():
    assert (
        list(verdict_lines({"state": "open", "decision": None}, load_catalogue(), "en", load_policies().rulebook)) == []
    )


def test_a_local_file_is_the_same_only_as_a_whole():
    file = local("a")
    assert file.same(replace(file))
    assert not any(file.same(replace(file, **{name: 99})) for name in ("size", "modified", "inode"))
    assert json.dumps([file.path])
