"""Four eyes on what is held: the case officers vote on, their ballots, and the count.

The rules:
1. A ballot names the digest of a `Case`. The case holds everything a judgement rests on: the file list's root, the
   endpoint and its key, the rule pack, the rules that fired and what was known. It leaves out the day and the running
   person counts: where those change the outcome, the fired rules change, and with them the digest.
2. Votes clear judgement holds only. Documents cure a documents hold; nothing votes a deny away.
3. Two approvals by two natural persons in the office of security or audit; neither the sender nor anybody in the
   sender's line; one rejection rejects. A deputy's vote is the officer's: of the two the later stands, and where the officer
   may not vote the deputy may not either.
4. A vote is an SSHSIG; what a database says about a vote counts for nothing (the signature is checked on every count).
5. A vote lives `VOTE_LIFE` from the time it states; a vote from the future is void.

Sources: OpenSSH PROTOCOL.sshsig; the separation of the three administrators (三员分立) of GB/T 22239-2019.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

from gateway.core.documents import parse_document
from gateway.core.errors import NotFound, Unusable
from gateway.core.records import Officer
from gateway.core.registry import Registry, Seat
from gateway.wire import canonical, sshsig

NAMESPACE = "hetao-vote"
VOTE_LIFE = timedelta(days=14)
CLOCK_SLACK = timedelta(minutes=5)
APPROVALS_NEEDED = 2
VOTING_ROLES = frozenset({"security", "audit"})
APPROVE, REJECT = "approve", "reject"
MAX_REASON = 2000
_BALLOT_FIELDS = frozenset({"case", "transfer", "officer", "vote", "reason", "at"})


@dataclass(frozen=True)
class Case:
    """What a vote is about.

    Attributes:
        transfer_id: The transfer.
        files_root: Merkle root of its file list, hex.
        endpoint: The recipient's identifier.
        endpoint_key: Fingerprint of the key it will be sealed to.
        rulebook: Digest of the rule pack.
        rules: Ids of the rules that fired, strictest first.
        known: The decision's facts, canonical JSON values, without the day and the person counts.
    """

    transfer_id: str
    files_root: str
    endpoint: str
    endpoint_key: str
    rulebook: str
    rules: tuple[str, ...]
    known: Mapping[str, Any]

    def digest(self) -> str:
        """SHA-256 of the case's canonical JSON, hex: what ballots name."""
        return hashlib.sha256(
            canonical.encode(
                {
                    "v": 1,
                    "transfer": self.transfer_id,
                    "files_root": self.files_root,
                    "endpoint": self.endpoint,
                    "endpoint_key": self.endpoint_key,
                    "rulebook": self.rulebook,
                    "rules": list(self.rules),
                    "known": {key: value for key, value in self.known.items() if key not in {"on", "persons"}},
                }
            )
        ).hexdigest()


@dataclass(frozen=True)
class Ballot:
    """An officer's answer to one case; its canonical JSON is what the officer signs."""

    case: str
    transfer_id: str
    officer: str
    vote: str
    reason: str
    at: datetime

    def message(self) -> bytes:
        """The bytes to sign under the namespace `hetao-vote`."""
        return canonical.encode(
            {
                "v": 1,
                "case": self.case,
                "transfer": self.transfer_id,
                "officer": self.officer,
                "vote": self.vote,
                "reason": self.reason,
                "at": self.at.isoformat(),
            }
        )


@dataclass(frozen=True)
class Vote:
    """A ballot's bytes and the signature over them, as recorded."""

    message: bytes
    signature: bytes


def parse_ballot(message: bytes) -> Ballot:
    """A ballot from its signed bytes.

    Raises:
        Unusable: Where it is not canonical JSON of this form, has no reason, or another word than approve and reject.
    """
    try:
        body = parse_document(message, max_size=1 << 14, max_depth=3)
        version = body.pop("v", None)
        if type(version) is not int or version != 1 or set(body) != _BALLOT_FIELDS:
            raise ValueError("fields of another version")
        if not all(isinstance(value, str) for value in body.values()):
            raise ValueError("every field is text")
        at = datetime.fromisoformat(body["at"])
        ballot = Ballot(body["case"], body["transfer"], body["officer"], body["vote"], body["reason"], at)
    except (Unusable, ValueError) as wrong:
        raise Unusable(f"the ballot cannot be read: {wrong}") from wrong
    if ballot.vote not in {APPROVE, REJECT}:
        raise Unusable("a vote is 'approve' or 'reject'")
    if not 0 < len(ballot.reason.strip()) <= MAX_REASON:
        raise Unusable(f"a vote needs a reason of 1 to {MAX_REASON} characters")
    if ballot.at.tzinfo is None:
        raise Unusable("a vote states its time with a zone")
    return ballot


@dataclass(frozen=True)
class Counted:
    """A vote that counts: whose office it is, and which natural person voted (another one where a deputy did)."""

    ballot: Ballot
    officer: Officer
    person: str


@dataclass(frozen=True)
class Void:
    """A vote that does not count, and why."""

    officer: str
    reason: str


@dataclass(frozen=True)
class Tally:
    """The count of the votes on one case."""

    approvals: tuple[Counted, ...]
    rejections: tuple[Counted, ...]
    void: tuple[Void, ...]

    @property
    def approved(self) -> bool:
        """Two different persons approve and nobody rejects."""
        return not self.rejections and self.missing == 0

    @property
    def missing(self) -> int:
        """Approvals still needed."""
        people = [{each.officer.person, each.person} for each in self.approvals]
        apart = any(one.isdisjoint(other) for one, other in combinations(people, APPROVALS_NEEDED))
        return 0 if apart else APPROVALS_NEEDED - bool(people)


def check_vote(vote: Vote, case: Case, sender: str, registry: Registry, now: datetime, today: date) -> Counted | Void:
    """Whether a vote counts.

    1. Its ballot can be read and is about this case of this transfer.
    2. Its signature verifies under the namespace, by the key of the officer it names, who is in office, or of a deputy.
    3. That office votes, and neither the officer nor the deputy is the sender or in the sender's line.
    4. It is not from the future and has not expired.
    """
    try:
        ballot = parse_ballot(vote.message)  # step 1
    except Unusable as wrong:
        return Void("?", wrong.message)
    if ballot.case != case.digest() or ballot.transfer_id != case.transfer_id:
        return Void(ballot.officer, "the decision changed after this vote: vote again")
    try:
        seat = _seat(registry, ballot.officer, sshsig.verify(vote.signature, vote.message, NAMESPACE), today)  # step 2
    except (ValueError, NotFound) as wrong:
        return Void(ballot.officer, f"the signature does not hold: {wrong}")
    officer = seat.officer
    if officer.id != ballot.officer:
        return Void(ballot.officer, f"the signature is by officer {officer.id}")
    if officer.role not in VOTING_ROLES:  # step 3
        return Void(officer.id, f"the {officer.role} officer does not vote")
    if {officer.person, seat.person} & registry.line_of(sender):
        return Void(officer.id, "the sender and the sender's line do not vote on their own transfer")
    if ballot.at > now + CLOCK_SLACK or ballot.at + VOTE_LIFE < now:  # step 4
        return Void(officer.id, f"a vote holds {VOTE_LIFE.days} days from its time: vote again")
    return Counted(ballot, officer, seat.person)


def _seat(registry: Registry, named: str, blob: bytes, today: date) -> Seat:
    """The seat a ballot was cast from; one of another officer's where the key is not the named one's."""
    try:
        return registry.seat(named, blob, today)
    except NotFound:
        officer = registry.officer_by_key(blob, today)
        return Seat(officer, officer.person)


def tally(votes: Iterable[Vote], case: Case, sender: str, registry: Registry, now: datetime, today: date) -> Tally:
    """Count votes; of several by one officer the latest stands, but a rejection is never taken back."""
    latest: dict[str, Counted] = {}
    void: list[Void] = []
    for vote in votes:
        checked = check_vote(vote, case, sender, registry, now, today)
        if isinstance(checked, Void):
            void.append(checked)
        elif checked.officer.id not in latest or _stands(checked, latest[checked.officer.id]):
            latest[checked.officer.id] = checked
    counted = sorted(latest.values(), key=lambda each: each.officer.id)
    return Tally(
        approvals=tuple(each for each in counted if each.ballot.vote == APPROVE),
        rejections=tuple(each for each in counted if each.ballot.vote == REJECT),
        void=tuple(void),
    )


def _stands(vote: Counted, before: Counted) -> bool:
    """Whether a vote takes the place of the same officer's other one."""
    if before.ballot.vote != vote.ballot.vote:
        return vote.ballot.vote == REJECT
    return before.ballot.at <= vote.ballot.at
