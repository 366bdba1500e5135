"""Trees of small files, the whole way, every file opened in Hong Kong; `make scale` does the same with 3,000 and 10,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.sftp_world import SftpWorld, make_world, need
from tests.interop.trees import BY_DIRECTORY, BY_SFTP, Place, mixed_sizes, send_tree

PATIENCE = 150  # seconds a step may take
# More than what is worked on at once: 64 facts of a transaction, 256 keys of a request to the keyring, 100 files of a folder.
MANY = 300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    need("sftp")
    made = make_world(tmp_path_factory.mktemp("trees"))
    yield made
    made.running.world.stop()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("dataset", "place", "sizes"),
    [
        pytest.param("mixed", BY_DIRECTORY, mixed_sizes(150), id="150 files of 1-20 kB to a directory"),
        pytest.param("small", BY_SFTP, [1_000] * MANY, id="300 files of 1 kB to an SFTP server"),
    ],
)
def test_every_file_of_a_tree_opens_in_hong_kong(world: SftpWorld, dataset: str, place: Place, sizes: list[int]):
    sent = send_tree(world, place, dataset, sizes, patience=PATIENCE)
    assert sent.files == len(sizes)
    assert not list((Path(world.running.world.config.parent) / "data").rglob("*.unfinished"))
    assert sent.seconds["key_destroyed"] < PATIENCE


@pytest.mark.timeout(200)
def test_a_tree_sent_by_openssh_alone_arrives_too(world: SftpWorld, tmp_path: Path, monkeypatch):
    for name in ("sftp", "ssh"):
        (tmp_path / name).symlink_to(need(name))
    monkeypatch.setenv("PATH", str(tmp_path))  # no rclone there
    assert send_tree(world, BY_DIRECTORY, "openssh", mixed_sizes(120), patience=90).files == 120
