"""`hetao policy explain|certificate|verify|replay`: what they print, and that a certificate is checked without a gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
from importlib.resources import files
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from gateway.cli import decided
from gateway.cli.policy import app
from gateway.core.errors import Unusable
from tests.flow.rig import OFFICERS, Rig, personal, public_line

TABLE = b"island,bill_mm\n" + b"Biscoe,39.1\n" * 50


@pytest.fixture
async def rig():
    made = Rig()
    await made.found()
    return made


@pytest.fixture
def run(rig, monkeypatch):
    def at_once(_config, work):
        return asyncio.run(work(SimpleNamespace(answers=rig.answers)))

    monkeypatch.setattr(decided, "with_gateway", at_once)

    async def invoke(*arguments: str):
        rig.restart()
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"COLUMNS": "200"})

    return invoke


async def settled(rig: Rig, declaration=None) -> str:
    sent = await rig.send({"a.csv": TABLE}, declaration)
    await rig.settle()
    return sent.id


async def test_a_certificate_is_written_and_checked_by_whoever_has_key_and_pack(run, rig, tmp_path):
    transfer = await settled(rig)
    path = tmp_path / "decision.json"
    assert (await run("certificate", transfer, "-o", str(path))).exit_code == 0
    key = rig.signer.public_line
    held = await run("verify", str(path), "--gateway-key", key, "--json")
    assert held.exit_code == 0, held.output
    assert json.loads(held.stdout) == {"transfer": transfer, "verdict": "allow", "holds": True, "faults": []}
    told = json.loads(path.read_text())
    told["certificate"]["endpoint"] = "elsewhere"
    path.write_text(json.dumps(told))
    forged = await run("verify", str(path), "--gateway-key", key)
    assert forged.exit_code == 1
    assert "signature" in forged.output


async def test_another_key_is_not_the_gateways(run, rig, tmp_path):
    transfer = await settled(rig)
    path = tmp_path / "decision.json"
    await run("certificate", transfer, "-o", str(path))
    other = public_line(OFFICERS["chen"][1])
    assert (await run("verify", str(path), "--gateway-key", other)).exit_code == 1


@pytest.mark.parametrize(
    ("lang", "word"), [("en", "standard contract"), ("zh-Hans", "标准合同"), ("zh-Hant", "標準合同")]
)
async def test_an_explanation_in_the_readers_language(run, rig, lang, word):
    transfer = await settled(rig, personal(sensitive=50))
    shown = await run("explain", transfer, "--lang", lang)
    assert shown.exit_code == 0, shown.output
    assert word in shown.output
    assert "persons.sensitive" in shown.output


async def test_a_rule_is_still_explained(run):
    assert "P8" in (await run("explain", "P8")).output
    assert (await run("explain", "P88")).exit_code == 2


async def test_a_change_of_the_law_becomes_an_impact_list(run, rig, tmp_path):
    transfer = await settled(rig)
    pack = tmp_path / "pack"
    shutil.copytree(str(files("policies")), pack)
    rules = pack / "rules" / "3-personal-information.toml"
    rules.write_text(rules.read_text().replace('band == "none" && data.level == "general"', 'false && band == "none"'))
    listed = await run("replay", "--pack", str(pack), "--json")
    assert listed.exit_code == 0, listed.output
    told = json.loads(listed.stdout)
    assert told["decided"] == 1
    (row,) = told["transfers"]
    assert (row["transfer"], row["before"], row["after"]) == (transfer, "allow", "hold")
    same = await run("replay", "--pack", str(files("policies")))
    assert "0 would differ" in same.output


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"certificate": [], "signature": ""}', "[" * 100_000])
async def test_what_is_no_certificate_is_said_to_be_none(run, tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    told = await run("verify", str(path), "--gateway-key", "ssh-ed25519 AAAA")
    assert isinstance(told.exception, Unusable)
