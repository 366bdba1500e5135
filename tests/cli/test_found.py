"""`hetao review show` and `hetao transfers show`: findings in the officer's language, with masks and exact numbers."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from gateway.cli import desk, review, transfers
from tests.flow.rig import Rig, personal
from tests.flow.test_decide import resident_numbers


@pytest.fixture
async def held():
    rig = Rig()
    await rig.found()
    numbers = resident_numbers()
    people = [next(numbers) for _ in range(37)]
    content = "姓名,身份证号,诊断\n" + "".join(f"张三,{number},肺癌\n" for number in people)
    sent = await rig.send({"a[b].csv": content.encode()}, personal(nonsensitive=5))
    await rig.settle()
    return rig, sent.id, people


@pytest.fixture
def run(held, monkeypatch):
    rig, transfer, _ = held
    gateway = SimpleNamespace(review=rig.review, enquiry=rig.enquiry)
    for module in (review, transfers):
        monkeypatch.setattr(module, "with_gateway", lambda _config, work: asyncio.run(work(gateway)))

    monkeypatch.setattr(desk.out, "width", 400)

    async def invoke(module, *words: str):
        rig.restart()
        gateway.review, gateway.enquiry = rig.review, rig.enquiry
        arguments = ["show", transfer, *words]
        return await asyncio.to_thread(CliRunner().invoke, module.app, arguments, env={"LANG": "C"})

    return invoke


WORDS = {
    "en": [
        "mainland resident ID number",
        "declared less than was found",
        "37 people with sensitive data",
        "sure",
        "column 诊断",
    ],
    "zh-Hans": [
        "居民身份证号码",
        "申报低于检查所见",
        "含敏感信息的 37 人",
        "确定",
        "列 诊断",
        "证件号码与健康信息结合",
    ],
    "zh-Hant": [
        "居民身份證號碼",
        "申報低於檢查所見",
        "含敏感信息的 37 人",
        "確定",
        "列 诊断",
        "證件號碼與健康信息結合",
    ],
}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("module", [review, transfers])
async def test_findings_are_told_in_the_officers_language(run, held, module, language):
    result = await run(module, "--lang", language)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert [word for word in WORDS[language] if word not in said] == []
    assert "a[b].csv" in said
    assert [number for number in held[2] if number in said] == []


async def test_machines_get_the_same(run, held):
    shown = json.loads((await run(transfers, "--json")).output)
    assert shown["findings"]["persons_sensitive"] == 37
    assert {each["kind"] for each in shown["on_the_whole"]} == {"declared_less"}
    assert shown["file_findings"][0]["persons"]["sensitive"] == 37
