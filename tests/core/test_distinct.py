"""A set of 64-bit values holds what was put in, whatever saves it from sorting: a Python set is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify import distinct
from gateway.core.classify.distinct import Distinct, Members, joined_sets, sorted_distinct

_VALUES = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1))
_PIECES = st.lists(st.lists(_VALUES, max_size=60), max_size=12)
_BACK = pow(0x9E3779B97F4A7C15, -1, 1 << 64)  # undoes the multiplication that chooses a slot


def _lanes(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sort after a few values, as in a file of many."""
    monkeypatch.setattr(distinct, "_PENDING", 8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask of every value whether it is new, of however few."""
    monkeypatch.setattr(distinct, "_SHARE", 0)


@pytest.mark.usefixtures("soon", "asked")
@given(_PIECES)
def test_values_that_wait_because_they_are_new_are_held_too(pieces):
    held = Distinct()
    for piece in pieces:
        held.add(_lanes(piece))
        assert held.held >= len(held.values)
    assert held.settle().tolist() == sorted({value for piece in pieces for value in piece})


def test_new_values_are_not_sorted_before_the_end_and_those_that_come_again_are():
    held, values = Distinct(), np.random.default_rng(3).permutation(1 << 19).astype(np.uint64)
    for piece in np.split(values, 64):
        held.add(piece)
    assert not held.values.size
    for piece in np.split(values, 64):
        held.add(piece)
    assert held.values.size == values.size
    assert held.held <= 1.5 * values.size


def test_values_that_are_chosen_to_tell_nothing_are_sorted_at_once():
    fresh = np.arange(1, 1 << 20, dtype=np.uint64)
    held = Distinct()
    hidden = fresh[np.flatnonzero((fresh * np.uint64(distinct._GOLDEN)) >> np.uint64(64 - distinct._SHARE))]
    held.add(hidden[: distinct._PENDING])
    assert held.values.size == distinct._PENDING


@given(st.lists(st.lists(_VALUES, max_size=60).map(set), max_size=5))
def test_sorted_sets_are_joined(sets):
    assert joined_sets([_lanes(sorted(each)) for each in sets]).tolist() == sorted(set().union(*sets))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("looked_up", [True, False])
@given(_PIECES)
def test_all_values_are_held_once_and_counted_each_time(looked_up, pieces):
    held = Distinct(looked_up=looked_up)
    for piece in pieces:
        held.add(_lanes(piece))
    every = [value for piece in pieces for value in piece]
    assert held.occurrences == len(every)
    assert held.settle().tolist() == sorted(set(every))
    assert held.held == len(set(every))


@pytest.mark.usefixtures("soon")
def test_what_came_after_it_was_settled_is_held_too():
    held = Distinct()
    for piece, known in (([5, 0, 5], [0, 5]), ([2**64 - 1, 0], [0, 5, 2**64 - 1]), ([], [0, 5, 2**64 - 1])):
        held.add(_lanes(piece))
        assert held.settle().tolist() == known


def test_values_that_come_again_wait_for_no_sorting():
    held, values = Distinct(), np.arange(distinct._PENDING, dtype=np.uint64) * np.uint64(97)
    held.add(values)
    for _ in range(5):
        held.add(values)
    assert held.held < 1.1 * values.size
    assert held.settle().tolist() == values.tolist()


def test_values_that_meet_in_one_slot_are_all_held():
    values = _lanes([nth * _BACK % (1 << 64) for nth in range(1, 3000)])
    held = Distinct()
    for _ in range(100):
        held.add(values)
    assert held.settle().tolist() == sorted(values.tolist())


@given(st.lists(_VALUES, min_size=1, max_size=200), st.lists(_VALUES, max_size=200))
def test_only_members_are_left_out(members, values):
    others = Members(_lanes(members)).others(_lanes(values)).tolist()
    assert set(values) - set(members) <= set(others) <= set(values)
    assert [value for value in others if value not in set(members)] == [v for v in values if v not in set(members)]


def test_nearly_all_members_are_left_out():
    members = np.random.default_rng(7).integers(0, 10**17, 50_000).astype(np.uint64)
    assert Members(members).others(members).size < 0.1 * members.size


@given(_PIECES)
def test_several_arrays_are_one_sorted_set(pieces):
    assert sorted_distinct([_lanes(piece) for piece in pieces]).tolist() == sorted(
        {v for piece in pieces for v in piece}
    )
