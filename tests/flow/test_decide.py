"""Counting and deciding in one transaction: two transfers never both slip under a threshold."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from gateway.core.transfer import State
from gateway.flow.decide import counting_track
from tests.flow.rig import DUTIES, GENERAL, Rig, filing, personal

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_numbers(start: int = 0):
    """Invented resident identity numbers with right check characters, all different."""
    for number in range(start, 10**7):
        body = f"440305{1950 + number // 27_000 % 50}{1 + number // 2_700 % 10:02d}{1 + number // 100 % 27:02d}{number % 100:03d}"
        total = sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True))
        yield body + "10X98765432"[total % 11]


def table(people: int, start: int = 0) -> bytes:
    return ("身份证号\n" + "\n".join(islice(resident_numbers(start), people)) + "\n").encode()


def declared(people: int) -> dict[str, object]:
    return personal(nonsensitive=people)


async def test_the_same_people_sent_again_add_nobody(rig: Rig):
    first = await rig.send({"a.csv": table(60_000)}, declared(60_000))
    await rig.settle()
    second = await rig.send({"b.csv": table(60_000)}, declared(60_000), dataset="again")
    await rig.settle()
    for each, dataset in ((first, 1), (second, 1)):
        ended = await rig.transfer(each.id)
        assert (ended.state, ended.version) == (State.RECEIPTED, dataset)
    assert (await rig.transfer(second.id)).decision["situation"]["persons"]["nonsensitive"] == 60_000


async def test_two_at_the_threshold_and_exactly_one_goes(rig: Rig):
    before = await rig.send({"a.csv": table(99_990)}, declared(99_990), dataset="before")
    await rig.settle()
    assert (await rig.transfer(before.id)).state is State.RECEIPTED
    pair = [
        await rig.send({"b.csv": table(9, 100_000 + 20 * number)}, declared(9), dataset=f"pair-{number}")
        for number in range(2)
    ]
    for each in pair:
        await rig.conductor.step(each.id)  # classified
    await asyncio.gather(*(rig.conductor.step(each.id) for each in pair))
    states = sorted([(await rig.transfer(each.id)).state for each in pair])
    assert states == [State.CLEARED, State.HELD]


async def test_an_undeclared_person_in_the_bytes_counts_all_the_same(rig: Rig):
    sent = await rig.send({"a.csv": table(500)}, GENERAL)
    await rig.settle()
    held = await rig.transfer(sent.id)
    assert held.state is State.HELD
    situation = held.decision["situation"]
    assert situation["data"]["personal"]
    # Nobody said whether their data are sensitive, so all 500 may be.
    assert situation["persons"] == {"nonsensitive": 500, "sensitive": 500}
    assert "P8" in held.decision["rules"]


async def test_one_resident_number_alone_is_looked_at_by_people(rig: Rig):
    sent = await rig.send({"a.csv": b"ref\n11010519491231002X\n"}, GENERAL)
    await rig.settle()
    held = await rig.transfer(sent.id)
    assert (held.state, held.decision["rules"][0], held.decision["cure"]) == (State.HELD, "D7", "judgement")


async def test_many_of_another_entitys_people_suggest_splitting(rig: Rig):
    other = rig.world()
    other[0][1].update(id="other-lab", uscc="9144030071526726XG")
    other[2][1].update(id="mei", institution="other-lab", supervisor="")
    other[4][1].update(id="other-trial", institution="other-lab")
    await rig.register(other[0], other[2], other[4])
    await rig.send({"a.csv": table(500)}, declared(500))
    await rig.settle()
    from tests.flow.rig import chunks, sender

    stranger = sender("other-lab", "mei")
    opened = await rig.intake.open_transfer(
        stranger, endpoint="hku", project="other-trial", dataset="b", declaration=declared(500)
    )
    from gateway.flow.intake import Announced

    await rig.intake.receive(stranger, opened.id, "b.csv", chunks(table(500)), Announced())
    await rig.intake.submit(stranger, opened.id)
    await rig.settle()
    held = await rig.enquiry.transfer(stranger, opened.id)
    assert held.state is State.HELD
    assert "P17" in held.decision["rules"]


async def test_a_new_year_counts_from_nobody(rig: Rig):
    first = await rig.send({"a.csv": table(99_000)}, declared(99_000))
    await rig.settle()
    assert (await rig.transfer(first.id)).state is State.RECEIPTED
    rig.clock.advance(days=42)
    duties = {**DUTIES, "pipia": "2026-12-20"}
    second = await rig.send({"b.csv": table(99_000, 99_000)}, {**declared(99_000), "duties": duties}, dataset="next")
    await rig.settle()
    decided = await rig.transfer(second.id)
    assert decided.decision["situation"]["persons"]["nonsensitive"] == 99_000


@pytest.mark.parametrize(
    ("kinds", "people", "track"),
    [
        ((), 10, "national"),
        (("SCC",), 200_000, "national"),
        (("GBA",), 200_000, "gba"),
        (("GBA", "SCC"), 200_000, "national"),
    ],
)
async def test_a_clearance_adds_to_the_ledger_of_its_route(rig: Rig, kinds: tuple[str, ...], people: int, track: str):
    await rig.register(*(filing(kind) for kind in kinds)) if kinds else None
    sent = await rig.send({"a.csv": b"x\n1\n"}, declared(people))
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
    assert rig.records.state.persons[sent.id].track == track


async def test_the_ledger_broken_denies_everything(rig: Rig):
    first = await rig.send({"a.csv": b"x\n1\n"})
    await rig.settle()
    assert (await rig.transfer(first.id)).state is State.RECEIPTED
    (size,) = rig.records.state.checkpoints
    rig.records.state.nodes[0, size - 2] = b"\0" * 32
    rig.records.state.nodes[1, (size - 2) // 2] = b"\0" * 32
    nodes = rig.records.state.nodes
    rig.records.state.nodes = {key: b"\1" * 32 if key[0] > 1 else value for key, value in nodes.items()}
    second = await rig.send({"b.csv": b"x\n1\n"}, dataset="next")
    await rig.settle()
    refused = await rig.transfer(second.id)
    assert (refused.state, refused.decision["rules"][0]) == (State.REFUSED, "T1")


async def test_weaker_tls_than_the_profile_asks_for_denies_everything(rig: Rig):
    rig.protected = False
    rig.restart()
    sent = await rig.send({"a.csv": b"x\n1\n"})
    await rig.settle()
    assert (await rig.transfer(sent.id)).decision["rules"][0] == "T1"


async def test_an_unknown_route_counts_nobody():
    from gateway.core.decide import decide
    from gateway.core.situation import parse_situation
    from gateway.stores.rulebooks import prc_calendar
    from tests.flow.rig import policies

    document = {
        "data": {"personal": True},
        "persons": {"nonsensitive": 5},
        "exemption": {"claimed": "art4", "evidence": ["collected_abroad"]},
    }
    situation = parse_situation(document, policies().vocabulary)
    assert counting_track(decide(policies().rulebook, situation, prc_calendar())) == ""
