"""Workbooks of Excel 97 to 2003: the records of a BIFF8 stream, cells as rows of tables.

Source: [MS-XLS], sections of part 2.4 by the names of records. Every sheet is read, hidden ones too. Records whose fields
nobody needs (formats, drawings, filters) are searched for letters. What a chart shows again is no table.

A change must keep: a record that the specification does not list, or of another size than it has, makes the workbook
unreadable; so do pictures and encryption. Nothing of the stream is passed over.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.biffstrings import Parts, salvaged
from gateway.inspect.parsers.sheets import Grid, Workbook, is_date
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report

_BOF, _EOF, _CONTINUE, _FILEPASS = 0x0809, 0x000A, 0x003C, 0x002F
_FUTURE: Final = frozenset({0x0812, 0x0875, 0x087F})  # records that continue those of later versions
_SHEET, _CHART, _MACROS = 0x0010, 0x0020, (0x0040, 0x0006)
_PICTURES: Final = frozenset({0x007F, 0x00E9, 0x0866})  # ImData, BkHim, HFPicture
_SIZES: Final = {0x0208: 16, 0x00E0: 20, 0x0201: 6, 0x00FD: 10, 0x0203: 14, 0x027E: 10, 0x0205: 8}
_NUMBERS: Final = frozenset(
    {*_SIZES, 0x00D7, 0x020B, 0x00BD, 0x00BE, 0x00FF, 0x087D, 0x087C, 0x00FC}
)  # no further text
_THEME: Final = 0x0896
_BLIPS: Final = 0xF001  # OfficeArtBStoreContainer
_LISTED: Final = frozenset(
    {
        *range(0x06, 0x14), *range(0x14, 0x1E), *range(0x22, 0x2F), 0x31, 0x33, 0x3D, *range(0x40, 0x43), 0x4D,
        *range(0x50, 0x64), *range(0x7D, 0x87), *range(0x8C, 0xA2), *range(0xAB, 0x104), *range(0x122, 0x162),
        *range(0x191, 0x1C3), *range(0x200, 0x210), 0x221, 0x225, 0x236, 0x23E, 0x27E, 0x293, 0x418, 0x41E, 0x43C, 0x4BC,
        *range(0x800, 0x810), *range(0x850, 0x8B0), *range(0x1001, 0x1069),
    }
)  # fmt: skip


def records(stream: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Numbers of records with their bodies and those that continue them; padding of zeros ends them.

    Raises:
        Unreadable: A record breaks off, or something else than zeros follows the last.
    """
    at = 0
    held: tuple[int, list[bytes]] | None = None
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        if not kind:
            break
        body = stream[at + 4 : at + 4 + size]
        if len(body) < size:
            raise Unreadable("xls: a record that breaks off")
        at += 4 + size
        if held is not None and (kind == _CONTINUE or kind in _FUTURE):
            held[1].append(body)
            continue
        if held is not None:
            yield held
        held = kind, [body]
    if held is not None:
        yield held
    if any(stream[at:]):
        raise Unreadable("xls: bytes behind the last record")


class Book:
    """The records of a workbook on their way to tables and text.

    Args:
        report: Of the file.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._words = Words(report, "workbook")
        self._book = Workbook()
        self._formats: dict[int, str] = {}
        self._open: list[int] = []  # kinds of the substreams that are begun
        self._sheets = 0
        self._grid: Grid | None = None
        self._row: list[str] = []
        self._line = 0
        self._due: tuple[int, int] | None = None  # row and column of a formula whose string follows
        self._readers: dict[int, Callable[[list[bytes]], None]] = {
            0x00FC: self._shared, 0x041E: self._format, 0x0031: self._font, 0x0085: self._bound, 0x001C: self._note,
            0x0006: self._formula, 0x0207: self._result, 0x00BD: self._many, 0x01B6: self._drawn, _THEME: self._theme,
            0x0022: self._epoch, 0x00E0: self._style, 0x00EB: self._drawings,
        }  # fmt: skip
        self._cells: dict[int, Callable[[bytes], str]] = {
            0x00FD: lambda raw: self._book.string(str(struct.unpack("<I", raw[6:])[0])),
            0x0203: lambda raw: self._number(struct.unpack("<d", raw[6:])[0], raw[4:6]),
            0x027E: lambda raw: self._number(_rk(raw[6:10]), raw[4:6]),
            0x0205: lambda raw: str(raw[6]),
            0x0204: lambda raw: Parts([raw[6:]]).string()[0],
            0x00D6: lambda raw: Parts([raw[6:]]).string()[0],
        }

    def read(self, stream: bytes) -> None:
        """All of it.

        Raises:
            Unreadable: Something in it is not known, or it is under a password.
        """
        for kind, parts in records(stream):
            if kind == _BOF:
                self._begin(parts[0])
            elif not self._open:
                raise Unreadable("xls: records outside of any sheet")
            elif kind == _EOF:
                self._end()
            elif kind == _FILEPASS:
                raise Unreadable("xls: a workbook under a password", kind="encrypted_content")
            else:
                self._record(kind, parts)
        if self._open:
            raise Unreadable("xls: a sheet that does not end")
        self._book.finish(self._words)

    # --- substreams --------------------------------------------------------------------------------------------------

    def _begin(self, body: bytes) -> None:
        version, kind = struct.unpack_from("<HH", body)
        if version != 0x0600:
            raise Unreadable("xls: a workbook older than Excel 97; save it as xlsx")
        if kind in _MACROS:
            self._report.found("executable_content", "a sheet of macros")
        self._open.append(kind)
        if kind != _CHART and len(self._open) == 1:
            self._sheets += 1
            self._grid = Grid(self._report, f"sheet {self._sheets - 1}", self._words)
            self._row, self._line = [], 0

    def _end(self) -> None:
        self._open.pop()
        if not self._open and self._grid is not None:
            self._grid.row(self._row)
            self._grid.finish()
            self._grid, self._row = None, []

    def _record(self, kind: int, parts: list[bytes]) -> None:
        if kind in _PICTURES:
            self._picture()
        if len(parts[0]) != _SIZES.get(kind, len(parts[0])) or (kind in _SIZES and len(parts) > 1):
            raise Unreadable(f"xls: a record of another size than it has ({kind:#06x})")
        if kind in self._cells:
            self._cell(kind, b"".join(parts))
        elif kind in self._readers:
            self._readers[kind](parts)
        elif kind not in _LISTED:
            raise Unreadable(f"xls: a record that is not known ({kind:#06x}); save it as xlsx")
        if kind not in _NUMBERS:
            for text in salvaged(b"".join(parts)):
                self._words.line(text)

    def _picture(self) -> None:
        self._report.unreadable("pixels that may show faces or text, which no inspector sees")

    def _drawings(self, parts: list[bytes]) -> None:
        if _blips(b"".join(parts)):
            self._picture()

    # --- what cells refer to -----------------------------------------------------------------------------------------

    def _shared(self, bodies: list[bytes]) -> None:
        """SST: total (4), distinct (4), strings."""
        parts = Parts(bodies)
        parts.take(4)
        held = 0
        for _ in range(parts.number(4)):
            text, *further = parts.string()
            held += len(text) + 64
            self._report.context.budget.room(held)
            self._book.strings.append(text)
            self._book.shown.append(0)
            for each in further:
                self._words.line(each)
        if parts.left:
            raise Unreadable("xls: strings behind the last one")

    def _format(self, bodies: list[bytes]) -> None:
        parts = Parts(bodies)
        which = parts.number(2)
        self._formats[which] = parts.string()[0]

    def _epoch(self, parts: list[bytes]) -> None:
        self._book.since_1904 = any(parts[0])

    def _style(self, parts: list[bytes]) -> None:
        which = int.from_bytes(parts[0][2:4], "little")
        self._book.dates.append(is_date(which, self._formats.get(which)))

    def _font(self, bodies: list[bytes]) -> None:
        parts = Parts(bodies)
        parts.take(14)
        self._words.line(parts.string(1)[0])

    def _bound(self, bodies: list[bytes]) -> None:
        parts = Parts(bodies)
        parts.take(6)
        self._words.line(parts.string(1)[0])

    # --- cells -------------------------------------------------------------------------------------------------------

    def _place(self, row: int, column: int, value: str) -> None:
        if self._grid is None or len(self._open) > 1:
            self._words.line(value)
            return
        if row < self._line:
            raise Unreadable("xls: rows out of order; save it as xlsx")
        if row > self._line:
            self._grid.row(self._row)
            self._row, self._line = [], row
        self._row += [""] * (column + 1 - len(self._row))
        if self._row[column]:
            raise Unreadable("xls: two cells at one place", kind="media_mismatch")
        self._row[column] = value

    def _cell(self, kind: int, raw: bytes) -> None:
        row, column = struct.unpack_from("<HH", raw)
        self._place(row, column, self._cells[kind](raw))

    def _many(self, parts: list[bytes]) -> None:
        """MULRK: row, first column, (style, number) of each, last column."""
        raw = b"".join(parts)
        row, first = struct.unpack_from("<HH", raw)
        for number, at in enumerate(range(4, len(raw) - 2, 6)):
            self._place(row, first + number, self._number(_rk(raw[at + 2 : at + 6]), raw[at : at + 2]))

    def _formula(self, bodies: list[bytes]) -> None:
        """FORMULA: what it came to stands before it; strings follow in a record of their own."""
        parts = Parts(bodies)
        row, column = parts.number(2), parts.number(2)
        style, result = parts.take(2), parts.take(8)
        if result[6:] != b"\xff\xff":
            self._place(row, column, self._number(struct.unpack("<d", result)[0], style))
        elif result[0] == 0:
            self._due = row, column
        elif result[0] in {1, 2}:
            self._place(row, column, str(result[2]))

    def _result(self, bodies: list[bytes]) -> None:
        parts = Parts(bodies)
        text = parts.string()[0]
        if self._due is None:
            self._words.line(text)
            return
        self._place(*self._due, text)
        self._due = None

    def _number(self, value: float, style: bytes) -> str:
        return self._book.number(repr(value), str(int.from_bytes(style, "little")))

    # --- around cells ------------------------------------------------------------------------------------------------

    def _note(self, bodies: list[bytes]) -> None:
        """NOTE: row, column, flags, number of its text; who wrote it."""
        parts = Parts(bodies)
        parts.take(8)
        self._words.line(parts.string()[0])

    def _drawn(self, parts: list[bytes]) -> None:
        """TXO: how many characters, which stand in the next record; comments and boxes."""
        count = int.from_bytes(parts[0][10:12], "little")
        if count:
            text = Parts(parts[1:])
            self._words.line(text.characters(count, wide=bool(text.number(1) & 1)))

    def _theme(self, parts: list[bytes]) -> None:
        """Theme: head (12), version (4), a package; further records repeat the head."""
        package = b"".join([parts[0][16:], *(part[12:] for part in parts[1:])])
        if package and not self._report.member("theme", io.BytesIO(package)).inspectable:
            self._report.unreadable("xls: a theme that cannot be read")


def _rk(raw: bytes) -> float:
    """RkNumber: 30 bits of an integer or of a double; a hundredth of it where bit 0 says so."""
    whole = int.from_bytes(raw, "little")
    if whole & 2:
        value = float(int.from_bytes(raw, "little", signed=True) >> 2)
    else:
        value = float(struct.unpack("<d", bytes(4) + (whole & 0xFFFFFFFC).to_bytes(4, "little"))[0])
    return value / 100 if whole & 1 else value


def _blips(drawings: bytes) -> bool:
    """Whether a group of drawings keeps pictures ([MS-ODRAW] sections 2.2.12 and 2.2.20)."""
    at = 8
    while at + 8 <= len(drawings):
        kind, size = struct.unpack_from("<HI", drawings, at + 2)
        if kind == _BLIPS and size:
            return True
        at += 8 + size
    return False
