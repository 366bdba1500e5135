"""Terms of keeping: the day itself, leap days, and a table that says where each comes from."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Unusable
from gateway.core.retention import OBJECTS, kept_to, last_kept_day, may_go_from, parse_retention
from gateway.stores.rulebooks import RETENTION, load_policies, load_retention, packaged_policies

TABLE = packaged_policies().joinpath(RETENTION).read_text("utf-8")
TERMS = load_retention()
THREE = TERMS["transfer"]


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
    assert last_kept_day(THREE, start) == last == kept_to(start, 3)
    assert may_go_from(last) == last + timedelta(days=1)


def test_months_end_with_the_month_where_it_is_short() -> None:
    assert last_kept_day(TERMS["log"], date(2026, 8, 31)) == date(2027, 2, 28)
    assert last_kept_day(TERMS["log"], date(2026, 8, 30)) == date(2027, 2, 28)
    assert last_kept_day(TERMS["log"], date(2026, 9, 1)) == date(2027, 3, 1)


@pytest.mark.parametrize(("years", "last"), [(0, 2029), (1, 2029), (3, 2029), (4, 2030), (10, 2036)])
def test_a_setting_lengthens_and_never_shortens(years: int, last: int) -> None:
    assert last_kept_day(THREE, date(2026, 11, 20), years=years) == date(last, 11, 20)


@given(st.dates(max_value=date(9990, 1, 1)), st.integers(0, 9))
def test_no_term_ends_before_three_years_are_over(start: date, years: int) -> None:
    last = last_kept_day(THREE, start, years=years)
    assert last >= date(start.year + 3, start.month, min(start.day, 28))
    assert may_go_from(last) > last


def test_every_object_has_a_term_with_its_source() -> None:
    assert set(TERMS) == set(OBJECTS)
    assert all(each.citations or each.certainty == "design" for each in TERMS.values())
    assert (THREE.months, THREE.citations, THREE.certainty) == (36, ("order-790:12",), "verified")
    assert TERMS["log"].months == 6


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('object = "log"', 'object = "memo"', "there is no such object"),
        ('object = "log"', 'object = "receipt"', "receipt: it is there twice"),
        ("months = 6", "months = 0", "1 to 100"),
        ("months = 6", "months = true", "1 to 100"),
        ("months = 6", "months = 6\nyears = 1", "years or months"),
        ('from = "written"', 'from = "read"', "does not begin with"),
        ('citations = ["csl:23"]', 'citations = ["csl:99"]', "has csl:99"),
        ('citations = ["csl:23"]', 'citations = ["nothing:1"]', "has nothing:1"),
        ('citations = ["csl:23"]', "citations = []", "it cites nothing"),
        ('certainty = "design"', 'certainty = "hope"', "unknown certainty"),
        ('zh-Hant = "網絡日誌', 'zh-TW = "網絡日誌', "what must be said in"),
        ("[[term]]", "[[term", "retention.toml"),
    ],
)
def test_what_is_refused(old: str, new: str, says: str) -> None:
    assert old in TABLE
    with pytest.raises(Unusable, match=says):
        parse_retention(TABLE.replace(old, new).encode(), load_policies().rulebook)
    with pytest.raises(Unusable):
        parse_retention(b"", load_policies().rulebook)
