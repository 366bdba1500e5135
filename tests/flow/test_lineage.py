"""What comes in from Hong Kong, and what goes back: by the registry's directions, and by the people on both sides."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from gateway.core.errors import BrokenPromise, Unusable
from gateway.core.identity import Principal
from gateway.core.persons import unpack
from gateway.core.transfer import State, Transfer
from gateway.flow import keeper
from gateway.flow.enquiry import sender_view
from gateway.flow.incoming import Announced
from gateway.flow.recorder import ALL_TIME
from gateway.flow.reports import Reports, year_of
from gateway.wire import crypt4gh
from tests.flow.rig import DUTIES, GENERAL, Rig, chunks, filing, key_pair, personal, sender
from tests.flow.test_decide import resident_numbers
from tests.flow.test_inspect import EICAR

HKU, LAB = sender("hku-med", "wong"), sender("sz-lab", "lin")
SZ_PRIVATE, SZ_PUBLIC = key_pair("sz")


def partner(identifier: str = "hku-med", **changes: Any) -> tuple[str, dict[str, Any]]:
    table = {
        "id": identifier,
        "name_zh": "香港大学医学院",
        "name_en": "HKU Medicine",
        "uscc": "",
        "place": "HK",
        "filing_number": "HT-HK-1",
        "filed_from": "2026-01-01",
    }
    return "institution", table | changes


def drop(identifier: str = "sz-in", institution: str = "sz-lab", **changes: Any) -> tuple[str, dict[str, Any]]:
    table = {
        "id": identifier,
        "name": "Shenzhen Laboratory, incoming",
        "place": "CN-SZ",
        "connector": "fake",
        "recipient_key": base64.b64encode(SZ_PUBLIC).decode(),
        "institution": institution,
    }
    return "endpoint", table | changes


def project(identifier: str, institution: str, endpoint: str, family: str = "cohort") -> tuple[str, dict[str, Any]]:
    table = {"id": identifier, "institution": institution, "endpoints": [endpoint], "purpose": "cohort study"}
    return "project", table | {"family": family}


async def both_sides(rig: Rig) -> None:
    """A Hong Kong institution that sends to the Shenzhen laboratory, and a project of each for one undertaking."""
    wong = {"id": "wong", "name": "Wong", "institution": "hku-med", "real_name_verified": True}
    await rig.register(
        partner(),
        ("person", wong),
        drop(),
        project("cohort-in", "hku-med", "sz-in"),
        project("cohort-out", "sz-lab", "hku"),
    )


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    await both_sides(made)
    return made


def patients(first: int, count: int) -> list[str]:
    return list(islice(resident_numbers(), first, first + count))


def table(numbers: list[str], value: str = "7.1") -> bytes:
    return ("身份证号,血糖\n" + "".join(f"{each},{value}\n" for each in numbers)).encode()


def about(count: int, **more: Any) -> dict[str, Any]:
    return {**personal(sensitive=count), "duties": DUTIES, **more}


def back(count: int, *named: Transfer, **exemption: Any) -> dict[str, Any]:
    return about(count, lineage=[each.id for each in named], exemption={"claimed": "art4", **exemption})


async def send(
    rig: Rig,
    who: Principal,
    files: Mapping[str, bytes],
    declaration: Mapping[str, Any],
    *,
    where: tuple[str, str],
    dataset: str = "data",
) -> Transfer:
    endpoint, named = where
    opened = await rig.intake.open_transfer(
        who, endpoint=endpoint, project=named, dataset=dataset, declaration=declaration
    )
    for path, content in files.items():
        await rig.intake.receive(who, opened.id, path, chunks(content), Announced(len(content)))
    await rig.intake.submit(who, opened.id)
    await rig.settle()
    return await rig.enquiry.transfer(who, opened.id)


async def come_in(rig: Rig, numbers: list[str], **more: Any) -> Transfer:
    content = {"cohort.csv": table(numbers)}
    return await send(rig, HKU, content, about(len(numbers)), where=("sz-in", "cohort-in"), **more)


async def go_back(rig: Rig, files: Mapping[str, bytes], declaration: Mapping[str, Any], **more: Any) -> Transfer:
    return await send(rig, LAB, files, declaration, where=("hku", "cohort-out"), **more)


# --- which way -----------------------------------------------------------------------------------------------------------


async def test_what_comes_in_is_inspected_decided_sealed_and_delivered(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    assert (arrived.direction, arrived.state) == ("inbound", State.RECEIPTED)
    assert (arrived.decision["verdict"], arrived.decision["rules"]) == ("allow", ["I1"])
    assert arrived.findings["persons_exact"]
    (sealed,) = [content for name, content in rig.hong_kong.files.items() if name.endswith("cohort.csv.c4gh")]
    length = crypt4gh.header_length(sealed)
    assert length is not None
    keys = crypt4gh.open_header(sealed[:length], SZ_PRIVATE).session_keys
    assert crypt4gh.SegmentOpener(keys).open(sealed[length:]) == table(patients(0, 50))


async def test_who_came_in_adds_to_no_count_and_the_clearance_commits_to_them(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    kept = rig.records.state.persons[arrived.id]
    assert (kept.track, kept.year, kept.entity) == ("inbound", ALL_TIME, "hku-med")
    assert unpack(kept.nonsensitive).size == 50
    assert rig.records.state.unions == {}
    audited = await rig.audit.verify()
    assert audited.problems == ()
    reports = Reports(recorder=rig.recorder, registrar=rig.registrar, ledger=rig.ledger)
    assert (await reports.outbound("hku-med", year_of(2026), kind="yearly")).about["count"] == 0
    rig.records.state.persons[arrived.id] = replace(kept, nonsensitive=kept.nonsensitive[8:] + b"\xff" * 8)
    assert any("came in under" in each for each in (await rig.audit.verify()).problems)


async def test_the_sender_cannot_say_which_way_it_goes(rig: Rig):
    with pytest.raises(Unusable, match="direction"):
        await go_back(rig, {"a.csv": b"x\n"}, {**GENERAL, "direction": "inbound"})
    out = await go_back(rig, {"a.csv": b"x\n1\n"}, GENERAL)
    assert (out.direction, out.decision["situation"]["direction"]) == ("outbound", "outbound")


async def test_a_recipient_that_moved_makes_it_an_export(rig: Rig):
    opened = await rig.intake.open_transfer(
        HKU, endpoint="sz-in", project="cohort-in", dataset="moved", declaration=about(50)
    )
    await rig.intake.receive(HKU, opened.id, "a.csv", chunks(table(patients(0, 50))), Announced())
    await rig.register(drop(place="SG", institution=""))
    await rig.intake.submit(HKU, opened.id)
    await rig.settle()
    held = await rig.enquiry.transfer(HKU, opened.id)
    assert (held.direction, held.state) == ("inbound", State.HELD)
    assert (held.decision["situation"]["direction"], "P8" in held.decision["rules"]) == ("outbound", True)


async def test_looking_at_it_from_hong_kong_makes_it_an_export(rig: Rig):
    words = about(50)
    words["data"] = {**words["data"], "remote_access": True}
    seen = await send(rig, HKU, {"a.csv": table(patients(0, 50))}, words, where=("sz-in", "cohort-in"))
    assert (seen.direction, seen.state) == ("inbound", State.HELD)
    assert "P8" in seen.decision["rules"]
    assert "I1" not in seen.decision["rules"]


@pytest.mark.parametrize(
    ("content", "state", "rule"),
    [
        ("机密★10年\n".encode(), State.REFUSED, "D1"),
        (gzip.compress(b"a,b\n1,2\n" * 50)[:-9], State.HELD, "D10"),
        (EICAR, State.HELD, "D10"),  # a scanner is set up: what comes in from abroad is scanned
    ],
    ids=["mark", "cut", "malware"],
)
async def test_what_comes_in_meets_the_rules_that_run_both_ways(rig: Rig, content: bytes, state: State, rule: str):
    name = "a.csv.gz" if content[:2] == b"\x1f\x8b" else "a.txt"
    found = await send(rig, HKU, {name: content}, GENERAL, where=("sz-in", "cohort-in"))
    assert (found.state, rule in found.decision["rules"]) == (state, True)
    assert rig.hong_kong.files == {}


async def test_a_partner_that_is_not_filed_is_held(rig: Rig):
    await rig.register(partner(filing_number=""))
    assert "D9" in (await come_in(rig, patients(0, 5))).decision["rules"]


# --- the way back --------------------------------------------------------------------------------------------------------


async def test_a_processed_table_of_people_who_came_in_goes_back_and_counts_nobody(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    processed = table(patients(5, 40), "risk 0.2")
    gone = await go_back(rig, {"risk.csv": processed}, back(40, arrived))
    assert gone.state is State.RECEIPTED, gone.decision
    assert "P1" in gone.decision["rules"]
    exemption = gone.decision["situation"]["exemption"]
    assert (exemption["evidence"], exemption["mainland_data_added"]) == (["collected_abroad"], False)
    assert gone.decision["lineage"] == {
        "state": "proven",
        "added": 0,
        "came_in": {"identified": 50, "by_number": 0},
        "going_out": {"identified": 40, "by_number": 0},
        "transfers": [arrived.id],
    }
    assert (await rig.answers.explained(gone.id))["sources"]["exemption.evidence"] == "detected"
    assert set(rig.records.state.persons) == {arrived.id}  # of those who went back nobody is counted
    after = await go_back(rig, {"a.csv": table(patients(900, 3))}, about(3), dataset="own")
    assert after.decision["situation"]["persons"]["sensitive"] == 3
    assert (await rig.audit.verify()).problems == ()


async def test_one_person_more_is_held_and_officers_are_told_how_many(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    numbers = [*patients(5, 40), *patients(500, 1)]
    words = back(41, arrived, evidence=["collected_abroad"], mainland_data_added=False)
    held = await go_back(rig, {"risk.csv": table(numbers)}, words)
    assert held.state is State.HELD
    assert {"P19", "P1"} & set(held.decision["rules"]) == {"P19"}
    assert held.decision["situation"]["exemption"]["mainland_data_added"] is True
    officers = await rig.review.show(held.id)
    (found,) = [each for each in officers["on_the_whole"] if each["kind"] == "lineage_added"]
    assert (found["count"], found["where"]) == (1, "added")
    told = sender_view(held)
    assert (told["direction"], told["lineage"]) == ("outbound", [arrived.id])
    assert told["decision"]["lineage"] == {"state": "added", "added": 10}  # rounded: ten is as near as a sender gets
    assert "lineage-added" in [each.get("code") for each in told["decision"]["remedies"]]
    # Taken back, the claim is decided as any export is; a filing then carries it.
    await rig.register(filing("SCC"))
    await rig.intake.declare(LAB, held.id, about(41))
    await rig.settle()
    assert (await rig.transfer(held.id)).state is State.RECEIPTED


async def test_last_years_people_are_known_this_year(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    rig.clock.advance(days=60)  # 2027
    rig.restart()
    gone = await go_back(rig, {"risk.csv": table(patients(0, 50))}, _this_year(back(50, arrived)))
    assert (gone.state, gone.decision["lineage"]["state"]) == (State.RECEIPTED, "proven")
    held = await go_back(rig, {"risk.csv": table(patients(20, 50))}, _this_year(back(50, arrived)), dataset="more")
    assert (held.state, held.decision["lineage"]["added"]) == (State.HELD, 20)


def _this_year(words: dict[str, Any]) -> dict[str, Any]:
    return {**words, "duties": {**DUTIES, "pipia": "2027-01-02"}}


async def test_several_transfers_together_are_what_came_in(rig: Rig):
    first, second = [await come_in(rig, patients(30 * part, 30), dataset=f"part-{part}") for part in range(2)]
    both = await go_back(rig, {"a.csv": table(patients(0, 60))}, back(60, first, second), dataset="both")
    one = await go_back(rig, {"a.csv": table(patients(0, 60))}, back(60, first), dataset="one")
    assert (both.decision["lineage"]["state"], one.decision["lineage"]["added"]) == ("proven", 30)


async def test_people_who_came_in_compressed_are_people_who_came_in(rig: Rig):
    content = {"cohort.csv.gz": gzip.compress(table(patients(0, 50)))}
    arrived = await send(rig, HKU, content, about(50), where=("sz-in", "cohort-in"))
    assert rig.inspection.inspected == ["cohort.csv.gz"]
    gone = await go_back(rig, {"a.csv": table(patients(0, 50))}, back(50, arrived))
    assert gone.decision["lineage"]["state"] == "proven"


async def test_without_identifiers_nothing_is_proven_and_officers_see_that(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    rows = ("姓名,血糖\n" + "张三,7.1\n" * 40).encode()
    bare = await go_back(rig, {"a.csv": rows}, back(40, arrived), dataset="bare")
    assert "P19" in bare.decision["rules"]  # nothing declared, nothing proven
    words = back(40, arrived, evidence=["collected_abroad"], mainland_data_added=False)
    gone = await go_back(rig, {"a.csv": rows}, words, dataset="declared")
    assert (gone.state, gone.decision["lineage"]["state"]) == (State.RECEIPTED, "unproven")
    shown = await rig.review.show(gone.id)
    assert "lineage_unproven" in [each["kind"] for each in shown["on_the_whole"]]
    assert (await rig.answers.explained(gone.id))["sources"]["exemption.evidence"] == "declared"


async def test_in_a_family_who_claims_must_name_what_came_in(rig: Rig):
    words = about(40, exemption={"claimed": "art4", "evidence": ["collected_abroad"], "mainland_data_added": False})
    held = await go_back(rig, {"a.csv": table(patients(0, 40))}, words)
    assert (held.state, held.decision["lineage"]["state"]) == (State.HELD, "unnamed")
    assert "P19" in held.decision["rules"]
    # A project without a family has no other side here: its sender's word stands alone, and is marked as that.
    alone = await send(rig, LAB, {"a.csv": table(patients(0, 40))}, words, where=("hku", "trial"))
    assert (alone.state, alone.decision["lineage"]["state"]) == (State.RECEIPTED, "unproven")


# --- what may be named ---------------------------------------------------------------------------------------------------


async def test_what_came_in_for_somebody_else_is_refused_as_what_does_not_exist_is(rig: Rig):
    other = {**rig.world()[0][1], "id": "other-lab", "uscc": "9144030071526726XG"}
    await rig.register(
        ("institution", other),
        drop("other-in", "other-lab"),
        project("other-cohort", "hku-med", "other-in"),
        project("strange", "hku-med", "sz-in", family="elsewhere"),
    )
    theirs = await send(rig, HKU, {"a.csv": table(patients(0, 5))}, about(5), where=("other-in", "other-cohort"))
    strange = await send(rig, HKU, {"a.csv": table(patients(0, 5))}, about(5), where=("sz-in", "strange"))
    waiting = await rig.intake.open_transfer(HKU, endpoint="sz-in", project="cohort-in", dataset="open")
    outbound = await go_back(rig, {"a.csv": b"x\n1\n"}, GENERAL)
    assert {theirs.state, strange.state} == {State.RECEIPTED}
    told = set()
    for named in (theirs.id, strange.id, waiting.id, outbound.id, "t" + "a" * 24):
        with pytest.raises(Unusable) as refused:
            await rig.intake.open_transfer(
                LAB, endpoint="hku", project="cohort-out", dataset="x", declaration={**GENERAL, "lineage": [named]}
            )
        assert refused.value.code == "bad-declaration"
        told.add(str(refused.value.message).replace(named, "?"))
    assert len(told) == 1
    draft = await rig.intake.open_transfer(LAB, endpoint="hku", project="cohort-out", dataset="y", declaration=GENERAL)
    with pytest.raises(Unusable, match="no inbound transfer"):
        await rig.intake.declare(LAB, draft.id, {**GENERAL, "lineage": [theirs.id]})


async def test_what_was_named_and_is_lost_since_proves_nothing(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    opened = await rig.intake.open_transfer(
        LAB, endpoint="hku", project="cohort-out", dataset="z", declaration=back(40, arrived)
    )
    await rig.intake.receive(LAB, opened.id, "a.csv", chunks(table(patients(0, 40))), Announced())
    await rig.intake.submit(LAB, opened.id)
    await rig.register(project("cohort-in", "hku-med", "sz-in", family="another"))
    await rig.settle()
    held = await rig.transfer(opened.id)
    assert (held.state, held.decision["lineage"]["state"]) == (State.HELD, "lost")
    await rig.register(project("cohort-in", "hku-med", "sz-in"))
    await rig.settle()
    assert (await rig.transfer(opened.id)).state is State.RECEIPTED


async def test_a_destroyed_evidence_key_proves_nothing(rig: Rig):
    arrived = await come_in(rig, patients(0, 50))
    await rig.keyring.destroy(arrived.id)
    rig.restart()
    held = await go_back(rig, {"a.csv": table(patients(0, 40))}, back(40, arrived))
    assert (held.state, held.decision["lineage"]["state"]) == (State.HELD, "lost")


async def test_people_put_into_the_database_by_hand_are_not_believed(rig: Rig):
    arrived, more = await come_in(rig, patients(0, 50)), await come_in(rig, patients(500, 1), dataset="more")
    sets = rig.records.state.persons
    sets[arrived.id] = replace(sets[arrived.id], nonsensitive=sets[more.id].nonsensitive)
    opened = await rig.intake.open_transfer(
        LAB, endpoint="hku", project="cohort-out", dataset="f", declaration=back(1, arrived)
    )
    await rig.intake.receive(LAB, opened.id, "a.csv", chunks(table(patients(500, 1))), Announced())
    await rig.intake.submit(LAB, opened.id)
    await rig.conductor.step(opened.id)
    with pytest.raises(BrokenPromise, match="who came in under"):
        await rig.decider.step(await rig.transfer(opened.id))


async def test_a_clearance_that_lapses_takes_back_who_was_to_come_in(rig: Rig):
    opened = await rig.intake.open_transfer(
        HKU, endpoint="sz-in", project="cohort-in", dataset="w", declaration=about(50)
    )
    await rig.intake.receive(HKU, opened.id, "a.csv", chunks(table(patients(0, 50))), Announced())
    await rig.intake.submit(HKU, opened.id)
    await rig.conductor.step(opened.id)
    await rig.conductor.step(opened.id)
    assert opened.id in rig.records.state.persons
    await rig.intake.withdraw(HKU, opened.id)
    assert rig.records.state.persons == {}


async def test_nothing_of_people_is_kept_over_the_years_where_no_family_is(rig: Rig):
    sent = await send(rig, LAB, {"a.csv": table(patients(0, 5))}, about(5), where=("hku", "trial"))
    async with rig.records.read() as view:
        assert [each.persons_lasting for each in await view.files(sent.id)] == [b""]
    assert "440305" not in json.dumps(dict(sent.decision))


async def test_people_of_a_small_file_that_was_noted_only_are_known_after_a_crash(rig: Rig, monkeypatch):
    monkeypatch.setattr(keeper, "LINGER_SECONDS", 3600.0)
    opened = await rig.intake.open_transfer(
        HKU, endpoint="sz-in", project="cohort-in", dataset="n", declaration=about(50)
    )
    upload = await rig.intake.begin(HKU, opened.id, "a.csv")
    await upload.feed(table(patients(0, 50)))
    await upload.finish(Announced(), soon=True)
    rig.spool.die()
    rig.restart()
    assert await rig.intake.keeper.recover() == 1
    async with rig.records.read() as view:
        (stored,) = await view.files(opened.id)
    assert unpack(stored.persons_lasting).size == 50


async def test_people_taken_out_of_a_row_are_missed(rig: Rig):
    opened = await rig.intake.open_transfer(
        HKU, endpoint="sz-in", project="cohort-in", dataset="r", declaration=about(50)
    )
    await rig.intake.receive(HKU, opened.id, "a.csv", chunks(table(patients(0, 50))), Announced())
    await rig.intake.submit(HKU, opened.id)
    files = rig.records.state.files
    files[opened.id, "a.csv"] = replace(files[opened.id, "a.csv"], persons_lasting=b"")
    await rig.settle()
    failed = await rig.enquiry.transfer(HKU, opened.id)
    assert (failed.state, "altered" in failed.reason) == (State.FAILED, True)
