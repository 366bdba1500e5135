from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given

from gateway.core.calendar import add_months
from gateway.core.derive import EVIDENCE, Derived, derive, filings_in_force
from gateway.core.situation import close_upwards
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import CALM, ON, pack, situation, situations

N_LIMIT = {"data": {"personal": True}, "persons": {"nonsensitive": 100_000}}


def derived(**document) -> Derived:
    return derive(close_upwards(situation(**document)), prc_calendar())


def filing(kind="SCC", **changes):
    return {"kind": kind, "recipients": ["hku-genomics"], "effective": date(2026, 11, 9), **changes}


def in_force(*filings, **document):
    return derived(filings=list(filings), **document).in_force


# --- which way, and which numbers ---


@pytest.mark.parametrize(
    ("direction", "remote", "export"),
    [("outbound", False, True), ("inbound", False, False), ("inbound", True, True), ("outbound", True, True)],
)
def test_looking_at_data_from_outside_is_an_export(direction, remote, export):
    assert derived(direction=direction, data={"remote_access": remote}).export is export


@pytest.mark.parametrize(
    ("data", "n", "s", "ciio", "band"),
    [
        ({}, 5_000_000, 0, False, "none"),
        ({"personal": True}, 1, 0, True, "assessment"),
        ({"personal": True}, 99_999, 0, False, "small"),
        ({"personal": True}, 100_000, 0, False, "contract"),
        ({"personal": True}, 999_999, 0, False, "contract"),
        ({"personal": True}, 1_000_000, 0, False, "assessment"),
        ({"personal": True}, 99_999, 10_000, False, "small"),  # nothing sensitive in this transfer
        ({"sensitive": True}, 0, 1, False, "contract"),
        ({"sensitive": True}, 0, 9_999, False, "contract"),
        ({"sensitive": True}, 0, 10_000, False, "assessment"),
        ({"sensitive": True}, 1_000_000, 1, False, "assessment"),
    ],
)
def test_the_band(data, n, s, ciio, band):
    assert derived(data=data, persons={"nonsensitive": n, "sensitive": s}, sender={"ciio": ciio}).band == band


# --- exemptions ---


@pytest.mark.parametrize("claimed", sorted(EVIDENCE))
def test_an_exemption_needs_all_its_proof(claimed):
    data = {"personal": claimed != "art3"}
    proof = sorted(EVIDENCE[claimed])
    assert derived(data=data, exemption={"claimed": claimed, "evidence": proof}).exempt == claimed
    for missing in proof:
        rest = [word for word in proof if word != missing]
        found = derived(data=data, exemption={"claimed": claimed, "evidence": rest})
        assert (found.exempt, found.claim_failed) == ("", True)


@pytest.mark.parametrize("level", ["important", "important_suspected", "unknown", "core", "secret"])
def test_no_exemption_covers_anything_but_general_data(level):
    found = derived(data={"personal": True, "level": level}, exemption={"claimed": "art5.3", "evidence": ["emergency"]})
    assert (found.exempt, found.claim_failed) == ("", True)


def test_article_3_is_for_data_without_persons():
    assert derived(exemption={"claimed": "art3"}).exempt == "art3"
    found = derived(data={"personal": True}, exemption={"claimed": "art3"})
    assert (found.exempt, found.claim_failed) == ("", True)


def test_article_4_ends_where_mainland_data_were_added():
    claim = {"claimed": "art4", "evidence": ["collected_abroad"]}
    assert derived(data={"personal": True}, exemption=claim).exempt == "art4"
    assert derived(data={"personal": True}, exemption={**claim, "mainland_data_added": True}).exempt == ""


def test_article_6_never_exempts_and_is_no_failed_claim():
    found = derived(data={"personal": True}, exemption={"claimed": "art6"})
    assert (found.exempt, found.claim_failed) == ("", False)


def test_a_claim_for_data_without_persons_does_not_fail():
    assert not derived(exemption={"claimed": "art5.3"}).claim_failed


# --- what a filing covers ---


@pytest.mark.parametrize("kind", ["SA", "CERT", "HGR_REPORT", "HGR_BACKUP", "HGR_REVIEW", "HGR_COOPERATION", "MOFCOM"])
def test_a_filing_counts_from_its_first_day(kind):
    assert in_force(filing(kind, effective=ON)) == (kind,)
    assert in_force(filing(kind, effective=date(2026, 11, 21))) == ()
    assert in_force({"kind": kind, "recipients": ["hku-genomics"]}) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": []},
        {"recipients": ["cuhk"]},
        {"purpose": "trial B"},
        {"data_types": ["contact"]},  # the transfer names no types
        {"valid_to": date(2026, 11, 19)},
        {"persons_cap": 9, "persons_used": 10},
    ],
)
def test_a_filing_that_does_not_fit_does_not_count(changes):
    assert in_force(filing("SA", **changes)) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": ["cuhk", "hku-genomics"]},
        {"purpose": "trial A"},
        {"valid_to": ON},
        {"persons_cap": 10, "persons_used": 10},
    ],
)
def test_a_filing_that_just_fits_counts(changes):
    assert in_force(filing("SA", **changes)) == ("SA",)


@pytest.mark.parametrize(
    ("listed", "sent", "counts"),
    [
        ([], ["a"], True),
        (["a"], ["a"], True),
        (["a", "b"], ["a"], True),
        (["a"], ["a", "b"], False),
        (["a"], [], False),
    ],
)
def test_listed_types_must_cover_all_that_is_sent(listed, sent, counts):
    assert bool(in_force(filing("SA", data_types=listed), data={"types": sent})) is counts


@pytest.mark.parametrize(
    ("kind", "effective", "extended", "counts"),
    [
        ("SA", date(2023, 11, 20), False, True),
        ("SA", date(2023, 11, 19), False, False),
        ("SA", date(2020, 11, 20), True, True),
        ("SA", date(2020, 11, 19), True, False),
        ("CERT", date(2023, 11, 20), False, True),
        ("CERT", date(2023, 11, 19), False, False),
        ("CERT", date(2020, 11, 20), True, False),  # only an assessment is extended
        ("MOFCOM", date(2010, 1, 1), False, True),
        ("HGR_REVIEW", date(2010, 1, 1), False, True),
    ],
)
def test_terms_that_a_filing_does_not_state(kind, effective, extended, counts):
    assert bool(in_force(filing(kind, effective=effective, extended=extended))) is counts


def test_a_stated_last_day_goes_before_the_term():
    assert in_force(filing("SA", effective=date(2020, 1, 1), valid_to=date(2027, 1, 1))) == ("SA",)


def test_persons_used_default_to_the_counts_that_belong_to_the_kind():
    cap = {"persons_cap": 10}
    people = {"persons": {"nonsensitive": 6, "sensitive": 5}}
    assert in_force(filing("SA", **cap), **people) == ()
    assert in_force(filing("HGR_REPORT", **cap), **people, hgr={"subjects": 10}) == ("HGR_REPORT",)
    assert in_force(filing("HGR_REPORT", **cap), hgr={"subjects": 11}) == ()


# --- ten working days and three months ---


@pytest.mark.parametrize(
    ("effective", "filed", "counts", "overdue"),
    [
        (date(2026, 11, 6), None, True, False),  # day 10
        (date(2026, 11, 5), None, False, True),  # day 11
        (date(2026, 11, 5), date(2026, 11, 20), True, False),  # filed late, but filed
        (date(2026, 11, 5), date(2026, 11, 21), False, True),  # tomorrow
        (date(2026, 11, 20), None, True, False),
    ],
)
def test_a_contract_is_filed_within_ten_working_days(effective, filed, counts, overdue):
    entry = filing(effective=effective) | ({"filed": filed} if filed else {})
    found = derived(**N_LIMIT, filings=[entry])
    assert (bool(found.in_force), found.filing_overdue) == (counts, overdue)


def test_an_overdue_contract_is_no_fault_where_something_else_carries():
    late = filing(effective=date(2026, 1, 5))
    assert not derived(**N_LIMIT, filings=[late, filing("CERT")]).filing_overdue
    assert not derived(data={"personal": True}, filings=[late]).filing_overdue


@pytest.mark.parametrize(
    ("pipia", "filed", "counts"),
    [
        (date(2026, 8, 16), date(2026, 11, 16), True),
        (date(2026, 8, 15), date(2026, 11, 16), False),
        (date(2026, 8, 20), None, True),  # unfiled: measured today
        (date(2026, 8, 19), None, False),
        (False, date(2026, 11, 16), False),
        (date(2026, 11, 21), date(2026, 11, 16), False),  # not finished yet
    ],
)
def test_a_contract_needs_a_fresh_impact_assessment(pipia, filed, counts):
    entry = filing(effective=date(2026, 11, 9)) | ({"filed": filed} if filed else {})
    assert bool(in_force(entry, duties={"pipia": pipia})) is counts


@pytest.mark.parametrize(
    ("pipia", "facts", "state"),
    [
        (False, {}, "none"),
        (date(2026, 11, 21), {}, "none"),
        (ON, {}, "ok"),
        (date(2020, 1, 1), {}, "ok"),  # nothing is relied on
        (date(2020, 1, 1), {**N_LIMIT, "filings": [filing()]}, "stale"),
        (date(2020, 1, 1), {**N_LIMIT, "filings": [filing(), filing("CERT")]}, "ok"),
        (
            date(2020, 1, 1),
            {**N_LIMIT, "filings": [filing(effective=date(2026, 1, 5))]},
            "ok",
        ),  # overdue, carries nothing
    ],
)
def test_the_state_of_the_impact_assessment(pipia, facts, state):
    assert derived(**facts, duties={"pipia": pipia}).pipia == state


@pytest.mark.parametrize(
    ("on", "effective", "filed", "provisional"),
    [
        (date(2026, 12, 31), date(2026, 12, 28), None, False),
        (date(2027, 1, 4), date(2026, 12, 28), None, True),
        (date(2027, 1, 4), date(2026, 12, 28), date(2026, 12, 30), False),
        (date(2027, 1, 4), date(2026, 11, 2), None, False),  # long overdue inside the published year
    ],
)
def test_counting_beyond_the_published_calendar_is_provisional(on, effective, filed, provisional):
    entry = filing(effective=effective) | ({"filed": filed} if filed else {})
    assert derived(on=on, filings=[entry]).provisional is provisional


# --- the GBA contract ---


@pytest.mark.parametrize(
    ("facts", "gba", "counts"),
    [
        ({}, "effective", True),
        ({"sender": {"gba_city": ""}}, "signed", False),
        ({"recipient": {"place": "MO"}}, "signed", False),
        ({"recipient": {"onward": ["HK", "Zhuhai"]}}, "effective", True),
        ({"recipient": {"onward": ["HK", "SG"]}}, "effective", False),
        ({"recipient": {"onward": ["MO"]}}, "effective", False),
        ({"data": {"level": "important"}}, "effective", False),
        ({"data": {"level": "important_suspected"}}, "effective", True),
        ({"duties": {"pipia": False}}, "effective", False),
        ({"recipient": {"id": "cuhk"}}, "none", False),
    ],
)
def test_the_gba_contract(facts, gba, counts):
    found = derived(filings=[filing("GBA")], **facts)
    assert (found.gba, "GBA" in found.in_force) == (gba, counts)


def test_onward_places():
    assert not derived().onward_outside_gba
    assert not derived(recipient={"onward": ["HK", "Shenzhen"]}).onward_outside_gba
    assert derived(recipient={"onward": ["shenzhen"]}).onward_outside_gba  # an unknown place is outside


# --- what carries ---


@pytest.mark.parametrize(
    ("facts", "carried"),
    [
        ({}, True),
        ({"data": {"personal": True}}, True),
        (N_LIMIT, False),
        ({**N_LIMIT, "filings": [filing()]}, True),
        ({**N_LIMIT, "filings": [filing("CERT")]}, True),
        ({**N_LIMIT, "filings": [filing("SA")]}, True),
        ({**N_LIMIT, "filings": [filing("GBA")]}, True),
        ({**N_LIMIT, "filings": [filing("HGR_REPORT")]}, False),
        ({**N_LIMIT, "persons": {"nonsensitive": 1_000_000}, "filings": [filing()]}, False),
        ({**N_LIMIT, "sender": {"ciio": True}, "filings": [filing("GBA")]}, False),
        ({**N_LIMIT, "sender": {"ciio": True}, "filings": [filing("SA")]}, True),
        ({"data": {"level": "important"}}, False),
        ({"data": {"level": "important"}, "filings": [filing("SA")]}, True),
        ({**N_LIMIT, "exemption": {"claimed": "art5.3", "evidence": ["emergency"]}}, True),
    ],
)
def test_carried(facts, carried):
    assert derived(**facts).carried is carried


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, False),
        ({"effective": date(2020, 1, 1)}, True),
        ({"purpose": "trial B"}, True),
        ({"persons_cap": 1}, True),
        ({"recipients": ["cuhk"], "purpose": "trial B"}, False),
        ({"effective": date(2026, 12, 1)}, False),
    ],
)
def test_a_broken_assessment(changes, broken):
    assert derived(**N_LIMIT, filings=[filing("SA", **changes)]).sa_broken is broken


@CALM
@given(situations())
def test_derived_words_are_the_vocabularys(found):
    facts = derive(close_upwards(found), prc_calendar())
    for name, operand in pack().vocabulary.derived.items():
        assert operand.refuse(getattr(facts, name)) == "", name


@CALM
@given(situations())
def test_what_carries_cannot_be_broken_overdue_or_stale(found):
    facts = derive(close_upwards(found), prc_calendar())
    if facts.carried:
        assert not facts.sa_broken
        assert not facts.filing_overdue
        assert facts.pipia != "stale"
    if facts.exempt:
        assert not facts.claim_failed
    if "GBA" in facts.in_force:
        assert facts.gba == "effective"
        assert not facts.onward_outside_gba
    if found.duties.pipia and set(facts.in_force) & {"SCC", "GBA"}:
        assert add_months(found.duties.pipia, 3) >= min(
            [f.filed for f in found.filings if f.filed and f.filed <= ON], default=ON
        )


@given(situations())
def test_filings_in_force_are_those_whose_kinds_are(built):
    closed = close_upwards(built)
    places = filings_in_force(closed, prc_calendar())
    assert tuple(sorted({closed.filings[at].kind for at in places})) == derive(closed, prc_calendar()).in_force


def test_of_two_of_a_kind_the_one_that_is_full_is_not_in_force():
    full, free = filing("CERT", persons_cap=9, persons_used=10), filing("CERT", persons_cap=10, persons_used=10)
    built = close_upwards(situation(**N_LIMIT, filings=[full, free, filing("SA", recipients=[])]))
    assert filings_in_force(built, prc_calendar()) == (1,)
