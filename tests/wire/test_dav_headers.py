"""WebDAV's header fields, held against the examples and the grammar of RFC 4918 section 10."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed
from gateway.wire.dav_headers import (
    INFINITY,
    Condition,
    ResourceState,
    StateList,
    encode_path,
    format_date,
    if_holds,
    parse_date,
    parse_depth,
    parse_destination,
    parse_if,
    parse_lock_token,
    parse_overwrite,
    parse_timeout,
    submitted_tokens,
)

TOKEN = "urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2"
OTHER = "urn:uuid:58f202ac-22cf-11d1-b12d-002035b29092"


@pytest.mark.parametrize(
    ("field", "lists"),
    [
        (f"(<{TOKEN}>)", [StateList("", (Condition(False, TOKEN),))]),
        (  # section 10.4.6
            f'(<{TOKEN}> ["I am an ETag"])\t(["I am another ETag"])',
            [
                StateList("", (Condition(False, TOKEN), Condition(False, etag='"I am an ETag"'))),
                StateList("", (Condition(False, etag='"I am another ETag"'),)),
            ],
        ),
        (f"(Not <{TOKEN}> <{OTHER}>)", [StateList("", (Condition(True, TOKEN), Condition(False, OTHER)))]),  # 10.4.7
        (
            f"(<{TOKEN}>) (Not <DAV:no-lock>)",
            [StateList("", (Condition(False, TOKEN),)), StateList("", (Condition(True, "DAV:no-lock"),))],
        ),
        (  # section 10.4.9
            f'</resource1> (<{TOKEN}> [W/"A weak ETag"]) (["strong ETag"])',
            [
                StateList("/resource1", (Condition(False, TOKEN), Condition(False, etag='W/"A weak ETag"'))),
                StateList("/resource1", (Condition(False, etag='"strong ETag"'),)),
            ],
        ),
        (
            f"<http://h/a>(<{TOKEN}>)<http://h/b>(Not<{OTHER}>)",
            [StateList("http://h/a", (Condition(False, TOKEN),)), StateList("http://h/b", (Condition(True, OTHER),))],
        ),
    ],
)
def test_an_if_says_this(field: str, lists: list[StateList]) -> None:
    assert list(parse_if(field)) == lists


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        "()",
        "(Not)",
        "(<a:b>",
        "<a:b>",
        "(<a:b>))",
        "((<a:b>))",
        "(Not Not <a:b>)",
        "(<a:b>) </a> (<a:b>)",
        "</a> </b> (<a:b>)",
        '("etag")',
        "(<a b>)",
        "x(<a:b>)",
        '(W/["e"])',
        "(<a:b>)x",
        "(<a:b>)" * 65,
        "(" + "<a:b>" * 257 + ")",
    ],
)
def test_an_if_that_is_none(field: str) -> None:
    with pytest.raises(Malformed):
        parse_if(field)


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        (f"(<{TOKEN}>)", True),
        (f"(<{OTHER}>)", False),
        (f"(Not <{OTHER}>)", True),
        (f'(<{TOKEN}> ["e"])', True),
        (f'(<{TOKEN}> ["f"])', False),
        (f'(<{OTHER}>) (["e"])', True),
        ('([W/"e"])', False),
        ("(<DAV:no-lock>)", False),
        (f"(<{OTHER}>) (Not <DAV:no-lock>)", True),
        (f"</b> (<{TOKEN}>)", False),
        ('</b> (["e"])', False),
        ('</b> (Not ["e"])', True),
    ],
)
def test_what_holds(field: str, holds: bool) -> None:  # noqa: FBT001  # a table of answers
    states = {"": ResourceState('"e"', frozenset({TOKEN})), "/b": ResourceState()}
    assert if_holds(parse_if(field), states.__getitem__) is holds


def test_a_token_after_not_is_not_shown() -> None:
    assert submitted_tokens(parse_if(f"(<{TOKEN}> Not <{OTHER}>) (<DAV:no-lock>)")) == {TOKEN, "DAV:no-lock"}


CONDITIONS = st.builds(Condition, st.booleans(), token=st.just("urn:x:1"), etag=st.just("")) | st.builds(
    Condition, st.booleans(), token=st.just(""), etag=st.sampled_from(['"a"', 'W/"b c"', '""'])
)


@given(
    st.lists(st.lists(CONDITIONS, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from(["", "/a", "http://h/a%20b"]),
)
def test_what_is_written_as_the_grammar_says_is_read_so(lists, resource) -> None:
    written = (f"<{resource}> " if resource else "") + " ".join(
        "("
        + " ".join(("Not " if c.negated else "") + (f"<{c.token}>" if c.token else f"[{c.etag}]") for c in conditions)
        + ")"
        for conditions in lists
    )
    assert parse_if(written) == tuple(StateList(resource, tuple(each)) for each in lists)


@given(st.text(max_size=60))
def test_any_field_is_read_or_malformed(field: str) -> None:
    for parse in (
        parse_if,
        parse_destination,
        parse_lock_token,
        parse_date,
        lambda given: parse_depth(given, 0),
        parse_overwrite,
    ):
        try:
            parse(field)
        except Malformed:
            continue


@pytest.mark.parametrize(("field", "depth"), [("0", 0), (" 1 ", 1), ("Infinity", INFINITY), (None, 7)])
def test_depths(field: str | None, depth: int) -> None:
    assert parse_depth(field, 7) == depth


@pytest.mark.parametrize("field", ["", "2", "-1", "0, 1", "1,noroot", "infinite"])
def test_no_depths(field: str) -> None:
    with pytest.raises(Malformed):
        parse_depth(field, 0)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("http://H.example:8443/dav/a%20b", ("h.example:8443", "/dav/a%20b")),
        ("/dav/a", ("", "/dav/a")),
        ("https://h/", ("h", "/")),
    ],
)
def test_destinations(field: str, found: tuple[str, str]) -> None:
    assert parse_destination(field) == found


@pytest.mark.parametrize("field", ["", "a", "http://h", "http://u@h/a", "/a?b", "/a#b", "/é", "//h/a b", "http:///a"])
def test_no_destinations(field: str) -> None:
    with pytest.raises(Malformed):
        parse_destination(field)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, 600),
        ("Second-60", 60),
        ("Infinite, Second-4100000000", 600),
        ("Extend, Second-5", 5),
        ("Second-0", 1),
        ("x", 600),
        ("Second-99999999999999", 600),
    ],
)
def test_timeouts(field: str | None, seconds: int) -> None:
    assert parse_timeout(field, 600) == seconds


def test_lock_tokens_and_overwrite() -> None:
    assert parse_lock_token(f" <{TOKEN}> ") == TOKEN
    for field in (None, "", TOKEN, "<>", f"<{TOKEN}> <{TOKEN}>", "<a b:c>"):
        with pytest.raises(Malformed):
            parse_lock_token(field)
    assert [parse_overwrite(each) for each in (None, "T", "f")] == [True, True, False]
    with pytest.raises(Malformed):
        parse_overwrite("yes")


@given(st.text(max_size=30))
def test_a_path_in_an_href_comes_back_by_one_decoding(path: str) -> None:
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return
    written = encode_path(path)
    assert written.isascii()
    assert not set(written) & set("<>&\"' ?#\\")
    assert unquote(written, errors="strict").encode() == raw


@given(st.integers(0, 253_402_300_799))
def test_dates_come_back(seconds: int) -> None:
    assert parse_date(format_date(seconds)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "field", ["", "now", "Tue, 31 Feb 2026 00:00:00 GMT", "2026-11-24", "Tue, 24 Nov 2026 08:00:00 UTC"]
)
def test_no_dates(field: str) -> None:
    with pytest.raises(Malformed):
        parse_date(field)
