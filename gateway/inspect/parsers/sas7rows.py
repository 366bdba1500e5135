"""Rows of a SAS data set: decompressed, and as cells of text, numbers and days.

Compression by run lengths (SASYZCRL) is described by C. Cummins in "SAS7BDAT Database Binary Format"; SASYZCR2 is E. Ross's data
compression ("A Simple Data-Compression Technique", C Users Journal, October 1992). Numbers are IEEE 754 doubles, of which the
last bytes may be cut off.

An encrypted data set is not marked in any way that has been described. Its cells would be noise: so cells are held against
what text and numbers look like (`Rows.settle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gateway.inspect.cursor import decoded
from gateway.inspect.days import of_sas
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.sas7header import legible_text
from gateway.inspect.parsers.sas7meta import Column
from gateway.inspect.report import Report

_PIECE: Final = 1 << 20
_NEVER: Final = (1e-150, 1e150)  # no measurement is smaller or larger
_ODD: Final = 10  # one cell in so many may be neither text nor a number


class Rows:
    """Rows of one data set, fed to a table of the report in pieces.

    Attributes:
        count: Rows so far.
    """

    def __init__(self, report: Report, columns: list[Column], length: int, order: str, encoding: str) -> None:
        self._report = report
        self._columns = columns
        self._length = length
        self._order = order
        self._encoding = encoding
        self._sink = report.table("data", [column.name for column in columns])
        self._waiting = bytearray()
        self._between = _between(columns, length)
        self._odd = np.zeros((len(columns), 2), np.int64)  # cells that look like nothing; cells that hold anything
        self._stray = False  # something stands between columns
        self.count = 0

    def add(self, raw: bytes) -> None:
        """Whole rows, one after another."""
        if self._length:
            self.count += len(raw) // self._length
            self._waiting += raw
        if len(self._waiting) >= _PIECE:
            self._flush()

    def settle(self) -> None:
        """Behind the last row.

        Raises:
            Unreadable: Cells are neither text nor numbers.
        """
        self._flush()
        odd, known = self._odd[:, 0], self._odd[:, 1]
        if 2 * odd.sum() > known.sum():
            raise Unreadable("sas7bdat: rows are neither text nor numbers", kind="encrypted_content")
        if self._stray:
            raise Unreadable("sas7bdat: something stands between columns")
        if (odd * _ODD > known).any():
            raise Unreadable("sas7bdat: a column is neither text nor numbers")

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = np.frombuffer(bytes(self._waiting), np.uint8).reshape(-1, self._length)
        self._waiting.clear()
        self._stray |= bool(self._between.size) and not np.isin(table[:, self._between], (0, 0x20)).all()
        cells = [self._cells(place, table) for place in range(len(self._columns))]
        self._sink.extend(zip(*cells, strict=True))

    def _cells(self, place: int, table: np.ndarray[Any, Any]) -> list[object]:
        column = self._columns[place]
        raw = np.ascontiguousarray(table[:, column.offset : column.offset + column.width])
        return self._numbers(place, raw) if column.numeric else self._texts(place, raw)

    def _texts(self, place: int, raw: np.ndarray[Any, Any]) -> list[object]:
        cells = [cell.rstrip(b" \0") for cell in raw.view(f"V{raw.shape[1]}")[:, 0].tolist()]
        self._odd[place] += (sum(not legible_text(cell, self._encoding) for cell in cells), sum(map(bool, cells)))
        return [decoded(cell, self._encoding) for cell in cells]

    def _numbers(self, place: int, raw: np.ndarray[Any, Any]) -> list[object]:
        full = np.zeros((len(raw), 8), np.uint8)
        if self._order == "<":
            full[:, 8 - raw.shape[1] :] = raw
        else:
            full[:, : raw.shape[1]] = raw
        numbers = full.view(self._order + "f8")[:, 0]
        missing, size = np.isnan(numbers), np.abs(numbers)
        hollow = (full[:, :5] if self._order == "<" else full[:, 3:]).any(axis=1)  # missing: a letter and no more
        odd = np.where(missing, hollow, (numbers != 0) & ((size < _NEVER[0]) | (size > _NEVER[1])))
        self._odd[place] += (int(odd.sum()), int((odd | ~missing).sum()))
        shown = of_sas(numbers, self._columns[place].format)
        return [None if gone else cell for cell, gone in zip(shown, missing.tolist(), strict=True)]


def _between(columns: list[Column], length: int) -> np.ndarray[Any, Any]:
    """Bytes of a row that no column has."""
    used = np.zeros(length, bool)
    for column in columns:
        part = used[column.offset : column.offset + column.width]
        if len(part) != column.width or part.any():
            raise Unreadable("sas7bdat: columns overlap or reach out of their row")
        part[:] = True
    return np.flatnonzero(~used)


def whole_numbers(raw: bytes, order: str) -> list[str]:
    """Numbers of seven digits and more that bytes spell, wherever among them one may begin."""
    found: dict[str, None] = {}
    for start in range(min(8, len(raw) - 7)):
        numbers = np.frombuffer(raw, f"{order}f8", (len(raw) - start) // 8, start)
        size = np.abs(numbers)
        with np.errstate(invalid="ignore"):
            wanted = numbers[(size >= 1e6) & (size < 2**63) & (np.floor(numbers) == numbers)]
        found.update(dict.fromkeys(str(int(number)) for number in wanted.tolist()))
    return list(found)


# --- compression ---------------------------------------------------------------------------------------------------------


def unpacked(raw: bytes, length: int, method: bytes) -> bytes:
    """A row of `length` bytes.

    Raises:
        Unreadable: It has another length, or refers to what is not there.
    """
    row = _crossed(raw, length) if method == b"SASYZCR2" else _run_lengths(raw, length)
    if len(row) != length:
        raise Unreadable("sas7bdat: a compressed row of another length")
    return row


# Commands of run lengths: least size; whether the low four bits and a byte are added, or the bits alone; None to copy what
# follows, else what is repeated, empty for the next byte
_COMMANDS: Final[Mapping[int, tuple[int, bool, bytes | None]]] = {
    0x0: (64, True, None), 0x1: (64 + 4096, True, None), 0x2: (96, False, None), 0x4: (18, True, b""), 0x5: (17, True, b"@"),
    0x6: (17, True, b" "), 0x7: (17, True, b"\0"), 0x8: (1, False, None), 0x9: (17, False, None), 0xA: (33, False, None),
    0xB: (49, False, None), 0xC: (3, False, b""), 0xD: (2, False, b"@"), 0xE: (2, False, b" "), 0xF: (2, False, b"\0"),
}  # fmt: skip


def _run_lengths(raw: bytes, length: int) -> bytes:
    out, at = bytearray(), 0
    while at < len(raw) and len(out) <= length:
        command, size = raw[at] >> 4, raw[at] & 15
        at += 1
        if command not in _COMMANDS:
            raise Unreadable("sas7bdat: a run of an unknown kind")
        more, long, fill = _COMMANDS[command]
        if long:
            size, at = size * 256 + _byte(raw, at), at + 1
        size += more
        if fill is None:
            if at + size > len(raw):
                raise Unreadable("sas7bdat: a compressed row breaks off")
            out += raw[at : at + size]
            at += size
        elif fill:
            out += fill * size
        else:
            out += bytes([_byte(raw, at)]) * size
            at += 1
    return bytes(out)


def _crossed(raw: bytes, length: int) -> bytes:
    """Sixteen bits say which of the next sixteen are bytes as they are, and which repeat a byte or what stands before."""
    out, at = bytearray(), 0
    while at < len(raw) and len(out) <= length:
        flags, at = _byte(raw, at) << 8 | _byte(raw, at + 1), at + 2
        for bit in range(15, -1, -1):
            if at >= len(raw):
                break
            if not flags >> bit & 1:
                out.append(raw[at])
                at += 1
            else:
                at = _repeated(raw, at, out)
    return bytes(out)


def _repeated(raw: bytes, at: int, out: bytearray) -> int:
    """One command; where the next begins."""
    command, low, second = raw[at] >> 4, raw[at] & 15, _byte(raw, at + 1)
    if command == 0:
        out += bytes([second]) * (low + 3)
        return at + 2
    if command == 1:
        out += bytes([_byte(raw, at + 2)]) * (low + 19 + 16 * second)
        return at + 3
    back, size = low + 3 + 16 * second, command
    if command == 2:
        size, at = 16 + _byte(raw, at + 2), at + 1
    if back > len(out) or size > back:
        raise Unreadable("sas7bdat: a compressed row refers to what is not there")
    out += out[len(out) - back : len(out) - back + size]
    return at + 2


def _byte(raw: bytes, at: int) -> int:
    if at >= len(raw):
        raise Unreadable("sas7bdat: a compressed row breaks off")
    return raw[at]
