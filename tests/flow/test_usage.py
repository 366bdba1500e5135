"""What went under a filing: each filing counts its own, exactly to its cap, over versions, years and lapses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.persons import pack
from gateway.core.records import FiledMechanism
from gateway.core.transfer import State
from gateway.flow import usage
from gateway.flow.findings import Joined
from gateway.ports import PersonSet
from tests.contracts.recorded import keep, transfer
from tests.fakes.records import FakeRecords
from tests.flow.rig import DUTIES, GENERAL, Rig, filing, personal
from tests.flow.test_decide import resident_numbers

HGR = {"information": False, "aggregate_only": False, "subjects": 0, "sequencing_subjects": 0}
FILED = FiledMechanism("f", "sz-lab", "SCC", ("hku",))


def diagnoses(people: int, start: int = 0) -> bytes:
    """A table of so many persons with an illness each: sensitive, and counted by digest."""
    rows = (f"{each},高血压" for each in islice(resident_numbers(start), people))
    return ("身份证号,诊断\n" + "\n".join(rows) + "\n").encode()


def declared() -> dict[str, object]:
    return personal(sensitive=1)


async def sent(rig: Rig, people: int, start: int = 0, *, dataset: str, declaration=None) -> tuple[State, list[str]]:
    made = await rig.send({"a.csv": diagnoses(people, start)}, declaration or declared(), dataset=dataset)
    await rig.settle()
    found = await rig.transfer(made.id)
    return found.state, found.decision["rules"]


async def used(rig: Rig, identifier: str) -> usage.Used:
    async with rig.records.read() as view:
        return await usage.used(view, replace(FILED, id=identifier))


async def test_a_count_equal_to_the_cap_is_inside_and_one_more_is_outside(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=10))
    assert (await sent(rig, 6, dataset="a"))[0] is State.RECEIPTED
    assert (await used(rig, "scc")).persons == 6
    state, _ = await sent(rig, 6, 4, dataset="b")  # two of the first six again, and four more: ten
    assert (state, (await used(rig, "scc")).persons) == (State.RECEIPTED, 10)
    state, rules = await sent(rig, 1, 500, dataset="c")
    assert state is State.HELD
    assert "P8" in rules
    state, _ = await sent(rig, 10, dataset="d")  # all ten are known: nobody is added
    assert (state, await used(rig, "scc")) == (State.RECEIPTED, usage.Used(10, 0, True, 3))
    assert (await rig.audit.verify()).problems == ()


async def test_what_was_sent_before_by_another_route_takes_no_place_under_a_cap(rig: Rig) -> None:
    await rig.register(filing("CERT", persons_cap=8))
    assert (await sent(rig, 8, dataset="a"))[0] is State.RECEIPTED
    assert (await sent(rig, 2, 100, dataset="b"))[0] is State.HELD, "the certificate is full"
    await rig.register(filing("SCC", persons_cap=3))
    await rig.settle()
    assert (await used(rig, "scc")).persons == 2, "the contract carries what the certificate could not"
    assert (await used(rig, "cert")).persons == 8
    assert (await sent(rig, 2, 99, dataset="c"))[0] is State.RECEIPTED, "one of them is new to the contract"
    assert (await used(rig, "scc")).persons == 3
    assert (await sent(rig, 1, 300, dataset="d"))[0] is State.HELD
    assert (await rig.audit.verify()).problems == ()


async def test_two_at_the_last_place_and_exactly_one_goes(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=5))
    assert (await sent(rig, 4, dataset="first"))[0] is State.RECEIPTED
    pair = [
        await rig.send({"a.csv": diagnoses(1, 50 + number)}, declared(), dataset=f"pair-{number}")
        for number in range(2)
    ]
    for each in pair:
        await rig.conductor.step(each.id)
    await asyncio.gather(*(rig.conductor.step(each.id) for each in pair))
    assert sorted([(await rig.transfer(each.id)).state for each in pair]) == [State.CLEARED, State.HELD]


async def test_a_clearance_that_lapses_gives_the_place_back(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=4))
    made = await rig.send({"a.csv": diagnoses(4)}, declared())
    await rig.conductor.step(made.id)
    await rig.conductor.step(made.id)
    assert (await used(rig, "scc")).persons == 4
    await rig.enquiry.transfer(rig.sender, made.id)
    await rig.intake.withdraw(rig.sender, made.id)
    assert await used(rig, "scc") == usage.Used(0, 0, True, 0)
    assert (await sent(rig, 4, 900, dataset="b"))[0] is State.RECEIPTED
    assert (await rig.audit.verify()).problems == ()


async def test_years_are_added_up(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=11))
    assert (await sent(rig, 6, dataset="a"))[0] is State.RECEIPTED
    rig.clock.advance(days=42)
    next_year = {**declared(), "duties": {**DUTIES, "pipia": "2026-11-01"}}
    assert (await sent(rig, 5, dataset="b", declaration=next_year))[0] is State.RECEIPTED
    assert await used(rig, "scc") == usage.Used(11, 0, False, 2), "the same five again, which another key cannot tell"
    assert (await sent(rig, 5, 1, dataset="c", declaration=next_year))[0] is State.HELD
    assert (await sent(rig, 4, 1, dataset="d", declaration=next_year))[0] is State.RECEIPTED
    assert (await rig.audit.verify()).problems == ()


async def test_what_needs_no_filing_is_under_none_and_what_is_exempt_neither(rig: Rig) -> None:
    await rig.register(filing("SCC"))
    made = await rig.send({"a.csv": b"x\n1\n"}, GENERAL)
    exempt = {**declared(), "exemption": {"claimed": "art5.3", "evidence": ["emergency"]}}
    state, _ = await sent(rig, 3, dataset="urgent", declaration=exempt)
    assert (state, (await rig.transfer(made.id)).state) == (State.RECEIPTED, State.RECEIPTED)
    assert await used(rig, "scc") == usage.Used(0, 0, True, 0)


async def test_a_use_that_was_taken_out_or_put_in_is_found(rig: Rig) -> None:
    await rig.register(filing("SCC", persons_cap=9))
    assert (await sent(rig, 6, dataset="a"))[0] is State.RECEIPTED
    kept = dict(rig.records.state.uses)
    rig.records.state.uses.clear()
    assert "went under are not those its clearance says" in " ".join((await rig.audit.verify()).problems)
    ((_, use),) = kept.items()
    rig.records.state.uses = {**kept, (use.transfer_id, "other"): replace(use, filing="other")}
    assert "went under are not those its clearance says" in " ".join((await rig.audit.verify()).problems)
    rig.records.state.uses = kept
    key = ("scc", 2026, usage.UNDER_FILINGS)
    rig.records.state.unions[key] = replace(rig.records.state.unions[key], sensitive=1)
    assert "under filing scc is not what its sets make" in " ".join((await rig.audit.verify()).problems)


async def test_subjects_of_genetic_data_are_counted_for_their_filings(rig: Rig) -> None:
    report, backup = filing("HGR_REPORT", persons_cap=3), filing("HGR_BACKUP")
    await rig.register(report, backup, filing("SCC"))
    words = {**declared(), "hgr": {"information": True, "material": False, "special_region": False, "pedigree": False}}
    head = b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n"
    for dataset, names, state in (
        ("a", "NA1\tNA2", State.RECEIPTED),
        ("b", "NA2\tNA3", State.RECEIPTED),
        ("c", "NA4", State.HELD),
    ):
        columns = f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n".encode()
        calls = b"chr1\t100\t.\tA\tG\t50\tPASS\t.\tGT" + b"\t0/1" * (names.count("\t") + 1) + b"\n"
        made = await rig.send({"a.vcf": head + columns + calls}, words, dataset=dataset)
        await rig.settle()
        found = await rig.transfer(made.id)
        assert found.state is state, (dataset, found.decision["rules"])
    assert (await used(rig, "hgr-report")).subjects == 3


# --- against a count that is plain to see ----------------------------------------------------------------------------------

WHO = st.frozensets(st.integers(0, 20).map(lambda n: n * (2**64 // 20 - 1)), max_size=8)
STEPS = st.lists(
    st.tuples(st.sampled_from(["f", "g"]), st.sampled_from([2026, 2027]), WHO, WHO, st.integers(0, 3), st.booleans()),
    max_size=10,
)


def packed(who: frozenset[int]) -> bytes:
    return pack(np.array(sorted(who), np.uint64))


def joined_of(sensitive: frozenset[int], ordinary: frozenset[int], rows: int) -> Joined:
    return Joined({"hgr": HGR}, packed(sensitive), packed(ordinary), rows, 0)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_a_filings_number_is_that_of_its_sets(steps) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps) -> None:
    records, kept = FakeRecords(), {}
    for number, (name, year, sensitive, ordinary, rows, back) in enumerate(steps):
        row, joined = transfer(f"t{number}", dataset=f"t{number}"), joined_of(sensitive, ordinary, rows)
        row = replace(row, declaration={})
        await keep(records, row)
        counted = PersonSet(row.id, "sz-lab", year, "national", joined.sensitive, joined.nonsensitive, rows, 0)
        async with records.write() as tx:
            before = await usage.usage(tx, name, row, [], joined, year)
            mine = [each for each in kept.values() if each[0] == name]
            years = {year, *(each[1] for each in mine)}
            sets = {y: frozenset().union(*(each[2] for each in mine if each[1] == y)) for y in years}
            sets[year] |= sensitive | ordinary
            assert before.persons == sum(map(len, sets.values())) + rows + sum(each[3] for each in mine)
            await tx.put_persons(counted)
            await usage.add(tx, before, counted)
        kept[row.id] = (name, year, sensitive | ordinary, rows)
        async with records.read() as view:
            assert (await usage.used(view, replace(FILED, id=name))).persons == before.persons
        if back:
            async with records.write() as tx:
                assert await tx.drop_persons(row.id)
            del kept[row.id]
    async with records.read() as view:
        for (filing_id, year, track), union in records.state.unions.items():
            assert track == usage.UNDER_FILINGS
            assert (await usage.rebuilt(view, filing_id, year))[0] == union


@pytest.mark.parametrize(("kind", "number"), [("SCC", 7), ("MOFCOM", 7), ("HGR_REPORT", 2)])
def test_a_cap_is_about_what_its_kind_is_about(kind: str, number: int) -> None:
    assert usage.Used(7, 2, True, 1).of(kind) == number
