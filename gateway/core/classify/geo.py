"""Coordinates: whether a file places things to four decimals (about eleven metres) or better.

Source: Surveying and Mapping Law art. 34 and rules for precise coordinates of the mainland; PIPL art. 28 for the
whereabouts of people. Columns and keys are recognised by name, apart or as one pair in either order (RFC 7946 section 3.1.1
puts the longitude first); decimals are read in the first ROWS lines of every block,
and one precise pair makes the file precise.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from gateway.core.classify.names import Names

ROWS = 200
_SOUTH, _NORTH, _WEST, _EAST = 18, 54, 73, 136
_POSITION = re.compile(
    rb"\[\s*(-?\d{1,3})\.(\d{4,})\s*,\s*(-?\d{1,2})\.(\d{4,})"
)  # RFC 7946 section 3.1.1: longitude first
_ATTRIBUTES = re.compile(
    rb"""<(?:wpt|trkpt|rtept)\b[^>]{0,200}?\blat\s*=\s*["']\s*(-?\d{1,2})\.(\d{4,})["'][^>]{0,200}?\blon\s*=\s*["']\s*(-?\d{1,3})\.(\d{4,})"""
)  # GPX 1.1
_LISTED = re.compile(
    rb"<(?:\w+:)?(?:coordinates|coord)>\s*(-?\d{1,3})\.(\d{4,})[ ,]\s*(-?\d{1,2})\.(\d{4,})"
)  # OGC 07-147r2
_TRACKS = (b"<trkpt", b"<gx:Track")
_DECIMAL = re.compile(r"\s*([-+]?\d{1,3})\.(\d+)")
_KEYED = re.compile(rb'(?i)"(?:lat|latitude|\xe7\xba\xac\xe5\xba\xa6)"\s*:\s*"?(-?\d{1,2})\.\d{4}')
_LATITUDES = frozenset({b"lat", b"latitude", "纬度".encode()})
_PAIR = re.compile(r"[^\d+-]*([-+]?\d{1,3})\.(\d+)[^\d+-]+([-+]?\d{1,3})\.(\d+)")
_KEYED_PAIR = re.compile(
    rb'"(?i:coordinates|location)"\s{0,9}:[\["\s]{1,40}(-?\d{1,3})\.\d{4,20}\s{0,40},\s{0,40}(-?\d{1,3})\.\d{4}'
)
_PAIRS = frozenset({b"coordinates", b"location"})


def in_mainland(latitude: float, longitude: float) -> bool:
    """Whether a place lies in the box around the mainland: 18 to 54 degrees north, 73 to 136 degrees east."""
    return _SOUTH <= latitude <= _NORTH and _WEST <= longitude <= _EAST


@dataclass
class Geo:
    """Grows as blocks are read.

    Attributes:
        precise: A latitude of four decimals or more was seen.
        mainland: One lay between 18 and 54 degrees north and, where known, 73 and 136 degrees east.
        pairs: Precise pairs of GeoJSON, GPX and KML, as far as they were counted.
        track: The points of a moving device: a person's, unless shown otherwise (PIPL art. 28).
    """

    precise: bool = False
    mainland: bool = False
    pairs: int = 0
    track: bool = False

    def read_table(self, text: bytes, names: Names, delimiter: int) -> None:
        """Look at the first lines of a block of a table."""
        lat, lon, pair = (names.column_of(kind) for kind in ("latitude", "longitude", "coordinates"))
        if self.mainland or (pair is None and (lat is None or lon is None)):
            return
        lines = text[: ROWS * 400].decode("utf-8", "replace").split("\n")[:ROWS]
        for cells in csv.reader((line.replace("\r", "") for line in lines), delimiter=chr(delimiter)):
            if lat is not None and lon is not None and len(cells) > max(lat, lon):
                self._take(_DECIMAL.match(cells[lat]), _DECIMAL.match(cells[lon]))
            if pair is not None and len(cells) > pair and (both := _PAIR.match(cells[pair])):
                self._take_pair(int(both[1]), int(both[3]), min(len(both[2]), len(both[4])))

    def _take_pair(self, first: int, second: int, decimals: int) -> None:
        if decimals >= 4:
            north, east = sorted((first, second))
            self.precise = True
            self.mainland = self.mainland or (18 <= north <= 54 and 73 <= east <= 136)

    def _take(self, lat: re.Match[str] | None, lon: re.Match[str] | None) -> None:
        if lat and lon and min(len(lat[2]), len(lon[2])) >= 4:
            self.precise = True
            self.mainland = self.mainland or in_mainland(int(lat[1]), int(lon[1]))

    def read_pairs(self, text: bytes) -> None:
        """Look at pairs of GeoJSON: positions in lists."""
        if b"coordinates" in text or self.pairs:
            for match in _POSITION.finditer(text):
                self._pair(float(match[3]), float(match[1]))

    def read_markup(self, text: bytes) -> None:
        """Look at the points of GPX and the positions of KML and GML."""
        if b"<trkpt" in text or b"<wpt" in text or b"<rtept" in text:
            for match in _ATTRIBUTES.finditer(text):
                self._pair(float(match[1]), float(match[3]))
        if b"oord" in text:
            for match in _LISTED.finditer(text):
                self._pair(float(match[3]), float(match[1]))
        self.track = self.track or any(word in text for word in _TRACKS)

    def _pair(self, latitude: float, longitude: float) -> None:
        self.precise = True
        self.pairs += 1
        self.mainland = self.mainland or in_mainland(latitude, longitude)

    def read_keys(self, keys: frozenset[bytes], text: bytes) -> None:
        """Look at the latitudes of JSON, given what stands in quotes before a colon."""
        known = {key.lower() for key in keys} if not self.mainland else set[bytes]()
        if not _PAIRS.isdisjoint(known):
            for match in _KEYED_PAIR.finditer(text):
                self._take_pair(int(match[1]), int(match[2]), 4)
        if _LATITUDES.isdisjoint(known):
            return
        for match in _KEYED.finditer(text):
            self.precise = True
            self.mainland = self.mainland or 18 <= int(match[1]) <= 54
            if self.mainland:
                return
