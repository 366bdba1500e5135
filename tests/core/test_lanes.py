"""Bytes of a window by place, beside plain slices of its text."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.detectors import PAD, open_window
from gateway.core.detectors.lanes import (
    is_alnum,
    is_digit,
    is_letter,
    of_pairs,
    pairs_and_sum,
    pairs_of,
    places_of_pairs,
    polynomial,
)

TEXT = st.binary(min_size=1, max_size=200)


@given(TEXT, st.data())
def test_eight_bytes_and_rows_are_those_of_the_text(text, data):
    window = open_window(text)
    asked = data.draw(st.lists(st.integers(PAD - 8, PAD + len(text) + 8), max_size=20))
    places = np.array(asked, np.intp)
    assert window.lanes[places].tolist() == [int.from_bytes(window.raw[p : p + 8], "little") for p in asked]
    for width in (16, 18, 33):
        assert [bytes(row) for row in window.rows(places, width)] == [window.raw[p : p + width] for p in asked]


@given(
    st.text("aAbB电话", max_size=80).map(str.encode),
    st.sets(st.sampled_from([b"aA", b"bb", "电".encode()[:2], b"\xaf\xe7"])),
)
def test_pairs_are_found_at_even_and_odd_places(text, pairs):
    found = places_of_pairs(np.frombuffer(text, np.uint8), [int.from_bytes(pair, "little") for pair in pairs])
    plain = {m.start() for pair in pairs for m in re.finditer(b"(?=" + re.escape(pair) + b")", text)}
    assert found.tolist() == sorted(plain)


@given(
    st.lists(st.text("0123456789", min_size=8, max_size=8), min_size=1, max_size=20),
    st.lists(st.integers(0, 10), min_size=8, max_size=8),
)
def test_eight_digits_are_their_number_their_pairs_and_their_weighted_sum(texts, weights):
    lanes = np.array([int.from_bytes(text.encode(), "little") for text in texts], np.uint64)
    assert polynomial(lanes, 10).tolist() == [int(text) for text in texts]
    assert polynomial(lanes, 2).tolist() == [sum(int(d) << (7 - n) for n, d in enumerate(text)) for text in texts]
    pairs, sums = pairs_and_sum(lanes, weights)
    assert pairs.view("<u2").tolist() == [int(text[at : at + 2]) for text in texts for at in range(0, 8, 2)]
    assert pairs_of(lanes).tolist() == pairs.tolist()
    assert of_pairs(pairs).tolist() == [int(text) for text in texts]
    assert (sums >> np.uint64(48)).tolist() == [
        sum(int(d) * w for d, w in zip(text, weights, strict=True)) for text in texts
    ]


def test_characters_are_told_alike_in_few_and_in_many():
    every = np.arange(256, dtype=np.uint8)
    many = np.tile(every, 100).reshape(100, 256)
    for tells, plain in ((is_digit, "0-9"), (is_letter, "A-Za-z"), (is_alnum, "0-9A-Za-z")):
        known = [re.fullmatch(f"[{plain}]", chr(byte)) is not None for byte in range(256)]
        assert tells(every).tolist() == known
        assert (tells(many) == np.array(known)).all()
        assert tells(many[:2]).shape == (2, 256)
