"""Tiles of a transparency log: paths and entry bundles of C2SP tlog-tiles.

What it is not: storage or a server. It names tiles, says how wide they are and packs entries.

A change must keep that every tile has one path (no leading zeroes, no empty partial) and that parsing undoes
formatting: caches and a file system both rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.wire import Malformed

WIDTH: Final = 256
"""Hashes or entries of a full tile."""
MAX_LEVEL: Final = 63
MAX_INDEX: Final = 2**63 - 1
MAX_ENTRY: Final = 65_535
"""Largest entry of a bundle in bytes: its length is a uint16."""

_MAX_PATH: Final = 64
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Tile:
    """One tile of the tree, or one bundle of entries.

    Attributes:
        level: 0 to 63, 0 holding leaf hashes; None for a bundle of entries.
        index: Position within the level.
        width: 1 to 256 hashes or entries; below 256 the tile is partial.
    """

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        level_fits = self.level is None or 0 <= self.level <= MAX_LEVEL
        if not (level_fits and 0 <= self.index <= MAX_INDEX and 1 <= self.width <= WIDTH):
            raise ValueError(f"no such tile: level {self.level}, index {self.index}, width {self.width}")


def format_path(tile: Tile) -> str:
    """The path below the log's prefix: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`."""
    digits = str(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    index = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    level = "entries" if tile.level is None else str(tile.level)
    return f"tile/{level}/{index}" + (f".p/{tile.width}" if tile.width < WIDTH else "")


def parse_path(path: str) -> Tile:
    """The tile of a path.

    Raises:
        Malformed: On anything that `format_path` does not write.
    """
    match = _PATH.fullmatch(path) if len(path) <= _MAX_PATH else None
    if match is None:
        raise Malformed("not the path of a tile")
    level = None if match["level"] == "entries" else int(match["level"])
    try:
        tile = Tile(level, int(re.sub("[x/]", "", match["index"])), int(match["width"] or WIDTH))
    except ValueError:
        raise Malformed("the path of a tile that cannot be") from None
    if format_path(tile) != path:  # leading x000 groups, or a width of 256 written out
        raise Malformed("a tile has one path only, without leading zeroes")
    return tile


def available_width(level: int | None, index: int, size: int) -> int:
    """Hashes (or entries) that this tile has in a tree of `size` leaves: 0 to 256.

    A level above 0 counts full tiles of the level below only.
    """
    return max(0, min(WIDTH, (size >> (8 * (level or 0))) - index * WIDTH))


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length as a big-endian uint16.

    Raises:
        ValueError: When there are not 1 to 256 entries, or one is longer than `MAX_ENTRY`.
    """
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise ValueError(f"a bundle has 1 to {WIDTH} entries of at most {MAX_ENTRY} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_entries(bundle: bytes) -> tuple[bytes, ...]:
    """The entries of a bundle.

    Raises:
        Malformed: When the bundle is empty, holds more than 256 entries or ends inside one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(bundle) and len(entries) < WIDTH:
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        entries.append(bundle[start:at])
    if not entries or at != len(bundle):
        raise Malformed(f"not a bundle of 1 to {WIDTH} whole entries")
    return tuple(entries)
