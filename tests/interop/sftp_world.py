"""A real gateway in a process of its own with its SFTP door, for strangers' clients; and a proxy that cuts connections."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Running, build

BASE = "/outbox/hku-genomics/island-ecology"
DECLARATION = """
[data]
level = "general"
personal = false
controlled_technology = false
remote_access = false
precise_geo = false
[hgr]
information = false
material = false
"""


def need(program: str) -> str:
    """The program's path; without it the test is skipped loudly, and on CI it fails."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{program} must be tested on CI: install it")
        pytest.skip(f"{program.upper()} IS NOT TESTED: it is not installed")
    return found


@dataclass
class SftpWorld:
    """The gateway and what clients need to reach it."""

    running: Running
    folder: Path

    @property
    def port(self) -> int:
        return self.running.world.sftp_port

    @property
    def key(self) -> Path:
        return self.running.world.keys / "lin"

    def options(self, port: int = 0, *, flag: str = "-P") -> list[str]:
        """What OpenSSH's programs are told."""
        line = (self.running.world.config.parent / "keys" / "sftp_host.pub").read_text("utf-8").split()[:2]
        known = self.folder / f"known_hosts_{port or self.port}"
        known.write_text(f"[127.0.0.1]:{port or self.port} {' '.join(line)}\n")
        settings = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "User": "sz-genomics",
        }
        told = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return ["-F", "none", *told, flag, str(port or self.port)]

    def sftp(
        self, commands: str, *more: str, port: int = 0, fails: bool = False, **about: object
    ) -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's sftp over a batch of commands."""
        program = [need("sftp"), "-q", *more, *self.options(port), "-b", "-", "127.0.0.1"]
        done = subprocess.run(
            program, input=commands, capture_output=True, text=True, timeout=120, check=False, **about
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done

    def sums(self, *paths: str) -> dict[str, str]:
        """Digests as the gateway recorded them, asked with ssh."""
        program = [
            need("ssh"),
            *self.options(flag="-p"),
            "127.0.0.1",
            "sha256sum " + " ".join(f"'{each}'" for each in paths),
        ]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        return dict(reversed(line.split("  ", 1)) for line in done.stdout.splitlines())

    def listed(self, folder: str) -> dict[str, int]:
        """Names and sizes as `ls -ln` shows them."""
        lines = self.sftp(f"ls -ln {folder}").stdout.splitlines()
        rows = [line.split(None, 8) for line in lines if not line.startswith("sftp>")]
        return {row[8].rpartition("/")[2]: int(row[4]) for row in rows}

    def status(self, dataset: str) -> str:
        target = self.folder / "status.txt"
        self.sftp(f"get /status/hku-genomics/island-ecology/{dataset}.txt {target}")
        return target.read_text("utf-8")

    def until(self, dataset: str, state: str) -> str:
        deadline = time.monotonic() + 60
        while f"({state})" not in (said := self.status(dataset)):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return said


class Cutter:
    """A TCP proxy that resets, or closes, the connection after so many bytes from the client."""

    def __init__(self, port: int, after: int, *, reset: bool) -> None:
        self._port = port
        self._after = after
        self._reset = reset
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._port))
        back = threading.Thread(target=self._copy, args=(server, client, 1 << 62), daemon=True)
        back.start()
        self._copy(client, server, self._after)
        for each in (server, client):
            if self._reset:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RD)
            each.close()
        back.join(10)
        self._listener.close()
        self.cut.set()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 65536))):
                target.sendall(data)
                left -= len(data)


def make_world(folder: Path) -> SftpWorld:
    running = build(folder)
    running.start()
    scratch = folder / "scratch"
    scratch.mkdir()
    return SftpWorld(running, scratch)
