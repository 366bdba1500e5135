"""Application passwords below `/dav`: over TLS, there and nowhere else; and what each place challenges with."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from gateway.core.identity import Credential, Door
from gateway.doors.https.gatekeeper import API, FOLDERS, place
from gateway.flow.defender import Defence, Defender
from tests.doors.mutual import PASSWORD, USER, MutualSite
from tests.doors.site import head, read_answer

BASIC_CHALLENGE = b'WWW-Authenticate: Basic realm="hetao", charset="UTF-8"\r\n'
BEARER_CHALLENGE = b'WWW-Authenticate: Bearer realm="hetao"'


@pytest.fixture
async def mutual(tmp_path):
    return await MutualSite(tmp_path).found()


def basic(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def head_of(site, target: str, headers: dict[str, str], method: str = "GET") -> bytes:
    """The raw head of an answer: several fields of one name matter here."""
    reader, writer = await site.connect()
    writer.write(head(method, target, headers))
    raw = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return raw


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/dav", FOLDERS),
        ("/dav/", FOLDERS),
        ("/dav/{path}", FOLDERS),
        ("/dav/outbox/hku", FOLDERS),
        ("/davis", API),
        ("/DAV/", API),
        ("/v1/dav/", API),
        ("//dav/", API),
        ("", API),
        ("*", API),
    ],
)
def test_where_a_path_lies(path, where):
    assert place(path) is where


async def test_a_password_opens_folders_for_its_person(mutual):
    async with mutual.folders(mutual.context()) as site:
        answer = await site.ask("GET", "/dav/outbox/", basic())
        assert answer.json() == {
            "client": "app-password:lin-dav",
            "credential": Credential.APP_PASSWORD,
            "door": Door.WEBDAV,
            "institution": "sz-lab",
            "person": "lin",
        }
        refused = await site.ask("PUT", "/dav/outbox/a", basic())
        assert (refused.status, refused.json()["code"]) == (403, "not-permitted")  # registered for reading alone


async def test_tokens_and_certificates_open_folders_too_through_their_door(mutual):
    async with mutual.folders(mutual.context()) as site:
        by_token = await site.ask("GET", "/dav/x", await site.bearer("sz"))
        by_certificate = await site.ask("GET", "/dav/x", card=site.card("sz"))
        assert [(each.json()["credential"], each.json()["door"]) for each in (by_token, by_certificate)] == [
            (Credential.CLIENT_JWT, Door.WEBDAV),
            (Credential.CLIENT_CERTIFICATE, Door.WEBDAV),
        ]
        beside = await site.ask("GET", "/v1/whoami", card=site.card("sz", name="again"))
        assert beside.json()["door"] == Door.HTTPS


async def test_a_password_is_good_for_nothing_else(mutual):
    async with mutual.folders(mutual.context()) as site:
        assert (await site.ask("GET", "/v1/whoami", basic())).status == 401
        assert (await site.ask("GET", "/v1/whoami", basic(), card=site.card("sz"))).status == 401  # two are none
    async with mutual.secured() as site:
        for target in ("/v1/transfers", "/", "/dav"):
            answer = await site.ask("GET", target, basic())
            assert answer.status == (405 if target == "/dav" else 401)  # a folder is listed by PROPFIND, not read
        form = {**basic(), "Content-Type": "application/x-www-form-urlencoded"}
        body = b"grant_type=client_credentials&client_id=lin-dav"
        assert (await site.ask("POST", "/oauth2/token", form, body)).json()["error"] == "invalid_client"


async def test_without_tls_a_password_is_not_even_looked_at(mutual):
    async with mutual.folders(None) as site:
        answer = await site.raw(head("GET", "/dav/x", basic()))
        assert (answer.status, answer.json()["code"]) == (401, "not-authenticated")
        assert "TLS" in answer.json()["detail"]


async def test_each_place_challenges_with_what_it_takes(mutual):
    async with mutual.folders(mutual.context()) as site:
        for headers in ({}, basic(password="hap_wrong"), {"Authorization": "Digest x"}):
            raw = await head_of(site, "/dav/outbox/", headers)
            assert raw.startswith(b"HTTP/1.1 401")
            assert raw.index(BASIC_CHALLENGE) < raw.index(BEARER_CHALLENGE)
            raw = await head_of(site, "/v1/whoami", headers)
            assert raw.startswith(b"HTTP/1.1 401")
            assert b"Basic" not in raw
            assert BEARER_CHALLENGE in raw
        assert BASIC_CHALLENGE in await head_of(site, "/dav/none", {}, "MKCOL")  # whatever is there or not
        raw = await head_of(site, "/dav/x", {"Authorization": "Bearer x.y.z"})
        assert BASIC_CHALLENGE in raw
        assert b'error="invalid_token"' in raw


async def test_wrong_passwords_have_one_answer_and_are_counted_until_the_ban(mutual):
    rig = mutual.rig
    rig.defender = Defender(
        records=rig.records,
        clock=rig.clock,
        observer=rig.observer,
        defence=Defence(failures=4, ban=timedelta(minutes=2)),
    )
    async with mutual.folders(mutual.context()) as site:
        tries = [basic(password="hap_" + "a" * 32), basic("nobody"), basic(password="")]
        answers = [await site.ask("GET", "/dav/x", each) for each in tries]
        assert {(each.status, each.json()["code"], each.json()["detail"]) for each in answers} == {
            (401, "invalid-password", answers[0].json()["detail"])
        }
        assert (await site.ask("GET", "/dav/x", basic())).status == 200  # a sign-in forgives
        for _ in range(4):
            assert (await site.ask("GET", "/dav/x", tries[0])).status == 401
        banned = await site.ask("GET", "/dav/x", basic())
        assert (banned.status, banned.json()["code"], banned.headers["retry-after"]) == (
            429,
            "too-many-failures",
            "120",
        )
        assert {each["door"] for each in site.observer.of("login.failed")} == {"webdav"}
        assert site.observer.of("address.banned")[0]["door"] == "webdav"
        assert (await site.ask("GET", "/dav/x", await site.bearer("sz"))).status == 200  # a token is not guessed
        rig.clock.advance(seconds=121)
        assert (await site.ask("GET", "/dav/x", basic())).status == 200


async def test_what_another_site_makes_a_browser_send_counts_for_nothing_and_against_nobody(mutual):
    async with mutual.folders(mutual.context()) as site:
        assert (await site.ask("GET", "/dav/x", {**basic(), "Sec-Fetch-Site": "cross-site"})).status == 401
        assert (await site.ask("GET", "/dav/x", {**basic(), "Sec-Fetch-Site": "none"})).status == 200
        assert site.observer.of("login.failed") == []


async def test_a_revoked_password_ends_on_open_connections(mutual):
    async with mutual.folders(mutual.context()) as site:
        reader, writer = await site.connect()
        for expected in (200, 401):
            writer.write(head("GET", "/dav/x", basic()))
            assert (await read_answer(reader)).status == expected
            async with site.rig.records.write() as tx:
                await tx.revoke("app-password:lin-dav", "", site.now)
        writer.close()
