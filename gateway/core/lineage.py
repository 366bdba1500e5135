"""Who came in and who goes back: what can be said of a claim that nothing of the mainland was added (Order 16 art 4).

A processed result has another digest than what it was made of, so its files prove nothing. What can be compared are the people:
those who came in under the transfers a sender names, and those who would go out, by digests under one key (`lineage_key`).

The rules:
1. Proven is only what people with an identifier show: somebody is identified on both sides, everybody who is identified going
   out came in, and of people known by number no more go out than came in.
2. One person too many is an addition, whatever was declared. A number is an upper bound going out: in doubt it is too many.
3. Where nobody came in with an identifier, or nobody goes out with one, there is nothing to compare: not proven, and said so.
4. It speaks of people. That nothing of the mainland was added about the same people remains the sender's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gateway.core.persons import Digests, among

PROVEN, ADDED, UNPROVEN, UNNAMED, LOST = "proven", "added", "unproven", "unnamed", "lost"
# States in which mainland data count as added whatever was declared.
DOUBTED: Final = frozenset({ADDED, UNNAMED, LOST})


@dataclass(frozen=True)
class People:
    """The people of one side.

    Attributes:
        identified: Their digests, sorted and distinct.
        by_number: People known by number only, at most.
        read: Whether every byte was read, so that nobody else can be in there.
    """

    identified: Digests
    by_number: int = 0
    read: bool = True


@dataclass(frozen=True)
class Lineage:
    """What is known of a claim that data came from abroad.

    Attributes:
        state: `proven`; `added` (people who did not come in); `unproven` (nothing to compare, the sender's word stands alone);
            `unnamed` (the project has a family and no transfer was named); `lost` (what was named cannot be used any more).
        added: How many people too many, at most.
        came_in: People who came in: identified, by number.
        going_out: The same of those going out.
        transfers: Which inbound transfers were named.
    """

    state: str
    added: int = 0
    came_in: tuple[int, int] = (0, 0)
    going_out: tuple[int, int] = (0, 0)
    transfers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the decision's row keeps it, for officers: the numbers are exact."""
        return {
            "state": self.state,
            "added": self.added,
            "came_in": {"identified": self.came_in[0], "by_number": self.came_in[1]},
            "going_out": {"identified": self.going_out[0], "by_number": self.going_out[1]},
            "transfers": list(self.transfers),
        }


def compare(came_in: People, going_out: People, transfers: tuple[str, ...]) -> Lineage:
    """Whether those who would go out are among those who came in.

    1. Strangers are identified going out and not among those identified coming in, if any were.
    2. All who go out, together, may be no more than all who came in.
    """
    known, leaving = int(came_in.identified.size), int(going_out.identified.size)
    strangers = int(np.count_nonzero(~among(going_out.identified, came_in.identified))) if known else 0  # step 1
    room = known + came_in.by_number
    added = strangers + max(leaving - strangers + going_out.by_number - room, 0)  # step 2
    shown = bool(known and leaving) and going_out.read and going_out.by_number <= came_in.by_number
    return Lineage(
        state=ADDED if added else PROVEN if shown else UNPROVEN,
        added=added,
        came_in=(known, came_in.by_number),
        going_out=(leaving, going_out.by_number),
        transfers=transfers,
    )


def finding(lineage: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What officers are told of a recorded lineage (`Lineage.to_json`), as findings of files are; nothing where it is proven."""
    state = lineage.get("state", PROVEN)
    if state == PROVEN:
        return []
    added = state == ADDED
    count = lineage["added"] if added else sum(lineage["going_out"].values())
    kind = "lineage_added" if added else "lineage_unproven"
    # Strong whatever the state: what is not proven is exactly what an officer has to see first.
    return [{"kind": kind, "where": state, "count": count, "distinct": count, "confidence": "strong", "samples": []}]


def remedy(lineage: Mapping[str, Any]) -> str:
    """Code of what the sender may do about it; empty where its word was taken."""
    state = lineage.get("state", PROVEN)
    return f"lineage-{state}" if state in DOUBTED else ""
