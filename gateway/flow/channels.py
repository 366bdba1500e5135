"""Channels in the flow: what a transfer looks like to a channel, what went through it before, what is recorded of a passage.

What it is not: a clearance (`core.seal.clear`) or the bounds (`core.channel`).

The rules:
1. What went before is counted in the transaction that clears, which is serialised with every other clearance. A clearance that
   lapsed or was withdrawn stays counted: the totals are an upper bound.
2. Before sealing the passage is examined again on the rows, the registry and the totals as they were before it.
3. A row that says a look ended well is believed only where the ledger says so, too; an open look that is overdue, or an
   objection, keeps the channel shut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.core.channel import (
    Passage,
    Request,
    Shape,
    Used,
    channel_digest,
    pass_through,
    shape_of,
)
from gateway.core.decide import Decision
from gateway.core.documents import parse_document
from gateway.core.facts import Tag, local_day
from gateway.core.records import Channel
from gateway.core.registry import Registry
from gateway.core.review import Case
from gateway.core.spotcheck import OK, TERM, drawn, look_overdue, risks
from gateway.core.transfer import Transfer
from gateway.flow.findings import Joined
from gateway.flow.recorder import Ledgering
from gateway.ports import Entropy, Passed, Reading, StoredFile


@dataclass(frozen=True)
class Examined:
    """What channels say of a transfer.

    Attributes:
        passage: Through the first channel it lies inside; None where there is none.
        channel: That channel.
        shape: Of the transfer.
        used: What went through that channel before.
        told: Of the other channels of its project, which bounds it breaks: `{"channel", "broken": [{"word", "outside"}]}`.
    """

    passage: Passage | None = None
    channel: Channel | None = None
    shape: Shape | None = None
    used: Used | None = None
    told: tuple[Mapping[str, Any], ...] = field(default=())


async def examined(
    view: Reading,
    transfer: Transfer,
    case: Case,
    decision: Decision,
    content: tuple[Sequence[StoredFile], Joined],
    registry: Registry,
    now: datetime,
) -> Examined:
    """A held decision held against the channels of the transfer's project; nothing where it is not held, or there are none."""
    channels = [each for each in registry.all(Channel) if _concerns(each, transfer)]
    if decision.verdict != "hold" or not channels:
        return Examined()
    shape = await asyncio.to_thread(shape_of_transfer, transfer, *content)
    told: list[Mapping[str, Any]] = []
    for channel in channels:
        used = await used_before(view, channel, now)
        found = pass_through(channel, case, decision, shape, used, _request(transfer, now), registry)
        if isinstance(found, Passage):
            return Examined(found, channel, shape, used)
        told.append({"channel": channel.id, "broken": [vars(bound) for bound in found]})
    return Examined(told=tuple(told))


async def examined_again(
    view: Reading,
    transfer: Transfer,
    case: Case,
    decision: Decision,
    content: tuple[Sequence[StoredFile], Joined],
    registry: Registry,
    clearance: Mapping[str, Any],
) -> Passage | str:
    """The passage a clearance rests on, earned again as of that clearance; or why the channel is closed by now."""
    channel = registry.find(Channel, clearance["channel"])
    passed = next(iter(await view.passages(transfer_id=transfer.id)), None)
    if channel is None or channel_digest(channel) != clearance["record"]:
        return "the channel it was cleared under is not registered any more"
    if passed is None or (passed.channel, passed.record) != (channel.id, clearance["record"]):
        return "nothing is recorded of its passage"
    at = datetime.fromisoformat(clearance["at"])
    used = await used_before(view, channel, at, passed.number)
    shape = await asyncio.to_thread(shape_of_transfer, transfer, *content)
    found = pass_through(channel, case, decision, shape, used, _request(transfer, at), registry)
    return found if isinstance(found, Passage) else "channel: " + ", ".join(bound.word for bound in found)


async def used_before(view: Reading, channel: Channel, now: datetime, number: int = 0) -> Used:
    """What went through a channel, before the passage of that number where one is given."""
    passages = await view.passages(channel.id)
    before = [each for each in passages if not number or each.number < number]
    record = channel_digest(channel)
    looks = [each for each in passages if each.record == record and each.sampled]
    objected = [each for each in looks if each.closed_at is not None and not await _ended_well(view, each)]
    return Used(
        files=sum(each.files for each in before),
        bytes=sum(each.size for each in before),
        persons=sum(each.persons for each in before),
        passages=len(before),
        objected=bool(objected),
        unlooked=any(look_overdue(each.due, each.closed_at, now) for each in looks),
    )


async def record_passage(
    ledger: Ledgering, cleared: Transfer, decision: Decision, found: Examined, entropy: Entropy
) -> Transfer:
    """Keep what went through, in the transaction of its clearance, and draw whether somebody looks at it afterwards."""
    channel, shape, used = found.channel, found.shape, found.used
    assert channel is not None
    assert shape is not None
    assert used is not None
    chance = ["random"] if drawn(channel.sample_percent, entropy.token(8)) else []
    because = [*chance, *risks(channel, decision, shape, used)]
    numbers = [each.number for each in await ledger.tx.passages(channel.id)]
    passed = Passed(
        transfer_id=cleared.id,
        channel=channel.id,
        record=channel_digest(channel),
        number=max(numbers, default=0) + 1,
        files=shape.files,
        size=shape.bytes,
        persons=shape.persons,
        at=ledger.now,
        sampled=" ".join(because),
        due=ledger.now + TERM if because else None,
    )
    await ledger.tx.put_passage(passed)
    if not because:
        return cleared
    public = {"channel": channel.id, "because": passed.sampled}
    return await ledger.record(cleared, Tag.SAMPLED, public=public)


def shape_of_transfer(transfer: Transfer, files: Sequence[StoredFile], joined: Joined) -> Shape:
    """The shape of a transfer, of all files of its version, carried ones among them."""
    declared: Mapping[str, int] = transfer.declaration.get("persons", {})
    persons = sum(max(joined.facts[f"persons_{kind}"], declared.get(kind, 0)) for kind in ("sensitive", "nonsensitive"))
    return shape_of(
        ((stored.findings, stored.facts) for stored in files),
        files=len(files),
        size=sum(stored.file.size for stored in files),
        persons=persons,
    )


def _concerns(channel: Channel, transfer: Transfer) -> bool:
    return (channel.institution, channel.project) == (transfer.institution, transfer.project)


def _request(transfer: Transfer, at: datetime) -> Request:
    return Request(
        institution=transfer.institution,
        project=transfer.project,
        endpoint=transfer.endpoint,
        direction=transfer.direction,
        person=transfer.person,
        on=local_day(at),
    )


async def _ended_well(view: Reading, passed: Passed) -> bool:
    """Whether the ledger, too, says that a look ended with `ok`."""
    if passed.finding != OK:
        return False
    for _, body in await view.entries_of(passed.transfer_id):
        entry = parse_document(body)
        if entry["tag"] == Tag.SPOT_CHECKED.value and entry["body"]["channel"] == passed.channel:
            return bool(entry["body"]["finding"] == OK)
    return False
