"""POD5: raw nanopore signals, in Arrow files within a file. They are sequencing, of a human until shown otherwise.

Sources: POD5 file format specification (layout, FlatBuffers footer, tables), Apache Arrow columnar format (IPC). The
container is walked here; tables are read by Arrow as streams, to the end of each, so no byte of one is passed over. Samples
are the `sample_id` of the run info. Signals are Zstandard frames around StreamVByte: each is opened, which checks that it
is one, and no samples are rebuilt.

A change must keep: sections lie one behind the other, with zeros and markers between them; anything else stays a gap.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from gateway.core.classify.genomes import sample_of_path
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source
from gateway.inspect.zstandard import opened

_SIGNATURE: Final = b"\x8bPOD\r\n\x1a\n"
_FOOTER: Final = b"FOOTER\0\0"
_ARROW: Final = b"ARROW1\0\0"
_MARKER: Final = 16
_LARGEST: Final = 1 << 20  # bytes of the footer
_TABLES: Final = 16
_SIGNALS, _RUNS = 1, 4  # content types
_SAMPLES: Final = 10_000_000  # of one signal row


@dataclass(frozen=True)
class _Table:
    start: int
    size: int
    kind: int


def inspect(source: Source, report: Report) -> None:
    """The container, then its tables."""
    marker, tables, footer = _container(source, report)
    sink = report.text("run information")
    sink.line("run information")
    sink.feed("\n".join(_strings(footer)) + "\n")
    names = set[str]()
    for table in tables:
        names |= _read(source, table, report, sink)
        _cover(source, report, table, marker)
    report.genomes(names or {sample_of_path(report.path)}, sequenced=True, where="run information")


def _container(source: Source, report: Report) -> tuple[bytes, list[_Table], bytes]:
    """Signature, marker and footer at their places; the tables that the footer lists."""
    head = _at(source, 0, 8 + _MARKER)
    tail = _at(source, source.size - 32, 32)
    marker, length = head[8:], int.from_bytes(tail[:8], "little")
    if not head.startswith(_SIGNATURE) or tail[24:] != _SIGNATURE or tail[8:24] != marker or not 0 < length <= _LARGEST:
        raise Unreadable("POD5: the file breaks off, or something stands behind it")
    start = source.size - 32 - length - len(_FOOTER)
    footer = _at(source, start, length + len(_FOOTER))
    if not footer.startswith(_FOOTER):
        raise Unreadable("POD5: no footer")
    tables = list(_tables(footer[len(_FOOTER) :]))
    report.cover(0, len(head))
    report.cover(start, source.size)
    if any(not 24 <= each.start <= each.start + each.size <= start for each in tables):
        raise Unreadable("POD5: a table outside of the file")
    return marker, tables, footer


def _at(source: Source, start: int, size: int) -> bytes:
    if start < 0:
        raise Unreadable("POD5: the file breaks off")
    source.seek(start)
    return source.read(size)


# --- the footer: FlatBuffers, as far as it needs reading ----------------------------------------------------------------


def _tables(footer: bytes) -> Iterator[_Table]:
    """The list `contents` of the root table; of each entry offset, length and content type."""
    try:
        root = struct.unpack_from("<I", footer)[0]
        listed = _field(footer, root, 3)
        if not listed:
            return
        listed += struct.unpack_from("<I", footer, listed)[0]
        count = struct.unpack_from("<I", footer, listed)[0]
        if count > _TABLES:
            raise Unreadable("POD5: more tables than the format has")
        for at in range(listed + 4, listed + 4 + 4 * count, 4):
            entry = at + struct.unpack_from("<I", footer, at)[0]
            start, size = (_number(footer, _field(footer, entry, place), "<q") for place in (0, 1))
            yield _Table(start, size, _number(footer, _field(footer, entry, 3), "<h"))
    except struct.error as wrong:
        raise Unreadable("POD5: a footer that does not add up") from wrong


def _field(content: bytes, table: int, place: int) -> int:
    """Where a field of a table stands; 0 where it has its default."""
    kinds = table - struct.unpack_from("<i", content, table)[0]
    if kinds < 0:
        raise Unreadable("POD5: a footer that does not add up")
    size = struct.unpack_from("<H", content, kinds)[0]
    offset = struct.unpack_from("<H", content, kinds + 4 + 2 * place)[0] if 4 + 2 * place < size else 0
    return table + offset if offset else 0


def _number(content: bytes, at: int, form: str) -> int:
    return int(struct.unpack_from(form, content, at)[0]) if at else 0


def _strings(footer: bytes) -> list[str]:
    return [part.decode("utf-8", "replace") for part in footer.split(b"\0") if len(part) > 3]


# --- tables -------------------------------------------------------------------------------------------------------------


class _Window(io.RawIOBase):
    """A table as a file of its own."""

    def __init__(self, source: Source, table: _Table, budget: Budget) -> None:
        super().__init__()
        self._source = source
        self._budget = budget
        self._end = table.start + table.size
        self.at = table.start

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes of the table."""
        wanted = self._end - self.at if size is None or size < 0 else min(size, self._end - self.at)
        self._budget.room(wanted)
        self._source.seek(self.at)
        piece = self._source.read(wanted)
        self.at += len(piece)
        return piece

    def tell(self) -> int:
        """Where it stands in the file."""
        return self.at


def _read(source: Source, table: _Table, report: Report, sink: TextSink) -> set[str]:
    """A table from its first byte to its last; samples, where it is the one that names them."""
    budget = report.context.budget
    window = _Window(source, table, budget)
    if window.read(8) != _ARROW:
        raise Unreadable("POD5: a table that is no Arrow file")
    names = set[str]()
    batches = 0
    with pa.ipc.open_stream(pa.PythonFile(window, mode="r")) as reader:
        sink.feed(str(reader.schema.to_string(show_field_metadata=True, show_schema_metadata=True)) + "\n")
        for batch in reader:
            batches += 1
            batch.validate(full=True)  # before a value is asked for: offsets of a damaged table lead anywhere in memory
            budget.expand(batch.nbytes)
            if table.kind == _SIGNALS:
                _signals(batch, budget)
            else:
                _texts(batch, sink)
            if table.kind == _RUNS and "sample_id" in batch.schema.names:
                names |= {name for name in batch.column("sample_id").to_pylist() if name}
    _check_end(source, window.at, table, batches)
    return names


def _check_end(source: Source, at: int, table: _Table, batches: int) -> None:
    """Arrow's own footer, which repeats what the stream told: as many batches, and nothing besides."""
    rest = _at(source, at, table.start + table.size - at)
    if len(rest) > _LARGEST or not rest.endswith(_ARROW[:6]):
        raise Unreadable("POD5: a table with something behind it")
    length = int.from_bytes(rest[-10:-6], "little")
    if len(rest) - 10 - length not in range(8) or rest[: len(rest) - 10 - length].strip(b"\0"):
        raise Unreadable("POD5: a table with something behind it")
    footer = rest[len(rest) - 10 - length : -10]
    listed = _field(footer, struct.unpack_from("<I", footer)[0], 3)  # recordBatches, of 24 bytes each (Arrow, File.fbs)
    count = struct.unpack_from("<I", footer, listed + struct.unpack_from("<I", footer, listed)[0])[0] if listed else 0
    if count != batches:
        raise Unreadable("POD5: a table of other batches than it lists")


def _signals(batch: Any, budget: Budget) -> None:
    """Every signal is one frame."""
    signals, samples = batch.column("signal"), batch.column("samples")
    for packed, count in zip(signals, samples, strict=True):
        value, number = packed.as_py(), int(count.as_py())
        if isinstance(value, bytes):
            if number > _SAMPLES:
                raise Unreadable("POD5: a signal longer than any")
            budget.expand(len(opened(value, 3 * number + 16, "POD5: a signal")))


def _texts(batch: Any, sink: TextSink) -> None:
    """Every text of a table that is not of signals: strings, dictionaries of strings, maps of strings."""
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_dictionary(field.type):
            values = column.dictionary.to_pylist()
        elif _has_text(field.type):
            values = column.to_pylist()
        else:
            continue
        for value in values:
            sink.line(f"{field.name}: {value}")


def _has_text(kind: Any) -> bool:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    return any(_has_text(kind.field(at).type) for at in range(kind.num_fields)) if kind.num_fields else False


def _cover(source: Source, report: Report, table: _Table, marker: bytes) -> None:
    """The table, and behind it zeros to the next multiple of eight and a marker."""
    end = table.start + table.size
    report.cover(table.start, end)
    behind = _at(source, end, -end % 8 + _MARKER)
    if not behind[: -end % 8].strip(b"\0") and behind[-end % 8 :] == marker:
        report.cover(end, end + len(behind))
