"""A recorded situation comes back exactly, or not at all."""

from __future__ import annotations

import copy
from dataclasses import fields
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Unusable
from gateway.core.situation import (
    Filing,
    Operand,
    Situation,
    close_upwards,
    parse_situation,
    situation_document,
    strictest,
    thaw_situation,
)
from gateway.core.situation.sections import SECTIONS
from gateway.core.situation.vocabulary import MAX_COUNT
from gateway.stores.rulebooks import load_policies
from gateway.wire import canonical

VOCABULARY = load_policies(verify=False).vocabulary
DAYS = st.dates()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ITEM = TEXT.filter(lambda text: bool(text.strip()))


def values(operand: Operand) -> st.SearchStrategy[Any]:
    """Every value a section may hold for a fact, as the vocabulary describes it."""
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "flag": st.booleans(),
        "count": st.integers(0, MAX_COUNT),
        "text": TEXT,
        "word": st.sampled_from(operand.words or ("",)),
        "place": st.sampled_from(operand.words or ("",)),
        "words": st.lists(st.sampled_from(operand.words or ("",)), max_size=4).map(tuple),
        "texts": st.lists(ITEM, max_size=3).map(tuple),
        "date": DAYS,
        "date_or_false": st.none() | DAYS,
    }
    strategy = by_type[operand.type]
    return strategy if operand.required or operand.has_default else st.none() | strategy


def section(name: str) -> st.SearchStrategy[Any]:
    kind = SECTIONS[name]
    facts = {field.name: values(VOCABULARY.facts[f"{name}.{field.name}"]) for field in fields(kind)}
    return st.builds(kind, **facts)


SITUATIONS = st.builds(
    Situation,
    on=DAYS,
    direction=values(VOCABULARY.facts["direction"]),
    filings=st.lists(
        st.builds(Filing, **{name: values(operand) for name, operand in VOCABULARY.filings.items()}), max_size=3
    ).map(tuple),
    **{name: section(name) for name in SECTIONS},
)


@given(SITUATIONS)
def test_what_was_recorded_comes_back(situation: Situation) -> None:
    document = situation_document(situation)
    assert thaw_situation(document, VOCABULARY) == situation
    assert thaw_situation(canonical.decode(canonical.encode(document)), VOCABULARY) == situation


@given(DAYS)
def test_knowing_nothing_can_be_recorded(on: date) -> None:
    for situation in (strictest(on), close_upwards(strictest(on))):
        assert thaw_situation(situation_document(situation), VOCABULARY) == situation


def recorded() -> dict[str, Any]:
    """A recorded situation with one filing."""
    filing = {"kind": "SCC", "recipients": ["hku"], "effective": date(2026, 1, 2)}
    return situation_document(parse_situation({"filings": [filing]}, VOCABULARY))


def every_place() -> list[tuple[str | int, ...]]:
    document = recorded()
    roots = [(name,) for name in document]
    inner = [(name, key) for name in SECTIONS for key in document[name]]
    return [*roots, *inner, *(("filings", 0, key) for key in document["filings"][0])]


@pytest.mark.parametrize("place", every_place(), ids=lambda place: ".".join(map(str, place)))
def test_every_key_must_be_there(place: tuple[str | int, ...]) -> None:
    document = recorded()
    table: Any = document
    for step in place[:-1]:
        table = table[step]
    del table[place[-1]]
    with pytest.raises(Unusable, match=str(place[-1])):
        thaw_situation(document, VOCABULARY)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("on",), "20261120"),
        (("on",), "2026-W47-5"),
        (("on",), None),
        (("on",), 20261120),
        (("on",), date(2026, 11, 20)),
        (("direction",), "sideways"),
        (("sender", "filed"), 1),
        (("sender", "gba_city"), "Peking"),
        (("sender", "nickname"), "x"),
        (("sender",), []),
        (("persons", "sensitive"), -1),
        (("persons", "sensitive"), True),
        (("persons", "sensitive"), None),
        (("recipient", "onward"), ("HK",)),
        (("recipient", "onward"), None),
        (("duties", "pipia"), False),
        (("duties", "pipia"), "never"),
        (("weather",), "fine"),
        (("filings",), {}),
        (("filings",), None),
        (("filings",), ["SCC"]),
        (("filings", 0, "kind"), "NDA"),
        (("filings", 0, "kind"), None),
        (("filings", 0, "recipients"), None),
        (("filings", 0, "extended"), None),
        (("filings", 0, "effective"), False),
        (("filings", 0, "filed"), "2026-1-2"),
        (("filings", 0, "weather"), "fine"),
    ],
)
def test_another_spelling_is_refused(place: tuple[str | int, ...], value: object) -> None:
    document = recorded()
    thaw_situation(copy.deepcopy(document), VOCABULARY)
    table: Any = document
    for step in place[:-1]:
        table = table[step]
    table[place[-1]] = value
    with pytest.raises(Unusable):
        thaw_situation(document, VOCABULARY)


def test_all_complaints_come_at_once() -> None:
    document = recorded()
    del document["on"], document["sender"]["filed"], document["filings"][0]["kind"]
    with pytest.raises(Unusable) as told:
        thaw_situation(document, VOCABULARY)
    assert all(name in told.value.message for name in ("on:", "sender.filed", "filings[0].kind"))
