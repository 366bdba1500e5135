"""News: what a ledger entry tells the sender of a transfer, when it changed where the transfer stands.

What it is not: the entry, or the transfer. News have ids, a state, a verdict and a time; no name, no rule, no finding. So there
is nothing in them that the secrecy rule would have to take out, and nothing that a receiver of webhooks must not hold.

The rules:
1. News are a function of one entry: the state a transfer came into follows from the fact's tag alone (a test compares this
   with the lifecycle), so that they are the same for whoever asks, and whenever.
2. Their number is the entry's position in the ledger: it grows, it is never given twice, and it survives everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.documents import parse_document
from gateway.core.facts import Tag
from gateway.core.transfer import ENDS, TRANSITIONS, State

MAX_ENTRY = 1 << 22  # bytes; what `flow.enquiry` reads, too

# Facts after which a transfer is in another state than before, with that state.
LANDINGS: dict[Tag, State] = {
    Tag.OPENED: State.OPEN,
    **{tag: after for (before, tag), after in TRANSITIONS.items() if after is not before},
}
VERDICTS = {State.HELD: "hold", State.CLEARED: "allow", State.REFUSED: "deny"}


@dataclass(frozen=True)
class News:
    """A transfer came into a state.

    Attributes:
        index: Position of the entry in the ledger.
        transfer: The transfer's id.
        state: Where it stands from then on.
        verdict: `allow`, `hold` or `deny`, where the state is the outcome of a decision; else empty.
        at: When; RFC 3339 in UTC.
        event: `escalated` where a held transfer waited too long and came into no other state; else empty.
    """

    index: int
    transfer: str
    state: State
    verdict: str
    at: str
    event: str = ""

    @property
    def word(self) -> str:
        """What happened, in a word: the event, or else the state."""
        return self.event or self.state.value

    @property
    def last(self) -> bool:
        """Whether nothing comes after this."""
        return self.state in ENDS


def news_of(index: int, body: bytes) -> News | None:
    """The news in a ledger entry, or None where it changed nobody's state and nobody waits for it.

    Raises:
        Unusable: The entry is no entry.
    """
    entry = parse_document(body, max_size=MAX_ENTRY, max_depth=12)
    if entry["tag"] == Tag.ESCALATED.value:
        return News(index, entry["subject"], State.HELD, VERDICTS[State.HELD], entry["at"], "escalated")
    state = LANDINGS.get(entry["tag"])
    if state is None:
        return None
    return News(index, entry["subject"], state, VERDICTS.get(state, ""), entry["at"])
