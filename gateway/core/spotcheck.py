"""Looks afterwards (抽检): what an officer signs about a transfer that went through a green channel.

The rules:
1. A finding names the transfer, the channel's record and the case that was cleared; its canonical JSON is what is signed.
2. It is `ok` or `objection`, with a reason. An objection closes the channel (`gateway.core.channel`, rule 5).
3. Whoever may vote on the transfer may look into it: an office that votes, not in the sender's line.

Source: OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from gateway.core.channel import Shape, Used, volumes
from gateway.core.decide import Decision
from gateway.core.documents import parse_document
from gateway.core.errors import NotFound, NotPermitted, Unusable
from gateway.core.records import Channel
from gateway.core.registry import Registry, Seat
from gateway.core.review import CLOCK_SLACK, MAX_REASON, VOTE_LIFE, VOTING_ROLES, Vote
from gateway.wire import canonical, sshsig

NAMESPACE: Final = "hetao-spot-check"
OK, OBJECTION = "ok", "objection"
TERM: Final = timedelta(days=14)  # within which somebody has looked, or the channel is shut
NEAR: Final = 0.8  # of a bound: from here on a transfer is looked at whatever was drawn
_FIELDS: Final = ("transfer", "channel", "record", "case", "officer", "finding", "reason", "at")


@dataclass(frozen=True)
class Look:
    """An officer's finding.

    Attributes:
        transfer_id: The transfer.
        channel: Id of the channel's record.
        record: The record's digest, hex.
        case: Digest of the case that was cleared, hex.
        officer: Whose office it is signed in.
        finding: `ok` or `objection`.
        reason: Why.
        at: When, aware.
    """

    transfer_id: str
    channel: str
    record: str
    case: str
    officer: str
    finding: str
    reason: str
    at: datetime

    def message(self) -> bytes:
        """The bytes to sign under the namespace `hetao-spot-check`."""
        values = (
            self.transfer_id,
            self.channel,
            self.record,
            self.case,
            self.officer,
            self.finding,
            self.reason,
            self.at.isoformat(),
        )
        return canonical.encode({"v": 1, **dict(zip(_FIELDS, values, strict=True))})


def check_words(finding: str, reason: str) -> None:
    """Raise Unusable where the finding is another word or has no reason."""
    if finding not in {OK, OBJECTION}:
        raise Unusable("a finding is 'ok' or 'objection'")
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise Unusable(f"a finding needs a reason of 1 to {MAX_REASON} characters")


def parse_look(message: bytes) -> Look:
    """A finding from its signed bytes.

    Raises:
        Unusable: Where it is not canonical JSON of this form.
    """
    try:
        body = parse_document(message, max_size=1 << 14, max_depth=3)
        version = body.pop("v", None)
        if type(version) is not int or version != 1 or set(body) != {*_FIELDS}:
            raise ValueError("fields of another version")
        if not all(isinstance(value, str) for value in body.values()):
            raise ValueError("every field is text")
        at = datetime.fromisoformat(body["at"])
        texts = {("transfer_id" if name == "transfer" else name): body[name] for name in _FIELDS[:-1]}
        look = Look(**texts, at=at)
    except (Unusable, ValueError) as wrong:
        raise Unusable(f"the finding cannot be read: {wrong}") from wrong
    check_words(look.finding, look.reason)
    if look.at.tzinfo is None:
        raise Unusable("a finding states its time with a zone")
    return look


def signed_look(signed: Vote, sender: str, registry: Registry, now: datetime, today: date) -> tuple[Look, Seat]:
    """A finding and who signed it.

    Args:
        signed: Its bytes and the SSHSIG over them.
        sender: The person whose transfer it is.
        registry: Who is in office.
        now: The time.
        today: The day in Asia/Shanghai.

    Raises:
        Unusable: It cannot be read.
        NotPermitted: The signature does not hold, or its officer may not look into this transfer.
    """
    look = parse_look(signed.message)
    try:
        seat = registry.seat(look.officer, sshsig.verify(signed.signature, signed.message, NAMESPACE), today)
    except (ValueError, NotFound) as wrong:
        raise NotPermitted(f"the signature on the finding does not hold: {wrong}", code="void-vote") from wrong
    if seat.officer.role not in VOTING_ROLES:
        raise NotPermitted(f"the {seat.officer.role} officer does not look into transfers", code="void-vote")
    if {seat.officer.person, seat.person} & registry.line_of(sender):
        raise NotPermitted("the sender's line does not look into its own transfer", code="void-vote")
    if look.at > now + CLOCK_SLACK or look.at + VOTE_LIFE < now:
        raise NotPermitted(f"a finding holds {VOTE_LIFE.days} days from its time: sign again", code="void-vote")
    return look, seat


def drawn(percent: int, token: bytes) -> bool:
    """Whether chance draws a transfer; `token` is 8 random bytes of the Entropy port."""
    return int.from_bytes(token, "big") * 100 < percent * (1 << 64)


def risks(channel: Channel, decision: Decision, shape: Shape, used: Used) -> tuple[str, ...]:
    """Why a transfer is looked at whatever was drawn: a channel's first one, sensitive data, the edge of a bound."""
    found = [] if used.passages else ["first"]
    if decision.situation.data.sensitive:
        found.append("sensitive")
    if any(most and amount > NEAR * most for word, amount, most in volumes(channel, shape, used) if word != "files"):
        found.append("near")
    return tuple(found)


def look_overdue(due: datetime | None, closed: datetime | None, now: datetime) -> bool:
    """Whether a look was due and nobody took it."""
    return due is not None and closed is None and now > due
