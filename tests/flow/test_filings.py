"""Filings as people look at them, and lists as decisions meet them."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.core.errors import NotFound
from gateway.core.records import EvidenceDocument, FiledMechanism
from gateway.core.transfer import State
from gateway.flow.decide import Decider
from gateway.flow.filings import Filings, missing_documents, recorded_document
from gateway.stores.rulebooks import prc_calendar
from tests.flow.rig import Rig, filing
from tests.flow.test_usage import sent

HASH = "0" * 64
LISTED = {"id": "r-1", "source": "CAC 2026/9", "basis_sha256": HASH, "listed_from": "2026-11-21"}
WHITE = {
    "id": "w-lab",
    "kind": "institution",
    "subject": "sz-lab",
    "source": "Hetao 2026/1",
    "basis_sha256": HASH,
    "listed_from": "2026-11-01",
    "counts_as": "filed",
}


def board(rig: Rig) -> Filings:
    return Filings(recorder=rig.recorder, registrar=rig.registrar, calendar=prc_calendar())


async def rules(rig: Rig, dataset: str) -> tuple[State, list[str]]:
    made = await rig.send({"a.csv": b"x\n1\n"}, dataset=dataset)
    await rig.settle()
    found = await rig.transfer(made.id)
    return found.state, found.decision["rules"]


async def test_a_board_of_filings(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=6), filing("CERT"))
    assert (await sent(rig, 6, dataset="a"))[0] is State.RECEIPTED
    found = {each.filing.id: each for each in await board(rig).all()}
    assert {key: (each.standing.state, each.count) for key, each in found.items()} == {
        "scc": ("full", 6),
        "cert": ("in_force", 6),
    }
    assert [each.filing.id for each in await board(rig).all(institution="other")] == []
    assert (await board(rig).show("cert", on=date(2030, 1, 1))).standing.state == "expired"
    with pytest.raises(NotFound):
        await board(rig).show("nothing")
    states, days = await board(rig).counts()
    assert (states["in_force"], states["expired"]) == (2, 0)
    assert days == {"CERT": (date(2029, 11, 2) - date(2026, 11, 20)).days}


def test_documents_are_told_apart_by_their_bytes() -> None:
    papers = (EvidenceDocument("a.pdf", "1" * 64), EvidenceDocument("b.pdf", "2" * 64))
    filed = FiledMechanism("sa", "sz-lab", "SA", ("hku",), evidence_sha256=HASH, evidence=papers)
    assert [recorded_document(filed, each) for each in ("1" * 64, HASH, "3" * 64)] == ["a.pdf", "sa", None]
    assert missing_documents(filed, ["1" * 64]) == ("sa", "b.pdf")
    assert missing_documents(filed, ["1" * 64, "2" * 64, HASH, "3" * 64]) == ()
    assert recorded_document(FiledMechanism("x", "sz-lab", "SA", ()), "") is None


async def test_a_listing_of_today_stops_what_goes_to_an_endpoint_of_yesterday(rig: Rig) -> None:
    assert (await rules(rig, "a"))[0] is State.RECEIPTED
    await rig.register(("restricted", {**LISTED, "names": ["ＨＫＵ"]}))
    assert (await rules(rig, "b"))[0] is State.RECEIPTED, "the day before it is listed"
    rig.clock.advance(days=1)
    state, fired = await rules(rig, "c")
    assert (state, fired[0]) == (State.REFUSED, "D4")
    await rig.register(("restricted", {**LISTED, "names": ["ＨＫＵ"], "listed_to": "2026-11-21"}))
    rig.clock.advance(days=1)
    assert (await rules(rig, "d"))[0] is State.RECEIPTED, "taken off the list"


async def test_a_whitelist_makes_filed_where_two_officers_said_so(rig: Rig) -> None:
    unfiled = {key: value for key, value in rig.world()[0][1].items() if not key.startswith("fil")}
    await rig.register(("institution", unfiled))
    assert "D9" in (await rules(rig, "a"))[1]
    await rig.register(("whitelist", {**WHITE, "counts_as": ""}))
    assert "D9" in (await rules(rig, "b"))[1], "recorded, and nothing follows"
    await rig.register(("whitelist", WHITE))
    assert "D9" not in (await rules(rig, "c"))[1]


async def test_a_setting_may_ask_for_an_entry_and_grants_nothing(rig: Rig) -> None:
    def needing(*kinds: str) -> None:
        told = {name[1:]: value for name, value in vars(rig.decider).items() if name != "_needed"}
        rig.decider = Decider(**told, whitelist_needed=frozenset(kinds))
        rig.conductor._stages |= {State.CLASSIFIED: rig.decider.step, State.HELD: rig.decider.step}

    needing("institution")
    assert "D9" in (await rules(rig, "a"))[1]
    await rig.register(("whitelist", WHITE))
    assert (await rules(rig, "b"))[0] is State.RECEIPTED
    needing("institution", "person")
    assert "D9" in (await rules(rig, "c"))[1]
    await rig.register(("whitelist", {**WHITE, "id": "w-lin", "kind": "person", "subject": "lin", "counts_as": ""}))
    assert (await rules(rig, "d"))[0] is State.RECEIPTED
