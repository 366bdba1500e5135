"""Plaintext is never at rest: a canary sent through every stage is in no file the gateway or Hong Kong keeps."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running

CANARY = b"canary-7f3c1b9e5a2d4860-beautiful-plumage"


def _holding(folder: Path, needle: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_a_canary_is_found_nowhere_while_held_and_after_delivery(running: Running, tmp_path: Path):
    world, sender = running.world, running.sender()
    sender.sign_in()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_bytes(b"field notes\n" * 9000 + CANARY + b"\n" + b"more\n" * 9000)
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "blob.bin").write_bytes(bytes(range(256)) * 500 + CANARY + bytes(range(256)) * 500)
    ids = {}
    for dataset, endpoint, project in (
        ("text", "hku-genomics", "island-ecology"),
        ("binary", "hkust-imaging", "phantom-scans"),
    ):
        ids[dataset] = sender.open(endpoint, project, dataset, GENERAL)
        sender.submit(ids[dataset], sender.put_folder(ids[dataset], tmp_path / dataset))
    sender.wait(ids["binary"], {"held"}, 60)
    sender.wait(ids["text"], {"receipted"}, 60)
    assert list((world.folder / "gateway" / "data" / "vault").rglob("*")), "the held payload must be there, sealed"
    assert _holding(world.folder, CANARY) == []
    for name in ("chen", "zhao"):
        running.hetao("review", "approve", ids["binary"], "--key", str(world.keys / name), "--reason", "looked at")
    sender.wait(ids["binary"], {"receipted"}, 60)
    assert list((world.folder / "hong-kong-hkust").rglob("blob.bin.c4gh"))
    assert _holding(world.folder, CANARY) == []


def test_no_secret_is_in_the_logs(running: Running):
    sender = running.sender()
    sender.sign_in()
    log = (running.world.folder / "gateway.log").read_bytes()
    assert sender.token.encode() not in log
    for key in running.world.keys.iterdir():
        body = key.read_bytes()
        if b"PRIVATE" in body:
            assert body.splitlines()[1] not in log
