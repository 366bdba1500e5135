from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.claims import Claims, parse_claims, peek

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
LONGEST = timedelta(minutes=5)


@pytest.mark.parametrize(
    "body",
    [
        {"exp": AT + 1},
        {"exp": AT - 29},
        {"exp": AT + 300 + 30},
        {"exp": AT + 0.5},
        {"exp": AT + 60, "nbf": AT + 30, "iat": AT + 30},
        {"exp": AT + 60, "nbf": AT - 10**6},
    ],
)
def test_times_that_hold(body):
    assert Claims(body).check_times(NOW, LONGEST) == body["exp"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"exp": None},
        {"exp": AT - 30},
        {"exp": AT + 331},
        {"exp": True},
        {"exp": str(AT + 1)},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": AT + 60, "nbf": AT + 31},
        {"exp": AT + 60, "iat": AT + 31},
        {"exp": AT + 60, "iat": "yesterday"},
    ],
)
def test_times_that_do_not_hold(body):
    with pytest.raises(ValueError, match=r"\w"):
        Claims(body).check_times(NOW, LONGEST)


@pytest.mark.parametrize("audience", [None, 1, [], ["a", "b"], ["a", "a"], [1], {"a": 1}])
def test_an_audience_is_exactly_one(audience):
    with pytest.raises(ValueError, match="audience"):
        Claims({"aud": audience}).audience()
    assert Claims({"aud": ["a"]}).audience() == Claims({"aud": "a"}).audience() == "a"


@pytest.mark.parametrize("word", [None, "", 1, "a" * 256, "é", "a\nb", ["a"]])
def test_words_are_printable_ascii(word):
    with pytest.raises(ValueError, match="text"):
        Claims({"jti": word}).word("jti")


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b'{"a":1,"a":2}', b"{", b"[" * 5000, b"\xff", b" " * 20000])
def test_what_is_no_object_is_refused(payload):
    with pytest.raises(ValueError, match=r"\w"):
        parse_claims(payload)


@given(st.text(alphabet="abcXYZ019-_=.é\n", max_size=60) | st.text(max_size=40))
def test_peeking_at_anything_gives_two_objects_or_a_value_error(token):
    try:
        header, claims = peek(token, 50)
    except ValueError:
        return
    assert isinstance(header, dict)
    assert isinstance(claims, dict)
