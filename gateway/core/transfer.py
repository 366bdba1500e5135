"""The life of a transfer, as a table.

The rules:
1. Everything that changes a transfer's state is a row of `TRANSITIONS`; code elsewhere asks `advance`, never assigns.
2. A fact without a row in the current state is refused: the recorder then records nothing at all.
3. Every state that is not an end has a row in `STANDING`: how long it may last, who owns it, the verb that moves it on,
   and what happens when the time is up. Nothing waits for ever.
4. State names are public and stable (design.md section 8).

`gateway/ARCHITECTURE.md` shows the diagram drawn from these tables; a test keeps the two the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gateway.core.errors import Conflict
from gateway.core.facts import Tag


class State(StrEnum):
    """Where a transfer stands."""

    OPEN = "open"
    SUBMITTED = "submitted"
    CLASSIFIED = "classified"
    HELD = "held"
    CLEARED = "cleared"
    SEALED = "sealed"
    RELAYING = "relaying"
    DELIVERED = "delivered"
    RECEIPTED = "receipted"
    REFUSED = "refused"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"


ENDS = frozenset({State.RECEIPTED, State.REFUSED, State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.FAILED})
# Ends without a delivery: such a version brings nothing to the dataset's next one.
FALLEN = ENDS - {State.RECEIPTED}
# States before the clearance: nothing of these transfers has crossed the border, not even a name.
BEFORE_CLEARANCE = frozenset({State.OPEN, State.SUBMITTED, State.CLASSIFIED, State.HELD})
# Ends at which no byte has left; whoever was counted at the clearance is then given back (design.md section 7).
NOTHING_LEFT = frozenset({State.CLEARED, State.SEALED})

TRANSITIONS: dict[tuple[State, Tag], State] = {
    (State.OPEN, Tag.DECLARED): State.OPEN,
    (State.OPEN, Tag.REOPENED): State.OPEN,
    (State.OPEN, Tag.SUBMITTED): State.SUBMITTED,
    (State.OPEN, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.OPEN, Tag.EXPIRED): State.EXPIRED,
    (State.SUBMITTED, Tag.CLASSIFIED): State.CLASSIFIED,
    (State.SUBMITTED, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.SUBMITTED, Tag.FAILED): State.FAILED,
    (State.CLASSIFIED, Tag.HELD): State.HELD,
    (State.CLASSIFIED, Tag.CLEARED): State.CLEARED,
    (State.CLASSIFIED, Tag.REFUSED): State.REFUSED,
    (State.CLASSIFIED, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.CLASSIFIED, Tag.FAILED): State.FAILED,
    (State.HELD, Tag.VOTED): State.HELD,
    (State.HELD, Tag.DECLARED): State.HELD,
    (State.HELD, Tag.RECONSIDERED): State.CLASSIFIED,
    (State.HELD, Tag.CLEARED): State.CLEARED,
    (State.HELD, Tag.REJECTED): State.REJECTED,
    (State.HELD, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.HELD, Tag.EXPIRED): State.EXPIRED,
    (State.HELD, Tag.ESCALATED): State.HELD,
    (State.CLEARED, Tag.SAMPLED): State.CLEARED,
    (State.CLEARED, Tag.SEALED): State.SEALED,
    (State.CLEARED, Tag.LAPSED): State.CLASSIFIED,
    (State.CLEARED, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.CLEARED, Tag.FAILED): State.FAILED,
    (State.SEALED, Tag.DEPARTED): State.RELAYING,
    (State.SEALED, Tag.LAPSED): State.CLASSIFIED,
    (State.SEALED, Tag.WITHDRAWN): State.WITHDRAWN,
    (State.SEALED, Tag.FAILED): State.FAILED,
    (State.RELAYING, Tag.DEFERRED): State.RELAYING,
    (State.RELAYING, Tag.DELIVERED): State.DELIVERED,
    (State.RELAYING, Tag.FAILED): State.FAILED,
    (State.DELIVERED, Tag.RECEIPTED): State.RECEIPTED,
    (State.DELIVERED, Tag.FAILED): State.FAILED,
    # The keys go after the end; the transfer stays what it is.
    **{(end, Tag.KEY_DESTROYED): end for end in sorted(ENDS)},
    # A look afterwards comes whenever it comes; the transfer stays what it is.
    **{(state, Tag.SPOT_CHECKED): state for state in sorted(set(State) - {State.OPEN, State.SUBMITTED})},
    # So does the evidence, once retention is over.
    **{(end, Tag.FORGOTTEN): end for end in sorted(ENDS)},
    (State.FAILED, Tag.PERSONS_RETURNED): State.FAILED,
    (State.WITHDRAWN, Tag.PERSONS_RETURNED): State.WITHDRAWN,
    (State.CLASSIFIED, Tag.PERSONS_RETURNED): State.CLASSIFIED,
}


@dataclass(frozen=True)
class Standing:
    """How a state may last.

    Attributes:
        within: The longest stay.
        owner: Who must act: `sender`, `gateway`, `officers`, `operator`.
        verb: The command or call that moves it on.
        overdue: What is recorded when the time is up.
    """

    within: timedelta
    owner: str
    verb: str
    overdue: Tag


STANDING: dict[State, Standing] = {
    State.OPEN: Standing(timedelta(days=7), "sender", "POST /v1/transfers/{id}/submit", Tag.EXPIRED),
    State.SUBMITTED: Standing(timedelta(days=2), "gateway", "hetao transfers step", Tag.FAILED),
    State.CLASSIFIED: Standing(timedelta(hours=1), "gateway", "hetao transfers step", Tag.FAILED),
    State.HELD: Standing(timedelta(days=30), "officers", "hetao review approve", Tag.EXPIRED),
    State.CLEARED: Standing(timedelta(hours=6), "gateway", "hetao transfers step", Tag.FAILED),
    State.SEALED: Standing(timedelta(hours=6), "gateway", "hetao transfers step", Tag.FAILED),
    State.RELAYING: Standing(timedelta(days=7), "operator", "hetao transfers step", Tag.FAILED),
    State.DELIVERED: Standing(timedelta(days=1), "gateway", "hetao transfers step", Tag.FAILED),
}


@dataclass(frozen=True)
class Transfer:
    """One submission of a dataset, as it stands now: the projection of its facts.

    Attributes:
        id: Random and opaque; names nobody.
        institution: Who sends.
        endpoint: Who receives.
        project: Under which purpose.
        dataset: Canonical folder name.
        version: 1 for the first submission of this dataset, then counting.
        direction: `outbound` or `inbound`.
        door: Where it came in.
        person: The natural person who answers for it.
        client: The credential that opened it.
        state: Where it stands.
        since: When it came there.
        due: When the state's time is up; None for an end.
        opened_at: When it was opened.
        declaration: What the sender says of the data (the vocabulary's field names).
        files: Files received or submitted.
        bytes: Their plaintext bytes.
        root: Merkle root of the submitted file list, hex; empty before.
        findings: What the files show, joined (`gateway.flow.classify` says in which form).
        decision: The last decision as JSON; empty before.
        registry_revision: The registry revision it was decided under.
        clearance: The clearance document; empty before.
        clearance_signature: The gateway's SSHSIG over it.
        manifest: Canonical JSON; empty before sealing.
        manifest_signature: The gateway's SSHSIG over it.
        delivery: What the connector could prove.
        receipt: Canonical JSON; empty before.
        receipt_signature: The gateway's SSHSIG over it.
        attempts: Relay attempts so far.
        next_at: Not to be worked on before.
        reason: Why it failed, was deferred or rejected, for people.
        keys_destroyed: Whether its file keys are gone.
        ended_at: When it reached its end; the appeal term runs from here.
        last_entry: Ledger position of its newest fact.
        escalate_at: While held for a judgement: when more people must be told that it waits.
        escalated_at: While held: when that was done.
        evidence: `kept`, `going` (its key is being destroyed; nothing may rely on it any more) or `gone`.
    """

    id: str
    institution: str
    endpoint: str
    project: str
    dataset: str
    version: int
    direction: str
    door: str
    person: str
    client: str
    state: State
    since: datetime
    due: datetime | None
    opened_at: datetime
    declaration: Mapping[str, Any] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    root: str = ""
    findings: Mapping[str, Any] = field(default_factory=dict)
    decision: Mapping[str, Any] = field(default_factory=dict)
    registry_revision: int = 0
    clearance: str = ""
    clearance_signature: str = ""
    manifest: str = ""
    manifest_signature: str = ""
    delivery: Mapping[str, Any] = field(default_factory=dict)
    receipt: str = ""
    receipt_signature: str = ""
    attempts: int = 0
    next_at: datetime | None = None
    reason: str = ""
    keys_destroyed: bool = False
    ended_at: datetime | None = None
    last_entry: int = -1
    escalate_at: datetime | None = None
    escalated_at: datetime | None = None
    evidence: str = "kept"


def advance(state: State, tag: Tag) -> State:
    """The state after a fact.

    Raises:
        Conflict: Where the table has no such row; the message names what would be possible.
    """
    after = TRANSITIONS.get((state, tag))
    if after is None:
        possible = ", ".join(sorted(tag.value for from_state, tag in TRANSITIONS if from_state is state)) or "nothing"
        raise Conflict(f"a transfer that is {state} cannot become {tag}: possible now: {possible}", code="wrong-state")
    return after


def deadline(state: State, since: datetime) -> datetime | None:
    """When a state's time is up; None for an end."""
    standing = STANDING.get(state)
    return since + standing.within if standing else None


def diagram() -> str:
    """The lifecycle as a Mermaid state diagram, drawn from the tables."""
    lines = ["stateDiagram-v2", "    [*] --> open: opened"]
    for (state, tag), after in TRANSITIONS.items():
        if state is not after:
            lines.append(f"    {state} --> {after}: {tag.removeprefix('transfer.')}")
    lines += [f"    {end} --> [*]" for end in sorted(ENDS)]
    return "\n".join(lines)


def standing_table() -> str:
    """The deadlines as a Markdown table."""
    rows = ["| state | at most | owner | verb | then |", "| --- | --- | --- | --- | --- |"]
    for state, standing in STANDING.items():
        hours = int(standing.within.total_seconds() // 3600)
        lasts = f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
        then = standing.overdue.removeprefix("transfer.")
        rows.append(f"| {state} | {lasts} | {standing.owner} | `{standing.verb}` | {then} |")
    return "\n".join(rows)
