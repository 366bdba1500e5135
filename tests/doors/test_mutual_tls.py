"""Client certificates over real TLS: sign-in by certificate alone, bound tokens, and every certificate that is no good."""

from __future__ import annotations

import hashlib
import json
import ssl
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.clientca import ClientAuthority
from gateway.core.errors import Unusable
from gateway.core.identity import tls_certificate_client
from gateway.doors.https import server_context
from tests.doors.mutual import MutualSite, exchange, write_card
from tests.identity.certificates import strange
from tests.identity.parties import p256

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LIST = "/v1/transfers"
BY_CERTIFICATE = {"grant_type": "client_credentials"}


@pytest.fixture
async def mutual(tmp_path):
    return await MutualSite(tmp_path).found()


async def post(site, path, form, card=None):
    return await site.ask("POST", path, FORM, urlencode(form).encode(), card=card)


async def token_of(site, form, card=None) -> str:
    answer = await post(site, "/oauth2/token", form, card)
    assert answer.status == 200, answer.body
    return answer.json()["access_token"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- a certificate alone -------------------------------------------------------------------------------------------------


async def test_a_certificate_alone_signs_in(mutual):
    async with mutual.secured() as site:
        card = site.card("sz")
        about = json.dumps({"endpoint": "hku", "project": "trial", "dataset": "d"}).encode()
        opened = await site.ask("POST", LIST, {"Content-Type": "application/json"}, about, card=card)
        assert opened.status == 201, opened.body
        assert (await site.ask("GET", LIST, card=card)).json()["transfers"][0]["id"] == opened.json()["id"]
        assert (await site.ask("GET", LIST)).status == 401
        reader_only = site.card("sz-plain")
        assert (await site.ask("GET", LIST, card=reader_only)).status == 200
        assert (await site.ask("POST", LIST, {}, about, card=reader_only)).status == 403
    assert {each["client"] for each in site.observer.of("request.answered")} == {"sz", "sz-plain", None}


async def test_the_open_addresses_need_no_certificate(mutual):
    async with mutual.secured() as site:
        assert (await site.ask("GET", "/healthz")).status == 200
        told = (await site.ask("GET", "/.well-known/oauth-authorization-server")).json()
        assert told["tls_client_certificate_bound_access_tokens"] is True
        for name in ("token", "introspection", "revocation"):
            assert told[f"{name}_endpoint_auth_methods_supported"] == ["private_key_jwt", "tls_client_auth"]


async def test_a_door_without_authorities_asks_for_no_certificate(mutual):
    async with mutual.served(tls=server_context(*mutual.server)) as site:
        assert (await site.ask("GET", LIST, card=site.card("sz"))).status == 401


FOREIGN = [
    *({"Sec-Fetch-Site": word} for word in ("cross-site", "same-site", "nonsense", "")),
    *({"Origin": origin} for origin in ("https://evil.example", "null", "http://gateway.example", "")),
]


@pytest.mark.parametrize("sent", FOREIGN, ids=repr)
async def test_what_another_site_makes_a_browser_send_counts_for_nothing(mutual, sent):
    async with mutual.secured() as site:
        card = site.card("sz")
        assert (await site.ask("GET", LIST, sent, card=card)).status == 401
        token = await token_of(site, site.form())
        assert (await site.ask("GET", LIST, {**sent, **bearer(token)})).status == 200


@pytest.mark.parametrize(
    "sent", [{"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://gateway.example"}]
)
async def test_what_a_browser_sends_for_its_user_counts(mutual, sent):
    async with mutual.secured() as site:
        assert (await site.ask("GET", LIST, sent, card=site.card("sz"))).status == 200


# --- what OpenSSL refuses: there is no connection ------------------------------------------------------------------------


async def no_connection(site, card) -> None:
    """In TLS 1.3 a client learns of it with the first byte it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        await site.ask("GET", "/healthz", card=card)


async def test_certificates_that_end_the_handshake(mutual):
    now, day = mutual.now, timedelta(days=1)
    key = p256()
    ours = ["urn:hetao:client:sz"]
    servers = strange(mutual.authority, now, ours, key=key, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    expired = strange(mutual.authority, now, ours, key=key, begins=now - 2 * day, ends=now - day)
    early = strange(mutual.authority, now, ours, key=key, begins=now + day, ends=now + 2 * day)
    async with mutual.secured() as site:
        for name, made in {"servers": servers, "expired": expired, "early": early}.items():
            await no_connection(site, write_card(site.folder, name, made, key))
        for stranger in (ClientAuthority.create(now, name="other"), ClientAuthority.create(now)):
            await no_connection(site, site.card("sz", stranger, name="stranger"))
        assert (await site.ask("GET", "/healthz", card=site.card("sz"))).status == 200


# --- what the gateway refuses: 401 and a reason to look for --------------------------------------------------------------


async def test_certificates_of_nobody_get_a_problem(mutual):
    key = p256()
    cases = {
        "unknown": ["urn:hetao:client:nobody"],
        "nameless": [],
        "without": ["urn:hetao:client:sz-reader"],
        "foreign": ["urn:hetao:client:sz", "urn:hetao:institution:gz-lab"],
    }
    async with mutual.secured() as site:
        for name, names in cases.items():
            card = write_card(site.folder, name, strange(site.authority, site.now, names, key=key), key)
            answer = await site.ask("GET", LIST, card=card)
            assert (answer.status, answer.json()["code"]) == (401, "invalid-certificate")
            assert answer.headers["www-authenticate"] == 'Bearer realm="hetao"'
            assert answer.json()["remedy"]


async def test_a_certificate_that_is_taken_back_ends_on_open_connections(mutual):
    async with mutual.secured() as site:
        cards = [site.card("sz", name=f"card{number}") for number in range(3)]
        connections = [await site.connect(card) for card in cards]
        for each in connections:
            assert (await exchange(*each, "GET", LIST, {})).status == 200
        listed = site.authority.revocation_list(site.now, previous=site.crl.read_bytes(), revoke=[cards[0].serial])
        site.crl.write_bytes(listed)
        async with site.rig.records.write() as tx:
            thumbprint = hashlib.sha256(cards[1].der).hexdigest()
            await tx.revoke(tls_certificate_client(thumbprint), "", site.now)
        answers = [await exchange(*each, "GET", LIST, {}) for each in connections]
        assert [each.status for each in answers] == [401, 401, 200]
        assert (await site.ask("GET", LIST, card=cards[0])).status == 401  # and on new ones
        about = {"id": "sz", "institution": "sz-lab", "person": "lin", "certificate": "urn:hetao:client:sz"}
        await site.rig.register(("client", {**about, "valid_to": "2026-01-01"}))
        assert (await exchange(*connections[2], "GET", LIST, {})).status == 401
        for _, writer in connections:
            writer.close()


async def test_a_list_that_cannot_be_relied_on_is_our_fault_and_lets_nobody_in(mutual):
    async with mutual.secured() as site:
        card = site.card("sz")
        site.crl.write_bytes(b"half a list")
        answer = await site.ask("GET", LIST, card=card)
        assert (answer.status, answer.json()["code"], answer.headers["retry-after"]) == (503, "store", "5")
        answer = await post(site, "/oauth2/token", {**BY_CERTIFICATE, "client_id": "sz"}, card)
        assert answer.status == 503
        token = await token_of(site, site.form())
        assert (await site.ask("GET", LIST, bearer(token))).status == 200  # others are not touched


async def test_a_certificate_is_expired_for_the_gateway_too(mutual):
    async with mutual.secured() as site:
        card = site.card("sz", validity=timedelta(hours=1))
        reader, writer = await site.connect(card)
        assert (await exchange(reader, writer, "GET", LIST, {})).status == 200
        site.rig.clock.advance(hours=2)
        assert (await exchange(reader, writer, "GET", LIST, {})).status == 401
        writer.close()


# --- tokens --------------------------------------------------------------------------------------------------------------


async def test_tls_client_auth_gives_a_token_bound_to_the_certificate(mutual):
    async with mutual.secured() as site:
        card, renewed, other = site.card("sz"), site.card("sz", name="renewed"), site.card("sz-plain")
        token = await token_of(site, {**BY_CERTIFICATE, "client_id": "sz"}, card)
        assert (await site.ask("GET", LIST, bearer(token), card=card)).status == 200
        for shown in (None, renewed, other):
            answer = await site.ask("GET", LIST, bearer(token), card=shown)
            assert (answer.status, answer.json()["code"]) == (401, "invalid-token")
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        again = await token_of(site, {**BY_CERTIFICATE, "client_id": "sz"}, renewed)
        assert (await site.ask("GET", LIST, bearer(again), card=renewed)).status == 200
        async with site.rig.records.write() as tx:
            await tx.revoke(tls_certificate_client(hashlib.sha256(card.der).hexdigest()), "", site.now)
        assert (await site.ask("GET", LIST, bearer(token), card=card)).status == 401


async def test_who_a_certificate_does_not_sign_in(mutual):
    async with mutual.secured() as site:
        card = site.card("sz")
        answers = [
            await post(site, "/oauth2/token", form, shown)
            for form, shown in (
                ({**BY_CERTIFICATE, "client_id": "sz"}, None),
                ({**BY_CERTIFICATE, "client_id": "sz-bound"}, card),
                ({**BY_CERTIFICATE, "client_id": "nobody"}, card),
                (BY_CERTIFICATE, card),
                ({**BY_CERTIFICATE, "client_id": "sz", "client_secret": "x"}, card),
                ({**BY_CERTIFICATE, "client_id": "sz", "client_assertion": "x"}, card),
                ({**BY_CERTIFICATE, "client_id": "sz", "client_assertion": ""}, card),
            )
        ]
        assert {(each.status, each.body) for each in answers} == {(401, answers[0].body)}
        assert answers[0].json()["error"] == "invalid_client"
        assert len(site.observer.of("login.failed")) == len(answers)


async def test_an_assertion_gives_a_bound_token_to_a_client_registered_so_and_no_other(mutual):
    async with mutual.secured() as site:
        card = site.card("sz-bound")
        token = await token_of(site, site.form("sz-bound"), card)
        assert (await site.ask("GET", LIST, bearer(token), card=card)).status == 200
        assert (await site.ask("GET", LIST, bearer(token))).status == 401
        for shown in (None, site.card("sz")):
            refused = await post(site, "/oauth2/token", site.form("sz-bound"), shown)
            assert (refused.status, refused.json()["error"]) == (401, "invalid_client")
        loose = await token_of(site, site.form("sz"), site.card("sz", name="beside"))
        assert (await site.ask("GET", LIST, bearer(loose))).status == 200
        assert [each["bound"] for each in site.observer.of("token.issued")] == [True, False]


async def test_introspection_tells_what_a_token_is_bound_to(mutual):
    async with mutual.secured() as site:
        card = site.card("sz")
        signed_in = {"client_id": "sz"}
        token = await token_of(site, {**BY_CERTIFICATE, **signed_in}, card)
        told = await post(site, "/oauth2/introspect", {"token": token, **signed_in}, card)
        assert (told.status, told.json()["active"]) == (200, True)
        assert set(told.json()["cnf"]) == {"x5t#S256"}
        assert (await post(site, "/oauth2/revoke", {"token": token, **signed_in}, card)).status == 200
        assert (await site.ask("GET", LIST, bearer(token), card=card)).status == 401


# --- the handshake -------------------------------------------------------------------------------------------------------


async def test_nothing_is_resumed_and_no_certificate_is_asked_for_later(mutual):
    """Without tickets there is no session to resume, and no early data, which needs one."""
    context = mutual.context()
    assert (context.verify_mode, context.num_tickets, context.post_handshake_auth) == (ssl.CERT_OPTIONAL, 0, False)
    async with mutual.secured() as site:
        for card in (None, site.card("sz")):
            reader, writer = await site.connect(card)
            await exchange(reader, writer, "GET", "/healthz", {})
            tls = writer.get_extra_info("ssl_object")
            assert tls.version() == "TLSv1.3"
            assert tls.session is None or not tls.session.has_ticket
            writer.close()


async def test_with_tls_1_2_certificates_work_as_well(mutual):
    async with mutual.secured(minimum="1.2") as site:
        card = site.card("sz")
        context = site.trusting(card)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        site.trusting = lambda _card=None: context
        assert (await site.ask("GET", LIST, card=card)).status == 200


def test_a_bundle_that_is_none_is_refused(mutual, tmp_path):
    (tmp_path / "empty.crt").write_bytes(b"")
    for path in (tmp_path / "missing.crt", tmp_path / "empty.crt"):
        with pytest.raises(Unusable, match="no bundle of authorities"):
            server_context(*mutual.server, client_ca=path)
