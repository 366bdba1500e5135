"""Sheets of workbooks as tables: SpreadsheetML (ISO/IEC 29500-1 section 18) and OpenDocument (ISO/IEC 26300-3 section 9).

Cells stand in rows as a reader of the workbook sees them, hidden sheets, rows and columns included: a number as it is stored,
a date as a date, a shared string in its place. Formulas, comments and strings that no cell shows are running text.

A change must keep: sheets are read as they stream, a row at a time; a row's width is paid for, however few its cells are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.markup import Attributes, Handler, Prose
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report, TableSink

_COLUMNS: Final = 16_384  # of a worksheet, ISO/IEC 29500-1 section 18.3.1.73 through its cell references
_STRING: Final = 1 << 24  # characters of one cell
_TITLES: Final = 8  # rows of one cell before a table that are taken for titles and not for its first column
_DATES: Final = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # section 18.8.30, East Asian ones too
_SHOWN: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')  # parts of a number format that are no placeholders
_DIGITS: Final = 15  # that a number keeps in a workbook
# Resident numbers that were typed as numbers end in zeros from the 16th digit: area, date of birth, one digit
_CUT: Final = re.compile(r"[1-6]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d000")


class Grid:
    """Rows on their way to a table; rows of one cell before it are its titles, and running text."""

    def __init__(self, report: Report, place: str, words: Words) -> None:
        self._report = report
        self._place = place
        self._words = words
        self._sink: TableSink | None = None
        self._titles: list[list[str]] = []
        self._cut = 0

    def row(self, cells: list[str], times: int = 1) -> None:
        """One row, or the same several times."""
        filled = sum(1 for cell in cells if cell)
        if not filled:
            return
        self._report.context.budget.expand((len(cells) + sum(map(len, cells))) * times)
        self._cut += times * sum(1 for cell in cells if len(cell) == 18 and _CUT.fullmatch(cell))
        if self._sink is None and filled == 1 and len(self._titles) < _TITLES:
            self._titles.append(cells)
            return
        sink = self._opened(titled=filled > 1)
        for _ in range(times):
            sink.row(cells)

    def finish(self) -> None:
        """The sheet has ended."""
        if self._titles:
            self._opened(titled=False)
        if self._sink is not None:
            self._report.close(self._sink)
        if self._cut:
            where = f"{self._place}: numbers cut to {_DIGITS} digits"
            self._report.found("cn_resident_id", where, count=self._cut, weak=self._cut < 2)
        if self._cut > 1:
            self._report.unreadable(
                f"{self._place}: resident numbers lost their last digits, so people cannot be counted"
            )

    def _opened(self, *, titled: bool) -> TableSink:
        if self._sink is None:
            self._sink = self._report.table(self._place, ())
        titles, self._titles = self._titles, []
        for cells in titles:
            if titled:
                self._words.line(" ".join(filter(None, cells)))
            else:
                self._sink.row(cells)
        return self._sink


@dataclass
class Workbook:
    """What sheets refer to.

    Attributes:
        strings: Shared strings.
        shown: Which of them a cell showed.
        dates: Whether a cell format is one of dates, by its index.
        since_1904: Days count from 1904-01-01.
    """

    strings: list[str] = field(default_factory=list)
    shown: bytearray = field(default_factory=bytearray)
    dates: list[bool] = field(default_factory=list)
    since_1904: bool = False

    def string(self, index: str) -> str:
        """A shared string by its index.

        Raises:
            Unreadable: There is no such string.
        """
        at = int(index) if index.strip().isdecimal() and len(index) < 10 else len(self.strings)
        if at >= len(self.strings):
            raise Unreadable("workbook: a cell refers to a string that does not exist")
        self.shown[at] = 1
        return self.strings[at]

    def number(self, text: str, style: str) -> str:
        """A number as a cell should show it: dates as dates, whole numbers without an exponent."""
        if text.isdecimal() and not self._is_date(style):
            return text
        try:
            value = float(text)
        except ValueError:
            return text
        if self._is_date(style) and 0 <= value < 2_958_466:  # 9999-12-31
            return _day(value, since_1904=self.since_1904)
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else text

    def _is_date(self, style: str) -> bool:
        at = int(style) if style.isdecimal() and len(style) < 7 else -1
        return 0 <= at < len(self.dates) and self.dates[at]

    def finish(self, words: Words) -> None:
        """Strings that no cell shows are content as well."""
        for text, shown in zip(self.strings, self.shown, strict=True):
            if not shown:
                words.line(text)


def _day(value: float, *, since_1904: bool) -> str:
    """Section 18.17.4.1: day 60 is a 29 February 1900 that never was."""
    days = int(value) if since_1904 or value < 60 else int(value) - 1
    start = date(1904, 1, 1) if since_1904 else date(1899, 12, 31)
    seconds = round((value - int(value)) * 86_400)
    shown = (start + timedelta(days=days)).isoformat()
    return shown if not seconds else f"{shown} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def is_date(number: int, code: str | None) -> bool:
    """Whether a number format shows dates or times: by its code, or by its number where it has none of its own."""
    if code is None:
        return number in _DATES
    return any(letter in _SHOWN.sub("", code).lower() for letter in "ymdhs")


class Strings(Handler):
    """The shared strings of a workbook (section 18.4)."""

    def __init__(self, workbook: Workbook, report: Report) -> None:
        self._workbook = workbook
        self._report = report
        self._text: list[str] = []
        self._held = 0

    def text(self, text: str) -> None:
        """See `Handler`."""
        self._held += len(text) + 64
        self._report.context.budget.room(self._held)
        self._text.append(text)

    def start(self, name: str, attributes: Attributes) -> None:  # noqa: ARG002  # attributes were read by the caller
        """See `Handler`; how a word is pronounced (section 18.4.6) stands apart from it."""
        if name == "rPh":
            self._text.append(" ")

    def end(self, name: str) -> None:
        """See `Handler`."""
        if name == "si":
            self._workbook.strings.append("".join(self._text))
            self._workbook.shown.append(0)
            self._text = []
            self._held += 64
            self._report.context.budget.room(self._held)


class Styles(Handler):
    """Which cell formats are dates (section 18.8)."""

    def __init__(self, workbook: Workbook, words: Words) -> None:
        self._workbook = workbook
        self._words = words
        self._custom: dict[str, bool] = {}
        self._inside = ""

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Handler`."""
        if name == "numFmt":
            self._custom[attributes.get("numFmtId", "")] = is_date(0, attributes.get("formatCode", ""))
        elif name == "xf" and self._inside == "cellXfs":
            which = attributes.get("numFmtId", "0")
            dated = self._custom.get(which, which.isdecimal() and len(which) < 4 and is_date(int(which), None))
            self._workbook.dates.append(dated)
        elif name in {"cellXfs", "cellStyleXfs"}:
            self._inside = name

    def text(self, text: str) -> None:
        """See `Handler`."""
        self._words.line(text)


class Worksheet(Handler):
    """One sheet (section 18.3)."""

    def __init__(self, workbook: Workbook, grid: Grid, words: Words) -> None:
        self._workbook = workbook
        self._grid = grid
        self._words = words
        self._row: list[str] = []
        self._cell: Attributes = {}
        self._value: list[str] = []
        self._formula: list[str] = []
        self._inside = ""
        self._size = 0

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Handler`."""
        if name == "c":
            self._cell, self._value, self._size = attributes, [], 0
        self._inside = name

    def end(self, name: str) -> None:
        """See `Handler`."""
        self._inside = ""
        if name == "c":
            self._place("".join(self._value).strip("\n"))
        elif name == "row":
            self._grid.row(self._row)
            self._row = []
        elif name == "f":
            self._words.line("".join(self._formula))
            self._formula = []

    def text(self, text: str) -> None:
        """See `Handler`."""
        self._size += len(text)
        if self._size > _STRING:
            raise Unreadable("workbook: a cell that does not end", kind="archive_limit")
        if self._inside in {"v", "t"}:
            self._value.append(text)
        elif self._inside == "f":
            self._formula.append(text)
        elif text.strip():
            self._words.line(text)

    def finish(self) -> None:
        """See `Handler`."""
        self._grid.finish()

    def _place(self, value: str) -> None:
        column = _column(self._cell.get("r", ""), len(self._row))
        self._row += [""] * (column + 1 - len(self._row))
        kind = self._cell.get("t", "n")
        if kind == "s" and value:
            value = self._workbook.string(value)
        elif kind == "n":
            value = self._workbook.number(value, self._cell.get("s", ""))
        if self._row[column]:
            raise Unreadable("workbook: two cells at one place", kind="media_mismatch")
        self._row[column] = value


def _column(reference: str, following: int) -> int:
    """`B3` is column 1; a cell without a reference follows the one before it."""
    letters = reference.rstrip("0123456789")
    if not letters:
        at = following
    elif len(letters) <= 3 and letters.isascii() and letters.isalpha():
        at = -1
        for letter in letters.upper():
            at = (at + 1) * 26 + ord(letter) - ord("A")
    else:
        raise Unreadable("workbook: a cell at a place that does not exist")
    if at >= _COLUMNS:
        raise Unreadable(f"workbook: more than {_COLUMNS} columns", kind="archive_limit")
    return at


class Spreadsheet(Prose):
    """The content of an OpenDocument spreadsheet; what stands outside of cells is prose."""

    def __init__(self, report: Report, place: str, words: Words) -> None:
        super().__init__(report, place, words)
        self._grid: Grid | None = None
        self._sheets = 0
        self._row: list[str] = []
        self._cell: Attributes | None = None
        self._rows = 1
        self._shown: list[str] = []
        self._notes = 0

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Handler`."""
        if name == "table" and self._grid is None:
            self._sheets += 1
            self._grid = Grid(self._report, f"{self._place}, sheet {self._sheets}", self._words)
            self._open.append(name)
        elif name == "table-row":
            self._rows = min(_repeated(attributes, "number-rows-repeated"), 1 << 20)
            self._open.append(name)
        elif name in {"table-cell", "covered-table-cell"}:
            self._cell, self._shown = attributes, []
            self._open.append(name)
        else:
            self._notes += name == "annotation"
            super().start(name, attributes)

    def end(self, name: str) -> None:
        """See `Handler`."""
        if name in {"table-cell", "covered-table-cell"} and self._cell is not None:
            self._place_cell(self._cell)
            self._cell = None
            self._open.pop()
        elif name == "table-row" and self._grid is not None:
            self._grid.row(self._row, self._rows)
            self._row = []
            self._open.pop()
        elif name == "table" and self._grid is not None:
            self._grid.finish()
            self._grid = None
            self._open.pop()
        else:
            super().end(name)
            self._notes -= name == "annotation"

    def _line(self, text: str) -> None:
        if self._cell is not None and not self._notes:
            self._shown.append(text)
        else:
            super()._line(text)

    def _place_cell(self, cell: Attributes) -> None:
        """Section 19.385 to 19.390: the value where there is one, and what the cell shows."""
        shown = " ".join(self._shown)
        value = cell.get("value") or cell.get("date-value") or cell.get("string-value") or shown
        if shown and value != shown:
            self._words.line(shown)
        times = _repeated(cell, "number-columns-repeated")
        if not value:
            times = min(times, _COLUMNS)
        if len(self._row) + times > _COLUMNS:
            if value:
                raise Unreadable(f"workbook: more than {_COLUMNS} columns", kind="archive_limit")
            return
        self._row += [value] * times


def _repeated(attributes: Attributes, name: str) -> int:
    text = attributes.get(name, "1")
    return max(int(text), 1) if text.isdecimal() and len(text) < 10 else 1
