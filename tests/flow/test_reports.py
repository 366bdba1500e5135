"""Reports: what was cleared in a period, each person once, with the recorded digests; on paper in three languages."""

from __future__ import annotations

import io
from datetime import date

import pytest
from pypdf import PdfReader

from gateway.cli.report import rendered
from gateway.core.errors import NotFound, Unusable
from gateway.flow.reports import Period, Reports, month_of, year_of
from tests.flow.rig import Rig, filing, personal

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 50
PEOPLE = "身份证号\n11010519491231002X\n440300199001011238\n".encode()


def reports(rig: Rig) -> Reports:
    return Reports(recorder=rig.recorder, registrar=rig.registrar, ledger=rig.ledger)


async def three(rig: Rig) -> tuple[str, str, str]:
    """Plain data; two people; the same two again."""
    plain = await rig.send({"a.csv": TABLE}, dataset="plain")
    first = await rig.send({"b.csv": PEOPLE}, personal(nonsensitive=2), dataset="first")
    await rig.settle()
    second = await rig.send({"c.csv": PEOPLE}, personal(nonsensitive=2), dataset="second")
    refused = await rig.send({"plan.txt": "机密★10年\n内容\n".encode()}, dataset="refused")
    await rig.settle()
    del refused
    return plain.id, first.id, second.id


async def test_a_year_has_every_cleared_transfer_and_each_person_once(rig: Rig):
    ids = await three(rig)
    on = rig.clock.now().year
    report = await reports(rig).outbound("sz-lab", year_of(on), kind="yearly")
    told = report.to_json()
    assert {row["id"] for row in told["sections"]["transfers"]} == set(ids)
    assert (told["about"]["count"], told["about"]["nonsensitive"], told["about"]["sensitive"]) == (3, 2, 0)
    assert told["sections"]["refused"] == [{"rule": "D1", "count": 1}]
    (by_route,) = [row for row in told["sections"]["by_recipient"] if row["nonsensitive"]]
    assert (by_route["count"], by_route["nonsensitive"]) == (3, 2)
    recorded = {each: (await rig.transfer(each)).decision["digest"] for each in ids}
    assert {row["id"]: row["decision"] for row in told["sections"]["transfers"]} == recorded
    assert int(told["evidence"]["ledger_size"]) > 0


async def test_a_period_without_transfers_is_empty_and_other_years_do_not_count(rig: Rig):
    await three(rig)
    before = await reports(rig).outbound("sz-lab", year_of(rig.clock.now().year - 1), kind="yearly")
    assert before.sections[0].rows == ()
    month = rig.clock.now()
    this = await reports(rig).outbound("sz-lab", month_of(month.year, month.month), kind="monthly")
    assert len(this.sections[0].rows) == 3


async def test_an_assessments_annex_names_recipients_and_purpose(rig: Rig):
    await three(rig)
    report = await reports(rig).assessment("sz-lab", "trial", year_of(rig.clock.now().year))
    told = report.to_json()
    assert told["about"]["project"] == "trial"
    assert [row["endpoint"] for row in told["sections"]["recipients"]] == ["hku"]


async def test_a_filings_annex_shows_term_and_cap(rig: Rig):
    kind, record = filing("SCC")
    await rig.register((kind, {**record, "persons_cap": 500}))
    report = await reports(rig).filing(record["id"], year_of(rig.clock.now().year))
    told = report.to_json()
    (row,) = told["sections"]["filings"]
    assert (row["filing"], row["cap"]) == (record["id"], 500)
    assert told["about"]["mechanism"] == "SCC"


async def test_a_filings_annex_has_what_went_under_it_and_nothing_else(rig: Rig):
    await rig.register(filing("CERT", persons_cap=8), filing("SCC", effective="2026-11-21"))
    under = await rig.send({"a.csv": b"x\n1\n"}, personal(sensitive=3), dataset="under")
    await rig.send({"a.csv": b"x\n1\n"}, dataset="under-none")
    await rig.settle()
    told = (await reports(rig).filing("cert", year_of(rig.clock.now().year))).to_json()
    assert [row["id"] for row in told["sections"]["transfers"]] == [under.id]
    other = (await reports(rig).filing("scc", year_of(rig.clock.now().year))).to_json()
    assert other["sections"]["transfers"] == []


async def test_who_is_not_registered_has_no_report(rig: Rig):
    with pytest.raises(NotFound):
        await reports(rig).outbound("nobody", year_of(2026), kind="yearly")


def test_a_period_is_within_one_year():
    assert month_of(2028, 2) == Period(date(2028, 2, 1), date(2028, 2, 29))
    assert month_of(2026, 12).last == date(2026, 12, 31)
    for first, last in [(date(2026, 12, 31), date(2027, 1, 1)), (date(2026, 2, 2), date(2026, 2, 1))]:
        with pytest.raises(Unusable):
            Period(first, last)


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Yearly report"), ("zh-Hans", "年度数据出境报告"), ("zh-Hant", "年度數據出境報告")],
)
async def test_on_paper_every_row_is_there_in_the_readers_language(rig: Rig, language, title):
    ids = await three(rig)
    report = await reports(rig).outbound("sz-lab", year_of(rig.clock.now().year), kind="yearly")
    pages = PdfReader(io.BytesIO(rendered(report, "pdf", language))).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "")
    assert title in text
    for each in ids:
        assert each in text.replace(" ", "")
