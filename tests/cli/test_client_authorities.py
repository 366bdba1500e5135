"""Settings of client certificates: what a gateway refuses to start with, and what the doctor warns of in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from certs.clientca import ClientAuthority
from gateway.cli.doctor import _client_authorities
from gateway.cli.serve import _client_certificates
from gateway.core.errors import GatewayError, Unusable
from gateway.settings import load_settings
from tests.fakes.clock import FakeClock
from tests.fakes.observer import FakeObserver
from tests.identity.certificates import write_bundle

NOW = datetime.now(UTC)  # the doctor counts days by the machine's clock
AUTHORITY = ClientAuthority.create(NOW)


def gateway(folder, **https: str) -> SimpleNamespace:
    lines = [f'{name} = "{value}"' for name, value in https.items()]
    (folder / "gateway.toml").write_text("\n".join(["[https]", *lines]))
    settings = load_settings(folder / "gateway.toml", {})
    return SimpleNamespace(
        settings=settings, recorder=SimpleNamespace(clock=FakeClock(NOW)), database=None, registrar=None
    )


@pytest.fixture
def folder(tmp_path):
    write_bundle(tmp_path / "ca.crt", AUTHORITY)
    (tmp_path / "client.crl").write_bytes(AUTHORITY.revocation_list(NOW))
    return tmp_path


def test_without_authorities_no_certificate_is_asked_for(folder):
    assert _client_certificates(gateway(folder), FakeObserver()) is None


@pytest.mark.parametrize("about", [{"client_ca": "ca.crt"}, {"client_ca": "ca.crt", "client_crl": "client.crl"}])
def test_with_authorities_it_is_with_a_list_or_without(folder, about):
    assert _client_certificates(gateway(folder, **about), FakeObserver()) is not None


@pytest.mark.parametrize(
    "about",
    [
        {"client_crl": "client.crl"},
        {"client_ca": "missing.crt"},
        {"client_ca": "client.crl"},
        {"client_ca": "ca.crt", "client_crl": "missing.crl"},
        {"client_ca": "ca.crt", "client_crl": "ca.crt"},
    ],
)
def test_what_a_gateway_does_not_start_with(folder, about):
    with pytest.raises(Unusable, match=r"https\.client_c"):
        _client_certificates(gateway(folder, **about), FakeObserver())


async def test_the_doctor_warns_a_week_before_nobody_gets_in(folder):
    about = {"client_ca": "ca.crt", "client_crl": "client.crl"}
    assert "none" in await _client_authorities(gateway(folder))
    assert "without a list" in await _client_authorities(gateway(folder, client_ca="ca.crt"))
    assert "for 29 days" in await _client_authorities(gateway(folder, **about))
    (folder / "client.crl").write_bytes(AUTHORITY.revocation_list(NOW, validity=timedelta(days=6, hours=23)))
    with pytest.raises(GatewayError, match="runs out in 6 days"):
        await _client_authorities(gateway(folder, **about))
    write_bundle(folder / "ca.crt", ClientAuthority.create(NOW - timedelta(days=725)))
    with pytest.raises(GatewayError, match="runs out in 4 days"):
        await _client_authorities(gateway(folder, client_ca="ca.crt"))
