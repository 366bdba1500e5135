"""The Authorization field: what strangers write, and what comes of it."""

from __future__ import annotations

import base64

import pytest
from aiohttp import encode_basic_auth
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import NotAuthenticated
from gateway.doors.https.authorization import MAX_BASIC, Basic, Bearer, parse_authorization


def basic(decoded: bytes) -> str:
    return "Basic " + base64.b64encode(decoded).decode()


def test_no_field_is_no_credential():
    assert parse_authorization([]) is None


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", " Bearer "])
def test_a_bearer_token(scheme):
    assert parse_authorization([f"{scheme}abc.def-_~+/=="]) == Bearer("abc.def-_~+/==")


@pytest.mark.parametrize(
    ("decoded", "user", "password"),
    [
        (b"lin:secret", "lin", "secret"),
        (b"lin:", "lin", ""),
        (b":secret", "", "secret"),
        (b":", "", ""),
        (b"lin:a:b:c", "lin", "a:b:c"),
        ("lin:密码".encode(), "lin", "密码"),
        (b"Aladdin:open sesame", "Aladdin", "open sesame"),
    ],
)
def test_a_user_name_and_a_password(decoded, user, password):
    assert parse_authorization([basic(decoded)]) == Basic(user, password)
    assert parse_authorization([basic(decoded).replace("Basic", "bASIC ")]) == Basic(user, password)


def test_the_example_of_rfc_7617():
    assert parse_authorization(["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]) == Basic("Aladdin", "open sesame")


@pytest.mark.parametrize(
    "given",
    [
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Bearer a b"],
        ["Bearer é"],
        ["Basic"],
        ["Basic "],
        ["Basic c3o"],
        ["Basic c3o6c3o=x"],
        ["Basic c3o6c3o= c3o6c3o="],
        ["Basic !!!!"],
        ["Basic c3-6c3_="],
        ["Basic\tc3o6c3o="],
        [basic(b"no colon")],
        [basic(b"lin:\xff\xfe")],
        [basic(b"lin:a\x00b")],
        [basic(b"lin:a\nb")],
        [basic(b"l\x7fn:x")],
        [basic(b"lin:" + b"x" * MAX_BASIC)],
        ["Digest username=lin"],
        ["Negotiate abc"],
        ["c3o6c3o="],
        ["Bearer abc", "Bearer abc"],
        ["Bearer abc", basic(b"lin:x")],
    ],
)
def test_what_is_no_credential(given):
    with pytest.raises(NotAuthenticated) as refusal:
        parse_authorization(given)
    assert not any(each and each in refusal.value.message for each in given)


VISIBLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)


@given(user=VISIBLE.filter(lambda text: ":" not in text), password=VISIBLE)
def test_what_another_library_writes_is_read_back(user, password):
    assert parse_authorization([encode_basic_auth(user, password)]) == Basic(user, password)


ODD = st.from_regex("(?i)(basic|bearer) .*")
WRITTEN = st.one_of(st.text(max_size=80), st.binary(max_size=80).map(basic), ODD, st.just("Basic Og=="))


@given(st.lists(WRITTEN, max_size=3))
def test_nothing_breaks_it(fields):
    try:
        found = parse_authorization(fields)
    except NotAuthenticated:
        return
    assert (found is None) == (fields == [])
    if isinstance(found, Basic):
        assert ":" not in found.user
        assert all(ord(each) >= 0x20 for each in found.user + found.password)


def test_secrets_are_not_in_what_a_debugger_or_a_traceback_prints():
    assert "hap_" not in repr(Basic("lin", "hap_secret"))
    assert "eyJ" not in repr(Bearer("eyJ.secret"))
