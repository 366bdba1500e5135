"""RFC 8785 by its own tables, and round trips over everything I-JSON can say."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import Malformed, canonical
from tests.wire.damage import damaged, parsed_or_none

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc8785.json").read_text("utf-8"))

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: not 2**53 <= abs(f) < 1e21)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def double(bits: str) -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0]


@pytest.mark.parametrize(("bits", "text"), VECTORS["numbers"])
def test_numbers_of_appendix_b(bits, text):
    assert canonical.encode(double(bits)) == text.encode()
    assert canonical.encode(canonical.decode(text.encode())) == text.encode()


@pytest.mark.parametrize(("bits", "text"), VECTORS["refused"].items())
def test_integers_that_a_reader_would_round_are_refused_in_both_directions(bits, text):
    with pytest.raises(Malformed, match="2\\*\\*53"):
        canonical.encode(double(bits))
    with pytest.raises(Malformed, match="2\\*\\*53"):
        canonical.decode(text.encode())


@pytest.mark.parametrize(("document", "expected"), VECTORS["documents"])
def test_documents_of_section_3(document, expected):
    value = canonical.parse(document.encode())
    assert canonical.encode(value).hex() == expected
    assert canonical.decode(bytes.fromhex(expected)) == value


@given(VALUES)
@settings(deadline=None)
def test_what_is_written_in_a_hurry_is_what_the_library_writes(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "names", ["\U0001f600 \ufb33", "\uffff \U00010000", "é e", "10 9 1", "\x7f \x80", '\x00 \x1f " \\ /']
)
def test_names_are_ordered_by_their_utf_16_units_and_escaped_alike(names):
    value = {name: name for name in names.split(" ")}
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(VALUES)
@settings(deadline=None)
def test_what_encode_writes_decode_reads_back(value):
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert json.loads(data) == value


@given(damaged(b'{"a":[1,-2.5,"x\\n"],"b":{"c":null,"d":true}}'))
@settings(deadline=None)
def test_bytes_are_canonical_or_malformed(data):
    value = parsed_or_none(canonical.decode, data)
    assert value is None or canonical.encode(value) == data


@given(damaged(b'{"a":[1,-2.5,"x\\n"],"b":{"c":null,"d":true}}'))
@settings(deadline=None)
def test_bytes_are_json_or_malformed(data):
    value = parsed_or_none(canonical.parse, data)
    assert value is None or json.loads(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"1.0",
        b"-0",
        b"1e2",
        b'"\\u0041"',
        b'"\\/"',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"[1, 2]",
        "\ufeff1".encode(),
    ],
)
def test_other_spellings_are_not_canonical(data):
    with pytest.raises(Malformed):
        canonical.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'[{"a":1,"\\u0061":1}]',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'"\xff"',
        b"9" * 5000,
        b"-" + b"9" * 16,
        b"[" * 40 + b"]" * 40,
        b"[" * 100_000,
        b"{}{}",
    ],
)
def test_parse_refuses_what_is_not_i_json(data):
    with pytest.raises(Malformed):
        canonical.parse(data)


def test_bounds_hold_exactly():
    assert canonical.decode(b"[[1]]", max_size=5, max_depth=2) == [[1]]
    with pytest.raises(Malformed, match="over the bound of 4"):
        canonical.decode(b"[[1]]", max_size=4)
    with pytest.raises(Malformed, match="nested"):
        canonical.decode(b"[[1]]", max_depth=1)
    with pytest.raises(Malformed, match="nested"):
        canonical.encode({"a": [1]}, max_depth=1)


@pytest.mark.parametrize(
    "value", [{1: 2}, {b"a": 1}, b"a", {1, 2}, object(), float("nan"), float("inf"), "\ud800", 2**53]
)
def test_encode_refuses_what_json_cannot_say(value):
    with pytest.raises(Malformed):
        canonical.encode(value)


def test_a_value_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(Malformed, match="nested"):
        canonical.encode(loop)


def test_names_are_sorted_by_utf16_units_and_tuples_are_arrays():
    assert canonical.encode({"\U0001f600": 1, "\ufb33": (2,)}) == '{"\U0001f600":1,"\ufb33":[2]}'.encode()
