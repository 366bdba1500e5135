from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date

import cel
import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.decide import check_cases, cures, decide, parse_cases, uncovered
from gateway.core.errors import Unusable
from gateway.core.situation import strictest
from gateway.core.situation.sections import SECTIONS
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import CALM, ON, changed, pack, situation, situations

STRICTNESS = {"allow": 0, "hold": 1, "deny": 2}


def decision(**document):
    return decide(pack().rulebook, situation(**document), prc_calendar())


def broken(rule_id: str, condition: str):
    """The pack with one rule's program replaced by one that no load would let through."""
    rules = tuple(
        replace(rule, program=cel.compile(condition)) if rule.id == rule_id else rule for rule in pack().rulebook.rules
    )
    return replace(pack().rulebook, rules=rules)


# --- the verdict ---


@CALM
@given(situations())
def test_every_situation_gets_one_verdict_and_the_strictest_wins(found):
    made = decide(pack().rulebook, found, prc_calendar())
    assert made.verdict in STRICTNESS
    assert "NONE" not in made.rules  # the pack leaves no situation without a rule
    order = [STRICTNESS[rule.verdict] for rule in made.fired]
    assert order == sorted(order, reverse=True)
    assert made.verdict == made.fired[0].verdict
    assert not any(rule.error for rule in made.fired)
    assert (cures(made) == "") is (made.verdict == "allow")
    assert (made.remedies == ()) is (made.verdict == "allow")


@CALM
@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_the_strictest_situation_is_never_allowed(on):
    assert decide(pack().rulebook, strictest(on), prc_calendar()).verdict != "allow"


NOTHING_RESTS_ON = {"persons", "exemption", "purpose"}
"""With data known to be general and without persons, nobody needs these."""


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_knowing_nothing_of_one_section_never_allows_what_rests_on_it(section):
    unknown = replace(situation(), **{section: getattr(strictest(ON), section)})
    verdict = decide(pack().rulebook, unknown, prc_calendar()).verdict
    assert (verdict == "allow") is (section in NOTHING_RESTS_ON)


SIGNED = {"recipients": ["hku-genomics"], "effective": date(2026, 11, 2), "filed": date(2026, 11, 16)}
OUTSIDE = {"data": {"sensitive": True, "types": ["contact"]}, "recipient": {"onward": ["SG"]}}
MAINLAND_BODY = {
    "recipient": {"mainland_controlled": True},
    "hgr": {"information": True},
    "duties": {"ethics_approval": True, "written_consent": True},
    "filings": [{**SIGNED, "kind": kind} for kind in ("SCC", "HGR_REPORT", "HGR_BACKUP")],
}

NOT_MONOTONE = {
    # no claim cannot fail (P18, P19)
    "exemption.claimed": {"exemption": {"claimed": "art6"}},
    # aggregates are a question (G7), no genetic data are none
    "hgr.aggregate_only": {
        "hgr": {"aggregate_only": True},
        "duties": {"ethics_approval": True, "written_consent": True},
    },
    # a Hong Kong body controlled by mainland capital is a question of its own (G5)
    "recipient.mainland_controlled": MAINLAND_BODY,
    "recipient.place": MAINLAND_BODY,
    # another recipient has no lapsed assessment (D8)
    "recipient.id": {
        "data": {"sensitive": True},
        "filings": [{**SIGNED, "kind": "SA", "effective": date(2020, 1, 1)}],
    },
    # a contract that does not cover the transfer is not broken by it (P6)
    "data.types": {**OUTSIDE, "filings": [{**SIGNED, "kind": "GBA", "data_types": ["contact"]}]},
    "purpose.stated": {**OUTSIDE, "filings": [{**SIGNED, "kind": "GBA", "purpose": "trial A"}]},
    # unknown is a question (D7), core is an answer (D2)
    "data.level": {"data": {"level": "core"}},
}
"""Facts whose strictest value may loosen a verdict, each with a situation where it does."""


@pytest.mark.parametrize("path", sorted(NOT_MONOTONE))
def test_the_named_exceptions_to_monotonicity_are_real(path):
    found = situation(**NOT_MONOTONE[path])
    section, _, name = path.rpartition(".")
    after = changed(found, path, getattr(getattr(strictest(ON), section), name))
    verdicts = [decide(pack().rulebook, each, prc_calendar()).verdict for each in (after, found)]
    assert STRICTNESS[verdicts[0]] < STRICTNESS[verdicts[1]], verdicts


@CALM
@given(situations(), st.data())
def test_a_stricter_fact_never_loosens_the_verdict(found, data):
    paths = sorted(set(pack().vocabulary.facts) - set(NOT_MONOTONE) - {"on", "direction"})
    path = data.draw(st.sampled_from(paths))
    section, _, name = path.rpartition(".")
    stricter = changed(found, path, getattr(getattr(strictest(ON), section), name))
    before = decide(pack().rulebook, found, prc_calendar())
    after = decide(pack().rulebook, stricter, prc_calendar())
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict], path


@CALM
@given(situations(), st.data())
def test_a_filing_taken_away_never_loosens_the_verdict_but_for_two_kinds(found, data):
    """A lapsed assessment denies (D8), and so does a GBA contract whose data go outside (P6)."""
    kept = [filing for filing in found.filings if filing.kind not in {"SA", "GBA"}]
    assume(kept)
    gone = data.draw(st.sampled_from(kept))
    fewer = replace(found, filings=tuple(filing for filing in found.filings if filing is not gone))
    before, after = (decide(pack().rulebook, each, prc_calendar()) for each in (found, fewer))
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict], gone


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        ({"filings": [{**SIGNED, "kind": "SA", "effective": date(2020, 1, 1)}]}, ["D8", "P8"]),
        ({"filings": [{**SIGNED, "kind": "GBA"}], "recipient": {"onward": ["SG"]}}, ["P6.1", "P6", "P8"]),
    ],
)
def test_the_two_kinds_whose_removal_loosens(facts, rules):
    known = {"data": {"sensitive": True}, **facts}
    assert list(decision(**known).rules) == rules
    assert decision(**{**known, "filings": []}).verdict == "hold"


def test_no_rule_is_a_hold_that_nobody_clears():
    empty = replace(pack().rulebook, rules=())
    made = decide(empty, situation(), prc_calendar())
    assert (made.verdict, made.rules, made.mechanism, cures(made)) == ("hold", ("NONE",), "none", "none")
    assert made.to_json()["remedies"] == []


def test_before_the_pack_begins_nothing_is_allowed():
    assert decision(on=date(2024, 3, 21), duties={"pipia": date(2024, 3, 1)}).rules == ("NONE",)
    assert decision(on=date(2024, 3, 22), duties={"pipia": date(2024, 3, 1)}).rules == ("P0",)


# --- failed evaluations ---


@pytest.mark.parametrize(
    "condition",
    ["nothing.here", "data.typo == 'x'", "persons.sensitive < 'a'", "1 / persons.sensitive > 0", "data.level", "1"],
)
@pytest.mark.parametrize(("rule_id", "verdict"), [("D2", "deny"), ("D9", "hold"), ("P0", "hold"), ("D7", "hold")])
def test_a_rule_that_cannot_be_evaluated_fires(rule_id, verdict, condition):
    made = decide(broken(rule_id, condition), situation(), prc_calendar())
    (fired,) = (rule for rule in made.fired if rule.id == rule_id)
    assert (fired.verdict, made.verdict, fired.cure) == (verdict, verdict, "none")
    assert fired.error
    assert made.flags == ("rule-error",)
    assert cures(made) == "none"


def test_truth_is_not_enough():
    """An answer must be True itself: 1 and "x" are truthy in Python and are failures here."""
    assert decide(broken("P0", "1 == 1"), situation(), prc_calendar()).verdict == "allow"
    assert decide(broken("P0", "1"), situation(), prc_calendar()).verdict == "hold"


# --- cures ---


@pytest.mark.parametrize(
    ("facts", "cure"),
    [
        ({}, ""),
        ({"data": {"level": "core"}}, "none"),
        ({"data": {"level": "core", "inspectable": False}}, "none"),
        ({"data": {"inspectable": False}}, "judgement"),
        ({"data": {"inspectable": False, "level": "unknown"}}, "judgement"),
        ({"sender": {"filed": False}}, "documents"),
        ({"sender": {"filed": False}, "data": {"inspectable": False}}, "documents"),
    ],
)
def test_what_could_clear_a_decision(facts, cure):
    assert cures(decision(**facts)) == cure


def test_votes_clear_four_rows_and_documents_the_other_holds():
    rules = pack().rulebook.rules
    assert {rule.id for rule in rules if rule.cure == "judgement"} == {"D7", "D10", "G7", "P5"}
    assert {rule.cure for rule in rules if rule.verdict != "hold"} == {"none"}
    assert {rule.id for rule in rules if rule.cure == "documents"} >= {"P8", "P10", "P12", "P13", "D9", "G4"}


# --- what a decision tells ---


def test_the_public_form():
    told = decision(data={"personal": True}, persons={"nonsensitive": 100_000}).to_json()
    assert list(told) == ["verdict", "rules", "flags", "citations", "mechanism", "remedies", "rulebook"]
    assert told["citations"] == [{"rule": "P8", "instrument": "cac-order-16", "article": "8"}]
    assert (told["verdict"], told["rules"], told["mechanism"]) == ("hold", ["P8"], "SCC")
    (remedy,) = told["remedies"]
    assert set(remedy) == {"rule", "cure", "en", "zh-Hans", "zh-Hant"}
    assert told["rulebook"] == pack().rulebook.digest


def test_the_digest_is_sha_256_over_canonical_json():
    made = decision(data={"personal": True}, filings=[{"kind": "SA", "recipients": ["x"], "effective": ON}])
    record = made.record()
    assert made.digest() == hashlib.sha256(rfc8785.dumps(record)).digest()
    assert record["situation"]["filings"][0]["effective"] == "2026-11-20"
    assert record["situation"]["persons"]["nonsensitive"] == 1  # what was read, closed upwards
    assert record["derived"]["band"] == "small"


@CALM
@given(situations(), situations())
def test_the_digest_tells_decisions_apart(one, other):
    first, second = (decide(pack().rulebook, found, prc_calendar()) for found in (one, other))
    assert (first.digest() == second.digest()) is (first.record() == second.record())
    assert first.digest() == decide(pack().rulebook, one, prc_calendar()).digest()


def test_the_digest_names_the_pack():
    other = replace(pack().rulebook, digest="0" * 64)
    assert decide(other, situation(), prc_calendar()).digest() != decision().digest()


@CALM
@given(situations())
def test_deciding_on_what_was_recorded_gives_the_same_decision(found):
    made = decide(pack().rulebook, found, prc_calendar())
    assert decide(pack().rulebook, made.situation, prc_calendar()) == made


def test_what_the_rules_read_are_the_fields_of_the_situation():
    for section, names in pack().rulebook.operands.items():
        if section:
            assert set(names) <= {field.name for field in fields(SECTIONS[section])}


# --- golden cases as values ---

CASE = """
[[case]]
id = "a"
title = "t"
verdict = "allow"
rules = ["P0"]
misses = ["P8"]
[case.facts]
"""


def results(text: str):
    return check_cases(parse_cases({"c.toml": text.encode()}), pack().rulebook, pack().vocabulary, prc_calendar())


def test_a_case_as_expected():
    (result,) = results(CASE)
    assert (result.faults, result.verdict, result.rules) == ((), "allow", ("P0",))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"allow"', '"deny"', "verdict: expected deny, got allow"),
        ('["P0"]', '["P0", "P8"]', "rules: expected ['P0', 'P8'], got ['P0']"),
        ('["P8"]', '["P0"]', "misses: P0 fired"),
        ('["P8"]', '["P8"]\nflags = ["volume"]', "flags: expected ['volume'], got []"),
        ('["P8"]', '["P8"]\nmechanism = "SA"', "mechanism: expected SA, got none"),
        ("[case.facts]", "[case.facts]\ntypo = 1", "the facts cannot be used: typo: unknown key"),
    ],
)
def test_a_case_that_differs_says_how(old, new, fault):
    (result,) = results(CASE.replace(old, new))
    assert fault in result.faults


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CASE + CASE, "the id is taken twice"),
        (CASE.replace('title = "t"', ""), "keys ['title']"),
        (CASE.replace('title = "t"', 'title = "t"\nextra = 1'), "keys ['extra']"),
        ("[case]", "must hold [[case]] tables"),
        ("[[cases]]", "must hold [[case]] tables"),
        ("[[case", "c.toml:"),
    ],
)
def test_cases_that_do_not_fit_are_refused(text, why):
    with pytest.raises(Unusable) as caught:
        parse_cases({"c.toml": text.encode()})
    assert why in caught.value.message


def test_what_cases_leave_untried_is_told():
    gaps = uncovered(parse_cases({"c.toml": CASE.replace('"P8"', '"Q9"').encode()}), pack().rulebook)
    assert "P0: no case is a near miss of it" in gaps
    assert "P8: no case makes it fire" in gaps
    assert "Q9: named by a case, but not in the pack" in gaps


def test_remedies_speak_every_language():
    for remedy in decision(data={"level": "core"}).remedies:
        assert isinstance(remedy.texts, Mapping)
        assert set(remedy.texts) == {"en", "zh-Hans", "zh-Hant"}
