"""Signed documents are read in one spelling or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.documents import parse_document
from gateway.core.errors import Unusable
from gateway.wire import canonical

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcé", max_size=4), VALUES, max_size=4))
def test_what_was_encoded_is_read_back_from_bytes_and_from_text(body: dict[str, object]) -> None:
    data = canonical.encode(body)
    assert parse_document(data) == parse_document(data.decode()) == body


@given(st.binary(max_size=60) | st.text(st.characters(), max_size=40))
def test_anything_else_is_refused_in_one_way(data: bytes | str) -> None:
    try:
        body = parse_document(data)
    except Unusable:
        return
    assert canonical.encode(body) == (data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":9007199254740992}',
        b'{"a":NaN}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        '{"a":"\ud800"}',
        b'{"a":"\\ud800"}',
    ],
)
def test_other_spellings_and_other_values(data: bytes | str) -> None:
    with pytest.raises(Unusable):
        parse_document(data)


def test_bounds() -> None:
    assert parse_document(b'{"a":[1]}', max_size=9, max_depth=2) == {"a": [1]}
    with pytest.raises(Unusable, match="bound"):
        parse_document(b'{"a":[1]}', max_size=8)
    with pytest.raises(Unusable, match="deep"):
        parse_document(b'{"a":[1]}', max_depth=1)
