from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Unusable
from gateway.core.retention import Kept, deletable_from, parse_retention
from gateway.stores.rulebooks import load_retention
from tests.policies.packed import pack

TABLE = load_retention()
MADE = date(2026, 11, 20)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "facts", "until"),
    [
        ("network_logs", Kept(MADE), date(2027, 5, 20)),
        ("network_logs", Kept(date(2026, 8, 31)), date(2027, 2, 28)),
        ("provision_records", Kept(MADE), date(2029, 11, 20)),
        ("provision_records", Kept(date(2024, 2, 29)), date(2027, 2, 28)),
        ("impact_assessments", Kept(MADE), date(2029, 11, 20)),
        ("recipient_records", Kept(MADE), date(2029, 11, 20)),
        ("trade_records", Kept(MADE), date(2029, 11, 20)),
        ("mechanisms", Kept(MADE), None),
        ("mechanisms", Kept(MADE, date(2029, 11, 20)), date(2032, 11, 20)),
        ("mechanisms", Kept(MADE, date(2020, 1, 1)), date(2029, 11, 20)),  # recorded after it ended
        ("incidents", Kept(MADE), None),
        ("incidents", Kept(MADE, date(2026, 12, 31)), date(2029, 12, 31)),
        ("something new", Kept(MADE), date(2029, 11, 20)),
        ("something new", Kept(MADE, date(2027, 1, 1)), date(2030, 1, 1)),
    ],
)
def test_until_when_a_record_is_kept(kind, facts, until):
    assert TABLE.keep_until(kind, facts) == until
    if until is None:
        assert not TABLE.may_delete(kind, facts, date.max)
    else:
        assert not TABLE.may_delete(kind, facts, until)
        assert TABLE.may_delete(kind, facts, until + DAY)


def test_case_64_of_the_brief_two_years_and_eleven_months():
    assert not TABLE.may_delete("provision_records", Kept(MADE), date(2029, 10, 20))


@pytest.mark.parametrize(("years", "until"), [(0, 2029), (1, 2029), (3, 2029), (4, 2030), (10, 2036)])
def test_a_setting_lengthens_and_never_shortens(years, until):
    assert TABLE.keep_until("provision_records", Kept(MADE), years=years) == date(until, 11, 20)
    assert TABLE.keep_until("incidents", Kept(MADE), years=years) is None


def test_what_is_kept_may_go_the_day_after():
    assert deletable_from(MADE) == MADE + DAY
    assert deletable_from(date.max) == date.max


@given(st.sampled_from([*TABLE.rows, "else"]), st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, 10_000))
def test_what_ends_later_is_kept_longer_and_nothing_less_than_half_a_year(kind, made, days):
    first, later = (TABLE.keep_until(kind, Kept(made, made + DAY * more)) for more in (0, days))
    assert first is not None
    assert later is not None
    assert later >= first >= made + DAY * 181


def test_every_object_of_the_briefs_table_has_a_row():
    assert {name: row.months for name, row in TABLE.rows.items()} == {
        "network_logs": 6,
        "provision_records": 36,
        "impact_assessments": 36,
        "recipient_records": 36,
        "mechanisms": 36,
        "incidents": 36,
        "trade_records": 36,
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("months = 6", "months = 0", "months must be 1"),
        ("months = 6", 'months = "6"', "months must be 1"),
        ('from = "made"', 'from = "later"', "unknown word"),
        ('certainty = "secondary"', 'certainty = "sure"', "unknown word"),
        ('"csl:23(3)"', '"csl:99"', "which is not recorded"),
        ('["csl:23(3)"]', "[]", "it cites nothing"),
        ('id = "network_logs"', 'id = "incidents"', "taken twice"),
        ('zh-Hans = "', 'zh = "', "every language"),
        ("months = 6", "years = 1", "missing or unknown"),
        ("[[keep]]", "[[other]]\nx = 1\n[[keep]]", "must hold"),
        ("[[keep]]", "[[keep", "retention:"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(old, new, fault):
    document = (files("policies") / "retention.toml").read_text("utf-8")
    assert old in document
    with pytest.raises(Unusable, match=fault):
        parse_retention(document.replace(old, new, 1).encode(), pack().rulebook)
