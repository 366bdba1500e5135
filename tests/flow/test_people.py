"""People through the whole flow: counted once, told exactly to officers and roughly to senders, and never to the log."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gateway.core.persons import unpack
from gateway.core.transfer import State
from gateway.flow.enquiry import sender_view
from gateway.flow.findings import join
from tests.flow.rig import DUTIES, GENERAL, Rig, filing, personal
from tests.flow.test_decide import WEIGHTS, declared, resident_numbers, table


def residents(count: int) -> np.ndarray:
    """Different invented resident numbers, (count, 18) characters."""
    days = np.array([f"{1950 + n // 336:04d}{1 + n // 28 % 12:02d}{1 + n % 28:02d}" for n in range(count // 100)])
    body = np.char.add("440305", np.repeat(days, 100))
    body = np.char.add(body, np.tile([f"{n:03d}" for n in range(100)], count // 100))
    digits = body.astype("S17").view(np.uint8).reshape(count, 17) - 48
    check = np.frombuffer(b"10X98765432", np.uint8)[digits @ np.array(WEIGHTS) % 11]
    return np.column_stack([digits + 48, check]).astype(np.uint8)


def born(day: str, number: int = 1) -> str:
    body = f"440305{day}{number:03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


async def test_a_million_rows_about_ten_thousand_people_are_ten_thousand(rig: Rig):
    rows = np.full((1_000_000, 19), 10, np.uint8)
    rows[:, :18] = residents(10_000)[np.arange(1_000_000) % 10_000]
    content = "身份证号\n".encode() + rows.tobytes()
    first = await rig.send({"a.csv": content}, declared(10_000))
    await rig.settle()
    again = await rig.send({"b.csv": content}, declared(10_000), dataset="again")
    await rig.settle()
    for each in (first, again):
        ended = await rig.transfer(each.id)
        assert ended.decision["situation"]["persons"] == {"nonsensitive": 10_000, "sensitive": 0}
        assert (ended.findings["persons_nonsensitive"], ended.findings["persons_exact"]) == (10_000, True)
    union = rig.records.state.unions["sz-lab", 2026, "national"]
    assert (union.sets, union.nonsensitive, union.sensitive) == (2, 10_000, 0)


async def test_persons_given_back_are_not_counted(rig: Rig):
    first = await rig.send({"a.csv": table(300)}, declared(300))
    await rig.conductor.step(first.id)
    await rig.conductor.step(first.id)
    assert (await rig.transfer(first.id)).state is State.CLEARED
    await rig.intake.withdraw(rig.sender, first.id)
    second = await rig.send({"b.csv": table(200, 10**5)}, declared(200), dataset="next")
    await rig.settle()
    assert (await rig.transfer(second.id)).decision["situation"]["persons"]["nonsensitive"] == 200


async def test_rows_without_identifiers_are_an_upper_bound_and_said_to_be_one(rig: Rig):
    content = "姓名,年龄\n" + "张三,30\n" * 40
    sent = await rig.send({"a.csv": content.encode()}, declared(40))
    await rig.settle()
    shown = await rig.review.show(sent.id)
    assert (shown["findings"]["persons_nonsensitive"], shown["findings"]["persons_exact"]) == (40, False)


async def test_two_reads_of_a_sample_are_one_subject_for_the_500_rule(rig: Rig):
    reads = b"@r1\nACGT\n+\nFFFF\n"
    files = {f"S{n}_R{read}.fastq": reads for n in range(3) for read in (1, 2)}
    sent = await rig.send(files, GENERAL)
    await rig.settle()
    assert (await rig.transfer(sent.id)).findings["hgr"]["sequencing_subjects"] == 3
    files = await _files(rig, sent.id)
    assert join(files, 2027).facts["hgr"]["sequencing_subjects"] == 3  # all time
    before = [replace(each, facts={k: v for k, v in each.facts.items() if k != "samples"}) for each in files]
    assert join(before, 2026).facts["hgr"]["sequencing_subjects"] == 6  # of before names were kept: numbers


# --- sensitivity -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "minor"), [("20121120", True), ("20121119", False)])
async def test_children_are_found_on_the_day_of_the_decision(rig: Rig, day: str, minor):
    await rig.register(filing("SCC"))
    content = "身份证号\n" + "\n".join([born(day), *(born("19800505", n) for n in range(1, 30))]) + "\n"
    sent = await rig.send({"a.csv": content.encode()}, declared(30))
    await rig.settle()
    decided = await rig.transfer(sent.id)
    situation = decided.decision["situation"]
    assert (situation["data"]["under14"], "P13" in decided.decision["rules"]) == (minor, minor)
    assert situation["persons"] == {"nonsensitive": 30, "sensitive": 1 if minor else 0}  # the child alone
    assert [each["where"] for each in decided.decision["differences"]] == (
        ["data.sensitive", "data.under14", "persons.sensitive"] if minor else []
    )


async def test_a_child_who_turned_fourteen_while_it_waited_is_no_child(rig: Rig):
    content = "姓名,出生日期\n张三,2012-11-25\n李四,1980-01-01\n"
    sent = await rig.send({"a.csv": content.encode()}, {**personal(sensitive=2), "duties": DUTIES})
    await rig.settle()
    assert "P13" in (await rig.transfer(sent.id)).decision["rules"]
    rig.clock.advance(days=7)
    await rig.register(filing("SCC"))
    await rig.settle()
    assert "P13" not in (await rig.transfer(sent.id)).decision["rules"]


async def test_a_type_that_was_found_and_not_named_is_not_covered_by_a_filing_that_lists_types(rig: Rig):
    await rig.register(filing("SCC", data_types=["contact", "diagnosis"]))
    content = "姓名,诊断\n张三,肺癌\n".encode()

    async def rules(name: str, types: list[str]):
        words = personal(sensitive=1)
        sent = await rig.send({"a.csv": content}, {**words, "data": {**words["data"], "types": types}}, dataset=name)
        await rig.settle()
        return (await rig.transfer(sent.id)).decision["rules"]

    assert "P9" in await rules("named", ["contact", "diagnosis"])
    assert "P8" in await rules("not-named", ["contact"])


async def test_what_is_declared_lower_is_told_to_officers_with_numbers_and_to_senders_without(rig: Rig):
    content = "姓名,身份证号,诊断\n" + "".join(f"张三,{n},肺癌\n" for n in list_of(1234))
    sent = await rig.send({"a.csv": content.encode()}, declared(7))
    await rig.settle()
    held = await rig.transfer(sent.id)
    fields = {each["where"]: each for each in held.decision["differences"]}
    assert {"data.sensitive", "persons.sensitive", "persons.nonsensitive"} <= set(fields)
    assert (fields["persons.sensitive"]["declared"], fields["persons.sensitive"]["detected"]) == (0, 1234)
    officers = await rig.review.show(sent.id)
    assert {"declared_less"} == {each["kind"] for each in officers["on_the_whole"]}
    told = sender_view(held)
    codes = [each.get("code") for each in told["decision"]["remedies"]]
    assert {"declared-less-sensitive", "declared-less-persons"} <= set(codes)
    assert "1234" not in json.dumps(told)
    assert told["decision"]["persons"] == {"nonsensitive": 1300, "sensitive": 1300}


def list_of(count: int) -> list[str]:
    numbers = resident_numbers()
    return [next(numbers) for _ in range(count)]


async def test_many_people_in_many_files_propose_a_level(rig: Rig):
    sent = await rig.send({"a.csv": table(50), "b.csv": table(50, 10**5)}, declared(100))
    await rig.settle()
    async with rig.records.read() as view:
        files = await view.files(sent.id)
    for stored in files:
        stored.facts["subject_limits"].update(sensitive=1000, persons=100)
    facts = join(files, 2026).facts
    assert (facts["level"], facts["many_subjects"]) == ("important_suspected", 100)
    for stored in files:
        stored.facts["subject_limits"].update(persons=101)
    assert join(files, 2026).facts["level"] == "general"


# --- what is shown and what is not -----------------------------------------------------------------------------------


async def test_a_secrecy_mark_ends_the_sampling_of_all_files(rig: Rig):
    people = "身份证号\n" + "\n".join(list_of(30)) + "\n"
    sent = await rig.send({"a.csv": people.encode(), "b.txt": "机密★10年\n".encode()}, declared(30))
    await rig.settle()
    refused = await rig.transfer(sent.id)
    assert refused.state is State.REFUSED
    officers = await rig.review.show(sent.id)
    assert [each for each in officers["files"] if each["findings"]["findings"]]
    assert "440305" not in json.dumps(officers, default=str)
    assert "440305" not in json.dumps([dict(each.findings) for each in await _files(rig, sent.id)])
    told = sender_view(refused)
    assert [each.get("code") for each in told["decision"]["remedies"]] == ["see-security-officer"]
    assert "persons" not in told["decision"]
    assert unpack((await _files(rig, sent.id))[0].persons_nonsensitive).size == 30


async def _files(rig: Rig, transfer_id: str):
    async with rig.records.read() as view:
        return await view.files(transfer_id)
