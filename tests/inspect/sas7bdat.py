"""Writes SAS data sets as "SAS7BDAT Database Binary Format" describes them; pandas and ReadStat read them (test_sas7bdat)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

MAGIC = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
Cell = float | str | None


@dataclass(frozen=True)
class Column:
    """A column: a number of `width` bytes, or letters."""

    name: str
    width: int = 8
    numeric: bool = True
    format: str = ""
    label: str = ""


@dataclass
class DataSet:
    """What is written, and how.

    Attributes:
        columns: In the order of their cells.
        rows: Of cells.
        wide: Of 64 bits.
        order: `<` or `>`.
        encoding: SAS's number and the codec.
        method: Compression of rows: nothing, `SASYZCRL`, `SASYZCR2`.
        page: Bytes of a page.
        deleted: Numbers of rows on the first page that are marked.
        slack: What unused room of the last page begins with.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    wide: bool = True
    order: str = "<"
    encoding: tuple[int, str] = (20, "utf-8")
    method: bytes = b""
    page: int = 8192
    deleted: Sequence[int] = ()
    slack: bytes = b""
    text: bytearray = field(default_factory=bytearray)

    def bytes(self) -> bytes:
        """The file."""
        self.text = bytearray(
            self.pack("HHHHHH", 0, 0, 0, 0, 0, 0) + (self.method or b" " * 8) + b" " * 8 + b"DATASTEP"
        )
        rows = [self.row(cells) for cells in self.rows]
        described = self.subheaders(rows)  # the text block is complete afterwards
        pages = self.compressed(described, rows) if self.method else self.plain(described, rows)
        head = self.header(len(pages))
        return head + b"".join(pages)

    @property
    def word(self) -> int:
        return 8 if self.wide else 4

    def pack(self, layout: str, *numbers: float) -> bytes:
        return struct.pack(
            self.order + layout.replace("W", "Q" if self.wide else "I").replace("w", "q" if self.wide else "i"),
            *numbers,
        )

    def header(self, pages: int) -> bytes:
        pad, grown = 4, 4 if self.wide else 0
        head = bytearray(8192 if self.wide else 1024)
        head[:32] = MAGIC
        head[32:40] = bytes([0x33 if self.wide else 0x22, 0x22, 0, 0x33, 0x33, self.order == "<", 2, 0x31])
        head[70] = self.encoding[0]
        head[84:92], head[92:156], head[156:164] = b"SAS FILE", b"PEOPLE".ljust(64), b"DATA    "
        head[164 + pad : 180 + pad] = self.pack("dd", 1.9e9, 1.9e9)
        head[196 + pad : 208 + pad + grown] = self.pack("IIW", len(head), self.page, pages)
        at = 216 + pad + grown
        head[at : at + 13] = b"9.0401M6Linux"
        return bytes(head)

    # --- cells ---------------------------------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        return sum(column.width for column in self.columns)

    def row(self, cells: Sequence[Cell]) -> bytes:
        return b"".join(self.cell(cell, column) for cell, column in zip(cells, self.columns, strict=True))

    def cell(self, cell: Cell, column: Column) -> bytes:
        if not column.numeric:
            return str(cell or "").encode(self.encoding[1]).ljust(column.width)
        missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
        raw = struct.pack(">Q", 0xFFFFFE0000000000) if missing else struct.pack(">d", cell)
        raw = raw[: column.width]
        return raw[::-1] if self.order == "<" else raw

    # --- subheaders ----------------------------------------------------------------------------------------------------

    def said(self, text: str) -> tuple[int, int, int]:
        """A text in the block, at a multiple of four."""
        raw, at = text.encode(self.encoding[1]), len(self.text)
        self.text += raw + bytes(-len(raw) % 4)
        return (0, at if raw else 0, len(raw))

    def subheaders(self, rows: list[bytes]) -> list[bytes]:
        sign = partial(self.pack, "w")
        columns, word = self.columns, self.word
        names = b"".join(self.pack("HHHH", *self.said(column.name), 0) for column in columns)
        vectors, at = b"", 0
        for column in columns:
            vectors += self.pack("WIHBB", at, column.width, 4, 1 if column.numeric else 2, 0)
            at += column.width
        formats = []
        for column in columns:
            refs = self.pack("HHHHHH", *self.said(column.format), *self.said(column.label))
            formats.append(
                (sign(-1026) + bytes((46 if self.wide else 34) - word) + refs).ljust(64 if self.wide else 52, b"\0")
            )
        self.text += bytes(word + 4)
        self.text[:2] = self.pack("H", len(self.text) - 4 - word)
        listed = (
            self.pack("HHHHHHH", *([len(columns)] * 7))
            + self.pack(f"{len(columns)}h", *range(1, len(columns) + 1))
            + bytes(8)
        )
        return [
            self.row_size(rows),
            (b"\xf6" * 4 + bytes(word - 4) + self.pack("W", len(columns))).ljust(3 * word, b"\0"),
            (sign(-1024) + self.pack("WW", 64, 4)).ljust(600 if self.wide else 304, b"\0"),
            sign(-3) + bytes(self.text),
            self.vectors(-1, names),
            self.vectors(-4, vectors),
            sign(-2) + self.pack("HHHHW", len(listed), 0, 0, 0, len(listed)) + listed,
            *formats,
        ]

    def vectors(self, signature: int, body: bytes) -> bytes:
        size = self.word + 8 + len(body) + self.word + 4
        return (
            self.pack("w", signature)
            + self.pack("H", size - 4 - 2 * self.word)
            + bytes(6)
            + body
            + bytes(self.word + 4)
        )

    def row_size(self, rows: list[bytes]) -> bytes:
        word = self.word
        raw = bytearray(808 if self.wide else 480)
        raw[:4] = b"\xf7" * 4
        raw[5 * word : 8 * word] = self.pack("WWW", self.length, len(rows), len(self.deleted))
        raw[9 * word : 10 * word] = self.pack("W", len(self.columns))
        raw[13 * word : 14 * word] = self.pack("W", self.page)
        raw[15 * word : 16 * word] = self.pack("W", min(len(rows), self.fits()))
        raw[16 * word : 18 * word] = b"\xff" * (2 * word)
        at = 528 if self.wide else 272
        raw[at : at + word + 2] = self.pack("WH", 1, 7 + len(self.columns))
        if self.method:
            raw[-118:-112] = self.pack("HHH", 0, 12, 8)
        raw[-106:-100] = self.pack("HHH", 0, 28, 8)
        at = 706 if self.wide else 378
        raw[at : at + 2] = self.pack("H", 8)
        return bytes(raw)

    # --- pages ---------------------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        return 40 if self.wide else 24

    def start(self) -> int:
        """Of rows on the first page."""
        at = self.head + (7 + len(self.columns)) * (24 if self.wide else 12)
        return at + -at % 8

    def fits(self) -> int:
        """Rows on the first page."""
        below = (808 + 24 + 600 if self.wide else 480 + 12 + 304) + len(self.columns) * (64 + 8 + 16 + 80) + 400
        return max((self.page - self.start() - below) // self.length, 0)

    def assembled(
        self, kind: int, blocks: int, pointers: list[tuple[int, int]], parts: list[bytes], middle: bytes = b""
    ) -> bytes:
        """A page: subheaders from its end down, `pointers` to them by state and type, `middle` behind the pointers."""
        page, low, table = bytearray(self.page), self.page, b""
        for part, (state, type_) in zip(parts, pointers, strict=True):
            low -= len(part)
            page[low : low + len(part)] = part
            table += self.pack("WWBB", low, len(part), state, type_) + bytes(self.word - 2)
        page[: self.head] = (
            self.pack("I", 0x1234) + bytes(self.head - 12) + self.pack("HHHH", kind, blocks, len(parts), 0)
        )
        page[self.head : self.head + len(table)] = table
        at = self.start() if parts and middle else self.head + len(table)
        page[at : at + len(middle)] = middle
        if at + len(middle) > low:
            raise ValueError("a page is too small")
        return bytes(page)

    def plain(self, described: list[bytes], rows: list[bytes]) -> list[bytes]:
        pointers = [(0, 0)] * len(described)
        first, rest = rows[: self.fits()], rows[self.fits() :]
        middle = b"".join(first)
        kind = 0x200
        if self.deleted:
            kind |= 0x80
            middle += bytes(8) + sum(0x80 >> place for place in self.deleted).to_bytes(1, "big")
        if not rest:
            middle += self.slack
        pages = [self.assembled(kind, len(described) + len(first), pointers, described, middle)]
        full = (self.page - self.head) // self.length
        for at in range(0, len(rest), full):
            part = rest[at : at + full]
            tail = self.slack if at + full >= len(rest) else b""
            pages.append(self.assembled(0x100, len(part), [], [], b"".join(part) + tail))
        return pages

    def compressed(self, described: list[bytes], rows: list[bytes]) -> list[bytes]:
        pages, parts, pointers = [], list(described), [(0, 0)] * len(described)
        pack = cross if self.method == b"SASYZCR2" else run_lengths
        for row in rows:
            packed = pack(row)
            part, pointer = (packed, (4, 1)) if len(packed) < len(row) else (row, (0, 1))
            used = self.head + (len(parts) + 2) * 3 * self.word + sum(map(len, parts)) + len(part)
            if used > self.page:
                pages.append(self.assembled(0, len(parts), pointers, parts))
                parts, pointers = [], []
            parts.append(part)
            pointers = [*pointers, pointer]
        pages.append(self.assembled(0, len(parts), pointers, parts, b""))
        return pages


def run_lengths(row: bytes) -> bytes:
    """SASYZCRL, with the shortest commands only where runs are short."""
    out, at, literal = bytearray(), 0, bytearray()

    def flush() -> None:
        for start in range(0, len(literal), 64):
            part = literal[start : start + 64]
            out.append((0x80, 0x90, 0xA0, 0xB0)[(len(part) - 1) // 16] + (len(part) - 1) % 16)
            out.extend(part)
        literal.clear()

    while at < len(row):
        run = len(row[at:]) - len(row[at:].lstrip(row[at : at + 1]))
        if run < 3:
            literal.append(row[at])
            at += 1
            continue
        flush()
        byte = row[at]
        short = {0: 0xF0, 32: 0xE0, 64: 0xD0}.get(byte)
        if short is not None and run <= 17:
            out.append(short + run - 2)
        elif short is not None:
            run = min(run, 4112)
            out += bytes([{0: 0x70, 32: 0x60, 64: 0x50}[byte] + (run - 17 >> 8), run - 17 & 255])
        elif run <= 18:
            out += bytes([0xC0 + run - 3, byte])
        else:
            run = min(run, 273)
            out += bytes([0x40, run - 18, byte])
        at += run
    flush()
    return bytes(out)


def cross(row: bytes) -> bytes:
    """SASYZCR2: bytes as they are, runs, and what stood before."""
    commands, at = [], 0
    while at < len(row):
        run = len(row[at:]) - len(row[at:].lstrip(row[at : at + 1]))
        found, size = -1, 0
        for length in range(min(15, len(row) - at), 2, -1):
            found = row.rfind(row[at : at + length], max(at - 4098, 0), at)
            if found >= 0 and at - found >= length:
                size = length
                break
        if run >= 19:
            run = min(run, 4114)
            commands.append((1, bytes([0x10 + (run - 19 & 15), run - 19 >> 4, row[at]])))
            at += run
        elif run >= 3:
            commands.append((1, bytes([run - 3, row[at]])))
            at += run
        elif size and at - found >= 3:
            back = at - found - 3
            commands.append((1, bytes([size << 4 | back & 15, back >> 4])))
            at += size
        else:
            commands.append((0, row[at : at + 1]))
            at += 1
    out = bytearray()
    for start in range(0, len(commands), 16):
        part = commands[start : start + 16]
        out += sum(flag << 15 - place for place, (flag, _) in enumerate(part)).to_bytes(2, "big") + b"".join(
            raw for _, raw in part
        )
    return bytes(out)
