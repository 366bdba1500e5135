"""How a filing stands on a day: both sides of every boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calendar import WorkCalendar
from gateway.core.filings import STATES, TO_DO, URGENT, standing
from gateway.core.records import MECHANISMS, FiledMechanism
from gateway.stores.locales import load_catalogue
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import read_as

WEEKDAYS = WorkCalendar(frozenset(), frozenset(), date(2026, 12, 31))


def filed(kind: str = "SCC", **changes: object) -> FiledMechanism:
    record = FiledMechanism("f", "sz-lab", kind, ("hku",), effective=date(2026, 11, 2), filed=date(2026, 11, 16))
    return replace(record, **changes)  # type: ignore[arg-type]  # the test says which fields


BOUNDARIES = [
    # A contract takes effect on 2 November 2026, a Monday: the tenth working day after it is the 16th.
    (filed(), date(2026, 11, 1), "not_started"),
    (filed(), date(2026, 11, 16), "in_force"),
    (filed(filed=None), date(2026, 11, 2), "unfiled"),
    (filed(filed=None), date(2026, 11, 16), "unfiled"),
    (filed(filed=None), date(2026, 11, 17), "overdue"),
    (filed(filed=date(2026, 11, 20)), date(2026, 11, 19), "overdue"),
    (filed(filed=date(2026, 11, 20)), date(2026, 11, 20), "in_force"),
    (filed("CERT", filed=None), date(2026, 12, 30), "in_force"),
    (filed(effective=None), date(2026, 11, 20), "not_started"),
    # The last day is a valid one, and 90 days before it people are told.
    (filed(valid_to=date(2027, 6, 30)), date(2027, 4, 1) - timedelta(days=1), "in_force"),
    (filed(valid_to=date(2027, 6, 30)), date(2027, 4, 1), "expiring"),
    (filed(valid_to=date(2027, 6, 30)), date(2027, 6, 30), "expiring"),
    (filed(valid_to=date(2027, 6, 30)), date(2027, 7, 1), "expired"),
    (filed(filed=None, valid_to=date(2026, 11, 30)), date(2026, 12, 1), "expired"),
    # A certificate lasts three years, its renewal is asked for from six months before.
    (filed("CERT"), date(2029, 5, 1), "in_force"),
    (filed("CERT"), date(2029, 5, 2), "extension"),
    (filed("CERT"), date(2029, 11, 2), "extension"),
    (filed("CERT"), date(2029, 11, 3), "expired"),
    # 29 February: three years on there is none.
    (filed("CERT", effective=date(2024, 2, 29)), date(2027, 2, 28), "extension"),
    (filed("CERT", effective=date(2024, 2, 29)), date(2027, 3, 1), "expired"),
    (filed("SA", effective=date(2024, 2, 29), extended=True), date(2027, 3, 1), "in_force"),
    (filed("SA", valid_to=date(2026, 11, 2), effective=date(2023, 11, 3)), date(2026, 11, 3), "expired"),
    (filed("HGR_REPORT"), date(2040, 1, 1), "in_force"),
    (filed("MOFCOM", filed=None), date(2026, 11, 30), "in_force"),
]


@pytest.mark.parametrize(("filing", "on", "state"), BOUNDARIES)
def test_the_state_on_a_day(filing: FiledMechanism, on: date, state: str) -> None:
    assert standing(filing, on, prc_calendar()).state == state


def test_an_assessment_may_be_extended_within_the_sixty_working_days_before_its_end() -> None:
    ends = date(2026, 12, 31)  # a Thursday; twelve weeks of five days before it
    found = filed("SA", effective=date(2023, 12, 31), valid_to=ends)
    window = ends - timedelta(weeks=12)
    assert standing(found, window - timedelta(days=1), WEEKDAYS).state == "in_force"
    assert (standing(found, window, WEEKDAYS).state, standing(found, window, WEEKDAYS).window) == ("extension", window)
    holidays = WorkCalendar(frozenset({date(2026, 12, 1)}), frozenset(), date(2026, 12, 31))
    assert standing(found, window, holidays).window == date(2026, 10, 7), "a holiday makes the sixty days begin earlier"


def test_an_old_result_stands_as_the_pack_reads_the_law() -> None:
    old = filed("SA", effective=date(2023, 11, 2))
    choices = read_as(old_results="two-years").choices
    assert standing(old, date(2026, 11, 2), WEEKDAYS).ends == date(2026, 11, 2)
    found = standing(old, date(2026, 11, 2), WEEKDAYS, choices=choices)
    assert (found.ends, found.state) == (date(2025, 11, 2), "expired")


def test_a_full_one_is_told_and_one_below_is_not() -> None:
    capped = filed(persons_cap=10)
    assert standing(capped, date(2026, 11, 20), WEEKDAYS, used=9).state == "in_force"
    assert standing(capped, date(2026, 11, 20), WEEKDAYS, used=10).state == "full"
    assert standing(capped, date(2026, 11, 1), WEEKDAYS, used=10).state == "not_started"


def test_terms_and_days() -> None:
    found = standing(filed("SA", effective=date(2026, 11, 2)), date(2026, 11, 20), WEEKDAYS)
    assert (found.ends, found.days_left, found.provisional) == (date(2029, 11, 2), 1078, True)
    found = standing(filed(filed=None), date(2026, 11, 20), WEEKDAYS)
    assert (found.ends, found.days_left, found.window) == (None, None, None)
    assert (found.file_by, found.provisional) == (date(2026, 11, 16), False)
    assert standing(filed(filed=None, effective=date(2026, 12, 30)), date(2026, 12, 30), WEEKDAYS).provisional


def test_every_state_has_words() -> None:
    assert URGENT < TO_DO < set(STATES)
    assert {f"filings.{each}" for each in STATES} <= load_catalogue().ids()


DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))


@given(
    st.sampled_from(MECHANISMS), st.none() | DAYS, st.none() | DAYS, st.none() | DAYS, st.booleans(), st.integers(0, 3)
)
def test_a_filing_grows_old_in_order(kind, effective, handed_in, valid_to, extended, used) -> None:
    """Never in force before its first day or after its last, and what expired stays so."""
    record = filed(kind, effective=effective, filed=handed_in, valid_to=valid_to, extended=extended, persons_cap=2)
    days = [date(2024, 1, 1) + timedelta(days=29 * step) for step in range(120)]
    seen = [standing(record, day, WEEKDAYS, used) for day in days]
    for day, found in zip(days, seen, strict=True):
        assert found.state in STATES
        started = effective is not None and effective <= day
        assert (found.state == "not_started") is not started
        if started:
            assert (found.state == "expired") is (found.ends is not None and found.ends < day)
    ended = [found.state for found in seen]
    if "expired" in ended:
        assert set(ended[ended.index("expired") :]) == {"expired"}
