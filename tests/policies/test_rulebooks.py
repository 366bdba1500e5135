"""The adapter that reads packs from disk (`gateway/stores/rulebooks.py`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.core.errors import StoreError, Unusable
from gateway.stores.rulebooks import load_policies, stated_digest, write_digest

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(POLICIES, tmp_path / "pack"))


def test_a_folder_of_the_same_shape_is_the_same_pack(folder):
    assert load_policies(folder).rulebook.digest == load_policies().rulebook.digest


def test_a_changed_rule_is_refused_until_its_digest_is_stated(folder):
    rules = folder / "rules/1-every-transfer.toml"
    rules.write_text(rules.read_text("utf-8").replace('data.level == "core"', "false && data.personal"), "utf-8")
    with pytest.raises(Unusable, match="policy digest --write"):
        load_policies(folder)
    digest = load_policies(folder, verify=False).rulebook.digest
    write_digest(digest, folder)
    assert load_policies(folder).rulebook.digest == digest


def test_a_comment_changes_no_digest(folder):
    with (folder / "rules/1-every-transfer.toml").open("a", encoding="utf-8") as file:
        file.write("\n# a remark\n")
    load_policies(folder)


@pytest.mark.parametrize("gone", ["DIGEST", "vocabulary.toml", "rules"])
def test_a_folder_with_something_missing_cannot_be_read(folder, gone):
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(StoreError) as caught:
        load_policies(folder)
    assert not caught.value.retry


@pytest.mark.parametrize("data", [b"facts = [", b"\xff"])
def test_a_vocabulary_that_is_not_toml_is_refused(folder, data):
    (folder / "vocabulary.toml").write_bytes(data)
    with pytest.raises(Unusable):
        load_policies(folder)


def test_a_digest_that_is_not_text_is_refused(folder):
    (folder / "DIGEST").write_bytes(b"\xff")
    with pytest.raises(StoreError):
        load_policies(folder)


def test_a_digest_that_cannot_be_reached_is_told(folder, tmp_path):
    assert stated_digest(folder) == stated_digest()
    with pytest.raises(StoreError):
        stated_digest(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        write_digest("0" * 64, tmp_path / "nowhere")
