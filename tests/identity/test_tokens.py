"""Access tokens: a stranger's library reads them, only the registry's word makes them worth something."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import date, timedelta

import jwt
import pytest

from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.identity import PERMISSION_DOORS, SENDER_SCOPES, Credential, Door, Permission
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


# --- bound tokens (RFC 8705 section 3) -----------------------------------------------------------------------------------


class Proved:
    """Certificates as the handshake proved them: DER bytes to client ids; others hold no more."""

    def __init__(self, parties):
        self.parties = parties
        self.whose = {b"one": "sz-lab-ec", b"renewed": "sz-lab-ec", b"theirs": "gz-lab-ec"}

    async def client(self, der):
        if der not in self.whose:
            raise NotAuthenticated("no", code="invalid-certificate")
        return await client(self.parties, self.whose[der])


async def test_a_bound_token_is_worth_something_beside_its_certificate_alone(parties, make):
    proved = Proved(parties)
    tokens = make(certificates=proved)
    token = tokens.issue(await client(parties), "", b"one").token
    found = await tokens.verify(token, certificate=b"one")
    assert (found.credential, found.door, found.client) == (Credential.BOUND_TOKEN, Door.HTTPS, "sz-lab-ec")
    assert found.may(Permission.TRANSFERS_OPEN)
    for shown in (b"", b"renewed", b"theirs", b"unknown"):
        with pytest.raises(NotAuthenticated):
            await tokens.verify(token, certificate=shown)
    await refused(make(), token)  # a gateway that asks for no certificates
    del proved.whose[b"one"]  # expired, revoked or no longer registered
    with pytest.raises(NotAuthenticated):
        await tokens.verify(token, certificate=b"one")


async def test_the_confirmation_is_the_thumbprint_of_rfc_8705(parties, make):
    certificate = b"0\x82\x01\x0a any bytes"
    token = make().issue(await client(parties), "", certificate).token
    expected = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=")
    assert jwt.decode(token, options={"verify_signature": False})["cnf"] == {"x5t#S256": expected}


async def test_a_bound_token_of_another_clients_certificate_is_refused(parties, make):
    tokens = make(certificates=Proved(parties))
    token = tokens.issue(await client(parties), "", b"theirs").token
    with pytest.raises(NotAuthenticated):
        await tokens.verify(token, certificate=b"theirs")


async def test_a_client_registered_for_bound_tokens_has_no_others(parties, make):
    tokens = make(certificates=Proved(parties))
    loose, bound = [tokens.issue(await client(parties), "", each).token for each in (b"", b"one")]
    await tokens.verify(loose)
    await tokens.verify(loose, certificate=b"one")
    await parties.client("sz-lab-ec", certificate="urn:hetao:client:sz-lab-ec", bound_tokens=True)
    known = await client(parties)
    for shown in (b"", b"one"):
        with pytest.raises(NotAuthenticated):
            await tokens.verify(loose, certificate=shown)
    assert await tokens.introspect(loose, known) == {"active": False}
    await tokens.verify(bound, certificate=b"one")
    assert (await tokens.introspect(bound, known))["active"] is True


@pytest.mark.parametrize(
    "confirmed",
    [{}, {"jkt": "x"}, {"x5t#S256": ""}, {"x5t#S256": 7}, {"x5t#S256": "é"}, {"x5t#S256": "x", "jkt": "y"}, "x", [], 0],
)
async def test_a_confirmation_nobody_here_knows_confirms_nothing(parties, make, tmp_path, confirmed):
    tokens = make(certificates=Proved(parties))
    claims = jwt.decode(tokens.issue(await client(parties)).token, options={"verify_signature": False})
    key = TokenKey(tmp_path / "token.pem")
    token = jwt.encode(claims | {"cnf": confirmed}, key._key, "ES256", {"typ": "at+jwt", "kid": key.public.kid})
    for shown in (b"", b"one"):
        with pytest.raises(NotAuthenticated):
            await tokens.verify(token, certificate=shown)
    assert await tokens.introspect(token, await client(parties)) == {"active": False}


@pytest.mark.parametrize("door", list(Door))
async def test_a_token_opens_the_doors_of_the_table(parties, make, door):
    tokens = make(certificates=Proved(parties))
    loose, bound = [tokens.issue(await client(parties), "", each).token for each in (b"", b"one")]
    for token, credential in ((loose, Credential.CLIENT_JWT), (bound, Credential.BOUND_TOKEN)):
        found = await tokens.verify(token, door=door, certificate=b"one")
        allowed = PERMISSION_DOORS.get((credential, door), frozenset())
        assert (found.door, found.credential, found.scopes) == (door, credential, allowed)


# --- introspection and revocation ----------------------------------------------------------------------------------------


async def test_a_client_learns_all_of_its_own_token_and_nothing_of_others(parties, make):
    tokens = make()
    ours, theirs = await client(parties), await client(parties, "gz-lab-ec")
    issued = tokens.issue(ours, "transfers:read transfers:open")
    now = int(parties.clock.now().timestamp())
    assert await tokens.introspect(issued.token, ours) == {
        "active": True,
        "token_type": "Bearer",
        "scope": "transfers:open transfers:read",
        "client_id": "sz-lab-ec",
        "sub": "sz-lab-ec",
        "iss": ISSUER,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 600,
        "jti": issued.token_id,
    }
    assert await tokens.introspect(issued.token, theirs) == {"active": False}
    await parties.client("sz-lab-ec", scopes=("transfers:read",))
    assert (await tokens.introspect(issued.token, await client(parties)))["scope"] == "transfers:read"
    for token in ("", "a.b.c", issued.token[:-3], parties.assertion()):
        assert await tokens.introspect(token, ours) == {"active": False}
    parties.clock.advance(minutes=11)
    assert await tokens.introspect(issued.token, ours) == {"active": False}


async def test_a_client_revokes_its_own_token_in_every_process(parties, make):
    tokens, elsewhere = make(), make()
    ours, theirs = await client(parties), await client(parties, "gz-lab-ec")
    issued, kept = tokens.issue(ours), tokens.issue(ours)
    with pytest.raises(Unusable) as refusal:
        await tokens.revoke(issued.token, theirs)
    assert refusal.value.code == "foreign-token"
    await elsewhere.verify(issued.token)
    assert await tokens.revoke(issued.token, ours) == issued.token_id
    await refused(elsewhere, issued.token)
    assert await elsewhere.introspect(issued.token, ours) == {"active": False}
    await elsewhere.verify(kept.token)
    assert await tokens.revoke(issued.token, ours) == issued.token_id  # again is no error (RFC 7009 section 2.2)
    assert await tokens.revoke("garbage", ours) == ""
