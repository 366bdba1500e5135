"""Tile paths of C2SP tlog-tiles, and entry bundles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, tiles
from gateway.wire.tiles import Tile
from tests.wire.damage import damaged, parsed_or_none

TILES = st.builds(
    Tile, st.none() | st.integers(0, tiles.MAX_LEVEL), st.integers(0, tiles.MAX_INDEX), st.integers(1, tiles.WIDTH)
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),  # the standard's own example
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(63, 5, 1), "tile/63/005.p/1"),
        (Tile(None, 1_234_067, 255), "tile/entries/x001/x234/067.p/255"),
        (Tile(0, 2**63 - 1), "tile/0/x009/x223/x372/x036/x854/x775/807"),
    ],
)
def test_paths(tile, path):
    assert tiles.format_path(tile) == path
    assert tiles.parse_path(path) == tile


@given(TILES)
def test_paths_go_round(tile):
    assert tiles.parse_path(tiles.format_path(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/100/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/../000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/" + "x000/" * 30 + "000",
    ],
)
def test_other_paths_are_refused(path):
    with pytest.raises(Malformed):
        tiles.parse_path(path)


@given(st.one_of(st.text(), damaged(b"tile/63/x001/x234/067.p/112").map(lambda data: data.decode("latin-1"))))
def test_any_text_is_a_path_or_malformed(text):
    tile = parsed_or_none(lambda _: tiles.parse_path(text), b"")
    assert tile is None or tiles.format_path(tile) == text


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)]
)
def test_tiles_that_cannot_be(level, index, width):
    with pytest.raises(ValueError, match="no such tile"):
        Tile(level, index, width)


def test_widths_of_the_standards_example_tree():
    size = 70_000
    assert [tiles.available_width(0, index, size) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tiles.available_width(1, index, size) for index in (0, 1, 2)] == [256, 17, 0]
    assert tiles.available_width(2, 0, size) == 1
    assert tiles.available_width(None, 273, size) == 112
    assert [tiles.available_width(level, 0, 256) for level in (0, 1, 2)] == [256, 1, 0]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=tiles.WIDTH))
def test_bundles_go_round(entries):
    assert tiles.unpack_entries(tiles.pack_entries(entries)) == tuple(entries)


@given(damaged(tiles.pack_entries([b"", b"one", b"entry"])))
def test_bundles_unpack_or_are_malformed(data):
    entries = parsed_or_none(tiles.unpack_entries, data)
    assert entries is None or tiles.pack_entries(entries) == data


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\x02a", bytes(2 * 257)])
def test_bundles_that_are_refused(data):
    with pytest.raises(Malformed):
        tiles.unpack_entries(data)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(65_536)]])
def test_bundles_that_cannot_be_packed(entries):
    with pytest.raises(ValueError, match="bundle"):
        tiles.pack_entries(entries)


def test_the_largest_entry_fits():
    assert tiles.unpack_entries(tiles.pack_entries([bytes(65_535)])) == (bytes(65_535),)
