"""Review: what officers see of a held transfer, and their votes.

Steps of a vote, with what happens when one fails:
1. The ballot can be read and names an open case. Otherwise Unusable or Conflict, nothing recorded.
2. The signature verifies and its officer may vote on this sender's transfer. Otherwise NotPermitted, nothing recorded.
3. The vote and its fact are recorded, and the transfer is woken: the decider counts all votes again from signatures.

Steps 1 and 2 only spare everybody a useless vote; the count at the clearance and before sealing trusts none of this.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from gateway.core.channel import Shape
from gateway.core.errors import Conflict, NotFound, NotPermitted, Unusable
from gateway.core.facts import Tag, local_day
from gateway.core.records import Channel, Endpoint, Officer
from gateway.core.registry import Registry, Seat
from gateway.core.review import (
    APPROVE,
    MAX_REASON,
    REJECT,
    Ballot,
    Case,
    Counted,
    Vote,
    check_vote,
    parse_ballot,
    tally,
)
from gateway.core.transfer import State, Transfer
from gateway.flow.channels import shape_of_transfer, used_before
from gateway.flow.findings import join, said_on_the_whole, without_samples
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.ports import StoredFile, TransferFilter


class Review:
    """The officers' verbs."""

    def __init__(self, *, recorder: Recorder, registrar: Registrar) -> None:
        self._recorder = recorder
        self._registrar = registrar

    async def held(self) -> list[Transfer]:
        """Held transfers, oldest first."""
        async with self._recorder.records.read() as view:
            found = await view.transfers(TransferFilter(states=(State.HELD,)), limit=1000)
        return sorted(found, key=lambda each: each.since)

    async def show(self, transfer_id: str) -> dict[str, Any]:
        """A held transfer with its decision, the findings of its files, and the votes so far."""
        registry = await self._registrar.registry()
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
            if transfer is None:
                raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
            files = await view.files(transfer_id)
            votes = await view.votes(transfer_id)
        today = local_day(self._recorder.clock.now())
        secret = bool(transfer.findings.get("secrecy_mark"))
        shown: dict[str, Any] = {
            "id": transfer.id,
            "state": transfer.state.value,
            "decision": dict(transfer.decision),
            "findings": dict(transfer.findings),
            "declaration": dict(transfer.declaration),
            "on_the_whole": said_on_the_whole(
                transfer.findings, transfer.declaration, today, transfer.decision.get("lineage")
            ),
            "files": [_shown(stored, secret=secret) for stored in files],
        }
        if transfer.state is State.HELD:
            now = self._recorder.clock.now()
            count = tally(votes, held_case(transfer, registry), transfer.person, registry, now, local_day(now))
            shown["votes"] = {
                "approvals": [each.officer.id for each in count.approvals],
                "rejections": [each.officer.id for each in count.rejections],
                "void": [{"officer": each.officer, "reason": each.reason} for each in count.void],
                "missing": count.missing,
            }
        return shown

    async def seats(self, blob: bytes) -> list[Seat]:
        """Every seat that votes with this key today: one's own office, and those one stands in for."""
        registry = await self._registrar.registry()
        return registry.seats(blob, local_day(self._recorder.clock.now()))

    async def shape(self, transfer_id: str) -> tuple[Transfer, Shape]:
        """What a submitted transfer looks like to a channel: what officers begin with when they describe one."""
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
            files = await view.files(transfer_id)
        if transfer is None or not transfer.findings:
            raise NotFound("there is no such transfer, or nothing is known of it yet", code="no-such-transfer")
        year = local_day(self._recorder.clock.now()).year
        joined = await asyncio.to_thread(join, files, year)
        return transfer, shape_of_transfer(transfer, files, joined)

    async def channels(self) -> list[dict[str, Any]]:
        """Every channel, what went through it, and whether it is shut."""
        now = self._recorder.clock.now()
        async with self._recorder.records.read() as view:
            registry = await self._registrar.fold(view)
            return [
                {"channel": each, "signed": [officer.id for officer in registry.signed[each.id]]}
                | {"used": await used_before(view, each, now)}
                for each in registry.all(Channel)
            ]

    async def ballot(self, transfer_id: str, *, officer: str, vote: str, reason: str) -> Ballot:
        """The ballot an officer signs; what was decided is fixed in it by the case's digest."""
        if vote not in {APPROVE, REJECT}:
            raise Unusable("a vote is 'approve' or 'reject'")
        if not 0 < len(reason.strip()) <= MAX_REASON:
            raise Unusable(f"a vote needs a reason of 1 to {MAX_REASON} characters")
        registry = await self._registrar.registry()
        registry.get(Officer, officer)
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
        if transfer is None:
            raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
        case = held_case(transfer, registry)
        return Ballot(case.digest(), transfer_id, officer, vote, reason, self._recorder.clock.now())

    async def vote(self, message: bytes, signature: bytes) -> Transfer:
        """Record a signed vote."""
        ballot = parse_ballot(message)  # step 1
        vote = Vote(message, signature)

        async def job(ledger: Ledgering) -> Transfer:
            transfer = await ledger.transfer(ballot.transfer_id)
            registry = await self._registrar.fold(ledger.tx)
            case = held_case(transfer, registry)
            now: datetime = ledger.now
            checked = check_vote(vote, case, transfer.person, registry, now, local_day(now))  # step 2
            if not isinstance(checked, Counted):
                raise NotPermitted(f"the vote does not count: {checked.reason}", code="void-vote")
            await ledger.tx.put_vote(transfer.id, vote, now)
            return await ledger.record(  # step 3
                transfer,
                Tag.VOTED,
                actor=checked.officer.id,
                public={"officer": checked.officer.id, "vote": ballot.vote, "ballot": ballot.case},
                private={"reason": ballot.reason, "signature": signature.decode()},
                changes={"next_at": now},
            )

        return await self._recorder.do(job)


def held_case(transfer: Transfer, registry: Registry) -> Case:
    """The case of a held transfer, from its recorded decision and the endpoint's key of now.

    Raises:
        Conflict: Where the transfer is not held.
    """
    if transfer.state is not State.HELD:
        raise Conflict(f"the transfer is {transfer.state}: only a held one is voted on", code="wrong-state")
    endpoint = registry.find(Endpoint, transfer.endpoint)
    return Case(
        transfer_id=transfer.id,
        files_root=transfer.root,
        endpoint=transfer.endpoint,
        endpoint_key=endpoint.key_fingerprint() if endpoint else "",
        rulebook=transfer.decision["rulebook"],
        rules=tuple(transfer.decision["rules"]),
        known=transfer.decision["situation"],
    )


def _shown(stored: StoredFile, *, secret: bool) -> dict[str, Any]:
    return {
        "number": stored.file.number,
        "path": stored.file.path,
        "size": stored.file.size,
        "findings": without_samples(stored.findings) if secret else stored.findings,
    }
