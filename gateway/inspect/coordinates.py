"""What coordinates of a binary file amount to: precise or not, of the mainland or not, many or few (rules.md 10.4).

Projected coordinates say where they are only with their reference system; where that is not told, northings that the mainland
has count as the mainland's.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.core.classify.geo import in_mainland
from gateway.inspect.report import Report

Numbers = npt.NDArray[np.float64]
_DATUM: Final = re.compile(
    r"CGCS ?_?2000|China[_ ]Geodetic|China[_ ]2000|GCJ-?02|BD-?09|Xian[_ ]?(?:19)?80|Beijing[_ ]?(?:19)?54",
    re.IGNORECASE,
)
# EPSG: CGCS2000, Xian 1980, Beijing 1954 and their Gauss-Kruger zones
_CODES: Final = (
    *range(4490, 4555),
    4479,
    4480,
    4610,
    4214,
    *range(2327, 2443),
    *range(21413, 21424),
    *range(21453, 21464),
)
_NORTHINGS: Final = (1.9e6, 7.2e6)  # metres: 17 to 54 degrees north, Web Mercator included
PRECISE: Final = 11.0  # metres: four decimals of a degree
DEGREE: Final = 111_320.0  # metres


class Coordinates:
    """Grows as coordinates are read; `tell` once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._precise = self._mainland = False
        self._count = 0

    def add(self, x: Numbers, y: Numbers) -> None:
        """Many points; degrees where all lie within a globe's, else metres."""
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not x.size:
            return
        self._count += int(x.size)
        if np.abs(x).max() <= 360 and np.abs(y).max() <= 90:
            self._precise |= bool(np.any(np.abs(x * 1e3 - np.rint(x * 1e3)) > 1e-6))
            self._mainland |= any(in_mainland(float(b), float(a)) for a, b in zip(x[:10_000], y[:10_000], strict=True))
        else:
            self._precise = True
            self._mainland |= bool(np.any((y >= _NORTHINGS[0]) & (y <= _NORTHINGS[1])))

    def box(self, bounds: tuple[float, float, float, float], count: int) -> None:
        """Many points of which only the corners are read: west, south, east, north. Any part of the mainland counts."""
        west, south, east, north = bounds
        self._count += count
        self._precise = self._precise or count > 0
        self._mainland |= self._touches(west, south, east, north)

    @staticmethod
    def _touches(west: float, south: float, east: float, north: float) -> bool:
        if max(map(abs, (west, east))) <= 360 and max(map(abs, (north, south))) <= 90:
            return south <= 54 and north >= 18 and west <= 136 and east >= 73
        return south <= _NORTHINGS[1] and north >= _NORTHINGS[0]

    def grid(self, west: float, north: float, pixel: tuple[float, float], shape: tuple[int, int]) -> None:
        """A raster by its corner, the size of a pixel and its pixels across and down."""
        east, south = west + pixel[0] * shape[0], north - pixel[1] * shape[1]
        degrees = max(map(abs, (west, east))) <= 360 and max(map(abs, (north, south))) <= 90
        if max(pixel) * (DEGREE if degrees else 1) >= PRECISE:
            return
        self._precise = True
        self._count += shape[0] * shape[1]
        self._mainland |= self._touches(west, south, east, north)

    def system(self, text: str, where: str) -> None:
        """The words of a reference system."""
        if _DATUM.search(text):
            self._report.found("geodetic_datum", where)

    def code(self, number: int, where: str) -> None:
        """The EPSG code of a reference system."""
        if number in _CODES:
            self._report.found("geodetic_datum", where)

    def tell(self, where: str) -> None:
        """Everything, as findings."""
        if not self._precise:
            return
        self._report.located()
        self._report.found("geo_precise", where, count=self._count)
        bulk = self._report.context.tables.sensitivity.levels.get("bulk_coordinates")
        if bulk and self._mainland and self._count >= bulk.numbers["records"]:
            self._report.levelled("important_suspected")
            self._report.found("level_proposal", "important_suspected: bulk_coordinates", count=self._count)
