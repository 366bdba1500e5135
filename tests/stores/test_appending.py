"""What was handed over is what the file holds, whichever way it was written."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.appending import _PAST_CACHE, BLOCK, LEAST, Appending

SEALED = 16 * 65_564  # what the pass hands over: no multiple of a block
NOISE = hashlib.shake_256(b"noise").digest(3 * SEALED)


@pytest.fixture
def descriptor(tmp_path: Path):
    opened = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def content(descriptor: int) -> bytes:
    return os.pread(descriptor, 1 << 26, 0)


def past_cache(descriptor: int) -> bool:
    import fcntl

    return bool(_PAST_CACHE and fcntl.fcntl(descriptor, fcntl.F_GETFL) & _PAST_CACHE)


def append(descriptor: int, *pieces: bytes | memoryview) -> bytes:
    appending = Appending(descriptor)
    for piece in pieces:
        appending.write(piece)
    appending.flush()
    assert not past_cache(descriptor), "what follows has any length"
    os.write(descriptor, b"trailer")
    return content(descriptor).removesuffix(b"trailer")


@pytest.mark.parametrize("first", [1, LEAST - 1, LEAST, BLOCK - 1, BLOCK, BLOCK + 1, SEALED, 2 * BLOCK, 3 * BLOCK + 5])
@pytest.mark.parametrize("second", [0, 1, 4096, SEALED])
def test_what_was_appended_is_there(descriptor, first, second):
    assert append(descriptor, NOISE[:first], memoryview(NOISE)[:second]) == NOISE[:first] + NOISE[:second]


@given(cuts=st.lists(st.integers(0, len(NOISE)), max_size=6))
def test_whatever_the_pieces(tmp_path_factory, cuts):
    opened = os.open(tmp_path_factory.mktemp("a") / "part", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        edges = [0, *sorted(cuts), len(NOISE)]
        assert append(opened, *(NOISE[a:b] for a, b in itertools.pairwise(edges))) == NOISE
    finally:
        os.close(opened)


def test_a_small_file_keeps_to_the_page_cache(descriptor):
    appending = Appending(descriptor)
    appending.write(b"x" * 1000)
    assert not past_cache(descriptor)
    assert content(descriptor) == b"x" * 1000, "nothing waits in memory"


def test_flushing_twice_changes_nothing_and_what_follows_is_appended(descriptor):
    appending = Appending(descriptor)
    appending.write(NOISE[:SEALED])
    appending.flush()
    appending.flush()
    appending.write(b"note")
    assert content(descriptor) == NOISE[:SEALED] + b"note"


def refusing(descriptor: int, monkeypatch: pytest.MonkeyPatch, *, at: int) -> list[int]:
    """A file system that writes nothing past the page cache from the call `at` on; returns the sizes it refused."""
    write, refused, calls = os.write, [], [0]

    def strict(target: int, data) -> int:
        calls[0] += 1
        if target == descriptor and calls[0] > at and past_cache(descriptor):
            refused.append(len(data))
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(target, data)

    monkeypatch.setattr(os, "write", strict)
    return refused


@pytest.mark.parametrize("at", [0, 1])
def test_a_file_system_that_cannot_after_all_gets_it_through_the_page_cache(descriptor, monkeypatch, at):
    refused = refusing(descriptor, monkeypatch, at=at)
    assert append(descriptor, NOISE[:SEALED], NOISE[SEALED : 3 * SEALED]) == NOISE
    assert len(refused) <= 1, "it is not tried again"


def test_a_file_system_that_does_not_take_the_flag_gets_it_through_the_page_cache(descriptor, monkeypatch):
    import fcntl

    call = fcntl.fcntl

    def without(target: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETFL and argument & _PAST_CACHE:
            raise OSError(errno.EINVAL, "Invalid argument")
        return call(target, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", without)
    assert append(descriptor, NOISE) == NOISE


@pytest.mark.parametrize("most", [4096, 100_000])
def test_short_writes_are_continued(descriptor, monkeypatch, most):
    write = os.write
    monkeypatch.setattr(
        os,
        "write",
        lambda target, data: write(target, bytes(data[:most]) if past_cache(target) is False else data[:most]),
    )
    assert append(descriptor, NOISE) == NOISE


def test_what_the_disk_refuses_is_told(descriptor, monkeypatch):
    def full(_target: int, _data) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    appending = Appending(descriptor)
    appending.write(NOISE[:LEAST])
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        appending.flush()
