"""What the names inside a file say: column headers, JSON keys, XML tags, labels in Chinese prose.

Names are data too: a header row that holds identifiers is taken for data, and its columns are called by number. Headers
are looked for in the first LINES lines and judged cell by cell: a title, a comment or a number beside them hides nothing.
Below a first header another one counts where two short cells of it name kinds. Not here: what follows from the names (`judge`).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from gateway.core.classify.distinct import sorted_distinct
from gateway.core.classify.grid import NO_COLUMN
from gateway.core.detectors import DetectorTables, HeaderWords, Window, header_kinds, may_hold, open_window, scan
from gateway.core.detectors.headers import LONGEST_HEADER, normal_form
from gateway.core.detectors.lanes import NEWLINE, Lanes, Mask, Places
from gateway.core.detectors.tables import TrackWords

_TAG = re.compile(rb"<([^\s<>/!?][^\s<>/]{0,99})")  # apart, each takes a third of what both as one take
_ATTRIBUTE = re.compile(rb"\s([^\s<>/=\"']{1,60})=[\"']")
_NUMBER = re.compile(r"[-+]?[\d.,:/ \-]+(e[-+]?\d+)?$", re.IGNORECASE)
_HEADER_BYTES = 65_536
LINES = 20  # lines of a table that may be its header
_SHORT = 12  # characters of a cell that repeats a header below the first
_KEYS_CAP = 4096  # distinct keys looked at; beyond that the file's keys are values
_COLUMNS_KEPT = 2_000
_LABEL_KINDS = frozenset({"person_name", "medical", "medical_record", "dob", "address", "resident_id_column"})


@dataclass
class Names:
    """Header kinds by place.

    Attributes:
        columns: Header cells, empty where the table has none.
        kinds: By column (NO_COLUMN for keys, tags and labels) the kinds named there.
        labels: Occurrences of labels by kind, the number of persons that prose alone can give.
        shown: Place of each kind outside tables, the key or tag itself.
        sure: The first line of the table is known to hold names, whatever it says.
    """

    tables: DetectorTables
    columns: tuple[str, ...] = ()
    kinds: dict[int, list[HeaderWords]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    sure: bool = False
    lent: set[tuple[int, str]] = field(default_factory=set)  # detectors that more than the header names a column's
    _seen: set[bytes] = field(default_factory=set)

    def read_header(self, head: bytes, delimiter: int) -> bool:
        """Read a table's first lines; False where all of them are data."""
        if self.sure:
            return self._read_names(head, delimiter)
        found, first = False, True
        lines = head[:_HEADER_BYTES].split(b"\n", LINES)[:LINES]
        texts = [line.lstrip(b"#").decode("utf-8", "replace").replace("\r", "") for line in lines]
        held, kinds_of = list[bool](), dict[str, tuple[HeaderWords, ...]]()
        for at, numbers in enumerate(_are_numbers(lines, delimiter)):
            if numbers:
                first = False
                continue
            line, text = lines[at], texts[at]
            if not text.strip():
                continue
            cells, whole = _cells(text, delimiter)
            kinds_of |= {cell: header_kinds(cell, self.tables) for cell in {*cells} - kinds_of.keys()}  # cells repeat
            named = [column for column, cell in enumerate(cells) if kinds_of[cell]]
            if (named or (first and whole)) and may_hold(text.encode()):
                held = held or self._hold_identifiers(texts)
                if held[at]:
                    first = first and line.startswith(b"# ")
                    continue
            again = sum(len(cells[column]) <= _SHORT for column in named) > 1
            if again if found else named:
                for column in named:
                    known = self.kinds.setdefault(column, [])
                    known += [words for words in kinds_of[cells[column]] if words not in known]
            if not found and (named or (first and whole)):  # below the first line only names are no content
                self.columns = cells if first else tuple(c if n in named else "" for n, c in enumerate(cells))
                found = len(cells) > 1 or bool(named)
            first = first and line.startswith(b"# ")
        return found or bool(self.columns)

    def _read_names(self, head: bytes, delimiter: int) -> bool:
        """Read a first line that is a header for sure; one that holds identifiers names no column in findings all the same."""
        line = head[:_HEADER_BYTES].split(b"\n", 1)[0].decode("utf-8", "replace").replace("\r", "")
        cells, _ = _cells(line, delimiter)
        kinds = {column: list(header_kinds(cell, self.tables)) for column, cell in enumerate(cells) if cell}
        self.kinds |= {column: words for column, words in kinds.items() if words}
        self.columns = () if self._hold_identifiers([line])[0] else cells
        return True

    def _hold_identifiers(self, texts: list[str]) -> list[bool]:
        """Whether each line holds a valid identifier; all lines are scanned at once."""
        joined = "\n".join(texts).encode()
        if not may_hold(joined):
            return [False] * len(texts)
        window = open_window(joined)
        ends = np.flatnonzero(window.data[window.low : window.high] == NEWLINE) + window.low
        held = np.zeros(len(texts), np.bool_)
        for part in scan(window, self.tables):
            held[np.searchsorted(ends, part.start[part.valid])] = True
        return [bool(one) for one in held]

    def read_tags(self, text: bytes) -> None:
        """Look at the tags and attributes of XML in one block."""
        if len(self._seen) < _KEYS_CAP:
            self.read_keys(frozenset(_TAG.findall(text)) | frozenset(_ATTRIBUTE.findall(text)))

    def read_keys(self, keys: frozenset[bytes]) -> None:
        """Look at the keys of one block."""
        for key in sorted(keys - self._seen)[: _KEYS_CAP - len(self._seen)]:
            self._seen.add(key)
            name = key.decode("utf-8", "replace")
            for words in header_kinds(name, self.tables):
                known = self.kinds.setdefault(NO_COLUMN, [])
                if words not in known:
                    known.append(words)
                    self.shown[words.kind] = name

    def read_labels(self, window: Window) -> None:
        """Count labels such as 姓名: in prose; only for text with wide characters."""
        colons = np.flatnonzero(window.data[window.low : window.high] == ord(":")) + window.low
        if not colons.size:  # spares sixty searches
            return
        before = window.lanes[colons - 8]
        near = np.flatnonzero(self._ends_label[before >> np.uint64(48)])
        colons, before = colons[near], before[near]
        present = {
            end.tobytes() for end in sorted_distinct([before >> np.uint64(16)])
        }  # the last six bytes and two of nothing
        for kind, text in self._labels:
            if text[-6:].ljust(8, b"\0") in present or len(text) < 6:
                count = _count(window, text, colons, before)
                if count:
                    self.labels[kind] = self.labels.get(kind, 0) + count

    @cached_property
    def _labels(self) -> list[tuple[str, bytes]]:
        """Kind and text of every label."""
        kinds = [words for words in self.tables.headers if words.kind in _LABEL_KINDS]
        return [(words.kind, part.encode()) for words in kinds for part in words.parts]

    @cached_property
    def _ends_label(self) -> Mask:
        """Shape (65536,): the last two bytes that labels end with, and so hardly any other text before a colon."""
        known = np.zeros(1 << 16, np.bool_)
        known[[int.from_bytes(text[-2:], "little") for _, text in self._labels]] = True
        return known

    def supports(self, column: int, key: str) -> bool:
        """Whether the header of a column names a detector's kind."""
        return (column, key) in self.lent or any(key in words.supports for words in self.kinds.get(column, ()))

    def doubt(self, column: int, kind: str) -> None:
        """Take a column's header for less than certain."""
        known = self.kinds[column]
        self.kinds[column] = [replace(words, certain=False) if words.kind == kind else words for words in known]

    def any_key(self, words: frozenset[str]) -> bool:
        """Whether any key or tag is one of the words."""
        return any(TrackWords.named(normal_form(key.decode("utf-8", "replace")), words) for key in sorted(self._seen))

    @property
    def header(self) -> tuple[str, ...] | None:
        """The names of all columns of a table; None where one has no name, or they are too many or too long to be names."""
        short = len(self.columns) <= _COLUMNS_KEPT and all(0 < len(name) <= LONGEST_HEADER for name in self.columns)
        return self.columns if self.columns and short else None

    @property
    def named(self) -> frozenset[str]:
        """Detectors that any column, key or tag names."""
        return frozenset(key for kinds in self.kinds.values() for words in kinds for key in words.supports)

    def place(self, column: int) -> str:
        """How findings call a column."""
        if column == NO_COLUMN:
            return "text"
        known = self.sure or self.kinds  # else the first line may be data
        if column < len(self.columns) and self.columns[column] and known:
            return f"column {self.columns[column]}"
        return f"column {column + 1}"

    def column_of(self, kind: str) -> int | None:
        """First column whose header names a kind."""
        for column, words in self.kinds.items():
            if column != NO_COLUMN and any(w.kind == kind for w in words):
                return column
        return None


def _are_numbers(lines: list[bytes], delimiter: int) -> list[bool]:
    """Of each line whether cells of digits and dots are all that it has: no name, and what most lines below a header are."""
    filled = b"\n".join(lines).translate(None, b"\r%c" % delimiter)
    other = filled.translate(None, b"0123456789.").split(b"\n")
    return [bool(cells) and not rest for cells, rest in zip(filled.split(b"\n"), other, strict=True)]


def _cells(line: str, delimiter: int) -> tuple[tuple[str, ...], bool]:
    """Cells that may be names, the others empty, and whether all may."""
    if '"' not in line:
        return _named(line.split(chr(delimiter)))
    try:
        rows = list(csv.reader([line], delimiter=chr(delimiter)))
    except csv.Error:  # a cell above the reader's limit
        rows = [line.split(chr(delimiter))]
    return _named(rows[0] if rows else [])


def _named(cells: list[str]) -> tuple[tuple[str, ...], bool]:
    plain = tuple([cell.strip() for cell in cells])
    names = tuple(["" if len(cell) > LONGEST_HEADER or _is_number(cell) else cell for cell in plain])
    return names, bool(names) and names == plain


def _is_number(cell: str) -> bool:
    return not cell[:1].isalpha() and _NUMBER.match(cell) is not None


def _count(window: Window, text: bytes, colons: Places, before: Lanes) -> int:
    """How often an owned text stands before a colon; `before` are the eight bytes before each."""
    tail = text[-8:]
    wanted = np.uint64(int.from_bytes(tail, "little"))
    ends = colons[np.flatnonzero(before >> np.uint64(64 - 8 * len(tail)) == wanted)]
    starts = ends[ends - len(text) >= window.low] - len(text)
    for at in range(0, len(text) - 8, 8):
        starts = starts[window.lanes[starts + at] == np.uint64(int.from_bytes(text[at : at + 8], "little"))]
    return int(starts.size)
