from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calendar import Elapsed, WorkCalendar, add_months, add_years
from tests.policies.packed import CALM

# National Day 2026 as the State Council published it: 1-7 October off, Saturday 10 October worked.
HOLIDAYS = frozenset(date(2026, 10, day) for day in range(1, 8))
CALENDAR = WorkCalendar(HOLIDAYS, frozenset({date(2026, 10, 10)}), date(2026, 12, 31))
DAYS = st.dates(date(2026, 1, 1), date(2027, 6, 30))


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 9, 30), True),
        (date(2026, 10, 1), False),
        (date(2026, 10, 8), True),
        (date(2026, 10, 10), True),  # a Saturday, worked
        (date(2026, 10, 11), False),  # a Sunday
        (date(2027, 10, 1), True),  # not published: a Friday like any other
    ],
)
def test_is_working_day(day, worked):
    assert CALENDAR.is_working_day(day) is worked


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (date(2026, 11, 2), date(2026, 11, 2), 0),  # the start day is not counted
        (date(2026, 11, 2), date(2026, 11, 1), 0),
        (date(2026, 11, 2), date(2026, 11, 3), 1),
        (date(2026, 11, 2), date(2026, 11, 16), 10),
        (date(2026, 11, 6), date(2026, 11, 8), 0),  # over a weekend
        (date(2026, 9, 30), date(2026, 10, 7), 0),  # over the holiday
        (date(2026, 9, 30), date(2026, 10, 12), 4),  # 8, 9, 10 and 12 October
    ],
)
def test_working_days_between(start, end, days):
    assert CALENDAR.working_days_between(start, end) == Elapsed(days, provisional=False)


def test_counting_stops_just_after_its_limit():
    assert CALENDAR.working_days_between(date(2010, 1, 1), date(2026, 1, 1), limit=10).days == 11
    assert CALENDAR.working_days_between(date(2026, 11, 2), date(2026, 11, 16), limit=10).days == 10


@pytest.mark.parametrize(
    ("start", "end", "provisional"),
    [
        (date(2026, 12, 28), date(2026, 12, 31), False),
        (date(2026, 12, 28), date(2027, 1, 1), True),
        (date(2026, 11, 2), date(2027, 3, 1), False),  # the limit was passed inside the published year
        (date(2026, 12, 25), date(2027, 3, 1), True),
    ],
)
def test_days_beyond_the_published_calendar_make_a_count_provisional(start, end, provisional):
    assert CALENDAR.working_days_between(start, end, limit=10).provisional is provisional
    assert CALENDAR.is_provisional(end) is (end.year == 2027)


@CALM
@given(DAYS, st.integers(0, 40))
def test_the_nth_working_day_closes_a_term_of_n(start, number):
    last = CALENDAR.nth_working_day_after(start, number)
    assert CALENDAR.working_days_between(start, last).days == number
    assert last == start or CALENDAR.is_working_day(last)


def test_nothing_counts_past_the_last_date_there_is():
    assert CALENDAR.nth_working_day_after(date.max, 5) == date.max
    assert CALENDAR.working_days_between(date.max - timedelta(days=1), date.max).days == 1


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 8, 31), 3, date(2026, 11, 30)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2023, 11, 30), 3, date(2024, 2, 29)),
        (date(2026, 11, 16), 3, date(2027, 2, 16)),
        (date(2026, 12, 31), 0, date(2026, 12, 31)),
        (date(9999, 11, 5), 3, date.max),
    ],
)
def test_add_months(day, months, then):
    assert add_months(day, months) == then


@pytest.mark.parametrize(
    ("day", "years", "then"),
    [
        (date(2024, 2, 29), 3, date(2027, 2, 28)),
        (date(2024, 2, 29), 4, date(2028, 2, 29)),
        (date(2023, 11, 20), 3, date(2026, 11, 20)),
    ],
)
def test_add_years(day, years, then):
    assert add_years(day, years) == then
