"""The lifecycle: the table row by row, and the stories it must be able to tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Conflict
from gateway.core.facts import Tag
from gateway.core.transfer import (
    BEFORE_CLEARANCE,
    ENDS,
    FALLEN,
    NOTHING_LEFT,
    STANDING,
    TRANSITIONS,
    State,
    advance,
    deadline,
    diagram,
    standing_table,
)
from tests.core.playbook import Playbook

TO_CLASSIFIED = (Tag.DECLARED, Tag.SUBMITTED, Tag.CLASSIFIED)
TO_CLEARED = (*TO_CLASSIFIED, Tag.CLEARED)
TO_RECEIPTED = (Tag.SEALED, Tag.DEPARTED, Tag.DELIVERED, Tag.RECEIPTED)

# State names are public and stable (design.md section 8): this list may grow, nothing in it may change.
PUBLIC_NAMES = [
    "open", "submitted", "classified", "held", "cleared", "sealed", "relaying", "delivered", "receipted",
    "refused", "rejected", "withdrawn", "expired", "failed",
]  # fmt: skip

# The way of a transfer is not forwards only; these are the rows that lead back, and why each may.
BACKWARDS = {
    (State.HELD, Tag.RECONSIDERED): "a document was recorded",
    (State.CLEARED, Tag.LAPSED): "the year of its clearance is over",
    (State.SEALED, Tag.LAPSED): "the year of its clearance is over",
}


# --- the table -----------------------------------------------------------------------------------------------------------


def test_every_row_is_taken() -> None:
    for (state, tag), after in TRANSITIONS.items():
        assert advance(state, tag) is after


def test_every_other_pair_is_refused() -> None:
    others = [(state, tag) for state in State for tag in Tag if (state, tag) not in TRANSITIONS]
    assert len(others) == len(State) * len(Tag) - len(TRANSITIONS)
    for state, tag in others:
        with pytest.raises(Conflict) as told:
            advance(state, tag)
        possible = [named for from_state, named in TRANSITIONS if from_state is state]
        assert all(named in told.value.message for named in possible)
        assert told.value.code == "wrong-state"


def test_only_facts_about_transfers_move_transfers() -> None:
    assert all(tag.startswith("transfer.") for _, tag in TRANSITIONS)
    moving = {tag for _, tag in TRANSITIONS}
    assert {tag for tag in Tag if tag.startswith("transfer.")} - moving == {Tag.OPENED}, "opening is how one begins"


def test_state_names_are_stable() -> None:
    assert [state.value for state in State][: len(PUBLIC_NAMES)] == PUBLIC_NAMES


def test_every_state_is_an_end_or_has_a_deadline_an_owner_and_a_verb() -> None:
    assert set(STANDING) == set(State) - ENDS
    assert FALLEN | {State.RECEIPTED} == ENDS
    for state, standing in STANDING.items():
        assert standing.within.total_seconds() > 0
        assert standing.owner in {"sender", "gateway", "officers", "operator"}
        assert standing.verb
        assert advance(state, standing.overdue) in ENDS, f"time up in {state} leads nowhere final"


def test_every_state_is_reached_from_open() -> None:
    assert reach({State.OPEN}) == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - ENDS))
def test_every_state_that_is_no_end_can_reach_each_kind_of_end_it_should(state: State) -> None:
    reached = reach({state})
    assert reached & ENDS
    assert State.RECEIPTED in reached, f"from {state} nothing ever arrives"


def test_ends_stay_ends() -> None:
    leaving = {row for row, after in TRANSITIONS.items() if row[0] in ENDS and after is not row[0]}
    assert leaving == set()


def test_only_named_rows_lead_back() -> None:
    order = {state: place for place, state in enumerate(State)}
    back = {row for row, after in TRANSITIONS.items() if order[after] < order[row[0]] and after not in ENDS}
    assert back == set(BACKWARDS)


def test_nothing_leaves_without_a_clearance() -> None:
    """Take the clearance away and neither sealing nor relaying can be reached."""
    without = {row: after for row, after in TRANSITIONS.items() if row[1] is not Tag.CLEARED}
    assert reach({State.OPEN}, without) <= BEFORE_CLEARANCE | ENDS - {State.RECEIPTED}


def test_a_lapsed_transfer_is_cleared_again() -> None:
    assert {after for row, after in TRANSITIONS.items() if row[1] is Tag.LAPSED} == {State.CLASSIFIED}


def test_what_has_left_cannot_be_withdrawn() -> None:
    left = set(State) - ENDS - BEFORE_CLEARANCE - NOTHING_LEFT
    assert left == {State.RELAYING, State.DELIVERED}
    assert all((state, Tag.WITHDRAWN) not in TRANSITIONS for state in left)
    assert all((state, Tag.WITHDRAWN) in TRANSITIONS for state in set(State) - ENDS - left)


@pytest.mark.parametrize("state", list(State))
def test_deadlines(state: State) -> None:
    since = datetime(2026, 12, 31, 20, 0, tzinfo=UTC)
    due = deadline(state, since)
    if state in ENDS:
        assert due is None
    else:
        assert due == since + STANDING[state].within


@given(st.lists(st.sampled_from(Tag), max_size=30))
def test_no_sequence_of_facts_escapes_the_table(tags: list[Tag]) -> None:
    state = State.OPEN
    for tag in tags:
        try:
            state = advance(state, tag)
        except Conflict:
            continue
        assert state in ENDS or state in STANDING


# --- stories -------------------------------------------------------------------------------------------------------------


def test_allowed() -> None:
    (
        Playbook()
        .does(*TO_CLASSIFIED)
        .expects(State.CLASSIFIED)
        .refuses(Tag.SEALED, Tag.DEPARTED, Tag.VOTED, Tag.DECLARED)
        .does(Tag.CLEARED)
        .refuses(Tag.DEPARTED, Tag.REJECTED, Tag.HELD)
        .does(*TO_RECEIPTED)
        .expects(State.RECEIPTED)
        .ends()
        .refuses(Tag.WITHDRAWN, Tag.FAILED, Tag.PERSONS_RETURNED)
        .does(Tag.KEY_DESTROYED)
        .expects(State.RECEIPTED)
    )


def test_held_for_a_judgement_and_voted_through() -> None:
    (
        Playbook()
        .does(*TO_CLASSIFIED, Tag.HELD)
        .refuses(Tag.SEALED, Tag.DEPARTED)
        .does(Tag.VOTED, Tag.VOTED)
        .expects(State.HELD)
        .does(Tag.CLEARED, *TO_RECEIPTED)
        .passed(State.HELD, State.CLEARED, State.SEALED, State.RELAYING, State.DELIVERED)
        .expects(State.RECEIPTED)
    )


def test_held_for_a_document_and_decided_again() -> None:
    (
        Playbook()
        .does(*TO_CLASSIFIED, Tag.HELD, Tag.DECLARED)
        .expects(State.HELD)
        .does(Tag.RECONSIDERED)
        .expects(State.CLASSIFIED)
        .does(Tag.CLEARED, *TO_RECEIPTED)
        .ends()
    )


def test_held_decided_again_and_refused() -> None:
    Playbook().does(*TO_CLASSIFIED, Tag.HELD, Tag.RECONSIDERED, Tag.REFUSED).expects(State.REFUSED).ends()


def test_refused_is_never_voted_away() -> None:
    (
        Playbook()
        .does(*TO_CLASSIFIED, Tag.REFUSED)
        .ends()
        .refuses(Tag.VOTED, Tag.CLEARED, Tag.RECONSIDERED, Tag.DECLARED, Tag.SEALED)
        .does(Tag.KEY_DESTROYED)
        .expects(State.REFUSED)
    )


def test_rejected_by_an_officer() -> None:
    (
        Playbook()
        .does(*TO_CLASSIFIED, Tag.HELD, Tag.VOTED, Tag.REJECTED)
        .expects(State.REJECTED)
        .ends()
        .refuses(Tag.VOTED, Tag.CLEARED, Tag.RECONSIDERED)
    )


@pytest.mark.parametrize(
    "before",
    [
        (),
        (Tag.SUBMITTED,),
        TO_CLASSIFIED,
        (*TO_CLASSIFIED, Tag.HELD),
        (*TO_CLASSIFIED, Tag.HELD, Tag.VOTED),
        TO_CLEARED,
        (*TO_CLEARED, Tag.SEALED),
    ],
)
def test_withdrawn_while_nothing_has_left(before: tuple[Tag, ...]) -> None:
    (
        Playbook()
        .does(*before, Tag.WITHDRAWN)
        .expects(State.WITHDRAWN)
        .does(Tag.PERSONS_RETURNED, Tag.KEY_DESTROYED)
        .expects(State.WITHDRAWN)
        .refuses(Tag.CLEARED, Tag.SEALED, Tag.DEPARTED)
    )


@pytest.mark.parametrize("before", [TO_CLEARED, (*TO_CLEARED, Tag.SEALED)])
def test_lapsed_at_new_year_and_cleared_again(before: tuple[Tag, ...]) -> None:
    (
        Playbook()
        .does(*before, Tag.LAPSED)
        .expects(State.CLASSIFIED)
        .refuses(Tag.SEALED, Tag.DEPARTED)
        .does(Tag.PERSONS_RETURNED)
        .expects(State.CLASSIFIED)
        .does(Tag.CLEARED, *TO_RECEIPTED)
        .ends()
    )


def test_lapsed_at_new_year_and_held_under_the_new_numbers() -> None:
    Playbook().does(*TO_CLEARED, Tag.LAPSED, Tag.HELD).expects(State.HELD).runs_out().expects(State.EXPIRED).ends()


def test_deferred_until_it_arrives() -> None:
    (
        Playbook()
        .does(*TO_CLEARED, Tag.SEALED, Tag.DEPARTED, Tag.DEFERRED, Tag.DEFERRED)
        .expects(State.RELAYING)
        .refuses(Tag.WITHDRAWN, Tag.LAPSED, Tag.SEALED)
        .does(Tag.DELIVERED, Tag.RECEIPTED)
        .ends()
    )


def test_failed_on_the_way_stays_failed() -> None:
    (
        Playbook()
        .does(*TO_CLEARED, Tag.SEALED, Tag.DEPARTED, Tag.FAILED)
        .ends()
        .refuses(Tag.DEPARTED, Tag.DELIVERED, Tag.SEALED)
    )


@pytest.mark.parametrize("state", sorted(STANDING))
def test_nothing_waits_for_ever(state: State) -> None:
    Playbook(state).runs_out().ends()


# --- the drawing ---------------------------------------------------------------------------------------------------------


def test_the_diagram_shows_every_change_of_state() -> None:
    drawn = diagram().splitlines()
    assert drawn[:2] == ["stateDiagram-v2", "    [*] --> open: opened"]
    for (state, tag), after in TRANSITIONS.items():
        arrow = f"    {state.value} --> {after.value}: {tag.value.partition('.')[2]}"
        assert (arrow in drawn) is (state is not after)
    assert {line for line in drawn if line.endswith("--> [*]")} == {f"    {end.value} --> [*]" for end in ENDS}


def test_the_table_of_deadlines_shows_every_standing() -> None:
    _, _, *rows = standing_table().splitlines()
    assert len(rows) == len(STANDING)
    cells = {row.split(" | ")[0].removeprefix("| "): row for row in rows}
    assert "| 7 d |" in cells["open"]
    assert "| 2 d |" in cells["submitted"]
    assert "| 30 d | officers | `hetao review approve` | expired |" in cells["held"]


def reach(start: Iterable[State], rows: dict[tuple[State, Tag], State] | None = None) -> set[State]:
    """Every state that can be reached."""
    reached = set(start)
    while True:
        new = {after for (state, _), after in (rows or TRANSITIONS).items() if state in reached} - reached
        if not new:
            return reached
        reached |= new
