"""What the names inside a file say: column headers, JSON keys, XML tags, labels in Chinese prose.

Names are data too: a header row that holds identifiers or numbers is taken for data, and its columns are called by
number. Not here: what follows from the names (`judge`).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field

from gateway.core.classify.grid import NO_COLUMN
from gateway.core.detectors import DetectorTables, HeaderWords, header_kinds, open_window, scan
from gateway.core.detectors.headers import LONGEST_HEADER

_KEY = re.compile(rb'"([^"\\\n]{1,100})"\s*:')
_TAG = re.compile(rb"<([^\s<>/!?][^\s<>/]{0,99})|\s([^\s<>/=\"']{1,60})=[\"']")
_NUMBER = re.compile(r"[-+]?[\d.,:/ \-]+(e[-+]?\d+)?$", re.IGNORECASE)
_HEADER_BYTES = 65_536
_KEYS_CAP = 4096  # distinct keys looked at; beyond that the file's keys are values
_LABEL_KINDS = frozenset({"person_name", "medical", "medical_record", "dob", "address", "resident_id_column"})


@dataclass
class Names:
    """Header kinds by place.

    Attributes:
        columns: Header cells, empty where the table has none.
        kinds: By column (NO_COLUMN for keys, tags and labels) the kinds named there.
        labels: Occurrences of labels by kind, the number of persons that prose alone can give.
        shown: Place of each kind outside tables, the key or tag itself.
    """

    tables: DetectorTables
    columns: tuple[str, ...] = ()
    kinds: dict[int, list[HeaderWords]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def read_header(self, first: bytes, delimiter: int) -> bool:
        """Read a table's first line; False where it is data."""
        line = first[:_HEADER_BYTES].lstrip(b"#").decode("utf-8", "replace").replace("\r", "").rstrip("\n")
        rows = list(csv.reader([line], delimiter=chr(delimiter))) if len(first) <= _HEADER_BYTES else []
        cells = tuple(cell.strip() for cell in rows[0]) if rows else ()
        if not cells or not self._is_header(cells, line):
            return False
        self.columns = cells
        for column, cell in enumerate(cells):
            self.kinds[column] = list(header_kinds(cell, self.tables))
        return True

    def _is_header(self, cells: tuple[str, ...], line: str) -> bool:
        if any(cell and _NUMBER.match(cell) for cell in cells) or any(len(c) > LONGEST_HEADER for c in cells):
            return False
        return not any(part.valid.any() for part in scan(open_window(line.encode()), self.tables))

    def read_keys(self, text: bytes, *, tags: bool) -> None:
        """Look at the keys of JSON or the tags and attributes of XML in one block."""
        if len(self._seen) >= _KEYS_CAP:
            return
        found = _TAG.findall(text) if tags else _KEY.findall(text)
        keys = {key for pair in found for key in pair if key} if tags else set(found)
        for key in sorted(keys - self._seen)[: _KEYS_CAP - len(self._seen)]:
            self._seen.add(key)
            name = key.decode("utf-8", "replace")
            for words in header_kinds(name, self.tables):
                known = self.kinds.setdefault(NO_COLUMN, [])
                if words not in known:
                    known.append(words)
                    self.shown[words.kind] = name

    def read_labels(self, text: bytes) -> None:
        """Count labels such as 姓名: in prose; only for text with wide characters."""
        for words in self.tables.headers:
            if words.kind in _LABEL_KINDS:
                count = sum(text.count(f"{part}:".encode()) for part in words.parts)
                if count:
                    self.labels[words.kind] = self.labels.get(words.kind, 0) + count

    def supports(self, column: int, key: str) -> bool:
        """Whether the header of a column names a detector's kind."""
        return any(key in words.supports for words in self.kinds.get(column, ()))

    def place(self, column: int) -> str:
        """How findings call a column."""
        if column == NO_COLUMN:
            return "text"
        if column < len(self.columns) and self.columns[column]:
            return f"column {self.columns[column]}"
        return f"column {column + 1}"

    def column_of(self, kind: str) -> int | None:
        """First column whose header names a kind."""
        for column, words in self.kinds.items():
            if column != NO_COLUMN and any(w.kind == kind for w in words):
                return column
        return None
