"""A real gateway in a process of its own, with recipients in Hong Kong; one for the whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.cli.demo.sender import Sender
from gateway.cli.demo.world import World


@dataclass
class Running:
    """A gateway, and the commands its people use."""

    world: World
    environment: dict[str, str] = field(default_factory=dict)

    def hetao(self, *arguments: str, fails: bool = False) -> str:
        command = [sys.executable, "-m", "gateway.cli", *arguments]
        if arguments[0] != "init":
            command += ["--config", str(self.world.config)]
        environment = {**os.environ, **self.environment, "COLUMNS": "400", "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def register(self, file: Path) -> None:
        keys = self.world.keys
        proposed = json.loads(self.hetao("registry", "propose", str(file), "--key", str(keys / "chen"), "--json"))
        self.hetao("registry", "approve", proposed["digest"], "--key", str(keys / "zhao"))

    def start(self) -> None:
        self.world.start_gateway(self.environment)
        sender = self.sender()
        until = time.monotonic() + 60
        while not sender.reachable():
            self.world.check_gateway()
            assert time.monotonic() < until, "the gateway does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs after this."""
        assert self.world.gateway is not None
        self.world.gateway.kill()
        self.world.gateway.wait(20)

    def sender(self, name: str = "sz-genomics") -> Sender:
        return Sender(self.world.url, self.world.authority, f"{name}-client", self.world.keys / name)


def build(folder: Path, *, more_records: str = "", **environment: str) -> Running:
    """A gateway that is initialised and has its people registered, and records of the caller's own in TOML."""
    world = World(folder)
    running = Running(world, environment)
    world.build()
    with (folder / "registry.toml").open("a", encoding="utf-8") as registry:
        registry.write(more_records)
    running.hetao("init", str(folder / "genesis.toml"), "--dir", str(world.config.parent), *world.port_options)
    running.register(folder / "registry.toml")
    if world.sftp is not None:
        world.sftp.start()
    return running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = build(tmp_path_factory.mktemp("world"))
    made.start()
    yield made
    made.world.stop()
