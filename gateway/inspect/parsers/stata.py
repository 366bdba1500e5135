"""Stata data files of versions 110 to 115 and 117 to 119 (Stata manual, "dta" file formats), which Stata 7 to 19 write.

Values, labels of values and variables, notes and other characteristics, long strings. Letters behind the end of a fixed
string belong to it as far as we are concerned. Older versions are not read: Stata saves them anew.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gateway.inspect.cursor import Cursor, decoded
from gateway.inspect.days import of_stata
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_TAGGED: Final = b"<stata_dta><header><release>"
_PIECE: Final = 1 << 20
_VARIABLES: Final = 120_000
_LONG: Final = 1 << 20  # strings of any length told apart
# Widths of names, formats, value label names and variable labels; those of the text before the data
_WIDTHS: Final = {
    110: (33, 12, 33, 81), 111: (33, 12, 33, 81), 112: (33, 12, 33, 81), 113: (33, 12, 33, 81), 114: (33, 49, 33, 81),
    115: (33, 49, 33, 81), 117: (33, 49, 33, 81), 118: (129, 57, 129, 321), 119: (129, 57, 129, 321),
}  # fmt: skip
_STRL: Final = 32_768
_NUMBERS: Final = {65530: "i1", 65529: "i2", 65528: "i4", 65527: "f4", 65526: "f8"}
_OLD: Final = {251: 65530, 252: 65529, 253: 65528, 254: 65527, 255: 65526}
_LARGEST: Final = {
    "i1": 100,
    "i2": 32_740,
    "i4": 2_147_483_620,
    "f4": 1.7014117331926443e38,
    "f8": 8.98846567431158e307,
}


@dataclass
class _Layout:
    """What the header says of the data."""

    version: int
    rows: int
    types: tuple[int, ...]
    names: list[str]
    encoding: str
    formats: list[str]


def inspect(source: Source, report: Report) -> None:
    """A file of either kind."""
    cursor = Cursor(source, report)
    sink = _Texts(report)
    if cursor.peek(len(_TAGGED)) == _TAGGED:
        _tagged(cursor, report, sink)
    else:
        _plain(cursor, report, sink)


class _Texts:
    """Everything that is said around the data."""

    def __init__(self, report: Report) -> None:
        self._sink = report.text("labels")

    def add(self, raw: bytes, encoding: str) -> None:
        for part in raw.split(b"\0"):
            if part.strip():
                self._sink.line(decoded(part, encoding))


def _fixed(cursor: Cursor, count: int, width: int, encoding: str, sink: _Texts) -> list[str]:
    """Strings of a fixed width; whatever stands behind their ends is said too."""
    raw = cursor.take(count * width)
    cells = [raw[at : at + width] for at in range(0, len(raw), width)]
    for cell in cells:
        sink.add(cell, encoding)
    return [decoded(cell.split(b"\0")[0], encoding) for cell in cells]


# --- versions 110 to 115 -------------------------------------------------------------------------------------------------


def _plain(cursor: Cursor, report: Report, sink: _Texts) -> None:
    version, order, kind, _ = cursor.numbers("BBBB")
    if version not in _WIDTHS or version > 115 or order not in (1, 2) or kind != 1:
        raise Unreadable("stata: a version that is not read; save it as version 114 or later")
    cursor.order = ">" if order == 1 else "<"
    count, rows = cursor.numbers("HI")
    sink.add(cursor.take(81), "")
    sink.add(cursor.take(18), "")
    types = tuple(_OLD.get(kind, kind) for kind in cursor.take(count))
    names, formats = _described(cursor, version, count, "", sink)
    while True:
        kind, size = cursor.numbers("BI")
        if kind == 0 and size == 0:
            break
        sink.add(cursor.take(size), "")
    _data(cursor, report, _Layout(version, rows, types, names, "", formats))
    while cursor.left:
        _value_labels(cursor, report, 33, "")


def _described(cursor: Cursor, version: int, count: int, encoding: str, sink: _Texts) -> tuple[list[str], list[str]]:
    """Descriptors and variable labels, which follow the types; in the tagged form between tags. Names and formats of them."""
    name, format_, label, text = _WIDTHS[version]
    tagged = version >= 117
    found: dict[str, list[str]] = {}
    parts = (
        ("varnames", name),
        ("sortlist", 0),
        ("formats", format_),
        ("value_label_names", label),
        ("variable_labels", text),
    )
    for tag, width in parts:
        if tagged:
            cursor.expect(f"<{tag}>".encode())
        if width:
            found[tag] = _fixed(cursor, count, width, encoding, sink)
        else:
            cursor.take((count + 1) * (4 if version == 119 else 2))
        if tagged:
            cursor.expect(f"</{tag}>".encode())
    return found["varnames"], found["formats"]


# --- versions 117 to 119 -------------------------------------------------------------------------------------------------


def _tagged(cursor: Cursor, report: Report, sink: _Texts) -> None:
    cursor.expect(_TAGGED)
    version = int(cursor.take(3))
    if version not in _WIDTHS or version < 117:
        raise Unreadable("stata: a version that is not read")
    cursor.expect(b"</release><byteorder>")
    cursor.order = {b"LSF": "<", b"MSF": ">"}[cursor.take(3)]
    cursor.expect(b"</byteorder><K>")
    count = cursor.number("I" if version == 119 else "H")
    cursor.expect(b"</K><N>")
    rows = cursor.number("I" if version == 117 else "Q")
    encoding = "" if version == 117 else "utf-8"
    cursor.expect(b"</N><label>")
    sink.add(cursor.take(cursor.number("B" if version == 117 else "H")), encoding)
    cursor.expect(b"</label><timestamp>")
    sink.add(cursor.take(cursor.number("B")), encoding)
    cursor.expect(b"</timestamp></header><map>")
    cursor.take(14 * 8)  # every part is found by reading on
    cursor.expect(b"</map><variable_types>")
    if count > _VARIABLES:
        raise Unreadable("stata: more variables than Stata has", kind="archive_limit")
    types = cursor.numbers(f"{count}H")
    cursor.expect(b"</variable_types>")
    names, formats = _described(cursor, version, count, encoding, sink)
    _characteristics(cursor, encoding, sink)
    cursor.expect(b"<data>")
    _data(cursor, report, _Layout(version, rows, types, names, encoding, formats))
    cursor.expect(b"</data><strls>")
    _long_strings(cursor, report, version, encoding)
    cursor.expect(b"</strls><value_labels>")
    while cursor.peek(5) == b"<lbl>":
        cursor.take(5)
        _value_labels(cursor, report, _WIDTHS[version][0], encoding)
        cursor.expect(b"</lbl>")
    cursor.expect(b"</value_labels></stata_dta>")


def _characteristics(cursor: Cursor, encoding: str, sink: _Texts) -> None:
    cursor.expect(b"<characteristics>")
    while cursor.peek(4) == b"<ch>":
        cursor.take(4)
        sink.add(cursor.take(cursor.number("I")), encoding)
        cursor.expect(b"</ch>")
    cursor.expect(b"</characteristics>")


def _long_strings(cursor: Cursor, report: Report, version: int, encoding: str) -> None:
    """Strings that cells of type strL refer to: a table of their own; binary ones are members."""
    sink = None
    while cursor.peek(3) == b"GSO":
        cursor.take(3)
        cursor.numbers("II" if version == 117 else "IQ")
        kind, size = cursor.numbers("BI")
        content = cursor.take(size)
        sink = sink or report.table("long strings", ("string",))
        if kind == 130 or b"\0" not in content[:-1]:
            sink.row([decoded(content.rstrip(b"\0"), encoding)])
        else:
            report.member("long string", io.BytesIO(content))


# --- both ----------------------------------------------------------------------------------------------------------------


def _data(cursor: Cursor, report: Report, layout: _Layout) -> None:
    kinds = [_kind(each, cursor.order) for each in layout.types]
    record = np.dtype([(str(place), kind) for place, kind in enumerate(kinds)])
    if not record.itemsize:
        return
    if layout.rows > cursor.left // record.itemsize:
        raise Unreadable("stata: breaks off within its data")
    sink = report.table("data", layout.names)
    step = max(_PIECE // record.itemsize, 1)
    for start in range(0, layout.rows, step):
        count = min(step, layout.rows - start)
        rows = np.frombuffer(cursor.take(count * record.itemsize), record)
        told = zip(record.names or (), layout.formats, strict=True)
        cells = [_cells(rows[name], layout.encoding, format_) for name, format_ in told]
        sink.extend(zip(*cells, strict=True))


def _kind(code: int, order: str) -> str:
    if code in _NUMBERS:
        return order + _NUMBERS[code]
    if code == _STRL:
        return "V8"  # a reference
    if 1 <= code <= 2045:
        return f"S{code}"
    raise Unreadable("stata: a variable of an unknown type")


def _cells(column: np.ndarray[Any, Any], encoding: str, format_: str) -> list[object]:
    if column.dtype.kind == "S":
        return [decoded(cell, encoding) for cell in column.tolist()]
    if column.dtype.kind == "V":
        return [None] * len(column)
    largest = _LARGEST[column.dtype.kind + str(column.dtype.itemsize)]
    cells: list[object] = (
        column.tolist() if format_[:2] not in ("%t", "%d", "%-") else of_stata(column.astype(float), format_)
    )
    if not (known := column <= largest).all():
        return [cell if whole else None for cell, whole in zip(cells, known.tolist(), strict=True)]
    return cells


def _value_labels(cursor: Cursor, report: Report, width: int, encoding: str) -> None:
    """One set of value labels: a table of values and what they mean."""
    size = cursor.number("I")
    name = decoded(cursor.take(width).split(b"\0")[0], encoding)
    cursor.take(3)
    count, letters = cursor.numbers("II")
    if 8 + 8 * count + letters != size:
        raise Unreadable("stata: value labels of another size")
    starts, values = cursor.numbers(f"{count}I"), cursor.numbers(f"{count}i")
    text = cursor.take(letters)
    sink = report.table(f"value labels {name}", ("value", "label"))
    stops = sorted({*starts, letters})
    for start, value in zip(starts, values, strict=True):
        if start >= letters:
            raise Unreadable("stata: a label outside of its text")
        stop = stops[stops.index(start) + 1]
        sink.row([value, decoded(text[start:stop].rstrip(b"\0"), encoding)])
    if starts and text[: min(starts)].strip(b"\0"):
        raise Unreadable("stata: text before the first label")
    report.close(sink)
