"""What every `gateway.ports.Keyring` promises, run by the real one and the fake; then what is left of what was destroyed."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.core.errors import BrokenPromise, StoreError, Unusable
from gateway.ports import Keyring
from gateway.stores.keyring import FileKeyring, _delete
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.keyring import FakeKeyring

KEY = bytes(range(32))
OTHER = bytes(range(32, 64))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


@pytest.fixture
def ring(place: Path, clock: FakeClock, entropy: FakeEntropy) -> FileKeyring:
    return FileKeyring(place, clock, entropy)


@pytest.fixture(params=["file", "fake"])
def keyring(request: pytest.FixtureRequest, clock: FakeClock) -> Keyring:
    return request.getfixturevalue("ring") if request.param == "file" else FakeKeyring(clock)


async def gone(keyring: Keyring, transfer_id: str, name: str) -> bool:
    try:
        await keyring.get(transfer_id, name)
    except StoreError as refused:
        return (refused.code, refused.retry) == ("key-destroyed", False)
    return False


# --- the contract ----------------------------------------------------------------------------------------------------


async def test_a_secret_comes_back_under_its_name_only(keyring: Keyring) -> None:
    await keyring.put("t1", "file/0", KEY)
    await keyring.put("t1", "evidence", OTHER)
    await keyring.put("t2", "file/0", b"")
    assert await keyring.get("t1", "file/0") == KEY
    assert await keyring.get("t1", "evidence") == OTHER
    assert await keyring.get("t2", "file/0") == b""
    assert await gone(keyring, "t2", "evidence")
    assert await gone(keyring, "t3", "file/0")


async def test_a_secret_is_replaced(keyring: Keyring, clock: FakeClock) -> None:
    await keyring.put("t1", "a", KEY)
    clock.advance(days=40)
    await keyring.put("t1", "a", OTHER)
    assert await keyring.get("t1", "a") == OTHER


async def test_dropping_one(keyring: Keyring) -> None:
    await keyring.put("t1", "a", KEY)
    await keyring.put("t1", "b", OTHER)
    await keyring.drop("t1", "a")
    await keyring.drop("t1", "a")
    assert await gone(keyring, "t1", "a")
    assert await keyring.get("t1", "b") == OTHER


async def test_all_that_begins_so_is_read_at_once(keyring: Keyring) -> None:
    for name in ("file/0", "file/10", "file_1", "sealed/1", "文件/1"):
        await keyring.put("t1", name, name.encode())
    await keyring.put("t2", "file/0", OTHER)
    assert await keyring.get_all("t1", "file/") == {"file/0": b"file/0", "file/10": b"file/10"}
    assert set(await keyring.get_all("t1")) == {"file/0", "file/10", "file_1", "sealed/1", "文件/1"}
    assert await keyring.get_all("t1", "%") == {}
    await keyring.drop("t1", "file/0")
    assert await keyring.get_all("t1", "file/") == {"file/10": b"file/10"}
    await keyring.destroy("t1")
    assert await keyring.get_all("t1") == {}


async def test_destroying_what_begins_so(keyring: Keyring) -> None:
    names = ["file/1", "file/10", "FILE/1", "fil", "file_1", "evidence", "文/1"]
    for name in names:
        await keyring.put("t1", name, KEY)
    await keyring.put("t2", "file/1", OTHER)
    assert await keyring.destroy("t1", "file/1") == 2
    assert await keyring.destroy("t1", "file_") == 1
    assert await keyring.destroy("t1", "%") == 0
    assert await keyring.destroy("t1", "文") == 1
    assert [await gone(keyring, "t1", name) for name in names] == [True, True, False, False, True, False, True]
    assert await keyring.destroy("t1") == 3
    assert await keyring.destroy("t1") == 0
    assert await keyring.get("t2", "file/1") == OTHER


async def test_secrets_are_kept_under_another_transfer_as_well(keyring: Keyring, clock: FakeClock) -> None:
    await keyring.put("t1", "file/0", KEY)
    await keyring.put("t1", "file/1", OTHER)
    clock.advance(days=40)
    await keyring.copy("t1", "t2", {"file/0": "own/0", "file/1": "own/1"})
    await keyring.destroy("t1")
    await keyring.destroy_month("2026-11")  # a copy belongs to the month it was made in
    assert await keyring.get("t2", "own/0") == KEY
    assert await keyring.get("t2", "own/1") == OTHER
    assert await gone(keyring, "t2", "file/0")
    await keyring.copy("t1", "t2", {})


async def test_all_secrets_are_kept_or_none(keyring: Keyring) -> None:
    await keyring.put("t1", "file/0", KEY)
    with pytest.raises(StoreError) as refused:
        await keyring.copy("t1", "t2", {"file/0": "own/0", "file/1": "own/1"})
    assert (refused.value.code, refused.value.retry) == ("key-destroyed", False)
    assert await gone(keyring, "t2", "own/0")
    with pytest.raises(ValueError, match="NUL"):
        await keyring.copy("t1", "t2", {"file/0": "own\0"})


async def test_a_name_that_cannot_be_kept(keyring: Keyring) -> None:
    for transfer_id, name in (("", "a"), ("t\0", "a"), ("t", "a\0")):
        with pytest.raises(ValueError, match="NUL"):
            await keyring.put(transfer_id, name, KEY)


async def test_a_year_has_one_key(keyring: Keyring) -> None:
    first = await keyring.year_key(2026)
    assert len(first) == 32
    assert await keyring.year_key(2026) == first
    assert await keyring.year_key(2027) != first
    all_time = await keyring.year_key(0)
    assert all_time != first
    assert await keyring.year_key(0) == all_time


async def test_a_month_is_destroyed_and_others_are_not(ring: FileKeyring, clock: FakeClock) -> None:
    fake = FakeKeyring(clock)
    for keyring in (ring, fake):
        clock.set(datetime(2026, 11, 20, tzinfo=UTC))
        await keyring.put("t1", "a", KEY)
        await keyring.put("t1", "b", KEY)
        year = await keyring.year_key(2026)
        clock.set(datetime(2026, 12, 1, tzinfo=UTC))
        await keyring.put("t2", "a", OTHER)
        assert await keyring.destroy_month("2026-11") == 2
        assert await keyring.destroy_month("2026-11") == 0
        assert await gone(keyring, "t1", "a")
        assert await keyring.get("t2", "a") == OTHER
        assert await keyring.year_key(2026) == year
        clock.set(datetime(2026, 11, 30, tzinfo=UTC))  # the month comes again, with a key of its own
        await keyring.put("t1", "a", OTHER)
        assert await keyring.get("t1", "a") == OTHER
    assert ring.months() == ["2026-11", "2026-12"]


# --- files -----------------------------------------------------------------------------------------------------------


def bytes_of(place: Path) -> bytes:
    return b"\xf0".join(path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file())


def wrapped(place: Path, transfer_id: str) -> list[bytes]:
    with sqlite3.connect(place / "secrets.sqlite") as connection:
        rows = connection.execute("SELECT wrapped FROM secrets WHERE transfer_id = ?", (transfer_id,)).fetchall()
    connection.close()
    return [row[0] for row in rows]


async def test_a_secret_is_never_in_the_clear(ring: FileKeyring, place: Path) -> None:
    await ring.put("t1", "a", KEY)
    year = await ring.year_key(2026)
    assert KEY not in bytes_of(place)
    assert year not in bytes_of(place)


def traces(secrets: list[bytes], place: Path) -> list[bytes]:
    """Which of these wrapped secrets have their beginning or end somewhere in the keyring's files."""
    left = bytes_of(place)
    return [each for each in secrets if each[:44] in left or each[12:44] in left or each[-32:] in left]


@pytest.mark.parametrize("way", ["drop", "destroy", "destroy_month", "replace"])
async def test_no_wrapped_byte_is_left_of_what_was_destroyed(ring: FileKeyring, place: Path, way: str) -> None:
    for number in range(60):  # enough for pages to be split, and joined again when they empty
        await ring.put("t1", f"file/{number}", bytes([number]) * 700)
        await ring.put("t2", f"file/{number}", bytes([number]) * 32)
    month_key = (place / "month-2026-11").read_bytes()
    before, kept = wrapped(place, "t1"), wrapped(place, "t2")
    assert all(each in bytes_of(place) for each in before)
    if way == "destroy":
        assert await ring.destroy("t1") == 60
    elif way == "destroy_month":
        assert await ring.destroy_month("2026-11") == 120
    for number in range(60):
        if way == "drop":
            await ring.drop("t1", f"file/{number}")
        if way == "replace":
            await ring.put("t1", f"file/{number}", b"")
    assert not traces(before, place)
    left = bytes_of(place)
    assert (month_key in left) == (way != "destroy_month")
    assert all(each in left for each in kept) == (way != "destroy_month")


async def test_a_destruction_that_was_cut_off_is_made_up_for(ring: FileKeyring, place: Path) -> None:
    for number in range(60):
        await ring.put("t1", f"file/{number}", bytes([number]) * 700)
        await ring.put("t2", f"file/{number}", KEY)
    before = wrapped(place, "t1")
    # What a process does that dies after it deleted, before it left no trace of that.
    for number in range(60):
        with ring._transaction() as connection:
            _delete(connection, "transfer_id = ? AND name = ?", ("t1", f"file/{number}"))
    assert traces(before, place), "SQLite left nothing by itself: this test shows nothing any more"
    assert await ring.destroy("t1") == 0
    assert not traces(before, place)
    with sqlite3.connect(place / "secrets.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


async def test_a_month_that_was_half_destroyed_reads_as_destroyed(ring: FileKeyring, place: Path) -> None:
    await ring.put("t1", "a", KEY)
    (place / "month-2026-11").unlink()  # the process died here
    assert await gone(ring, "t1", "a")
    await ring.put("t1", "b", OTHER)  # makes the month's key anew
    assert await gone(ring, "t1", "a")
    assert await ring.destroy_month("2026-11") == 2


async def test_a_key_that_was_half_made_is_made_anew(ring: FileKeyring, place: Path) -> None:
    (place / "unfinished-month-2026-11").write_bytes(b"half")
    await ring.put("t1", "a", KEY)
    assert await ring.get("t1", "a") == KEY
    assert not (place / "unfinished-month-2026-11").exists()


async def test_a_year_whose_wrapping_key_is_lost_gets_no_second_one(ring: FileKeyring, place: Path) -> None:
    await ring.year_key(2026)
    (place / "year-2026").unlink()
    with pytest.raises(StoreError) as refused:
        await ring.year_key(2026)
    assert refused.value.code == "key-destroyed"


async def test_a_wrapped_secret_opens_only_where_it_was_put(ring: FileKeyring, place: Path) -> None:
    await ring.put("t1", "a", KEY)
    await ring.put("t2", "a", OTHER)
    with sqlite3.connect(place / "secrets.sqlite") as connection:
        connection.execute("UPDATE secrets SET wrapped = (SELECT wrapped FROM secrets WHERE transfer_id = 't2')")
    connection.close()
    with pytest.raises(BrokenPromise):
        await ring.get("t1", "a")
    assert await ring.get("t2", "a") == OTHER


async def test_a_wrapping_key_of_the_wrong_size(ring: FileKeyring, place: Path) -> None:
    await ring.put("t1", "a", KEY)
    (place / "month-2026-11").write_bytes(b"short")
    with pytest.raises(BrokenPromise):
        await ring.get("t1", "a")


def modes_in(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in [place, *place.iterdir()]}


async def test_only_the_owner_sees_anything(ring: FileKeyring, place: Path) -> None:
    await ring.put("t1", "a", KEY)
    await ring.year_key(2026)
    modes = modes_in(place)
    assert modes.pop("keyring") == 0o700
    assert set(modes) >= {"secrets.sqlite", "month-2026-11", "year-2026"}
    assert set(modes.values()) == {0o600}


def test_a_directory_others_can_read_is_refused(place: Path, clock: FakeClock, entropy: FakeEntropy) -> None:
    place.mkdir(mode=0o750)
    with pytest.raises(Unusable, match="chmod 700"):
        FileKeyring(place, clock, entropy)


async def test_a_month_is_written_one_way(ring: FileKeyring) -> None:
    for month in ("2026-13", "2026-1", "../x", "", "2026-11\n"):
        with pytest.raises(Unusable):
            await ring.destroy_month(month)


def test_a_file_that_is_no_database(place: Path, clock: FakeClock, entropy: FakeEntropy) -> None:
    place.mkdir(mode=0o700)
    (place / "secrets.sqlite").write_bytes(b"no database at all " * 100)
    with pytest.raises(StoreError) as refused:
        FileKeyring(place, clock, entropy)
    assert refused.value.code == "keyring"


async def test_what_is_asked_together_commits_together_and_fails_alone(ring: FileKeyring, place: Path) -> None:
    await ring.year_key(2025)
    (place / "year-2025").unlink()
    asked = [ring.put("t1", str(number), KEY) for number in range(50)]
    results = await asyncio.gather(*asked, ring.year_key(2025), ring.drop("t1", "7"), return_exceptions=True)
    assert [type(each) for each in results if isinstance(each, Exception)] == [StoreError]
    assert [await gone(ring, "t1", str(number)) for number in range(50)] == [number == 7 for number in range(50)]


async def test_a_caller_that_goes_away_takes_nobodys_work_along(ring: FileKeyring) -> None:
    first, second = asyncio.ensure_future(ring.put("t1", "a", KEY)), asyncio.ensure_future(ring.put("t1", "b", KEY))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await ring.get("t1", "b") == KEY


# --- several processes -----------------------------------------------------------------------------------------------

SHARING = """
import asyncio, os, sys
from pathlib import Path
from gateway.stores.keyring import FileKeyring
from tests.fakes.clock import FakeClock
class System:
    def token(self, size):
        return os.urandom(size)
async def main(place, name):
    ring = FileKeyring(Path(place), FakeClock(), System())
    for number in range(25):
        await ring.put(name, str(number), name.encode() * 8)
    print((await ring.year_key(2026)).hex())
asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_share_one_keyring_and_make_each_key_once(
    place: Path, clock: FakeClock, entropy: FakeEntropy
) -> None:
    names = ("red", "green", "blue")
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", SHARING, str(place), name, stdout=asyncio.subprocess.PIPE
        )
        for name in names
    ]
    year_keys = {(await process.communicate())[0] for process in started}
    assert len(year_keys) == 1
    ring = FileKeyring(place, clock, entropy)
    assert (await ring.year_key(2026)).hex().encode() == year_keys.pop().strip()
    for name in names:
        assert [await ring.get(name, str(number)) for number in range(25)] == [name.encode() * 8] * 25
    assert ring.months() == ["2026-11"]
