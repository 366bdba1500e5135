"""tus 1.0.0 as fields and as rules: tables from the standard's text, and everything else by chance."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, tus
from gateway.wire.tus import Checksum, Concat, Refusal, State, UnknownAlgorithm, judge

# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "count"), [("0", 0), ("1", 1), ("70", 70), (str(2**63 - 1), 2**63 - 1)])
def test_counts(field, count):
    assert tus.parse_count(field) == count


@pytest.mark.parametrize("field", ["", "-1", "+1", "01", "1.0", "1e3", "0x10", " 1", "1 ", "١", str(2**63), "9" * 5000])
def test_what_is_no_count(field):
    with pytest.raises(Malformed):
        tus.parse_count(field)


# --- metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("", {}),
        # The example of the standard, "Creation".
        (
            "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
            {"filename": b"world_domination_plan.pdf", "is_confidential": b""},
        ),
        ("a ", {"a": b""}),
        ("a YQ==, b Yg==", {"a": b"a", "b": b"b"}),
        ("a AAEC/w==", {"a": b"\0\1\2\xff"}),
    ],
)
def test_metadata(field, found):
    assert tus.parse_metadata(field) == found


@pytest.mark.parametrize(
    "field",
    [
        "a YQ==,a YQ==",
        ",",
        "a YQ==,",
        " YQ==,",
        "a YQ",
        "a YQ=",
        "a YR==",  # stray bits: a second spelling of YQ==
        "a YQ==YQ==",
        "a !!!!",
        "a YQ== x",
        "a  YQ==",
        "ä YQ==",
        "\xa0a YQ==",
        "a _-8=",
        "a" * 129 + " YQ==",
        "a " + "A" * 8192,
        ",".join(f"k{number}" for number in range(65)),
    ],
)
def test_what_is_no_metadata(field):
    with pytest.raises(Malformed):
        tus.parse_metadata(field)


KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=20)


@given(st.dictionaries(KEYS, st.binary(max_size=60), max_size=20))
def test_metadata_that_was_written_is_read(metadata):
    assert tus.parse_metadata(tus.format_metadata(metadata)) == metadata


@given(st.text(max_size=200))
def test_any_text_is_metadata_or_malformed(field):
    try:
        found = tus.parse_metadata(field)
    except Malformed:
        return
    assert tus.parse_metadata(tus.format_metadata(found)) == found


@pytest.mark.parametrize("key", ["", "a b", "a,b", "ä", "a\n"])
def test_keys_that_cannot_stand_are_our_mistake(key):
    with pytest.raises(ValueError, match="key"):
        tus.format_metadata({key: b""})


# --- checksums --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "checksum"),
    [
        # The example of the standard, "Checksum".
        ("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", ("sha1", "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed")),
        ("sha256 " + base64.b64encode(bytes(32)).decode(), ("sha256", "00" * 32)),
        ("sha-256 " + base64.b64encode(bytes(32)).decode(), ("sha256", "00" * 32)),
        ("sha-512 " + base64.b64encode(bytes(64)).decode(), ("sha512", "00" * 64)),
    ],
)
def test_checksums(field, checksum):
    assert tus.parse_checksum(field) == Checksum(checksum[0], bytes.fromhex(checksum[1]))


@pytest.mark.parametrize("field", ["", "md5 " + base64.b64encode(bytes(16)).decode(), "SHA1 x", "crc32 AAAA"])
def test_algorithms_that_are_not_answered(field):
    with pytest.raises(UnknownAlgorithm, match="sha1"):
        tus.parse_checksum(field)


@pytest.mark.parametrize(
    "field", ["sha1", "sha1 ", "sha1 AAAA", "sha1 !", "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1 é"]
)
def test_what_is_no_checksum(field):
    with pytest.raises(Malformed) as refused:
        tus.parse_checksum(field)
    assert not isinstance(refused.value, UnknownAlgorithm)


# --- concatenation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "concat"),
    [
        ("partial", Concat()),
        ("final;/files/a /files/b", Concat(("/files/a", "/files/b"))),
        ("final;https://a.example/files/a", Concat(("https://a.example/files/a",))),
        ("final;/a /a", Concat(("/a", "/a"))),
    ],
)
def test_concatenations(field, concat):
    assert tus.parse_concat(field) == concat
    assert concat.final is field.startswith("final")


@pytest.mark.parametrize(
    "field",
    [
        "",
        "final",
        "final;",
        "final; /a",
        "final;/a  /b",
        "partial;/a",
        "Partial",
        "final;" + "/a " * 256 + "/a",
        "x" * 9000,
    ],
)
def test_what_is_no_concatenation(field):
    with pytest.raises(Malformed):
        tus.parse_concat(field)


# --- what a request may do --------------------------------------------------------------------------------------------

HALF = State(offset=5, length=10)
OPEN = State(offset=5, length=None)


@pytest.mark.parametrize(
    ("state", "offset", "about", "answer"),
    [
        (HALF, 5, {}, None),
        (HALF, 5, {"size": 5}, None),
        (HALF, 5, {"size": 0}, None),
        (HALF, 5, {"length": 10}, None),
        (HALF, 4, {}, Refusal.OFFSET),
        (HALF, 6, {"size": 0}, Refusal.OFFSET),
        (HALF, 0, {"length": 3}, Refusal.OFFSET),
        (HALF, 5, {"size": 6}, Refusal.TOO_LONG),
        (HALF, 5, {"length": 11}, Refusal.LENGTH),
        (HALF, 5, {"length": 4}, Refusal.LENGTH),
        (OPEN, 5, {"size": 1 << 40}, None),
        (OPEN, 5, {"length": 5, "size": 0}, None),
        (OPEN, 5, {"length": 7, "size": 3}, Refusal.TOO_LONG),
        (OPEN, 5, {"length": 4}, Refusal.LENGTH),
        (State(offset=0, length=0), 0, {"size": 0}, None),
        (State(offset=10, length=10), 10, {"size": 0}, None),
        (State(offset=10, length=10), 10, {"size": 1}, Refusal.TOO_LONG),
        (State(offset=10, length=10, concat="partial"), 10, {"size": 0}, None),
        (State(offset=10, length=10, concat="final;/a"), 10, {"size": 0}, Refusal.FINAL),
    ],
)
def test_what_a_request_may_do(state, offset, about, answer):
    assert judge(state, offset, **about) is answer


COUNTS = st.integers(0, 12)
MAYBE = st.none() | COUNTS


@given(st.builds(State, COUNTS, MAYBE), COUNTS, MAYBE, MAYBE)
def test_what_may_be_taken_belongs_there(state, offset, size, length):
    if state.length is not None and state.offset > state.length:
        return
    if judge(state, offset, size=size, length=length) is None:
        whole = state.length if state.length is not None else length
        assert offset == state.offset
        assert state.length in {None, whole}
        assert whole is None or state.offset + (size or 0) <= whole


# --- answers ----------------------------------------------------------------------------------------------------------

AT = datetime(2014, 6, 25, 16, 0, tzinfo=UTC)


def test_what_is_said_of_an_upload():
    assert tus.said(HALF) == {"Upload-Offset": "5", "Upload-Length": "10"}
    assert tus.said(OPEN) == {"Upload-Offset": "5", "Upload-Defer-Length": "1"}
    full = State(offset=10, length=10, metadata="a YQ==", concat="partial", expires=AT)
    assert tus.said(full) == {
        "Upload-Offset": "10",
        "Upload-Length": "10",
        "Upload-Metadata": "a YQ==",
        "Upload-Concat": "partial",
        "Upload-Expires": "Wed, 25 Jun 2014 16:00:00 GMT",  # the example of the standard, "Expiration"
    }
    assert full.whole
    assert not HALF.whole
    assert not replace(full, concat="partial").final


def test_what_is_said_of_the_server():
    said = tus.capabilities(7)
    assert said["Tus-Version"] == "1.0.0"
    assert said["Tus-Max-Size"] == "7"
    assert "sha1" in said["Tus-Checksum-Algorithm"].split(",")  # "The Server MUST support at least the SHA1 checksum"
    assert "Tus-Max-Size" not in tus.capabilities(0)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)), st.integers(-12 * 60, 14 * 60))  # noqa: DTZ001  # zones are added
def test_times_are_those_of_http(at, offset):
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parsedate_to_datetime(tus.format_time(zoned)) == zoned.replace(microsecond=0)


def test_a_time_without_a_zone_is_our_mistake():
    with pytest.raises(ValueError, match="zone"):
        tus.format_time(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point
