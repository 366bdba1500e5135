"""Client certificates: whose one is, and everything that makes it nobody's."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.clientca import ClientAuthority
from gateway.core.errors import NotAuthenticated, StoreError
from gateway.core.identity import Credential, Door, Permission, tls_certificate_client
from gateway.core.records import Person
from gateway.identity.clientcertificates import ClientCertificates
from gateway.identity.revocationlists import RevocationLists, load_bundle
from tests.fakes.clock import EPOCH
from tests.identity.certificates import der, issued, strange, write_bundle
from tests.identity.parties import Parties

OURS = "urn:hetao:client:sz-lab-ec"
AUTHORITY = ClientAuthority.create(EPOCH)


@pytest.fixture
async def parties():
    made = await Parties().found()
    await made.client("sz-lab-ec", certificate=OURS)
    return made


@pytest.fixture
def crl(tmp_path):
    return tmp_path / "client.crl"


@pytest.fixture
def certificates(parties, tmp_path, crl):
    crl.write_bytes(AUTHORITY.revocation_list(EPOCH))
    bundle = load_bundle(write_bundle(tmp_path / "ca.crt", AUTHORITY))
    return ClientCertificates(
        records=parties.records,
        registrar=parties.registrar,
        clock=parties.clock,
        observer=parties.observer,
        lists=RevocationLists(bundle, crl, parties.clock),
    )


async def refused(parties, certificates, shown: bytes) -> str:
    """Why, as the observer was told; the caller is always told the same."""
    before = len(parties.observer.of("certificate.refused"))
    with pytest.raises(NotAuthenticated) as refusal:
        await certificates.client(shown)
    assert (refusal.value.code, "sz-lab" in refusal.value.message) == ("invalid-certificate", False)
    (told,) = parties.observer.of("certificate.refused")[before:]
    assert told["client"] == tls_certificate_client(hashlib.sha256(shown).hexdigest())
    return told["because"]


async def test_a_certificate_is_its_client(parties, certificates):
    shown = der(issued(AUTHORITY, EPOCH))
    assert (await certificates.client(shown)).id == "sz-lab-ec"
    for door in (Door.HTTPS, Door.WEBDAV):
        found = await certificates.principal(shown, door)
        assert (found.institution, found.person, found.client) == ("sz-lab", "zhang-san", "sz-lab-ec")
        assert (found.credential, found.door) == (Credential.CLIENT_CERTIFICATE, door)
        assert found.may(Permission.TRANSFERS_OPEN)
    assert parties.observer.of("certificate.refused") == []


async def test_through_another_door_it_may_do_nothing(certificates):
    assert (await certificates.principal(der(issued(AUTHORITY, EPOCH)), Door.SFTP)).scopes == frozenset()


async def test_scopes_of_the_registry_narrow_it(parties, certificates):
    await parties.client("sz-lab-ec", scopes=("transfers:read",))
    found = await certificates.principal(der(issued(AUTHORITY, EPOCH)))
    assert found.scopes == {Permission.TRANSFERS_READ}


async def test_a_client_can_be_registered_with_one_certificate_and_no_other(parties, certificates):
    one, other = issued(AUTHORITY, EPOCH), issued(AUTHORITY, EPOCH)
    await parties.client("sz-lab-ec", certificate="sha256:" + hashlib.sha256(der(one)).hexdigest())
    assert (await certificates.client(der(one))).id == "sz-lab-ec"
    assert await refused(parties, certificates, der(other)) == "not registered"


async def test_a_name_that_looks_like_anothers_thumbprint_is_none(parties, certificates):
    pinned = "sha256:" + hashlib.sha256(der(issued(AUTHORITY, EPOCH))).hexdigest()
    await parties.client("sz-lab-ec", certificate=pinned)
    assert await refused(parties, certificates, der(strange(AUTHORITY, EPOCH, [pinned]))) == "not registered"


async def test_a_uri_of_another_pki_is_as_good_where_it_is_registered(parties, certificates):
    await parties.client("sz-lab-ec", certificate="https://pki.example/7")
    shown = strange(AUTHORITY, EPOCH, ["https://pki.example/7", "https://pki.example/class/a"])
    assert (await certificates.client(der(shown))).id == "sz-lab-ec"


DAY = timedelta(days=1)
STRANGE = {
    "for nobody": ([], {}, "not registered"),
    "for an unknown client": (["urn:hetao:client:nobody"], {}, "not registered"),
    "for a client that has none": (["urn:hetao:client:sz-lab-ed"], {}, "not registered"),
    "in other letters": ([OURS.upper()], {}, "not registered"),
    "for two clients": ([OURS, "urn:hetao:client:gz-lab-ec"], {}, "it names two clients"),
    "for the client of another institution": ([OURS, "urn:hetao:institution:gz-lab"], {}, "another institution"),
    "for two institutions": (
        [OURS, "urn:hetao:institution:sz-lab", "urn:hetao:institution:gz-lab"],
        {},
        "another institution",
    ),
    "a server's": ([OURS], {"usages": [ExtendedKeyUsageOID.SERVER_AUTH]}, "no client's certificate"),
    "for anything": ([OURS], {"usages": []}, "no client's certificate"),
    "not yet valid": ([OURS], {"begins": EPOCH + timedelta(seconds=1)}, "early"),
    "expired": ([OURS], {"begins": EPOCH - DAY, "ends": EPOCH - timedelta(seconds=1)}, "expired"),
}


@pytest.mark.parametrize(("names", "changes", "because"), STRANGE.values(), ids=STRANGE)
async def test_what_is_nobodys(parties, certificates, names, changes, because):
    assert await refused(parties, certificates, der(strange(AUTHORITY, EPOCH, names, **changes))) == because


@pytest.mark.parametrize("shown", [b"", b"0", b"\x30\x82\x01\x00", b"x" * 5000])
async def test_bytes_that_are_no_certificate(parties, certificates, shown):
    assert await refused(parties, certificates, shown) == "no client's certificate"


async def test_it_ends_while_a_connection_is_open(parties, certificates):
    shown = der(issued(AUTHORITY, EPOCH, validity=timedelta(hours=1)))
    parties.clock.advance(hours=1)
    await certificates.client(shown)
    parties.clock.advance(seconds=1)
    assert await refused(parties, certificates, shown) == "expired"


async def test_registration_and_revocation_are_asked_every_time(parties, certificates):
    shown = issued(AUTHORITY, EPOCH)
    await certificates.client(der(shown))
    await parties.client("sz-lab-ec", valid_to=date(2026, 11, 19))
    assert "no longer" in await refused(parties, certificates, der(shown))
    await parties.client("sz-lab-ec", valid_to=None)
    await parties.amend(("person", Person("zhang-san", "张三", "sz-lab", valid_to=date(2026, 11, 19))))
    assert "no longer" in await refused(parties, certificates, der(shown))
    await parties.amend(("person", Person("zhang-san", "张三", "sz-lab")))
    await certificates.client(der(shown))
    async with parties.records.write() as tx:
        await tx.revoke(tls_certificate_client(hashlib.sha256(der(shown)).hexdigest()), "", parties.clock.now())
    assert await refused(parties, certificates, der(shown)) == "revoked"
    renewed = der(issued(AUTHORITY, EPOCH))
    await certificates.client(renewed)  # another certificate of the same client
    async with parties.records.write() as tx:
        await tx.revoke("sz-lab-ec", "", parties.clock.now())
    assert await refused(parties, certificates, renewed) == "revoked"
    await parties.amend(retire=(("client", "sz-lab-ec"),))
    assert await refused(parties, certificates, renewed) == "not registered"


async def test_the_authoritys_list_is_read_again_when_it_changes(parties, certificates, crl):
    shown = issued(AUTHORITY, EPOCH)
    await certificates.client(der(shown))
    crl.write_bytes(AUTHORITY.revocation_list(EPOCH, previous=crl.read_bytes(), revoke=[shown.serial_number]))
    assert await refused(parties, certificates, der(shown)) == "on the authority's list"
    await certificates.client(der(issued(AUTHORITY, EPOCH)))


async def test_a_list_that_is_gone_or_over_lets_nobody_in_and_is_our_fault(parties, certificates, crl):
    shown, listed = der(issued(AUTHORITY, EPOCH)), crl.read_bytes()
    crl.unlink()
    with pytest.raises(StoreError):
        await certificates.client(shown)
    crl.write_bytes(listed[:-100])
    with pytest.raises(StoreError):
        await certificates.client(shown)
    crl.write_bytes(listed)
    await certificates.client(shown)
    parties.clock.set(EPOCH + timedelta(days=30))
    with pytest.raises(StoreError, match="run out"):
        await certificates.client(der(issued(AUTHORITY, parties.clock.now())))
