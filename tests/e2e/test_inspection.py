"""Files that need seeking, through a real gateway and its confined workers: read, counted, and nowhere in plaintext."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running
from tests.e2e.test_plaintext import _holding
from tests.inspect.identities import resident_ids

CANARY = "canary-51d0-who-reads-workbooks"


def workbook(numbers: list[str]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["姓名", "身份证号"])
    for number in numbers:
        book.active.append([CANARY, number])
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def test_people_in_a_workbook_in_an_archive_and_in_parquet_are_the_same_people(running: Running, tmp_path: Path):
    numbers = resident_ids(40)
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "visit.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/people.xlsx", workbook(numbers[:30]))
        archive.writestr("notes.txt", "nothing of note\n" * 10)
    pd.DataFrame({"id_number": numbers[10:], "visit": range(30)}).to_parquet(folder / "visits.parquet", index=False)
    sender = running.sender()
    sender.sign_in()
    transfer = sender.open("hku-genomics", "island-ecology", "workbooks", GENERAL)
    sender.submit(transfer, sender.put_folder(transfer, folder))
    sender.wait(transfer, {"held"}, 60)
    told = json.loads(running.hetao("review", "show", transfer, "--json"))
    findings = told["findings"]
    assert findings["inspectable"], [each["findings"]["findings"] for each in told["files"]]
    assert findings["persons_nonsensitive"] + findings["persons_sensitive"] == 40
    assert {"zip", "parquet"} <= set(findings["formats"])
    places = {each["where"] for file in told["files"] for each in file["findings"]["findings"]}
    assert any("!/inner/people.xlsx" in place for place in places)
    assert _holding(running.world.folder, CANARY.encode()) == []
    for number in numbers:
        assert number not in json.dumps(told)


def test_a_damaged_archive_is_held_with_its_reason(running: Running, tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a.txt", "words\n" * 50)
    (folder / "broken.zip").write_bytes(whole.getvalue()[:-10])
    (folder / "polyglot.zip").write_bytes(b"#!/bin/sh\n" + whole.getvalue())
    sender = running.sender()
    sender.sign_in()
    transfer = sender.open("hku-genomics", "island-ecology", "broken", GENERAL)
    sender.submit(transfer, sender.put_folder(transfer, folder))
    shown = sender.wait(transfer, {"held"}, 60)
    assert "D10" in shown["decision"]["rules"]
    told = json.loads(running.hetao("review", "show", transfer, "--json"))
    assert told["findings"]["uninspectable_files"] == [0, 1]
