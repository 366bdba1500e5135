"""Findings in words: every kind, place, level, reason and difference has some in three languages."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from gateway.core.catalogue import LANGUAGES
from gateway.core.differences import Difference
from gateway.core.explanation import Explanation
from gateway.stores.locales import load_catalogue
from tests.policies.packed import pack

LEVELS = tomllib.loads((files("policies") / "detectors" / "sensitivity.toml").read_text("utf-8"))["levels"]
FIELDS = [
    "data.personal",
    "data.sensitive",
    "data.under14",
    "data.level",
    "data.types",
    "data.precise_geo",
    "data.secrecy_mark",
    "persons.sensitive",
    "persons.nonsensitive",
    "hgr.information",
    "hgr.aggregate_only",
    "hgr.subjects",
    "hgr.wes_wgs_subjects",
]


@pytest.fixture(params=LANGUAGES)
def explain(request) -> Explanation:
    return Explanation(load_catalogue(), pack().vocabulary, request.param)


def finding(kind: str, where: str, **more):
    return {"kind": kind, "where": where, "count": 3, "distinct": 2, "confidence": "strong", "samples": [], **more}


def test_a_finding_in_words():
    explain = Explanation(load_catalogue(), pack().vocabulary, "zh-Hans")
    said = explain.finding(finding("cn_resident_id", "column 证件", samples=["1****2"]))
    assert (said.kind, said.where, said.counts) == ("居民身份证号码", "列 证件", "出现 3 次，不同的 2 个")
    assert (said.confidence, said.samples) == ("确定", "1****2")


@pytest.mark.parametrize("where", ["text", "header", "name", "identity numbers", "days of birth", "column a + key b"])
def test_places_have_words(explain, where):
    assert explain.finding(finding("minor", where)).where != where


def test_a_place_without_words_stands_as_it_is(explain):
    assert explain.finding(finding("uninspectable", "undecodable from byte 7")).where == "undecodable from byte 7"
    assert explain.finding(finding("of_tomorrow", "text")).kind == "of_tomorrow"


@pytest.mark.parametrize("reason", LEVELS)
def test_every_reason_for_a_level_has_words(explain, reason):
    said = explain.finding(finding("level_proposal", f"{LEVELS[reason]['level']}: {reason}"))
    level = explain.text(f"level.{LEVELS[reason]['level'].replace('_', '-')}")
    assert said.where == level + explain.text(
        "finding.because", reason=explain.text(f"level_reason.{reason.replace('_', '-')}")
    )


@pytest.mark.parametrize("field", FIELDS)
def test_every_difference_has_words_and_a_remedy(explain, field):
    difference = Difference(field, declared=["a"], detected=False)
    said = explain.finding(difference.finding())
    assert said.where != field
    assert said.counts.count("a") >= 1
    assert explain.text(f"remedy.{difference.remedy}")


def test_the_sure_ones_come_first(explain):
    found = [finding("email", "text", confidence="weak"), finding("hkid", "text")]
    assert [each.kind for each in explain.findings(found)] == [explain.kind("hkid"), explain.kind("email")]


@pytest.mark.parametrize("exact", [True, False])
def test_people_are_exact_or_at_most(explain, exact):
    facts = {"persons_exact": exact, "persons_sensitive": 12, "persons_nonsensitive": 345}
    said = explain.persons(facts)
    assert "12" in said
    assert "345" in said
    assert said != explain.persons({**facts, "persons_exact": not exact})


@pytest.mark.parametrize("state", ["added", "unproven", "unnamed", "lost"])
def test_what_is_found_of_lineage_has_words(explain, state):
    kind = "lineage_added" if state == "added" else "lineage_unproven"
    said = explain.finding(finding(kind, state))
    assert (said.kind != kind, said.where != state, "3" in said.counts, "2" in said.counts) == (True, True, True, False)
