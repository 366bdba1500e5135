"""Answers about decisions: certificates that compute again, reasons with their sources, and the same facts under other rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core import certificate
from gateway.core.errors import BrokenPromise, Conflict, NotFound
from gateway.core.situation import thaw_situation
from gateway.flow.answers import replay
from gateway.ports import TransferFilter
from gateway.stores.rulebooks import load_policies, prc_calendar
from tests.flow.rig import GENERAL, Rig, personal

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 50
PACK = load_policies()


def held_files():
    return {"scan.bin": bytes(range(256)) * 8}


def checked(document: bytes) -> list[str]:
    return certificate.check(certificate.parse(document), PACK.rulebook, PACK.vocabulary, prc_calendar())


@pytest.mark.parametrize("files", [{"a.csv": TABLE}, held_files()], ids=["cleared", "held"])
async def test_a_certificate_computes_again(rig: Rig, files):
    sent = await rig.send(files)
    await rig.settle()
    document, signature = await rig.answers.certificate(sent.id)
    assert checked(document) == []
    assert signature.startswith("-----BEGIN SSH SIGNATURE-----")
    assert certificate.parse(document).transfer == sent.id


async def test_votes_are_about_the_case_the_certificate_names(rig: Rig):
    sent = await rig.send(held_files())
    await rig.settle()
    document, _ = await rig.answers.certificate(sent.id)
    ballot = await rig.review.ballot(sent.id, officer="security-chen", vote="approve", reason="seen")
    assert ballot.case == certificate.parse(document).case


async def test_an_altered_row_gives_no_certificate(rig: Rig):
    sent = await rig.send(held_files())
    await rig.settle()
    transfer = await rig.transfer(sent.id)
    altered = {**transfer.decision, "verdict": "allow"}
    async with rig.records.write() as tx:
        await tx.put_transfer(replace(transfer, decision=altered))
    with pytest.raises(BrokenPromise):
        await rig.answers.certificate(sent.id)


async def test_no_decision_no_certificate(rig: Rig):
    with pytest.raises(NotFound):
        await rig.answers.certificate("nobody")
    opened = await rig.send({"a.csv": TABLE}, submit=False)
    with pytest.raises(Conflict):
        await rig.answers.certificate(opened.id)


async def test_an_explanation_says_from_where_and_what_would_help(rig: Rig):
    sent = await rig.send({"a.csv": TABLE}, personal(sensitive=50))
    await rig.settle()
    told = await rig.answers.explained(sent.id)
    assert told["sources"]["sender.filed"] == "registry"
    assert told["sources"]["persons.sensitive"] == "ledger"
    assert told["sources"]["duties.notice"] == "declared"
    assert told["sources"]["technical.ledger_ok"] == "gateway"
    assert told["sources"]["data.secrecy_mark"] in {"assumed", "declared"}
    assert told["decision"]["verdict"] == "hold"
    assert told["smallest"]


async def test_detected_facts_are_said_to_be_detected(rig: Rig):
    people = b"name,id_number\n" + b"".join(b"x,%s\n" % i for i in (b"11010519491231002X", b"440300199001011238"))
    sent = await rig.send({"a.csv": people}, GENERAL)
    await rig.settle()
    told = await rig.answers.explained(sent.id)
    assert told["sources"]["data.personal"] == "detected"


async def test_a_replay_under_the_same_rules_changes_nothing_and_under_others_lists_what_does(rig: Rig):
    await rig.send({"a.csv": TABLE}, dataset="one")
    await rig.send(held_files(), dataset="two")
    await rig.settle()
    same = [each async for each in rig.answers.replayed(PACK.rulebook, PACK.vocabulary, TransferFilter())]
    assert len(same) == 2
    assert not any(each.differs for each in same)
    without = replace(PACK.rulebook, rules=tuple(rule for rule in PACK.rulebook.rules if rule.id != "P0"))
    other = [each async for each in rig.answers.replayed(without, PACK.vocabulary, TransferFilter())]
    changed = [each for each in other if each.differs]
    assert {each.transfer.dataset for each in changed} >= {"one"}
    one = next(each for each in changed if each.transfer.dataset == "one")
    assert (one.before[0], one.after[0]) == ("allow", "hold")


async def test_facts_another_pack_cannot_read_are_a_hold_that_says_so(rig: Rig):
    await rig.send({"a.csv": TABLE})
    await rig.settle()
    (transfer,) = [
        each.transfer async for each in rig.answers.replayed(PACK.rulebook, PACK.vocabulary, TransferFilter())
    ]
    situation = {**transfer.decision["situation"], "unheard": 1}
    odd = replace(transfer, decision={**transfer.decision, "situation": situation})
    assert replay(odd, PACK.rulebook, PACK.vocabulary, prc_calendar()).after[0] == "hold"
    assert thaw_situation(transfer.decision["situation"], PACK.vocabulary)
