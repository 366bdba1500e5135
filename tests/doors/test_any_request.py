"""Whatever the document allows, and much that it does not, is sent to the door: no answer is our mistake, all are as told.

schemathesis (a stranger's program) makes the requests from the door's own document. They are the same in every run.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.doors.conforming import document

EXAMPLES = 10  # of what the document allows, and as many of what it does not
NOTHING_TO_GET_WRONG = {"document", "endpoints", "jwks", "living", "ready"}  # no parameter, no body
STREAMS = {"follow_transfer", "follow_all"}  # they do not end by themselves
FOR_ROWS = sorted(
    operation["operationId"]
    for operations in document()["paths"].values()
    for operation in operations.values()
    if operation["operationId"] not in STREAMS
)


def sending(operation: Any, kind: Any, transfer: str, about: dict[str, Any]) -> None:
    """Send examples of one operation; every other one of those that name a transfer names one that is there."""
    sent = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind))
    def send(case: Any) -> None:
        nonlocal sent
        sent += 1
        if sent % 2 and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = transfer
        case.call_and_validate(**about)

    send()


@pytest.fixture(scope="module")
def described():
    import schemathesis

    return schemathesis.openapi.from_dict(document())


@pytest.mark.parametrize("name", FOR_ROWS)
async def test_no_request_finds_a_mistake(site, described, name):
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    held = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    async with site.session() as session:
        made = await session.post("/v1/transfers", json={"endpoint": "hku", "project": "trial", "dataset": "d"})
        transfer = (await made.json())["id"]
        await session.put(f"/v1/transfers/{transfer}/files/a.csv", data=b"a,b\n1,2\n")
    (operation,) = [
        each.ok() for each in described.get_all_operations() if each.ok().definition.raw["operationId"] == name
    ]
    about = {"base_url": f"http://127.0.0.1:{site.port}", "headers": await site.bearer(), "checks": held}
    kinds = [GenerationMode.POSITIVE] if name in NOTHING_TO_GET_WRONG else list(GenerationMode)
    for kind in kinds:
        await asyncio.to_thread(sending, operation, kind, transfer, about)
    assert site.observer.of("request.mistaken") == []
