"""`hetao send` against a real gateway: killed in the middle, stopped, the gateway restarted, and gone on with every time."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import build
from tests.e2e.valve import Valve

MIB = 1 << 20
BIG = 24 * MIB
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


class Sending:
    """A researcher's machine beside a gateway, with a valve between both."""

    def __init__(self, folder: Path) -> None:
        self.running = build(folder / "world")
        self.running.start()
        self.world = self.running.world
        self.valve = Valve(self.world.https_port)
        self.folder = folder
        keys = self.world.config.parent / "keys"
        told = {
            "gateway": f"https://localhost:{self.valve.port}",
            "audience": f"{self.world.url}/oauth2/token",
            "client": "sz-genomics-client",
            "key": str(self.world.keys / "sz-genomics"),
            "authority": str(self.world.authority),
            "to": "hku-genomics",
            "project": "island-ecology",
            "gateway_key": str(keys / "signing.pub"),
            "ledger_key": str(keys / "ledger.vkey"),
            "receipts": str(folder / "receipts"),
        }
        self.profile = folder / "send.toml"
        self.profile.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))

    def dataset(self, name: str, **files: bytes) -> Path:
        made = self.folder / name
        made.mkdir()
        (made / "declaration.toml").write_text(DECLARATION)
        for file, content in files.items():
            (made / file.replace("_", ".")).write_bytes(content)
        return made

    def start(self, *words: object, form: str = "--json", **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gateway.cli", "send", *map(str, words)]
        environment = {
            **os.environ,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "HETAO_SEND_PARALLEL": "2",
        } | variables
        return subprocess.Popen(
            [*command, "--profile", str(self.profile), form],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ended(self, process: subprocess.Popen[str], code: int) -> list[dict[str, Any]]:
        said, wrong = process.communicate(timeout=120)
        assert process.returncode == code, said + wrong
        return [json.loads(line) for line in said.splitlines()]

    def send(self, *words: object, code: int = 0) -> list[dict[str, Any]]:
        return self.ended(self.start(*words), code)

    def restart(self) -> None:
        gateway = self.world.gateway
        assert gateway is not None
        gateway.terminate()
        gateway.wait(30)
        self.running.start()


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sending]:
    made = Sending(tmp_path_factory.mktemp("sending"))
    yield made
    made.valve.close()
    made.world.stop()


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in events]


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in events if each["event"] == kind]
    return found


def text(size: int) -> bytes:
    """Text nobody takes for anything else."""
    line = b"the quick brown fox jumps over the lazy dog\n"
    return (line * (size // len(line) + 1))[:size]


def test_stopped_killed_and_restarted_it_goes_on_to_the_receipt(sending: Sending) -> None:
    folder = sending.dataset("birds", big_txt=text(BIG), small_csv=b"island,birds\nlamma,12\n")

    sending.valve.shut(8 * MIB)
    process = sending.start(folder)
    assert sending.valve.full.wait(60)
    # A shell that runs tests in the background has them ignore Ctrl-C, and the client with them.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    process.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    stopped = sending.ended(process, 143 if ignored else 130)
    assert kinds(stopped)[-1] == "stopped"
    transfer = only(stopped, "opened")["transfer"]

    sending.valve.shut(8 * MIB)
    process = sending.start(folder)
    assert sending.valve.full.wait(60)
    process.kill()
    process.communicate(timeout=60)
    sending.valve.shut(None)
    sending.restart()
    sending.valve.shut(None)
    events = sending.send(folder)
    # Two runs brought up to 8 MiB each; what waited in the valve and in sockets when they ended was lost.
    assert sending.valve.brought < BIG - 8 * MIB
    assert only(events, "opened")["transfer"] == transfer
    assert {each["path"] for each in events if each["event"] in {"sent", "skipped"}} == {
        "big.txt",
        "small.csv",
        "declaration.toml",
    }
    assert only(events, "verdict")["verdict"] == "allow"
    receipt = json.loads(Path(only(events, "receipt-checked")["file"]).read_text())
    listed = {each["path"]: each["sha256"] for each in receipt["files"]}
    assert listed["big.txt"] == hashlib.sha256((folder / "big.txt").read_bytes()).hexdigest()
    assert receipt["transfer"]["version"] == 1

    again = sending.send(folder)
    assert only(again, "goes-on")["state"] == "receipted"
    assert not {"sent", "submitted"} & set(kinds(again))


def test_a_gateway_that_goes_away_in_the_middle_is_waited_for(sending: Sending) -> None:
    folder = sending.dataset("fish", big_txt=text(8 * MIB))
    sending.valve.shut(4 * MIB)
    process = sending.start(folder)
    assert sending.valve.full.wait(60)
    sending.running.kill()
    sending.valve.shut(None)
    sending.running.start()
    events = sending.ended(process, 0)
    assert "waiting" in kinds(events)
    assert only(events, "receipt-checked")


def test_what_changed_makes_the_next_version_and_a_refusal_is_told_in_the_users_language(sending: Sending) -> None:
    folder = sending.dataset("moths", a_csv=b"a\n1\n", b_csv=b"b\n1\n")
    assert only(sending.send(folder, "--no-wait"), "submitted")["files"] == 3
    (folder / "a.csv").write_bytes(b"a\n2\n")
    (folder / "b.csv").unlink()
    (folder / "declaration.toml").write_text(DECLARATION.replace("general", "important"))
    process = sending.start(folder, form="--lang=zh-Hant")
    said, wrong = process.communicate(timeout=120)
    assert process.returncode == 1, said + wrong
    assert "第 2 版" in said
    assert "不得出境（deny）" in said
    assert "網絡數據安全管理條例 37" in said  # the law by its name
    assert "數據出境安全評估" in said  # and what to do
