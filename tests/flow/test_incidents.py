"""Incidents: facts under a key of their own, opened by people and by a secrecy mark, told, closed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.errors import Conflict, NotFound, Unusable
from gateway.core.incident import Incident
from gateway.core.transfer import State
from gateway.flow.incidents import Incidents
from tests.flow.rig import Rig

WORD = "somebody took the disk of ward 7"


def known(rig: Rig, persons: int | None = 5, *true: str) -> Incident:
    return Incident(rig.clock.now(), None, persons, frozenset(true))


async def test_what_is_opened_is_listed_with_what_is_known(rig: Rig):
    incidents = Incidents(rig.recorder)
    made = await incidents.open(known(rig, 5, "personal"), transfers=["t1"], words=WORD)
    (found,) = await incidents.list()
    assert (found.id, found.because, found.incident.persons, found.transfers, found.words) == (
        made,
        "person",
        5,
        ("t1",),
        WORD,
    )
    assert found.closed_at is None


async def test_descriptions_replace_one_another_and_both_stand_in_the_ledger(rig: Rig):
    incidents = Incidents(rig.recorder)
    made = await incidents.open(known(rig, None, "personal"))
    rig.clock.advance(seconds=60)
    await incidents.describe(made, known(rig, 7, "personal", "ciio"), transfers=[], words="more")
    await incidents.told(made, "cii-authority", "receipt 42")
    await incidents.close(made, "handled")
    found = await incidents.show(made)
    assert (found.incident.persons, found.words) == (7, "more")
    assert found.told["cii-authority"][1] == "receipt 42"
    assert found.closed_at is not None
    async with rig.records.read() as view:
        assert len(await view.entries_of(made)) == 4
    assert (await rig.audit.verify()).problems == ()


async def test_nothing_of_it_is_readable_in_the_ledger(rig: Rig):
    made = await Incidents(rig.recorder).open(known(rig, 5, "personal"), words=WORD)
    async with rig.records.read() as view:
        for index, body in [*await view.entries_of(made), *await view.entries_of("incidents")]:
            assert WORD.encode() not in body + (await view.opening(index) or b"")


async def test_a_closed_one_takes_nothing_more(rig: Rig):
    incidents = Incidents(rig.recorder)
    made = await incidents.open(known(rig))
    with pytest.raises(Unusable):
        await incidents.close(made, " ")
    await incidents.close(made, "handled")
    with pytest.raises(Conflict):
        await incidents.told(made, "provincial-cac", "x")
    with pytest.raises(NotFound):
        await incidents.show("incident-none")


async def test_unknown_words_are_refused(rig: Rig):
    with pytest.raises(Unusable, match="unknown words"):
        await Incidents(rig.recorder).open(known(rig, 1, "meteorite"))


async def test_a_refusal_for_a_secrecy_mark_opens_one_by_itself_and_once(rig: Rig):
    sent = await rig.send({"plan.txt": "机密★10年\n内容\n".encode()})
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.REFUSED
    (found,) = await Incidents(rig.recorder).list()
    assert (found.because, found.transfers, found.incident.true) == ("secrecy-mark", (sent.id,), {"secret"})
    rig.clock.advance(seconds=timedelta(days=1).total_seconds())
    await rig.settle()
    assert len(await Incidents(rig.recorder).list()) == 1
