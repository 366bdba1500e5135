"""Access tokens: a stranger's library reads them, only the registry's word makes them worth something."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import jwt
import pytest

from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.identity import SENDER_SCOPES, Credential, Door, Permission
from gateway.core.records import Client
from gateway.identity.jwk import TokenKey
from gateway.identity.tokens import AccessTokens
from tests.identity.parties import ISSUER, Parties, p256, write_pem


@pytest.fixture
async def parties():
    return await Parties().found()


@pytest.fixture
def make(parties, tmp_path):
    def made(name="token.pem", issuer=ISSUER, **about):
        path = tmp_path / name
        key = TokenKey(path if path.exists() else write_pem(p256(), path))
        return AccessTokens(
            records=parties.records,
            registrar=parties.registrar,
            clock=parties.clock,
            entropy=parties.entropy,
            issuer=issuer,
            key=key,
            **about,
        )

    return made


async def client(parties, name="sz-lab-ec") -> Client:
    return (await parties.registrar.registry()).get(Client, name)


async def refused(tokens, token):
    with pytest.raises(NotAuthenticated) as refusal:
        await tokens.verify(token)
    assert refusal.value.code == "invalid-token"


async def test_a_token_is_what_rfc_9068_says(parties, make):
    tokens = make()
    issued = tokens.issue(await client(parties), "transfers:read transfers:open")
    key = jwt.PyJWKSet.from_dict(tokens.jwks())[jwt.get_unverified_header(issued.token)["kid"]]
    claims = jwt.decode(issued.token, key, algorithms=["ES256"], audience=ISSUER, options={"verify_exp": False})
    now = int(parties.clock.now().timestamp())
    assert jwt.get_unverified_header(issued.token)["typ"] == "at+jwt"
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "sz-lab-ec",
        "client_id": "sz-lab-ec",
        "iat": now,
        "exp": now + 600,
        "jti": issued.token_id,
        "scope": "transfers:open transfers:read",
    }
    assert issued.expires_in == 600


async def test_a_token_becomes_a_principal(parties, make):
    tokens = make()
    principal = await tokens.verify(tokens.issue(await client(parties), "transfers:read").token)
    assert (principal.institution, principal.person, principal.client) == ("sz-lab", "zhang-san", "sz-lab-ec")
    assert (principal.credential, principal.door) == (Credential.CLIENT_JWT, Door.HTTPS)
    assert principal.scopes == {Permission.TRANSFERS_READ}
    assert principal.may(Permission.TRANSFERS_READ)
    assert not principal.may(Permission.TRANSFERS_OPEN)


@pytest.mark.parametrize(
    ("name", "requested", "granted"),
    [
        ("sz-lab-ec", "", SENDER_SCOPES),
        ("sz-lab-ed", "", ("transfers:read",)),
        ("sz-lab-ed", "transfers:read transfers:open", ("transfers:read",)),
        ("sz-lab-ec", "transfers:read transfers:read", ("transfers:read",)),
        ("sz-lab-ec", "transfers:read review:vote", ("transfers:read",)),
        ("sz-lab-ed", "transfers:open", None),
        ("sz-lab-ec", "review:vote", None),
        ("sz-lab-ec", "transfers:read  transfers:open", None),
        ("sz-lab-ec", " transfers:read", None),
        ("sz-lab-ec", 'say "hello"', None),
    ],
)
async def test_scopes_are_narrowed_and_never_widened(parties, make, name, requested, granted):
    tokens = make()
    if granted is None:
        with pytest.raises(Unusable) as refusal:
            tokens.issue(await client(parties, name), requested)
        assert refusal.value.code == "invalid-scope"
    else:
        assert tokens.issue(await client(parties, name), requested).scopes == granted


async def test_a_scope_the_table_does_not_know_gives_nothing_even_if_registered(parties, make):
    widened = replace(await client(parties), scopes=("review:vote", "transfers:read"))
    assert make().issue(widened).scopes == ("transfers:read",)


async def test_a_scope_taken_from_the_registry_is_gone_from_living_tokens(parties, make):
    tokens = make()
    token = tokens.issue(await client(parties), "").token
    await parties.client("sz-lab-ec", scopes=("transfers:read",))
    assert (await tokens.verify(token)).scopes == {Permission.TRANSFERS_READ}


async def test_a_token_expires(parties, make):
    tokens = make(lifetime=timedelta(minutes=10))
    token = tokens.issue(await client(parties), "").token
    parties.clock.advance(minutes=10, seconds=29)
    await tokens.verify(token)
    parties.clock.advance(seconds=1)
    await refused(tokens, token)


async def test_a_former_key_verifies_and_a_strangers_does_not(parties, make):
    old, tokens = make("old.pem"), make()
    token = old.issue(await client(parties), "").token
    await refused(tokens, token)
    rolled = make(former=[old._key.public])
    await rolled.verify(token)
    assert len(rolled.jwks()["keys"]) == 2


async def test_what_is_no_token_of_ours_is_refused(parties, make, tmp_path):
    tokens, known = make(), await client(parties)
    token = tokens.issue(known, "").token
    claims = jwt.decode(token, options={"verify_signature": False})
    key = TokenKey(tmp_path / "token.pem")
    signer = key._key
    head = {"typ": "at+jwt", "kid": key.public.kid}

    def signed(headers=head, **changes):
        body = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(body, signer, "ES256", headers)

    await tokens.verify(signed())
    wrong = [
        "",
        "abc",
        "a.b.c",
        token[:-4],
        token + "." + token,
        make(issuer="https://other.example").issue(known, "").token,
        signed({"typ": "JWT", "kid": key.public.kid}),
        signed({**head, "crit": ["x"], "x": 1}),
        signed(aud="https://other.example"),
        signed(iss="https://other.example"),
        signed(exp=None),
        signed(exp=claims["exp"] + 60),
        signed(jti=None),
        signed(client_id=None),
        signed(client_id="nobody"),
        jwt.encode(claims, "", "none", head),
        jwt.encode(claims, p256(), "ES256", head),
        parties.assertion(),
    ]
    for each in wrong:
        await refused(tokens, each)
    assert (await tokens.verify(signed(scope=None))).scopes == frozenset()


async def test_revocation_ends_one_token_or_all(parties, make):
    tokens = make()
    first, second = tokens.issue(await client(parties)), tokens.issue(await client(parties))
    async with parties.records.write() as tx:
        await tx.revoke("sz-lab-ec", first.token_id, parties.clock.now())
    await refused(tokens, first.token)
    await tokens.verify(second.token)
    async with parties.records.write() as tx:
        await tx.revoke("sz-lab-ec", "", parties.clock.now())
    await refused(tokens, second.token)


async def test_a_token_dies_with_its_clients_registration(parties, make):
    tokens = make()
    token = tokens.issue(await client(parties), "").token
    await parties.client("sz-lab-ec", valid_to=date(2026, 11, 19))
    await refused(tokens, token)
    await parties.client("sz-lab-ec", valid_to=None)
    await tokens.verify(token)
    await parties.amend(retire=(("client", "sz-lab-ec"),))
    await refused(tokens, token)
