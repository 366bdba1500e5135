"""A sender's whole way over the wire, and what it may not see."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json

import pytest

from gateway.core.receipt import check_receipt
from tests.flow.rig import GENERAL

CSV = b"when,kelvin\n" + b"2026-11-01,281.5\n" * 5000
NEW = {"endpoint": "hku", "project": "trial", "dataset": "weather"}
NOBODYS = "t" + "a" * 24


async def opened(session, **changes):
    answer = await session.post("/v1/transfers", json={**NEW, "declaration": GENERAL, **changes})
    assert answer.status == 201, await answer.text()
    assert answer.headers["Location"] == f"/v1/transfers/{(await answer.json())['id']}"
    return (await answer.json())["id"]


async def sent(site, session, content, **changes):
    """A transfer with one file, submitted and moved on as far as it goes."""
    transfer = await opened(session, **changes)
    assert (await session.put(f"/v1/transfers/{transfer}/files/a/data.csv", data=content)).status == 201
    assert (await session.post(f"/v1/transfers/{transfer}/submit")).status == 202
    await site.rig.settle()
    return transfer


async def test_from_opening_to_the_receipt(site):
    async with site.session() as session:
        endpoints = await (await session.get("/v1/endpoints")).json()
        assert endpoints == {"endpoints": [{"id": "hku", "name": "HKU", "place": "HK", "projects": ["trial"]}]}
        transfer = await opened(session)
        url = f"/v1/transfers/{transfer}"
        digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()

        put = await session.put(f"{url}/files/a/data.csv", data=CSV, headers={"Repr-Digest": f"sha-256=:{digest}:"})
        assert put.status == 201
        assert put.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        received = {"path": "a/data.csv", "size": len(CSV), "sha256": hashlib.sha256(CSV).hexdigest()}
        assert await put.json() == {**received, "format": "csv", "inspectable": True}
        again = await session.put(f"{url}/files/a/data.csv", data=CSV)
        assert again.status == 200
        assert await (await session.get(f"{url}/files")).json() == {"files": [received]}
        one = await session.get(f"{url}/files/a/data.csv")
        assert (await one.json(), one.headers["Repr-Digest"]) == (received, f"sha-256=:{digest}:")

        early = await session.get(f"{url}/receipt")
        assert (early.status, (await early.json())["code"]) == (409, "no-receipt")
        submitted = await session.post(f"{url}/submit", json={"files": {"a/data.csv": len(CSV)}})
        assert (submitted.status, (await submitted.json())["state"]) == (202, "submitted")
        await site.rig.settle()
        shown = await (await session.get(url)).json()
        assert (shown["state"], shown["says"]) == ("receipted", "delivered and receipted")
        assert shown["decision"]["verdict"] == "allow"

        body = await (await session.get(f"{url}/receipt")).json()
        only = await session.get(f"{url}/receipt", headers={"Accept": "application/x-ssh-signature"})
        assert await only.text() == body["signature"]
        checked = check_receipt(
            body["receipt"].encode(),
            body["signature"].encode(),
            site.rig.signer.public_line,
            site.rig.ledger.verifier_key,
        )
        assert checked.problems == ()
        entries = (await (await session.get(f"{url}/ledger")).json())["entries"]
        assert [entry["tag"] for entry in entries][:2] == ["transfer.opened", "transfer.submitted"]
        assert [entry["tag"] for entry in entries][-1] in {"transfer.receipted", "transfer.key_destroyed"}
    assert site.rig.arrived("a/data.csv.c4gh") == CSV


async def test_the_state_is_said_in_the_callers_language(site):
    async with site.session(**{"Accept-Language": "zh-HK,zh;q=0.9"}) as session:
        transfer = await opened(session)
        answer = await session.get(f"/v1/transfers/{transfer}")
        assert (await answer.json())["says"] == "已新建，正在接收檔案"
        assert answer.headers["Vary"] == "Accept-Language"
        missing = await session.get(f"/v1/transfers/{NOBODYS}")
        assert (await missing.json(content_type=None))["title"] == "沒有此傳輸"
        assert missing.headers["Content-Language"] == "zh-Hant"


# --- whose ------------------------------------------------------------------------------------------------------------


async def test_another_institutions_transfer_does_not_exist(site):
    async with site.session() as session, site.session("gz") as stranger:
        mine = await opened(session)
        await session.put(f"/v1/transfers/{mine}/files/a.csv", data=CSV)
        for method, rest, about in (
            ("GET", "", {}),
            ("GET", "/files", {}),
            ("GET", "/files/a.csv", {}),
            ("PUT", "/files/a.csv", {"data": b"x"}),
            ("DELETE", "/files/a.csv", {}),
            ("PUT", "/declaration", {"json": {}}),
            ("POST", "/submit", {}),
            ("POST", "/withdraw", {}),
            ("GET", "/receipt", {}),
            ("GET", "/ledger", {}),
        ):
            theirs, nobodys = [
                await stranger.request(method, f"/v1/transfers/{each}{rest}", **about) for each in (mine, NOBODYS)
            ]
            assert theirs.status == nobodys.status == 404, rest
            first, second = await theirs.json(content_type=None), await nobodys.json(content_type=None)
            assert first["code"] == second["code"] == "no-such-transfer"
            assert first["detail"].replace(mine, NOBODYS) == second["detail"]
        assert (await (await stranger.get("/v1/transfers")).json())["transfers"] == []
        wanted = await stranger.post("/v1/transfers", json={**NEW})
        assert (wanted.status, (await wanted.json(content_type=None))["code"]) == (404, "not-registered")
        assert (await (await session.get(f"/v1/transfers/{mine}")).json())["state"] == "open"


@pytest.mark.parametrize(
    "given", ["x", "T" + "A" * 24, "t" + "a" * 23, "%00" * 25, "t" + "a" * 24 + "%0a", "..", "%2e%2e"]
)
async def test_what_is_no_id_is_no_transfer(site, given):
    answer = await site.request("GET", f"/v1/transfers/{given}")
    assert answer.status == 404


# --- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "same"),
    [("k-1", "k-1"), ('"k-1"', "k-1"), ('"a b"', None), ('"a\\"b"', 'a"b'), ("", None), ("x" * 201, None)],
)
async def test_an_idempotency_key_opens_one_transfer(site, key, same):
    async with site.session() as session:
        first = await session.post("/v1/transfers", json=NEW, headers={"Idempotency-Key": key})
        if same is None:
            assert (first.status, (await first.json(content_type=None))["code"]) == (400, "bad-header")
            return
        second = await session.post("/v1/transfers", json=NEW, headers={"Idempotency-Key": same})
        assert (first.status, second.status) == (201, 201)
        assert (await first.json())["id"] == (await second.json())["id"]
        other = await session.post("/v1/transfers", json={**NEW, "dataset": "other"}, headers={"Idempotency-Key": key})
        assert (other.status, (await other.json(content_type=None))["code"]) == (422, "idempotency-key-used")


async def test_requests_that_come_twice_at_once_do_what_one_does(site):
    """What a client repeats because no answer came: opening under a key, and what needs none by its nature."""
    async with site.session() as session, site.session() as impatient:
        both = (session, impatient) * 4

        async def at_once(method, url, **about):
            answers = await asyncio.gather(*(each.request(method, url, **about) for each in both))
            bodies = {json.dumps(await each.json()) for each in answers}
            assert len(bodies) == 1
            return {each.status for each in answers}, json.loads(bodies.pop())

        status, opened = await at_once("POST", "/v1/transfers", json=NEW, headers={"Idempotency-Key": "once"})
        assert (status, opened["version"]) == ({201}, 1)
        url = f"/v1/transfers/{opened['id']}"
        await session.put(f"{url}/files/a.csv", data=CSV)
        status, shown = await at_once("PUT", f"{url}/declaration", json=GENERAL)
        assert (status, shown["state"]) == ({200}, "open")
        status, shown = await at_once("POST", f"{url}/submit")
        assert (status, shown["state"]) == ({202}, "submitted")
        status, shown = await at_once("POST", f"{url}/withdraw")
        assert (status, shown["state"]) == ({200}, "withdrawn")
        entries = (await (await session.get(f"{url}/ledger")).json())["entries"]
        tags = [each["tag"].removeprefix("transfer.") for each in entries]
        assert [tag for tag in tags if tag != "declared"] == ["opened", "submitted", "withdrawn"]
        assert (await (await session.get("/v1/transfers")).json())["transfers"] == [shown]


async def test_a_key_is_an_institutions_own(site):
    async with site.session() as session, site.session("gz") as stranger:
        mine = await session.post("/v1/transfers", json=NEW, headers={"Idempotency-Key": "k"})
        theirs = await stranger.post(
            "/v1/transfers", json={**NEW, "project": "other"}, headers={"Idempotency-Key": "k"}
        )
        assert (mine.status, theirs.status) == (201, 201)
        assert (await mine.json())["id"] != (await theirs.json())["id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad-json"),
        (b"[]", 400, "bad-json"),
        (b"{", 400, "bad-json"),
        (b'{"endpoint":"hku","endpoint":"hku","project":"trial","dataset":"d"}', 400, "bad-json"),
        (json.dumps({**NEW, "extra": 1}).encode(), 400, "bad-json"),
        (json.dumps({**NEW, "dataset": 7}).encode(), 400, "bad-json"),
        (json.dumps({"dataset": "d"}).encode(), 400, "bad-json"),
        (json.dumps({**NEW, "dataset": "../up"}).encode(), 400, "bad-path"),
        (json.dumps({**NEW, "endpoint": "nowhere"}).encode(), 404, "not-registered"),
        (json.dumps({**NEW, "declaration": {"data": {"levle": "general"}}}).encode(), 422, "bad-declaration"),
        (b'{"dataset":"' + b"x" * 70_000 + b'"}', 413, "too-large"),
        (b"\xff", 400, "bad-json"),
    ],
)
async def test_a_body_that_cannot_be_used_says_why(site, body, status, code):
    answer = await site.request("POST", "/v1/transfers", headers={"Content-Type": "application/json"}, body=body)
    assert (answer.status, answer.json()["code"]) == (status, code)


async def test_only_json_is_read_as_json(site):
    body = json.dumps(NEW).encode()
    answer = await site.request("POST", "/v1/transfers", headers={"Content-Type": "text/plain"}, body=body)
    assert (answer.status, answer.json()["code"]) == (415, "unsupported-media")
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await site.request("POST", "/v1/transfers", headers=headers, body=body)).status == 201


# --- lists ------------------------------------------------------------------------------------------------------------


async def test_lists_are_filtered_and_continue(site):
    async with site.session() as session:
        ids = [await opened(session, dataset=f"set-{number}") for number in range(5)]
        await session.post(f"/v1/transfers/{ids[0]}/withdraw")
        found, after = [], ""
        while True:
            query = {"limit": "2", **({"after": after} if after else {})}
            page = await (await session.get("/v1/transfers", params=query)).json()
            found += [each["id"] for each in page["transfers"]]
            if "next" not in page:
                break
            after = page["next"]
        assert sorted(found) == sorted(ids)

        async def asked(query):
            answer = await session.get(f"/v1/transfers?{query}")
            assert answer.status == 200, await answer.text()
            return {each["id"] for each in (await answer.json())["transfers"]}

        assert await asked("state=withdrawn") == {ids[0]}
        assert await asked("state=withdrawn&state=open") == set(ids)
        assert await asked("dataset=set-3") == {ids[3]}
        assert await asked("endpoint=elsewhere") == set()
        assert await asked("since=2026-11-20T00:00:00Z&until=2026-11-21T00:00:00%2B08:00") == set(ids)
        assert await asked("until=2026-11-19T00:00:00Z") == set()


@pytest.mark.parametrize(
    "query",
    [
        "stat=open",
        "state=lost",
        "limit=0",
        "limit=1001",
        "limit=many",
        "since=yesterday",
        "since=2026-11-20T00:00:00",
        "dataset=a&dataset=b",
        "after=x",
        "institution=gz-lab",
        "extra=1",
    ],
)
async def test_a_misspelt_filter_shows_nothing_at_all(site, query):
    answer = await site.request("GET", f"/v1/transfers?{query}")
    assert (answer.status, answer.json()["code"]) == (400, "bad-query")


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_files_are_dropped_declared_and_withdrawn(site):
    async with site.session() as session:
        url = f"/v1/transfers/{await opened(session, declaration={})}"
        await session.put(f"{url}/files/a.csv", data=CSV)
        assert (await session.delete(f"{url}/files/a.csv")).status == 204
        gone = await session.delete(f"{url}/files/a.csv")
        assert (gone.status, (await gone.json(content_type=None))["code"]) == (404, "no-such-file")
        assert (await session.get(f"{url}/files/a.csv")).status == 404
        assert (await session.put(f"{url}/declaration", json=GENERAL)).status == 200
        empty = await session.post(f"{url}/submit")
        assert (empty.status, (await empty.json(content_type=None))["code"]) == (422, "empty-submission")
        assert (await (await session.post(f"{url}/withdraw")).json())["state"] == "withdrawn"
        assert (await session.post(f"{url}/withdraw")).status == 200
        late = await session.put(f"{url}/files/b.csv", data=CSV)
        assert (late.status, (await late.json(content_type=None))["code"]) == (409, "wrong-state")


@pytest.mark.parametrize(
    ("listing", "status", "code"),
    [
        ({"files": {"a.csv": len(CSV)}}, 202, None),
        ({}, 202, None),
        ({"files": {"a.csv": 1}}, 409, "conflict"),
        ({"files": {"a.csv": len(CSV), "b.csv": 1}}, 400, "incomplete"),
        ({"files": {}}, 409, "conflict"),
        ({"files": {"../a.csv": 1}}, 400, "bad-path"),
        ({"files": {"a.csv": -1}}, 400, "bad-json"),
        ({"files": {"a.csv": True}}, 400, "bad-json"),
        ({"files": {"a.csv": "7"}}, 400, "bad-json"),
        ({"files": []}, 400, "bad-json"),
        ({"paths": {}}, 400, "bad-json"),
    ],
)
async def test_a_submission_may_list_its_files(site, listing, status, code):
    async with site.session() as session:
        url = f"/v1/transfers/{await opened(session)}"
        await session.put(f"{url}/files/a.csv", data=CSV)
        answer = await session.post(f"{url}/submit", json=listing)
        assert (answer.status, (await answer.json(content_type=None)).get("code")) == (status, code)


async def test_a_listing_may_be_longer_than_other_documents(site):
    async with site.session() as session:
        url = f"/v1/transfers/{await opened(session)}"
        await session.put(f"{url}/files/a.csv", data=CSV)
        listing = {"files": {f"folder/file-{number}.csv": number for number in range(5000)}}
        answer = await session.post(f"{url}/submit", json=listing)
        assert (await answer.json(content_type=None))["code"] == "incomplete"  # read, compared and found wanting


# --- secrecy ----------------------------------------------------------------------------------------------------------


async def test_a_secrecy_mark_tells_the_sender_one_thing_only(site):
    async with site.session() as session:
        transfer = await sent(site, session, "机密★10年\n".encode())
        url = f"/v1/transfers/{transfer}"
        shown = await (await session.get(url)).json()
        assert shown["state"] == "refused"
        assert shown["decision"]["rules"] == []
        (remedy,) = shown["decision"]["remedies"]
        assert remedy["code"] == "see-security-officer"
        assert remedy["zh-Hans"].startswith("请联系")
        entries = (await (await session.get(f"{url}/ledger")).json())["entries"]
        refusal = next(each for each in entries if each["tag"] == "transfer.refused")
        assert refusal["withheld"] is True
        assert "body" not in refusal
        everything = json.dumps([shown, entries])
        assert "D1" not in everything
        stored = await site.rig.transfer(transfer)
        assert "D1" in stored.decision["rules"]
        for rule in stored.decision["rules"]:
            page = await (await session.get(f"/v1/transfers?rule={rule}")).json()
            assert page["transfers"] == []


async def test_a_held_transfer_shows_its_rules_and_can_be_found_by_them(site):
    async with site.session() as session:
        transfer = await sent(site, session, hashlib.shake_256(b"opaque").digest(5000))
        shown = await (await session.get(f"/v1/transfers/{transfer}")).json()
        assert shown["state"] == "held"
        rule = shown["decision"]["rules"][0]
        page = await (await session.get(f"/v1/transfers?rule={rule}&verdict=hold")).json()
        assert [each["id"] for each in page["transfers"]] == [transfer]
