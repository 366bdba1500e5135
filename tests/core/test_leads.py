"""What is asked once for numbers with the same lead is what asking for each of them says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.detectors import context, leads, open_window
from gateway.core.detectors.leads import by_lead, say_ends
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
WORDS = TABLES.announcing
_PIECES = [
    *['"', "'", ",", ", ", ': "', '", "', "', '", "','", '","', "\n", " ", "  ", "-", ":"],
    *["tel", "Phone_no", "value", "contact", "电话", "联系", "x" * 17, "1234", "123456 ", "654321"],
]
_NUMBER = "91234567"


def _numbers(text: bytes) -> tuple[object, np.ndarray]:
    window = open_window(text)
    at, found = text.find(_NUMBER.encode()), []
    while at >= 0:
        found.append(window.low + at)
        at = text.find(_NUMBER.encode(), at + 1)
    return window, np.array(found, np.intp)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare however few numbers there are, and few kinds of leads."""
    monkeypatch.setattr(leads, "_MANY", 0)
    monkeypatch.setattr(leads, "_KINDS", 3)


@pytest.mark.usefixtures("soon")
@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join), min_size=1, max_size=12))
def test_numbers_are_named_as_when_each_is_judged(before):
    window, start = _numbers(_NUMBER.join([*before, ""]).encode())
    one_by_one = context._are_named(window, start, WORDS)
    assert (
        by_lead(window, start, lambda places: context._are_named(window, places, WORDS)).tolist() == one_by_one.tolist()
    )


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_every_end_is_one_that_context_knows(text):
    window = open_window(text.encode())
    ends = context._ends(window.data[None, :].copy())[0]
    found = np.flatnonzero(np.unpackbits(say_ends(window).view(np.uint8), bitorder="little"))
    assert ends[found].all()


def test_alike_leads_are_judged_once():
    window, start = _numbers("".join(f'{{"id": {n}, "tel": {_NUMBER}}}\n' for n in range(2000)).encode())
    asked: list[int] = []

    def judge(places: np.ndarray) -> np.ndarray:
        asked.append(places.size)
        return np.ones(places.size, np.bool_)

    assert by_lead(window, start, judge).all()
    assert asked == [1]
