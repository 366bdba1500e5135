"""When to try again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.relay import FIRST_WAIT, LONGEST_WAIT, next_attempt
from tests.core.examples import NOW

CHANCE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (10, 2560), (11, 3600), (12, 3600), (1000, 3600)],
)
def test_waiting_doubles_up_to_an_hour(attempt: int, seconds: int) -> None:
    assert next_attempt(attempt, NOW, 0) == NOW + timedelta(seconds=seconds / 2)
    latest = next_attempt(attempt, NOW, 1 - 2**-53)
    assert NOW + timedelta(seconds=seconds * 0.999) < latest <= NOW + timedelta(seconds=seconds)


@given(st.integers(1, 10**9), CHANCE)
def test_every_wait_is_within_bounds(attempt: int, chance: float) -> None:
    wait = next_attempt(attempt, NOW, chance) - NOW
    assert FIRST_WAIT / 2 <= wait <= LONGEST_WAIT


@given(st.integers(1, 40), CHANCE)
def test_a_later_attempt_never_comes_sooner(attempt: int, chance: float) -> None:
    assert next_attempt(attempt, NOW, chance) <= next_attempt(attempt + 1, NOW, chance)
