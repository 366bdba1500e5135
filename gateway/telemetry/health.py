"""Health: whether the process lives, and whether it can do its work.

What it is not: a monitor. It answers when asked, at once or within its bound.

A change must keep these:
1. Every check has a time bound; what does not answer in time is not ready.
2. An answer names checks and codes, never hosts, paths or messages: it is given to anybody who asks.
3. Who asks often learns the same thing for a second: probes cannot be used to load the database.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.core.errors import GatewayError, StoreError
from gateway.flow.registrar import Registrar
from gateway.ports import Clock, Records, Spool

BOUND: Final = 3.0  # seconds; probes of Kubernetes and load balancers commonly wait 5
FRESH: Final = 1.0  # seconds an answer is given again
OK: Final = "ok"

Check = Callable[[], Awaitable[None]]


class Health:
    """Runs named checks side by side.

    Args:
        checks: By name; one that raises is not ready.
        bound: Seconds each may take.
        fresh: Seconds an answer stands.
    """

    def __init__(self, checks: Mapping[str, Check], *, bound: float = BOUND, fresh: float = FRESH) -> None:
        self._checks = dict(checks)
        self._bound = bound
        self._fresh = fresh
        self._answer: dict[str, str] = {}
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def __call__(self) -> Mapping[str, str]:
        """By check: `ok`, or the code of what is wrong (`timeout`, `store`, `broken-promise`, ...)."""
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._until:
                answers = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
                self._answer = dict(zip(self._checks, answers, strict=True))
                self._until = loop.time() + self._fresh
            return self._answer

    async def _run(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._bound):
                await check()
        except TimeoutError:
            return "timeout"
        except GatewayError as failure:
            return failure.code
        except Exception:  # noqa: BLE001  # a check that breaks is a check that fails; the probe must still be answered
            return "broken"
        return OK


def is_ready(answers: Mapping[str, str]) -> bool:
    """Whether every check is fine."""
    return all(answer == OK for answer in answers.values())


def gateway_health(*, records: Records, registrar: Registrar, spool: Spool, clock: Clock) -> Health:
    """What the gateway needs to do its work: the database, a registry that folds, a spool that takes a part."""

    async def database() -> None:
        async with records.read() as view:
            await view.tree_size()

    async def registry() -> None:
        await registrar.registry()

    async def vault() -> None:
        name = f"probe/{os.getpid()}-{clock.now():%Y%m%dT%H%M%S%f}"
        await asyncio.to_thread(_try_spool, spool, name)

    return Health({"database": database, "registry": registry, "spool": vault})


def _try_spool(spool: Spool, name: str) -> None:
    """Begin a part and take it back: a full or read-only disk shows here, and nothing stays."""
    writer = spool.create(name)
    try:
        writer.write(b"\0")
    except OSError as failed:
        raise StoreError("the spool takes nothing") from failed
    finally:
        writer.abort()
