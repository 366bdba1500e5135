"""Places: coordinates of shapes, clouds, rasters and marked-up text; every byte of their files belongs to something."""

from __future__ import annotations

import io
import json

import laspy
import numpy as np
import pytest
import shapefile
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
SHENZHEN, HAWAII = (114.05786, 22.54319), (-155.58281, 19.89682)


def inspected(content: bytes, path: str):
    return inspect_file(MemoryStore(content), path, TABLES)


def kinds(found) -> set[str]:
    return {f.kind for f in found.findings if f.confidence == "strong"}


def shapes(kind: int, points: list[tuple[float, ...]]) -> tuple[bytes, bytes]:
    shp, shx, dbf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    writer = shapefile.Writer(shp=shp, shx=shx, dbf=dbf, shapeType=kind)
    writer.field("n", "N")
    put = {1: writer.point, 11: writer.pointz, 21: writer.pointm}
    lines = {3: writer.line, 5: writer.poly, 13: writer.linez, 15: writer.polyz, 23: writer.linem, 25: writer.polym}
    multi = {8: writer.multipoint, 18: writer.multipointz, 28: writer.multipointm}
    if kind in put:
        for point in points:
            put[kind](*point)
            writer.record(1)
    else:
        (multi[kind](points) if kind in multi else lines[kind]([points]))
        writer.record(1)
    writer.close()
    return shp.getvalue(), shx.getvalue()


def around(place: tuple[float, float], count: int, size: int = 2) -> list[tuple[float, ...]]:
    return [(place[0] + n * 1.37e-5, place[1] + n * 1.37e-5, *([1.0] * (size - 2))) for n in range(count)]


@pytest.mark.parametrize(
    ("kind", "size"),
    [(1, 2), (11, 4), (21, 3), (3, 2), (5, 2), (8, 2), (13, 4), (15, 4), (18, 4), (23, 3), (25, 3), (28, 3)],
)
def test_every_kind_of_shape_is_read(kind, size):
    shp, shx = shapes(kind, around(SHENZHEN, 5, size))
    found = inspected(shp, "a.shp")
    assert found.format == "shapefile"
    assert found.inspectable
    assert found.precise_geo
    assert next(f.count for f in found.findings if f.kind == "geo_precise") in {
        5,
        6,
    }  # a ring is closed by its first point
    assert inspected(shx, "a.shx").inspectable


@pytest.mark.parametrize(
    ("place", "count", "level"),
    [
        (SHENZHEN, 1000, "important_suspected"),
        (SHENZHEN, 999, "general"),
        (HAWAII, 1000, "general"),
        ((523_000.5, 2_494_000.5), 1000, "important_suspected"),
    ],
)
def test_many_places_of_the_mainland_are_suspected(place, count, level):
    assert inspected(shapes(1, around(place, count))[0], "a.shp").level == level


def test_rough_places_are_not_precise():
    assert not inspected(shapes(1, [(114.05, 22.5), (114.1, 22.6)])[0], "a.shp").precise_geo


def test_shapes_account_for_every_byte():
    shp, shx = shapes(5, around(SHENZHEN, 5))
    found = inspected(shp + b"hidden", "a.shp")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(shp)}-{len(shp) + 6}"]
    for cut in (1, 8, 40, len(shp) - 90):
        assert not inspected(shp[:-cut], "a.shp").inspectable
    longer = shp[:104] + (int.from_bytes(shp[104:108], "big") + 4).to_bytes(4, "big") + shp[108:] + b"hidden.."
    longer = longer[:24] + (len(longer) // 2).to_bytes(4, "big") + longer[28:]
    assert not inspected(longer, "a.shp").inspectable
    assert not inspected(shx[:-1], "a.shx").inspectable
    assert not inspected(shx + b"x", "a.shx").inspectable


# --- clouds ---------------------------------------------------------------------------------------------------------------


def cloud(
    place=SHENZHEN, count: int = 1000, kind: int = 0, version: str = "1.2", records=(), scale: float = 1e-7
) -> bytes:
    header = laspy.LasHeader(point_format=kind, version=version)
    header.scales, header.offsets = [scale, scale, 0.01], [place[0], place[1], 0]
    header.generating_software = "tests"
    header.vlrs.extend(records)
    las = laspy.LasData(header)
    points = np.array(around(place, count))
    las.x, las.y, las.z = points[:, 0], points[:, 1], np.zeros(count)
    target = io.BytesIO()
    las.write(target)
    return target.getvalue()


@pytest.mark.parametrize(("kind", "version"), [(0, "1.2"), (3, "1.2"), (6, "1.4"), (10, "1.4")])
def test_clouds_are_read(kind, version):
    found = inspected(cloud(kind=kind, version=version), "a.las")
    assert found.format == "las"
    assert found.inspectable
    assert next(f.count for f in found.findings if f.kind == "geo_precise") == 1000
    assert found.level == "important_suspected"


def test_a_cloud_elsewhere_is_not_suspected():
    assert inspected(cloud(HAWAII), "a.las").level == "general"


def test_records_of_a_cloud_are_classified():
    note = laspy.VLR("LASF_Spec", 3, "area", "机密★10年".encode())
    assert inspected(cloud(records=[note]), "a.las").secrecy_mark
    datum = laspy.VLR("LASF_Projection", 2112, "", b'PROJCS["CGCS2000 / 3-degree Gauss-Kruger CM 114E"]\0')
    assert "geodetic_datum" in kinds(inspected(cloud(records=[datum]), "a.las"))
    assert not inspected(cloud(records=[laspy.VLR("stranger", 9, "", b"\x01\x02\x03\x00\x04")]), "a.las").inspectable


def test_clouds_account_for_every_byte():
    whole = cloud()
    found = inspected(whole + b"hidden", "a.las")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 6}"]
    for cut in (1, 1000, len(whole) - 230, len(whole) - 100):
        assert not inspected(whole[:-cut], "a.las").inspectable


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["las", "shp"]), st.integers(0, 300), st.integers(0, 255))
def test_damage_ends_as_a_finding(kind, at, byte):
    content = bytearray(CLOUD if kind == "las" else SHAPES)
    content[at] = byte
    assert inspected(bytes(content), f"a.{kind}").size == len(content)


CLOUD, SHAPES = cloud(count=5), shapes(5, around(SHENZHEN, 20))[0]


# --- text -----------------------------------------------------------------------------------------------------------------


def geojson(place, count: int) -> bytes:
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [x, y]}}
        for x, y in around(place, count)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1).encode()


def gpx(place, count: int, point: str = "trkpt") -> bytes:
    points = "".join(
        f'<{point} lat="{y}" lon="{x}"><time>2025-01-01T00:00:00Z</time></{point}>\n' for x, y in around(place, count)
    )
    return f'<?xml version="1.0"?>\n<gpx version="1.1"><trk><trkseg>\n{points}</trkseg></trk></gpx>'.encode()


def kml(place, count: int) -> bytes:
    points = "".join(
        f"<Placemark><Point><coordinates>{x},{y},0</coordinates></Point></Placemark>\n" for x, y in around(place, count)
    )
    return f'<?xml version="1.0"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n{points}</Document></kml>'.encode()


@pytest.mark.parametrize(("written", "path"), [(geojson, "a.geojson"), (gpx, "a.gpx"), (kml, "a.kml")])
def test_coordinates_in_text_are_seen(written, path):
    few = inspected(written(SHENZHEN, 10), path)
    assert few.inspectable
    assert few.precise_geo
    assert few.level == "general"
    assert inspected(written(SHENZHEN, 1200), path).level == "important_suspected"
    assert inspected(written(HAWAII, 1200), path).level == "general"


def test_a_track_is_a_persons():
    found = inspected(gpx(SHENZHEN, 10), "a.gpx")
    assert "track" in kinds(found)
    assert found.personal
    assert found.sensitive
    assert "track" not in kinds(inspected(gpx(SHENZHEN, 10, "wpt"), "a.gpx"))


def test_lists_of_numbers_are_no_coordinates():
    assert not inspected(json.dumps({"pairs": [[0.12345, 1.23456]] * 50}, indent=1).encode(), "a.json").precise_geo


# --- rasters --------------------------------------------------------------------------------------------------------------


def raster(place, pixel: float, *, note: str = "", big: bool = False, epsg: int = 4326, tiled: bool = False) -> bytes:
    keys = (1, 1, 0, 1, 2048, 0, 1, epsg)
    tags = [
        (33550, "d", 3, (pixel, pixel, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, *place, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    if note:
        tags.append((42112, "s", 0, f"<GDALMetadata><Item>{note}</Item></GDALMetadata>", True))
    target = io.BytesIO()
    options = {"tile": (16, 16), "compression": "zlib"} if tiled else {}
    tifffile.imwrite(
        target,
        np.zeros((40, 40), np.uint8),
        bigtiff=big,
        extratags=tags,
        metadata=None,
        photometric="minisblack",
        **options,
    )
    return target.getvalue()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tiled", [False, True])
def test_rasters_are_read(big, tiled):
    found = inspected(raster(SHENZHEN, 1e-5, big=big, tiled=tiled), "a.tif")
    assert found.format == "geotiff"
    assert found.inspectable, found.findings
    assert found.precise_geo
    assert found.level == "important_suspected"


@pytest.mark.parametrize(("place", "pixel"), [(HAWAII, 1e-5), (SHENZHEN, 1e-3), ((800_000.0, 2_500_000.0), 30.0)])
def test_coarse_or_distant_rasters_are_not_suspected(place, pixel):
    assert inspected(raster(place, pixel), "a.tif").level == "general"


def test_projected_rasters_count_as_the_mainlands():
    assert inspected(raster((800_000.0, 2_500_000.0), 2.0), "a.tif").level == "important_suspected"


def test_metadata_of_a_raster_is_classified_and_its_datum_told():
    found = inspected(raster(SHENZHEN, 1.0, note="11010519491231002X, 440300199001011238", epsg=4490), "a.tif")
    assert "cn_resident_id" in kinds(found)
    assert "geodetic_datum" in kinds(found)


def test_rasters_account_for_every_byte():
    whole = raster(SHENZHEN, 1e-5)
    found = inspected(whole + b"hidden", "a.tif")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 6}"]
    for cut in (1, 400, 1000, len(whole) - 100):
        assert not inspected(whole[:-cut], "a.tif").inspectable


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_damage_of_a_raster_ends_as_a_finding(at, byte):
    content = bytearray(RASTER)
    content[at] = byte
    assert inspected(bytes(content), "a.tif").size == len(content)


RASTER = raster(SHENZHEN, 1e-5)


def test_compressed_clouds_need_a_reference_system():
    header = laspy.LasHeader(point_format=0, version="1.2")
    header.scales, header.offsets = [1e-7, 1e-7, 0.01], [*SHENZHEN, 0]
    for records, readable in (([], False), ([laspy.VLR("LASF_Projection", 2112, "", b'GEOGCS["WGS 84"]\0')], True)):
        header.vlrs.extend(records)
        las = laspy.LasData(header)
        points = np.array(around(SHENZHEN, 2000))
        las.x, las.y, las.z = points[:, 0], points[:, 1], np.zeros(2000)
        target = io.BytesIO()
        las.write(target, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
        found = inspected(target.getvalue(), "a.laz")
        assert found.inspectable == readable
    assert found.level == "important_suspected"
    assert not inspected(target.getvalue() + bytes(500), "a.laz").inspectable
    assert not inspected(target.getvalue()[:-200], "a.laz").inspectable
