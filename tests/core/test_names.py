"""Names: one canonical form, refused or taken, through whatever door they come."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import Unusable
from gateway.core.names import (
    MAX_DEPTH,
    MAX_PATH_BYTES,
    MAX_SEGMENT_BYTES,
    DatasetName,
    masked,
    parse_identifier,
    parse_path,
    parse_raw_url_path,
    parse_segment,
)

GOOD = (
    "a",
    "a.csv",
    "cohort/张三.csv",
    "研究/数据集 (1)/值.txt",
    "a b",
    "-rf",
    "...",
    "..a",
    ".bagit",
    "a~b#c?d%e&f=g;h",
    "été.csv",
    "😀/🧬.fastq.gz",
    "نتائج.csv",
    "x" * MAX_SEGMENT_BYTES,
    "/".join(["d"] * MAX_DEPTH),
)

BAD = {
    "empty": "",
    "absolute": "/etc/passwd",
    "ends with a slash": "folder/",
    "empty segment": "a//b",
    "dot": "a/./b",
    "dots": "a/../b",
    "only dots": "..",
    "backslash": "a\\b",
    "drive": "..\\..\\windows",
    "NUL": "a\x00b",
    "newline": "a\nb",
    "escape": "a\x1b[31m",
    "delete": "a\x7f",
    "C1 control": "a\x85b",
    "right-to-left override": "evil\u202egpj.exe",
    "isolate": "a\u2066b",
    "left-to-right mark": "a\u200eb",
    "line separator": "a\u2028b",
    "private use": "a\ue000b",
    "not assigned": "a\u0378b",
    "lone surrogate": "a\udc80b",
    "not NFC": unicodedata.normalize("NFD", "été.csv"),
    "compatibility ideograph": "\uf900",  # its NFC is another character
    "leading space": " a",
    "trailing space": "folder /a",
    "trailing ideographic space": "a\u3000",
    "long segment": "x" * (MAX_SEGMENT_BYTES + 1),
    "long segment in bytes": "张" * 84,
    "deep": "/".join(["d"] * (MAX_DEPTH + 1)),
    "long": "/".join(["x" * 200] * 6),
}


@pytest.mark.parametrize("path", GOOD)
def test_good_paths_come_through_as_they_are(path: str) -> None:
    assert parse_path(path) == parse_path(path.encode()) == path
    assert parse_raw_url_path(quote(path, safe="/")) == path


@pytest.mark.parametrize("path", BAD.values(), ids=BAD)
def test_bad_paths_are_refused_with_a_word_on_what_to_do(path: str) -> None:
    with pytest.raises(Unusable) as told:
        parse_path(path)
    assert told.value.code == "bad-path"
    assert ":" in told.value.message


@pytest.mark.parametrize("path", [b"\xff", b"a/\xc3\x28", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae/etc", "张".encode("gbk")])
def test_bytes_that_are_not_utf8(path: bytes) -> None:
    with pytest.raises(Unusable, match="UTF-8"):
        parse_path(path)


def test_bounds_are_inclusive() -> None:
    longest = "/".join(["x" * 204] * 4 + ["x" * 204])
    assert len(longest) == MAX_PATH_BYTES
    assert parse_path(longest) == longest
    with pytest.raises(Unusable, match="1024"):
        parse_path(longest + "x")


@given(st.binary(max_size=80) | st.text(st.characters(), max_size=60))
@example("a\ud800")
@example("e\u0301")
def test_any_name_is_canonical_or_refused(raw: str | bytes) -> None:
    try:
        path = parse_path(raw)
    except Unusable:
        return
    assert parse_path(path) == parse_path(path.encode()) == path
    assert path == (raw.decode() if isinstance(raw, bytes) else raw), "nothing is silently repaired"
    assert unicodedata.is_normalized("NFC", path)
    assert len(path.encode()) <= MAX_PATH_BYTES
    assert all(segment not in {"", ".", ".."} and parse_segment(segment) == segment for segment in path.split("/"))


@given(
    st.binary(max_size=60) | st.sampled_from(sorted(BAD.values())).map(lambda bad: bad.encode(errors="surrogateescape"))
)
@example(b"a/b")
@example(b"a%2Fb")
def test_every_door_gives_the_same_answer(raw: bytes) -> None:
    """The same bytes as SFTP sends them and percent-encoded as a URL has them."""

    def answer(parse: object, given_name: object) -> str:
        try:
            return parse(given_name)
        except Unusable as refused:
            return f"refused: {refused.message}"

    url = quote(raw, safe="/")
    assert answer(parse_path, raw) == answer(parse_raw_url_path, url)
    everything_encoded = "/".join("".join(f"%{byte:02x}" for byte in part) for part in raw.split(b"/"))
    assert answer(parse_path, raw) == answer(parse_raw_url_path, everything_encoded)


@pytest.mark.parametrize(
    "raw", ["a%2fb", "a%2Fb", "..%2f..%2fetc", "%2e%2e/x", "%2E", "a/%2e%2e/b", "%", "a%2", "a%zz", "é", "%00"]
)
def test_urls_that_try_to_climb_or_are_broken(raw: str) -> None:
    with pytest.raises(Unusable):
        parse_raw_url_path(raw)


def test_a_doubly_encoded_slash_is_a_percent_sign() -> None:
    assert parse_raw_url_path("a%252Fb") == "a%2Fb"


@pytest.mark.parametrize("bad", ["a/b", "", ".", "..", "a\\b", " a", "a\udc80"])
def test_a_dataset_name_is_one_segment(bad: str) -> None:
    with pytest.raises(Unusable):
        parse_segment(bad)


@pytest.mark.parametrize("good", ["a", "7", "sz-lab", "a" * 63, "a-b-c", "0-0"])
def test_identifiers(good: str) -> None:
    assert parse_identifier(good) == good


@pytest.mark.parametrize("bad", ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "a b", "a" * 64, "é", "a\n", "１"])
def test_what_is_no_identifier(bad: str) -> None:
    with pytest.raises(Unusable, match="project must be") as told:
        parse_identifier(bad, "project")
    assert told.value.code == "bad-identifier"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("cohort/张三.csv", "******/**.csv"),
        ("a.CSV", "*.CSV"),
        ("a.vcf.gz", "*****.gz"),
        ("a.vcf.gz/b", "********/*"),
        ("zhang.wei", "*********"),  # a name after the dot is a name
        ("patient.19900307", "****************"),  # and so is a birthday
        ("noextension", "***********"),
        (".csv", ".csv"),
        ("a.", "**"),
        ("", ""),
    ],
)
def test_masked(path: str, shown: str) -> None:
    assert masked(path) == shown


@given(st.text(max_size=60))
def test_masking_shows_nothing_but_the_shape_and_a_known_extension(path: str) -> None:
    shown = masked(path)
    head, dot, extension = shown.rpartition(".")
    assert len(shown) == len(path)
    assert set(head if dot else shown) <= {"*", "/"}
    assert extension.isascii()
    assert len(extension) <= 8 or not dot


def test_the_folder_of_a_version() -> None:
    assert DatasetName("sz-lab", "hku", "trial-a", "batch 1").folder(3) == "sz-lab/trial-a/batch 1/v3"
