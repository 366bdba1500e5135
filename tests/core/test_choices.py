"""Open questions as data: each reading on its facts, flags, digest, and what a table is refused for."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.core.choices import CAREFUL, READ_BY_CODE
from gateway.core.decide import decide
from gateway.core.errors import Unusable
from gateway.core.rulebook import CHOICES, parse_rulebook
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import documents, pack, read_as, situation

GBA = {"kind": "GBA", "recipients": ["hku-genomics"], "effective": date(2026, 11, 2), "filed": date(2026, 11, 16)}
OLD = {"kind": "SA", "recipients": ["hku-genomics"], "effective": date(2024, 3, 21)}
HR = {"data": {"personal": True}, "sender": {"ciio": True}}
MANY = {"data": {"personal": True, "sensitive": True}, "persons": {"sensitive": 10_000}}
HK_BODY = {
    "recipient": {"mainland_controlled": True},
    "hgr": {"information": True},
    "duties": {"ethics_approval": True, "written_consent": True},
    "filings": [{**GBA, "kind": "SCC"}],
}

# By choice and reading: facts on which it turns, the rules that fire, the flags.
READINGS = [
    ("gba_ciio", "denied", {**HR, "filings": [GBA]}, ["P3"], []),
    ("gba_ciio", "held", {**HR, "filings": [GBA]}, ["P5"], []),
    ("hk_mainland_capital", "overseas-party", HK_BODY, ["G4", "P9"], []),
    ("hk_mainland_capital", "confirmation", HK_BODY, ["G5", "P9"], []),
    ("hk_mainland_capital", "chinese-party", HK_BODY, ["P9"], ["choice-hk_mainland_capital"]),
    ("aggregates", "held", {"hgr": {"aggregate_only": True}, "duties": HK_BODY["duties"]}, ["G7", "P0"], []),
    (
        "aggregates",
        "outside",
        {"hgr": {"aggregate_only": True}, "duties": HK_BODY["duties"]},
        ["P0"],
        ["choice-aggregates"],
    ),
    *(
        (
            "labour_rules",
            reading,
            {**HR, "exemption": {"claimed": "art5.2", "evidence": ["employees", words]}},
            rules,
            ["choice-labour_rules"] if reading == "either" else [],
        )
        for words in ("labour_rules", "collective_contract")
        for reading, rules in (("both", ["P3", "P19"]), ("either", ["P2"]))
    ),
    (
        "labour_rules",
        "either",
        {**HR, "exemption": {"claimed": "art5.2", "evidence": ["labour_rules", "collective_contract"]}},
        ["P3", "P19"],
        ["choice-labour_rules"],
    ),
    *(
        ("separate_consent", reading, {"data": {"personal": True}, "duties": duties}, rules, [])
        for duties in ({"consent_based": False, "separate_consent": False},)
        for reading, rules in (("always", ["P12", "P7"]), ("consent-based", ["P7"]))
    ),
    ("old_results", "three-years", {"data": {"personal": True, "sensitive": True}, "filings": [OLD]}, ["P20"], []),
    ("old_results", "two-years", {"data": {"personal": True, "sensitive": True}, "filings": [OLD]}, ["D8", "P8"], []),
    ("hk_authorities", "foreign", {"request": {"by": "hk_authority"}}, ["D3", "P0"], []),
    ("hk_authorities", "held", {"request": {"by": "hk_authority"}}, ["D3b", "P0"], []),
    ("sensitive_senders", "n-only", {"data": {"personal": True}, "persons": {"sensitive": 1}}, ["P7"], []),
    ("sensitive_senders", "no-exemption", {"data": {"personal": True}, "persons": {"sensitive": 1}}, ["P8"], []),
    ("sensitive_senders", "no-exemption", {"data": {"personal": True}, "persons": {"sensitive": 0}}, ["P7"], []),
    ("gba_volume", "assessment", {**MANY, "filings": [GBA]}, ["P11", "P4.1", "P4"], ["volume"]),
    ("gba_volume", "flagged", {**MANY, "filings": [GBA]}, ["P4.1", "P4"], ["volume"]),
    ("extension_window", "before", {}, ["P0"], []),
]


@pytest.mark.parametrize(("name", "reading", "facts", "rules", "flags"), READINGS)
def test_a_reading_decides_what_it_says(name, reading, facts, rules, flags):
    made = decide(read_as(**{name: reading}), situation(**facts), prc_calendar())
    assert (list(made.rules), list(made.flags)) == (rules, flags)


def test_every_reading_of_every_choice_is_tried():
    offered = {
        (name, option)
        for name, choice in pack().rulebook.choices.entries.items()
        for option in choice.options
        if len(choice.options) > 1 and name != "extension_window"
    }
    assert offered == {(name, reading) for name, reading, *_ in READINGS} - {("extension_window", "before")}


def test_all_open_points_of_the_brief_have_a_choice():
    points = {choice.point for choice in pack().rulebook.choices.entries.values()}
    assert points == {f"12.{number}" for number in range(1, 15)}


def test_the_pack_takes_every_default():
    choices = pack().rulebook.choices
    assert all(choice.taken == choice.default for choice in choices.entries.values())
    assert choices.flags() == ()
    assert all(choices.taken(name) == CAREFUL.taken(name) for name in READ_BY_CODE)
    with pytest.raises(KeyError):
        CAREFUL.taken("no-such")


def test_a_reading_is_part_of_the_digest():
    digests = {read_as(**{name: reading}).digest for name, reading, *_ in READINGS}
    assert len(digests) == 12  # the pack's own, and one for each reading that is not the default


def test_a_laxer_reading_is_told_in_every_decision_and_a_stricter_one_is_not():
    laxer = decide(read_as(labour_rules="either"), situation(data={"level": "core"}), prc_calendar())
    assert laxer.to_json()["flags"] == ["choice-labour_rules"]
    stricter = decide(read_as(hk_authorities="foreign"), situation(data={"level": "core"}), prc_calendar())
    assert stricter.flags == ()


def test_a_pack_without_choices_takes_the_defaults():
    plain = {path: data for path, data in documents().items() if path != CHOICES}
    with pytest.raises(Unusable, match=r"names 'choice.hk_authorities'"):
        parse_rulebook(plain, pack().vocabulary)
    rules = {path: data for path, data in plain.items() if not path.startswith(("rules/1", "rules/2", "rules/3"))}
    assert parse_rulebook(rules, pack().vocabulary).choices.taken("labour_rules") == "both"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('taken = "held"', 'taken = "maybe"', "gba_ciio: taken is none of its options"),
        ('default = "held"', 'default = "maybe"', "gba_ciio: default is none of its options"),
        ('options = ["denied", "held"]', 'options = ["denied", "denied", "held"]', "malformed"),
        ('options = ["denied", "held"]', "options = []", "options must be words"),
        ('options = ["denied", "held"]', 'options = ["denied", "Held?"]', "options must be words"),
        ('options = ["both", "either"]', 'options = ["either", "both"]', "code reads it with the options both, either"),
        ('id = "gba_ciio"', 'id = "gba_persons"', "gba_persons: the id is taken twice"),
        ('id = "gba_ciio"', 'id = "hospitals"', "P3: the condition names 'choice.gba_ciio'"),
        ('read_by = ["P3", "P5"]', 'read_by = ["P3"]', "gba_ciio: rule P5 reads it, read_by does not say so"),
        ('read_by = ["P3", "P5"]', 'read_by = ["P3", "P5", "P7"]', "gba_ciio: rule P7 does not read it"),
        ('read_by = ["P3", "P5"]', 'read_by = ["P3", "P5", "nobody"]', "'nobody' is no rule, derived fact or stage"),
        ('read_by = ["P3", "P5"]', "read_by = [1]", "read_by must list who reads it"),
        ('citations = ["pipl:40", "gba-guideline:2"]', "citations = []", "gba_ciio: it cites nothing"),
        ('citations = ["pipl:40", "gba-guideline:2"]', 'citations = ["pipl:400"]', "'pipl:400', which is not recorded"),
        ('point = "12.4"', 'pint = "12.4"', "keys ['pint', 'point'] are missing or unknown"),
        ("[[choice]]", "[[other]]\nx = 1\n[[choice]]", "unknown table other"),
        ('zh-Hans = "', 'zh = "', "question needs en, zh-Hans, zh-Hant"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(old, new, fault):
    text = documents()[CHOICES].decode()
    assert old in text
    with pytest.raises(Unusable) as caught:
        parse_rulebook({**documents(), CHOICES: text.replace(old, new, 1).encode()}, pack().vocabulary)
    assert fault in caught.value.message
