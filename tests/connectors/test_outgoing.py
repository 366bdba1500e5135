"""Bytes on their way out, checked against the manifest's promise."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.outgoing import PIECE, SAMPLE, excerpt, pieces, spans
from gateway.core.errors import BrokenPromise, StoreError
from gateway.ports import Parcel
from tests.connectors.cargo import HEADER, MemorySource, noise, pack


def one(content: bytes) -> tuple[Parcel, MemorySource]:
    files = {"a.c4gh": content}
    return pack(files).parcels[0], MemorySource(files)


@given(body=st.integers(0, 200_000), start=st.integers(0, 250_000))
def test_from_any_start_exactly_the_rest_comes_out(body: int, start: int) -> None:
    content = noise("x", HEADER + body)
    parcel, source = one(content)
    assert b"".join(pieces(source, parcel, start=min(start, parcel.size))) == content[start:]


def test_memory_is_two_pieces_and_no_piece_is_larger() -> None:
    parcel, _ = one(noise("x", HEADER + 5 * PIECE))
    source = _Whole({"a.c4gh": noise("x", HEADER + 5 * PIECE)})
    sizes = [len(piece) for piece in pieces(source, parcel)]
    assert max(sizes) <= PIECE
    assert len(sizes) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:HEADER] + bytes([content[HEADER] ^ 1]) + content[HEADER + 1 :],
        lambda _: b"",
    ],
)
@pytest.mark.parametrize("start", [0, HEADER, 200_000])
def test_the_last_piece_is_held_back_until_all_of_it_is_right(damage, start: int) -> None:
    content = noise("x", HEADER + 300_000)
    parcel, _ = one(content)
    given_out: list[int] = []
    with pytest.raises(BrokenPromise):
        given_out.extend(len(piece) for piece in pieces(MemorySource({"a.c4gh": damage(content)}), parcel, start=start))
    assert not given_out or start + sum(given_out) < parcel.size


def test_another_header_is_not_the_bodys_business() -> None:
    content = noise("x", HEADER + 1_000)
    parcel, _ = one(content)
    other = noise("another header", HEADER) + content[HEADER:]
    assert b"".join(pieces(MemorySource({"a.c4gh": other}), parcel)) == other


def test_a_vault_that_fails_is_our_own_doing() -> None:
    parcel, _ = one(noise("x", HEADER + 10))
    for source in (_Broken(at_open=True), _Broken(at_open=False)):
        with pytest.raises(StoreError):
            list(pieces(source, parcel))
        with pytest.raises(StoreError):
            excerpt(source, parcel, 0, 1)


def test_excerpts_are_exact_or_refused() -> None:
    content = noise("x", HEADER + 100_000)
    parcel, source = one(content)
    assert excerpt(source, parcel, 5, 99_000) == content[5:99_005]
    with pytest.raises(StoreError):
        excerpt(source, parcel, 100_000, 1_000)


@given(st.integers(0, 10_000_000))
def test_samples_are_all_of_a_small_file_or_spread_from_first_to_last_byte(body: int) -> None:
    parcel = Parcel("a.c4gh", HEADER + body, bytes(32), HEADER)
    header, *places = spans(parcel)
    if body <= 8 * SAMPLE:
        assert (header, places) == ((0, parcel.size), [])
        return
    assert header == (0, HEADER)
    assert [length for _, length in places] == [SAMPLE] * 8
    assert places[0][0] == HEADER
    assert sum(places[-1]) == parcel.size
    gaps = [later[0] - sum(earlier) for earlier, later in pairwise(places)]
    assert min(gaps) >= 0
    assert max(gaps) - min(gaps) <= 1


class _Whole:
    """Gives as many bytes as it is asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        return io.BytesIO(self._files[parcel.name][offset:])


class _Broken:
    def __init__(self, *, at_open: bool) -> None:
        self._at_open = at_open

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        if self._at_open:
            raise PermissionError(13, "denied")
        stream = io.BytesIO()

        def fail(size: int = -1) -> bytes:
            raise OSError(5, "input/output error")

        stream.read = fail  # type: ignore[method-assign, assignment] # a disk that fails while it is read
        return stream
