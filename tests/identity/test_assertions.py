"""Client assertions: one way to hold, many ways not to, and one answer for all of those."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import date

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.core.errors import NotAuthenticated
from gateway.core.records import Person
from gateway.identity.assertions import ClientAssertions
from gateway.identity.jwk import parse_jwk
from tests.identity.parties import ISSUER, TOKEN_URL, Parties, jwk_of, p256


@pytest.fixture
async def parties():
    return await Parties().found()


@pytest.fixture
def assertions(parties):
    return ClientAssertions(
        records=parties.records, registrar=parties.registrar, clock=parties.clock, audiences=[ISSUER, TOKEN_URL]
    )


async def refused(assertions, assertion, **about):
    with pytest.raises(NotAuthenticated) as refusal:
        await assertions.verify(assertion, **about)
    return refusal.value.code, refusal.value.message


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("client", ["sz-lab-ec", "sz-lab-ed"])
async def test_a_registered_key_proves_its_client(parties, assertions, client):
    assert (await assertions.verify(parties.assertion(client))).id == client
    assert (await assertions.verify(parties.assertion(client), client_id=client)).id == client
    assert (await assertions.verify(parties.assertion(client, aud=ISSUER))).id == client
    assert (await assertions.verify(parties.assertion(client, aud=[TOKEN_URL]))).id == client
    typed = parties.assertion(client, headers={"typ": "client-authentication+jwt"})
    assert (await assertions.verify(typed)).id == client


async def test_an_assertion_is_spent_once(parties, assertions):
    assertion = parties.assertion()
    await assertions.verify(assertion)
    await refused(assertions, assertion)
    parties.clock.advance(minutes=1)
    await refused(assertions, assertion)


async def test_another_clients_use_of_the_same_id_is_no_replay(parties, assertions):
    await assertions.verify(parties.assertion("sz-lab-ec", jti="one"))
    await assertions.verify(parties.assertion("gz-lab-ec", jti="one"))
    await refused(assertions, parties.assertion("sz-lab-ec", jti="one"))


async def test_a_refused_assertion_spends_nothing(parties, assertions):
    await refused(assertions, parties.assertion(jti="one", aud="https://elsewhere.example"))
    await assertions.verify(parties.assertion(jti="one"))


def damaged(parties):
    """Assertions that must not hold, by what is wrong with them."""
    now = int(parties.clock.now().timestamp())
    good = parties.assertion()
    header, body, signature = good.split(".")
    pem = parties.ec_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hs_head = segment({"alg": "HS256", "typ": "JWT"})
    hs = base64.urlsafe_b64encode(hmac.digest(pem, f"{hs_head}.{body}".encode(), hashlib.sha256)).decode().rstrip("=")
    stranger = p256()
    swapped = segment(parties.claims() | {"sub": "gz-lab-ec"})
    return {
        "nothing": "",
        "one dot": "a.b",
        "no json": "a.b.c",
        "not ascii": "é.é.é",
        "too long": good + "A" * 9000,
        "deep": segment({"alg": "ES256"}) + "." + base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("=") + ".",
        "alg none": f"{segment({'alg': 'none'})}.{body}.",
        "alg none, signed": f"{segment({'alg': 'none'})}.{body}.{signature}",
        "alg absent": f"{segment({'typ': 'JWT'})}.{body}.{signature}",
        "HS256 with the public key": f"{hs_head}.{body}.{hs}",
        "RS256": f"{segment({'alg': 'RS256'})}.{body}.{signature}",
        "the other algorithm": f"{segment({'alg': 'EdDSA'})}.{body}.{signature}",
        "no signature": f"{header}.{body}.",
        "cut signature": good[:-4],
        "other claims": f"{header}.{swapped}.{signature}",
        "a stranger's key": jwt.encode(parties.claims(), stranger, "ES256"),
        "its own key in the header": jwt.encode(
            parties.claims(),
            stranger,
            "ES256",
            {"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key()))},
        ),
        "another client's key": jwt.encode(parties.claims("gz-lab-ec"), parties.ec_key, "ES256"),
        "unknown client": jwt.encode(parties.claims("nobody"), parties.ec_key, "ES256"),
        "unknown client, EdDSA": jwt.encode(parties.claims("nobody"), parties.ed_key, "EdDSA"),
        "issuer is another": parties.assertion(iss="gz-lab-ec"),
        "no issuer": parties.assertion(iss=None),
        "no subject": parties.assertion(sub=None),
        "no audience": parties.assertion(aud=None),
        "another audience": parties.assertion(aud="https://elsewhere.example/oauth2/token"),
        "several audiences": parties.assertion(aud=[TOKEN_URL, "https://elsewhere.example"]),
        "expired": parties.assertion(iat=now - 120, exp=now - 30),
        "no expiry": parties.assertion(exp=None),
        "lasts too long": parties.assertion(exp=now + 331),
        "lasts for ever": parties.assertion(exp=2**53),
        "from the future": parties.assertion(iat=now + 31),
        "not yet": parties.assertion(nbf=now + 31),
        "no id": parties.assertion(jti=None),
        "empty id": parties.assertion(jti=""),
        "id is a number": parties.assertion(jti=7),
        "an access token": parties.assertion(headers={"typ": "at+jwt"}),
        "critical extension": parties.assertion(headers={"crit": ["exp"], "exp": now}),
    }


async def test_whatever_is_wrong_has_one_answer(parties, assertions):
    cases = damaged(parties)
    answers = {name: await refused(assertions, assertion) for name, assertion in cases.items()}
    assert len(set(answers.values())) == 1
    assert next(iter(answers.values()))[0] == "invalid-client"
    await refused(assertions, parties.assertion(), client_id="gz-lab-ec")
    assert not parties.records.state.spent


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_an_unknown_client_costs_a_signature_check_like_a_known_one(parties, assertions, algorithm, monkeypatch):
    """The same number of verifications whether the client is unknown, registered with this algorithm, or the other."""
    counted = []
    for name in ("ECAlgorithm", "OKPAlgorithm"):
        kind = getattr(jwt.algorithms, name)
        original = kind.verify
        monkeypatch.setattr(kind, "verify", lambda *given, of=original: counted.append(given) or of(*given))
    spent = {}
    for client in ("nobody", "sz-lab-ec", "sz-lab-ed"):
        stranger = p256() if algorithm == "ES256" else Ed25519PrivateKey.generate()
        counted.clear()
        await refused(assertions, jwt.encode(parties.claims(client), stranger, algorithm))
        spent[client] = len(counted)
    assert spent == {"nobody": 1, "sz-lab-ec": 1, "sz-lab-ed": 1}


async def test_a_client_lasts_no_longer_than_its_registration(parties, assertions):
    await parties.client("sz-lab-ec", valid_to=date(2026, 11, 20))
    await assertions.verify(parties.assertion())
    parties.clock.advance(hours=13, minutes=59)  # 23:59 in Shenzhen
    await assertions.verify(parties.assertion())
    parties.clock.advance(minutes=1)
    await refused(assertions, parties.assertion())


async def test_a_client_lasts_no_longer_than_its_person(parties, assertions):
    await parties.amend(("person", Person("zhang-san", "张三", "sz-lab", valid_to=date(2026, 11, 19))))
    await refused(assertions, parties.assertion())


async def test_a_revoked_client_is_refused(parties, assertions):
    async with parties.records.write() as tx:
        await tx.revoke("sz-lab-ec", "", parties.clock.now())
    await refused(assertions, parties.assertion())
    await assertions.verify(parties.assertion("sz-lab-ed"))


async def test_a_retired_client_is_refused(parties, assertions):
    await parties.amend(retire=(("client", "sz-lab-ec"),))
    await refused(assertions, parties.assertion())


async def test_a_new_key_ends_the_old_one(parties, assertions):
    old = parties.ec_key
    parties.ec_key = p256()
    await parties.client("sz-lab-ec", jwk=json.loads(jwt.algorithms.ECAlgorithm.to_jwk(parties.ec_key.public_key())))
    await refused(assertions, jwt.encode(parties.claims(), old, "ES256"))
    await assertions.verify(parties.assertion())


# --- keys that change ----------------------------------------------------------------------------------------------------


async def test_a_client_changes_its_key_without_a_moment_in_which_it_has_none(parties, assertions):
    """Two officers register the new key beside the old one; then the client switches; then they retire the old one."""
    old, new = parties.ec_key, p256()

    async def holds(key, **headers) -> bool:
        token = jwt.encode(parties.claims(), key, "ES256", headers or None)
        try:
            return (await assertions.verify(token)).id == "sz-lab-ec"
        except NotAuthenticated:
            return False

    new_kid = parse_jwk(jwk_of(new)).kid
    assert not await holds(new, kid=new_kid)
    await parties.client("sz-lab-ec", jwks=(jwk_of(new),))
    assert await holds(old)
    assert await holds(old, kid=parse_jwk(jwk_of(old)).kid)
    assert await holds(new, kid=new_kid)
    assert not await holds(new)  # one key is tried, the first: a client with several names the one it means
    assert not await holds(p256(), kid=new_kid)
    await parties.client("sz-lab-ec", jwk=jwk_of(new), jwks=())
    assert await holds(new)
    assert not await holds(old)
    assert not await holds(old, kid=parse_jwk(jwk_of(old)).kid)


async def test_a_kid_of_ones_own_and_keys_of_two_algorithms(parties, assertions):
    ed = Ed25519PrivateKey.generate()
    await parties.client("sz-lab-ec", jwks=({**jwk_of(ed), "kid": "laptop-2027"},))
    for headers in (None, {"kid": "laptop-2027"}, {"kid": "unknown"}):
        assert (await assertions.verify(jwt.encode(parties.claims(), ed, "EdDSA", headers))).id == "sz-lab-ec"


async def test_a_client_with_a_certificate_alone_has_no_assertion(parties, assertions):
    await parties.client("sz-lab-ec", jwk={}, certificate="urn:hetao:client:sz-lab-ec")
    await refused(assertions, parties.assertion())
