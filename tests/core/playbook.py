"""Stories of one transfer, told fact by fact against the lifecycle table.

    Playbook().does(Tag.SUBMITTED, Tag.CLASSIFIED).expects(State.CLASSIFIED).refuses(Tag.SEALED)

A playbook keeps the promise every state makes: whatever it does, the state is an end or has a deadline and an owner.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import pytest

from gateway.core.errors import Conflict
from gateway.core.facts import Tag
from gateway.core.transfer import ENDS, STANDING, State, advance, deadline

SOME_TIME = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


class Playbook:
    """A transfer walking through the table; every method gives the playbook back, so that a story is one expression."""

    def __init__(self, state: State = State.OPEN) -> None:
        self.state = state
        self.path = [state]

    def does(self, *tags: Tag) -> Self:
        """These facts happen, one after another."""
        for tag in tags:
            self.state = advance(self.state, tag)
            self.path.append(self.state)
            due = deadline(self.state, SOME_TIME)
            assert (due is None) == (self.state in ENDS), f"{self.state} neither ends nor has a deadline"
            assert due is None or due > SOME_TIME
        return self

    def expects(self, state: State) -> Self:
        """This is where it stands."""
        assert self.state is state, f"stands at {self.state} after {' -> '.join(self.path)}"
        return self

    def passed(self, *states: State) -> Self:
        """It went through these states in this order, whatever lay between."""
        rest = iter(self.path)
        assert all(state in rest for state in states), f"{' -> '.join(self.path)} does not pass {states}"
        return self

    def refuses(self, *tags: Tag) -> Self:
        """None of these can happen now, and trying changes nothing."""
        for tag in tags:
            with pytest.raises(Conflict) as told:
                advance(self.state, tag)
            assert told.value.code == "wrong-state"
        return self

    def runs_out(self) -> Self:
        """Its time is up: what the table says for that happens."""
        return self.does(STANDING[self.state].overdue)

    def ends(self) -> Self:
        """It is over."""
        assert self.state in ENDS, f"{self.state} is no end"
        return self
