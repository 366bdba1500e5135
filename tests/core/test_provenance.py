"""Sources of facts: every fact has one, and what the bytes add to the sender's words is said to be detected."""

from __future__ import annotations

import pytest

from gateway.core.provenance import sources
from gateway.core.situation import parse_situation, situation_document
from gateway.stores.rulebooks import load_policies

PACK = load_policies()


def told(facts, declared, findings):
    return sources(situation_document(parse_situation(facts, PACK.vocabulary)), declared, findings)


PERSONAL = {"data": {"level": "general", "personal": True}}


@pytest.mark.parametrize(
    ("declared", "findings", "source"),
    [
        ({}, {}, "assumed"),
        ({"data": {"personal": True}}, {}, "declared"),
        ({"data": {"personal": False}}, {"personal": True}, "detected"),
        ({}, {"personal": True}, "detected"),
        ({"data": {"personal": True}}, {"personal": True}, "declared and detected"),
        ({"data": {"personal": True}}, {"personal": False}, "declared"),
    ],
)
def test_a_fact_that_both_may_tell(declared, findings, source):
    assert told(PERSONAL, declared, findings)["data.personal"] == source


def test_the_level_is_whose_is_stricter():
    facts = {"data": {"level": "important_suspected"}}
    declared, findings = {"data": {"level": "general"}}, {"level": "important_suspected"}
    assert told(facts, declared, findings)["data.level"] == "detected"


def test_fixed_sources():
    found = told(PERSONAL, {}, {})
    expected = {
        "on": "gateway",
        "sender.ciio": "registry",
        "sender.splitting_suspected": "ledger",
        "recipient.place": "registry",
        "filings": "registry",
        "persons.sensitive": "ledger",
        "hgr.subjects": "ledger",
        "technical.clock_ok": "gateway",
        "duties.notice": "assumed",
        "data.inspectable": "detected",
    }
    assert {path: found[path] for path in expected} == expected


def test_every_fact_has_a_source():
    found = told(PERSONAL, {}, {})
    document = situation_document(parse_situation(PERSONAL, PACK.vocabulary))
    paths = {f"{section}.{name}" for section, values in document.items() if isinstance(values, dict) for name in values}
    assert paths | {"on", "direction", "filings"} == set(found)


def test_what_lineage_decided_was_not_declared():
    said = {"exemption": {"claimed": "art4", "evidence": ["collected_abroad"], "mainland_data_added": False}}
    document = situation_document(parse_situation({**PERSONAL, **said}, PACK.vocabulary))

    def of(state):
        found = sources(document, said, {}, {"state": state} if state else None)
        return found["exemption.evidence"], found["exemption.mainland_data_added"]

    assert of("") == of("unproven") == ("declared", "declared")
    assert of("proven") == ("detected", "detected")
    assert of("added") == ("declared", "detected")
    assert of("unnamed") == of("lost") == ("declared", "assumed")
