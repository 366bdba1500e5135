"""The same gateway on PostgreSQL: one dataset through every stage, and an audit that holds."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import build


def test_one_dataset_through_every_stage(empty_postgresql_url: str, tmp_path: Path):
    running = build(tmp_path / "world", HETAO_DATABASE__URL=empty_postgresql_url)
    running.start()
    try:
        sender = running.sender()
        sender.sign_in()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "a.csv").write_bytes(b"station,bill_mm\nA,39.1\n" * 500)
        transfer = sender.open("hku-genomics", "island-ecology", "birds", GENERAL)
        sender.submit(transfer, sender.put_folder(transfer, tmp_path / "data"))
        assert sender.wait(transfer, {"receipted"}, 60)["decision"]["verdict"] == "allow"
        verified = json.loads(running.hetao("ledger", "verify", "--json"))
        assert verified["problems"] == []
        assert verified["transfers"] == 1
    finally:
        running.world.stop()
