"""The development authority: what TLS stacks make of it, and that it says what it is."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from certs.authority import DevelopmentAuthority, DevelopmentAuthorityWarning, Issued
from gateway.core.errors import Conflict, StoreError, Unusable

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def authority() -> DevelopmentAuthority:
    return DevelopmentAuthority.create(NOW, accept_risk=True)


def verify(issued: Issued, name: str, at: datetime = NOW) -> None:
    """The Web PKI verifier of the cryptography package: RFC 5280 as strictly as browsers."""
    store = Store([x509.load_pem_x509_certificate(issued.authority_pem)])
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(name))
    verifier.verify(x509.load_pem_x509_certificate(issued.certificate_pem), [])


def test_it_warns_unless_the_caller_knows(tmp_path: Path) -> None:
    with pytest.warns(DevelopmentAuthorityWarning, match="development only"):
        made = DevelopmentAuthority.create(NOW)
    made.save(tmp_path / "ca")
    with pytest.warns(DevelopmentAuthorityWarning):
        DevelopmentAuthority.open(tmp_path / "ca")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DevelopmentAuthority.open(tmp_path / "ca", accept_risk=True)


def test_a_strict_verifier_accepts_a_server_for_its_names_and_dates_only(authority: DevelopmentAuthority) -> None:
    issued = authority.issue_server(["hk.example", "*.lab.example"], NOW)
    verify(issued, "hk.example")
    verify(issued, "a.lab.example")
    verify(issued, "hk.example", NOW - timedelta(minutes=4))
    verify(issued, "hk.example", NOW + timedelta(days=89))
    for name, at in [
        ("other.example", NOW),
        ("hk.example", NOW - timedelta(hours=1)),
        ("hk.example", NOW + timedelta(days=91)),
    ]:
        with pytest.raises(VerificationError):
            verify(issued, name, at)


def test_a_client_certificate_is_no_server_and_the_other_way_round(authority: DevelopmentAuthority) -> None:
    client = authority.issue_client("sz-lab", NOW, ["urn:hetao:institution:sz-lab"])
    with pytest.raises(VerificationError):
        verify(client, "sz-lab")
    usages = {
        kind: set(certificate(issued).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        for kind, issued in {
            "client": client,
            "server": authority.issue_server(["hk.example"], NOW),
            "peer": authority.issue_peer(["hk.example"], NOW),
        }.items()
    }
    assert usages == {
        "client": {ExtendedKeyUsageOID.CLIENT_AUTH},
        "server": {ExtendedKeyUsageOID.SERVER_AUTH},
        "peer": {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH},
    }


def test_names_keep_their_kind(authority: DevelopmentAuthority) -> None:
    issued = authority.issue_peer(["hk.example", "192.0.2.7", "2001:db8::7", "urn:hetao:endpoint:hku"], NOW)
    names = certificate(issued).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hk.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "2001:db8::7"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:hetao:endpoint:hku"]


def test_the_root_signs_end_entities_only_and_no_authority(authority: DevelopmentAuthority) -> None:
    root = x509.load_pem_x509_certificate(authority.certificate_pem)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    leaf = certificate(authority.issue_server(["hk.example"], NOW))
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign


def test_keys_are_p256_and_fresh(authority: DevelopmentAuthority) -> None:
    first, second = (certificate(authority.issue_server(["hk.example"], NOW)) for _ in range(2))
    for made in (first, second):
        key = made.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
    assert first.public_key() != second.public_key()
    assert first.serial_number != second.serial_number


@pytest.mark.parametrize("names", [[], [""], ["a b"], ["hk.example/path"], ["me@hk.example"], ["香港.example"]])
def test_what_is_no_name_is_refused(authority: DevelopmentAuthority, names: list[str]) -> None:
    with pytest.raises(Unusable):
        authority.issue_server(names, NOW)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        DevelopmentAuthority.create(NOW.replace(tzinfo=None), accept_risk=True)


def test_nothing_outlives_the_root(authority: DevelopmentAuthority) -> None:
    with pytest.raises(Unusable, match="expire"):
        authority.issue_server(["hk.example"], NOW + timedelta(days=300))


def test_it_is_saved_privately_once_and_opened_again(authority: DevelopmentAuthority, tmp_path: Path) -> None:
    authority.save(tmp_path / "ca")
    assert stat.S_IMODE((tmp_path / "ca" / "authority.key").stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        authority.save(tmp_path / "ca")
    again = DevelopmentAuthority.open(tmp_path / "ca", accept_risk=True)
    assert again.certificate_pem == authority.certificate_pem
    verify(again.issue_server(["hk.example"], NOW), "hk.example")


def test_files_that_are_no_authoritys_are_refused(authority: DevelopmentAuthority, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        DevelopmentAuthority.open(tmp_path, accept_risk=True)
    authority.save(tmp_path / "a")
    other = DevelopmentAuthority.create(NOW, accept_risk=True)
    other.save(tmp_path / "b")
    (tmp_path / "a" / "authority.crt").write_bytes(other.certificate_pem)
    with pytest.raises(Unusable, match="does not belong"):
        DevelopmentAuthority.open(tmp_path / "a", accept_risk=True)
    (tmp_path / "b" / "authority.key").write_bytes(b"junk")
    with pytest.raises(Unusable, match="PEM"):
        DevelopmentAuthority.open(tmp_path / "b", accept_risk=True)


def test_openssl_shakes_hands_in_both_roles(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    root = authority.save(tmp_path / "ca")
    server_files = authority.issue_server(["hk.example"], now).save(tmp_path / "server", "server")
    client_files = authority.issue_client("sz-lab", now).save(tmp_path / "client", "client")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(root))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(*server_files)
    client = ssl.create_default_context(cafile=str(root))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(*client_files)
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)
    seen: list[object] = []

    def serve() -> None:
        with suppress(OSError), server.wrap_socket(theirs, server_side=True) as connection:
            seen.append(connection.getpeercert())
            connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname="hk.example") as connection:
        assert connection.recv(1) == b"x"
    thread.join(10)
    assert "sz-lab" in str(seen)


def certificate(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate_pem)
