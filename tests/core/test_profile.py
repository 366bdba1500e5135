from __future__ import annotations

from importlib.resources import files

import pytest

from gateway.core.errors import Unusable
from gateway.core.profile import Offer, parse_profiles
from tests.policies.packed import pack

PROFILES = pack().profiles
KEPT = Offer(kept=True, says="shown")


def test_a_profile_is_kept_where_each_need_is():
    needs = PROFILES["international"].needs
    assert needs == ("tls-1.3", "crypt4gh", "ledger")
    assert PROFILES["international"].missing(dict.fromkeys(needs, KEPT)) == ()


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_each_need_that_is_not_offered_is_told_with_its_reason(name):
    profile = PROFILES[name]
    for need in profile.needs:
        offers = {**dict.fromkeys(profile.needs, KEPT), need: Offer(kept=False, says="no such suite")}
        assert profile.missing(offers) == (f"{need}: no such suite",)
        del offers[need]
        assert profile.missing(offers) == (f"{need}: this gateway does not know the control",)


def test_commercial_cryptography_asks_for_all_that_the_other_does_and_more():
    assert set(PROFILES["international"].needs) < set(PROFILES["commercial-cryptography"].needs)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('id = "international"', 'id = "other"', "international is missing"),
        ('id = "commercial-cryptography"', 'id = "international"', "taken twice"),
        ('needs = ["tls-1.3", "crypt4gh", "ledger"]', "needs = []", "needs must list words"),
        ('"order-790:9"', '"order-790:99"', "which is not recorded"),
        ('zh-Hant = "', 'zh = "', "every language"),
        ("needs =", "asks =", "missing or unknown"),
        ("[[profile]]", "[[other]]\nx = 1\n[[profile]]", "must hold"),
        ("[[profile]]", "[[profile", "profiles:"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(old, new, fault):
    document = (files("policies") / "profiles.toml").read_text("utf-8")
    assert old in document
    with pytest.raises(Unusable, match=fault):
        parse_profiles(document.replace(old, new, 1).encode(), pack().rulebook)
