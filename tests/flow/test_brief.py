"""The cases of the brief's section 13 that are about content and counting, as files through the whole flow."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.transfer import State
from tests.flow.rig import DUTIES, GENERAL, Rig, filing, personal
from tests.flow.test_decide import declared, resident_numbers, table

ART3 = {**GENERAL, "exemption": {"claimed": "art3"}}
SCC_HGR = [filing(kind) for kind in ("SCC", "HGR_REPORT", "HGR_BACKUP")]


def vcf(samples: int, first: int = 0) -> bytes:
    names = "\t".join(f"S{n}" for n in range(first, first + samples))
    head = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + ("\tFORMAT\t" + names if samples else "")
    row = "chr1\t10\t.\tA\tC\t.\t.\tAN=4000" + ("\tGT" + "\t0/1" * samples if samples else "")
    return f"{head}{columns}\n{row}\n".encode()


def genomes(subjects: int) -> dict[str, Any]:
    said = personal(sensitive=subjects)
    hgr = {"information": True, "material": False, "pedigree": False, "special_region": False}
    return {**said, "hgr": {**hgr, "subjects": subjects, "wes_wgs_subjects": subjects}, "duties": DUTIES}


async def decided(rig: Rig, content: bytes, said: dict[str, Any], name: str = "data.csv", dataset: str = "data"):
    sent = await rig.send({name: content}, said, dataset=dataset)
    await rig.settle()
    return await rig.transfer(sent.id)


def numbers(situation: dict[str, Any]) -> tuple[int, int]:
    return situation["persons"]["nonsensitive"], situation["persons"]["sensitive"]


async def test_30_the_counter_starts_again_at_midnight_in_shanghai(rig: Rig):
    rig.clock.advance(days=41, hours=13, minutes=59)  # 31 December 23:59
    said = {**declared(99_999), "duties": {**DUTIES, "pipia": "2026-12-01"}}
    december = await decided(rig, table(99_999), said)
    assert (december.decision["situation"]["on"], numbers(december.decision["situation"])) == (
        "2026-12-31",
        (99_999, 0),
    )
    assert "P7" in december.decision["rules"]
    rig.clock.advance(minutes=2)
    january = await decided(rig, table(10), {**said, "persons": {"nonsensitive": 10, "sensitive": 0}}, dataset="next")
    assert (january.decision["situation"]["on"], numbers(january.decision["situation"])) == ("2027-01-01", (10, 0))


async def test_31_the_same_people_sent_twice_count_once_whatever_the_file_is_called(rig: Rig):
    content = table(6_000)
    await decided(rig, content, declared(6_000))
    again = await decided(
        rig, content[:13] + b"\n".join(reversed(content[13:].split(b"\n"))), declared(6_000), "x.txt", "b"
    )
    assert (numbers(again.decision["situation"]), "P7" in again.decision["rules"]) == ((6_000, 0), True)


@pytest.mark.parametrize(("samples", "state", "rule"), [(500, State.RECEIPTED, "P9"), (501, State.REFUSED, "G3")])
async def test_40_41_five_hundred_genomes_and_one_more(rig: Rig, samples: int, state: State, rule: str):
    await rig.register(*SCC_HGR)
    ended = await decided(rig, vcf(samples), genomes(samples), "cohort.vcf")
    assert (ended.state, ended.decision["situation"]["hgr"]["wes_wgs_subjects"]) == (state, samples)
    assert rule in ended.decision["rules"]


async def test_41_genomes_add_up_over_transfers_by_project_and_recipient(rig: Rig):
    await rig.register(*SCC_HGR)
    first = await decided(rig, vcf(300), genomes(300), "a.vcf", "a")
    second = await decided(rig, vcf(201, 300), genomes(201), "b.vcf", "b")
    assert (first.state, second.state) == (State.RECEIPTED, State.REFUSED)
    assert second.decision["situation"]["hgr"]["wes_wgs_subjects"] == 501


async def test_41_the_same_genomes_sent_again_are_no_more_also_in_another_year(rig: Rig):
    await rig.register(*SCC_HGR)
    first = await decided(rig, vcf(300), genomes(300), "a.vcf", "a")
    again = await decided(rig, vcf(300), genomes(300), "b.vcf", "b")
    assert [each.state for each in (first, again)] == [State.RECEIPTED] * 2
    assert again.decision["situation"]["hgr"]["wes_wgs_subjects"] == 300
    rig.clock.advance(days=50)
    more = {**genomes(310), "duties": {**DUTIES, "pipia": "2026-12-20"}}  # ten beyond those the file names
    january = await decided(rig, vcf(300), more, "c.vcf", "c")
    assert january.decision["situation"]["hgr"]["wes_wgs_subjects"] == 310


async def test_41_genomes_given_back_leave_those_that_went_counted(rig: Rig):
    await rig.register(*SCC_HGR)
    pair = [await rig.send({f"{name}.vcf": vcf(300)}, genomes(300), dataset=name) for name in ("a", "b")]
    for each in pair:
        for _ in range(2):
            await rig.conductor.step(each.id)
        assert (await rig.transfer(each.id)).state is State.CLEARED
    await rig.intake.withdraw(rig.sender, pair[0].id)
    third = await decided(rig, vcf(1, 500), genomes(1), "c.vcf", "c")
    assert (await rig.transfer(pair[1].id)).state is State.RECEIPTED
    assert third.decision["situation"]["hgr"]["wes_wgs_subjects"] == 301


async def test_49_sites_only_is_an_aggregate_for_judgement(rig: Rig):
    said = {**GENERAL, "hgr": {"information": True, "material": False, "aggregate_only": True}, "duties": DUTIES}
    held = await decided(rig, vcf(0), said, "sites.vcf")
    assert (held.state, "G7" in held.decision["rules"]) == (State.HELD, True)
    assert held.decision["situation"]["hgr"]["subjects"] == 0


async def test_52_a_secrecy_mark_denies(rig: Rig):
    ended = await decided(rig, "机密★5年\n内容\n".encode(), GENERAL, "a.txt")
    assert (ended.state, "D1" in ended.decision["rules"]) == (State.REFUSED, True)


async def test_53_a_core_data_mark_denies(rig: Rig):
    ended = await decided(rig, "数据级别:核心数据\n内容\n".encode(), GENERAL, "a.txt")
    assert (ended.state, "D2" in ended.decision["rules"]) == (State.REFUSED, True)
    assert [each["where"] for each in ended.decision["differences"]] == ["data.level"]


async def test_55_resident_numbers_alone_are_personal_and_not_sensitive(rig: Rig):
    ended = await decided(rig, table(20), declared(20))
    data = ended.decision["situation"]["data"]
    assert (data["personal"], data["sensitive"], numbers(ended.decision["situation"])) == (True, False, (20, 0))


async def test_55_with_a_diagnosis_they_are_sensitive(rig: Rig):
    people = [next(each) for each in [resident_numbers()] for _ in range(20)]
    content = "身份证号,诊断\n" + "".join(f"{number},肺癌\n" for number in people)
    held = await decided(rig, content.encode(), declared(20))
    assert (numbers(held.decision["situation"]), "P8" in held.decision["rules"]) == ((20, 20), True)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("11010519491231002X\n110105194912310021\n", "cn_resident_id"),  # 57: valid and not
        ("A123456(3)\nA123456(4)\n", "hkid"),  # 58
    ],
)
async def test_57_58_a_wrong_check_character_is_no_identifier_and_still_a_row(rig: Rig, content: str, kind: str):
    ended = await decided(rig, f"身份证号\n{content}".encode(), declared(2))
    (file,) = (await rig.review.show(ended.id))["files"]
    assert [each["count"] for each in file["findings"]["findings"] if each["kind"] == kind] == [1]
    assert numbers(ended.decision["situation"]) == (2, 0)
    assert not ended.findings["persons_exact"]


async def test_59_codes_of_organisations_are_nobody(rig: Rig):
    ended = await decided(rig, b"code\n91110000600037341L\n9144030071526726XG\n", ART3)
    assert (ended.state, numbers(ended.decision["situation"])) == (State.RECEIPTED, (0, 0))


async def test_61_a_track_of_one_person_is_one_person_with_sensitive_data(rig: Rig):
    number = next(resident_numbers())
    rows = "".join(f"{number},2026-10-{d:02d},22.5{d:04d},114.0{d:04d}\n" for d in range(1, 31))
    held = await decided(rig, f"身份证号,日期,纬度,经度\n{rows}".encode(), declared(1))
    assert numbers(held.decision["situation"]) == (1, 1)
    assert "P8" in held.decision["rules"]
