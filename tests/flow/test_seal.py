"""Whoever can write the database still cannot make a transfer leave: sealing earns the clearance from signatures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.transfer import State, Transfer
from gateway.ports import StoredFile
from gateway.wire import canonical
from tests.flow.rig import Rig, personal

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 1000


async def cleared(rig: Rig) -> Transfer:
    sent = await rig.send({"a.csv": TABLE})
    for _ in range(2):
        await rig.conductor.step(sent.id)
    found = await rig.transfer(sent.id)
    assert found.state is State.CLEARED
    return found


def tamper(rig: Rig, transfer: Transfer, **changes: Any) -> None:
    rig.records.state.transfers[transfer.id] = replace(transfer, **changes)


async def failed(rig: Rig, transfer: Transfer) -> Transfer:
    await rig.settle()
    found = await rig.transfer(transfer.id)
    assert found.state is State.FAILED
    assert not rig.hong_kong.files
    assert transfer.id not in rig.records.state.persons
    return found


async def test_an_altered_clearance_is_refused(rig: Rig):
    transfer = await cleared(rig)
    tamper(rig, transfer, clearance=transfer.clearance.replace('"basis":"rules"', '"basis":"votes"'))
    assert "signature does not hold" in (await failed(rig, transfer)).reason


async def test_a_clearance_of_another_transfer_is_refused(rig: Rig):
    first = await cleared(rig)
    second = await rig.send({"b.csv": TABLE}, dataset="other")
    for _ in range(2):
        await rig.conductor.step(second.id)
    second = await rig.transfer(second.id)
    tamper(rig, second, clearance=first.clearance, clearance_signature=first.clearance_signature)
    await rig.settle()
    ended = await rig.transfer(second.id)
    assert ended.state is State.FAILED
    assert "another transfer" in ended.reason


async def test_a_transfer_moved_to_cleared_by_hand_is_refused(rig: Rig):
    sent = await rig.send({"scan.bin": os.urandom(500)})
    await rig.settle()
    held = await rig.transfer(sent.id)
    tamper(rig, held, state=State.CLEARED, next_at=rig.clock.now())
    await rig.conductor.round()
    assert not rig.hong_kong.files
    assert "is cleared in its row and held in the ledger" in (await rig.transfer(sent.id)).reason


async def test_swapped_files_are_refused(rig: Rig):
    transfer = await cleared(rig)
    key = (transfer.id, "a.csv")
    stored: StoredFile = rig.records.state.files[key]
    rig.records.state.files[key] = replace(stored, file=replace(stored.file, sha256=b"\0" * 32))
    assert "not the ones that were cleared" in (await failed(rig, transfer)).reason


async def test_a_swapped_endpoint_key_in_a_signed_change_voids_the_clearance(rig: Rig):
    transfer = await cleared(rig)
    await rig.register(("endpoint", rig.endpoint(recipient_key="A" * 43 + "=")))
    assert "key" in (await failed(rig, transfer)).reason


async def test_a_swapped_endpoint_key_in_the_database_stops_everything(rig: Rig):
    transfer = await cleared(rig)
    changes = rig.records.state.changes
    digest, change = next((digest, each) for digest, each in changes.items() if b'"endpoint"' in each.document)
    body = canonical.decode(change.document)
    for put in body["put"]:
        if put["kind"] == "endpoint":
            put["record"]["recipient_key"] = "A" * 43 + "="
    changes[digest] = replace(change, document=canonical.encode(body))
    rig.restart()
    await rig.settle()
    found = await rig.transfer(transfer.id)
    assert found.state is State.FAILED
    assert "altered" in found.reason
    assert not rig.hong_kong.files


async def test_facts_made_milder_after_the_decision_are_refused(rig: Rig):
    sent = await rig.send({"a.csv": TABLE}, personal(nonsensitive=50))
    for _ in range(2):
        await rig.conductor.step(sent.id)
    transfer = await rig.transfer(sent.id)
    decision = dict(transfer.decision)
    decision["situation"] = {**decision["situation"], "persons": {"nonsensitive": 1, "sensitive": 0}}
    tamper(rig, transfer, decision=decision)
    assert "recorded facts" in (await failed(rig, transfer)).reason


async def test_votes_are_counted_again_before_sealing(rig: Rig):
    sent = await rig.send({"scan.bin": os.urandom(500)})
    await rig.settle()
    await rig.vote(sent.id, "chen")
    await rig.vote(sent.id, "zhao")
    await rig.conductor.step(sent.id)
    transfer = await rig.transfer(sent.id)
    assert transfer.state is State.CLEARED
    rig.records.state.votes = [each for each in rig.records.state.votes if b"zhao" not in each[1].message]
    assert "cannot be earned again" in (await failed(rig, transfer)).reason


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda body: body[:-1] + bytes([body[-1] ^ 1]), id="flipped"),
        pytest.param(lambda body: body[65564:] + body[:65564], id="swapped segments"),
        pytest.param(lambda body: body[:65564], id="dropped segment"),
        pytest.param(lambda body: body[:65564] + body, id="doubled segment"),
    ],
)
async def test_ciphertext_altered_in_the_vault_never_gets_its_final_name(rig: Rig, alter: Callable[[bytes], bytes]):
    sent = await rig.send({"big.csv": b"n\n" + b"12\n" * 60_000})
    (name,) = rig.spool.names(sent.id)
    rig.spool.parts[name] = alter(rig.spool.parts[name])
    await rig.settle()
    ended = await rig.transfer(sent.id)
    assert ended.state is State.FAILED
    assert not [path for path in rig.hong_kong.files if path.endswith(".c4gh")]


async def test_what_is_put_behind_a_part_in_the_vault_stays_there(rig: Rig):
    content = b"n\n" + b"12\n" * 60_000
    sent = await rig.send({"big.csv": content})
    (name,) = rig.spool.names(sent.id)
    rig.spool.parts[name] += rig.spool.parts[name][:65564]
    await rig.settle()
    assert rig.arrived("big.csv.c4gh") == content


async def test_an_altered_manifest_is_not_relayed(rig: Rig):
    sent = await rig.send({"a.csv": TABLE})
    for _ in range(3):
        await rig.conductor.step(sent.id)
    sealed = await rig.transfer(sent.id)
    assert sealed.state is State.SEALED
    tamper(rig, sealed, manifest=sealed.manifest.replace('"a.csv"', '"b.csv"'))
    assert "manifest" in (await failed(rig, sealed)).reason


async def test_the_manifest_signature_verifies_and_names_every_file(rig: Rig):
    await rig.send({"a.csv": TABLE, "b/c.csv": TABLE})
    await rig.settle()
    manifest = next(content for name, content in rig.hong_kong.files.items() if name.endswith("manifest.json"))
    body = canonical.decode(manifest)
    assert [each["path"] for each in body["files"]] == ["a.csv", "b/c.csv"]
    assert all(each["segments"] == 1 for each in body["files"])
