"""The smallest change: every golden case that does not pass has an answer that passes, or none that could."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest

from gateway.core.amend import CHANGES, smallest
from gateway.core.decide import decide
from gateway.core.situation import parse_situation
from gateway.stores.rulebooks import load_policies, prc_calendar

PACK = load_policies()


def situation(document):
    return parse_situation(document, PACK.vocabulary)


def verdict(known, names):
    for name in names:
        known = CHANGES[name](known)
    return decide(PACK.rulebook, known, prc_calendar()).verdict


PERSONAL = {
    "on": date(2026, 11, 20),
    "sender": {"id": "sz-lab", "filed": True, "real_name": True},
    "recipient": {"id": "hku", "place": "HK"},
    "data": {"level": "general", "personal": True, "sensitive": True},
    "persons": {"sensitive": 50},
    "technical": {"controls_ok": True, "ledger_ok": True, "clock_ok": True},
    "duties": {
        "notice": True,
        "separate_consent": True,
        "consent_based": True,
        "pipia": date(2026, 10, 1),
    },
}


def test_what_passes_needs_nothing():
    plain = {**PERSONAL, "data": {"level": "general"}, "persons": {}}
    assert smallest(PACK.rulebook, situation(plain), prc_calendar()) == ((),)


def test_a_missing_contract_is_one_filing():
    found = smallest(PACK.rulebook, situation(PERSONAL), prc_calendar())
    assert ("file_scc",) in found
    assert ("file_cert",) in found
    assert all(len(names) == 1 for names in found)


def test_what_is_missing_twice_needs_both():
    document = {**PERSONAL, "duties": {**PERSONAL["duties"], "notice": False}}
    found = smallest(PACK.rulebook, situation(document), prc_calendar())
    assert found
    assert all("notice" in names and len(names) == 2 for names in found)


@pytest.mark.parametrize("level", ["secret", "core"])
def test_nothing_helps_what_nobody_may_send(level):
    document = {**PERSONAL, "data": {**PERSONAL["data"], "level": level}}
    assert smallest(PACK.rulebook, situation(document), prc_calendar()) == ()


def test_a_level_that_was_found_is_never_wished_away():
    document = {**PERSONAL, "data": {**PERSONAL["data"], "level": "important_suspected"}}
    assert all("classified" not in names for names in smallest(PACK.rulebook, situation(document), prc_calendar()))


@pytest.mark.parametrize("case", PACK.cases, ids=lambda case: case.id)
def test_answers_pass_and_nothing_smaller_does(case):
    known = situation(case.facts)
    for names in smallest(PACK.rulebook, known, prc_calendar()):
        assert verdict(known, names) == "allow"
        for size in range(len(names)):
            for fewer in combinations(names, size):
                assert verdict(known, fewer) != "allow"
