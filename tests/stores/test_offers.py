"""What the gateway offers of technical controls, and that a profile it cannot keep makes rule T1 deny."""

from __future__ import annotations

import pytest

from gateway.core.profile import parse_profiles
from gateway.stores.offers import SM_SUITES, missing_controls, offers
from tests.policies.packed import pack

PROFILES = pack().profiles


def test_the_international_profile_is_kept_with_tls_1_3_only():
    assert missing_controls(PROFILES, "international", "1.3") == ()
    (missing,) = missing_controls(PROFILES, "international", "1.2")
    assert missing == "tls-1.3: https.minimum_tls is 1.2: set it to 1.3"


def test_commercial_cryptography_is_not_kept_and_each_reason_is_told():
    missing = missing_controls(PROFILES, "commercial-cryptography", "1.3")
    assert [each.partition(":")[0] for each in missing] == ["sm-tls", "sm2-signatures", "sm3-ledger", "sm4-payload"]
    assert "OpenSSL" in missing[0]
    assert "Ed25519" in missing[1]


def test_every_need_of_every_profile_is_one_this_program_knows():
    assert {need for profile in PROFILES.values() for need in profile.needs} == set(offers("1.3"))


@pytest.mark.parametrize("name", ["international", "commercial-cryptography"])
def test_a_pack_without_profiles_keeps_none(name):
    assert missing_controls({}, name, "1.3") == (f"{name}: the rule pack has no such profile in profiles.toml",)


def test_a_suite_in_the_library_alone_keeps_nothing(monkeypatch):
    """Even with an OpenSSL that has the suites, the doors would have to ask for them."""
    monkeypatch.setattr("ssl.SSLContext.get_ciphers", lambda _: [{"name": name} for name in SM_SUITES])
    offer = offers("1.3")["sm-tls"]
    assert (offer.kept, "TLS_SM4_GCM_SM3" in offer.says) == (False, True)


def test_a_need_of_a_pack_that_this_program_does_not_know_is_missing():
    document = b"""
[[profile]]
id = "international"
needs = ["tls-1.3", "quantum-line"]
citations = ["order-790:9"]
title = { en = "a", zh-Hans = "b", zh-Hant = "c" }
"""
    profiles = parse_profiles(document, pack().rulebook)
    assert missing_controls(profiles, "international", "1.3") == (
        "quantum-line: this gateway does not know the control",
    )
