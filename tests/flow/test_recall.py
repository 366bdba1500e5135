"""Whoever can write the database cannot make a decision milder: what it rests on is held against the ledger."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.transfer import State, Transfer
from gateway.flow.intake import Announced
from gateway.ports import StoredFile
from tests.flow.rig import GENERAL, Rig, chunks, personal
from tests.flow.test_decide import table


def files_of(rig: Rig) -> dict[tuple[str, str], StoredFile]:
    return rig.records.state.files


async def ended_or_waiting(rig: Rig, transfer: str) -> Transfer:
    await rig.settle()
    found = await rig.transfer(transfer)
    assert "altered" in found.reason, found.reason
    assert not rig.hong_kong.files
    assert transfer not in rig.records.state.persons
    return found


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda row: replace(row, facts={**row.facts, "personal": False, "level": "general"}), id="facts"),
        pytest.param(lambda row: replace(row, facts={**row.facts, "rows_nonsensitive": 1}), id="rows"),
        pytest.param(lambda row: replace(row, persons_nonsensitive=b""), id="persons"),
        pytest.param(lambda row: replace(row, findings={**row.findings, "findings": []}), id="findings"),
        pytest.param(lambda row: replace(row, seal=b""), id="no seal"),
        pytest.param(lambda row: replace(row, seal=os.urandom(32)), id="another seal"),
    ],
)
@pytest.mark.parametrize("when", [State.SUBMITTED, State.CLASSIFIED])
async def test_findings_made_milder_are_not_decided_on(
    rig: Rig, alter: Callable[[StoredFile], StoredFile], when: State
):
    sent = await rig.send({"a.csv": table(200)}, GENERAL)
    if when is State.CLASSIFIED:
        await rig.conductor.step(sent.id)
    files_of(rig)[sent.id, "a.csv"] = alter(files_of(rig)[sent.id, "a.csv"])
    assert (await ended_or_waiting(rig, sent.id)).state is State.FAILED


async def test_findings_of_another_transfer_do_not_fit(rig: Rig):
    mild = await rig.send({"a.csv": b"x\n1\n"}, dataset="mild", submit=False)
    strict = await rig.send({"a.csv": table(200)}, GENERAL, dataset="strict")
    borrowed = files_of(rig)[mild.id, "a.csv"]
    own = files_of(rig)[strict.id, "a.csv"]
    files_of(rig)[strict.id, "a.csv"] = replace(
        own, facts=borrowed.facts, findings=borrowed.findings, persons_nonsensitive=b"", seal=borrowed.seal
    )
    assert (await ended_or_waiting(rig, strict.id)).state is State.FAILED


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"declaration": personal(nonsensitive=1)}, id="declaration"),
        pytest.param({"project": "other"}, id="project"),
        pytest.param({"person": "boss"}, id="person"),
        pytest.param({"direction": "inbound"}, id="direction"),
        pytest.param({"institution": "other"}, id="institution"),
    ],
)
async def test_a_row_that_says_something_else_than_the_ledger_is_not_decided_on(rig: Rig, change: dict[str, Any]):
    sent = await rig.send({"a.csv": b"x\n1\n"}, personal(nonsensitive=150_000))
    await rig.conductor.step(sent.id)
    row = await rig.transfer(sent.id)
    rig.records.state.transfers[sent.id] = replace(row, **change)
    await rig.settle()
    found = rig.records.state.transfers[sent.id]
    assert found.state is State.FAILED
    assert "altered" in found.reason
    assert not rig.hong_kong.files


async def test_a_swapped_opening_is_not_believed(rig: Rig):
    sent = await rig.send({"a.csv": b"x\n1\n"}, personal(nonsensitive=150_000))
    await rig.conductor.step(sent.id)
    entries = rig.records.state.entries
    mine = [number for number, each in enumerate(entries) if each[1] == sent.id and each[4]]
    entries[mine[0]] = (*entries[mine[0]][:4], entries[mine[1]][4])
    assert (await ended_or_waiting(rig, sent.id)).state is State.FAILED


async def test_the_senders_own_new_declaration_is_believed_and_stands_on_the_projects(rig: Rig):
    project = dict(rig.world())["project"]
    await rig.register(("project", {**project, "declaration": {"purpose": {"stated": "standing"}}}))
    sent = await rig.send({"scan.bin": os.urandom(100)})
    await rig.settle()
    held = await rig.transfer(sent.id)
    assert (held.state, held.declaration["purpose"]) == (State.HELD, {"stated": "standing"})
    await rig.intake.declare(rig.sender, sent.id, {**GENERAL, "data": {**GENERAL["data"], "types": ["image"]}})
    await rig.settle()
    again = await rig.transfer(sent.id)
    assert again.state is State.HELD
    assert again.decision["situation"]["data"]["types"] == ["image"]
    assert again.declaration["purpose"] == {"stated": "standing"}


async def test_a_file_sent_again_gets_a_seal_of_its_own(rig: Rig):
    sent = await rig.send({"a.csv": table(20)}, GENERAL, submit=False)
    first = files_of(rig)[sent.id, "a.csv"].seal
    await rig.intake.receive(rig.sender, sent.id, "a.csv", chunks(b"x\n1\n"), Announced())
    assert files_of(rig)[sent.id, "a.csv"].seal != first
    await rig.intake.submit(rig.sender, sent.id)
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
