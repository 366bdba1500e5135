"""Terms of keeping: the day itself, leap days, and a setting that only lengthens."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keeping import LEAST_YEARS, last_kept_day, may_go_from
from gateway.stores.rulebooks import load_retention


@pytest.mark.parametrize(
    ("start", "last"),
    [
        (date(2026, 11, 20), date(2029, 11, 20)),
        (date(2024, 2, 29), date(2027, 2, 28)),  # no such day three years on
        (date(2025, 2, 28), date(2028, 2, 28)),  # the 29th is a day later
        (date(2025, 3, 1), date(2028, 3, 1)),
        (date(2026, 12, 31), date(2029, 12, 31)),
    ],
)
def test_three_years_end_with_the_day_itself(start: date, last: date) -> None:
    assert last_kept_day(start) == last
    assert may_go_from(last) == last + timedelta(days=1)


@pytest.mark.parametrize(("years", "last"), [(0, 2029), (1, 2029), (3, 2029), (4, 2030), (10, 2036)])
def test_a_setting_lengthens_and_never_shortens(years: int, last: int) -> None:
    assert last_kept_day(date(2026, 11, 20), years=years) == date(last, 11, 20)


@given(st.dates(max_value=date(9980, 1, 1)), st.integers(0, 9))
def test_no_term_ends_before_three_years_are_over(start: date, years: int) -> None:
    last = last_kept_day(start, years=years)
    assert last >= date(start.year + LEAST_YEARS, start.month, min(start.day, 28))
    assert may_go_from(last) > last


def test_the_pack_asks_for_no_longer_term() -> None:
    assert load_retention().rows["provision_records"].months <= 12 * LEAST_YEARS
