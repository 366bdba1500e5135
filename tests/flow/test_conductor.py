"""Whole lives: what a transfer goes through, and that nothing that stops the process changes where it ends."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import EndpointError, StoreError
from gateway.core.transfer import ENDS, State
from tests.flow.rig import GENERAL, Rig, filing, personal

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 1000


class Killed(BaseException):
    """The process is gone; no handler may run."""


async def test_an_allowed_dataset_arrives_and_opens_to_what_was_sent(rig: Rig):
    sent = await rig.send({"a/penguins.csv": TABLE, "empty.txt": b""})
    await rig.settle()
    ended = await rig.transfer(sent.id)
    assert ended.state is State.RECEIPTED
    assert rig.arrived("a/penguins.csv.c4gh") == TABLE
    assert rig.arrived("empty.txt.c4gh") == b""
    assert ended.keys_destroyed
    assert not rig.spool.names(sent.id)
    with pytest.raises(StoreError, match=r"gone|destroyed"):
        await rig.keyring.get(sent.id, "sealed/0")
    assert (await rig.audit.verify()).problems == ()


async def test_what_cannot_be_interpreted_waits_for_two_officers(rig: Rig):
    sent = await rig.send({"scan.bin": os.urandom(5000)})
    await rig.settle()
    held = await rig.transfer(sent.id)
    assert (held.state, held.decision["cure"]) == (State.HELD, "judgement")
    assert "D10" in held.decision["rules"]
    await rig.vote(sent.id, "chen")
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.HELD
    await rig.vote(sent.id, "zhao")
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED


async def test_one_rejection_ends_it(rig: Rig):
    sent = await rig.send({"scan.bin": os.urandom(5000)})
    await rig.settle()
    await rig.vote(sent.id, "chen")
    await rig.vote(sent.id, "zhao", "reject")
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.REJECTED
    assert not rig.hong_kong.files


async def test_a_missing_document_is_no_matter_for_votes_and_is_decided_again_once_filed(rig: Rig):
    sent = await rig.send({"a.csv": TABLE}, personal(nonsensitive=150_000))
    await rig.settle()
    held = await rig.transfer(sent.id)
    assert (held.state, held.decision["cure"]) == (State.HELD, "documents")
    await rig.vote(sent.id, "chen")
    await rig.vote(sent.id, "zhao")
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.HELD
    await rig.register(filing("SCC"))
    await rig.settle()
    ended = await rig.transfer(sent.id)
    assert (ended.state, ended.decision["verdict"]) == (State.RECEIPTED, "allow")
    assert "P9" in ended.decision["rules"]


async def test_a_secrecy_mark_is_refused_and_its_key_goes_after_the_appeal_term(rig: Rig):
    sent = await rig.send({"x.txt": "机密★10年\n".encode()})
    await rig.settle()
    refused = await rig.transfer(sent.id)
    assert (refused.state, refused.decision["rules"][0]) == (State.REFUSED, "D1")
    rig.clock.advance(days=29, hours=23)
    await rig.settle()
    assert not (await rig.transfer(sent.id)).keys_destroyed
    assert rig.spool.names(sent.id)
    rig.clock.advance(hours=2)
    await rig.settle()
    assert (await rig.transfer(sent.id)).keys_destroyed
    assert not rig.spool.names(sent.id)


async def test_persons_are_counted_once_however_often_they_are_sent(rig: Rig):
    first = await rig.send({"a.csv": TABLE}, personal(nonsensitive=60_000))
    await rig.settle()
    second = await rig.send({"a.csv": TABLE}, personal(nonsensitive=60_000), dataset="again")
    await rig.settle()
    assert (await rig.transfer(first.id)).state is State.RECEIPTED
    # Declared numbers carry no identity: together they may be 120,000 people, and that needs a contract.
    held = await rig.transfer(second.id)
    assert held.state is State.HELD
    assert held.decision["situation"]["persons"]["nonsensitive"] == 120_000


async def test_a_permanent_refusal_ends_in_one_attempt(rig: Rig):
    rig.hong_kong.refusal = EndpointError("the account is closed", retry=False)
    sent = await rig.send({"a.csv": TABLE})
    await rig.settle()
    failed = await rig.transfer(sent.id)
    assert (failed.state, failed.attempts, failed.reason) == (State.FAILED, 1, "the account is closed")


async def test_a_passing_trouble_is_tried_again_later(rig: Rig):
    rig.hong_kong.refusal = EndpointError("the line is down")
    sent = await rig.send({"a.csv": TABLE})
    await rig.settle()
    waiting = await rig.transfer(sent.id)
    assert waiting.state is State.RELAYING
    assert waiting.next_at is not None
    assert waiting.next_at > rig.clock.now()
    rig.hong_kong.refusal = None
    rig.clock.set(waiting.next_at)
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED


@pytest.mark.parametrize("state", [State.OPEN, State.HELD])
async def test_nothing_waits_for_ever(rig: Rig, state: State):
    sent = await rig.send({"scan.bin": os.urandom(100)}, submit=state is State.HELD)
    await rig.settle()
    waiting = await rig.transfer(sent.id)
    assert waiting.state is state
    assert waiting.due is not None
    rig.clock.set(waiting.due)
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.EXPIRED


async def test_a_clearance_does_not_outlive_its_year(rig: Rig):
    sent = await rig.send({"a.csv": TABLE}, personal(nonsensitive=10))
    for _ in range(2):  # classify, decide
        await rig.conductor.step(sent.id)
    assert (await rig.transfer(sent.id)).state is State.CLEARED
    assert sent.id in rig.records.state.persons
    rig.clock.advance(days=42)
    await rig.conductor.step(sent.id)
    assert (await rig.transfer(sent.id)).state is State.CLASSIFIED
    assert sent.id not in rig.records.state.persons


async def test_a_withdrawal_before_departure_gives_the_persons_back(rig: Rig):
    sent = await rig.send({"a.csv": TABLE}, personal(nonsensitive=10))
    for _ in range(3):
        await rig.conductor.step(sent.id)
    assert (await rig.transfer(sent.id)).state is State.SEALED
    await rig.intake.withdraw(rig.sender, sent.id)
    assert sent.id not in rig.records.state.persons
    await rig.settle()
    assert not rig.hong_kong.files
    assert (await rig.audit.verify()).problems == ()


async def _lives(rig: Rig) -> dict[str, State]:
    """Three datasets with three different ends, driven to rest."""
    allowed = await rig.send({"a.csv": TABLE}, GENERAL, dataset="allowed")
    held = await rig.send({"b.bin": b"\x00\x01" * 500}, GENERAL, dataset="held")
    refused = await rig.send({"c.txt": "绝密★30年\n".encode()}, GENERAL, dataset="refused")
    await rig.settle()
    return {each.dataset: (await rig.transfer(each.id)).state for each in (allowed, held, refused)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(killed_at=st.lists(st.integers(0, 12), max_size=6))
async def test_a_crash_before_or_after_any_commit_ends_where_it_would_have(killed_at: list[int]):
    rig = Rig()
    await rig.found()
    sent = [
        await rig.send({"a.csv": TABLE}, GENERAL, dataset="allowed"),
        await rig.send({"b.bin": b"\x00\x01" * 500}, GENERAL, dataset="held"),
        await rig.send({"c.txt": "绝密★30年\n".encode()}, GENERAL, dataset="refused"),
    ]
    for commits in killed_at:
        await _run_until_killed(rig, commits)
        rig.restart()
        rig.clock.advance(minutes=3)  # the dead process's leases run out
    await rig.settle()
    states = {each.dataset: (await rig.transfer(each.id)).state for each in sent}
    assert states == {"allowed": State.RECEIPTED, "held": State.HELD, "refused": State.REFUSED}
    assert rig.arrived("a.csv.c4gh") == TABLE
    audited = await rig.audit.verify()
    assert audited.problems == ()
    assert len([name for name in rig.hong_kong.files if name.endswith(".c4gh")]) == 1
    rig.pool.shutdown()


async def _run_until_killed(rig: Rig, commits: int) -> None:
    """Work until so many commits later the process is gone, before that commit takes effect."""
    left = commits

    def before_commit() -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    rig.records.before_commit = before_commit
    try:
        await rig.conductor.settle()
    except Killed:
        pass
    finally:
        rig.records.before_commit = None


async def test_every_end_is_reached_and_every_state_has_an_age(rig: Rig):
    states = await _lives(rig)
    assert states == {"allowed": State.RECEIPTED, "held": State.HELD, "refused": State.REFUSED}
    counts = rig.records.state.transfers.values()
    assert all(each.due is not None or each.state in ENDS for each in counts)
