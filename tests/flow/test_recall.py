"""Whoever can write the database cannot make a decision milder: what it rests on is held against the ledger."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.errors import BrokenPromise, Conflict
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


# --- found by a reviewer with the database in hand -------------------------------------------------------------------


async def test_a_withdrawn_transfer_moved_back_by_hand_does_not_leave(rig: Rig):
    sent = await rig.send({"a.csv": b"x\n1\n"}, personal(nonsensitive=10))
    for _ in range(3):
        await rig.conductor.step(sent.id)
    await rig.intake.withdraw(rig.sender, sent.id)
    row = await rig.transfer(sent.id)
    now = rig.clock.now()
    rig.records.state.transfers[sent.id] = replace(row, state=State.SEALED, next_at=now, due=now, ended_at=None)
    entries = len(rig.records.state.entries)
    await rig.conductor.round()
    assert not rig.hong_kong.files
    assert len(rig.records.state.entries) == entries  # no fact is made of an altered row
    assert "is sealed in its row and withdrawn in the ledger" in (await rig.transfer(sent.id)).reason


@pytest.mark.parametrize(
    "change", [{"endpoint": "elsewhere"}, {"institution": "other"}, {"dataset": "b"}, {"version": 9}]
)
async def test_a_sealed_transfer_goes_where_its_manifest_says_or_nowhere(rig: Rig, change: dict[str, Any]):
    await rig.register(("endpoint", rig.endpoint(id="elsewhere", place="US")))
    sent = await rig.send({"a.csv": b"x\n1\n"})
    for _ in range(4):
        await rig.conductor.step(sent.id)
    row = await rig.transfer(sent.id)
    assert row.state is State.RELAYING
    rig.records.state.transfers[sent.id] = replace(row, **change)
    await rig.settle()
    assert not rig.hong_kong.files
    assert rig.records.state.transfers[sent.id].state is State.FAILED


async def test_what_was_delivered_stays_counted_when_its_receipt_fails(rig: Rig):
    sent = await rig.send({"a.csv": b"x\n1\n"}, personal(nonsensitive=10))
    for _ in range(5):
        await rig.conductor.step(sent.id)
    assert (await rig.transfer(sent.id)).state is State.DELIVERED
    row = files_of(rig)[sent.id, "a.csv"]
    files_of(rig)[sent.id, "a.csv"] = replace(row, file=replace(row.file, size=1))
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.FAILED
    assert sent.id in rig.records.state.persons


async def test_a_registry_rolled_back_by_one_row_decides_nothing(rig: Rig):
    change = await rig.register(("endpoint", rig.endpoint(listed_pipl42=True)))
    del rig.records.state.changes[change.digest]
    sent = await rig.send({"a.csv": b"x\n1\n"})
    await rig.settle()
    failed = await rig.transfer(sent.id)
    assert failed.state is State.FAILED
    assert "not those the ledger recorded" in failed.reason
    assert any("registry" in problem for problem in (await rig.audit.verify()).problems)
    rig.restart()
    with pytest.raises(BrokenPromise, match="not those the ledger recorded"):
        await rig.registrar.registry()


async def test_an_approval_dated_back_stops_everything(rig: Rig):
    change = await rig.register(("endpoint", rig.endpoint(name="HKU II")))
    stored = rig.records.state.changes[change.digest]
    assert stored.approved_at is not None
    rig.records.state.changes[change.digest] = replace(stored, approved_at=stored.approved_at - timedelta(days=90))
    rig.restart()
    with pytest.raises(BrokenPromise, match="not those the ledger recorded"):
        await rig.registrar.registry()


async def test_a_ledger_cut_back_to_yesterday_is_found_out(rig: Rig):
    before = rig.records.state.copied()
    sent = await rig.send({"a.csv": b"x\n1\n"}, personal(nonsensitive=10))
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
    rig.records.state = before
    rig.restart()
    assert any("history was rewritten" in problem for problem in (await rig.audit.verify()).problems)
    next_one = await rig.send({"b.csv": b"x\n1\n"})
    await rig.settle()
    assert (await rig.transfer(next_one.id)).decision["rules"][0] == "T1"


async def test_a_client_cannot_loosen_what_two_officers_signed(rig: Rig):
    project = dict(rig.world())["project"]
    strict = {"data": {"level": "important", "personal": True, "sensitive": True}, "persons": {"sensitive": 5}}
    await rig.register(("project", {**project, "declaration": strict}))
    sent = await rig.send({"a.csv": b"x\n1\n"}, GENERAL)
    await rig.settle()
    decided = await rig.transfer(sent.id)
    data = decided.decision["situation"]["data"]
    assert (data["level"], data["personal"], data["sensitive"]) == ("important", True, True)
    assert decided.state is State.REFUSED


async def test_a_refused_opening_leaves_no_key_behind(rig: Rig):
    first = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="a", declaration=GENERAL, idempotency_key="k"
    )
    kept = len(rig.keyring.secrets)
    with pytest.raises(Conflict):
        await rig.intake.open_transfer(
            rig.sender, endpoint="hku", project="trial", dataset="b", declaration=GENERAL, idempotency_key="k"
        )
    assert len(rig.keyring.secrets) == kept
    assert first.state is State.OPEN
