"""Default deny: what is not open is shut, whatever the address, the method or the credential."""

from __future__ import annotations

import pytest

from gateway.core.identity import PERMISSION_DOORS, Credential, Door
from gateway.doors.https.guard import ROUTES, TABLE
from tests.doors.site import head

OPEN = {"/healthz", "/readyz", "/oauth2/token", "/.well-known/jwks.json"}
ID = "t" + "a" * 24


def filled(path: str) -> str:
    return path.replace("{id}", ID).replace("{path}", "a/b.csv").replace("{upload}", "0" * 48)


def test_the_open_routes_are_exactly_those_of_the_design():
    assert {row.path for row in TABLE if row.open} == OPEN
    assert all((row.permission is None) == row.open for row in TABLE)
    assert {row.permission for row in TABLE if not row.open} <= PERMISSION_DOORS[Credential.CLIENT_JWT, Door.HTTPS]


async def test_every_route_of_the_router_is_in_the_table_or_answers_nothing(site):
    """The table is what guards: a route added beside it would be found here."""
    app = site.app()
    listed = {(row.method, row.path) for row in TABLE}
    listed |= {("HEAD", path) for method, path in listed if method == "GET"}
    found = {(route.method, route.resource.canonical) for route in app.router.routes()}
    assert found == listed | {("*", "/{rest}")}
    assert len(app.middlewares) == 2


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
async def test_without_a_token_only_the_open_routes_answer(site, row):
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic c3o6c3o="},
        {"Authorization": "Bearer not-a-token"},
    ):
        answer = await site.request(row.method, filled(row.path), client="", headers=headers)
        if row.open:
            assert answer.status in {200, 400}
        else:
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="hetao"')
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/other", "/admin", "//healthz", "/healthz/", "/v1/transfers/../.."])
async def test_addresses_that_are_not_there_tell_strangers_nothing(site, target):
    assert (await site.request("GET", target, client="")).status == 401
    known = await site.request("GET", target)
    assert known.status == 404
    assert known.json()["code"] == "no-such-route"


async def test_the_asterisk_is_no_address_either(site):
    assert (await site.request("OPTIONS", "*", client="")).status == 401
    assert (await site.request("OPTIONS", "*")).json()["code"] == "no-such-route"
    assert (await site.request("GET", "*")).json()["code"] == "malformed-request"


@pytest.mark.parametrize("row", [row for row in TABLE if not row.open], ids=lambda row: f"{row.method} {row.path}")
async def test_a_token_without_the_scope_is_refused_with_the_scope_it_lacks(site, row):
    lacking = " ".join(sorted({each.permission.value for each in TABLE if each.permission} - {row.permission.value}))
    headers = await site.bearer("sz", lacking)
    answer = await site.raw(head(row.method, filled(row.path), headers))
    assert answer.status == 403
    assert row.method == "HEAD" or answer.json()["code"] == "not-permitted"
    assert f'error="insufficient_scope", scope="{row.permission.value}"' in answer.headers["www-authenticate"]


async def test_two_credentials_are_none(site):
    token = (await site.bearer())["Authorization"]
    sent = head("GET", "/v1/transfers", {"Authorization": token}).replace(b"\r\n\r\n", b"\r\nAuthorization: x\r\n\r\n")
    assert (await site.raw(sent)).status in {400, 401}
    in_query = f"/v1/transfers?access_token={token.removeprefix('Bearer ')}"
    assert (await site.request("GET", in_query, client="")).status == 401


async def test_a_revoked_token_is_refused_at_once(site):
    headers = await site.bearer()
    assert (await site.raw(head("GET", "/v1/transfers", headers))).status == 200
    async with site.rig.records.write() as tx:
        await tx.revoke("sz", "", site.rig.clock.now())
    refused = await site.raw(head("GET", "/v1/transfers", headers))
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_another_method_is_told_which_are_there(site):
    answer = await site.request("PATCH", "/v1/transfers")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await site.request("PATCH", "/v1/transfers", client="")).status == 401


async def test_head_is_get_without_a_body(site):
    answer = await site.request("HEAD", "/healthz", client="")
    assert answer.status == 200


async def test_every_answer_is_dressed_and_names_no_software(site):
    for method, target, client in (
        ("GET", "/healthz", ""),
        ("GET", "/v1/transfers", ""),
        ("GET", "/v1/transfers", "sz"),
    ):
        answer = await site.request(method, target, client=client)
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 16
        assert "server" not in answer.headers


async def test_requests_are_told_by_template_without_names_or_tokens(site):
    token = (await site.bearer())["Authorization"]
    target = f"/v1/transfers/{ID}/files/%E5%BC%A0%E4%B8%89.csv?x=secret"
    await site.raw(head("PUT", target, {"Authorization": token, "Content-Length": "0"}))
    seen = site.rig.observer.of("request.answered")[-1]
    assert seen["route"] == "/v1/transfers/{id}/files/{path}"
    assert (seen["method"], seen["status"], seen["client"], seen["code"]) == ("PUT", 400, "sz", "bad-path")
    told = repr(site.rig.observer.seen)
    for secret in ("secret", "张三", "%E5", token.removeprefix("Bearer ")):
        assert secret not in told
    assert seen["route"] in ROUTES


async def test_a_mistake_of_ours_is_a_problem_without_its_words(site, monkeypatch, caplog):
    async def broken(*_given, **_named):
        raise RuntimeError("password hunter2")

    monkeypatch.setattr(site.rig.enquiry, "transfers", broken)
    answer = await site.request("GET", "/v1/transfers")
    assert answer.status == 500
    assert answer.json()["code"] == "internal"
    assert b"hunter2" not in answer.body
    assert site.rig.observer.of("request.mistaken")[0]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-request-id"] in caplog.text
