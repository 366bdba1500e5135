"""EDF, EDF+ and BDF: recordings of signals (Kemp et al. 1992; EDF+ specification 2003, sections 2.1 and 2.2).

Header fields and the texts of annotations are classified; samples are passed over and must be as many as the header says. The
patient is the first subfield of the local patient identification (EDF+ 2.1.3.3), the whole field in plain EDF.

A change must keep: an unnamed recording counts as one person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.inspect.forward import Cursor, plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAY: Final = re.compile(r"(\d{2})-([A-Z]{3})-(\d{4})")
_START: Final = re.compile(r"(\d{2})\.(\d{2})\.(\d{2})")
_FIELDS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # bytes for each signal: label ... samples in a record, reserved
_SIGNALS: Final = 4_096
_RECORDS: Final = 10_000_000


@dataclass(frozen=True)
class Layout:
    """How records are cut.

    Attributes:
        records: How many.
        signals: Bytes of each signal in a record.
        annotated: Which of them are annotations.
    """

    records: int
    signals: tuple[int, ...]
    annotated: tuple[bool, ...]


def inspect(source: Source | Stream, report: Report) -> None:
    """The whole recording."""
    cursor = Cursor(source, report.context.budget, "edf")
    head = cursor.take(256)
    sample = 3 if head.startswith(b"\xffBIOSEMI") else 2
    fields = _text(head[8 if sample == 3 else 0 :])
    signals = _number(head[252:256], 1, _SIGNALS, "signals")
    if _number(head[184:192], 0, 1 << 30, "bytes of header") != 256 * (signals + 1):
        raise Unreadable("edf: the header is not as long as it says")
    columns = [[cursor.take(size) for _ in range(signals)] for size in _FIELDS]
    sink = report.text("header")
    sink.line(fields)
    for column in columns:
        for cell in column:
            if cell.strip():
                sink.line(_text(cell))
    _patient(head, report)
    report.cover(0, cursor.at)
    labels = [cell.strip() for cell in columns[0]]
    layout = Layout(
        _number(head[236:244], 0, _RECORDS, "records"),
        tuple(sample * _number(cell, 1, 1 << 24, "samples") for cell in columns[8]),
        tuple(label in {b"EDF Annotations", b"BDF Annotations"} for label in labels),
    )
    _records(cursor, layout, report)


def _records(cursor: Cursor, layout: Layout, report: Report) -> None:
    start, size = cursor.at, sum(layout.signals)
    if not any(layout.annotated):
        cursor.skip(layout.records * size)
        report.cover(start, cursor.at)
        return
    sink = report.text("annotations")
    for _ in range(layout.records):
        for length, annotated in zip(layout.signals, layout.annotated, strict=True):
            if not annotated:
                cursor.skip(length)
                continue
            text = plain_text(cursor.take(length).translate(_SEPARATED))
            if text is None:  # no annotations: the file breaks its own rules
                raise Unreadable("edf: annotations that are no text")
            if text.strip():
                sink.line(text)
    report.cover(start, cursor.at)


_SEPARATED: Final = bytes(
    0x20 if code in {0x00, 0x14, 0x15} else code for code in range(256)
)  # EDF+ 2.2.2: onset, duration, texts


def _patient(head: bytes, report: Report) -> None:
    field = _text(head[8:88]).strip()
    parts = field.split(" ")
    report.classed("medical_signal")
    plus = head[192:196] in {b"EDF+", b"BDF+"} and len(parts) >= 4
    code = (parts[0] if plus else field).strip()
    known = bool(code.strip("Xx ."))
    report.subjects([code] if known else [], unnamed=0 if known else 1)
    if known:
        report.found("medical_record", "local patient identification")
    if not plus:
        return
    if parts[3].strip("Xx"):
        report.found("person_name", "local patient identification")
    born, start = _birth(parts[2]), _start(head)
    if born is not None:
        report.found("dob", "local patient identification")
    if (
        born is not None
        and start is not None
        and start.year - born.year - ((start.month, start.day) < (born.month, born.day)) < 14
    ):
        report.found("minor", "local patient identification")


def _birth(text: str) -> date | None:
    match = _DAY.fullmatch(text.upper())
    if match is None or match[2] not in _MONTHS:
        return None
    return _date(int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]))


def _start(head: bytes) -> date | None:
    match = _START.fullmatch(head[168:176].decode("latin-1"))
    if match is None:
        return None
    year = int(match[3])
    return _date(year + (1900 if year >= 85 else 2000), int(match[2]), int(match[1]))  # EDF+ 2.1.3.2: 1985 to 2084


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _text(raw: bytes) -> str:
    text = plain_text(raw)
    if text is None:
        raise Unreadable("edf: a header field that is no text")
    return text


def _number(raw: bytes, low: int, high: int, what: str) -> int:
    text = raw.decode("latin-1").strip()
    if not text.isdigit() or not text.isascii() or not low <= int(text) <= high:
        raise Unreadable(f"edf: no number of {what} that can be")
    return int(text)
