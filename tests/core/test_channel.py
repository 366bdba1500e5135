"""Channels: inside only where everything is, outside with every reason, and never more than votes could clear."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.channel import (
    Bound,
    Passage,
    Request,
    Shape,
    Used,
    broken,
    channel_digest,
    cures_all,
    pass_through,
    shape_of,
)
from gateway.core.decide import Decision, cures
from gateway.core.errors import BrokenPromise, Unusable
from gateway.core.records import Person
from gateway.core.registry import compose_change, found_registry
from gateway.core.review import REJECT, Tally, tally
from gateway.core.seal import Cleared, NotCleared, clear
from gateway.core.spotcheck import risks
from tests.core.examples import (
    CHANNEL,
    DENIED,
    FILING,
    HELD_FOR_BOTH,
    HELD_FOR_DOCUMENTS,
    HELD_FOR_JUDGEMENT,
    HELD_FOR_NOTHING_KNOWN,
    NOW,
    OFFICERS,
    PEOPLE_PUT,
    TODAY,
    ballot,
    case_of,
    cast,
    changed,
    decided,
    registry,
    signed,
)

REGISTRY = changed(registry(), ("channel", CHANNEL))
NOBODY = Tally((), (), ())
FILED = {
    "kind": "SCC",
    "recipients": ["hku-genomics"],
    "effective": date(2026, 11, 2),
    "filed": date(2026, 11, 16),
    "valid_to": date(2029, 11, 1),
}
GEO: dict[str, Any] = {
    "recipient": {"id": "hku-genomics"},
    "data": {"precise_geo": True},
    "duties": {"pipia": date(2026, 11, 1)},
    "filings": [FILED],
}
HELD = decided(**GEO)
SHAPE = Shape(
    formats=frozenset({"csv"}),
    classes=frozenset({"location"}),
    columns=frozenset({"site", "latitude"}),
    unread=frozenset(),
    kinds=frozenset({("latitude", "geo_precise"), ("", "geo_precise")}),
    files=10,
    bytes=1_000,
    persons=110,
)
USED = Used(files=90, bytes=9_000, persons=890, passages=9)
REQUEST = Request("sz-lab", "trial-a", "hku-genomics", "outbound", "chen", TODAY)


def bounds(**changes: Any) -> tuple[Bound, ...]:
    values: dict[str, Any] = {
        "channel": CHANNEL,
        "decision": HELD,
        "shape": SHAPE,
        "used": USED,
        "request": REQUEST,
        "registry": REGISTRY,
    }
    return broken(**(values | changes))


def passage(decision: Decision = HELD, **changes: Any) -> Passage | tuple[Bound, ...]:
    values: dict[str, Any] = {"shape": SHAPE, "used": USED, "request": REQUEST, "registry": REGISTRY}
    return pass_through(CHANNEL, case_of(decision), decision, **(values | changes))


def outcome(decision: Decision, found: Any, count: Tally = NOBODY) -> Cleared | NotCleared:
    return clear(case_of(decision), decision, count, found if isinstance(found, Passage) else None)


# --- inside ----------------------------------------------------------------------------------------------------------------


def test_what_lies_inside_is_cleared_by_the_two_who_signed() -> None:
    assert bounds() == ()
    found = passage()
    assert isinstance(found, Passage)
    cleared = outcome(HELD, found)
    assert isinstance(cleared, Cleared)
    assert (cleared.basis, cleared.officers) == ("channel", ("officer-li", "officer-zhao"))
    assert (cleared.channel, cleared.record) == ("sites", channel_digest(CHANNEL))


@pytest.mark.parametrize("on", [CHANNEL.valid_from + timedelta(days=1), CHANNEL.valid_to])
def test_the_last_day_is_inside(on: date) -> None:
    assert bounds(request=replace(REQUEST, on=on)) == (() if on >= FILING.effective else (Bound("filing", "scc-1"),))  # type: ignore[operator]  # the example has a date


# --- outside ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        ({"columns": SHAPE.columns | {"note"}}, Bound("column", "note")),
        ({"formats": frozenset({"csv", "json"})}, Bound("format", "json")),
        ({"classes": frozenset({"location", "health"})}, Bound("class", "health")),
        ({"unread": frozenset({"parquet"})}, Bound("unread", "parquet")),
        ({"kinds": frozenset({("site", "geo_precise")})}, Bound("kind", "geo_precise (site)")),
        ({"kinds": frozenset({("latitude", "email")})}, Bound("kind", "email (latitude)")),
        ({"kinds": frozenset({("", "email")})}, Bound("kind", "email")),
        ({"files": 11}, Bound("files", "11 > 10")),
        ({"bytes": 1_001}, Bound("bytes", "1001 > 1000")),
        ({"persons": 111}, Bound("persons", "111 > 110")),
    ],
)
def test_a_shape_outside(change: dict[str, Any], bound: Bound) -> None:
    totals = {name for name in ("files", "bytes", "persons") if name in change}
    found = bounds(shape=replace(SHAPE, **change))
    assert bound in found
    assert {each.word for each in found} == {bound.word, *(f"total_{name}" for name in totals)}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"files": 91}, "total_files"),
        ({"bytes": 9_001}, "total_bytes"),
        ({"persons": 891}, "total_persons"),
        ({"objected": True}, "objection"),
        ({"unlooked": True}, "unlooked"),
    ],
)
def test_what_went_before_shuts_it(change: dict[str, Any], word: str) -> None:
    assert [each.word for each in bounds(used=replace(USED, **change))] == [word]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"institution": "other"}, "institution"),
        ({"project": "trial-b"}, "project"),
        ({"endpoint": "cuhk"}, "endpoint"),
        ({"direction": "inbound"}, "direction"),
        ({"on": CHANNEL.valid_from - timedelta(days=1)}, "early"),
        ({"on": CHANNEL.valid_to + timedelta(days=1)}, "expired"),
        ({"person": "li"}, "line"),
        ({"person": "zhao"}, "line"),
    ],
)
def test_a_request_outside(change: dict[str, Any], word: str) -> None:
    assert word in {each.word for each in bounds(request=replace(REQUEST, **change))}


def with_data(**data: Any) -> Decision:
    return decided(**{**GEO, "data": {**GEO["data"], **data}})


@pytest.mark.parametrize(
    ("decision", "word"),
    [
        (with_data(level="unknown"), "level"),
        (with_data(level="important_suspected"), "level"),
        (with_data(under14=True), "under14"),
        (with_data(secrecy_mark=True), "secrecy_mark"),
        (with_data(inspectable=False), "uninspectable"),
        (with_data(remote_access=True), "remote_access"),
        (decided(), "verdict"),
        (decided(**DENIED), "verdict"),
        (decided(**HELD_FOR_DOCUMENTS), "cure"),
        (decided(**HELD_FOR_NOTHING_KNOWN), "cure"),
        (decided(**{**GEO, "filings": []}), "filing"),
        (decided(**{**GEO, "filings": [{**FILED, "valid_to": TODAY - timedelta(days=1)}]}), "filing"),
    ],
)
def test_a_decision_outside(decision: Decision, word: str) -> None:
    assert word in {each.word for each in bounds(decision=decision)}
    assert not isinstance(passage(decision), Passage)


def test_a_rule_the_record_does_not_name_and_a_broken_one() -> None:
    assert bounds(channel=replace(CHANNEL, rules=("G7",))) == (Bound("rule", "D7"),)
    failed = replace(HELD, fired=tuple(replace(rule, error="no such key", cure="none") for rule in HELD.fired))
    assert Bound("cure", "D7") in bounds(decision=failed)


def test_an_expired_filing_and_one_that_is_gone() -> None:
    lapsed = changed(REGISTRY, ("filing", replace(FILING, valid_to=TODAY - timedelta(days=1))))
    assert bounds(registry=lapsed) == (Bound("filing", "scc-1"),)
    with pytest.raises(Unusable, match="names filing"):
        changed(REGISTRY, retire=(("filing", "scc-1"),))


# --- signatures ------------------------------------------------------------------------------------------------------------


def test_it_takes_a_security_and_an_audit_officer() -> None:
    change = compose_change(registry().head, (("channel", CHANNEL),))
    with pytest.raises(BrokenPromise, match="audit officer"):
        registry().apply(change, signed(change, "officer-li", "officer-sun"), TODAY)
    assert {each.id for each in REGISTRY.signed["sites"]} == {"officer-li", "officer-zhao"}


def test_a_genesis_has_none() -> None:
    with pytest.raises(Unusable, match="nobody signed"):
        found_registry(compose_change("", (*PEOPLE_PUT, ("channel", CHANNEL))))


def test_it_dies_with_an_office_that_signed_it() -> None:
    leaving = changed(REGISTRY, ("officer", replace(OFFICERS[1], valid_to=TODAY)))
    assert bounds(registry=leaving) == ()
    assert bounds(registry=leaving, request=replace(REQUEST, on=TODAY + timedelta(days=1))) == (
        Bound("office", "officer-zhao"),
    )
    successor = changed(REGISTRY, ("person", Person("qian", "钱")), ("officer", replace(OFFICERS[1], person="qian")))
    assert bounds(registry=successor) == (Bound("office", "officer-zhao"),)


def test_a_record_nobody_signed_clears_nothing() -> None:
    assert Bound("signers") in bounds(registry=replace(REGISTRY, signed={}))
    twice = {"sites": (OFFICERS[0], replace(OFFICERS[0], role="audit"))}
    assert Bound("signers") in bounds(registry=replace(REGISTRY, signed=twice))


def test_the_signatures_go_with_the_record() -> None:
    retired = changed(REGISTRY, retire=(("channel", "sites"),))
    assert retired.signed == {}


@pytest.mark.parametrize("change", [{"endpoint": "nowhere"}, {"project": "nowhere"}, {"institution": "nowhere"}])
def test_what_it_names_must_be_there(change: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        changed(registry(), ("channel", replace(CHANNEL, **change)))


# --- never more than votes -------------------------------------------------------------------------------------------------


def test_a_rejection_wins() -> None:
    case = case_of(HELD)
    against = tally([cast(ballot(case, "officer-zhao", REJECT))], case, "chen", REGISTRY, NOW, TODAY)
    assert outcome(HELD, passage(), against) == NotCleared("rejected by an officer")


def test_a_passage_is_for_its_case_only() -> None:
    other = case_of(HELD, files_root="0" * 64)
    found = passage()
    assert isinstance(found, Passage)
    assert clear(other, HELD, NOBODY, found) == NotCleared("the channel is not for this case")


@pytest.mark.parametrize(
    "forge",
    [copy.copy, lambda found: replace(found, case="x"), lambda _: Passage("a", "b", (), "c", frozenset(), None)],
)
def test_a_passage_is_earned_only(forge: Any) -> None:
    found = passage()
    try:
        forged = forge(found)
    except (TypeError, ValueError):
        return
    assert forged == found, "a copy of what was earned is what was earned"


FACTS = st.fixed_dictionaries(
    {
        "recipient": st.just({"id": "hku-genomics"}),
        "sender": st.fixed_dictionaries({"filed": st.booleans(), "ciio": st.booleans()}),
        "data": st.fixed_dictionaries(
            {
                "level": st.sampled_from(["general", "unknown", "important_suspected", "important", "core", "secret"]),
                **{
                    name: st.booleans()
                    for name in (
                        "precise_geo",
                        "inspectable",
                        "personal",
                        "sensitive",
                        "under14",
                        "secrecy_mark",
                        "remote_access",
                    )
                },
            }
        ),
        "hgr": st.fixed_dictionaries({"information": st.booleans(), "aggregate_only": st.booleans()}),
        "persons": st.fixed_dictionaries({"nonsensitive": st.sampled_from([0, 99_999, 100_000, 1_000_000])}),
        "filings": st.sampled_from([[], [FILED]]),
    }
)
RULES = ("D7", "D10", "G7", "P5", "D9", "P8", "G4", "D1", "NONE")
WIDE = replace(CHANNEL, rules=RULES, filings=())
WIDELY = changed(registry(), ("channel", WIDE))


@given(FACTS)
def test_a_channel_never_clears_what_votes_could_not(facts: dict[str, Any]) -> None:
    """Whatever rules a record names: what passes is a hold that is nothing but judgement, of general data that were read."""
    decision = decided(**facts)
    found = pass_through(WIDE, case_of(decision), decision, SHAPE, USED, REQUEST, WIDELY)
    if not isinstance(found, Passage):
        assert found, "whatever does not pass says why"
        return
    assert cures_all(found, decision)
    assert (decision.verdict, cures(decision)) == ("hold", "judgement")
    data = decision.situation.data
    assert (data.level, data.inspectable, data.under14, data.secrecy_mark) == ("general", True, False, False)
    case = case_of(decision)
    votes = tally(
        [cast(ballot(case, name)) for name in ("officer-li", "officer-zhao")], case, "chen", WIDELY, NOW, TODAY
    )
    assert isinstance(clear(case, decision, votes), Cleared), "two officers could have cleared it"


@pytest.mark.parametrize(
    "facts", [DENIED, HELD_FOR_BOTH, HELD_FOR_DOCUMENTS, HELD_FOR_NOTHING_KNOWN, HELD_FOR_JUDGEMENT], ids=str
)
def test_the_clearance_does_not_take_the_channels_word_for_it(facts: dict[str, Any]) -> None:
    """A passage of another decision, were it ever for this case, cures none of these."""
    decision = decided(**facts)
    found = passage()
    assert isinstance(found, Passage)
    object.__setattr__(found, "case", case_of(decision).digest())
    assert isinstance(clear(case_of(decision), decision, NOBODY, found), NotCleared)


# --- shapes ----------------------------------------------------------------------------------------------------------------


def finding(kind: str, where: str) -> dict[str, Any]:
    return {"kind": kind, "where": where, "count": 1, "distinct": 1, "confidence": "strong", "samples": []}


def test_a_shape_joins_its_files() -> None:
    table = {"format": "csv", "classes": ["location"], "columns": ["Site_Name", "lat"]}
    picture = {"format": "png", "classes": [], "columns": None}
    binary = {"format": "parquet", "classes": ["health"]}  # rows of before columns were kept
    told = [
        ({"findings": [finding("geo_precise", "column lat + text"), finding("email", "key e-mail")]}, table),
        ({"findings": []}, picture),
        ({}, binary),
    ]
    assert shape_of(told, files=3, size=9, persons=2) == Shape(
        formats=frozenset({"csv", "png", "parquet"}),
        classes=frozenset({"location", "health"}),
        columns=frozenset({"site name", "lat"}),
        unread=frozenset({"parquet"}),
        kinds=frozenset({("lat", "geo_precise"), ("", "geo_precise"), ("e mail", "email")}),
        files=3,
        bytes=9,
        persons=2,
    )


# --- risks -----------------------------------------------------------------------------------------------------------------


def test_what_is_looked_at_whatever_was_drawn() -> None:
    small = replace(SHAPE, files=1, bytes=10, persons=1)
    assert risks(CHANNEL, HELD, small, Used()) == ("first",)
    assert risks(CHANNEL, HELD, small, Used(passages=1)) == ()
    assert risks(CHANNEL, HELD, replace(small, persons=89), Used(passages=1)) == ("near",)
    assert risks(CHANNEL, HELD, small, Used(passages=1, bytes=8_000)) == ("near",)
    assert risks(CHANNEL, with_data(sensitive=True), small, Used(passages=1)) == ("sensitive",)
