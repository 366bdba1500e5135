from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields
from datetime import date, datetime

import pytest
from hypothesis import given

from gateway.core.errors import Unusable
from gateway.core.situation import (
    Situation,
    close_upwards,
    parse_situation,
    parse_vocabulary,
    situation_document,
    strictest,
)
from gateway.core.situation.sections import SECTIONS, Filing
from gateway.stores.rulebooks import packaged_policies
from gateway.wire import canonical
from tests.policies.packed import CALM, ON, pack, situation, situations

SCC = {"kind": "SCC", "recipients": ["hku-genomics"]}


def document():
    return tomllib.loads(packaged_policies().joinpath("vocabulary.toml").read_text("utf-8"))


# --- documents ---


def test_an_empty_document_takes_every_default():
    found = situation()
    assert found.on == ON
    assert (found.sender.id, found.sender.gba_city, found.recipient.place) == ("sz-lab", "Shenzhen", "HK")
    assert found.duties.pipia == date(2026, 10, 1)
    assert (found.data.level, found.filings, found.data.types) == ("general", (), ())


def test_a_filing_has_few_defaults():
    (filing,) = situation(filings=[SCC]).filings
    assert filing == Filing(
        kind="SCC",
        recipients=("hku-genomics",),
        purpose="",
        data_types=(),
        effective=None,
        filed=None,
        valid_to=None,
        extended=False,
        persons_cap=0,
        persons_used=None,
    )


def test_a_false_impact_assessment_is_none():
    assert situation(duties={"pipia": False}).duties.pipia is None


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"typo": 1}, "typo: unknown key"),
        ({"data": {"levle": "general"}}, "data.levle: unknown key; did you mean level?"),
        ({"on": "2026-11-20"}, "on: must be a date"),
        ({"on": datetime(2026, 11, 20)}, "on: must be a date"),  # noqa: DTZ001 - a naive datetime is the point
        ({"direction": "sideways"}, "direction: must be one of"),
        ({"sender": []}, "sender: must be a table"),
        ({"sender": {"filed": 1}}, "sender.filed: must be true or false"),
        ({"sender": {"gba_city": "Beijing"}}, "sender.gba_city: must be one of"),
        ({"sender": {"id": 5}}, "sender.id: must be text"),
        ({"sender": {"id": "x" * 501}}, "sender.id: must be text of at most 500"),
        ({"sender": {"id": "\ud800"}}, "sender.id: must be text of at most 500"),
        ({"recipient": {"place": "Hong Kong"}}, "recipient.place: must be one of"),
        ({"recipient": {"onward": "SG"}}, "recipient.onward: must be a list"),
        ({"recipient": {"onward": [""]}}, "recipient.onward: must not list blank text"),
        ({"recipient": {"onward": [7]}}, "recipient.onward: must be text"),
        ({"data": {"level": "top"}}, "data.level: must be one of"),
        ({"data": {"level": ["general"]}}, "data.level: must be one of"),
        ({"persons": {"sensitive": -1}}, "persons.sensitive: must be a whole number"),
        ({"persons": {"sensitive": True}}, "persons.sensitive: must be a whole number"),
        ({"persons": {"sensitive": 1.0}}, "persons.sensitive: must be a whole number"),
        ({"persons": {"sensitive": 2**53}}, "persons.sensitive: must be a whole number"),
        ({"exemption": {"claimed": "art7"}}, "exemption.claimed: must be one of"),
        ({"exemption": {"evidence": ["hearsay"]}}, "exemption.evidence: must be one of"),
        ({"duties": {"pipia": True}}, "duties.pipia: must be a date or false"),
        ({"filings": {}}, "filings: must be a list of tables"),
        ({"filings": [5]}, "filings[0]: must be a table"),
        ({"filings": [{"recipients": []}]}, "filings[0].kind: is required"),
        ({"filings": [{"kind": "SCC"}]}, "filings[0].recipients: is required"),
        ({"filings": [{**SCC, "kind": "XYZ"}]}, "filings[0].kind: must be one of"),
        ({"filings": [{**SCC, "caps": 5}]}, "filings[0].caps: unknown key"),
        ({"filings": [{**SCC, "effective": False}]}, "filings[0].effective: must be a date"),
        ({"filings": [{**SCC, "persons_used": -5}]}, "filings[0].persons_used: must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(facts, names):
    with pytest.raises(Unusable) as caught:
        parse_situation(facts, pack().vocabulary)
    assert names in caught.value.message


def test_all_faults_are_told_at_once():
    with pytest.raises(Unusable) as caught:
        situation(typo=1, sender={"filed": 0}, persons={"sensitive": -1}, filings=[{"kind": "SCC"}])
    assert caught.value.message.count(";") == 3


def test_the_largest_count_fits_canonical_json():
    found = situation(persons={"sensitive": 2**53 - 1})
    assert canonical.decode(canonical.encode(situation_document(found)))["persons"]["sensitive"] == 2**53 - 1


@CALM
@given(situations())
def test_the_document_of_a_situation_tells_everything(found):
    told = situation_document(found)
    assert set(told) == {field.name for field in fields(Situation)}
    assert canonical.decode(canonical.encode(told)) == told
    assert told["on"] == found.on.isoformat()
    assert len(told["filings"]) == len(found.filings)


def test_no_section_has_a_default():
    for section in (*SECTIONS.values(), Filing, Situation):
        assert all(field.default is MISSING and field.default_factory is MISSING for field in fields(section))


# --- closing ---


@pytest.mark.parametrize("hint", ["aggregate_only", "pedigree", "special_region"])
def test_any_hint_of_genetic_data_is_genetic_information(hint):
    assert close_upwards(situation(hgr={hint: True})).hgr.information


def test_sequenced_subjects_are_subjects():
    closed = close_upwards(situation(hgr={"wes_wgs_subjects": 7, "subjects": 3}))
    assert (closed.hgr.subjects, closed.hgr.information) == (7, True)


def test_individual_genetic_data_are_sensitive_and_personal_and_concern_somebody():
    closed = close_upwards(situation(hgr={"information": True}))
    assert (closed.data.sensitive, closed.data.personal, closed.persons.sensitive) == (True, True, 1)


def test_aggregates_are_not_personal():
    closed = close_upwards(situation(hgr={"aggregate_only": True}))
    assert (closed.data.personal, closed.persons.sensitive) == (False, 0)


@pytest.mark.parametrize(
    ("data", "n", "s"), [({"personal": True}, 1, 0), ({"sensitive": True}, 0, 1), ({"under14": True}, 0, 1), ({}, 0, 0)]
)
def test_personal_data_concern_at_least_one_person(data, n, s):
    closed = close_upwards(situation(data=data))
    assert (closed.persons.nonsensitive, closed.persons.sensitive) == (n, s)
    assert closed.data.personal is bool(data)


@CALM
@given(situations())
def test_closing_twice_changes_nothing_and_lowers_nothing(found):
    closed = close_upwards(found)
    assert close_upwards(closed) == closed
    assert closed.data.sensitive >= found.data.sensitive
    assert closed.data.personal >= found.data.personal
    assert closed.hgr.information >= found.hgr.information
    assert closed.persons.sensitive >= found.persons.sensitive


def test_the_strictest_situation_is_closed_and_fits_the_vocabulary():
    found = strictest(ON)
    assert close_upwards(found) == found
    for path, operand in pack().vocabulary.facts.items():
        section, _, name = path.rpartition(".")
        value = getattr(getattr(found, section) if section else found, name)
        assert operand.refuse(False if value is None else value) == "", path
    assert (found.data.level, found.data.inspectable, found.sender.filed) == ("unknown", False, False)


# --- the vocabulary ---


def test_the_vocabulary_names_every_field_and_kinds_in_three_languages():
    vocabulary = parse_vocabulary(document())
    assert "sender.filed" in set(vocabulary.readable_paths())
    assert {"cn_resident_id", "hkid", "cn_mobile", "hk_mobile", "bank_card", "cn_uscc", "secrecy_mark"} <= set(
        vocabulary.kinds
    )
    assert not vocabulary.kinds["cn_uscc"].personal  # an organisation's number
    assert not vocabulary.kinds["cn_resident_id"].sensitive  # GB/T 45574: the number alone is not
    assert all(set(kind.names) == {"en", "zh-Hans", "zh-Hant"} for kind in vocabulary.kinds.values())


@pytest.mark.parametrize(
    "path", ["on", "duties.pipia", "recipient.in_hetao_hk_park", "sender.in_ftz", "recipient.id", "nothing"]
)
def test_what_is_only_recorded_is_not_readable(path):
    assert pack().vocabulary.readable(path) is None


def _without(path):
    def change(found):
        del found["facts"][path]

    return change


def _with(table, name, **entry):
    def change(found):
        found.setdefault(table, {})[name] = entry

    return change


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (_without("sender.filed"), "sender.filed is missing"),
        (_with("facts", "sender.new", type="flag", default=True, about="x"), "no such fact as sender.new"),
        (_with("facts", "sender.filed", type="flag", about="x"), "sender.filed: needs a default"),
        (_with("facts", "sender.filed", type="flag", default=1, about="x"), "must be true or false"),
        (_with("facts", "sender.filed", type="bool", default=True, about="x"), "unknown type 'bool'"),
        (_with("facts", "sender.filed", type="flag", default=True), "nothing says what it is about"),
        (_with("facts", "sender.filed", type="flag", default=True, about="x", max=1), "unknown keys ['max']"),
        (_with("facts", "data.level", type="word", default="x", about="x"), "no words are listed"),
        (_with("facts", "on", type="date", default=ON, read=True, about="x"), "may not be read by rules"),
        (_with("kinds", "new", en="x"), "kinds.new: needs"),
        (_with("oddities", "new"), "oddities: unknown table"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(change, names):
    found = document()
    change(found)
    with pytest.raises(Unusable) as caught:
        parse_vocabulary(found)
    assert names in caught.value.message
