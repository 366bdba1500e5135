"""What only a directory can get wrong: links, mounts, media."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from connectors.directory import DirectoryConnector, tree
from connectors.naming import lay_out
from gateway.core.errors import EndpointError
from tests.connectors.cargo import FOLDER, SMALL, MemorySource, expected, pack
from tests.connectors.sites import read_tree, write_file
from tests.fakes.channel import FakeChannel


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    base.mkdir()
    return base


def deliver(base: Path) -> None:
    DirectoryConnector({"path": str(base)}, FakeChannel()).deliver(pack(SMALL), MemorySource(SMALL))


@pytest.mark.parametrize("depth", range(1, 5))
def test_a_symbolic_link_in_the_tree_leads_nowhere(base: Path, tmp_path: Path, depth: int) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = base / "/".join(FOLDER.split("/")[:depth])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside, target_is_directory=True)
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert (refused.value.retry, refused.value.code) == (False, "foreign-content")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv.c4gh", "manifest.json", "manifest.json.sig"])
def test_a_symbolic_link_under_a_final_name_is_foreign(base: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(SMALL["a.csv.c4gh"])
    (base / FOLDER).mkdir(parents=True)
    (base / FOLDER / name).symlink_to(target)
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert refused.value.code == "foreign-content"
    assert target.read_bytes() == SMALL["a.csv.c4gh"]


def test_a_symbolic_link_under_a_temporary_name_is_removed_not_followed(base: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    temporary = lay_out(pack(SMALL)).placed[0].temporary
    (base / FOLDER).mkdir(parents=True)
    (base / FOLDER / temporary).symlink_to(target)
    deliver(base)
    assert target.read_bytes() == b"precious"
    assert read_tree(base) == expected(SMALL, pack(SMALL))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_foreign_and_does_not_hang_us(base: Path, make) -> None:
    (base / FOLDER).mkdir(parents=True)
    make(base / FOLDER / "a.csv.c4gh")
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert refused.value.code == "foreign-content"


def test_a_base_that_is_missing_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(EndpointError) as refused:
        deliver(tmp_path / "unmounted")
    assert refused.value.retry is False
    assert not (tmp_path / "unmounted").exists()


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        (errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, True), (errno.ESTALE, True),
        (errno.EACCES, False), (errno.EROFS, False), (errno.EPERM, False),
    ],
)  # fmt: skip
def test_what_another_attempt_can_mend(base: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, retry: bool) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tree.os, "write", fail)
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert refused.value.retry is retry


def test_a_medium_that_lies_is_noticed_before_the_name_appears(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.read

    def rotten(handle: int, size: int) -> bytes:
        data = real(handle, size)
        return data[:-1] + bytes([data[-1] ^ 1]) if data else data

    monkeypatch.setattr(tree.os, "read", rotten)
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert (refused.value.code, refused.value.retry) == ("readback", True)
    assert read_tree(base) == {}


def test_a_name_that_appears_in_the_last_moment_is_not_overwritten(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def beaten(source: str, name: str, **named: object) -> None:
        write_file(base / FOLDER, name, b"theirs")
        real(source, name, **named)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(tree.os, "link", beaten)
    with pytest.raises(EndpointError) as refused:
        deliver(base)
    assert refused.value.code == "foreign-content"
    assert (base / FOLDER / "a.csv.c4gh").read_bytes() == b"theirs"


def test_a_file_system_without_hard_links_will_do(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(tree.os, "link", unsupported)
    deliver(base)
    assert read_tree(base) == expected(SMALL, pack(SMALL))


def test_every_name_is_durable_before_it_is_relied_on(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file before its name, of the folder after it."""
    calls: list[str] = []
    for name in ("fsync", "link"):
        real = getattr(os, name)

        def call(*arguments: object, _real=real, _name=name, **named: object) -> None:
            if _name == "fsync":
                handle = arguments[0]
                assert isinstance(handle, int)
                _note = "fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file"
                calls.append(_note)
            else:
                calls.append(_name)
            _real(*arguments, **named)

        monkeypatch.setattr(tree.os, name, call)
    deliver(base)
    links = [position for position, call in enumerate(calls) if call == "link"]
    assert len(links) == len(SMALL) + 2
    for position in links:
        assert "fsync file" in calls[:position][-2:]
        assert calls[position + 1] == "fsync folder"


def test_what_arrives_is_not_for_the_whole_world(base: Path) -> None:
    before = os.umask(0)
    try:
        deliver(base)
    finally:
        os.umask(before)
    for path in base.rglob("*"):
        assert not path.stat().st_mode & 0o007, path
