"""Chance that repeats: the same seed gives the same bytes, and never the same bytes twice."""

from __future__ import annotations

from hashlib import shake_256


class FakeEntropy:
    """`gateway.ports.Entropy`."""

    def __init__(self, seed: str = "hetao") -> None:
        self._seed = seed.encode()
        self._drawn = 0

    def token(self, size: int) -> bytes:
        self._drawn += 1
        return shake_256(self._seed + self._drawn.to_bytes(8, "big")).digest(size)
