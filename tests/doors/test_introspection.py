"""Introspection, revocation and metadata over the wire; and two gateways on one database, which know of a revocation at once."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import pytest

from gateway.identity.apppasswords import AppPasswords
from gateway.identity.jwk import TokenKey
from gateway.identity.tokens import AccessTokens
from gateway.stores.database import Database
from tests.doors.site import Site, head
from tests.identity.parties import ISSUER

TYPED = {"Content-Type": "application/x-www-form-urlencoded"}


async def post(site, path, form):
    body = urlencode(form).encode()
    return await site.raw(head("POST", path, {**TYPED, "Content-Length": str(len(body))}) + body)


def signed(site, client="sz", **more):
    form = site.form(client, **more)
    del form["grant_type"]
    return form


async def token_of(site, client="sz"):
    return (await post(site, "/oauth2/token", site.form(client))).json()["access_token"]


async def test_a_client_asks_about_its_token(site):
    token = await token_of(site)
    told = await post(site, "/oauth2/introspect", signed(site, token=token, token_type_hint="access_token"))
    assert (told.status, told.headers["cache-control"]) == (200, "no-store")
    assert (told.json()["active"], told.json()["client_id"], told.json()["token_type"]) == (True, "sz", "Bearer")
    for client, asked in (("gz", token), ("sz-reader", token), ("sz", "garbage"), ("sz", token[:-2])):
        answer = await post(site, "/oauth2/introspect", signed(site, client, token=asked))
        assert (answer.status, answer.json()) == (200, {"active": False})


async def test_a_client_gives_its_token_back(site):
    token = await token_of(site)
    headers = {"Authorization": f"Bearer {token}"}
    foreign = await post(site, "/oauth2/revoke", signed(site, "gz", token=token))
    assert (foreign.status, foreign.json()["error"]) == (400, "unauthorized_client")
    assert (await site.raw(head("GET", "/v1/transfers", headers))).status == 200
    for given in (token, token, "garbage"):
        answer = await post(site, "/oauth2/revoke", signed(site, token=given))
        assert (answer.status, answer.body) == (200, b"")
    assert (await site.raw(head("GET", "/v1/transfers", headers))).status == 401
    assert len(site.observer.of("token.revoked")) == 2
    assert token not in repr(site.observer.seen)


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
async def test_only_a_client_that_proves_itself_gets_an_answer(site, path):
    token = await token_of(site)
    bare = await post(site, path, {"token": token})
    wrong = await post(site, path, signed(site, token=token) | {"client_assertion": "x"})
    by_token = await site.raw(head("POST", path, {**TYPED, "Authorization": f"Bearer {token}"}))
    assert [(each.status, each.json()["error"]) for each in (bare, wrong)] == [(401, "invalid_client")] * 2
    assert (by_token.status, by_token.json()["error"]) == (400, "invalid_request")
    assert (await post(site, path, signed(site))).json()["error"] == "invalid_request"  # no token
    form = signed(site, token=token)
    assert (await post(site, path, form)).status == 200
    assert (await post(site, path, form)).status == 401  # its assertion is spent


async def test_the_gateway_says_what_it_is_as_issuer(site):
    answer = await site.raw(head("GET", "/.well-known/oauth-authorization-server", {}))
    told = answer.json()
    assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=300")
    assert answer.headers["content-type"].startswith("application/json")
    assert told["issuer"] == ISSUER
    assert {name: told[name] for name in told if name.endswith("_endpoint") or name == "jwks_uri"} == {
        "token_endpoint": f"{ISSUER}/oauth2/token",
        "introspection_endpoint": f"{ISSUER}/oauth2/introspect",
        "revocation_endpoint": f"{ISSUER}/oauth2/revoke",
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
    }
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert told["tls_client_certificate_bound_access_tokens"] is False


# --- two gateways, one database ------------------------------------------------------------------------------------------


class OnDatabase(Site):
    """The site over a connection pool of its own to a real database."""

    def __init__(self, folder, database):
        super().__init__(folder)
        self.rig.records = database
        self.rig.restart()

    def beside(self, first: Site) -> Site:
        """A second gateway: nothing in common with the first but the database, the keyring and the token key."""
        self.rig.genesis, self.rig.keyring, self.keys = first.rig.genesis, first.rig.keyring, first.keys
        self.rig.restart()
        about = {"records": self.rig.records, "registrar": self.rig.registrar, "clock": self.rig.clock}
        key = TokenKey(self.folder / "tokens.pem")
        self.tokens = AccessTokens(**about, entropy=self.rig.entropy, issuer=ISSUER, key=key)
        self.passwords, self.assertions = AppPasswords(**about), first.assertions
        return self


async def test_a_revocation_here_holds_at_once_at_a_second_gateway_on_the_same_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    async with AsyncExitStack() as stack:
        databases = [await Database.open(url) for _ in range(2)]
        for each in databases:
            stack.push_async_callback(each.close)
        await databases[0].migrate()
        one = await OnDatabase(tmp_path, databases[0]).found()
        two = OnDatabase(tmp_path, databases[1]).beside(one)
        await stack.enter_async_context(one.served())
        await stack.enter_async_context(two.served())
        token, kept = await token_of(one), await token_of(one)
        headers = {"Authorization": f"Bearer {token}"}
        assert (await two.raw(head("GET", "/v1/transfers", headers))).status == 200
        began = time.monotonic()
        assert (await post(one, "/oauth2/revoke", signed(one, token=token))).status == 200
        assert (await two.raw(head("GET", "/v1/transfers", headers))).status == 401
        assert time.monotonic() - began < 5
        assert (await two.raw(head("GET", "/v1/transfers", {"Authorization": f"Bearer {kept}"}))).status == 200
