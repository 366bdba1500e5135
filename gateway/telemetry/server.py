"""The metrics port: `/metrics`, `/healthz`, `/readyz`, apart from the doors, for the loopback or a management network.

A change must keep these:
1. Nothing here needs a credential, so nothing here tells about a transfer, a sender or an endpoint.
2. A database that is away takes the gauges out of the answer; it does not take the answer away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from gateway.core.errors import BrokenPromise, NotFound, StoreError
from gateway.ports import Clock, Records
from gateway.telemetry.health import is_ready
from gateway.telemetry.metrics import PrometheusObserver

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_BANS: Final = 10_000
Counting = Callable[[], Awaitable[tuple[Mapping[str, int], Mapping[str, int]]]]
BOUND: Final = 5.0  # seconds the gauges may take; Prometheus waits 10 unless told otherwise


def make_metrics_app(
    *,
    metrics: PrometheusObserver,
    records: Records,
    clock: Clock,
    health: Callable[[], Awaitable[Mapping[str, str]]],
    filings: Counting | None = None,
) -> web.Application:
    """The application of the metrics port.

    Args:
        metrics: What was counted.
        records: Where transfers are counted by state.
        clock: The time, for ages.
        health: The checks of `/readyz`.
        filings: Counts them by state, and by kind the days until the first one ends; no id is told.
    """

    async def exposed(_request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(BOUND), records.read() as view:
                now = clock.now()
                parked = sum(each.parked_at is not None for each in await view.outboxes())
                metrics.counted(await view.state_counts(), now, len(await view.bans(now, MOST_BANS)), parked)
        except (StoreError, TimeoutError):
            metrics.not_counted()
        else:
            if filings is not None:
                metrics.filed(*await _filed(filings))
        return web.Response(body=metrics.exposed(), headers={"Content-Type": CONTENT_TYPE})

    async def living(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        answers = await health()
        fine = is_ready(answers)
        body = {"status": "ok" if fine else "not-ready", "checks": dict(answers)}
        return web.json_response(body, status=200 if fine else 503, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get("/metrics", exposed)
    app.router.add_get("/healthz", living)
    app.router.add_get("/readyz", ready)
    return app


async def _filed(filings: Counting) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The filings' gauges; none where the database is away, or the registry is not there or does not fold."""
    try:
        async with asyncio.timeout(BOUND):
            return await filings()
    except (StoreError, TimeoutError, BrokenPromise, NotFound):
        return {}, {}
