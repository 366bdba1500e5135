"""Declarations: the vocabulary's words, all complaints at once, own words on standing ground."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.declaration import MAX_FILINGS, SECTIONS, parse_declaration, stand_on
from gateway.core.errors import Unusable
from gateway.core.situation.sections import SECTIONS as SITUATION_SECTIONS
from gateway.wire import canonical
from tests.policies.packed import pack

VOCABULARY = pack().vocabulary
PERSONS = {"sensitive": 0, "nonsensitive": 12}
FULL: dict[str, Any] = {
    "data": {"level": "general", "types": ["contact"], "personal": True, "sensitive": False},
    "hgr": {"information": False},
    "exemption": {"claimed": "art4", "evidence": ["collected_abroad"]},
    "duties": {"notice": True, "pipia": "2026-10-01"},
    "purpose": {"stated": "trial A"},
    "request": {"by": "sender"},
    "persons": PERSONS,
    "filings": ["scc-1"],
}


def declare(document: Any) -> dict[str, Any]:
    return parse_declaration(document, VOCABULARY)


def refused(document: Any) -> str:
    with pytest.raises(Unusable) as told:
        declare(document)
    assert told.value.code == "bad-declaration"
    return told.value.message


def test_what_is_said_is_kept() -> None:
    assert declare(FULL) == FULL
    assert declare({}) == {}


def test_a_declaration_fits_the_ledger() -> None:
    declared = declare({**FULL, "duties": {"pipia": date(2026, 10, 1)}})
    assert canonical.decode(canonical.encode(declared)) == declared


def test_the_sections_are_those_a_sender_knows_about() -> None:
    """What the registry and the gateway know better is not for the sender to say."""
    assert set(SITUATION_SECTIONS) - set(SECTIONS) == {"sender", "recipient", "technical"}
    assert set(SECTIONS) <= set(SITUATION_SECTIONS)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"sender": {"filed": True}}, "unknown section 'sender'"),
        ({"recipient": {"place": "HK"}}, "unknown section 'recipient'"),
        ({"technical": {"ledger_ok": True}}, "unknown section 'technical'"),
        ({"on": "2026-11-20"}, "unknown section 'on'"),
        ({"direction": "inbound"}, "unknown section 'direction'"),
        ({"": {}}, "unknown section ''"),
        ({5: {}}, "unknown section 5"),
        ({"data": []}, "data must be a table"),
        ({"data": None}, "data must be a table"),
        ({"data": {"levle": "general"}}, "unknown key data.levle"),
        ({"data": {"level": "public"}}, "data.level must be one of"),
        ({"data": {"level": None}}, "data.level must be one of"),
        ({"data": {"secrecy_mark": "no"}}, "data.secrecy_mark must be true or false"),
        ({"data": {"secrecy_mark": 0}}, "data.secrecy_mark must be true or false"),
        ({"data": {"types": "contact"}}, "data.types must be a list"),
        ({"hgr": {"subjects": 1.5}}, "hgr.subjects must be a whole number"),
        ({"hgr": {"subjects": -1}}, "hgr.subjects must be a whole number"),
        ({"exemption": {"evidence": ["trust me"]}}, "exemption.evidence must be one of"),
        ({"purpose": {"stated": "x" * 501}}, "purpose.stated must be text"),
        ({"purpose": {"stated": "\ud800"}}, "purpose.stated must be text"),
        ({"filings": "scc-1"}, "filings must be a list"),
        ({"filings": [1]}, "filings must be a list"),
        ({"filings": ["x"] * (MAX_FILINGS + 1)}, "at most 64"),
    ],
)
def test_what_is_refused(document: Any, says: str) -> None:
    assert says in refused(document)


def test_the_bound_on_filings_is_inclusive() -> None:
    assert len(declare({"filings": ["x"] * MAX_FILINGS})["filings"]) == MAX_FILINGS


@pytest.mark.parametrize("document", [None, [], "data", 5])
def test_a_declaration_is_a_table(document: Any) -> None:
    assert "must be a table" in refused(document)


def test_all_complaints_come_at_once() -> None:
    message = refused({"weather": {}, "data": {"colour": 1, "level": "x", "personal": True}, "hgr": 5, "filings": {}})
    assert message.count(";") == 5
    for word in ("'weather'", "data.colour", "data.level", "hgr", "filings", "persons"):
        assert word in message


# --- lineage ---------------------------------------------------------------------------------------------------------------

INBOUND = "t" + "abcdefgh234567" + "zyxwvutsrq"


def test_lineage_is_a_set_of_transfers() -> None:
    assert declare({"lineage": [INBOUND, INBOUND]}) == {"lineage": [INBOUND]}
    assert declare({"lineage": []}) == {"lineage": []}


@pytest.mark.parametrize(
    "said", [INBOUND, [INBOUND.upper()], [INBOUND[:-1]], [INBOUND + "a"], [7], [None], {"a": INBOUND}, [INBOUND] * 65]
)
def test_what_is_no_lineage(said: Any) -> None:
    assert "lineage must be a list of at most 64 ids" in refused({"lineage": said})


# --- dates -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"), [("2026-10-01", "2026-10-01"), (date(2026, 10, 1), "2026-10-01"), (False, False)]
)
def test_dates(said: Any, kept: Any) -> None:
    assert declare({"duties": {"pipia": said}}) == {"duties": {"pipia": kept}}


@pytest.mark.parametrize(
    "said",
    [
        True,
        None,
        "",
        "soon",
        "2026-02-30",
        "2026-10-01T00:00:00",
        "01.10.2026",
        20261001,
        datetime(2026, 10, 1),  # noqa: DTZ001 - a naive time is the point
    ],
)
def test_what_is_no_date(said: Any) -> None:
    assert "duties.pipia must be a date or false" in refused({"duties": {"pipia": said}})


@pytest.mark.parametrize("said", ["20261001", "2026-W40-4"])
def test_a_date_is_kept_in_one_spelling(said: str) -> None:
    assert declare({"duties": {"pipia": said}}) == {"duties": {"pipia": "2026-10-01"}}


# --- persons -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["personal", "sensitive", "under14"])
def test_whoever_says_the_data_are_personal_says_how_many(key: str) -> None:
    assert "say in [persons]" in refused({"data": {key: True}})
    assert "say in [persons]" in refused({"data": {key: True}, "persons": {}})
    assert declare({"data": {key: True}, "persons": PERSONS})
    assert declare({"data": {key: False}}) == {"data": {key: False}}


# --- standing declarations ---------------------------------------------------------------------------------------------------


def test_own_words_stand_on_the_projects() -> None:
    standing = {"data": {"level": "general", "personal": True}, "persons": PERSONS, "filings": ["scc-1"]}
    own = {"data": {"level": "important_suspected"}, "hgr": {"information": True}, "filings": ["scc-2"]}
    assert stand_on(standing, own) == {
        "data": {"level": "important_suspected", "personal": True},
        "persons": PERSONS,
        "hgr": {"information": True},
        "filings": ["scc-2"],
    }
    assert standing["data"] == {"level": "general", "personal": True}, "the project's own is not written into"


TABLES = st.dictionaries(
    st.sampled_from(["data", "hgr", "duties"]),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 3), max_size=3),
    max_size=3,
)


@given(TABLES, TABLES, TABLES)
def test_standing_is_ground_key_by_key(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    joined = stand_on(one, two)
    for section in {*one, *two}:
        for name in {*one.get(section, {}), *two.get(section, {})}:
            assert joined[section][name] == two.get(section, {}).get(name, one.get(section, {}).get(name))
    assert stand_on({}, one) == stand_on(one, {}) == stand_on(one, one) == one
    assert stand_on(stand_on(one, two), three) == stand_on(one, stand_on(two, three))
