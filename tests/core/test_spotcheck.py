"""Looks afterwards: what an officer signs, who may, what is drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import NotPermitted, Unusable
from gateway.core.review import Vote
from gateway.core.spotcheck import NAMESPACE, Look, drawn, look_overdue, parse_look, signed_look
from gateway.wire import canonical, sshsig
from tests.core.examples import KEYS, NOW, STRANGER_KEY, TODAY, founded

LOOK = Look("t-1", "sites", "0" * 64, "1" * 64, "officer-zhao", "ok", "compared with the source", NOW)
REGISTRY = founded()


def sign(look: Look, by: Any = None, namespace: str = NAMESPACE) -> Vote:
    return Vote(look.message(), sshsig.sign(by or KEYS[look.officer], look.message(), namespace))


def test_a_look_is_its_message() -> None:
    assert parse_look(LOOK.message()) == LOOK
    assert signed_look(sign(LOOK), "chen", REGISTRY, NOW, TODAY)[0] == LOOK


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"finding": "fine"},
        {"reason": " "},
        {"reason": "x" * 2001},
        {"at": "2026-11-20T10:00:00"},
        {"at": "today"},
        {"officer": 7},
        {"note": "x"},
    ],
)
def test_a_look_of_another_form(change: dict[str, Any]) -> None:
    body = canonical.decode(LOOK.message())
    assert isinstance(body, dict)
    with pytest.raises(Unusable):
        parse_look(canonical.encode({**body, **change}))


@pytest.mark.parametrize(
    ("vote", "sender"),
    [
        (sign(LOOK, STRANGER_KEY), "chen"),
        (sign(LOOK, KEYS["officer-li"]), "chen"),
        (sign(LOOK, namespace="hetao-vote"), "chen"),
        (sign(replace(LOOK, officer="officer-sun")), "chen"),
        (sign(LOOK), "zhao"),
        (sign(replace(LOOK, at=NOW + timedelta(hours=1))), "chen"),
        (sign(replace(LOOK, at=NOW - timedelta(days=15))), "chen"),
    ],
    ids=["stranger", "another officer", "another purpose", "system", "own transfer", "future", "old"],
)
def test_who_may_not_look(vote: Vote, sender: str) -> None:
    with pytest.raises(NotPermitted):
        signed_look(vote, sender, REGISTRY, NOW, TODAY)


@given(st.integers(1, 100), st.binary(min_size=8, max_size=8))
def test_as_many_are_drawn_as_the_record_says(percent: int, token: bytes) -> None:
    assert drawn(percent, token) == (int.from_bytes(token, "big") / 2**64 < percent / 100 - 1e-18) or percent == 100
    assert drawn(100, token)
    assert drawn(percent, bytes(8))
    if drawn(percent, token) and percent < 100:
        assert drawn(percent + 1, token)


def test_a_tenth_is_a_tenth() -> None:
    tokens = [(number * (2**64 // 1000)).to_bytes(8, "big") for number in range(1000)]
    assert sum(drawn(10, token) for token in tokens) in {100, 101}
    assert not drawn(99, b"\xff" * 8)


@pytest.mark.parametrize(
    ("due", "closed", "overdue"),
    [
        (None, None, False),
        (NOW, None, False),
        (NOW - timedelta(seconds=1), None, True),
        (NOW - timedelta(1), NOW, False),
    ],
)
def test_when_a_look_is_overdue(due: datetime | None, closed: datetime | None, *, overdue: bool) -> None:
    assert look_overdue(due, closed, NOW) is overdue
