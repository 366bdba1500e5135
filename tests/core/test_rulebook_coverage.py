"""The proof that a pack is total: its axioms hold of every situation, and a pack with a hole shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given

from gateway.core.choices import READ_BY_CODE
from gateway.core.decide import decide
from gateway.core.decide.decision import _variables
from gateway.core.derive import derive
from gateway.core.rulebook import parse_condition
from gateway.core.rulebook.coverage import AXIOMS, gaps, judge
from gateway.core.situation import close_upwards
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import CALM, pack, read_as, situation, situations

TREES = {text: parse_condition(text, pack().vocabulary) for text in AXIOMS}
PACKS = [
    pack().rulebook,
    *(
        read_as(**{name: option})
        for name, (options, default) in READ_BY_CODE.items()
        for option in options
        if option != default
    ),
]


def facts_of(found, choices):
    """Every readable fact by its path, as the search names them."""
    closed = close_upwards(found)
    flat = {}
    for section, value in _variables(pack().rulebook, closed, derive(closed, prc_calendar(), choices)).items():
        for path, each in (
            {f"{section}.{name}": inner for name, inner in value.items()}
            if isinstance(value, dict)
            else {section: value}
        ).items():
            flat[path] = each
            if isinstance(each, list):
                flat |= {f"{path}/{word}": word in each for word in pack().vocabulary.derived["in_force"].words}
    return flat


@CALM
@given(situations())
@example(situation())
def test_the_axioms_hold_of_every_situation_under_every_reading(found):
    for rulebook in PACKS:
        facts = facts_of(found, rulebook.choices)
        for text, tree in TREES.items():
            assert judge(tree, facts) is True, text


@pytest.mark.parametrize("rulebook", PACKS, ids=lambda each: each.digest[:8])
def test_the_pack_is_total_under_every_reading(rulebook):
    assert gaps(rulebook, pack().vocabulary) == ()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name, choice in pack().rulebook.choices.entries.items()
        for option in choice.options
        if option != choice.taken
    ],
)
def test_no_reading_opens_a_gap(name, option):
    assert gaps(read_as(**{name: option}), pack().vocabulary) == ()


CLOSES = {
    "D1", "D2", "D6", "D7", "P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P11", "P12", "P20", "I1",
}  # fmt: skip
"""Rules without which some facts have no rule; P6 and P12 because a GBA contract that fails by them is no longer P11's."""


@pytest.mark.parametrize("rule_id", [rule.id for rule in pack().rulebook.rules])
def test_without_a_rule_the_hole_it_leaves_is_found(rule_id):
    left = tuple(rule for rule in pack().rulebook.rules if rule.id != rule_id)
    found = gaps(replace(pack().rulebook, rules=left), pack().vocabulary)
    assert bool(found) is (rule_id in CLOSES), found


def test_a_gap_is_real():
    """The example told is a hold that nobody clears."""
    left = tuple(rule for rule in pack().rulebook.rules if rule.id != "P7")
    holed = replace(pack().rulebook, rules=left)
    (first, *_) = gaps(holed, pack().vocabulary)
    assert first.startswith("no rule fires on 2024-03-22, export: band = 'small'")
    assert decide(holed, situation(data={"personal": True}), prc_calendar()).rules == ("NONE",)


def test_a_pack_that_begins_a_rule_late_has_a_gap_until_then():
    later = tuple(
        replace(rule, since=rule.since.replace(year=2025)) if rule.id == "P8" else rule
        for rule in pack().rulebook.rules
    )
    days = [gap.split()[4] for gap in gaps(replace(pack().rulebook, rules=later), pack().vocabulary)]
    assert days == ["2024-03-22,"]
