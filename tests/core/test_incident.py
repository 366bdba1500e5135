"""Incident clocks: both sides of every number, and terms to the minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Unusable
from gateway.core.facts import SHANGHAI
from gateway.core.incident import WORDS, Incident, due, parse_clocks, size_of
from gateway.stores.rulebooks import load_clocks, load_policies

TABLE = load_clocks()
AT = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


def incident(persons: int | None = 0, *true: str, ended: datetime | None = None) -> Incident:
    return Incident(AT, ended, persons, frozenset(true))


def duties(found: Incident) -> dict[str, datetime | None]:
    return {each.clock.id: each.by for each in due(found, TABLE)}


@pytest.mark.parametrize(
    ("persons", "size"),
    [
        (0, "any"), (999_999, "any"), (1_000_000, "larger"), (9_999_999, "larger"), (10_000_000, "major"),
        (99_999_999, "major"), (100_000_000, "severe"), (None, "larger"),
    ],
)  # fmt: skip
def test_sizes_of_the_annex(persons, size):
    assert size_of(incident(persons, "personal"), TABLE) == size


@pytest.mark.parametrize("word", ["important_data", "secret"])
def test_important_data_need_no_number(word):
    assert size_of(incident(0, word), TABLE) == "larger"


def test_a_leak_just_below_the_number_has_no_four_hours_but_the_duty_at_once():
    found = duties(incident(999_999, "personal"))  # case 62 of the brief
    assert found == {"persons-and-authority": AT}


@pytest.mark.parametrize(
    ("true", "duty", "hours"),
    [
        (["ciio"], "cii-authority", 1),
        ([], "provincial-cac", 4),
        (["state_organ"], "own-ministry", 2),
        (["hk_operator", "hk_serious"], "hk-commissioner-serious", 12),
        (["hk_operator"], "hk-commissioner", 48),
        (["product_flaw"], "product-flaw", 24),
    ],
)
def test_terms_run_from_the_minute_of_discovery(true, duty, hours):
    found = duties(incident(1_000_000, "personal", *true))
    assert found[duty] == AT + timedelta(hours=hours)
    assert len({"cii-authority", "provincial-cac", "own-ministry"} & found.keys()) == 1


def test_the_closing_report_waits_for_the_end_and_takes_the_whole_last_day():
    assert duties(incident(1_000_000, "personal"))["closing-report"] is None
    ended = datetime(2026, 12, 2, 17, 0, tzinfo=UTC)  # the third in Shanghai
    found = duties(incident(1_000_000, "personal", ended=ended))["closing-report"]
    assert found is not None
    assert found.astimezone(SHANGHAI).date().isoformat() == "2027-01-02"


def test_the_most_urgent_comes_first():
    order = [each.by for each in due(incident(None, "personal", "ciio", "secret", "hk_operator"), TABLE)]
    assert order[:-1] == sorted(by for by in order if by)
    assert order[-1] is None


@given(st.sets(st.sampled_from(WORDS)), st.one_of(st.none(), st.integers(0, 2 * 10**8)))
def test_more_persons_or_not_knowing_never_drops_a_duty(true, persons):
    few = {each.clock.id for each in due(incident(persons if persons is not None else 0, *true), TABLE)}
    for more in ((persons or 0) + 1_000_000, None):
        if more is None and persons is not None and persons >= 10_000_000:
            continue
        assert few <= {each.clock.id for each in due(incident(more, *true), TABLE)}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('when = ["ciio"]', 'when = ["cio"]', "unknown word"),
        ('"pipl:57"', '"pipl:5777"', "has no"),
        ('size = "larger"', 'size = "huge"', "unknown size"),
        ("major = 10_000_000", "major = 10", "sizes"),
        ('id = "provincial-cac"', 'id = "cii-authority"', "taken twice"),
        ("hours = 1\n", "", "hours or days"),
        ('from = "ended"', 'from = "later"', "unknown beginning"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_fault(old, new, fault):
    document = (files("policies") / "clocks.toml").read_text("utf-8")
    assert old in document
    with pytest.raises(Unusable, match=fault):
        parse_clocks(document.replace(old, new, 1).encode(), load_policies().rulebook)
