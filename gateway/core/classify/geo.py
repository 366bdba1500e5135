"""Coordinates: whether a file places things to four decimals (about eleven metres) or better.

Source: Surveying and Mapping Law art. 34 and rules for precise coordinates of the mainland; PIPL art. 28 for the
whereabouts of people. Columns and keys are recognised by name; decimals are read in the first ROWS lines of every block,
and one precise pair makes the file precise.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from gateway.core.classify.names import Names

ROWS = 200
_DECIMAL = re.compile(r"\s*([-+]?\d{1,3})\.(\d+)")
_KEYED = re.compile(rb'(?i)"(?:lat|latitude|\xe7\xba\xac\xe5\xba\xa6)"\s*:\s*"?(-?\d{1,2})\.\d{4}')
_LATITUDES = frozenset({b"lat", b"latitude", "纬度".encode()})


@dataclass
class Geo:
    """Grows as blocks are read.

    Attributes:
        precise: A latitude of four decimals or more was seen.
        mainland: One lay between 18 and 54 degrees north and, where known, 73 and 136 degrees east.
    """

    precise: bool = False
    mainland: bool = False

    def read_table(self, text: bytes, names: Names, delimiter: int) -> None:
        """Look at the first lines of a block of a table."""
        lat, lon = names.column_of("latitude"), names.column_of("longitude")
        if lat is None or lon is None or self.mainland:
            return
        lines = text[: ROWS * 400].decode("utf-8", "replace").split("\n")[:ROWS]
        for cells in csv.reader((line.replace("\r", "") for line in lines), delimiter=chr(delimiter)):
            if len(cells) > max(lat, lon):
                self._take(_DECIMAL.match(cells[lat]), _DECIMAL.match(cells[lon]))

    def _take(self, lat: re.Match[str] | None, lon: re.Match[str] | None) -> None:
        if lat and lon and min(len(lat[2]), len(lon[2])) >= 4:
            self.precise = True
            self.mainland = self.mainland or (18 <= int(lat[1]) <= 54 and 73 <= int(lon[1]) <= 136)

    def read_keys(self, keys: frozenset[bytes], text: bytes) -> None:
        """Look at the latitudes of JSON, given what stands in quotes before a colon."""
        if self.mainland or _LATITUDES.isdisjoint(key.lower() for key in keys):
            return
        for match in _KEYED.finditer(text):
            self.precise = True
            self.mainland = self.mainland or 18 <= int(match[1]) <= 54
            if self.mainland:
                return
