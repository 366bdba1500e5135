"""Sets of places beside Python's own sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.detectors import bits

SIZE = 4  # words
PLACES = st.sets(st.integers(0, 64 * SIZE - 1))


def _words(places: set[int]) -> bits.Words:
    return bits.of_places(np.array(sorted(places), np.intp), SIZE)


@given(PLACES)
def test_places_come_back_sorted(held):
    assert bits.places(_words(held)).tolist() == sorted(held)


@pytest.mark.parametrize("count", [0, 3, 700, 2300, 20_000])
def test_few_and_many_places_come_back_alike(count):
    held = np.unique(np.random.default_rng(count).integers(0, 64 * 400, count))
    assert bits.places(bits.of_places(held, 400)).tolist() == held.tolist()


@pytest.mark.parametrize("steps", [(7, 1), (7, 12, 19), (9, 30), (7, 5, 19), (2, 2, 40)])
def test_places_come_back_in_order_where_some_octets_hold_several(steps):
    held = np.cumsum(np.resize(np.array(steps), 1500))
    assert bits.places(bits.of_places(held, 600)).tolist() == held.tolist()


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 70)), max_size=12))
def test_what_follows_a_start_is_counted(runs):
    begin, at, held = list[int](), 0, list[int]()
    for gap, length in runs:
        begin.append(at + gap)
        at += gap + length
        held += range(at - length, at)
    found = bits.run_lengths(bits.of_places(np.array(held, np.intp), at // 64 + 2), np.array(begin, np.intp))
    assert np.minimum(found, 33).tolist() == [min(length, 33) for _, length in runs]


@pytest.mark.parametrize("count", [0, 3, 5000, 90_000])
def test_places_of_a_long_mask_are_those_numpy_finds(count):
    mask = np.zeros(1 << 18, np.bool_)
    mask[np.random.default_rng(count).integers(0, mask.size, count)] = True
    assert bits.places_in(mask).tolist() == np.flatnonzero(mask).tolist()


@given(PLACES, PLACES)
def test_sorted_places_are_united(first, second):
    one, two = (np.array(sorted(places), np.intp) for places in (first, second))
    assert bits.united(one, two).tolist() == sorted(first | second)


@given(PLACES, st.integers(1, 63))
def test_sets_move(held, count):
    assert bits.places(bits.later(_words(held), count)).tolist() == sorted(
        p + count for p in held if p + count < 64 * SIZE
    )
    assert bits.places(bits.earlier(_words(held), count)).tolist() == sorted(p - count for p in held if p >= count)


@given(PLACES, st.integers(0, 64 * SIZE - 1))
def test_what_lies_before_a_place_is_counted(held, place):
    words = _words(held)
    assert bits.ranks(words).of(np.array([place])).tolist() == [sum(p < place for p in held)]
    assert bits.places(bits.from_place(words, place)).tolist() == sorted(p for p in held if p >= place)
    assert bits.places(bits.between(words, place // 2, place)).tolist() == sorted(
        p for p in held if place // 2 <= p < place
    )
    assert bits.count(words) == len(held)
    assert place in bits.places(bits.odd_before(words)) or sum(p <= place for p in held) % 2 == 0


@given(PLACES, st.integers(0, 64 * (SIZE - 1)))
def test_the_nearest_place_is_found(held, start):
    near = [p - start for p in held if start <= p < start + 64]
    sets = bits.next_64(_words(held), np.array([start]))
    assert bits.lowest(sets).tolist() == [min(near, default=64)]
    assert bits.highest(sets).tolist() == [max(near, default=-1)]


def test_a_mask_that_fills_no_word_is_packed_too():
    assert bits.places(bits.packed(np.array([True, False, True]))).tolist() == [0, 2]
