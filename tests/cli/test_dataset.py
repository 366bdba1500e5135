"""A dataset on the sender's machine: what is in it, and everything that keeps it from being sent."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest

import gateway.cli.dataset
from gateway.cli.dataset import find_dataset, look_again
from gateway.core.errors import Unusable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "raw").mkdir(parents=True)
    (tmp_path / "set" / "b.csv").write_text("b")
    (tmp_path / "set" / "raw" / "a.csv").write_text("aa")
    return tmp_path / "set"


def faults(folder: Path, **how) -> dict[str, str]:
    return {each.path: each.why for each in find_dataset([folder], **how).faults}


def test_a_folder_is_its_content_in_order(folder: Path):
    (folder / "empty").mkdir()
    found = find_dataset([folder]).whole()
    assert [(each.path, each.size) for each in found.files] == [("b.csv", 1), ("raw/a.csv", 2)]
    assert (found.size, found.empty_folders) == (3, 1)


def test_several_things_stand_under_their_own_names(folder: Path):
    found = find_dataset([folder / "b.csv", folder / "raw"]).whole()
    assert [each.path for each in found.files] == ["b.csv", "raw/a.csv"]
    assert [each.path for each in find_dataset([folder / "b.csv"]).files] == ["b.csv"]


def test_what_is_left_out_was_named(folder: Path):
    assert [each.path for each in find_dataset([folder], exclude=["a.csv"]).files] == ["b.csv"]
    assert [each.path for each in find_dataset([folder], exclude=["raw"]).files] == ["b.csv"]
    assert [each.path for each in find_dataset([folder], exclude=["*.csv"]).files] == []


def test_links_are_followed_only_when_asked(folder: Path, tmp_path: Path):
    (tmp_path / "secret.csv").write_text("xyz")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "raw" / "up").symlink_to(folder)
    (folder / "broken").symlink_to(tmp_path / "nothing")
    assert set(faults(folder)) == {"broken", "link.csv", "raw/up"}
    found = find_dataset([folder], follow=True)
    assert {each.path for each in found.files} == {"b.csv", "link.csv", "raw/a.csv"}
    assert {each.path: each.why.partition(":")[0] for each in found.faults} == {
        "broken": "cannot be read",
        "raw/up": "is a folder inside itself, or too deep",
    }


def test_a_folder_named_by_a_link_is_what_was_meant(folder: Path, tmp_path: Path):
    (tmp_path / "other").symlink_to(folder)
    assert len(find_dataset([tmp_path / "other"]).whole().files) == 2


def test_pipes_and_sockets_are_no_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # the name of a socket has little room
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("sock")
        assert {path: why.split(",")[0] for path, why in faults(folder).items()} == {
            "pipe": "is a named pipe",
            "sock": "is a socket",
        }


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (unicodedata.normalize("NFD", "é.csv"), "NFC"),
        ("a\nb.csv", "control"),
        ("back\\slash", "backslash"),
        (" a.csv", "white space"),
        (os.fsdecode(b"\xff.csv"), "UTF-8"),
        ("B.csv", "differ only in case"),
    ],
)
def test_names_the_gateway_would_refuse_are_refused_here(folder: Path, name: str, complaint: str):
    (folder / name).write_text("x")
    assert any(complaint in why for why in faults(folder).values())
    with pytest.raises(Unusable, match=complaint):
        find_dataset([folder]).whole()


def test_what_may_not_be_read_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, _mode: "b.csv" not in str(path))
    assert "permissions" in faults(folder)["b.csv"]

    def listdir(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", listdir)
    assert faults(folder) == {".": "cannot be opened: Permission denied"}


def test_the_same_name_twice_is_told(folder: Path, tmp_path: Path):
    (tmp_path / "b.csv").write_text("other")
    assert faults_of([folder / "b.csv", tmp_path / "b.csv"]) == {"b.csv"}


def faults_of(paths: list[Path]) -> set[str]:
    return {each.path for each in find_dataset(paths).faults if each.path != "names"}


def test_nothing_to_send_and_nothing_there(tmp_path: Path):
    with pytest.raises(Unusable, match="no files"):
        find_dataset([tmp_path]).whole()
    with pytest.raises(Unusable, match="does not exist"):
        find_dataset([tmp_path / "nothing"])


def test_more_than_a_transfer_takes_is_refused_early(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway.cli.dataset, "MAX_FILES", 1)
    with pytest.raises(Unusable, match="more than 1 files"):
        find_dataset([folder])


def test_another_look_tells_what_changed(folder: Path):
    found = {each.path: each for each in find_dataset([folder]).files}
    file = found["b.csv"]
    assert file.same(look_again(file))
    os.utime(file.place, ns=(0, 1))
    assert not file.same(look_again(file))
    file.place.unlink()
    assert look_again(file) is None
    assert not file.same(None)
    file.place.mkdir()
    assert look_again(file) is None


def test_many_faults_are_told_in_part(folder: Path):
    for number in range(30):
        (folder / f"{number}\\").write_text("x")
    with pytest.raises(Unusable, match="and 10 more"):
        find_dataset([folder]).whole()
