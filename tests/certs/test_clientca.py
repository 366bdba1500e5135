"""The client authority: what strict verifiers make of its certificates and lists, and what it will not sign."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from certs.clientca import ClientAuthority, parse_subject_key, replace_list
from gateway.core.errors import Conflict, StoreError, Unusable
from tests.fakes.clock import EPOCH
from tests.identity.certificates import issued, public_pem, request
from tests.identity.parties import p256

AUTHORITY = ClientAuthority.create(EPOCH)
ROOT = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem)
WHO = {"institution": "sz-lab", "client": "sender"}


def verified(certificate: x509.Certificate, at=EPOCH):
    """The Web PKI verifier of the cryptography package."""
    verifier = PolicyBuilder().store(Store([ROOT])).time(at).build_client_verifier()
    return verifier.verify(certificate, [])


def test_a_strict_verifier_takes_it_for_its_days_and_reads_whose_it_is():
    made = issued(AUTHORITY, EPOCH, "sender")
    subjects = verified(made).subjects
    assert [each.value for each in subjects or []] == ["urn:hetao:client:sender", "urn:hetao:institution:sz-lab"]
    verified(made, EPOCH - timedelta(minutes=4))
    verified(made, EPOCH + timedelta(days=30))
    for at in (EPOCH - timedelta(hours=1), EPOCH + timedelta(days=30, seconds=1)):
        with pytest.raises(VerificationError):
            verified(made, at)


def test_of_a_request_only_the_key_is_taken():
    key = p256()
    made = issued(AUTHORITY, EPOCH, "sender", key=key)
    assert made.public_key() == key.public_key()
    assert [each.value for each in made.subject] == ["sz-lab", "sender"]
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert "everybody" not in repr(made.extensions)


def test_a_public_key_does_as_well_and_serial_numbers_differ():
    key = p256()
    about = {**WHO, "now": EPOCH, "validity": timedelta(days=1)}
    one, two = (AUTHORITY.issue(each, **about) for each in (public_pem(key), request(key)))
    made = x509.load_pem_x509_certificate(one.pem)
    assert made.public_key() == key.public_key()
    assert (one.serial, int(one.serial, 16)) == (f"{made.serial_number:x}", made.serial_number)
    assert one.serial != two.serial
    assert one.thumbprint != two.thumbprint


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)],
    ids=lambda key: type(key).__name__,
)
def test_keys_that_are_certified(key):
    assert parse_subject_key(public_pem(key)) == key.public_key()


REFUSED_KEYS = {
    "a private key": p256().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "P-521": public_pem(ec.generate_private_key(ec.SECP521R1())),
    "secp256k1": public_pem(ec.generate_private_key(ec.SECP256K1())),
    "short RSA": public_pem(rsa.generate_private_key(65537, 1024)),
    "nothing": b"",
    "a certificate": AUTHORITY.certificate_pem,
    "a request that was changed": request(p256()).replace(b"A", b"B", 5),
    "the authority's own key": public_pem(AUTHORITY._key),
}


@pytest.mark.parametrize("given", REFUSED_KEYS.values(), ids=REFUSED_KEYS)
def test_keys_that_are_not_certified(given):
    with pytest.raises(Unusable):
        AUTHORITY.issue(given, **WHO, now=EPOCH, validity=timedelta(days=1))


def test_a_request_somebody_else_signed_is_refused():
    """Its signature is of another request: whoever brings it need not hold the key."""
    one, other = request(p256()), request(p256())
    lines = one.splitlines()
    forged = b"\n".join([*lines[:-3], *other.splitlines()[-3:]])
    with pytest.raises(Unusable):
        parse_subject_key(forged)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"validity": timedelta()}, "at most 90 days"),
        ({"validity": timedelta(days=90, seconds=1)}, "at most 90 days"),
        ({"client": "Sender"}, "client must be"),
        ({"client": "a:b"}, "client must be"),
        ({"institution": ""}, "institution must be"),
        ({"now": EPOCH + timedelta(days=729)}, "make a new one"),
    ],
)
def test_what_is_not_issued(changes, says):
    about = {**WHO, "now": EPOCH, "validity": timedelta(days=30)} | changes
    with pytest.raises(Unusable, match=says):
        AUTHORITY.issue(public_pem(p256()), **about)


def test_a_naive_time_is_a_mistake():
    with pytest.raises(ValueError, match="aware"):
        ClientAuthority.create(EPOCH.replace(tzinfo=None))


def test_it_is_kept_in_files_of_its_own(tmp_path):
    certificate, key = AUTHORITY.save(tmp_path / "ca", "client_ca")
    assert key.stat().st_mode & 0o777 == 0o600
    assert ClientAuthority.open(key).certificate_pem == certificate.read_bytes() == AUTHORITY.certificate_pem
    with pytest.raises(Conflict):
        AUTHORITY.save(tmp_path / "ca", "client_ca")
    other = ClientAuthority.create(EPOCH)
    certificate.write_bytes(other.certificate_pem)
    with pytest.raises(Unusable, match="does not belong"):
        ClientAuthority.open(key)
    certificate.write_bytes(b"x")
    with pytest.raises(Unusable, match="not PEM"):
        ClientAuthority.open(key)
    with pytest.raises(StoreError):
        ClientAuthority.open(tmp_path / "missing.key")


# --- lists ---------------------------------------------------------------------------------------------------------------


def test_lists_go_on_from_each_other_and_forget_nobody():
    first = AUTHORITY.revocation_list(EPOCH, revoke=[7, 9])
    second = AUTHORITY.revocation_list(
        EPOCH + timedelta(days=1), previous=first, revoke=[8, 9], validity=timedelta(days=3)
    )
    listed = x509.load_pem_x509_crl(second)
    assert {each.serial_number: each.revocation_date_utc for each in listed} == {
        7: EPOCH,
        8: EPOCH + timedelta(days=1),
        9: EPOCH,
    }
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    assert listed.next_update_utc == EPOCH + timedelta(days=4)
    assert listed.is_signature_valid(ROOT.public_key())
    assert listed.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Hetao client authority"


def test_a_list_does_not_go_on_from_a_strangers_or_a_broken_one():
    stranger = ClientAuthority.create(EPOCH).revocation_list(EPOCH)
    with pytest.raises(Unusable, match="another authority"):
        AUTHORITY.revocation_list(EPOCH, previous=stranger)
    with pytest.raises(Unusable, match="cannot be read"):
        AUTHORITY.revocation_list(EPOCH, previous=b"garbage")


def test_only_its_own_certificates_are_taken_back():
    ours = issued(AUTHORITY, EPOCH)
    assert AUTHORITY.serial_of(ours.public_bytes(Encoding.PEM)) == ours.serial_number
    theirs = issued(ClientAuthority.create(EPOCH), EPOCH)
    for given in (theirs.public_bytes(Encoding.PEM), b"garbage"):
        with pytest.raises(Unusable, match="no certificate of this authority"):
            AUTHORITY.serial_of(given)


def test_a_list_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "client.crl"
    (tmp_path / "client.crl.new").write_bytes(b"left behind by a crash")
    for number in range(2):
        replace_list(path, AUTHORITY.revocation_list(EPOCH, revoke=[number + 1]))
    assert len(list(x509.load_pem_x509_crl(path.read_bytes()))) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["client.crl"]
    with pytest.raises(StoreError):
        replace_list(tmp_path / "missing" / "client.crl", b"")
