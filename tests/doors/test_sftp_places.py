"""Paths of the virtual tree: any bytes give one canonical place, or a refusal; and what SUBMIT and commands may say."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import CallerError, NotFound, Unusable
from gateway.core.names import parse_path
from gateway.doors.outbox.listings import parse_listing
from gateway.doors.outbox.places import Place, canonical, parse_place
from gateway.doors.sftp.sums import parse_command

PIECES = st.sampled_from(
    [
        b"outbox", b"hku", b"trial", b"d", b"..", b".", b"", b"a.csv", b"\xff", b"a\\b", b"\0", "é".encode(), b"e\xcc\x81",
        b"README.txt", b"status", b" ",
    ]
)  # fmt: skip


@given(st.binary(max_size=200) | st.lists(PIECES, max_size=12).map(b"/".join))
def test_any_bytes_are_one_place_or_refused(raw: bytes) -> None:
    assert canonical(canonical(raw)) == canonical(raw)
    assert b".." not in canonical(raw).split(b"/")
    try:
        place = parse_place(raw)
    except CallerError:
        with pytest.raises(CallerError):
            parse_place(canonical(raw))
        return
    assert parse_place(canonical(raw)) == place
    if place.path:
        assert parse_path(place.path) == place.path
        assert canonical(raw) == f"/outbox/{place.endpoint}/{place.project}/{place.leaf}/{place.path}".encode()


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", Place()),
        (b"/..//./", Place()),
        (b"README.txt", Place("README.txt")),
        (b"/outbox//hku/../hku/trial/d/x/../a.csv", Place("outbox", "hku", "trial", "d", "a.csv")),
        (b"/status/hku/trial/d.txt", Place("status", "hku", "trial", "d.txt")),
    ],
)
def test_spellings_of_a_place(raw: bytes, place: Place) -> None:
    assert parse_place(raw) == place


@pytest.mark.parametrize("raw", [b"/etc", b"/README.txt/a", b"/outbox/HKU", b"/outbox/\xff", b"/status/hku/trial/d/x"])
def test_places_where_nothing_can_be(raw: bytes) -> None:
    with pytest.raises(NotFound):
        parse_place(raw)


@pytest.mark.parametrize(
    ("path", "order"), [("SUBMIT", "SUBMIT"), ("WITHDRAW.filepart", "WITHDRAW"), ("x/SUBMIT", ""), ("submit", "")]
)
def test_orders_are_names_at_the_top_of_a_dataset(path: str, order: str) -> None:
    assert Place("outbox", "hku", "trial", "d", path).order == order


def test_a_listing_is_digests_or_sizes() -> None:
    digest = hashlib.sha256(b"").hexdigest()
    assert parse_listing(b" \n") is None
    assert parse_listing(f"{digest}  a b.csv\n{digest} *./c\n\n12\td/e\n".encode()) == {
        "a b.csv": bytes.fromhex(digest),
        "c": bytes.fromhex(digest),
        "d/e": 12,
    }


@pytest.mark.parametrize(
    "content", [b"x", b"12", b"-1 a", b"1 /a", b"1 ../a", b"1 a\n2 a", b"\xff", b"0" * 63 + b"  a"]
)
def test_a_listing_that_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(Unusable):
        parse_listing(content)


@given(st.binary(max_size=100))
def test_any_listing_is_read_or_refused(content: bytes) -> None:
    try:
        listed = parse_listing(content)
    except Unusable:
        return
    assert listed is None or all(parse_path(path) == path for path in listed)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("sha256sum '/outbox/a b'", ["/outbox/a b"]), ("sha256sum -- /a /b", ["/a", "/b"]), ("echo 'abc' | sha256sum", []),
        ("sha256sum", None), ("sha256sum -c a", None), ("ls", None), ("sha256sum 'a", None), ("sh -c 'sha256sum a'", None),
        ("sha256sum a\n", None), ("", None), ("sha256sum " + "a" * 70_000, None),
    ],
)  # fmt: skip
def test_one_command_is_read(command: str, paths: list[str] | None) -> None:
    found = parse_command(command)
    assert (None if found is None else list(found)) == paths
