"""Who changes the record is found out, whichever row they change."""

from __future__ import annotations

import os
from dataclasses import replace

from gateway.core.transfer import State
from gateway.flow.tree import high_water, keep_high_water
from tests.flow.rig import Rig
from tests.flow.test_decide import declared, table

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 10


async def lived(rig: Rig) -> str:
    sent = await rig.send({"a.csv": TABLE})
    await rig.settle()
    return sent.id


async def problems(rig: Rig) -> str:
    return " | ".join((await rig.audit.verify()).problems)


async def test_an_untouched_record_has_no_problem(rig: Rig):
    await lived(rig)
    found = await rig.audit.verify()
    assert found.problems == ()
    assert found.entries == len(rig.records.state.entries)
    assert found.openings > 0
    assert found.checkpoint_size > 0


async def test_an_altered_entry_is_found(rig: Rig):
    transfer = await lived(rig)
    entries = rig.records.state.entries
    for number, (tag, subject, at, body, opening) in enumerate(entries):
        if subject == transfer and b"transfer.cleared" in body:
            entries[number] = (tag, subject, at, body.replace(b'"none"', b'"SCC"'), opening)
    found = await problems(rig)
    assert "altered" in found
    assert "history was rewritten" in found


async def test_a_rebuilt_tree_does_not_fit_the_signed_checkpoint(rig: Rig):
    from gateway.wire import merkle

    await lived(rig)
    state = rig.records.state
    tag, subject, at, body, _ = state.entries[3]
    state.entries[3] = (tag, subject, at, body.replace(b"Z", b"Y"), b"")
    frontier, nodes = merkle.Frontier(), {}
    for each in state.entries:
        frontier, made = frontier.grow(merkle.leaf_hash(each[3]))
        nodes |= {(node.level, node.index): node.hash for node in made}
    state.nodes, state.frontier = nodes, frontier
    assert "history was rewritten" in await problems(rig)


async def test_a_dropped_entry_is_found(rig: Rig):
    await lived(rig)
    del rig.records.state.entries[5]
    assert await problems(rig)


async def test_a_state_moved_by_hand_is_found(rig: Rig):
    sent = await rig.send({"scan.bin": os.urandom(100)})
    await rig.settle()
    held = await rig.transfer(sent.id)
    rig.records.state.transfers[sent.id] = replace(held, state=State.RECEIPTED)
    assert "is receipted in the database and held in the ledger" in await problems(rig)


async def test_a_transfer_without_entries_is_found(rig: Rig):
    transfer = await lived(rig)
    ghost = replace(await rig.transfer(transfer), id="tghost", dataset="ghost")
    rig.records.state.transfers["tghost"] = ghost
    assert "the database has 2 transfers and the ledger 1" in await problems(rig)


async def test_a_swapped_opening_is_found(rig: Rig):
    await lived(rig)
    entries = rig.records.state.entries
    with_openings = [number for number, each in enumerate(entries) if each[4]]
    first, second = with_openings[-2:]
    entries[first] = (*entries[first][:4], entries[second][4])
    assert "does not belong to it" in await problems(rig)


async def test_a_destroyed_evidence_key_breaks_no_proof(rig: Rig):
    transfer = await lived(rig)
    before = (await rig.audit.verify()).openings
    await rig.keyring.destroy(transfer)
    rig.restart()
    found = await rig.audit.verify()
    assert found.problems == ()
    assert found.openings < before


async def test_the_kept_checkpoint_does_not_go_back(rig: Rig):
    await lived(rig)
    early = await high_water(rig.keyring)
    await rig.send({"b.csv": TABLE}, dataset="later")
    await rig.settle()
    late = await high_water(rig.keyring)
    assert early != late
    await keep_high_water(rig.keyring, early)  # another process was slower
    assert await high_water(rig.keyring) == late
    await rig.keyring.put("ledger", "high-water", b"damaged")
    await keep_high_water(rig.keyring, early)
    assert await high_water(rig.keyring) == early


async def counted(rig: Rig) -> str:
    """A transfer about three hundred people, and another that was counted and taken back."""
    sent = await rig.send({"a.csv": table(300)}, declared(300))
    await rig.settle()
    back = await rig.send({"b.csv": table(9, 10**5)}, declared(9), dataset="back")
    for _ in range(2):
        await rig.conductor.step(back.id)
    await rig.intake.withdraw(rig.sender, back.id)
    more = await rig.send({"c.csv": table(20, 10**5)}, declared(20), dataset="more")
    await rig.settle()
    assert (await rig.transfer(more.id)).state is State.RECEIPTED
    return sent.id


async def test_persons_that_are_counted_as_the_ledger_says_are_no_problem(rig: Rig):
    await counted(rig)
    assert (await rig.audit.verify()).problems == ()


async def test_persons_taken_out_of_the_database_are_missed(rig: Rig):
    transfer = await counted(rig)
    del rig.records.state.persons[transfer]
    assert f"the persons counted for {transfer} are not those" in await problems(rig)


async def test_persons_made_fewer_in_the_database_are_found(rig: Rig):
    transfer = await counted(rig)
    state = rig.records.state
    state.persons[transfer] = replace(state.persons[transfer], nonsensitive=state.persons[transfer].nonsensitive[:-8])
    found = await problems(rig)
    assert f"the persons counted for {transfer} are not those" in found
    assert "the union of sz-lab's persons of 2026 is not what its sets make" in found


async def test_persons_counted_for_nothing_are_found(rig: Rig):
    transfer = await counted(rig)
    state = rig.records.state
    state.persons["tother"] = replace(state.persons[transfer], transfer_id="tother")
    assert "persons are counted for tother, which the ledger does not say" in await problems(rig)


async def test_a_union_that_leaves_somebody_out_is_found(rig: Rig):
    await counted(rig)
    shards = rig.records.state.shards["sz-lab", 2026, "national"]["nonsensitive"]
    shards.pop(next(iter(shards)))
    assert "the union of sz-lab's persons" in await problems(rig)
