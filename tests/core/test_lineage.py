"""Who came in against who goes back: a table of both sides, and laws that hold for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.lineage import (
    ADDED,
    DOUBTED,
    LOST,
    PROVEN,
    UNNAMED,
    UNPROVEN,
    Lineage,
    People,
    compare,
    finding,
    remedy,
)

NAMED = ("t" + "a" * 24,)
PEOPLE = st.builds(
    lambda ids, rows, read: people(ids, rows, read=read), st.sets(st.integers(1, 30)), st.integers(0, 30), st.booleans()
)


def people(ids, rows: int = 0, *, read: bool = True) -> People:
    return People(np.array(sorted(ids), np.uint64), rows, read)


@pytest.mark.parametrize(
    ("came_in", "going_out", "state", "added"),
    [
        ((range(50), 0), (range(40), 0), PROVEN, 0),
        ((range(50), 0), (range(50), 0), PROVEN, 0),
        ((range(50), 0), (range(41, 51), 0), ADDED, 1),  # nine of them, and one who did not come in
        ((range(50), 5), (range(10), 5), PROVEN, 0),
        ((range(50), 5), (range(10), 6), UNPROVEN, 0),  # one more known by number: nobody can say who
        ((range(50), 0), ([], 40), UNPROVEN, 0),  # results without identifiers: no more than came in, and nothing to compare
        ((range(50), 0), ([], 51), ADDED, 1),
        ((range(50), 5), (range(50), 6), ADDED, 1),
        ((range(50), 5), (range(60), 0), ADDED, 10),  # an unidentified one may not become an identified stranger
        (([], 50), (range(40), 0), UNPROVEN, 0),  # nobody identified came in: nothing can be proven
        (([], 50), (range(51), 0), ADDED, 1),
        (([], 0), (range(3), 0), ADDED, 3),
        (([], 0), ([], 0), UNPROVEN, 0),
        ((range(50), 0), ([], 0), UNPROVEN, 0),
    ],
)  # fmt: skip
def test_both_sides(came_in, going_out, state: str, added: int):
    found = compare(people(*came_in), people(*going_out), NAMED)
    assert (found.state, found.added) == (state, added)
    assert found.came_in == (len(came_in[0]), came_in[1])
    assert found.going_out == (len(going_out[0]), going_out[1])


def test_what_was_not_read_proves_nothing():
    assert compare(people(range(50)), people(range(40), read=False), NAMED).state == UNPROVEN


@given(PEOPLE, PEOPLE)
def test_proven_means_that_everybody_came_in(came_in: People, going_out: People):
    found = compare(came_in, going_out, NAMED)
    if found.state == PROVEN:
        assert set(going_out.identified) <= set(came_in.identified)
        assert going_out.by_number <= came_in.by_number
        assert found.added == 0
    assert (found.added > 0) is (found.state == ADDED)


@given(PEOPLE, PEOPLE, st.integers(31, 60))
def test_a_stranger_is_always_seen_where_people_can_be_told_apart(came_in: People, going_out: People, stranger: int):
    if came_in.identified.size:
        more = people({*going_out.identified.tolist(), stranger}, going_out.by_number)
        assert compare(came_in, more, NAMED).state == ADDED
        assert compare(came_in, more, NAMED).added >= compare(came_in, going_out, NAMED).added


@pytest.mark.parametrize("state", [PROVEN, ADDED, UNPROVEN, UNNAMED, LOST])
def test_officers_are_told_of_all_that_is_not_proven(state: str):
    recorded = Lineage(state, 3 if state == ADDED else 0, (50, 0), (43, 0), NAMED).to_json()
    told = finding(recorded)
    assert [each["kind"] for each in told] == {PROVEN: [], ADDED: ["lineage_added"]}.get(state, ["lineage_unproven"])
    if told:
        assert told[0]["count"] == (3 if state == ADDED else 43)
    assert bool(remedy(recorded)) is (state in DOUBTED)
    assert (finding({}), remedy({})) == ([], "")
