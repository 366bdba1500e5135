"""Officers without our key handling: everything they sign is signed and checked with OpenSSH's own ssh-keygen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running, build


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if shutil.which("ssh-keygen") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ssh-keygen is missing: .ci/run installs openssh-client")
        pytest.skip("ssh-keygen is missing: install openssh-client to run this")
    made = build(tmp_path_factory.mktemp("world"))
    made.start()
    yield made
    made.world.stop()


def sign(key: Path, namespace: str, file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key), str(file)], check=True, timeout=30)
    return file.with_name(file.name + ".sig")


def held(running: Running, folder: Path, dataset: str) -> str:
    sender = running.sender()
    sender.sign_in()
    folder.mkdir()
    (folder / "scan.bin").write_bytes(bytes(range(256)) * 40)
    transfer = sender.open("hkust-imaging", "phantom-scans", dataset, GENERAL)
    sender.submit(transfer, sender.put_folder(transfer, folder))
    sender.wait(transfer, {"held"}, 60)
    return transfer


def test_ballots_signed_elsewhere_clear_a_transfer_and_its_receipt_verifies(running: Running, tmp_path: Path):
    transfer, keys = held(running, tmp_path / "data", "elsewhere"), running.world.keys
    for name, office in (("chen", "security"), ("zhao", "audit")):
        ballot = tmp_path / f"{name}.json"
        arguments = [
            "--officer",
            f"{office}-{name}",
            "--vote",
            "approve",
            "--reason",
            "looked at",
            "--out",
            str(ballot),
        ]
        running.hetao("review", "ballot", transfer, *arguments)
        running.hetao("review", "cast", str(ballot), "--signature", str(sign(keys / name, "hetao-vote", ballot)))
    sender = running.sender()
    sender.sign_in()
    sender.wait(transfer, {"receipted"}, 60)
    receipt, signature = sender.receipt(transfer)
    (tmp_path / "receipt.sig").write_text(signature)
    signing = dict(line.split(": ", 1) for line in running.hetao("keys", "show").splitlines())["signing"]
    (tmp_path / "allowed").write_text("gateway " + " ".join(signing.split()[:2]) + "\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "gateway", "-n", "hetao-receipt"]
    done = subprocess.run(
        [*command, "-s", str(tmp_path / "receipt.sig")], input=receipt.encode(), timeout=30, check=False
    )
    assert done.returncode == 0
    forged = receipt.replace('"allow"', '"hold"').replace('"hold"', '"allow"') + " "
    done = subprocess.run(
        [*command, "-s", str(tmp_path / "receipt.sig")], input=forged.encode(), timeout=30, check=False
    )
    assert done.returncode != 0


def test_a_ballot_signed_under_another_namespace_is_refused(running: Running, tmp_path: Path):
    transfer, keys = held(running, tmp_path / "data", "namespace"), running.world.keys
    ballot = tmp_path / "ballot.json"
    arguments = ["--officer", "security-chen", "--vote", "approve", "--reason", "x", "--out", str(ballot)]
    running.hetao("review", "ballot", transfer, *arguments)
    signature = sign(keys / "chen", "hetao-registry", ballot)
    assert "does not count" in running.hetao("review", "cast", str(ballot), "--signature", str(signature), fails=True)


def test_a_registry_change_signed_elsewhere_takes_effect(running: Running, tmp_path: Path):
    keys = running.world.keys
    records = tmp_path / "person.toml"
    records.write_text(
        '[[person]]\nid = "gao"\nname = "Gao Lan"\ninstitution = "sz-genomics"\nreal_name_verified = true\n'
    )
    change = tmp_path / "change.json"
    running.hetao("registry", "compose", str(records), "--out", str(change))
    first = sign(keys / "zhao", "hetao-registry", change)
    proposed = json.loads(running.hetao("registry", "propose", str(change), "--signature", str(first), "--json"))
    first.unlink()
    second = sign(keys / "chen", "hetao-registry", change)
    running.hetao("registry", "approve", proposed["digest"], "--signature", str(second))
    assert json.loads(running.hetao("registry", "show", "person", "gao"))[0]["name"] == "Gao Lan"
