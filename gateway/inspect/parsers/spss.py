"""SPSS system files, .sav and .zsav (GNU PSPP Developer's Guide, appendix "System File Format").

Values, all labels, documents, attributes. Encrypted files (`ENCRYPTEDSAV`) are that; portable files are another format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.inspect.cursor import Cursor, decoded
from gateway.inspect.days import is_spss, of_spss
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source

_TEXTS: Final = frozenset({5, 7, 10, 13, 14, 17, 18, 19, 20, 21, 22, 24})  # extension records of text
_NUMBERS: Final = frozenset({3, 4, 11, 16})
_CODEPAGES: Final = {65001: "utf-8", 936: "gb18030", 54936: "gb18030", 950: "big5hkscs", 1252: "cp1252", 932: "cp932"}
_MISSING: Final = struct.pack("<d", -1.7976931348623157e308), struct.pack(">d", -1.7976931348623157e308)
_PIECE: Final = 1 << 18
_SEGMENT: Final = 252  # letters that each part but the last of a very long string holds


@dataclass
class _Variable:
    """A variable record with those that continue it."""

    name: str
    width: int  # 0 for a number
    format: int = 0  # by its number
    elements: int = 1


@dataclass
class _File:
    """The dictionary as it is read."""

    compression: int
    cases: int
    bias: float
    variables: list[_Variable] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    labels: list[tuple[bytes, bytes]] = field(default_factory=list)
    encoding: str = ""
    long_names: dict[str, str] = field(default_factory=dict)
    very_long: dict[str, int] = field(default_factory=dict)


def inspect(source: Source, report: Report) -> None:
    """Dictionary, then cases."""
    cursor = Cursor(source, report)
    file = _header(cursor)
    while (kind := cursor.number("i")) != 999:
        if kind not in _RECORDS:
            raise Unreadable("spss: a record of an unknown kind")
        _RECORDS[kind](cursor, file)
    cursor.take(4)
    _texts(report, file)
    _cases(cursor, report, file)


def _header(cursor: Cursor) -> _File:
    head = cursor.take(176)
    if head[64:68] in (b"\x02\0\0\0", b"\x03\0\0\0"):
        cursor.order = "<"
    elif head[64:68] in (b"\0\0\0\x02", b"\0\0\0\x03"):
        cursor.order = ">"
    else:
        raise Unreadable("spss: a layout of another kind")
    _, _, compression, _, cases, bias = struct.unpack(cursor.order + "iiiiid", head[64:92])
    file = _File(compression, cases, bias)
    file.texts += [head[4:64], head[92:109], head[109:173], head[173:176].strip(b"\0")]
    return file


def _variable(cursor: Cursor, file: _File) -> None:
    width, labelled, missing, format_, _ = cursor.numbers("iiiii")
    name = cursor.take(8)
    if labelled:
        size = cursor.number("i")
        file.texts.append(cursor.take(size + -size % 4)[:size])
    file.texts.append(cursor.take(8 * abs(missing)) if abs(missing) <= 3 else b"")
    if width == -1:
        if not file.variables:
            raise Unreadable("spss: a continuation of nothing")
        file.variables[-1].elements += 1
    else:
        file.variables.append(_Variable(decoded(name).strip(), width, format_ >> 16 & 0xFF))
        file.texts.append(name)


def _value_labels(cursor: Cursor, file: _File) -> None:
    for _ in range(cursor.number("i")):
        value, size = cursor.take(8), cursor.number("B")
        file.labels.append((value, cursor.take(size + -(size + 1) % 8)[:size]))
    if cursor.number("i") != 4:
        raise Unreadable("spss: value labels of no variable")
    cursor.take(4 * cursor.number("i"))


def _documents(cursor: Cursor, file: _File) -> None:
    for _ in range(cursor.number("i")):
        file.texts.append(cursor.take(80))


def _extension(cursor: Cursor, file: _File) -> None:
    subtype, size, count = cursor.numbers("iii")
    if size < 0 or count < 0:
        raise Unreadable("spss: an extension of less than nothing")
    if subtype in _NUMBERS:
        raw = cursor.take(size * count)
        if subtype == 3 and len(raw) >= 32:
            file.encoding = file.encoding or _CODEPAGES.get(struct.unpack(cursor.order + "i", raw[28:32])[0], "")
        return
    raw = cursor.take(size * count)
    if subtype not in _TEXTS:
        raise Unreadable("spss: an extension of an unknown kind")
    file.texts.append(raw)
    if subtype == 20:
        file.encoding = decoded(raw).strip()
    elif subtype == 13:
        file.long_names = {
            k.strip(): v for k, _, v in (part.partition("=") for part in decoded(raw, file.encoding).split("\t"))
        }
    elif subtype == 14:
        pairs = (part.partition(b"=") for part in raw.replace(b"\0", b"").split(b"\t") if part)
        file.very_long = {decoded(name): int(width) for name, _, width in pairs}


_RECORDS: Final = {2: _variable, 3: _value_labels, 6: _documents, 7: _extension}


def _texts(report: Report, file: _File) -> None:
    sink: TextSink = report.text("labels")
    for raw in file.texts:
        for part in raw.split(b"\0"):
            if part.strip():
                sink.line(decoded(part, file.encoding))
    if file.labels:
        table = report.table("value labels", ("value", "label"))
        for value, label in file.labels:
            shown = decoded(value, file.encoding) if b"\0" not in value else None
            table.row([shown, decoded(label, file.encoding)])


# --- cases ---------------------------------------------------------------------------------------------------------------


def _cases(cursor: Cursor, report: Report, file: _File) -> None:
    columns = _columns(file)
    per_case = sum(variable.elements for variable in file.variables)
    if not per_case:
        raise Unreadable("spss: no variables")
    elements = _elements(cursor, report, file)
    sink = report.table("data", [name for name, _, _ in columns])
    case: list[bytes] = []
    for element in elements:
        case.append(element)
        if len(case) == per_case:
            sink.row(_row(case, columns, file, cursor.order))
            case.clear()
            if sink.rows == file.cases:
                break
    if case or (file.cases >= 0 and sink.rows != file.cases):
        raise Unreadable("spss: breaks off within its cases")
    if next((element for element in elements if element.strip(b"\0")), None) is not None:
        raise Unreadable("spss: more values than cases")


Place = tuple[int, int, int]  # of a part: first element, elements, width
Column = tuple[str, int, list[Place]]  # name, number of its format, parts


def _columns(file: _File) -> list[Column]:
    """Variables as columns; parts of a very long string are one."""
    found: list[Column] = []
    at = parts = 0
    for variable in file.variables:
        place = (at, variable.elements, variable.width)
        at += variable.elements
        if parts:
            found[-1][2].append(place)
            parts -= 1
            continue
        found.append((file.long_names.get(variable.name, variable.name), variable.format, [place]))
        width = file.very_long.get(variable.name, 0)
        parts = (width + _SEGMENT - 1) // _SEGMENT - 1 if width > 255 else 0
    return found


def _row(case: list[bytes], columns: list[Column], file: _File, order: str) -> list[object]:
    row: list[object] = []
    for _, format_, places in columns:
        first, _, width = places[0]
        if not width:
            number = None if case[first] in _MISSING else struct.unpack(order + "d", case[first])[0]
            row.append(number if number is None or not is_spss(format_) else of_spss(number, format_))
            continue
        letters = [b"".join(case[at : at + count]) for at, count, _ in places]
        if len(letters) > 1:
            letters = [part[:_SEGMENT] + part[_SEGMENT:].strip(b" \0") for part in letters[:-1]] + letters[-1:]
        row.append(decoded(b"".join(letters).rstrip(b" \0"), file.encoding))
    return row


def _elements(cursor: Cursor, report: Report, file: _File) -> Iterator[bytes]:
    """Eight bytes each."""
    if file.compression == 0:
        return _plain(cursor)
    if file.compression == 1:
        return _unpacked(_pieces(cursor), file, cursor, report)
    if file.compression == 2:
        return _unpacked(_inflated(cursor, report), file, None, report)
    raise Unreadable("spss: a compression of another kind")


def _plain(cursor: Cursor) -> Iterator[bytes]:
    while cursor.left >= 8:
        raw = cursor.take(min(_PIECE, cursor.left // 8 * 8))
        yield from (raw[at : at + 8] for at in range(0, len(raw), 8))


def _pieces(cursor: Cursor) -> Iterator[bytes]:
    while cursor.left >= 8:
        yield cursor.take(min(_PIECE, cursor.left // 8 * 8))


def _unpacked(pieces: Iterator[bytes], file: _File, cursor: Cursor | None, report: Report) -> Iterator[bytes]:
    """Bytecodes (appendix, "Data Record"): eight at a time, the values they announce behind them."""
    order = cursor.order if cursor else "<"
    known = [struct.pack(order + "d", code - file.bias) for code in range(252)]
    words = (piece[at : at + 8] for piece in pieces for at in range(0, len(piece), 8))
    missing = _MISSING[order == ">"]
    for codes in words:
        report.context.budget.expand(64)
        for code in codes:
            if code == 253:
                word = next(words, b"")
                if len(word) < 8:
                    raise Unreadable("spss: breaks off within its cases")
                yield word
            elif 0 < code < 252:
                yield known[code]
            elif code == 254:
                yield b" " * 8
            elif code == 255:
                yield missing
            elif code == 252:
                if next(words, b"").strip(b"\0"):
                    raise Unreadable("spss: something follows the end of the data")
                return


def _inflated(cursor: Cursor, report: Report) -> Iterator[bytes]:
    """ZLIB blocks, listed in a trailer at the end of the file."""
    start, trailer, size = cursor.numbers("qqq")
    blocks = cursor.at
    if start != blocks - 24 or not blocks <= trailer <= trailer + size == blocks + cursor.left:
        raise Unreadable("spss: compressed data lie elsewhere")
    rest, at = b"", blocks
    cursor.skip(trailer - blocks)
    _, _, _, count = cursor.numbers("qqii")
    if size != 24 + 24 * count:
        raise Unreadable("spss: a list of blocks of another size")
    sizes = [cursor.numbers("qqii") for _ in range(count)]
    for _, place, plain, packed in sizes:
        if place != at or at + packed > trailer:
            raise Unreadable("spss: a block lies elsewhere")
        report.context.budget.room(plain)
        report.context.budget.expand(plain)
        cursor.at = at
        inflate = zlib.decompressobj()
        raw = rest + inflate.decompress(cursor.take(packed), plain + 1)
        if not inflate.eof or inflate.unused_data or len(raw) != plain + len(rest):
            raise Unreadable("spss: a block is damaged")
        whole = len(raw) // 8 * 8
        rest, at = raw[whole:], at + packed
        yield raw[:whole]
