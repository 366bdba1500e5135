"""Submissions: exactly what was received, bound by one root, under names no file system folds together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Conflict, GatewayError, Incomplete, TooLarge, Unusable
from gateway.core.intake import Limits, check_quota, check_room, check_submission, file_leaf, files_root
from tests.core.examples import FILES, received

LISTED = {file.path: file.size for file in FILES}


# --- the list and its root -------------------------------------------------------------------------------------------------


def by_hand(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, written down once more from its text."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_hand(leaves[:split]) + by_hand(leaves[split:])).digest()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8, 13])
def test_the_root_is_rfc_6962_over_canonical_json_in_path_order(count: int) -> None:
    files = [received(f"{number:02}.csv", bytes(number), number) for number in range(count)]
    leaves = [
        json.dumps(
            {
                "body_blake3": file.body_blake3.hex(),
                "body_size": file.body_size,
                "path": file.path,
                "sha256": file.sha256.hex(),
                "size": file.size,
            },
            separators=(",", ":"),
        ).encode()
        for file in files
    ]
    assert [file_leaf(file) for file in files] == leaves
    assert files_root(files) == files_root(files[::-1]) == by_hand(leaves)


def test_paths_are_ordered_by_their_bytes() -> None:
    files = [received(path, b"x") for path in ("ﬀ.csv", "Z.csv", "a.csv", "张.csv", "😀.csv")]
    ordered = sorted(files, key=lambda file: file.path.encode())
    assert files_root(files) == by_hand([file_leaf(file) for file in ordered])


@pytest.mark.parametrize(
    "change", [{"path": "c.csv"}, {"size": 1}, {"sha256": bytes(32)}, {"body_size": 1}, {"body_blake3": bytes(32)}]
)
def test_the_root_binds_every_word_about_a_file(change: dict[str, object]) -> None:
    assert files_root([replace(FILES[0], **change), FILES[1]]) != files_root(FILES)


@pytest.mark.parametrize("change", [{"number": 77}, {"parts": ("elsewhere",)}])
def test_the_root_does_not_bind_where_the_bytes_lie(change: dict[str, object]) -> None:
    assert files_root([replace(FILES[0], **change), FILES[1]]) == files_root(FILES)


# --- submissions -----------------------------------------------------------------------------------------------------------


def test_what_was_received_is_submitted() -> None:
    check_submission(FILES, LISTED, 0)
    check_submission(FILES, None, 0)


@pytest.mark.parametrize(
    ("listed", "unfinished", "error", "says"),
    [
        (LISTED, 1, Incomplete, "1 upload"),
        (None, 3, Incomplete, "3 upload"),
        ({**LISTED, "c/new.csv": 1}, 0, Incomplete, r"1 listed file.*\*/\*\*\*\.csv"),
        ({"a.csv": 65_536}, 0, Conflict, r"1 received file.*\*/\*\*\*\*\*\.csv"),
        ({**LISTED, "a.csv": 65_535}, 0, Conflict, "65535 bytes but 65536"),
        ({}, 0, Conflict, "2 received"),
        ({**LISTED, "A.csv": 65_536}, 0, Incomplete, "1 listed"),
    ],
)
def test_what_is_not_exactly_what_was_received(
    listed: Mapping[str, int] | None, unfinished: int, error: type[GatewayError], says: str
) -> None:
    with pytest.raises(error, match=says) as told:
        check_submission(FILES, listed, unfinished)
    assert "genes" not in told.value.message, "names are masked"


def test_an_empty_submission() -> None:
    with pytest.raises(Unusable) as told:
        check_submission([], {}, 0)
    assert told.value.code == "empty-submission"


FOLDING = {
    "case": ("a.csv", "A.csv"),
    "case in a folder": ("data/a.csv", "Data/A.csv"),
    "sharp s": ("straße", "STRASSE"),
    "width": ("ａ.csv", "a.csv"),
    "ligature": ("ﬁle", "file"),
    "kelvin": ("\u212a", "k"),
    "dotted capital": ("İ", "i\u0307"),
    "compatibility ideograph": ("\u2f00", "\u4e00"),
    "folding that must be normalised again": ("\u0390", "\u03aa\u0301"),
    "the same twice": ("a", "a"),
    "file and folder": ("a", "a/b"),
    "file and folder in other case": ("A", "a/b"),
    "file and deep folder": ("x/Y", "X/y/z/1"),
    "sealed file and folder": ("a", "a.c4gh/b"),
    "sealed file and folder in other case": ("a/B", "a/b.C4GH/c"),
    "the manifest and a folder": ("manifest.json/a", "b"),
    "the signature and a folder": ("Manifest.json.SIG/a", "b"),
}


@pytest.mark.parametrize("paths", FOLDING.values(), ids=FOLDING)
def test_names_that_fold_together(paths: tuple[str, str]) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(Unusable) as told:
            check_submission([received(path, b"x") for path in order], None, 0)
        assert told.value.code == "folding-names"


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "b"),
        ("a/b", "a/c"),
        ("a/b", "a.c4gh"),
        ("ab", "a/b"),
        ("manifest.json", "data/manifest.json/x"),
        ("e", "é"),
        ("x/a", "X/b"),
    ],
)
def test_names_that_live_side_by_side(paths: tuple[str, str]) -> None:
    check_submission([received(path, b"x") for path in paths], None, 0)


@given(st.lists(st.text("aAbBßſ/\u0390\u03aa\u0301ﬁ.", min_size=1, max_size=5), min_size=1, max_size=5, unique=True))
def test_folding_does_not_depend_on_the_order(paths: list[str]) -> None:
    def answer(listed: list[str]) -> str:
        try:
            check_submission([received(path, b"x") for path in listed], None, 0)
        except Unusable as refused:
            return refused.code
        return "taken"

    assert answer(paths) == answer(paths[::-1])
    if answer(paths) == "taken":
        assert len({path.upper() for path in paths}) == len({path.lower() for path in paths}) == len(paths)


# --- room ------------------------------------------------------------------------------------------------------------------

SMALL = Limits(files=3, file_bytes=100, transfer_bytes=250)


@pytest.mark.parametrize(("files", "held", "incoming"), [(0, 0, 0), (2, 150, 100), (0, 0, 100), (2, 250, 0)])
def test_bounds_are_inclusive(files: int, held: int, incoming: int) -> None:
    check_room(SMALL, files, held, incoming)


@pytest.mark.parametrize(
    ("files", "held", "incoming", "says"),
    [
        (3, 0, 0, "at most 3 files"),
        (0, 0, 101, "a file holds at most 100"),
        (2, 151, 100, "a transfer holds at most 250"),
    ],
)
def test_bounds_are_named(files: int, held: int, incoming: int, says: str) -> None:
    with pytest.raises(TooLarge, match=says):
        check_room(SMALL, files, held, incoming)


def test_the_bounds_fit_each_other() -> None:
    assert Limits().file_bytes <= Limits().transfer_bytes < 1 << 53


@pytest.mark.parametrize(("held", "incoming"), [(0, 0), (0, 1000), (999, 1), (999, 0), (500, 500)])
def test_the_quota_is_inclusive(held: int, incoming: int) -> None:
    check_quota(replace(SMALL, undelivered_bytes=1000), held, incoming)


@pytest.mark.parametrize(("held", "incoming"), [(1000, 0), (1000, 1), (0, 1001), (501, 500), (2000, 0)])
def test_the_quota_says_how_to_make_room(held: int, incoming: int) -> None:
    with pytest.raises(TooLarge, match=r"may have 1000 bytes here.*: submit what is ready, withdraw") as refused:
        check_quota(replace(SMALL, undelivered_bytes=1000), held, incoming)
    assert (refused.value.code, refused.value.retry) == ("quota-reached", True)


def test_no_quota_is_no_bound() -> None:
    check_quota(replace(SMALL, undelivered_bytes=0), 1 << 60, 1 << 60)
