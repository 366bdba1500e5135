"""SIGKILL at any moment: what was recorded stands, what was not never happened, and every transfer ends where it would have."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import time
from pathlib import Path

import numpy as np
import pytest

from gateway.cli.demo.story import GENERAL
from gateway.core.errors import EndpointError
from gateway.wire import crypt4gh
from tests.e2e.conftest import Running, build

KILLS = 5


@pytest.mark.timeout(400)
def test_killed_again_and_again_every_transfer_ends_as_it_would_have(tmp_path: Path):
    running = build(tmp_path / "world")
    running.start()
    try:
        _story(running, tmp_path)
    finally:
        running.world.stop()


def _story(running: Running, tmp_path: Path) -> None:
    chance = np.random.default_rng(20261122)
    sender = running.sender()
    sender.sign_in()
    contents = {f"d{number}": b"station,bill_mm\n" + b"A,%d\n" % number * 40_000 for number in range(6)}
    ids: dict[str, str] = {}
    for dataset, content in contents.items():
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / "table.csv").write_bytes(content)
        ids[dataset] = sender.open("hku-genomics", "island-ecology", dataset, GENERAL)
        sent = sender.put_folder(ids[dataset], tmp_path / dataset)
        sender.submit(ids[dataset], sent)
        if len(ids) <= KILLS:
            time.sleep(float(chance.uniform(0, 0.4)))  # the moment of the kill, not a wait for something
            running.kill()
            running.start()
            sender = running.sender()
            sender.sign_in()
    for transfer in ids.values():
        sender.wait(transfer, {"receipted"}, 200)  # a lease of the killed process runs out in two minutes
    verified = json.loads(running.hetao("ledger", "verify", "--json"))
    assert verified["problems"] == []
    private = crypt4gh.parse_private_key((running.world.keys / "hku").read_bytes())
    for dataset, content in contents.items():
        arrived = running.world.folder / "hong-kong-hku" / "in" / "sz-genomics" / "island-ecology" / dataset / "v1"
        assert sorted(path.name for path in arrived.iterdir()) == [
            "manifest.json",
            "manifest.json.sig",
            "table.csv.c4gh",
        ]
        sealed = (arrived / "table.csv.c4gh").read_bytes()
        length = crypt4gh.header_length(sealed) or 0
        opener = crypt4gh.SegmentOpener(crypt4gh.open_header(sealed[:length], private).session_keys)
        assert hashlib.sha256(opener.open(sealed[length:])).digest() == hashlib.sha256(content).digest()


def test_an_upload_cut_by_a_kill_is_no_file(tmp_path: Path):
    running = build(tmp_path / "world")
    running.start()
    try:
        sender = running.sender()
        sender.sign_in()
        transfer = sender.open("hku-genomics", "island-ecology", "cut", GENERAL)
        with begun_upload(running, sender.token, f"/v1/transfers/{transfer}/files/big.bin", 50_000_000) as connection:
            connection.sendall(b"x" * 5_000_000)
            running.kill()
        running.start()
        sender = running.sender()
        sender.sign_in()
        shown = sender.status(transfer)
        assert (shown["state"], shown["files"]) == ("open", 0)
        with pytest.raises(EndpointError, match=r"empty-submission|no file"):
            sender.submit(transfer, {})
    finally:
        running.world.stop()


def begun_upload(running: Running, token: str, path: str, size: int) -> ssl.SSLSocket:
    """A PUT whose head is sent; its body is the caller's to send."""
    context = ssl.create_default_context(cafile=str(running.world.authority))
    plain = socket.create_connection(("localhost", running.world.https_port), timeout=30)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode())
    return connection
