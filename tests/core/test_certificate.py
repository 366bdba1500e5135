"""The certificate: what it says is computed again, and any lie in it is found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.certificate import Certificate, check, compose, parse
from gateway.core.decide import decide
from gateway.core.errors import Unusable
from gateway.core.review import Case, parse_ballot, tally
from gateway.core.situation import parse_situation
from gateway.stores.rulebooks import load_policies, prc_calendar
from gateway.wire import canonical
from tests.core.examples import HELD_FOR_BOTH, HELD_FOR_JUDGEMENT, NOW, TODAY, approvals, case_of, decided, founded

PACK = load_policies()


def certified(facts) -> bytes:
    decision = decide(PACK.rulebook, parse_situation(facts, PACK.vocabulary), prc_calendar())
    record = decision.record()
    case = Case("t", "00", "hku", "SHA256:x", PACK.rulebook.digest, decision.rules, record["situation"])
    return compose(case, record, "2026-11-20T00:00:00Z")


def checked(document: bytes) -> list[str]:
    return check(parse(document), PACK.rulebook, PACK.vocabulary, prc_calendar())


@pytest.mark.parametrize("case", PACK.cases, ids=lambda case: case.id)
def test_every_golden_case_computes_again(case):
    document = certified(case.facts)
    assert checked(document) == []
    assert parse(document).decision["verdict"] == case.verdict


@given(st.data())
def test_a_certificate_that_lies_about_anything_is_found_out(data):
    told = json.loads(certified(data.draw(st.sampled_from(PACK.cases)).facts))
    decision = told["decision"]
    lie = data.draw(st.sampled_from(["verdict", "rules", "mechanism", "derived", "situation", "case", "endpoint"]))
    if lie in told:
        told[lie] += "0"
    elif lie == "situation":
        decision["situation"]["duties"]["notice"] = not decision["situation"]["duties"]["notice"]
    elif lie == "derived":
        decision["derived"]["carried"] = not decision["derived"]["carried"]
    elif lie == "rules":
        decision["rules"].append("X9")
    else:
        decision[lie] += "x"
    assert checked(canonical.encode(told))


def test_a_certificate_of_another_pack_says_which_one_is_needed():
    found: Certificate = parse(certified(PACK.cases[0].facts))
    other = replace(PACK.rulebook, digest="f" * 64)
    with pytest.raises(Unusable, match="--policies"):
        check(found, other, PACK.vocabulary, prc_calendar())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told.pop("case"),
        lambda told: told.update(more=1),
        lambda told: told.update(type="hetao-receipt"),
        lambda told: told.update(v=2),
        lambda told: told.update(at=5),
        lambda told: told.update(decision=[]),
        lambda told: told["decision"].pop("situation"),
        lambda told: told["decision"].update(more=1),
    ],
)
def test_other_forms_are_none(spoil):
    told = json.loads(certified(PACK.cases[0].facts))
    spoil(told)
    with pytest.raises(Unusable):
        parse(canonical.encode(told))


def test_ballots_and_certificate_name_one_case() -> None:
    """What two officers vote on is what anybody decides again: change a fact, and both are about something else."""
    decision = decided(**HELD_FOR_JUDGEMENT)
    case = case_of(decision)
    told = parse(compose(case, decision.record(), "2026-11-20T02:00:00.000Z"))
    votes = approvals(case)
    assert {parse_ballot(vote.message).case for vote in votes} == {told.case} == {case.digest()}
    other = case_of(decided(**HELD_FOR_BOTH))
    assert other.digest() != told.case
    assert not tally(votes, other, "chen", founded(), NOW, TODAY).approved
