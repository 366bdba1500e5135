"""What every `gateway.ports.Spool` promises, run by the local one and the fake; then what a disk does to the local one."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import StoreError
from gateway.ports import Spool, SpoolWriter
from gateway.stores.spool import LocalSpool
from tests.fakes.spool import FakeSpool


@pytest.fixture(params=["local", "fake"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    return LocalSpool(tmp_path / "vault") if request.param == "local" else FakeSpool()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def local(root: Path) -> LocalSpool:
    return LocalSpool(root)


def put(spool: Spool, name: str, *pieces: bytes) -> None:
    writer = spool.create(name)
    for piece in pieces:
        writer.write(piece)
    writer.commit()


def read(spool: Spool, name: str) -> bytes:
    with spool.open(name) as part:
        return part.read()


def everything_in(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


# --- the contract ----------------------------------------------------------------------------------------------------


def test_a_committed_part_reads_back(spool: Spool) -> None:
    put(spool, "t1/0/0", b"one ", bytearray(b"two "), memoryview(b"three"), b"")
    assert read(spool, "t1/0/0") == b"one two three"
    with spool.open("t1/0/0") as part:
        part.seek(4)
        assert part.read(3) == b"two"


def test_an_empty_part_is_a_part(spool: Spool) -> None:
    put(spool, "t1/0/0")
    assert read(spool, "t1/0/0") == b""
    assert spool.names("") == ["t1/0/0"]


def test_nothing_shows_before_the_commit(spool: Spool) -> None:
    writer = spool.create("t1/0/0")
    writer.write(b"half")
    assert spool.names("") == []
    with pytest.raises(StoreError) as missing:
        spool.open("t1/0/0")
    assert (missing.value.code, missing.value.retry) == ("part-missing", False)
    writer.commit()
    assert spool.names("") == ["t1/0/0"]


def test_an_aborted_part_leaves_its_name_free(spool: Spool) -> None:
    writer = spool.create("t1/0/0")
    writer.write(b"half")
    writer.abort()
    writer.abort()
    assert spool.names("") == []
    put(spool, "t1/0/0", b"whole")
    assert read(spool, "t1/0/0") == b"whole"


def test_abort_after_commit_removes_nothing(spool: Spool) -> None:
    writer = spool.create("t1/0/0")
    writer.commit()
    writer.abort()
    assert spool.names("") == ["t1/0/0"]


def test_a_name_is_given_once(spool: Spool) -> None:
    first = spool.create("t1/0/0")
    with pytest.raises(StoreError) as busy:
        spool.create("t1/0/0")
    assert busy.value.code == "part-busy"
    first.commit()
    with pytest.raises(StoreError) as taken:
        spool.create("t1/0/0")
    assert (taken.value.code, taken.value.retry) == ("part-exists", False)
    assert spool.names("") == ["t1/0/0"]


def test_deleting(spool: Spool) -> None:
    put(spool, "t1/0/0", b"a")
    put(spool, "t1/0/1", b"b")
    spool.delete("t1/0/0")
    spool.delete("t1/0/0")
    assert spool.names("") == ["t1/0/1"]
    spool.delete("t1/0/1")
    put(spool, "t1/0/0", b"again")
    assert read(spool, "t1/0/0") == b"again"


def test_names_below_a_prefix_of_whole_segments(spool: Spool) -> None:
    for name in ("t1/0/0", "t1/0/10", "t1/1/0", "t12/0/0", "t2/0/0"):
        put(spool, name, b"x")
    assert spool.names("") == ["t1/0/0", "t1/0/10", "t1/1/0", "t12/0/0", "t2/0/0"]
    assert spool.names("t1") == spool.names("t1/") == ["t1/0/0", "t1/0/10", "t1/1/0"]
    assert spool.names("t1/0") == ["t1/0/0", "t1/0/10"]
    assert spool.names("t9") == []


def test_unfinished_parts_are_those_being_written(spool: Spool) -> None:
    writers = {name: spool.create(name) for name in ("t1/1/0", "t1/0/0", "t12/0/0")}
    put(spool, "t1/2/0", b"whole")
    assert spool.unfinished("") == ["t1/0/0", "t1/1/0", "t12/0/0"]
    assert spool.unfinished("t1") == spool.unfinished("t1/") == ["t1/0/0", "t1/1/0"]
    assert spool.unfinished("t9") == []
    writers["t1/0/0"].commit()
    writers["t1/1/0"].abort()
    assert spool.unfinished("t1") == []
    with pytest.raises(StoreError):
        spool.unfinished("..")
    writers["t12/0/0"].abort()


BAD_NAMES = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "a/../b",
    "a//b",
    "a/",
    "./a",
    "a.b",
    "a/b.unfinished",
    "ä",
    "a b",
    "a\0",
    "a\n",
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a" * 129, "a/" * 8 + "a"])
def test_names_that_are_no_tokens(spool: Spool, name: str) -> None:
    for use in (spool.create, spool.open, spool.delete):
        with pytest.raises(StoreError) as refused:
            use(name)
        assert (refused.value.code, refused.value.retry) == ("part-name", False)


def test_a_prefix_cannot_leave_the_vault(spool: Spool) -> None:
    for prefix in ("..", "/etc", "a/../..", "."):
        with pytest.raises(StoreError):
            spool.names(prefix)


def test_a_second_name_lives_on_when_the_first_goes(spool: Spool) -> None:
    put(spool, "t1/0/0", b"one")
    put(spool, "t1/1/0", b"two")
    spool.copy({"t1/0/0": "t2/a/0", "t1/1/0": "t2/a/1"})
    assert spool.names("t2/a") == ["t2/a/0", "t2/a/1"]
    for name in spool.names("t1/"):
        spool.delete(name)
    assert [read(spool, name) for name in spool.names("")] == [b"one", b"two"]
    spool.delete("t2/a/0")
    assert spool.names("") == ["t2/a/1"]
    spool.copy({})


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"t1/0/0": "t2/a/0", "t1/9/9": "t2/a/1"}, "part-missing"),
        ({"t1/0/0": "t2/a/0", "t1/1/0": "t1/0/0"}, "part-exists"),
        ({"t1/0/0": "t2/a/0", "t1/1/0": "t2/a/0"}, "part-exists"),
        ({"t1/0/0": "t2/a/0", "t1/1/0": "../a"}, "part-name"),
    ],
)
def test_all_get_their_second_names_or_none(spool: Spool, names: dict[str, str], code: str) -> None:
    put(spool, "t1/0/0", b"one")
    put(spool, "t1/1/0", b"two")
    with pytest.raises(StoreError) as refused:
        spool.copy(names)
    assert (refused.value.code, refused.value.retry) == (code, False)
    assert spool.names("") == ["t1/0/0", "t1/1/0"]
    assert read(spool, "t1/0/0") == b"one"


def test_many_writers_at_once(spool: Spool) -> None:
    def write(number: int) -> None:
        for part in range(5):
            put(spool, f"t1/{number}/{part}", bytes([number, part]) * 1000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.names("t1")) == 40
    assert all(read(spool, f"t1/{n}/{p}") == bytes([n, p]) * 1000 for n in range(8) for p in range(5))


# --- files -----------------------------------------------------------------------------------------------------------


def test_only_the_owner_sees_anything(local: LocalSpool, root: Path) -> None:
    put(local, "t1/0/0", b"x")
    modes = {path.relative_to(root.parent).as_posix(): path.stat().st_mode & 0o777 for path in root.parent.rglob("*")}
    assert modes == {"vault": 0o700, "vault/t1": 0o700, "vault/t1/0": 0o700, "vault/t1/0/0": 0o600}


def test_deleting_leaves_no_empty_directories(local: LocalSpool, root: Path) -> None:
    put(local, "t1/0/0", b"x")
    put(local, "t1/1/0", b"x")
    local.delete("t1/0/0")
    assert everything_in(root) == ["t1", "t1/1", "t1/1/0"]
    local.delete("t1/1/0")
    assert everything_in(root) == []
    assert root.is_dir()


def test_links_are_not_followed(local: LocalSpool, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    (root / "t1").symlink_to(outside)
    with pytest.raises(StoreError):
        local.open("t1")
    (root / "t2.unfinished").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        local.create("t2")
    assert not (tmp_path / "nowhere").exists()


def test_a_second_spool_on_the_same_directory_sees_the_same(local: LocalSpool, root: Path) -> None:
    put(local, "t1/0/0", b"x")
    assert LocalSpool(root).names("") == ["t1/0/0"]


DYING = """
import os, sys
from pathlib import Path
from gateway.stores.spool import LocalSpool
writer = LocalSpool(Path(sys.argv[1])).create("t1/0/0")
writer.write(b"half")
print("ready", flush=True)
sys.stdin.read()
os._exit(9)
"""


@contextlib.contextmanager
def dying_writer(root: Path, program: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a half-written part until its input ends, then dies without a word."""
    command = [sys.executable, "-c", program or DYING, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process


def test_what_a_dead_writer_left_is_swept_and_what_is_being_written_is_not(local: LocalSpool, root: Path) -> None:
    with dying_writer(root) as process:
        assert local.unfinished("t1") == ["t1/0/0"]
        assert local.sweep() == 0
        with pytest.raises(StoreError) as busy:
            local.create("t1/0/0")
        assert (busy.value.code, busy.value.retry) == ("part-busy", True)
        process.communicate()
        assert process.returncode == 9
    assert local.unfinished("t1") == []
    assert everything_in(root) == ["t1", "t1/0", "t1/0/0.unfinished"]
    mine = local.create("t2/0/0")
    assert local.names("") == []
    assert local.sweep() == 1
    assert everything_in(root) == ["t2", "t2/0", "t2/0/0.unfinished"]
    mine.commit()
    assert local.sweep() == 0
    assert local.names("") == ["t2/0/0"]


def test_a_name_a_dead_writer_held_is_taken_over(local: LocalSpool, root: Path) -> None:
    with dying_writer(root) as process:
        process.communicate()
    put(local, "t1/0/0", b"whole")
    assert read(local, "t1/0/0") == b"whole"
    assert everything_in(root) == ["t1", "t1/0", "t1/0/0"]


# --- durability: which calls reach the system, in which order ---------------------------------------------------------


def test_a_commit_syncs_the_file_then_names_it_then_syncs_the_directory(
    local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def spied_fsync(descriptor: int) -> None:
        calls.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root.parent).as_posix())
        fsync(descriptor)

    def spied_rename(path: Path, target: Path) -> None:
        calls.append(f"name {target.relative_to(root.parent)}")
        rename(path, target)

    monkeypatch.setattr(os, "fsync", spied_fsync)
    monkeypatch.setattr(os, "rename", spied_rename)
    writer = local.create("t1/0/0")
    assert calls == ["sync vault", "sync vault/t1"]  # the directories that were made
    calls.clear()
    writer.write(b"x")
    writer.commit()
    assert calls == ["sync vault/t1/0/0.unfinished", "name vault/t1/0/0", "sync vault/t1/0"]
    calls.clear()
    local.delete("t1/0/0")
    assert calls == ["sync vault/t1/0"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.EXDEV], ids=errno.errorcode.get)
def test_where_there_are_no_hard_links_bytes_are_copied(
    local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    put(local, "t1/0/0", b"x" * (1 << 20), b"y")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing_after(0, code, os.link))
        local.copy({"t1/0/0": "t2/a/0"})
    assert (root / "t2/a/0").stat().st_nlink == 1
    assert read(local, "t2/a/0") == read(local, "t1/0/0")


def test_a_second_name_is_synced_with_every_directory_made_for_it(
    local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, "t1/0/0", b"x")
    put(local, "t1/1/0", b"y")
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root.parent)))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noting)
        local.copy({"t1/0/0": "t2/a/0", "t1/1/0": "t2/a/1"})
    assert synced == ["vault", "vault/t2", "vault/t2/a"], "once a directory, the one with the names last"


@pytest.mark.parametrize(("call", "works"), [("link", 0), ("link", 1), ("fsync", 0), ("fsync", 1), ("fsync", 2)])
def test_a_disk_that_fails_gives_no_second_names(
    call: str, works: int, local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, "t1/0/0", b"x")
    put(local, "t1/1/0", b"y")
    before = everything_in(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing_after(works, errno.ENOSPC, getattr(os, call)))
        with pytest.raises(StoreError) as refused:
            local.copy({"t1/0/0": "t2/a/0", "t1/1/0": "t2/a/1"})
    assert refused.value.code == "disk-full"
    assert everything_in(root) == before


# --- a full disk -----------------------------------------------------------------------------------------------------


def failing_after(times: int, code: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """A system call that works so many times and then fails."""
    left = iter(range(times))

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise OSError(code, os.strerror(code))
        return call(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("call", "works"), [("write", 0), ("write", 3), ("fsync", 0), ("fsync", 1), ("rename", 0)], ids=str
)
@pytest.mark.parametrize(
    ("code", "told"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "vault")]
)
def test_a_disk_that_fails_leaves_nothing_behind(
    call: str, works: int, code: int, told: str, local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, "t0/0/0", b"was here before")
    writer = local.create("t1/0/0")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing_after(works, code, getattr(os, call)))
        with pytest.raises(StoreError) as refused:
            write_five_and_commit(writer)
    assert (refused.value.code, refused.value.retry) == (told, True)
    assert str(root) not in refused.value.message
    writer.abort()
    assert everything_in(root) == ["t0", "t0/0", "t0/0/0"]
    put(local, "t1/0/0", b"room again")


def write_five_and_commit(writer: Any) -> None:
    for _ in range(5):
        writer.write(b"x" * 100)
    writer.commit()


def test_short_writes_are_continued(local: LocalSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, bytes(data[:7])))
    put(local, "t1/0/0", b"0123456789" * 10)
    assert read(local, "t1/0/0") == b"0123456789" * 10


def test_no_room_for_a_directory(local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", failing_after(1, errno.ENOSPC, Path.mkdir))
    with pytest.raises(StoreError) as refused:
        local.create("t1/0/0")
    assert refused.value.code == "disk-full"
    assert local.names("") == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB. Where it may not be mounted, the injected faults above stand for it."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("NO REAL FULL DISK: mounting a tmpfs takes root; the same faults were injected in the tests above")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    spool = LocalSpool(tiny_disk / "vault")
    writer = spool.create("t1/0/0")
    with pytest.raises(StoreError) as refused:
        fill(writer)
    assert refused.value.code == "disk-full"
    assert everything_in(tiny_disk / "vault") == []
    put(spool, "t1/0/0", b"x" * (100 << 10))
    assert len(read(spool, "t1/0/0")) == 100 << 10


def fill(writer: Any) -> None:
    for _ in range(64):
        writer.write(b"x" * (64 << 10))


def test_the_fake_has_a_disk_too() -> None:
    spool = FakeSpool(room=10)
    put(spool, "t1/0/0", b"12345")
    writer = spool.create("t1/0/1")
    writer.write(b"12345")
    with pytest.raises(StoreError) as refused:
        writer.write(b"6")
    assert refused.value.code == "disk-full"
    assert spool.names("") == ["t1/0/0"]


def test_what_a_dead_writer_left_is_kept_where_it_is_wanted(local: LocalSpool, root: Path) -> None:
    with dying_writer(root) as process:
        assert local.salvage("t1/0/0") is None
        process.communicate()
    assert local.salvage("t1/0/0") == 4
    assert local.salvage("t1/0/0") == 4
    assert local.names("") == ["t1/0/0"]
    assert read(local, "t1/0/0") == b"half"
    assert local.sweep() == 0


HOLDING = DYING.replace('writer.write(b"half")', 'writer.write(b"sealed"); writer.hold(b"what it is")')


def test_what_a_dead_writer_held_is_found_by_its_note_and_not_swept(local: LocalSpool, root: Path) -> None:
    with dying_writer(root, HOLDING) as process:
        assert local.held() == []
        process.communicate()
    assert local.sweep() == 0
    assert local.held() == [("t1/0/0", b"what it is")]
    assert local.names("") == []
    assert local.salvage("t1/0/0") == 6
    assert read(local, "t1/0/0") == b"sealed"
    assert local.held() == []


@pytest.mark.parametrize("damage", [-1, -9, -20, -30, 0])
def test_half_a_note_is_none(local: LocalSpool, root: Path, damage: int) -> None:
    with dying_writer(root, HOLDING) as process:
        process.communicate()
    unfinished = root / "t1/0/0.unfinished"
    if damage == 0:
        unfinished.write_bytes(unfinished.read_bytes()[:-1])
    else:
        content = bytearray(unfinished.read_bytes())
        content[damage] ^= 1
        unfinished.write_bytes(content)
    assert local.held() == []
    assert local.sweep() == 1
    assert everything_in(root) == []


@pytest.mark.parametrize("note", [b"", b"n", b"n" * 100_000])
def test_a_held_part_gets_its_name_without_its_note(spool: Spool, note: bytes) -> None:
    writer = spool.create("t1/0/0")
    writer.write(b"sealed")
    writer.hold(note)
    assert spool.names("") == []
    assert spool.held() == []
    writer.commit()
    assert read(spool, "t1/0/0") == b"sealed"
    gone = spool.create("t1/0/1")
    gone.hold(note)
    gone.abort()
    assert spool.names("") == ["t1/0/0"]


def test_a_note_takes_the_place_of_the_one_before(spool: Spool) -> None:
    writer = spool.create("t1/0/0")
    writer.write(b"sealed")
    writer.hold(b"first")
    writer.hold(b"second, and longer")
    writer.commit()
    assert read(spool, "t1/0/0") == b"sealed"


AGAIN = HOLDING.replace('writer.hold(b"what it is")', 'writer.hold(b"as it was"); writer.hold(b"what it is")')


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 41, 49])
def test_the_last_whole_note_counts_when_its_writer_died(local: LocalSpool, root: Path, cut: int) -> None:
    with dying_writer(root, AGAIN) as process:
        process.communicate()
    unfinished = root / "t1/0/0.unfinished"
    os.truncate(unfinished, unfinished.stat().st_size - cut)
    assert local.held() == [("t1/0/0", b"as it was" if cut else b"what it is")]
    assert local.salvage("t1/0/0") == 6
    assert read(local, "t1/0/0") == b"sealed"


def test_a_note_that_cannot_be_written_leaves_the_one_before(
    local: LocalSpool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = local.create("t1/0/0")
    writer.write(b"sealed")
    writer.hold(b"first")
    before = next(root.rglob("*.unfinished")).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_after(0, errno.EIO, os.fsync))
        with pytest.raises(StoreError):
            writer.hold(b"second")
    assert next(root.rglob("*.unfinished")).read_bytes() == before
    writer.hold(b"third")
    writer.commit()
    assert read(local, "t1/0/0") == b"sealed"


def held_parts(spool: Spool, names: Sequence[str]) -> list[SpoolWriter]:
    writers = [spool.create(name) for name in names]
    for writer in writers:
        writer.write(b"sealed")
        writer.hold(b"what it is")
    return writers


def test_parts_are_committed_together(spool: Spool) -> None:
    names = ["t1/0/0", "t1/1/0", "t2/0/0"]
    writers = held_parts(spool, names)
    plain = spool.create("t3/0/0")
    plain.write(b"sealed")
    spool.commit([*writers, plain])
    assert spool.names("") == [*names, "t3/0/0"]
    assert all(read(spool, name) == b"sealed" for name in spool.names(""))
    assert spool.unfinished("") == []
    spool.commit([])


@pytest.mark.parametrize("call", ["rename", "ftruncate", "fsync"])
def test_what_is_held_stays_held_where_its_name_cannot_be_given(
    call: str, local: LocalSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["t1/0/0", "t1/0/1", "t2/0/0"]
    writers = held_parts(local, names)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing_after(1, errno.EIO, getattr(os, call)))
        with pytest.raises(StoreError):
            local.commit(writers)
    assert sorted({*local.names(""), *local.unfinished("")}) == names
    local.commit(writers)
    assert local.names("") == names
    assert all(read(local, name) == b"sealed" for name in names)


def test_there_is_nothing_to_salvage_where_nothing_was_written(spool: Spool) -> None:
    assert spool.salvage("t1/0/0") == 0
    writer = spool.create("t1/0/0")
    writer.write(b"half")
    assert spool.salvage("t1/0/0") is None
    writer.abort()
    assert spool.salvage("t1/0/0") == 0
    put(spool, "t1/0/0", b"whole")
    assert spool.salvage("t1/0/0") == 5


def test_the_fakes_writers_die_too() -> None:
    spool = FakeSpool()
    spool.create("t1/0/0").write(b"half")
    spool.die()
    assert spool.names("") == []
    assert spool.salvage("t1/0/0") == 4
    assert read(spool, "t1/0/0") == b"half"


# --- any names, any pieces -------------------------------------------------------------------------------------------

token = st.text("abcXYZ019_-", min_size=1, max_size=8)


@given(st.dictionaries(st.tuples(token, token, token).map("/".join), st.lists(st.binary(max_size=50)), max_size=6))
def test_the_local_spool_and_the_fake_agree(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, list[bytes]]
) -> None:
    local, fake = LocalSpool(tmp_path_factory.mktemp("vault")), FakeSpool()
    for name, pieces in parts.items():
        put(local, name, *pieces)
        put(fake, name, *pieces)
    assert local.names("") == fake.names("") == sorted(parts)
    assert all(read(local, name) == read(fake, name) for name in parts)
    for name in parts:
        assert local.names(name.split("/")[0]) == fake.names(name.split("/")[0])
        local.delete(name)
        fake.delete(name)
        assert local.names("") == fake.names("")
