"""Evidence is kept to the last day of its term and gone on the next round after it; proofs hold without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.core.errors import Conflict, NotFound, StoreError
from gateway.core.incident import Incident
from gateway.core.retention import Keep
from gateway.core.retention import Retention as Table
from gateway.core.transfer import State
from gateway.flow.housekeeping import Housekeeping
from gateway.flow.incidents import Incidents
from gateway.flow.retention import Retention
from gateway.stores.rulebooks import load_retention
from tests.flow import test_carry
from tests.flow.rig import Rig

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 10


def retention(rig: Rig, years: int = 3, table=None) -> Retention:
    return Retention(
        recorder=rig.recorder, incidents=Incidents(rig.recorder), table=table or load_retention(), years=years
    )


async def delivered(rig: Rig, dataset: str = "data") -> str:
    sent = await rig.send({"secret-name.csv": TABLE}, dataset=dataset)
    await rig.settle()
    assert (await rig.transfer(sent.id)).state is State.RECEIPTED
    return sent.id


async def at(rig: Rig, day: date, hour: int = 4) -> None:
    """Let it be that day in Shanghai (noon, unless said)."""
    rig.clock.advance(
        seconds=(datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - rig.clock.now()).total_seconds()
    )


async def refused(rig: Rig, transfer: str, keeper: Retention | None = None) -> str:
    with pytest.raises(Conflict) as found:
        await (keeper or retention(rig)).forget(transfer, by="operator")
    assert found.value.code == "must-be-kept"
    assert (await rig.transfer(transfer)).evidence == "kept"
    return found.value.message


async def test_to_the_day_and_not_before(rig: Rig) -> None:
    transfer = await delivered(rig)  # 20 November 2026
    told = "the evidence must be kept: the term of keeping runs; it may be destroyed from 2029-11-21 on"
    assert await refused(rig, transfer) == told
    await at(rig, date(2029, 10, 20))  # two years and eleven months
    assert await refused(rig, transfer) == told
    await at(rig, date(2029, 11, 20), hour=15)  # 23:00 in Shanghai on the last day
    assert await refused(rig, transfer) == told
    await at(rig, date(2029, 11, 20), hour=16)  # midnight
    forgotten = await retention(rig).forget(transfer, by="operator")
    assert (forgotten.evidence, forgotten.state, forgotten.manifest) == ("gone", State.RECEIPTED, "")
    with pytest.raises(StoreError):
        await rig.keyring.get(transfer, "evidence")
    async with rig.records.read() as view:
        entries = await view.entries_of(transfer)
        assert b'"tag":"transfer.forgotten"' in entries[-1][1]
        assert b'"kept_to":"2029-11-20"' in entries[-1][1]
        assert await view.files(transfer) == []
    found = await rig.audit.verify()
    assert found.problems == ()
    again = await retention(rig).forget(transfer, by="operator")
    assert again.last_entry == forgotten.last_entry, "what is gone is not forgotten twice"


async def test_a_leap_day_has_no_anniversary(rig: Rig) -> None:
    await at(rig, date(2028, 2, 29))
    await rig.register(("person", {"id": "lin", "name": "Lin", "institution": "sz-lab", "real_name_verified": True}),
                       ("institution", {**rig.world()[0][1], "filed_from": "2028-01-01"}))  # fmt: skip
    transfer = await delivered(rig)
    await at(rig, date(2031, 2, 28))
    assert "from 2031-03-01 on" in await refused(rig, transfer)
    await at(rig, date(2031, 3, 1))
    assert (await retention(rig).forget(transfer, by="operator")).evidence == "gone"


async def test_housekeeping_does_it_when_it_is_due(rig: Rig) -> None:
    transfer = await delivered(rig)
    keeping = Housekeeping(recorder=rig.recorder, spool=rig.spool, retention=retention(rig))
    await at(rig, date(2029, 11, 20))
    await keeping.round()
    assert (await rig.transfer(transfer)).evidence == "kept"
    await at(rig, date(2029, 11, 21))
    assert await keeping.round()
    assert (await rig.transfer(transfer)).evidence == "gone"
    rig.clock.advance(hours=2)
    assert not await keeping.round()
    assert (await rig.audit.verify()).problems == ()


@pytest.mark.parametrize(("years", "gone"), [(0, False), (3, True), (4, False), (5, False)])
async def test_a_setting_may_ask_for_longer_or_for_never(rig: Rig, years: int, *, gone: bool) -> None:
    transfer = await delivered(rig)
    await at(rig, date(2029, 11, 25))
    await retention(rig, years).round()
    assert (await rig.transfer(transfer)).evidence == ("gone" if gone else "kept")


async def test_what_has_not_ended_or_may_be_appealed_for_stays(rig: Rig) -> None:
    open_one = await rig.send({"a.csv": TABLE}, submit=False)
    assert await refused(rig, open_one.id) == "the evidence must be kept: it is not at its end"
    withdrawn = await rig.send({"a.csv": TABLE}, dataset="w")
    await rig.intake.withdraw(rig.sender, withdrawn.id)
    rig.clock.advance(days=1)
    day = Table({each: Keep(each, 0, "made", (), "open", {}) for each in ("provision_records", "incidents")})
    assert "may still be appealed for" in await refused(rig, withdrawn.id, retention(rig, 0, day))
    with pytest.raises(NotFound):
        await retention(rig).forget("t-nothing", by="operator")


async def test_an_incident_keeps_it_until_its_own_term_is_over(rig: Rig) -> None:
    transfer, other = await delivered(rig), await delivered(rig, "other")
    incidents = Incidents(rig.recorder)
    opened = await incidents.open(Incident(rig.clock.now(), None, 3, frozenset()), transfers=[transfer])
    await at(rig, date(2030, 6, 1))
    assert await refused(rig, transfer) == "the evidence must be kept: an incident concerns it"
    await retention(rig).round()
    assert (await rig.transfer(other)).evidence == "gone", "one that is kept stands in nobody's way"
    await incidents.close(opened, "handled")
    assert "an incident concerns it; it may be destroyed from 2033-06-02 on" in await refused(rig, transfer)
    await at(rig, date(2033, 6, 2))
    assert (await retention(rig).forget(transfer, by="operator")).evidence == "gone"


async def version(rig: Rig, **files: bytes) -> str:
    """A version of a folder: it begins with the files of the one before."""
    await test_carry.write(rig, **files)
    await test_carry.declare(rig)
    return (await test_carry.delivered(rig)).id


async def test_a_version_whose_files_are_carried_stays_until_those_who_carry_them_go(rig: Rig) -> None:
    first = await version(rig, lamma=test_carry.A)
    rig.clock.advance(days=40)
    second = await version(rig, lantau=test_carry.B)
    assert first in {each.carried for each in rig.records.state.files.values()}
    await at(rig, date(2029, 11, 25))
    assert "a later version of the dataset carries its files" in await refused(rig, first)
    await at(rig, date(2030, 1, 15))
    keeper = retention(rig)
    for _ in range(2):  # the first becomes free when the second has gone
        await keeper.round()
        rig.clock.advance(hours=2)
    assert [(await rig.transfer(each)).evidence for each in (first, second)] == ["gone", "gone"]
    assert (await rig.audit.verify()).problems == ()


async def test_the_next_version_of_a_forgotten_one_begins_with_nothing_and_is_delivered(rig: Rig) -> None:
    first = await version(rig, lamma=test_carry.A)
    await at(rig, date(2029, 12, 1))
    await retention(rig).round()
    assert (await rig.transfer(first)).evidence == "gone"
    second = await rig.transfer(await version(rig, lantau=test_carry.B))
    assert (second.version, second.state, second.files) == (2, State.RECEIPTED, 2)
    assert not any(each.carried for each in rig.records.state.files.values())


async def test_a_crash_in_between_is_made_good(rig: Rig) -> None:
    transfer = await delivered(rig)
    await at(rig, date(2029, 11, 21))

    async def away(*_: str) -> int:
        raise StoreError("the keyring cannot be reached")

    destroy, rig.keyring.destroy = rig.keyring.destroy, away
    with pytest.raises(StoreError):
        await retention(rig).forget(transfer, by="operator")
    assert (await rig.transfer(transfer)).evidence == "going"
    rig.keyring.destroy = destroy
    rig.restart()
    assert await retention(rig).round()
    assert (await rig.transfer(transfer)).evidence == "gone"
    assert rig.records.state.entries[-1][0].value == "transfer.forgotten"


async def test_who_looks_often_is_not_heard_often(rig: Rig) -> None:
    await delivered(rig)
    keeper = retention(rig)
    await at(rig, date(2029, 11, 20))
    assert not await keeper.round()
    rig.clock.advance(seconds=timedelta(minutes=59).total_seconds())
    assert not await keeper.round()


async def test_a_row_that_was_moved_by_hand_stays_and_stands_in_nobodys_way(rig: Rig) -> None:
    moved, other = sorted([await delivered(rig), await delivered(rig, "other")])
    rig.records.state.transfers[moved] = replace(rig.records.state.transfers[moved], state=State.WITHDRAWN)
    await at(rig, date(2029, 11, 21))
    await retention(rig).round()
    assert (await rig.transfer(other)).evidence == "gone"
    assert rig.records.state.transfers[moved].evidence == "kept"
    assert await rig.keyring.get(moved, "evidence"), "evidence of what was altered stays for whoever investigates"
    assert "housekeeping.faltered" in [event for event, _ in rig.observer.seen]


async def test_a_day_that_was_dated_back_in_the_row_is_not_believed(rig: Rig) -> None:
    transfer = await delivered(rig)
    row = rig.records.state.transfers[transfer]
    long_ago = rig.clock.now() - timedelta(days=4000)
    rig.records.state.transfers[transfer] = replace(row, ended_at=long_ago, evidence="going")
    with pytest.raises(Conflict):
        await retention(rig).forget(transfer, by="operator")
    rig.records.state.transfers[transfer] = replace(row, ended_at=long_ago)
    assert "from 2029-11-21 on" in await refused(rig, transfer)
    await retention(rig).round()
    assert (await rig.transfer(transfer)).evidence == "kept"
