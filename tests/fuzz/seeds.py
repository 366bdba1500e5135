"""Seeds by target: small files of each format, made by the formats' own tools where they are at hand."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

from tests.fuzz import seeds_legacy

TABLE = b"name,id_number\nA,11010519491231002X\nB,440300199001011238\n"


def seeds(target: str) -> Iterator[bytes]:
    """Files to begin with; none where nobody wrote any yet."""
    yield from _SEEDS.get(target, lambda: iter(()))()


def _text() -> Iterator[bytes]:
    yield b"\x10" + TABLE
    yield b"\x01" + TABLE.decode().encode("utf-16")
    yield b"\x40" + "姓名,身份证号\n张三,11010519491231002X\n".encode("gb18030")
    yield b"\x03" + b'{"name": "A", "id": "440300199001011238"}\n' * 3
    yield b"\x05" + b"@r1\nACGT\n+\nIIII\n"


def _gzip() -> Iterator[bytes]:
    yield gzip.compress(TABLE)
    yield gzip.compress(TABLE[:20]) + gzip.compress(TABLE[20:])


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {"text": _text, "gzip": _gzip, **seeds_legacy.SEEDS}
