"""Arrow IPC: streams and files, of which Feather version 2 is one (Arrow columnar format 1.5, "IPC").

Messages follow one another; each says where the buffers in its body lie. A file is a stream between magic words with a
footer, and is read as that stream: what the footer refers to and the stream does not hold stays a gap. Values are read by
pyarrow and validated in full first, as nothing in a file may lead out of its buffers. Letters that no cell refers to make
the file unreadable: they would travel unseen.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from gateway.inspect.columns import Cells
from gateway.inspect.flatbuffer import Table, root_of, texts_of
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source
from gateway.inspect.unreferred import Unreferred

_MAGIC: Final = b"ARROW1"
_CONTINUED: Final = 0xFFFFFFFF
_ALIGNED: Final = 64  # the most that a writer pads a buffer to
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # Message.fbs, union MessageHeader
_FOOTER_TAIL: Final = 10  # length and magic


def inspect(source: Source, report: Report) -> None:
    """A file: magic, stream, footer."""
    source.seek(0)
    if source.read(8)[:6] != _MAGIC:
        raise Unreadable("arrow: no magic at the beginning")
    end = _walk(source, report, 8)
    source.seek(max(source.size - _FOOTER_TAIL, 0))
    tail = source.read(_FOOTER_TAIL)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or size > source.size - 18:
        raise Unreadable("arrow: no footer at the end")
    report.context.budget.room(size)
    source.seek(source.size - _FOOTER_TAIL - size)
    sink = report.text("footer")
    for text in texts_of(source.read(size)):
        sink.line(text)
    report.cover(0, 8)
    report.cover(source.size - _FOOTER_TAIL - size, source.size)
    _rows(source, report, 8)
    if end > source.size - _FOOTER_TAIL - size:
        raise Unreadable("arrow: the stream reaches into the footer")


def inspect_stream(source: Source, report: Report) -> None:
    """A stream alone; what follows its end stays a gap."""
    _walk(source, report, 0)
    _rows(source, report, 0)


def _walk(source: Source, report: Report, at: int) -> int:
    """Cover every message from `at` on; where the stream ends."""
    sink = report.text("metadata")
    while True:
        source.seek(at)
        head = source.read(8)
        if len(head) < 8:
            raise Unreadable("arrow: the stream breaks off before its end is marked")
        first, size = struct.unpack("<II", head)
        if first != _CONTINUED:
            raise Unreadable("arrow: a message of before Arrow 0.15 or none")
        if size == 0:
            report.cover(at, at + 8)
            return at + 8
        at = _message(source, report, at + 8, size, sink)


def _message(source: Source, report: Report, at: int, size: int, sink: TextSink) -> int:
    report.context.budget.room(size)
    raw = source.read(size)
    message = root_of(raw)
    kind, header, body = message.number(1, "<B"), message.table(2), message.number(3)
    if len(raw) < size or header is None or not 0 <= body <= source.size - at - size:
        raise Unreadable("arrow: a message breaks off")
    for text in texts_of(raw):
        sink.line(text)
    report.cover(at - 8, at + size)
    start = at + size
    if kind in (_DICTIONARY, _BATCH):
        batch = header.table(1) if kind == _DICTIONARY else header
        if batch is None:
            raise Unreadable("arrow: a dictionary without a batch")
        report.context.budget.room(body)
        _buffers(source, report, batch, start, body)
    elif kind != _SCHEMA or body:
        raise Unreadable("arrow: neither schema, dictionary nor batch")
    return start + body


def _buffers(source: Source, report: Report, batch: Table, start: int, body: int) -> None:
    """Cover the buffers of a batch, and zeros that pad them (IPC: "aligned and padded")."""
    packed = batch.table(3) is not None
    reached = 0
    for offset, length in [*sorted(batch.structs(2, "<qq")), (body, 0)]:
        if not 0 <= offset <= body - length or length < 0:
            raise Unreadable("arrow: a buffer lies outside of its body")
        if 0 < offset - reached < _ALIGNED:
            source.seek(start + reached)
            if not any(source.read(offset - reached)):
                report.cover(start + reached, start + offset)
        if packed and length >= 8:
            source.seek(start + offset)
            wanted = struct.unpack("<q", source.read(8))[0]
            report.context.budget.room(max(wanted, 0))
        report.cover(start + offset, start + offset + length)
        reached = max(reached, offset + length)


def _rows(source: Source, report: Report, at: int) -> None:
    source.seek(at)
    options = pa.ipc.IpcReadOptions(use_threads=False, ensure_native_endian=True)
    with pa.ipc.open_stream(source, options=options) as reader:
        cells = Cells(report, "rows")
        letters = Unreferred()
        cells.add(pa.RecordBatch.from_pylist([], schema=reader.schema))
        for batch in reader:
            batch.validate(full=True)
            letters.add(batch)
            cells.add(batch)
    cells.said()
    if letters.hidden:
        raise Unreadable("arrow: letters that no cell shows, as of rows that were cut off; write a copy of the table")
