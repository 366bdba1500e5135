"""Do the golden cases notice? One operator or number of one condition is changed, and some case must give other rules.

The survivors are listed with the reason; a new one fails this test until a case is written, or a reason is.
"""

from __future__ import annotations

from functools import cache

import cel
import pytest

from gateway.core import derive as derivation
from gateway.core import terms
from gateway.core.decide import check_cases
from gateway.core.decide.decision import _variables
from gateway.core.derive import derive
from gateway.core.errors import Unusable
from gateway.core.rulebook import parse_condition
from gateway.core.rulebook.choices import with_choices
from gateway.core.situation import close_upwards, parse_situation
from gateway.stores.rulebooks import prc_calendar
from tests.policies.mutants import mutants
from tests.policies.packed import pack

SURVIVORS = {
    # Under the pack's reading the second half is false whatever stands in it; tests/core/test_choices.py tries the other reading.
    ("D3", "== -> != at 50"),
    # I1 runs on what is no export, and what is no export is inbound: both halves say the same.
    ("I1", "&& -> || at 23"),
}


@cache
def contexts():
    """Every case as what conditions read, with its day and direction."""
    found = []
    for case in pack().cases:
        closed = close_upwards(parse_situation(case.facts, pack().vocabulary))
        derived = derive(closed, prc_calendar(), pack().rulebook.choices)
        values = cel.Context(variables=_variables(pack().rulebook, closed, derived))
        found.append((closed.on, "export" if derived.export else "inbound", values))
    return found


@pytest.mark.parametrize("rule", pack().rulebook.rules, ids=lambda rule: rule.id)
def test_a_changed_condition_changes_some_case(rule):
    values = [each for on, direction, each in contexts() if rule.applies(on, direction)]
    before = [rule.program.execute(each) for each in values]
    vocabulary = with_choices(pack().vocabulary, pack().rulebook.choices.entries)
    survived = set()
    for text, what in mutants(rule.condition):
        parse_condition(text, vocabulary)  # a change that no load would accept proves nothing
        if [cel.compile(text).execute(each) for each in values] == before:
            survived.add((rule.id, what))
    assert survived == {each for each in SURVIVORS if each[0] == rule.id}


def test_there_are_mutants_of_every_kind():
    kinds = {what.split(" at ")[0] for rule in pack().rulebook.rules for _, what in mutants(rule.condition)}
    assert {"&& -> ||", "|| -> &&", "== -> !=", "!= -> ==", "> -> >=", "> -> <", "! -> nothing", "500 -> 501"} <= kinds
    assert sum(1 for rule in pack().rulebook.rules for _ in mutants(rule.condition)) > 200


def broken_cases() -> list[str]:
    results = check_cases(pack().cases, pack().rulebook, pack().vocabulary, prc_calendar())
    return [result.case.id for result in results if result.faults]


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (derivation, "N_EXEMPT_BELOW"),
        (derivation, "N_ASSESSMENT_FROM"),
        (derivation, "S_ASSESSMENT_FROM"),
        (derivation, "FILING_WORKING_DAYS"),
        (derivation, "PIPIA_FRESH_MONTHS"),
        (terms, "EXTENDED_YEARS"),
    ],
)
def test_a_number_of_the_law_that_is_off_by_one_fails_some_case(monkeypatch, module, name, step):
    monkeypatch.setattr(module, name, getattr(module, name) + step)
    assert broken_cases()


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize("kind", ["SA", "CERT"])
def test_a_term_that_is_off_by_a_year_fails_some_case(monkeypatch, kind, step):
    monkeypatch.setitem(terms.VALID_YEARS, kind, 3 + step)
    assert broken_cases()


def test_unchanged_no_case_fails():
    assert broken_cases() == []


def test_a_mutant_outside_the_grammar_is_none():
    with pytest.raises(Unusable):
        parse_condition("data.under15", pack().vocabulary)
