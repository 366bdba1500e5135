"""Keys of JSON beside the expression they stand for."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify.keys import keys_of
from gateway.core.detectors import open_window

_KEY = re.compile(rb'"([^"\\\n]{1,100})"\s*:')
_PIECES = [
    '"',
    '"',
    ":",
    ": ",
    '":',
    '": ',
    "a",
    "姓名",
    "a longer name than sixteen",
    "\\",
    "\n",
    " ",
    "\t",
    "x" * 51,
    '"b":',
]


def _found(text: bytes, low: int = 0, high: int | None = None) -> frozenset[bytes]:
    return keys_of(open_window(text, low=low, high=high)).named


@given(st.lists(st.sampled_from(_PIECES), max_size=60), st.data())
def test_keys_are_those_the_expression_finds(pieces, data):
    text = "".join(pieces).encode()
    assert _found(text) == set(_KEY.findall(text))
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    assert _found(text, low, high) == set(_KEY.findall(text[low:high]))


def test_many_different_keys_are_all_found():
    keys = {f"key {n}".encode() for n in range(200)} | {f"a key of many letters {n}".encode() for n in range(200)}
    assert _found(b",".join(b'"%b": 1' % key for key in keys)) == keys


@given(
    st.lists(st.sampled_from(["a", "b", "姓名", "longer name", "odd", "x" * 20, "c\\n"]), max_size=5),
    st.integers(0, 90),
)
def test_keys_of_many_objects_alike_are_all_found(keys, other):
    lines = [", ".join(f'"{key}": {n}' for key in keys) for n in range(90)]
    lines[min(other, 89)] = '"once": 1, "twice" : 2'
    text = "\n".join(lines).encode()
    assert _found(text) == set(_KEY.findall(text))


def test_a_key_that_lost_its_quote_is_still_known_as_quoted():
    keys = keys_of(open_window(b'"a":lat": 3'))
    assert (keys.named, keys.quoted) == ({b"a"}, {b"a", b":lat"})


@given(
    st.lists(
        st.sampled_from(["a", "姓名", "x" * 15, "x" * 16, "y" * 31, "z" * 70, "x" * 101, ":c", " : d", ""]),
        max_size=9,
    ),
    st.integers(0, 200),
)
def test_keys_of_any_length_are_told_apart_by_their_turn_and_out_of_it(keys, missing):
    every = [f'"{(n % 7 and key) or key + "!"}":{n}' for n in range(40) for key in keys]
    text = ",".join(each for n, each in enumerate(every) if n != missing).encode()
    assert _found(text) == set(_KEY.findall(text))
