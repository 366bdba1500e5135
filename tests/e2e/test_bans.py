"""A ban by failed sign-ins at a real gateway's SFTP door, seen at both doors and lifted from another process."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import EndpointError
from tests.e2e.conftest import Running, build


def greeted(running: Running, sent: bytes = b"") -> bool:
    """Whether the SFTP door says a word to a connection from here."""
    with socket.create_connection(("127.0.0.1", running.world.sftp_port), timeout=10) as connection:
        connection.sendall(sent)
        try:
            said = connection.recv(7)
            while connection.recv(4096) if sent else False:
                pass
        except ConnectionResetError:
            return False
    return said == b"SSH-2.0"


def until(condition: Callable[[], bool]) -> None:
    bound = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < bound
        time.sleep(0.1)


def metric(running: Running, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.world.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_an_address_is_banned_at_both_doors_and_lifted(tmp_path: Path):
    settings = {"HETAO_DEFENDER__EXEMPT": "", "HETAO_DEFENDER__FAILURES": "3", "HETAO_SFTP__IDLE_SECONDS": "60"}
    running = build(tmp_path / "world", **settings)
    running.start()
    try:
        running.sender().sign_in()
        for _ in range(3):
            greeted(running, b"GET / HTTP/1.1\r\n\r\n")
        until(lambda: not greeted(running))
        until(lambda: metric(running, "hetao_banned_addresses") == 1)
        ban = json.loads(running.hetao("bans", "list", "--json"))[0]
        assert (ban["address"], ban["reason"]) == ("127.0.0.1", "failures")
        assert metric(running, 'hetao_login_failures_total{door="sftp"}') == 3
        with pytest.raises(EndpointError, match="429"):
            running.sender().sign_in()
        assert json.loads(running.hetao("bans", "lift", "127.0.0.1", "--json")) == {"address": "127.0.0.1"}
        until(lambda: greeted(running))
        running.sender().sign_in()
    finally:
        running.world.stop()
