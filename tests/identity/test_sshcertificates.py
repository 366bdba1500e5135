"""SSH certificates: who is behind one, and everything that gives nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.errors import Unusable
from gateway.core.identity import SENDER_SCOPES, Credential, Door, certificate_client, holder_client
from gateway.identity.sshcertificates import SshCertificates, load_authorities, refusal, scopes_of
from gateway.identity.sshkeys import SshKeys
from gateway.wire import sshcert, sshsig
from tests.flow.rig import NOW, Rig, public_line, seeded_key
from tests.identity.certified import AUTHORITIES, AUTHORITY, SERIAL, certificate, scopes, signed

HERE = "192.0.2.7"
FOREVER = (1 << 64) - 1


def seconds(**parts: float) -> int:
    return int((NOW + timedelta(**parts)).timestamp())


def address(text: str) -> dict[str, bytes]:
    return {"source-address": sshcert.option_data(text)}


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


def certificates(rig: Rig, authorities: frozenset[bytes] = AUTHORITIES) -> SshCertificates:
    return SshCertificates(
        records=rig.records,
        registrar=rig.registrar,
        clock=rig.clock,
        observer=rig.observer,
        authorities=authorities,
    )


def keys(rig: Rig, authorities: frozenset[bytes] = AUTHORITIES) -> SshKeys:
    about = {"records": rig.records, "registrar": rig.registrar, "clock": rig.clock}
    return SshKeys(**about, certificates=certificates(rig, authorities))


async def test_a_certificate_is_its_person_of_its_institution(rig):
    found = await keys(rig).principal("sz-lab", signed(certificate(extensions=scopes("transfers:read"))), HERE)
    assert found is not None
    assert (found.institution, found.person, found.client) == ("sz-lab", "lin", f"ssh-cert:{SERIAL}")
    assert (found.credential, found.door) == (Credential.SSH_CERTIFICATE, Door.SFTP)
    assert [each.value for each in found.scopes] == ["transfers:read"]
    assert [each for each in found.scopes if not found.may(each)] == []
    assert rig.observer.of("certificate.refused") == []


REFUSED = {
    "host": ({"kind": sshcert.HOST}, "kind"),
    "neither user nor host": ({"kind": 0}, "kind"),
    "not yet valid": ({"valid_from": seconds(seconds=1)}, "early"),
    "expired": ({"valid_to": seconds()}, "expired"),
    "turned around": ({"valid_from": seconds(), "valid_to": seconds(seconds=-1)}, "expired"),
    "for ever": ({"valid_from": 0, "valid_to": FOREVER}, "life"),
    "for a quarter and a day": ({"valid_to": seconds(days=91)}, "life"),
    "without a serial number": ({"serial": 0}, "serial"),
    "another institution": ({"principals": ("gz-lab",)}, "principal"),
    "a person's name as login": ({"principals": ("lin",)}, "principal"),
    "a pattern": ({"principals": ("*", "sz-*")}, "principal"),
    "without principals": ({"principals": ()}, "principal"),
    "an empty principal": ({"principals": ("",)}, "principal"),
    "a forced command": ({"critical": {"force-command": sshcert.option_data("ls")}}, "option"),
    "verify-required": ({"critical": {"verify-required": b""}}, "option"),
    "an option nobody knows": ({"critical": {"shoe-size@hetao": b""} | address("192.0.2.0/24")}, "option"),
    "from elsewhere": ({"critical": address("198.51.100.0/24,2001:db8::/32")}, "address"),
    "from nowhere": ({"critical": address("")}, "address"),
    "from no network": ({"critical": address("192.0.2.0/24,example.com")}, "address"),
    "from a host with a network's mask": ({"critical": address("192.0.2.7/24")}, "address"),
    "from what is no text": ({"critical": {"source-address": b"192.0.2.0/24"}}, "address"),
    "without scopes": ({"extensions": {}}, "scopes"),
    "with empty scopes": ({"extensions": scopes("")}, "scopes"),
    "with an officer's scope": ({"extensions": scopes("transfers:read", "review:vote")}, "scopes"),
    "with an unknown scope": ({"extensions": scopes("everything")}, "scopes"),
    "with scopes that are no text": ({"extensions": {"scopes@hetao": b"transfers:read"}}, "scopes"),
    "nobody": ({"key_id": ""}, "person"),
    "a stranger": ({"key_id": "stranger"}, "person"),
    "an officer, who is of no institution": ({"key_id": "chen"}, "person"),
    "an institution as person": ({"key_id": "sz-lab"}, "person"),
}


@pytest.mark.parametrize(("changes", "because"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(rig, changes, because):
    assert await keys(rig).principal("sz-lab", signed(certificate(**changes)), HERE) is None
    assert rig.observer.of("certificate.refused") == [
        {"because": because, "client": certificate_client(changes.get("serial", SERIAL))}
    ]


@pytest.mark.parametrize(
    ("networks", "remote"),
    [
        ("192.0.2.0/24", "192.0.2.7"),
        ("10.0.0.0/8,192.0.2.7", "192.0.2.7"),
        ("192.0.2.0/24", "::ffff:192.0.2.7"),
        ("2001:db8::/32", "2001:db8::7"),
    ],
)
async def test_a_source_address_that_holds(rig, networks, remote):
    assert await keys(rig).principal("sz-lab", signed(certificate(critical=address(networks))), remote)


@pytest.mark.parametrize("remote", ["", "localhost", "unix"])
async def test_an_address_that_is_none_lies_in_no_network(rig, remote):
    blob = signed(certificate(critical=address("0.0.0.0/0,::/0")))
    assert await keys(rig).principal("sz-lab", blob, remote) is None


@pytest.mark.parametrize("login", ["gz-lab", "", "SZ-LAB", "lin", "sz-lab\0"])
async def test_another_login_name_gives_nobody(rig, login):
    assert await keys(rig).principal(login, signed(certificate(principals=("sz-lab", "SZ-LAB", ""))), HERE) is None


async def test_another_institutions_person_gives_nobody(rig):
    """The authority wrote two institutions that do not belong together: the registry has the last word."""
    await rig.register(
        ("institution", rig.world()[0][1] | {"id": "gz-lab", "gba_city": "Guangzhou"}),
        ("person", {"id": "li-si", "name": "Li Si", "institution": "gz-lab"}),
    )
    both = ("sz-lab", "gz-lab")
    found = await keys(rig).principal("gz-lab", signed(certificate(key_id="li-si", principals=both)), HERE)
    assert found is not None
    assert (found.institution, found.person) == ("gz-lab", "li-si")
    assert await keys(rig).principal("sz-lab", signed(certificate(key_id="li-si", principals=both)), HERE) is None


async def test_an_authority_that_is_not_configured_gives_nobody_and_nothing_to_read(rig):
    other = seeded_key("other-ca")
    blob = signed(certificate(authority=sshsig.blob_of(other)), other)
    assert await keys(rig).principal("sz-lab", blob, HERE) is None
    assert await keys(rig, frozenset()).principal("sz-lab", signed(certificate()), HERE) is None
    without = SshKeys(records=rig.records, registrar=rig.registrar, clock=rig.clock)
    assert await without.principal("sz-lab", signed(certificate()), HERE) is None
    assert rig.observer.of("certificate.refused") == []  # a stranger's words are not logged


async def test_a_certificate_that_names_the_authority_without_its_signature_gives_nobody(rig):
    good = signed(certificate())
    other = seeded_key("other-ca")
    forged = good[:-64] + other.sign(good[: -len(sshsig.string(sshsig.sign_raw(AUTHORITY, b"")))])
    assert len(forged) == len(good)
    for blob in (forged, good[:-1] + bytes([good[-1] ^ 1]), good[:-1], good + b"\0"):
        assert await keys(rig).principal("sz-lab", blob, HERE) is None
    assert await keys(rig).principal("sz-lab", good, HERE)


async def test_the_certified_key_alone_and_the_authoritys_key_give_nobody(rig):
    service = keys(rig)
    assert await service.principal("sz-lab", signed(certificate()), HERE)
    for key in (seeded_key("certified"), AUTHORITY):
        assert await service.principal("sz-lab", bytes(sshsig.blob_of(key)), HERE) is None


async def test_a_registered_key_stays_what_it_was_beside_its_certificate(rig):
    """Revoking the certificate takes nothing from the key, and retiring the key nothing from the certificate."""
    key = seeded_key("certified")
    record = {"id": "lin-laptop", "institution": "sz-lab", "person": "lin", "key": public_line(key)}
    await rig.register(("sshkey", record | {"scopes": ["transfers:read"]}))
    async with rig.records.write() as tx:
        await tx.revoke(certificate_client(SERIAL), "", NOW)
    found = await keys(rig).principal("sz-lab", bytes(sshsig.blob_of(key)), HERE)
    assert found is not None
    assert found.client == "lin-laptop"
    assert await keys(rig).principal("sz-lab", signed(certificate()), HERE) is None


@pytest.mark.parametrize("client", [certificate_client(SERIAL), holder_client("lin")])
async def test_a_revoked_serial_number_or_person_gives_nobody(rig, client):
    assert await keys(rig).principal("sz-lab", signed(certificate()), HERE)
    async with rig.records.write() as tx:
        await tx.revoke(client, "", NOW)
    assert await keys(rig).principal("sz-lab", signed(certificate()), HERE) is None
    assert rig.observer.of("certificate.refused")[-1]["because"] == "revoked"


@pytest.mark.parametrize("client", ["ssh-cert", str(SERIAL), "lin", "ssh-cert:1", certificate_client(SERIAL) + "0"])
async def test_other_revocations_leave_it_alone(rig, client):
    async with rig.records.write() as tx:
        await tx.revoke(client, "", NOW)
        await tx.revoke(certificate_client(SERIAL), "x", NOW)
    assert await keys(rig).principal("sz-lab", signed(certificate()), HERE)


async def test_a_person_who_left_and_time_that_passed_give_nobody(rig):
    service, blob = keys(rig), signed(certificate(valid_to=seconds(days=80)))
    table = {"id": "lin", "name": "Lin", "institution": "sz-lab", "valid_to": "2026-11-20"}
    await rig.register(("person", table))
    assert await service.principal("sz-lab", blob, HERE)
    rig.clock.advance(days=1)
    assert await service.principal("sz-lab", blob, HERE) is None
    await rig.register(("person", table | {"valid_to": "2027-11-20"}))
    assert await service.principal("sz-lab", blob, HERE)
    rig.clock.advance(days=79)
    assert await service.principal("sz-lab", blob, HERE) is None
    assert [each["because"] for each in rig.observer.of("certificate.refused")] == ["person", "expired"]


def test_the_edges_of_validity():
    found = certificate()
    begins, ends = (datetime.fromtimestamp(each, UTC) for each in (found.valid_from, found.valid_to))
    tick = timedelta(milliseconds=1)
    said = [refusal(found, "sz-lab", HERE, at) for at in (begins - tick, begins, ends - tick, ends)]
    assert said == ["early", "", "", "expired"]
    longest = replace(found, valid_from=seconds(), valid_to=seconds(days=90))
    assert refusal(longest, "sz-lab", HERE, NOW) == ""


def test_scopes_are_all_known_or_none_count():
    assert {each.value for each in scopes_of(certificate())} == set(SENDER_SCOPES)
    assert scopes_of(certificate(extensions=scopes("transfers:read", ""))) == frozenset()


def test_authorities_are_public_lines(tmp_path):
    file = tmp_path / "ca.pub"
    both = [public_line(AUTHORITY), public_line(seeded_key("next-ca"))]
    file.write_text(f"# this year's\n{both[0]} ca 2026\n\n{both[1]}\n")
    assert load_authorities(file) == AUTHORITIES | {bytes(sshsig.blob_of(seeded_key("next-ca")))}


@pytest.mark.parametrize(
    "content", ["", "# none\n", "ssh-rsa AAAA", "nonsense", "cert-authority ssh-ed25519 AAAA", "é\xff"]
)
def test_other_files_are_no_authorities(tmp_path, content):
    file = tmp_path / "ca.pub"
    file.write_text(content, "latin-1")
    with pytest.raises(Unusable, match=r"sftp\.user_ca"):
        load_authorities(file)
    with pytest.raises(Unusable, match=r"sftp\.user_ca"):
        load_authorities(tmp_path / "missing.pub")
