"""Many datasets at once: each item does what its own request would, and no other one minds."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.core.errors import StoreError
from gateway.core.intake import Limits
from tests.doors.site import Site
from tests.doors.test_transfers import CSV, NEW, NOBODYS
from tests.flow.rig import GENERAL

KEY = {"Idempotency-Key": "batch-7"}


def new(dataset: str, **more):
    return {**NEW, "dataset": dataset, **more}


async def batch(session, items, status=200, headers=None, **more):
    answer = await session.post("/v1/batches", json={"items": items, **more}, headers=headers or {})
    assert answer.status == status, await answer.text()
    return await answer.json(content_type=None)


async def test_each_item_stands_alone(site):
    async with site.session() as session:
        shown = await batch(
            session,
            [
                new("a"),
                new("../up"),
                new("b", endpoint="nowhere"),
                new("c", declaration={"data": {"levle": "general"}}),
                new("d", submit=True),
                {"transfer": NOBODYS},
                new("e"),
            ],
            declaration=GENERAL,
        )
        assert (shown["succeeded"], shown["failed"]) == (2, 5)
        assert [each["status"] for each in shown["results"]] == [201, 400, 404, 422, 422, 404, 201]
        codes = [each.get("problem", {}).get("code") for each in shown["results"]]
        refusals = ["bad-path", "not-registered", "bad-declaration", "empty-submission", "no-such-transfer"]
        assert codes == [None, *refusals, None]
        # d was opened before its submission was refused: it says so
        assert (shown["results"][4]["transfer"]["dataset"], shown["results"][4]["transfer"]["state"]) == ("d", "open")
        there = (await (await session.get("/v1/transfers")).json())["transfers"]
        assert {each["dataset"] for each in there} == {"a", "d", "e"}
        stored = await site.rig.transfer(shown["results"][0]["transfer"]["id"])
        assert stored.declaration == GENERAL


async def test_what_is_there_is_declared_and_submitted_at_once(site):
    async with site.session() as session:
        opened = await batch(session, [new(f"set-{number}") for number in range(20)])
        ids = [each["transfer"]["id"] for each in opened["results"]]
        for transfer in ids:
            await session.put(f"/v1/transfers/{transfer}/files/a.csv", data=CSV)
        items = [{"transfer": each, "submit": True, "files": {"a.csv": len(CSV)}} for each in ids]
        items[3]["files"] = {"a.csv": 1}
        for attempt in range(2):  # the second time, everything was done before
            shown = await batch(session, items, declaration=GENERAL)
            assert [each["status"] for each in shown["results"]] == [202] * 3 + [409] + [202] * 16, attempt
        await site.rig.settle()
        again = await batch(session, items, declaration=GENERAL)
        assert again["results"][0]["transfer"]["state"] == "receipted"
        entries = (await (await session.get(f"/v1/transfers/{ids[0]}/ledger")).json())["entries"]
        assert [each["tag"] for each in entries].count("transfer.declared") == 1


async def test_the_same_batch_at_once_and_again_is_one(site):
    async with site.session() as session:
        items = [new(f"set-{number}") for number in range(10)]
        shown = await asyncio.gather(*(batch(session, items, headers=KEY) for _ in range(4)))
        shown.append(await batch(session, items, headers=KEY))
        assert len({json.dumps(each) for each in shown}) == 1
        assert len((await (await session.get("/v1/transfers")).json())["transfers"]) == 10
        other = await batch(session, [new("another"), *items[1:]], headers=KEY)
        assert other["results"][0]["problem"]["code"] == "idempotency-key-used"
        assert other["failed"] == 1


async def test_what_is_our_doing_fails_the_whole_and_the_same_batch_again_mends_it(site):
    async with site.session() as session:
        items = [new(f"set-{number}") for number in range(40)]
        commits = iter(range(100))

        def away():
            if next(commits) > 0:
                raise StoreError("away")

        site.rig.records.before_commit = away
        await batch(session, items, status=503, headers=KEY)
        site.rig.records.before_commit = None
        shown = await batch(session, items, headers=KEY)
        assert shown["succeeded"] == 40
        assert len((await (await session.get("/v1/transfers")).json())["transfers"]) == 40


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "items is missing"),
        ({"items": []}, "items has at least 1"),
        ({"items": [new(str(number)) for number in range(1001)]}, "items has at most 1000"),
        ({"items": [{}]}, "items[0] names a transfer, or"),
        ({"items": [new("a"), {"endpoint": "hku", "project": "trial"}]}, "items[1] names a transfer, or"),
        ({"items": [{**new("a"), "transfer": NOBODYS}]}, "items[0] names a transfer, or"),
        ({"items": [new("a"), new("a")]}, "two items of the batch name the same"),
        ({"items": [{"transfer": NOBODYS}] * 2}, "two items of the batch name the same"),
        ({"items": [new("a", files={"a.csv": 1})]}, "items[0].files means something with submit only"),
        ({"items": [new("a", extra=1)]}, "unknown member items[0].'extra'"),
        ({"items": [new("a", submit="yes")]}, "items[0].submit must be true or false"),
        ({"items": [new("a")], "declaration": []}, "declaration must be an object"),
    ],
)
async def test_a_batch_that_cannot_be_understood_does_nothing(site, document, says):
    async with site.session() as session:
        answer = await session.post("/v1/batches", json=document)
        told = await answer.json(content_type=None)
        assert (answer.status, told["code"]) == (400, "bad-json")
        assert says in told["detail"]
        assert (await (await session.get("/v1/transfers")).json())["transfers"] == []


async def test_an_item_needs_the_permissions_of_its_own_requests(site):
    headers = await site.bearer("sz", "transfers:submit")
    async with site.session() as session:
        answer = await session.post("/v1/batches", json={"items": [new("a")]}, headers=headers)
        (result,) = (await answer.json())["results"]
        assert (result["status"], result["problem"]["code"]) == (403, "not-permitted")


async def test_another_institutions_transfer_is_nobodys(site):
    async with site.session() as session, site.session("gz") as stranger:
        (mine,) = (await batch(session, [new("a")]))["results"]
        shown = await batch(
            stranger, [{"transfer": mine["transfer"]["id"], "submit": True}, {"transfer": NOBODYS, "submit": True}]
        )
        assert [each["problem"]["code"] for each in shown["results"]] == ["no-such-transfer"] * 2
        assert all("transfer" not in each for each in shown["results"])


async def test_the_bound_on_open_transfers_holds_for_a_batch(tmp_path):
    site = Site(tmp_path)
    site.rig.limits = Limits(open_transfers=50)
    site.rig.restart()
    async with (await site.found()).served(), site.session() as session:
        shown = await batch(session, [new(f"set-{number}") for number in range(60)])
        assert (shown["succeeded"], shown["failed"]) == (50, 10)
        assert {each["problem"]["code"] for each in shown["results"] if "problem" in each} == {"too-many-transfers"}
