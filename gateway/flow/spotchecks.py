"""Looks afterwards: which transfers that went through a channel wait for an officer, and the officers' signed findings.

Steps of a finding, with what happens when one fails:
1. It can be read and is about a transfer that was sampled and not looked at yet. Otherwise Unusable, NotFound or Conflict.
2. Its signature verifies and its officer may look into this transfer. Otherwise NotPermitted, nothing recorded.
3. With an objection comes the change that retires the channel, signed by the same officer: it is proposed (a second officer
   approves it). The channel is shut from step 4 on, whether or not that is ever approved.
4. The finding is a fact; with an objection an incident is opened in the same transaction.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.channel import channel_digest
from gateway.core.documents import parse_document
from gateway.core.errors import Conflict, NotFound, NotPermitted, Unusable
from gateway.core.facts import Tag, local_day
from gateway.core.incident import Incident
from gateway.core.records import Channel, Officer
from gateway.core.registry import Change, Registry, compose_change, parse_change
from gateway.core.review import Vote
from gateway.core.spotcheck import OBJECTION, Look, check_words, parse_look, signed_look
from gateway.core.transfer import Transfer
from gateway.flow.incidents import description, opened, prepared
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.ports import Passed, Reading


class SpotChecks:
    """The officers' verbs."""

    def __init__(self, *, recorder: Recorder, registrar: Registrar) -> None:
        self._recorder = recorder
        self._registrar = registrar

    async def listed(self, *, everything: bool = False) -> list[Passed]:
        """Sampled passages that wait for a look, the most urgent first; with `everything` those looked at, too."""
        async with self._recorder.records.read() as view:
            sampled = [each for each in await view.passages() if each.sampled]
        wanted = [each for each in sampled if everything or each.closed_at is None]
        return sorted(wanted, key=lambda each: (each.closed_at is not None, each.due or each.at, each.transfer_id))

    async def look(self, transfer_id: str, *, officer: str, finding: str, reason: str) -> Look:
        """The finding an officer signs."""
        check_words(finding, reason)
        registry = await self._registrar.registry()
        registry.get(Officer, officer)
        async with self._recorder.records.read() as view:
            passed, transfer = await _waiting(view, transfer_id)
        case = parse_document(transfer.clearance.encode())["case"] if transfer.clearance else ""
        now = self._recorder.clock.now()
        return Look(transfer_id, passed.channel, passed.record, case, officer, finding, reason, now)

    async def closing(self, transfer_id: str) -> Change | None:
        """The change an objection comes with: it retires the channel. None where the record is not registered any more."""
        registry = await self._registrar.registry()
        async with self._recorder.records.read() as view:
            passed, _ = await _waiting(view, transfer_id)
        return compose_change(registry.head, (), (("channel", passed.channel),)) if _stands(registry, passed) else None

    async def close(self, message: bytes, signature: bytes, change: tuple[bytes, bytes] | None = None) -> Passed:
        """Record a signed finding; `change` is the change an objection comes with, and the signature over it."""
        look = parse_look(message)  # step 1
        signed = Vote(message, signature)
        await self._check(look, signed)  # step 2, before anything is proposed
        if look.finding == OBJECTION:
            await self._propose(look, change)  # step 3
        incident = await prepared(self._recorder) if look.finding == OBJECTION else ""

        async def job(ledger: Ledgering) -> Passed:
            registry = await self._registrar.fold(ledger.tx)
            passed, transfer = await _waiting(ledger.tx, look.transfer_id)
            seat = _checked(look, signed, passed, transfer, registry, ledger)
            closed = replace(passed, finding=look.finding, closed_at=ledger.now, message=message, signature=signature)
            await ledger.tx.put_passage(closed)
            await ledger.record(  # step 4
                transfer,
                Tag.SPOT_CHECKED,
                actor=seat,
                public={"channel": passed.channel, "officer": seat, "finding": look.finding},
                private={"reason": look.reason, "signature": signature.decode()},
            )
            if incident:
                found = Incident(ledger.now, None, None, frozenset())
                described = description(found, [look.transfer_id], look.reason)
                await opened(ledger, incident, described, actor=seat, because="spot-check")
            return closed

        return await self._recorder.do(job)

    async def _check(self, look: Look, signed: Vote) -> None:
        registry = await self._registrar.registry()
        now = self._recorder.clock.now()
        async with self._recorder.records.read() as view:
            passed, transfer = await _waiting(view, look.transfer_id)
        signed_look(signed, transfer.person, registry, now, local_day(now))
        _about(look, passed)

    async def _propose(self, look: Look, change: tuple[bytes, bytes] | None) -> None:
        registry = await self._registrar.registry()
        channel = registry.find(Channel, look.channel)
        if channel is None or channel_digest(channel) != look.record:
            return  # two officers replaced or retired it already
        if change is None:
            raise Unusable("an objection comes with the signed change that retires the channel")
        proposed = parse_change(change[0])
        if proposed.put or proposed.retire != (("channel", look.channel),):
            raise Unusable("the change of an objection retires the channel and does nothing else")
        signer = registry.signer(proposed, change[1], local_day(self._recorder.clock.now()))
        if signer.id != look.officer:
            raise NotPermitted("the change of an objection is signed by the officer who objects", code="void-vote")
        await self._registrar.propose(proposed, change[1])


def _stands(registry: Registry, passed: Passed) -> bool:
    channel = registry.find(Channel, passed.channel)
    return channel is not None and channel_digest(channel) == passed.record


async def _waiting(view: Reading, transfer_id: str) -> tuple[Passed, Transfer]:
    """A sampled passage nobody looked into yet, and its transfer."""
    transfer = await view.transfer(transfer_id)
    passed = next(iter(await view.passages(transfer_id=transfer_id)), None)
    if transfer is None or passed is None or not passed.sampled:
        raise NotFound("no look is waiting for that transfer: see `hetao review spot-checks`", code="no-such-transfer")
    if passed.closed_at is not None:
        raise Conflict("somebody looked into that transfer already", code="wrong-state")
    return passed, transfer


def _about(look: Look, passed: Passed) -> None:
    if (look.channel, look.record) != (passed.channel, passed.record):
        raise Unusable("the finding is about another channel than the transfer went through")


def _checked(
    look: Look, signed: Vote, passed: Passed, transfer: Transfer, registry: Registry, ledger: Ledgering
) -> str:
    """The officer's id, once everything holds inside the transaction."""
    _, seat = signed_look(signed, transfer.person, registry, ledger.now, local_day(ledger.now))
    _about(look, passed)
    if transfer.clearance and parse_document(transfer.clearance.encode())["case"] != look.case:
        raise Unusable("the transfer was cleared again since: look at it and sign once more")
    return seat.officer.id
