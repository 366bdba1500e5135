"""SAS transport files, versions 5 and 8 (SAS technical notes TS-140 and "Record Layout of a SAS Version 8 or 9 Data Set").

Records of 80 bytes. Data sets follow one another; one ends where a header record stands at a multiple of 80 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gateway.inspect.cursor import Cursor, decoded
from gateway.inspect.days import of_sas
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source

_RECORD: Final = 80
_HEADER: Final = b"HEADER RECORD*******"
_NAMESTR: Final = 140
_PIECE: Final = 1 << 20
_VARIABLES: Final = 100_000
_MISSING: Final = frozenset(b"._ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class _Variable:
    name: str
    numeric: bool
    width: int
    at: int
    format: str


def inspect(source: Source, report: Report) -> None:
    """All data sets of the library."""
    cursor = Cursor(source, report, order=">")
    sink = report.text("headers")
    if not cursor.peek(_RECORD).startswith((_HEADER + b"LIBRARY ", _HEADER + b"LIBV8   ")):
        raise Unreadable("xport: no library")
    if source.size % _RECORD:
        report.unreadable("xport: the last record is cut short, or something follows it")
    _said(cursor, 3, sink)
    ends = list(_members(source, cursor.at))
    if not ends or ends[0] != cursor.at:
        raise Unreadable("xport: no data set behind the library's header")
    for number, end in enumerate([*ends[1:], source.size]):
        _member(cursor, report, sink, end, f"data set {number + 1}")


def _members(source: Source, start: int) -> Iterator[int]:
    """Where data sets begin."""
    kept = b""
    for at in range(start, source.size, _RECORD * 4096):
        source.seek(at)
        kept = source.read(_RECORD * 4096)
        found = kept.find(_HEADER + b"MEMB")
        while found >= 0:
            if found % _RECORD == 0:
                yield at + found
            found = kept.find(_HEADER + b"MEMB", found + 1)


def _said(cursor: Cursor, records: int, sink: TextSink) -> None:
    for _ in range(records):
        sink.line(decoded(cursor.take(_RECORD)))


def _member(cursor: Cursor, report: Report, sink: TextSink, end: int, place: str) -> None:
    long = cursor.peek(_RECORD).startswith(_HEADER + b"MEMBV8")
    _said(cursor, 4, sink)
    head = cursor.take(_RECORD)
    if not head.startswith((_HEADER + b"NAMESTR ", _HEADER + b"NAMSTV8 ")):
        raise Unreadable("xport: no descriptions of variables")
    count = int(head[48:58])
    if count > _VARIABLES:
        raise Unreadable("xport: too many variables", kind="archive_limit")
    variables = [_variable(cursor.take(_NAMESTR), sink, long=long) for _ in range(count)]
    _padding(cursor, _NAMESTR * count)
    head = cursor.take(_RECORD)
    if head.startswith((_HEADER + b"LABELV8 ", _HEADER + b"LABELV9 ")):
        _labels(cursor, head, sink)
        head = cursor.take(_RECORD)
    if not head.startswith((_HEADER + b"OBS ", _HEADER + b"OBSV8 ")):
        raise Unreadable("xport: no observations")
    sink.line(decoded(head))
    _observations(cursor, report, variables, end, place)


def _padding(cursor: Cursor, size: int) -> None:
    """Blanks up to a whole record; anything else is left a gap."""
    rest = -size % _RECORD
    if cursor.peek(rest).strip(b" \0"):
        cursor.skip(rest)
    else:
        cursor.take(rest)


def _variable(raw: bytes, sink: TextSink, *, long: bool) -> _Variable:
    kind, _, width, _ = struct.unpack(">hhhh", raw[:8])
    at = int.from_bytes(raw[84:88], "big")
    for start, end in ((8, 16), (16, 56), (56, 64), (72, 80), (88, 140)):
        text = raw[start:end].strip(b" \0")
        if text:
            sink.line(decoded(text))
    name = raw[88:120].strip(b" \0") if long else b""
    if kind not in (1, 2) or width < 1 or (kind == 1 and width > 8):
        raise Unreadable("xport: a variable of no type")
    format_ = decoded(raw[56:64].strip(b" \0"))
    return _Variable(decoded(name or raw[8:16].strip(b" \0")), kind == 1, width, at, format_)


def _labels(cursor: Cursor, head: bytes, sink: TextSink) -> None:
    """Names and labels too long for their description."""
    version, start = head[26:27], cursor.at
    for _ in range(int(head[48:].split(b" ")[0] or b"0")):
        lengths = cursor.numbers("HHH" if version == b"8" else "HHHHH")[1:]
        sink.line(decoded(cursor.take(sum(lengths))))
    _padding(cursor, cursor.at - start)


def _observations(cursor: Cursor, report: Report, variables: list[_Variable], end: int, place: str) -> None:
    width, at = sum(variable.width for variable in variables), 0
    for variable in sorted(variables, key=lambda each: each.at):
        if variable.at != at:
            raise Unreadable("xport: variables overlap or leave room")
        at += variable.width
    if not width:
        return
    sink = report.table(place, [variable.name for variable in variables])
    fields = [(f"S{v.width}" if not v.numeric else f"V{v.width}", v.at) for v in variables]
    record = np.dtype({
        "names": [str(number) for number in range(len(fields))],
        "formats": [format_ for format_, _ in fields],
        "offsets": [offset for _, offset in fields],
        "itemsize": width,
    })  # fmt: skip
    left = _rows(cursor, width, end)
    while count := min(_PIECE // width + 1, left):
        left -= count
        raw = cursor.take(count * width)
        rows = np.frombuffer(raw, record)
        cells = [_cells(rows[str(number)], variable) for number, variable in enumerate(variables)]
        sink.extend(zip(*cells, strict=True))
    rest = end - cursor.at
    if rest < _RECORD and not cursor.peek(rest).strip(b" "):
        cursor.take(rest)
    else:
        cursor.skip(rest)
        report.unreadable("xport: an observation breaks off")
    report.close(sink)


def _rows(cursor: Cursor, width: int, end: int) -> int:
    """Observations: rows of blanks within the last record are its padding (TS-140 leaves the two undistinguished)."""
    count, start = (end - cursor.at) // width, cursor.at
    while count and start + (count - 1) * width > end - _RECORD:
        cursor.at = start + (count - 1) * width
        blank = not cursor.peek(width).strip(b" ")
        cursor.at = start
        if not blank:
            break
        count -= 1
    return count


def _cells(column: np.ndarray[Any, Any], variable: _Variable) -> list[object]:
    if not variable.numeric:
        return [decoded(cell.rstrip(b" \0")) for cell in column.tolist()]
    raw = np.zeros((len(column), 8), np.uint8)
    raw[:, : variable.width] = np.frombuffer(column.tobytes(), np.uint8).reshape(len(column), variable.width)
    cells = of_sas(_ibm(raw), variable.format)
    return [None if gone else cell for cell, gone in zip(cells, _gone(raw).tolist(), strict=True)]


def _gone(raw: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Missing values: a letter, a dot or an underscore, then zeros."""
    missing: np.ndarray[Any, np.dtype[np.bool_]] = np.isin(raw[:, 0], list(_MISSING)) & ~raw[:, 1:].any(axis=1)
    return missing


def _ibm(raw: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """IBM mainframe doubles: a sign, an exponent of 16, fifty-six bits of fraction."""
    words = raw.reshape(-1).view(">u8").astype(np.uint64)
    fraction = (words & np.uint64((1 << 56) - 1)).astype(np.float64)
    exponent = (raw[:, 0] & 0x7F).astype(np.int64) - 64
    number: np.ndarray[Any, np.dtype[np.float64]] = np.ldexp(fraction, 4 * exponent - 56)
    return np.where(raw[:, 0] & 0x80, -number, number)
