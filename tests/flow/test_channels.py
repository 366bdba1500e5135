"""Green channels through the whole flow: what lies inside leaves at once, what does not says why, and looks afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.errors import BrokenPromise, Conflict, NotFound, NotPermitted, Unusable
from gateway.core.facts import Tag
from gateway.core.registry import NAMESPACE as REGISTRY
from gateway.core.registry import compose_change
from gateway.core.spotcheck import NAMESPACE, TERM
from gateway.core.transfer import State, Transfer
from gateway.flow.incidents import Incidents
from gateway.flow.spotchecks import SpotChecks
from gateway.wire import sshsig
from tests.flow.rig import GENERAL, OFFICERS, Rig

SITES = b"site,latitude,longitude\nA,22.30271,114.17721\nB,22.31945,114.16942\n"
DECLARED: dict[str, Any] = {**GENERAL, "data": {**GENERAL["data"], "precise_geo": True}}


def channel(**changes: Any) -> tuple[str, dict[str, Any]]:
    table: dict[str, Any] = {
        "id": "sites",
        "institution": "sz-lab",
        "project": "trial",
        "endpoint": "hku",
        "rules": ["D7"],
        "columns": {"site": [], "latitude": ["geo_precise", "latitude"], "longitude": ["geo_precise", "longitude"]},
        "formats": ["csv"],
        "classes": ["location"],
        "kinds": ["geo_precise"],
        "files": 3,
        "bytes": 10_000,
        "persons": 0,
        "total_files": 30,
        "total_bytes": 100_000,
        "total_persons": 0,
        "valid_from": "2026-11-01",
        "valid_to": "2027-02-01",
        "sample_percent": 1,
        "reason": "stations of the air network, published anyway",
    }
    return "channel", table | changes


async def sent(rig: Rig, content: bytes = SITES, dataset: str = "data") -> Transfer:
    transfer = await rig.send({"sites.csv": content}, DECLARED, dataset=dataset)
    await rig.settle()
    return await rig.transfer(transfer.id)


def tags(rig: Rig, transfer: Transfer) -> list[Tag]:
    return [entry[0] for entry in rig.records.state.entries if entry[1] == transfer.id]


def broken(transfer: Transfer) -> set[str]:
    return {bound["word"] for each in transfer.decision["channels"] for bound in each["broken"]}


async def test_without_a_channel_it_waits_for_two_officers(rig: Rig):
    waiting = await sent(rig)
    assert (waiting.state, waiting.decision["rules"][0]) == (State.HELD, "D7")
    assert waiting.decision["channels"] == []


async def test_what_lies_inside_leaves_without_waiting_and_the_first_is_looked_at(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    assert gone.state is State.RECEIPTED, gone.decision.get("channels")
    clearance = json.loads(gone.clearance)
    assert (clearance["basis"], clearance["channel"]) == ("channel", "sites")
    assert clearance["officers"] == ["audit-zhao", "security-chen"]
    assert Tag.HELD not in tags(rig, gone)
    (waiting,) = await looks(rig).listed()
    assert (waiting.transfer_id, waiting.sampled.split()[-1]) == (gone.id, "first")
    assert Tag.SAMPLED in tags(rig, gone)


async def test_a_channel_that_comes_later_clears_what_waits(rig: Rig):
    waiting = await sent(rig)
    await rig.register(channel())
    await rig.settle()
    assert (await rig.transfer(waiting.id)).state is State.RECEIPTED


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (b"site,latitude,longitude,note\nA,22.30271,114.17721,x\n", {}, {"column"}),
        (SITES, {"bytes": 20}, {"bytes"}),
        (SITES, {"valid_to": "2026-11-19"}, {"expired"}),
        (SITES, {"valid_from": "2026-11-21"}, {"early"}),
        (SITES, {"rules": ["G7"]}, {"rule"}),
        (SITES, {"formats": ["tsv"]}, {"format"}),
        (SITES, {"classes": []}, {"class"}),
    ],
    ids=["column", "bytes", "expired", "early", "rule", "format", "class"],
)
async def test_what_lies_outside_waits_and_says_which_bound(rig: Rig, content, changes, words):
    await rig.register(channel(**changes))
    found = await sent(rig, content)
    assert (found.state, broken(found)) == (State.HELD, words)


async def test_people_in_it_are_outside(rig: Rig):
    await rig.register(channel())
    found = await sent(rig, b"site,latitude,longitude\nA,22.30271,114.17721\nlin@example.org,22.3,114.1\n")
    assert found.state is State.HELD
    assert {"kind", "persons"} & broken(found)


async def test_totals_are_counted_over_transfers(rig: Rig):
    await rig.register(channel(total_files=3, files=2))
    for number in range(3):
        assert (await sent(rig, dataset=f"d{number}")).state is State.RECEIPTED
    last = await sent(rig, dataset="d3")
    assert (last.state, broken(last)) == (State.HELD, {"total_files"})


async def test_one_security_officer_and_another_are_no_channel(rig: Rig):
    with pytest.raises(BrokenPromise, match="audit officer"):
        await rig.register(channel(), by=("chen", "sun"))


async def test_a_channel_signed_by_somebody_of_the_senders_line_clears_nothing(rig: Rig):
    boss = {"id": "boss", "name": "Boss", "institution": "sz-lab", "real_name_verified": True, "supervisor": "zhao"}
    await rig.register(("person", boss))
    await rig.register(channel())
    found = await sent(rig)
    assert (found.state, broken(found)) == (State.HELD, {"line"})


async def test_a_rejection_stops_what_a_channel_would_let_pass(rig: Rig):
    waiting = await sent(rig)
    await rig.vote(waiting.id, "zhao", "reject")
    await rig.register(channel())
    await rig.settle()
    assert (await rig.transfer(waiting.id)).state is State.REJECTED


# --- before sealing ------------------------------------------------------------------------------------------------------


async def cleared(rig: Rig) -> Transfer:
    await rig.register(channel())
    transfer = await rig.send({"sites.csv": SITES}, DECLARED)
    while (found := await rig.transfer(transfer.id)).state is not State.CLEARED:
        await rig.conductor.step(transfer.id)
    return found


async def test_a_channel_closed_before_sealing_takes_the_clearance_back(rig: Rig):
    transfer = await cleared(rig)
    registry = await rig.registrar.registry()
    change = compose_change(registry.head, (), (("channel", "sites"),))
    first, second = (sshsig.sign(OFFICERS[name][1], change.document, REGISTRY) for name in ("chen", "zhao"))
    await rig.registrar.propose(change, first)
    await rig.registrar.approve(change.digest, second)
    await rig.settle()
    found = await rig.transfer(transfer.id)
    assert found.state is State.HELD
    assert Tag.LAPSED in tags(rig, found)
    assert not rig.hong_kong.files


async def test_a_passage_is_not_believed_without_its_row(rig: Rig):
    transfer = await cleared(rig)
    del rig.records.state.passages[transfer.id]
    await rig.conductor.step(transfer.id)
    assert (await rig.transfer(transfer.id)).state is State.CLASSIFIED
    assert Tag.LAPSED in tags(rig, transfer)


# --- looks afterwards ----------------------------------------------------------------------------------------------------


def looks(rig: Rig) -> SpotChecks:
    return SpotChecks(recorder=rig.recorder, registrar=rig.registrar)


async def look(rig: Rig, transfer: Transfer, finding: str, name: str = "zhao", *, propose: bool = True) -> None:
    role, key = OFFICERS[name]
    desk = looks(rig)
    signed = await desk.look(transfer.id, officer=f"{role}-{name}", finding=finding, reason="compared with the source")
    closing = await desk.closing(transfer.id) if finding == "objection" and propose else None
    change = (closing.document, sshsig.sign(key, closing.document, REGISTRY)) if closing else None
    await desk.close(signed.message(), sshsig.sign(key, signed.message(), NAMESPACE), change)


async def test_a_look_that_ends_well_leaves_the_channel_open(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    await look(rig, gone, "ok")
    assert await looks(rig).listed() == []
    assert tags(rig, gone)[-1] in {Tag.SPOT_CHECKED, Tag.KEY_DESTROYED}
    assert (await sent(rig, dataset="next")).state is State.RECEIPTED
    with pytest.raises(Conflict):
        await look(rig, gone, "objection")


async def test_an_objection_shuts_the_channel_proposes_its_end_and_opens_an_incident(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    await look(rig, gone, "objection")
    (proposal,) = await rig.registrar.proposals()
    assert proposal.change.retire == (("channel", "sites"),)
    (incident,) = await Incidents(rig.recorder).list()
    assert (incident.because, incident.transfers) == ("spot-check", (gone.id,))
    held = await sent(rig, dataset="next")
    assert (held.state, broken(held)) == (State.HELD, {"objection"})
    await rig.register(channel(reason="looked into; the source was right"))
    await rig.settle()
    assert (await rig.transfer(held.id)).state is State.RECEIPTED, "two officers signed another record"


async def test_an_objection_made_good_in_the_database_is_not_believed(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    await look(rig, gone, "objection")
    passages = rig.records.state.passages
    passages[gone.id] = replace(passages[gone.id], finding="ok")
    assert broken(await sent(rig, dataset="next")) == {"objection"}


async def test_an_objection_without_its_change_is_refused(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    with pytest.raises(Unusable, match="signed change"):
        await look(rig, gone, "objection", propose=False)
    assert len(await looks(rig).listed()) == 1


async def test_the_system_officer_does_not_look_and_nobody_looks_at_what_was_not_drawn(rig: Rig):
    await rig.register(channel())
    gone = await sent(rig)
    with pytest.raises(NotPermitted):
        await look(rig, gone, "ok", "wu")
    waiting = await sent(rig, b"site,x\nA,1.5\n", dataset="plain")
    with pytest.raises(NotFound):
        await look(rig, waiting, "ok")


async def test_a_look_nobody_took_shuts_the_channel(rig: Rig):
    await rig.register(channel())
    await sent(rig)
    rig.clock.advance(TERM + timedelta(minutes=1))
    held = await sent(rig, dataset="next")
    assert (held.state, broken(held)) == (State.HELD, {"unlooked"})


@pytest.mark.parametrize("alter", ["deleted", "unsampled", "made good", "invented"])
async def test_the_audit_sees_altered_passages(rig: Rig, alter: str):
    await rig.register(channel())
    gone = await sent(rig)
    await look(rig, gone, "objection")
    assert (await rig.audit.verify()).problems == ()
    passages = rig.records.state.passages
    row = passages.pop(gone.id)
    altered = {
        "unsampled": replace(row, sampled=""),
        "made good": replace(row, finding="ok"),
        "invented": replace(row, channel="other"),
    }
    if alter != "deleted":
        passages[gone.id] = altered[alter]
    (problem,) = (await rig.audit.verify()).problems
    assert "way through a channel" in problem


# --- escalation ----------------------------------------------------------------------------------------------------------


async def test_what_waits_too_long_is_escalated_once(rig: Rig):
    waiting = await sent(rig)  # on a Friday: five working days on is the next Friday
    rig.clock.advance(timedelta(days=7) - timedelta(minutes=1))
    await rig.settle()
    assert (await rig.transfer(waiting.id)).escalated_at is None
    rig.clock.advance(timedelta(minutes=1))
    await rig.settle()
    assert (await rig.transfer(waiting.id)).escalated_at == rig.clock.now()
    rig.clock.advance(timedelta(days=7))
    await rig.settle()
    assert tags(rig, waiting).count(Tag.ESCALATED) == 1
    await rig.vote(waiting.id, "chen")
    await rig.vote(waiting.id, "zhao")
    await rig.settle()
    assert (await rig.transfer(waiting.id)).escalated_at is None


async def test_a_project_may_be_more_impatient(rig: Rig):
    project = {"id": "trial", "institution": "sz-lab", "endpoints": ["hku"], "purpose": "trial A", "escalate_days": 1}
    await rig.register(("project", project))
    waiting = await sent(rig)
    rig.clock.advance(timedelta(days=3))  # Friday to Monday
    await rig.settle()
    assert (await rig.transfer(waiting.id)).escalated_at == rig.clock.now()


async def test_what_waits_for_a_paper_is_nobodys_vote(rig: Rig):
    transfer = await rig.send({"a.csv": b"a,b\n1,2\n"}, {**GENERAL, "data": {**GENERAL["data"], "level": "general"}})
    await rig.register(("institution", {**dict(rig.world()[0][1]), "filing_number": "", "filed_from": "2026-01-01"}))
    await rig.settle()
    held = await rig.transfer(transfer.id)
    assert (held.state, held.decision["cure"], held.escalate_at) == (State.HELD, "documents", None)
