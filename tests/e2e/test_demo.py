"""`make demo` is the promise of the README: it ends by itself, and every step of it held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.errors import EndpointError
from tests.e2e.conftest import Running
from tests.interop.sftp_world import DECLARATION, need


@pytest.mark.timeout(400)
def test_the_demo_ends_well(tmp_path: Path):
    command = [sys.executable, "-m", "gateway.cli", "demo", "--dir", str(tmp_path / "demo"), "--lang", "zh-Hant"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=360, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step held" in done.stdout
    for word in ("receipted", "refused", "P11", "G4", "D10"):
        assert word in done.stdout
    typed = [line for line in done.stdout.splitlines() if line.strip().startswith(("$ sftp ", "sftp> "))]
    assert len(typed) == 6, done.stdout
    assert "已送達並取得收據" in done.stdout  # the status as SFTP gives it, in the language asked for


@pytest.mark.parametrize("program", ["OpenSSH", "asyncssh"])
def test_a_data_manager_sends_looks_and_fetches(running: Running, tmp_path: Path, monkeypatch, program: str):
    if program == "OpenSSH":
        need("sftp")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))  # no sftp there
    manager = running.world.data_manager(tmp_path)
    assert (manager.sftp is None) is (program == "asyncssh")
    dataset = f"by-{program.lower()}"
    (tmp_path / dataset / "days").mkdir(parents=True)
    (tmp_path / dataset / "days" / "birds.csv").write_text("island,birds\nlamma,12\n")
    (tmp_path / dataset / "declaration.toml").write_text(DECLARATION)
    assert manager.list_files(dataset) == 2
    project = "hku-genomics/island-ecology"
    manager.carry_out([f"put -r {dataset} /outbox/{project}/", f"put SUBMIT /outbox/{project}/{dataset}/SUBMIT"])
    assert dataset in manager.await_end(f"get /status/{project}/{dataset}.txt", "receipted", 60)
    manager.carry_out([f"get /receipts/{project}/{dataset}.v1.json"])
    receipt = json.loads((tmp_path / f"{dataset}.v1.json").read_text())
    assert [each["path"] for each in receipt["files"]] == ["days/birds.csv", "declaration.toml"]
    with pytest.raises(EndpointError, match="expected held"):
        manager.await_end(f"get /status/{project}/{dataset}.txt", "held", 0)
    with pytest.raises(EndpointError, match="sftp"):
        manager.carry_out([f"get /receipts/{project}/no-such.v1.json"])
