"""Batches: many datasets declared at once (集中申报), opened or submitted with it where that is asked for.

A change must keep these:
1. A request that cannot be understood does nothing at all. Otherwise each item stands alone: one that is refused says why, and
   stops no other. What is the gateway's own doing (a database that is away) fails the whole request, to be sent again.
2. Under an `Idempotency-Key` the same batch again ends in the same transfers: each item opens under a key made of the batch's
   and its place. Declaring and submitting what was declared and submitted changes nothing.
3. An item does what requests of its own would do, with their permissions, and no more.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from gateway.core.catalogue import Catalogue
from gateway.core.errors import CallerError, Unusable
from gateway.core.identity import Principal
from gateway.core.transfer import Transfer
from gateway.doors.https.bodies import BodyLimits, read_json
from gateway.doors.https.guard import LANGUAGE, PRINCIPAL, REQUEST_ID
from gateway.doors.https.models import NewBatch
from gateway.doors.https.problems import problem_of
from gateway.doors.https.queries import idempotency_key
from gateway.doors.https.schema import check
from gateway.doors.https.transfers import parse_listing, shown_transfer
from gateway.flow.enquiry import Enquiry
from gateway.flow.intake import Intake

AT_ONCE: Final = 16  # items worked on beside each other: they share transactions
_NEW: Final = ("endpoint", "project", "dataset")

Item = Mapping[str, Any]


class BatchPages:
    """`/v1/batches`."""

    def __init__(self, *, intake: Intake, enquiry: Enquiry, catalogue: Catalogue, limits: BodyLimits) -> None:
        self._intake = intake
        self._enquiry = enquiry
        self._catalogue = catalogue
        self._limits = limits

    async def declare_batch(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/batches."""
        document = await read_json(request, self._limits.listing, self._limits)
        check(NewBatch, document)
        items = whole_items(document)
        key, turns = idempotency_key(request), asyncio.Semaphore(AT_ONCE)

        async def one(place: int, item: Item) -> dict[str, Any]:
            async with turns:
                return await self._result(request, item, item_key(key, place))

        made = await asyncio.gather(*(one(*each) for each in enumerate(items)), return_exceptions=True)
        for each in made:
            if isinstance(each, BaseException):
                raise each
        results = [each for each in made if isinstance(each, dict)]
        failed = sum("problem" in each for each in results)
        body = {"results": results, "succeeded": len(results) - failed, "failed": failed}
        return web.json_response(body, headers={"Vary": "Accept-Language"})

    async def _result(self, request: web.Request, item: Item, key: str) -> dict[str, Any]:
        """What becomes of an item; a refusal after a first step shows the transfer as that step left it."""
        language, steps = request[LANGUAGE], _Steps(self._intake, self._enquiry, request[PRINCIPAL])
        result: dict[str, Any] = {}
        try:
            result["status"] = await steps.take(item, key)
        except CallerError as refused:
            problem = problem_of(refused, catalogue=self._catalogue, language=language, request_id=request[REQUEST_ID])
            result |= {"status": problem.status, "problem": json.loads(problem.encode())}
        if steps.transfer is not None:
            result["transfer"] = shown_transfer(steps.transfer, self._catalogue, language)
        return result


class _Steps:
    """An item's steps, and the transfer as the last of them left it."""

    def __init__(self, intake: Intake, enquiry: Enquiry, principal: Principal) -> None:
        self._intake = intake
        self._enquiry = enquiry
        self._principal = principal
        self.transfer: Transfer | None = None

    async def take(self, item: Item, key: str) -> int:
        """Take them; the status the last one's own request would have had."""
        status = 200
        if "transfer" not in item:
            about = {name: item[name] for name in _NEW}
            self.transfer = await self._intake.open_transfer(
                self._principal, **about, declaration=item.get("declaration"), idempotency_key=key
            )
            status = 201
        elif "declaration" in item:
            self.transfer = await self._intake.declare(self._principal, item["transfer"], item["declaration"])
        else:
            self.transfer = await self._enquiry.transfer(self._principal, item["transfer"])
        if item.get("submit"):
            listed = parse_listing(item.get("files"))
            self.transfer = await self._intake.submit(self._principal, self.transfer.id, listed=listed)
            status = 202
        return status


def whole_items(document: Mapping[str, Any]) -> Sequence[Item]:
    """The items, each with the batch's declaration where it has none of its own.

    Raises:
        Unusable: An item names neither a transfer nor a whole new dataset, or both; or two items name the same.
    """
    items: list[Item] = []
    for place, item in enumerate(document["items"]):
        new = [name for name in _NEW if name in item]
        if ("transfer" in item) is bool(new) or (new and len(new) < len(_NEW)):
            raise Unusable(f"items[{place}] names a transfer, or endpoint, project and dataset", code="bad-json")
        if "files" in item and not item.get("submit"):
            raise Unusable(f"items[{place}].files means something with submit only", code="bad-json")
        shared = {"declaration": document["declaration"]} if "declaration" in document else {}
        items.append({**shared, **item})
    named = [tuple(item.get(name) for name in ("transfer", *_NEW)) for item in items]
    if len(set(named)) != len(named):
        raise Unusable("two items of the batch name the same: say once what shall be", code="bad-json")
    return items


def item_key(key: str, place: int) -> str:
    """The idempotency key of an item; empty where the batch has none. No sender's own key has this form by chance."""
    return f"batch:{hashlib.sha256(key.encode()).hexdigest()}:{place}" if key else ""
