"""Bytes that a hostile sender might give to a parser: noise, or valid input with a stretch or a bit changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from gateway.wire import Malformed

T = TypeVar("T")


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(valid))
    return st.one_of(
        st.binary(max_size=200),
        st.builds(_spliced, st.just(valid), place, place, st.binary(max_size=6)),
        st.builds(_flipped, st.just(valid), st.integers(0, 8 * len(valid) - 1)),
    )


def parsed_or_none(parse: Callable[[bytes], T], data: bytes) -> T | None:
    """What `parse` makes of the data; None for Malformed. Every other exception is the finding of the test."""
    try:
        return parse(data)
    except Malformed:
        return None


def _spliced(valid: bytes, one: int, other: int, piece: bytes) -> bytes:
    return valid[: min(one, other)] + piece + valid[max(one, other) :]


def _flipped(valid: bytes, bit: int) -> bytes:
    changed = bytearray(valid)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
