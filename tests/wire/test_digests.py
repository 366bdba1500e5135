"""Digest fields: the examples of RFC 9530, and everything a proxy or a stranger may put there."""

from __future__ import annotations

import base64
from hashlib import sha256, sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, digests
from tests.wire.damage import damaged, parsed_or_none

# RFC 9530 appendix B.1: the representation {"hello": "world"} and a newline
HELLO = b'{"hello": "world"}\n'
HELLO_FIELD = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def test_the_example_of_the_standard():
    assert digests.parse_digest(HELLO_FIELD) == {"sha-256": sha256(HELLO).digest()}
    assert digests.format_digest({"sha-256": sha256(HELLO).digest()}) == HELLO_FIELD


def test_both_algorithms_go_round_and_others_are_set_aside():
    both = {"sha-256": sha256(b"x").digest(), "sha-512": sha512(b"x").digest()}
    assert digests.parse_digest(digests.format_digest(both)) == both
    field = digests.format_digest(both) + ", md5=:AAAA:, unixsum=:AQ==:"
    assert digests.parse_digest(field) == both
    assert digests.split_digest(field) == (both, {"md5": bytes(3), "unixsum": b"\1"})
    assert digests.parse_digest("md5=:AAAA:") == {}
    assert digests.parse_digest("") == {}


def test_parameters_have_no_meaning():
    assert digests.parse_digest(HELLO_FIELD + ";note=1") == {"sha-256": sha256(HELLO).digest()}


@pytest.mark.parametrize(
    "field",
    [
        "sha-256",
        "sha-256=1",
        'sha-256="abc"',
        "sha-256=:AAAA:",
        "sha-256=(:AAAA:)",
        "SHA-256=:AAAA:",
        "sha-256=AAAA",
        f"{HELLO_FIELD},",
        f"{HELLO_FIELD}, {HELLO_FIELD}",
        f"{HELLO_FIELD};a=1;a=2",
        "sha-256=:\u00e4:",
        "md5=:" + base64.b64encode(bytes(4096)).decode() + ":",
        "md5=@99999999999999",
    ],
)
def test_fields_that_are_refused(field):
    with pytest.raises(Malformed):
        digests.parse_digest(field)


@pytest.mark.parametrize("value", [{}, {"md5": bytes(16)}, {"sha-256": bytes(31)}])
def test_digests_that_cannot_be_written(value):
    with pytest.raises(ValueError, match="digest field"):
        digests.format_digest(value)


def test_wants_of_the_standard():
    # RFC 9530 section 4
    assert digests.parse_want("sha-512=3, sha-256=10, unixsum=0") == {"sha-512": 3, "sha-256": 10, "unixsum": 0}
    assert digests.format_want({"sha-512": 3, "sha-256": 10}) == "sha-512=3, sha-256=10"


@pytest.mark.parametrize(
    "field", ["sha-256", "sha-256=11", "sha-256=-1", "sha-256=1.0", "sha-256=:AAAA:", "sha-256=?1"]
)
def test_wants_that_are_refused(field):
    with pytest.raises(Malformed):
        digests.parse_want(field)


@pytest.mark.parametrize("wanted", [{}, {"sha-256": 11}, {"sha-256": -1}])
def test_wants_that_cannot_be_written(wanted):
    with pytest.raises(ValueError, match="weight"):
        digests.format_want(wanted)


FIELDS = st.one_of(st.text(max_size=60), damaged(HELLO_FIELD.encode()).map(lambda data: data.decode("latin-1")))


@given(FIELDS)
def test_digest_fields_parse_or_are_malformed(field):
    found = parsed_or_none(lambda _: digests.parse_digest(field), b"")
    assert not found or digests.parse_digest(digests.format_digest(found)) == found


@given(st.one_of(FIELDS, damaged(b"sha-512=3, sha-256=10").map(lambda data: data.decode("latin-1"))))
def test_want_fields_parse_or_are_malformed(field):
    found = parsed_or_none(lambda _: digests.parse_want(field), b"")
    assert not found or digests.parse_want(digests.format_want(found)) == found
