"""File names from the wire: one canonical form or a refusal, whatever a router or a decoder would have made of them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doors.site import head
from tests.flow.rig import GENERAL

NFC = "caf\u00e9.csv"
NFD = unicodedata.normalize("NFD", NFC)
UNDER = b"/v1/transfers/%s/files/"


def quoted(text: str) -> bytes:
    return "".join(f"%{byte:02X}" for byte in text.encode()).encode()


@pytest.fixture
async def transfer(site):
    rig = site.rig
    opened = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    return opened.id


async def put(site, transfer: str, tail: bytes, before: bytes = b""):
    target = before + UNDER % transfer.encode() + tail
    headers = {**await site.bearer(), "Content-Length": "1"}
    return await site.raw(head("PUT", target, headers) + b"x")


async def stored(site, transfer: str) -> list[str]:
    return [each["path"] for each in await site.rig.enquiry.files(site.rig.sender, transfer)]


@pytest.mark.parametrize(
    ("tail", "path"),
    [
        (b"a.csv", "a.csv"),
        (b"a/b/c.csv", "a/b/c.csv"),
        (b"%61.csv", "a.csv"),
        (quoted(NFC), NFC),
        (quoted("张三 a+b&c=d.csv"), "张三 a+b&c=d.csv"),
        (b"a%3Fb%23c%25d.csv", "a?b#c%d.csv"),
        (b"a%252e%252e.csv", "a%2e%2e.csv"),
        (b"...csv", "...csv"),
        (b"a..b/..c", "a..b/..c"),
        (b"a;b=c,d@e:f!g'h(i)j*k~l_m$n", "a;b=c,d@e:f!g'h(i)j*k~l_m$n"),
        (b"files/submit", "files/submit"),
    ],
)
async def test_a_plain_name_is_kept_as_it_is(site, transfer, tail, path):
    answer = await put(site, transfer, tail)
    assert answer.status == 201, answer.body
    assert answer.json()["path"] == path
    assert await stored(site, transfer) == [path]


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b".",
        b"..",
        b"../a.csv",
        b"../../../etc/passwd",
        b"a/../b.csv",
        b"a/./b.csv",
        b"a/b/..",
        b"%2e%2e/a.csv",
        b"%2E%2e",
        b".%2e/a.csv",
        b"a/%2e%2e/b.csv",
        b"%2e",
        b"a%2fb.csv",
        b"a%2Fb.csv",
        b"..%2fa.csv",
        b"%2fetc%2fpasswd",
        b"/a.csv",
        b"//a.csv",
        b"a//b.csv",
        b"a/",
        b"a%00.csv",
        b"%00",
        b"a%0d%0aX: y",
        b"a%0ab.csv",
        b"a%09b.csv",
        b"a%7f.csv",
        b"%ff.csv",
        b"%c3%28.csv",
        b"%ed%a0%80.csv",
        b"%f0%80%80%af",
        b"%c0%ae%c0%ae/a.csv",
        b"a%",
        b"a%2",
        b"a%zz",
        b"a%u2215b",
        b"a\\b.csv",
        b"a%5Cb.csv",
        b"..%5ca.csv",
        b"a?b.csv",
        b"a.csv?",
        b"a.csv?x=1",
        b"a#b.csv",
        b"%E2%80%AEcsv.a",
        b"%20a.csv",
        b"a.csv%20",
        b"%E3%80%80a.csv",
        b"a/" * 40 + b"b",
        b"a" * 251,
        b"a" * 1100,
        quoted(NFD),
        b"\xe5\xbc\xa0.csv",
        b"\xff.csv",
    ],
)
async def test_other_names_are_refused_and_nothing_is_stored(site, transfer, tail):
    answer = await put(site, transfer, tail)
    assert answer.status == 400, answer.body
    assert answer.json()["code"] in {"bad-path", "malformed-request"}
    assert await stored(site, transfer) == []
    assert site.rig.spool.parts == {}


@pytest.mark.parametrize("tail", [b"a\x00b.csv", b"a\nb.csv", b"a\rb.csv", b"a b.csv", b"a\tb.csv", b"a\x7f.csv"])
async def test_bytes_that_no_request_line_has_are_no_request(site, transfer, tail):
    answer = await put(site, transfer, tail)
    assert answer.status == 400
    assert await stored(site, transfer) == []
    assert site.rig.spool.parts == {}


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/transfers/%s/%%66iles/a.csv",
        b"/v1/%%74ransfers/%s/files/a.csv",
        b"/v1/./transfers/%s/files/a.csv",
        b"/v1/x/../transfers/%s/files/a.csv",
        b"//v1/transfers/%s/files/a.csv",
        b"/v1//transfers/%s/files/a.csv",
        b"/v1/transfers//%s/files/a.csv",
        b"/V1/transfers/%s/files/a.csv",
    ],
)
async def test_another_spelling_of_the_route_is_another_address(site, transfer, target):
    headers = {**await site.bearer(), "Content-Length": "1"}
    answer = await site.raw(head("PUT", target % transfer.encode(), headers) + b"x")
    assert answer.status in {400, 404}
    assert await stored(site, transfer) == []


async def test_the_absolute_form_names_the_same_file(site, transfer):
    answer = await put(site, transfer, b"a.csv", b"https://gateway.example")
    assert answer.status == 201
    assert (await put(site, transfer, b"../a.csv", b"https://gateway.example")).status == 400
    assert (await put(site, transfer, b"a%2fb", b"http://x@y:1")).status == 400
    assert await stored(site, transfer) == ["a.csv"]


async def test_reading_and_dropping_parse_the_same_way(site, transfer):
    await put(site, transfer, b"a/b.csv")
    for method in ("GET", "DELETE"):
        for tail in (b"a%2fb.csv", b"a/../a/b.csv", b"a//b.csv", b"./a/b.csv"):
            target = UNDER % transfer.encode() + tail
            assert (await site.raw(head(method, target, await site.bearer()))).status == 400
    assert await stored(site, transfer) == ["a/b.csv"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_whatever_bytes_are_sent_what_is_stored_is_canonical(parsed, raw):
    parsed(raw)


@pytest.fixture
def parsed():
    """The parser of the door on a raw target, without the socket: hundreds of names a second."""
    from types import SimpleNamespace

    from gateway.core.errors import NotFound, Unusable
    from gateway.core.names import parse_path
    from gateway.doors.https.transfers import file_path

    def check(raw: bytes) -> None:
        target = "/v1/transfers/t/files/" + raw.decode("utf-8", "surrogateescape")
        try:
            path = file_path(SimpleNamespace(raw_path=target))
        except (Unusable, NotFound):
            return
        assert parse_path(path) == path
        assert not {"", ".", ".."} & set(path.split("/"))

    return check
