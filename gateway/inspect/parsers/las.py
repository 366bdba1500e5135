"""LAS and LAZ point clouds (ASPRS LAS Specification 1.4 R15; LAZ: laszip's record 22204).

Header and variable length records are read, text in them classified; points are numbers and must be as many as the header
says. Compressed points are covered where the header is sane and a reference system is told.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.inspect.coordinates import Coordinates
from gateway.inspect.forward import plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_SIZES: Final = {0: 20, 1: 28, 2: 26, 3: 34, 4: 57, 5: 63, 6: 30, 7: 36, 8: 38, 9: 59, 10: 67}  # tables 7 to 20
_HEADERS: Final = {0: 227, 1: 227, 2: 227, 3: 235, 4: 375}
_KEYS, _DOUBLES, _WORDS, _WKT, _EXTRA, _LASZIP = 34735, 34736, 34737, 2112, 4, 22204
_RECORDS: Final = 10_000
_PIECE: Final = 1 << 20
_TABLE: Final = 64  # bytes that the packed chunk table takes at the most beside 8 a chunk


@dataclass
class Cloud:
    """What is used of the header and its records."""

    minor: int
    header: int
    data: int
    records: int
    kind: int
    length: int
    points: int
    extended: int
    extended_records: int
    referenced: bool = False
    zipped: bool = False
    extra: bool = False


def inspect(source: Source, report: Report) -> None:
    """The whole cloud."""
    places, sink = Coordinates(report), report.text("header")
    raw = source.read(375)
    cloud = _header(raw)
    for field in (raw[26:58], raw[58:90]):
        sink.line(plain_text(field) or field.decode("latin-1"))
    report.cover(0, _HEADERS[cloud.minor])
    at = cloud.header
    for _ in range(cloud.records):
        at = _record(source, at, cloud, report, places, wide=False)
    if at > cloud.data:
        raise Unreadable("las: points begin within the records")
    end = _points(source, cloud, report)
    at = cloud.extended
    for _ in range(cloud.extended_records):
        if at < end:
            raise Unreadable("las: records overlap points")
        at = _record(source, at, cloud, report, places, wide=True)
    if cloud.zipped:
        east, west, north, south = struct.unpack_from("<4d", raw, 179)
        places.box((west, south, east, north), cloud.points)
    else:
        _located(source, cloud, raw, places)
    places.tell("points")


def _located(source: Source, cloud: Cloud, raw: bytes, places: Coordinates) -> None:
    """X and Y of every point: whole numbers, to be scaled and shifted (section 2.4, table 3)."""
    scale, shift = struct.unpack_from("<2d", raw, 131), struct.unpack_from("<2d", raw, 155)
    source.seek(cloud.data)
    left = cloud.points
    while left > 0:
        count = min(left, _PIECE // cloud.length)
        block = np.frombuffer(source.read(count * cloud.length), np.uint8).reshape(count, cloud.length)
        whole = np.ascontiguousarray(block[:, :8]).view("<i4")
        places.add(whole[:, 0] * scale[0] + shift[0], whole[:, 1] * scale[1] + shift[1])
        left -= count


def _header(raw: bytes) -> Cloud:
    if len(raw) < 227 or raw[24] != 1 or raw[25] not in _HEADERS:
        raise Unreadable("las: no header of version 1.0 to 1.4")
    header, data, records, kind, length, points = struct.unpack_from("<HIIBHI", raw, 94)
    extended = extended_records = 0
    if raw[25] == 4:
        if len(raw) < 375:
            raise Unreadable("las: the header breaks off")
        extended, extended_records, wide = struct.unpack_from("<QIQ", raw, 235)
        points = wide
    if header < _HEADERS[raw[25]] or records > _RECORDS or extended_records > _RECORDS:
        raise Unreadable("las: a header that cannot be")
    base = _SIZES.get(kind & 0x3F)
    if base is None or length < base:
        raise Unreadable("las: points of a kind that is not known")
    return Cloud(raw[25], header, data, records, kind & 0x3F, length, points, extended, extended_records)


def _record(source: Source, at: int, cloud: Cloud, report: Report, places: Coordinates, *, wide: bool) -> int:
    """One (extended) variable length record; where the next one begins."""
    size = 60 if wide else 54
    source.seek(at)
    head = source.read(size)
    if len(head) < size:
        raise Unreadable("las: a record breaks off")
    number = int.from_bytes(head[18:20], "little")
    length = int.from_bytes(head[20:28] if wide else head[20:22], "little")
    report.context.budget.room(length)
    body = source.read(length)
    if len(body) < length:
        raise Unreadable("las: a record breaks off")
    user = head[2:18].rstrip(b"\0")
    report.cover(at, at + size)
    told = plain_text(head[-32:])
    report.text("records").line(told or "")
    if _understood(user, number, body, cloud, report, places):
        report.cover(at + size, at + size + length)
    return at + size + length


def _understood(user: bytes, number: int, body: bytes, cloud: Cloud, report: Report, places: Coordinates) -> bool:
    if user == b"LASF_Projection" and number == _KEYS:
        keys = np.frombuffer(body[: len(body) // 2 * 2], "<u2").tolist()
        for code in keys[7::4]:
            places.code(code, "reference system")
        cloud.referenced = cloud.referenced or len(keys) > 4
        return True
    if (user == b"LASF_Projection" and number == _DOUBLES) or (user == b"LASF_Spec" and number == _EXTRA):
        cloud.extra = cloud.extra or number == _EXTRA
        return True
    if user == b"laszip encoded" and number == _LASZIP:
        cloud.zipped = True
        return len(body) <= 34 + 6 * 64  # header and items
    text = plain_text(body)
    if text is None:
        return not any(body)
    report.text("records").line(text)
    if user == b"LASF_Projection":
        places.system(text, "reference system")
        cloud.referenced = cloud.referenced or number == _WKT
    return True


def _points(source: Source, cloud: Cloud, report: Report) -> int:
    """Cover them; where they end."""
    end = cloud.data + cloud.points * cloud.length
    if cloud.zipped:
        if not cloud.referenced:
            raise Unreadable("las: compressed points without a reference system")
        end = _packed(source, cloud)
    elif cloud.length != _SIZES[cloud.kind] and not cloud.extra:
        raise Unreadable("las: bytes of a point that nothing describes")
    if end > source.size:
        raise Unreadable("las: points break off")
    report.cover(cloud.data, end)
    return end


def _packed(source: Source, cloud: Cloud) -> int:
    """The chunk table's place stands before the points; it is packed, so its end is known to some bytes only."""
    source.seek(cloud.data)
    table = int(struct.unpack("<q", source.read(8))[0])
    if not cloud.data + 8 <= table <= source.size - 8:
        raise Unreadable("las: compressed points without a chunk table")
    source.seek(table)
    version, chunks = (int(each) for each in struct.unpack("<II", source.read(8)))
    if version or chunks > cloud.points + 1:
        raise Unreadable("las: a chunk table that cannot be")
    last = cloud.extended if cloud.extended_records else source.size
    return min(last, table + 8 + 8 * chunks + _TABLE)
