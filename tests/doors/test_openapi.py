"""The document is drawn from what the door does, and the door does what it says."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.core.identity import SENDER_SCOPES
from gateway.doors.https.guard import TABLE, Row
from gateway.doors.https.openapi import SECURITY, make_document
from gateway.doors.https.operations import OPERATIONS
from gateway.doors.https.problems import STATUS, TYPE
from gateway.stores.locales import load_catalogue
from tests.doors.conforming import document


async def test_it_is_served_to_anybody(site):
    answer = await site.request("GET", "/openapi.json", client="")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document()


def test_it_is_openapi_3_1():
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_every_row_is_described_or_named_as_another_standards(row):
    if row.protocol:
        assert f"{row.method} {row.path}" in document()["x-protocols"][row.protocol]
    else:
        assert row.name in OPERATIONS, f"write an operation {row.name!r} in operations.py, or say whose protocol it is"
        assert document()["paths"][row.path][row.method.lower()]["operationId"] == row.name


def test_no_operation_is_left_of_a_page_that_went():
    assert set(OPERATIONS) == {row.name for row in TABLE if not row.protocol}


def test_a_row_of_another_standard_is_named_and_no_more():
    rows = (Row("PROPFIND", "/dav/{path}", "properties", protocol="WebDAV (RFC 4918)"),)
    drawn = json.loads(make_document(load_catalogue(), rows))
    assert drawn["paths"] == {}
    assert drawn["x-protocols"] == {"WebDAV (RFC 4918)": ["PROPFIND /dav/{path}"]}


def test_every_closed_route_says_how_to_get_in_and_with_which_scope():
    for row in TABLE:
        if row.name in OPERATIONS:
            said = document()["paths"][row.path][row.method.lower()]["security"]
            scoped = [
                {name: [row.permission] if scheme["type"] == "oauth2" else []} for name, scheme in SECURITY.items()
            ]
            assert said == ([] if row.open else scoped)
    flow = document()["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == set(SENDER_SCOPES)


def test_every_problem_type_is_listed_with_its_status():
    listed = document()["x-problem-types"]
    assert {kind.removeprefix(TYPE): about["status"] for kind, about in listed.items()} == STATUS
    assert all(about["title"] and about["remedy"] for about in listed.values())


def test_examples_are_of_the_form_they_show():
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                for code, example in (
                    answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
                ):
                    assert example["value"]["status"] == int(status) == STATUS[code], (method, path)


async def test_lists_tell_where_they_continue(site):
    async with site.session() as session:
        made = await session.post("/v1/transfers", json={"endpoint": "hku", "project": "trial", "dataset": "d"})
        url = f"/v1/transfers/{(await made.json())['id']}"
        for number in range(5):
            await session.put(f"{url}/files/{number}.csv", data=b"a,b\n1,2\n")
        await session.put(f"{url}/files/0.csv", data=b"a,b\n3,4\n")  # received again: it comes last
        found, at = [], f"{url}/files?limit=2"
        while at:
            answer = await session.get(at)
            assert answer.status == 200
            found += [each["path"] for each in (await answer.json())["files"]]
            following = answer.links.get("next")
            assert bool(following) == ("next" in await answer.json())
            at = str(following["url"].relative()) if following else ""
        assert found == ["1.csv", "2.csv", "3.csv", "4.csv", "0.csv"]
        entries, at = [], f"{url}/ledger?limit=1"
        await session.post(f"{url}/withdraw")
        while at:
            answer = await session.get(at)
            entries += [each["tag"] for each in (await answer.json())["entries"]]
            following = answer.links.get("next")
            at = str(following["url"].relative()) if following else ""
        assert entries == ["transfer.opened", "transfer.withdrawn"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "after=-1", "after=x", "after=1&after=2", "afer=1", "limit=01"]
)
@pytest.mark.parametrize("page", ["files", "ledger"])
async def test_a_page_that_cannot_be_is_refused(site, page, query):
    answer = await site.request("GET", f"/v1/transfers/t{'a' * 24}/{page}?{query}")
    assert (answer.status, answer.json()["code"]) == (400, "bad-query")
