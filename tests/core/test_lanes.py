"""Bytes of a window by place, beside plain slices of its text."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.detectors import PAD, open_window
from gateway.core.detectors.lanes import places_of_pairs

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
