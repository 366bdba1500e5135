"""What an entry tells of a state is what the lifecycle says, and nothing else is in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.errors import Unusable
from gateway.core.facts import FIELDS, Fact, Tag, enter
from gateway.core.news import LANDINGS, News, news_of
from gateway.core.transfer import ENDS, TRANSITIONS, State

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)


def entry(tag: Tag) -> bytes:
    public, private = FIELDS[tag]
    fact = Fact(tag, "t1", AT, "sz", dict.fromkeys(public, "D1"), dict.fromkeys(private, "secret"))
    return enter(fact, b"s" * 32).body


@pytest.mark.parametrize(("before", "tag"), TRANSITIONS)
def test_a_tag_lands_where_the_lifecycle_lands_whatever_was_before(before, tag):
    after = TRANSITIONS[before, tag]
    assert LANDINGS.get(tag) == (None if after is before else after)


@pytest.mark.parametrize("tag", Tag)
def test_every_fact_is_news_or_is_none(tag):
    news = news_of(7, entry(tag))
    if tag is Tag.ESCALATED:  # it moves nobody, and webhooks tell of it all the same
        assert news == News(7, "t1", State.HELD, "hold", "2026-11-20T02:00:00.000Z", "escalated")
        assert news.word == "escalated"
        return
    if tag not in LANDINGS:
        assert news is None
        return
    verdict = {State.HELD: "hold", State.CLEARED: "allow", State.REFUSED: "deny"}.get(LANDINGS[tag], "")
    assert news == News(7, "t1", LANDINGS[tag], verdict, "2026-11-20T02:00:00.000Z")
    assert news.last is (LANDINGS[tag] in ENDS)
    assert "D1" not in repr(news)
    assert "secret" not in repr(news)


def test_every_state_is_some_facts_landing():
    assert set(LANDINGS.values()) == set(State)


def test_what_is_no_entry_is_refused():
    with pytest.raises(Unusable):
        news_of(0, b"{")
