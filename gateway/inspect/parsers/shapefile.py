"""Shapefiles: the geometry (`.shp`) and its index (`.shx`) (ESRI Shapefile Technical Description, July 1998).

Every record is taken apart: a shape's parts and points must fill it. Attributes are in a `.dbf` and the reference system in a
`.prj`, files of their own.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.inspect.coordinates import Coordinates
from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_POINTS: Final = {1: 20, 21: 28, 11: 36}  # bytes of a record by the shape's type
_PARTED: Final = {3: "", 5: "", 13: "zm", 15: "zm", 23: "m", 25: "m", 31: "zm"}
_MULTI: Final = {8: "", 18: "zm", 28: "m"}
_PATCH: Final = 31
_RECORD: Final = 256 << 20


def inspect(source: Source | Stream, report: Report) -> None:
    """The geometry, or the index where the name says so: both have the same head."""
    cursor = Cursor(source, report.context.budget, "shapefile")
    head = cursor.take(100)
    kind = int.from_bytes(head[32:36], "little")
    if any(head[4:24]) or int.from_bytes(head[28:32], "little") != 1000:
        raise Unreadable("shapefile: the header is damaged")
    end = 2 * int.from_bytes(head[24:28], "big")
    if report.path.lower().endswith(".shx"):
        _index(cursor, end)
        report.cover(0, cursor.at)
        return
    places = Coordinates(report)
    number = 0
    while cursor.at < end:
        count, words = np.frombuffer(cursor.take(8), ">i4").tolist()
        number += 1
        if count != number or not 2 <= words <= _RECORD // 2:
            raise Unreadable("shapefile: a record out of turn")
        _shape(cursor.take(2 * words), kind, places)
    if cursor.at != end:
        raise Unreadable("shapefile: longer than its header says")
    report.cover(0, end)
    places.tell("shapes")


def _index(cursor: Cursor, end: int) -> None:
    """Offset and length of each record, one after another."""
    if end < 100 or (end - 100) % 8:
        raise Unreadable("shapefile: the index is not as long as it says")
    at = 50
    while cursor.at < end:
        offset, words = cursor.unpack(">2i")
        if offset != at or words < 2:
            raise Unreadable("shapefile: the index points elsewhere")
        at = offset + 4 + words


def _shape(body: bytes, kind: int, places: Coordinates) -> None:
    told = int.from_bytes(body[:4], "little")
    if told == 0 and len(body) == 4:
        return
    if told != kind:
        raise Unreadable("shapefile: a shape of another type")
    if told in _POINTS:
        if len(body) != _POINTS[told]:
            raise Unreadable("shapefile: a point of another length")
        first, count = 4, 1
    elif told in _PARTED or told in _MULTI:
        first, count = _counted(body, told)
    else:
        raise Unreadable("shapefile: a shape of a type that is not known")
    points = np.frombuffer(body, "<f8", 2 * count, first).reshape(-1, 2)
    places.add(points[:, 0], points[:, 1])


def _counted(body: bytes, kind: int) -> tuple[int, int]:
    """Where points begin, and how many there are; lengths must add up. Measures may be left out."""
    parted = kind in _PARTED
    head = 44 if parted else 40
    if len(body) < head:
        raise Unreadable("shapefile: a shape that breaks off")
    parts = int.from_bytes(body[36:40], "little") if parted else 0
    count = int.from_bytes(body[40:44] if parted else body[36:40], "little")
    first = head + parts * (8 if kind == _PATCH else 4)
    size, optional = first + 16 * count, 16 + 8 * count
    dimensions = _PARTED[kind] if parted else _MULTI[kind]
    sizes = {size + optional * dimensions.count("z"), size + optional * len(dimensions)}
    if len(body) not in sizes:
        raise Unreadable("shapefile: a shape of another length than its points have")
    return first, count
