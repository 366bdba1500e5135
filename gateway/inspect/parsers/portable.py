"""SPSS portable files, .por (GNU PSPP Developer's Guide, appendix "Portable File Format").

Text in lines of 80 characters, but no text to read as such: numbers are in base 30, letters in a character set that the file
brings along. Read forward to the last filler; names, labels, documents and cells go to the classifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.inspect.cursor import decoded
from gateway.inspect.days import is_spss, of_spss
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_PIECE: Final = 1 << 16
_LINE: Final = 80
_SPLASH: Final = 200
_TABLE: Final = 256
_STRING: Final = 32_767  # characters of a value or a label
_DIGITS: Final = 400  # characters of a number
_LARGEST: Final = 300  # exponents of thirty
_NUMBER: Final = re.compile(rb" *(-?)([0-9A-T]*)(?:\.([0-9A-T]*))?(?:([+-])([0-9A-T]+))?")
_BLANKS: Final = re.compile(rb" *")
_THIRTY: Final = 30
# What stands where in the character set of portable files, from position 64 on, as far as ASCII has it
_POSITIONS: Final = (
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz .<(+|&[]!$*);^-/|,%_>?`:\0@'=\"\0\0\0\0\0\0~"
)


@dataclass
class _Variable:
    """A name, a width, 0 for a number, and the number of its format."""

    name: str
    width: int
    format: int


@dataclass
class _Dictionary:
    """What stands before the data."""

    lines: list[bytes] = field(default_factory=list)
    variables: list[_Variable] = field(default_factory=list)
    labels: list[tuple[object, bytes]] = field(default_factory=list)


def inspect(source: Source | Stream, report: Report) -> None:
    """Header, dictionary, cases, fillers."""
    text = _Text(source, report)
    _header(text, report)
    told = _Dictionary()
    told.lines += [text.take(1), text.string(), text.string()]
    while (tag := text.take(1)) != b"F":
        if tag not in _RECORDS:
            raise Unreadable("portable: a record of an unknown kind")
        _RECORDS[tag](text, told)
        if len(told.variables) > report.context.budget.limits.columns:
            raise Unreadable("portable: too many variables", kind="archive_limit")
    text.dictionary = False
    _labels(report, told)
    _cases(text, report, told)
    report.cover(0, text.finish())


class _Text:
    """Characters one after another: lines are filled up to 80, and their ends are none.

    Attributes:
        standard: From the file's character set to ASCII.
        dictionary: Whether what is read is held as a whole.
    """

    def __init__(self, source: Source | Stream, report: Report) -> None:
        self._source = source
        self._budget = report.context.budget
        self._ahead = b""
        self._at = 0
        self._column = 0
        self._size = 0
        self.standard = bytes(range(256))
        self.dictionary = True

    def peek(self) -> bytes:
        """The next character; none at the end."""
        return self._ahead[self._at : self._at + 1] if self._at < len(self._ahead) or self._more() else b""

    def take(self, size: int) -> bytes:
        """So many characters.

        Raises:
            Unreadable: There are fewer.
        """
        while len(self._ahead) - self._at < size and self._more():
            pass
        found = self._ahead[self._at : self._at + size]
        self._at += size
        if len(found) < size:
            raise Unreadable("portable: breaks off")
        return found

    def number(self) -> float | None:
        """A number; None for a missing one.

        Raises:
            Unreadable: It is none, or larger than any.
        """
        while self.peek() == b" ":
            self._at = _BLANKS.match(self._ahead, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if self.peek() == b"*":
            self.take(2)
            return None
        end = self._ahead.find(b"/", self._at)
        while end < 0 and len(self._ahead) - self._at <= _DIGITS and self._more():
            end = self._ahead.find(b"/", self._at)
        if not 0 <= end - self._at <= _DIGITS:
            raise Unreadable("portable: a number without an end")
        value = _value(self._ahead[self._at : end])
        self._at = end + 1
        return value

    def whole(self, most: int) -> int:
        """A number from 0 to `most`."""
        value = self.number()
        if value is None or not 0 <= value <= most or value != int(value):
            raise Unreadable("portable: a count that is none")
        return int(value)

    def string(self) -> bytes:
        """Characters behind their number."""
        return self.take(self.whole(_STRING))

    def finish(self) -> int:
        """Fillers up to the end of the file; its size.

        Raises:
            Unreadable: Something else stands there.
        """
        while self.peek():
            if self._ahead[self._at :].strip(b"Z "):
                raise Unreadable("portable: something follows the data")
            self._at = len(self._ahead)
        return self._size

    def _more(self) -> bool:
        raw = self._source.read(_PIECE)
        if not raw:
            return False
        self._size += len(raw)
        if self.dictionary:
            self._budget.room(self._size)
        first, *rest = raw.replace(b"\r", b"").split(b"\n")
        pieces = [first]
        self._column += len(first)
        for line in rest:
            pieces += [b" " * (_LINE - self._column), line]
            self._column = len(line)
        filled = b"".join(pieces).translate(self.standard)
        self._budget.expand(max(len(filled) - len(raw), 0))
        self._ahead, self._at = self._ahead[self._at :] + filled, 0
        return True

    def translate(self, table: bytes) -> None:
        """Read everything from here on by the character table of the file."""
        found = bytearray(range(256))
        for ours, theirs in zip(_POSITIONS, table[64:], strict=False):
            if ours and (theirs != table[0] or ours == 0x30):
                found[theirs] = ours
        self.standard = bytes(found)
        self._ahead, self._at = self._ahead[self._at :].translate(self.standard), 0


def _value(raw: bytes) -> float:
    match = _NUMBER.fullmatch(raw)
    if not match or not (match[2] or match[3]):
        raise Unreadable("portable: a number that is none")
    sign, digits, fraction, direction, power = (part or b"" for part in match.groups())
    exponent = int(power or b"0", _THIRTY) if len(power) <= 3 else _LARGEST + 1
    if exponent > _LARGEST:
        raise Unreadable("portable: a number without measure")
    exponent = (-exponent if direction == b"-" else exponent) - len(fraction)
    whole = int(digits + fraction, _THIRTY) * (-1 if sign else 1)
    try:
        return float(whole * _THIRTY ** max(exponent, 0)) if exponent >= 0 else whole / int(_THIRTY**-exponent)
    except OverflowError as wrong:
        raise Unreadable("portable: a number without measure") from wrong


def _header(text: _Text, report: Report) -> None:
    """Splash strings, the character table, the tag."""
    splash, table = text.take(_SPLASH), text.take(_TABLE)
    text.translate(table)
    if text.take(8) != b"SPSSPORT":
        raise Unreadable("portable: no portable file in a known character set")
    sink = report.text("header")
    for each in (splash, table):
        sink.line(each.decode("latin-1"))
    sink.line(splash.translate(text.standard).decode("latin-1"))


# --- the dictionary ------------------------------------------------------------------------------------------------------


def _said(text: _Text, told: _Dictionary) -> None:
    told.lines.append(text.string())


def _counted(text: _Text, told: _Dictionary) -> None:  # noqa: ARG001  # variables are counted as they come
    text.whole(_STRING)


def _variable(text: _Text, told: _Dictionary) -> None:
    width, name = text.whole(_STRING), text.string()
    told.lines.append(name)
    format_, *_ = [text.whole(_STRING) for _ in range(6)]
    told.variables.append(_Variable(decoded(name).strip(), width, format_))


def _missing(text: _Text, told: _Dictionary) -> None:
    _typed(text, told, _last(told).width)


def _range(text: _Text, told: _Dictionary) -> None:
    for _ in range(2):
        _missing(text, told)


def _value_labels(text: _Text, told: _Dictionary) -> None:
    names = [decoded(text.string()).strip() for _ in range(text.whole(_STRING))]
    widths = {each.name: each.width for each in told.variables}
    if not names or names[0] not in widths:
        raise Unreadable("portable: value labels of no variable")
    for _ in range(text.whole(_STRING)):
        value = _typed(text, told, widths[names[0]])
        told.labels.append((value, text.string()))


def _documents(text: _Text, told: _Dictionary) -> None:
    for _ in range(text.whole(_STRING)):
        told.lines.append(text.string())


def _typed(text: _Text, told: _Dictionary, width: int) -> object:
    """A value of a variable of this width; letters are text too."""
    if not width:
        return text.number()
    told.lines.append(text.string())
    return decoded(told.lines[-1])


def _last(told: _Dictionary) -> _Variable:
    if not told.variables:
        raise Unreadable("portable: a record of no variable")
    return told.variables[-1]


_RECORDS: Final[dict[bytes, Callable[[_Text, _Dictionary], None]]] = {
    b"1": _said,  # product
    b"2": _said,  # author
    b"3": _said,  # subproduct
    b"4": _counted,
    b"5": _counted,  # digits of base 30
    b"6": _said,  # weighted by
    b"7": _variable,
    b"8": _missing,
    b"9": _missing,
    b"A": _missing,
    b"B": _range,
    b"C": _said,  # label
    b"D": _value_labels,
    b"E": _documents,
}


def _labels(report: Report, told: _Dictionary) -> None:
    sink = report.text("labels")
    for line in told.lines:
        sink.line(decoded(line))
    if told.labels:
        table = report.table("value labels", ("value", "label"))
        for value, label in told.labels:
            table.row([value, decoded(label)])


# --- cases ---------------------------------------------------------------------------------------------------------------


def _cases(text: _Text, report: Report, told: _Dictionary) -> None:
    if not told.variables:
        raise Unreadable("portable: no variables")
    sink = report.table("data", [each.name for each in told.variables])
    while text.peek() != b"Z":
        sink.row([_cell(text, each) for each in told.variables])


def _cell(text: _Text, variable: _Variable) -> object:
    """Letters, a number, or a day or moment as a calendar has it."""
    if variable.width:
        return decoded(text.string().rstrip(b" "))
    number = text.number()
    return number if number is None or not is_spss(variable.format) else of_spss(number, variable.format)
