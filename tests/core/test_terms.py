from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decide import decide
from gateway.core.situation import Filing
from gateway.core.terms import EXTENSION_WORKING_DAYS, extension_window, last_day
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import pack, read_as, situation


def filing(kind="SA", effective=date(2025, 3, 14), **more):
    blank = {"recipients": ("hku-genomics",), "purpose": "", "data_types": (), "filed": None, "valid_to": None}
    rest = {"extended": False, "persons_cap": 0, "persons_used": None}
    return Filing(**{**blank, **rest, "kind": kind, "effective": effective, **more})


@pytest.mark.parametrize(
    ("found", "last"),
    [
        (filing(), date(2028, 3, 14)),
        (filing(extended=True), date(2031, 3, 14)),
        (filing(kind="CERT"), date(2028, 3, 14)),
        (filing(kind="CERT", extended=True), date(2028, 3, 14)),
        (filing(kind="SCC"), date.max),
        (filing(kind="GBA"), date.max),
        (filing(kind="HGR_REPORT"), date.max),
        (filing(effective=None), date.max),
        (filing(valid_to=date(2026, 1, 1)), date(2026, 1, 1)),
        (filing(kind="SCC", valid_to=date(2026, 1, 1)), date(2026, 1, 1)),
        (filing(effective=date(2024, 2, 29)), date(2027, 2, 28)),
        (filing(effective=date(2024, 3, 1)), date(2027, 3, 1)),
        (filing(effective=date(2022, 2, 28), extended=True), date(2028, 2, 28)),
        (filing(effective=date(2020, 2, 29), extended=True), date(2026, 2, 28)),
        (filing(effective=date(9999, 1, 1)), date.max),
    ],
)
def test_the_last_day_of_a_filing(found, last):
    assert last_day(found) == last


@pytest.mark.parametrize(
    ("effective", "extended", "last"),
    [
        (date(2024, 3, 21), False, date(2026, 3, 21)),
        (date(2024, 3, 22), False, date(2027, 3, 22)),
        (date(2024, 3, 21), True, date(2030, 3, 21)),
    ],
)
def test_results_from_before_order_16_by_the_stricter_reading(effective, extended, last):
    stricter = read_as(old_results="two-years").choices
    assert last_day(filing(effective=effective, extended=extended), stricter) == last


def verdict(on: date, **facts):
    return decide(pack().rulebook, situation(on=on, **facts), prc_calendar()).verdict


def test_it_covers_on_the_day_it_ends_and_not_on_the_next():
    facts = {
        "data": {"personal": True, "sensitive": True},
        "filings": [{"kind": "SA", "recipients": ["hku-genomics"], "effective": date(2024, 2, 29)}],
        "duties": {"pipia": date(2026, 1, 1)},
    }
    assert verdict(date(2027, 2, 28), **facts) == "allow"
    assert verdict(date(2027, 3, 1), **facts) == "deny"


# --- 60 working days ---


def test_the_window_opens_sixty_working_days_before_the_last_day():
    window = extension_window(date(2026, 9, 1), prc_calendar())
    assert (window.closes, window.provisional) == (date(2026, 9, 1), False)
    assert worked(window.opens, date(2026, 9, 1)) == EXTENSION_WORKING_DAYS
    assert worked(window.opens + timedelta(days=1), date(2026, 9, 1)) == EXTENSION_WORKING_DAYS - 1
    assert prc_calendar().is_working_day(window.opens)
    # Dragon Boat, 19 to 21 June 2026, moved it from 9 June, a Tuesday, to 8 June.
    assert window.opens == date(2026, 6, 8)


def worked(first: date, before: date) -> int:
    days = (first + timedelta(days=number) for number in range((before - first).days))
    return sum(map(prc_calendar().is_working_day, days))


def test_by_the_stricter_reading_it_closes_where_the_other_opens():
    within, before = (
        extension_window(date(2026, 9, 1), prc_calendar(), read_as(extension_window=reading).choices)
        for reading in ("within", "before")
    )
    assert within.opens == before.opens == before.closes < within.closes


def test_beyond_the_published_calendar_it_is_provisional():
    assert extension_window(date(2031, 3, 14), prc_calendar()).provisional


def test_it_stops_at_the_end_of_time():
    assert prc_calendar().nth_working_day_before(date(1, 1, 3), 60) == date.min


@given(st.dates(date(2004, 6, 1), date(2026, 12, 31)), st.integers(0, 90))
def test_counting_back_and_counting_on_agree(end, number):
    calendar = prc_calendar()
    start = calendar.nth_working_day_before(end, number)
    # Counting on leaves out the start and counts the end: from the day before, up to the day before.
    day = timedelta(days=1)
    assert calendar.working_days_between(start - day, end - day).days == number


@pytest.mark.parametrize(
    ("start", "number", "last"),
    [
        (date(2026, 9, 30), 1, date(2026, 10, 8)),  # National Day: 1 to 7 October off
        (date(2026, 9, 30), 3, date(2026, 10, 10)),  # and a Saturday worked
        (date(2026, 2, 13), 1, date(2026, 2, 14)),  # a Saturday worked before Spring Festival
        (date(2026, 2, 14), 1, date(2026, 2, 24)),
        (date(2025, 12, 31), 1, date(2026, 1, 4)),  # New Year to 3 January, then a Sunday worked
        (date(2024, 2, 28), 1, date(2024, 2, 29)),
        (date(2024, 2, 29), 1, date(2024, 3, 1)),
    ],
)
def test_working_days_of_the_mainland(start, number, last):
    assert prc_calendar().nth_working_day_after(start, number) == last
    assert prc_calendar().working_days_between(start, last).days == number
    assert prc_calendar().working_days_between(start, last - timedelta(days=1)).days == number - 1
