"""Shapes, clouds, rasters."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import laspy
import numpy as np

from tests.inspect.test_places import SHENZHEN, around, cloud, raster, shapes

_KINDS: Final = {1: 2, 11: 4, 21: 3, 3: 2, 5: 2, 8: 2, 13: 4, 15: 4, 18: 4, 23: 3, 25: 3, 28: 3}  # numbers a point


def _shapefile() -> Iterator[bytes]:
    for kind, size in _KINDS.items():
        shp, shx = shapes(kind, around(SHENZHEN, 4, size))
        yield shp
        if kind == 1:
            yield shx


def _las() -> Iterator[bytes]:
    note = laspy.VLR("LASF_Spec", 3, "area", b"words")
    datum = laspy.VLR("LASF_Projection", 2112, "", b'GEOGCS["WGS 84"]\0')
    for kind, version in ((0, "1.2"), (3, "1.2"), (6, "1.4"), (10, "1.4")):
        yield cloud(count=4, kind=kind, version=version, records=[note, datum])
    header = laspy.LasHeader(point_format=0, version="1.2")
    header.scales, header.offsets = [1e-7, 1e-7, 0.01], [*SHENZHEN, 0]
    header.vlrs.append(datum)
    las = laspy.LasData(header)
    points = np.array(around(SHENZHEN, 20))
    las.x, las.y, las.z = points[:, 0], points[:, 1], np.zeros(20)
    target = io.BytesIO()
    las.write(target, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
    yield target.getvalue()


def _geotiff() -> Iterator[bytes]:
    for big in (False, True):
        for tiled in (False, True):
            yield raster(SHENZHEN, 1e-5, note="words", big=big, tiled=tiled)
    yield raster((800_000.0, 2_500_000.0), 2.0, epsg=4490)


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "shapefile": _shapefile,
    "las": _las,
    "geotiff": _geotiff,
}
