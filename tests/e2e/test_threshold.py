"""At 99,990 persons two processes settle two transfers of nine new persons each: exactly one of them is cleared."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.cli.desk import Quiet
from gateway.core.transfer import State, Transfer
from gateway.flow.incoming import Announced
from gateway.settings import load_settings
from gateway.wiring import Gateway, open_gateway
from tests.e2e.conftest import Running, build
from tests.flow.rig import personal, sender

SETTLE = """
import asyncio, os, sys
from pathlib import Path
from gateway.cli.desk import Quiet
from gateway.settings import load_settings
from gateway.wiring import open_gateway

async def main():
    async with open_gateway(load_settings(Path(sys.argv[1]), os.environ), Quiet()) as gateway:
        print("ready", flush=True)
        sys.stdin.readline()
        await gateway.conductor.step(sys.argv[2])
        async with gateway.database.read() as view:
            print((await view.transfer(sys.argv[2])).state.value, flush=True)

asyncio.run(main())
"""


def people(first: int, count: int) -> bytes:
    numbers = (f"{13_800_000_000 + first + each}" for each in range(count))
    return b"name,mobile\n" + "".join(f"x,{number}\n" for number in numbers).encode()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def sent(gateway: Gateway, dataset: str, content: bytes, count: int) -> Transfer:
    who = sender("sz-genomics")
    transfer = await gateway.intake.open_transfer(
        who,
        endpoint="hkust-imaging",
        project="phantom-scans",
        dataset=dataset,
        declaration=personal(nonsensitive=count),
    )
    await gateway.intake.receive(who, transfer.id, "a.csv", pieces(content), Announced())
    return await gateway.intake.submit(who, transfer.id)


async def prepared(running: Running) -> list[str]:
    """Many sent, and two more classified and not decided."""
    settings = load_settings(running.world.config, {**os.environ, **running.environment})
    async with open_gateway(settings, Quiet()) as gateway:
        before = await sent(gateway, "before", people(0, 99_990), 99_990)
        for _ in range(2):
            await gateway.conductor.step(before.id)
        async with gateway.database.read() as view:
            settled = await view.transfer(before.id)
        assert settled is not None
        assert settled.state is State.CLEARED, settled.decision
        pair = [await sent(gateway, f"pair{number}", people(200_000 + 100 * number, 9), 9) for number in range(2)]
        for each in pair:
            await gateway.conductor.step(each.id)
        return [each.id for each in pair]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_exactly_one_goes(engine: str, tmp_path: Path, request: pytest.FixtureRequest):
    environment = {}
    if engine == "postgresql":
        environment["HETAO_DATABASE__URL"] = request.getfixturevalue("empty_postgresql_url")
    running = build(tmp_path / "world", **environment)
    try:
        pair = asyncio.run(prepared(running))
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SETTLE, str(running.world.config), each],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **environment},
            )
            for each in pair
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    finally:
        running.world.stop()
    assert ends == ["cleared", "held"]
