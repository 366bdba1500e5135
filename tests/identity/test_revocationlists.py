"""Bundles and lists: which are relied on, and which are refused before anybody signs in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certs.clientca import ClientAuthority
from gateway.core.errors import StoreError, Unusable
from gateway.identity.revocationlists import RevocationLists, load_bundle
from tests.fakes.clock import EPOCH, FakeClock
from tests.identity.certificates import issued, write_bundle

ONE, OTHER = (ClientAuthority.create(EPOCH, name=name) for name in ("one", "other"))


@pytest.fixture
def bundle(tmp_path):
    return load_bundle(write_bundle(tmp_path / "ca.crt", ONE, OTHER))


def lists(bundle, path, content: bytes) -> RevocationLists:
    path.write_bytes(content)
    return RevocationLists(bundle, path, FakeClock())


def test_without_a_list_nothing_is_on_it(bundle):
    none = RevocationLists(bundle, None, FakeClock())
    assert not none.has_revoked(issued(ONE, EPOCH))
    assert none.runs_out() is None


def test_several_authorities_have_a_list_each_and_the_newest_counts(bundle, tmp_path):
    ours, theirs = issued(ONE, EPOCH), issued(OTHER, EPOCH)
    old = ONE.revocation_list(EPOCH - timedelta(hours=1))
    new = ONE.revocation_list(EPOCH, previous=old, revoke=[ours.serial_number], validity=timedelta(days=9))
    for order in ([old, new], [new, old]):
        made = lists(bundle, tmp_path / "crl", b"".join([*order, OTHER.revocation_list(EPOCH)]))
        assert made.has_revoked(ours)
        assert not made.has_revoked(theirs)
        assert made.runs_out() == EPOCH + timedelta(days=9)


def test_der_is_read_as_well(bundle, tmp_path):
    pem = ONE.revocation_list(EPOCH)
    made = lists(bundle, tmp_path / "crl", x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER))
    assert not made.has_revoked(issued(ONE, EPOCH))


def test_an_authority_without_a_list_vouches_for_nobody(bundle, tmp_path):
    made = lists(bundle, tmp_path / "crl", ONE.revocation_list(EPOCH))
    with pytest.raises(StoreError, match="no revocation list of this client authority"):
        made.has_revoked(issued(OTHER, EPOCH))


def partial_list() -> bytes:
    """One that lists only what changed (RFC 5280 section 5.2.4), which is marked critical."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ONE._certificate.subject)
        .last_update(EPOCH)
        .next_update(EPOCH + timedelta(days=1))
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
    )
    return made.sign(ONE._key, hashes.SHA256()).public_bytes(Encoding.PEM)


STRANGER = ClientAuthority.create(EPOCH, name="stranger")
IMPOSTOR = ClientAuthority.create(EPOCH, name="one")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no list"),
        (b"-----BEGIN", "it is empty"),
        (ONE.certificate_pem, "it is empty"),
        (ONE.revocation_list(EPOCH)[:-60], "it is empty"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "no list"),
        (STRANGER.revocation_list(EPOCH), "none of the authorities"),
        (IMPOSTOR.revocation_list(EPOCH), "none of the authorities"),
        (ONE.revocation_list(EPOCH) + STRANGER.revocation_list(EPOCH), "none of the authorities"),
        (partial_list(), "critical extension"),
    ],
)
def test_lists_that_are_refused_when_the_gateway_starts(bundle, tmp_path, content, says):
    with pytest.raises(Unusable, match=says):
        lists(bundle, tmp_path / "crl", content)


def test_a_list_that_is_too_long_is_not_read(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.identity.revocationlists.MAX_LIST", 100)
    with pytest.raises(Unusable, match="larger than"):
        lists(bundle, tmp_path / "crl", ONE.revocation_list(EPOCH))


def test_bundles_that_are_refused(tmp_path):
    with pytest.raises(Unusable, match=r"ca\.crt"):
        load_bundle(tmp_path / "ca.crt")
    (tmp_path / "ca.crt").write_bytes(b"nothing")
    with pytest.raises(Unusable, match="no bundle"):
        load_bundle(tmp_path / "ca.crt")
    (tmp_path / "ca.crt").write_bytes(issued(ONE, EPOCH).public_bytes(Encoding.PEM))
    with pytest.raises(Unusable, match="no authority's"):
        load_bundle(tmp_path / "ca.crt")
