"""Records and columns of places beside a plain count of what ends before each."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify.grid import Grid
from gateway.core.detectors import open_window

_LINES = st.lists(st.lists(st.sampled_from(["", "1", "44", "a b"]), min_size=1, max_size=5), min_size=1, max_size=12)


@given(_LINES, st.lists(st.integers(0, 10**6), max_size=20), st.integers(0, 4), st.booleans())
def test_places_have_the_record_and_the_column_that_counting_says(lines, picks, column, ended):
    text = "\n".join(",".join(cells) for cells in lines) + ("\n" if ended else "")
    window = open_window(text.encode(), delimiter=ord(","))
    begins, at = [], 0
    for cells in lines:  # a place in one column of every line, as a filled column has
        begins.append(at + sum(len(cell) + 1 for cell in cells[: min(column, len(cells) - 1)]))
        at += len(",".join(cells)) + 1
    for places in (begins, begins[:-1], begins[1:], sorted({pick % max(len(text), 1) for pick in picks})):
        start = np.array(places, np.intp) + window.low
        ((rows, columns),) = Grid(ord(",")).locate(window, [start])
        before = [text[:place] for place in places]
        assert rows.tolist() == [each.count("\n") for each in before]
        assert columns.tolist() == [each[each.rfind("\n") + 1 :].count(",") for each in before]
