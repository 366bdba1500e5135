"""The token endpoint over the wire: a stranger's OAuth client gets in, and nothing else does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlencode

import jwt
import pytest
from aiohttp import ClientSession

from gateway.core.errors import StoreError
from gateway.flow.defender import Defence, Defender
from tests.doors.site import head
from tests.identity.parties import ISSUER, TOKEN_URL, p256

FORM = "application/x-www-form-urlencoded"


async def post(site, form, **headers):
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    sent = {"Content-Type": FORM, "Content-Length": str(len(body)), **headers}
    return await site.raw(head("POST", "/oauth2/token", sent) + body)


async def test_a_client_gets_a_token_that_opens_the_door(site):
    answer = await post(site, site.form())
    granted = answer.json()
    assert answer.status == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 600)
    assert "transfers:open" in granted["scope"].split()
    async with ClientSession(f"http://127.0.0.1:{site.port}") as session:
        keys = jwt.PyJWKSet.from_dict(await (await session.get("/.well-known/jwks.json")).json(content_type=None))
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        assert (await session.get("/v1/transfers", headers=headers)).status == 200
    key = keys[jwt.get_unverified_header(granted["access_token"])["kid"]]
    jwt.decode(granted["access_token"], key, ["ES256"], audience=ISSUER, options={"verify_exp": False})


async def test_scopes_are_narrowed(site):
    granted = (await post(site, site.form("sz-reader", scope="transfers:read transfers:open"))).json()
    assert granted["scope"] == "transfers:read"
    answer = await post(site, site.form("sz-reader", scope="transfers:open"))
    assert (answer.status, answer.json()["error"]) == (400, "invalid_scope")


async def test_an_assertion_is_taken_once(site):
    form = site.form()
    assert (await post(site, form)).status == 200
    replayed = await post(site, form)
    assert (replayed.status, replayed.json()["error"]) == (401, "invalid_client")


async def test_every_bad_client_gets_the_same_answer(site):
    now = int(site.rig.clock.now().timestamp())
    claims = {"iss": "sz", "sub": "sz", "aud": TOKEN_URL, "exp": now + 60, "jti": "j"}
    stranger = p256()
    forms = [
        site.form(client_assertion=jwt.encode(claims, stranger, "ES256")),
        site.form(client_assertion=jwt.encode(claims | {"iss": "nobody", "sub": "nobody"}, stranger, "ES256")),
        site.form(client_assertion=jwt.encode(claims, "", "none")),
        site.form(client_assertion=site.assertion(exp=now - 60)),
        site.form(client_assertion=site.assertion(aud="https://elsewhere.example")),
        site.form(client_assertion="garbage"),
        site.form(client_assertion=""),
        site.form(client_assertion_type="urn:other"),
        site.form(client_id="gz"),
        site.form(client_secret="hunter2"),
    ]
    answers = [await post(site, form) for form in forms]
    assert {(each.status, each.body) for each in answers} == {(401, answers[0].body)}
    assert answers[0].json()["error"] == "invalid_client"
    basic = await post(site, site.form(), Authorization="Basic c3o6c3o=")
    assert (basic.status, basic.body) == (401, answers[0].body)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (b"grant_type", "invalid_request"),
        (b"grant_type=%ff", "invalid_request"),
        (b"\xff\xfe", "invalid_request"),
        (b"&".join(b"a%d=1" % number for number in range(40)), "invalid_request"),
        (b"a=" + b"x" * 20_000, "invalid_request"),
    ],
)
async def test_other_requests_have_rfc_6749s_words(site, form, error):
    answer = await post(site, form)
    assert (answer.status, answer.json()["error"]) == (400, error)


async def test_only_forms_in_the_body_are_read(site):
    body = urlencode(site.form()).encode()
    typed = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    assert (await site.raw(head("POST", "/oauth2/token", typed) + body)).json()["error"] == "invalid_request"
    sent = {"Content-Type": FORM, "Content-Length": str(len(body))}
    assert (await site.raw(head("POST", "/oauth2/token?scope=x", sent) + body)).json()["error"] == "invalid_request"
    assert (await site.request("GET", "/oauth2/token")).status == 405


async def test_no_secret_is_told(site):
    form = site.form()
    granted = (await post(site, form)).json()
    await post(site, form)
    told = repr(site.observer.seen)
    assert form["client_assertion"] not in told
    assert granted["access_token"] not in told
    assert site.observer.of("token.issued")[0]["client"] == "sz"
    assert site.observer.of("token.refused") == [{"code": "invalid-client"}]


async def test_a_database_that_is_away_is_no_fault_of_the_client(site, monkeypatch):
    @asynccontextmanager
    async def away():
        raise StoreError("away")
        yield

    form = site.form()
    monkeypatch.setattr(site.rig.records, "write", away)
    answer = await post(site, form)
    assert (answer.status, answer.json()["code"]) == (503, "store")
    monkeypatch.undo()
    assert (await post(site, form)).status == 200  # it was not spent


async def test_a_gateway_without_a_registry_is_not_ready(site):
    site.rig.records.state.changes.clear()
    site.rig.registrar._folded = type(site.rig.registrar._folded)()
    answer = await post(site, site.form())
    assert (answer.status, answer.json()["code"]) == (503, "not-initialised")


async def test_too_many_failures_are_answered_429_until_the_ban_ends(site):
    rig = site.rig
    rig.defender = Defender(
        records=rig.records,
        clock=rig.clock,
        observer=rig.observer,
        defence=Defence(failures=3, ban=timedelta(minutes=2)),
    )
    async with site.served():
        for _ in range(2):
            assert (await post(site, site.form(client_assertion="x"))).status == 401
        assert (await post(site, site.form())).status == 200  # a sign-in forgives
        assert (await post(site, {"grant_type": "password"})).status == 400  # no attempt to sign in
        for _ in range(3):
            assert (await post(site, site.form(client_assertion="x"))).status == 401
        answer = await post(site, site.form())
        assert (answer.status, answer.json()["code"], answer.headers["retry-after"]) == (
            429,
            "too-many-failures",
            "120",
        )
        assert answer.headers["content-type"] == "application/problem+json"
        assert site.observer.of("address.banned") == [{"door": "https", "remote": "127.0.0.1", "seconds": 120.0}]
        assert (await site.raw(head("GET", "/.well-known/jwks.json", {}))).status == 200
        rig.clock.advance(seconds=121)
        assert (await post(site, site.form())).status == 200
