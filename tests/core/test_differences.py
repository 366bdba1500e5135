"""Declared against detected: each thing declared lower is told once, and what was not said is not declared less."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.core.differences import differences, undeclared_types

ON = date(2026, 11, 20)
NOTHING = {
    "level": "general",
    "personal": False,
    "sensitive": False,
    "precise_geo": False,
    "secrecy_mark": False,
    "newest_birth": 0,
    "categories": {},
    "persons_sensitive": 0,
    "persons_nonsensitive": 0,
    "hgr": {"information": False, "aggregate_only": False, "subjects": 0, "sequencing_subjects": 0},
}
HGR = {"information": True, "aggregate_only": False, "subjects": 12, "sequencing_subjects": 9}


def found(said, **seen):
    return [(each.field, each.declared, each.detected) for each in differences(said, {**NOTHING, **seen}, ON)]


@pytest.mark.parametrize(
    ("said", "seen", "told"),
    [
        ({"data": {"personal": False}}, {"personal": True}, ("data.personal", False, True)),
        ({"data": {"sensitive": False}}, {"sensitive": True}, ("data.sensitive", False, True)),
        ({"data": {"precise_geo": False}}, {"precise_geo": True}, ("data.precise_geo", False, True)),
        ({"data": {"secrecy_mark": False}}, {"secrecy_mark": True}, ("data.secrecy_mark", False, True)),
        ({"data": {"under14": False}}, {"newest_birth": 2012_11_20}, ("data.under14", False, True)),
        ({"data": {"level": "general"}}, {"level": "core"}, ("data.level", "general", "core")),
        ({"data": {"level": "unknown"}}, {"level": "secret"}, ("data.level", "unknown", "secret")),
        (
            {"data": {"types": ["contact"]}},
            {"categories": {"medical_health": ["diagnosis"]}},
            ("data.types", ["contact"], ["medical_health"]),
        ),
        ({"persons": {"sensitive": 3}}, {"persons_sensitive": 4}, ("persons.sensitive", 3, 4)),
        ({"persons": {"nonsensitive": 0}}, {"persons_nonsensitive": 1}, ("persons.nonsensitive", 0, 1)),
        ({"hgr": {"information": False}}, {"hgr": HGR}, ("hgr.information", False, True)),
        ({"hgr": {"aggregate_only": True}}, {"hgr": HGR}, ("hgr.aggregate_only", True, False)),
        ({"hgr": {"subjects": 11}}, {"hgr": HGR}, ("hgr.subjects", 11, 12)),
        ({"hgr": {"wes_wgs_subjects": 0}}, {"hgr": HGR}, ("hgr.wes_wgs_subjects", 0, 9)),
    ],
)
def test_what_is_declared_lower_is_told_once(said, seen, told):
    assert found(said, **seen) == [told]
    (finding,) = [each.finding() for each in differences(said, {**NOTHING, **seen}, ON)]
    assert (finding["kind"], finding["where"], finding["samples"]) == ("declared_less", told[0], [])
    assert found({}, **seen) == []  # not said is not said less


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({"data": {"level": "important"}}, {"level": "important_suspected"}),
        ({"data": {"level": "general"}}, {"level": "unknown"}),  # not known is not more
        ({"data": {"types": ["Health"]}}, {"categories": {"medical_health": ["diagnosis", "health"]}}),
        ({"data": {"under14": False}}, {"newest_birth": 2012_11_19}),
        ({"persons": {"sensitive": 5}}, {"persons_sensitive": 5}),
        ({"persons": {"sensitive": 5, "nonsensitive": 1}}, {"persons_sensitive": 5, "persons_nonsensitive": 6}),
        ({"hgr": {"subjects": 0}}, {"hgr": {**HGR, "aggregate_only": True}}),
    ],
)
def test_what_is_as_strict_is_no_difference(said, seen):
    assert found(said, **seen) == []


def test_without_findings_there_is_no_difference():
    assert differences({"data": {"personal": False}}, {}, ON) == ()


def test_types_are_asked_for_only_where_some_were_named():
    categories = {"categories": {"genetic": ["wgs"], "medical_health": ["diagnosis"]}}
    assert undeclared_types((), categories) == ()
    assert undeclared_types(["wgs"], categories) == ("medical_health",)
