"""dBASE tables, III to IV and Visual FoxPro (dBASE "Structure of a .dbf file"; Visual FoxPro, "Table File Structure").

Records marked as deleted are records like others: whoever opens the file can recall them. Memos lie in a file of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from gateway.inspect.cursor import Cursor, decoded
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_PIECE: Final = 1 << 20
_FOXPRO: Final = frozenset({0x30, 0x31, 0x32})
_BACKLINK: Final = 263  # of Visual FoxPro: the name of a database
_LANGUAGES: Final = {
    0x4D: "gb18030",
    0x7A: "gb18030",
    0x4F: "big5hkscs",
    0x78: "big5hkscs",
    0x03: "cp1252",
    0x57: "cp1252",
}
_NUMBERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    "I": lambda raw: struct.unpack("<i", raw)[0],
    "+": lambda raw: struct.unpack("<i", raw)[0],
    "Y": lambda raw: struct.unpack("<q", raw)[0] / 10_000,
    "O": lambda raw: struct.unpack("<d", raw)[0],
    "T": lambda raw: " ".join(map(str, struct.unpack("<ii", raw))),
}
_TEXTS: Final = frozenset("CNFDLMGPVQ")
_END: Final = b"\x1a"


def inspect(source: Source, report: Report) -> None:
    """Header, fields, records."""
    cursor = Cursor(source, report)
    version, _, _, _, count, head, width = cursor.numbers("BBBBIHH")
    rest = cursor.take(20)
    encoding = _LANGUAGES.get(rest[17], "")
    if any(rest[:2]) or head > source.size or width < 1:
        raise Unreadable("dbf: a header of no table")
    fields = []
    while cursor.peek(1) != b"\r":
        fields.append(_field(cursor.take(32), encoding))
        if cursor.at > head:
            raise Unreadable("dbf: fields without an end")
    cursor.take(1)
    if version in _FOXPRO:
        report.text("database").line(decoded(cursor.take(_BACKLINK).replace(b"\0", b" ")))
    if head - cursor.at == 1 and cursor.peek(1) == b"\0":
        cursor.take(1)  # dBASE III
    if cursor.at != head or sum(size for _, _, size in fields) + 1 != width:
        raise Unreadable("dbf: fields and records are of different widths")
    _records(cursor, report, fields, count, width, encoding)


Field = tuple[str, str, int]


def _field(raw: bytes, encoding: str) -> Field:
    """Name, type, width; character fields of more than 255 letters keep the rest in the decimals."""
    name, _, more = raw[:11].partition(b"\0")
    kind, size = chr(raw[11]), raw[16]
    if kind == "C":
        size += raw[17] << 8
    if kind not in _TEXTS and kind not in _NUMBERS and kind not in "B0":
        raise Unreadable("dbf: a field of an unknown type")
    return decoded(name + more.replace(b"\0", b""), encoding), kind, size


def _records(cursor: Cursor, report: Report, fields: list[Field], count: int, width: int, encoding: str) -> None:
    if count * width > cursor.left:
        raise Unreadable("dbf: breaks off within its records")
    sink = report.table("records", [name for name, _, _ in fields])
    step = max(_PIECE // width, 1)
    for start in range(0, count, step):
        raw = cursor.take(min(step, count - start) * width)
        for at in range(0, len(raw), width):
            if raw[at] not in b" *":
                raise Unreadable("dbf: a record that is neither kept nor deleted")
            sink.row(_cells(raw, at + 1, fields, encoding))
    if cursor.peek(1) == _END:
        cursor.take(1)


def _cells(raw: bytes, at: int, fields: list[Field], encoding: str) -> list[object]:
    cells: list[object] = []
    for _, kind, size in fields:
        cells.append(_cell(raw[at : at + size], kind, encoding))
        at += size
    return cells


def _cell(raw: bytes, kind: str, encoding: str) -> object:
    if kind in _NUMBERS:
        return _NUMBERS[kind](raw)
    if kind == "B" and len(raw) == 8:
        return struct.unpack("<d", raw)[0]
    if kind == "0":  # one bit for each missing value
        return raw.hex()
    if kind in "MGPB" and len(raw) == 4:
        return int.from_bytes(raw, "little")  # where a memo lies
    return decoded(raw.strip(b" \0"), encoding)
