"""Apache Avro object container files (specification 1.12.0: "Object Container Files", "Binary Encoding", "Logical Types").

Read forward: header, blocks, the marker behind each. Objects of a block fill it to its last byte. Everything that the header says
is text: the schema's names, notes, symbols and defaults, and whatever else stands beside it. A file that ends behind a marker is
whole as far as the format tells.
"""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.inspect import snappy
from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.avroschema import Block, Node, compiled
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source, Stream
from gateway.inspect.zstandard import opened

_MAGIC: Final = b"Obj\x01"
_MARKER: Final = 16
_ENTRIES: Final = 10_000  # of the header
_CELL: Final = 8  # bytes that a cell is worth to the budget, empty or not


def inspect(source: Source | Stream, report: Report) -> None:
    """Header, then block after block."""
    cursor = Cursor(source, report.context.budget, "avro")
    if cursor.take(4) != _MAGIC:
        raise Unreadable("avro: another version")
    meta = _meta(cursor)
    marker = cursor.take(_MARKER)
    node = _schema(meta, report)
    codec = meta.get(b"avro.codec", b"null").decode("ascii", "replace")
    if codec not in _CODECS:
        raise Unreadable("avro: a codec that is not read")
    columns = node.names("")
    if len(columns) != node.width:
        raise Unreadable("avro: a schema in two ways")
    sink = report.table("data", columns)
    while cursor.more():
        count, size = _long(cursor), _long(cursor)
        report.context.budget.room(max(size, 0))
        content = _CODECS[codec](cursor.take(size), report)
        for cells in _objects(content, count, node, report):
            sink.row(cells)
        if cursor.take(_MARKER) != marker:
            raise Unreadable("avro: a block without its marker")
    report.cover(0, cursor.at)


def _objects(content: bytes, count: int, node: Node, report: Report) -> Iterator[list[object]]:
    """The objects of a block as rows; each has a byte at least, and together they fill it."""
    block = Block(content, report)
    for _ in range(count):
        report.context.budget.expand(_CELL * node.width)
        before, cells = block.at, list[object]()
        node.read(block, cells)
        if block.at == before:
            raise Unreadable("avro: objects of nothing")
        yield cells
    if count < 0 or block.at != len(content):
        raise Unreadable("avro: a block holds something else than its objects")


# --- the header ----------------------------------------------------------------------------------------------------------


def _meta(cursor: Cursor) -> dict[bytes, bytes]:
    """A map of bytes, in blocks of its own."""
    meta: dict[bytes, bytes] = {}
    while count := _long(cursor):
        if count < 0:
            count = -count
            _long(cursor)
        if count + len(meta) > _ENTRIES:
            raise Unreadable("avro: a header without end", kind="archive_limit")
        for _ in range(count):
            key = cursor.take(_long(cursor))
            if key in meta:
                raise Unreadable("avro: a header that says a thing twice")
            meta[key] = cursor.take(_long(cursor))
            cursor.budget.room(cursor.at * 8)  # as values
    return meta


def _long(cursor: Cursor) -> int:
    value = shift = 0
    while shift < 70:
        byte = cursor.take(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1)
        shift += 7
    raise Unreadable("avro: a number without end")


def _schema(meta: dict[bytes, bytes], report: Report) -> Node:
    sink = report.text("header")
    for key, value in meta.items():
        sink.line(key.decode())
        if key != b"avro.schema":
            sink.line(value.decode())  # not text: malformed
    schema = json.loads(meta.get(b"avro.schema", b"").decode(), object_pairs_hook=_once)
    _say(schema, sink)
    return compiled(schema, report.context.budget.limits.columns)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a key says twice, JSON's readers keep one half of."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("avro: a schema that says a thing twice")
    return found


def _say(schema: object, sink: TextSink) -> None:
    """Every name, note and value of the schema, without the escapes of JSON."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif each is not None:
            sink.line(str(each))


# --- codecs --------------------------------------------------------------------------------------------------------------


def _inflated(start: Callable[[], Any]) -> Callable[[bytes, Report], bytes]:
    """By a decompressor of the standard library."""

    def inflate(raw: bytes, report: Report) -> bytes:
        most = report.context.budget.limits.held
        inflater = start()
        content: bytes = inflater.decompress(raw, most + 1)
        report.context.budget.expand(len(content))
        if len(content) > most:
            raise Unreadable("avro: a block that is too large", kind="archive_limit")
        rest = inflater.unused_data  # Python's writers leave three bytes of zlib's sum there
        if not inflater.eof or rest != zlib.adler32(content).to_bytes(4, "big")[: len(rest)]:
            raise Unreadable("avro: a block that breaks off")
        return content

    return inflate


def _plain(raw: bytes, report: Report) -> bytes:  # noqa: ARG001  # every codec takes both
    return raw


def _snappy(raw: bytes, report: Report) -> bytes:
    """CRC-32 of the content stands behind."""
    budget = report.context.budget
    content = snappy.opened(raw[:-4], budget, budget.limits.held, "avro: a block")
    if zlib.crc32(content).to_bytes(4, "big") != raw[-4:]:
        raise Unreadable("avro: a damaged block")
    return content


def _zstandard(raw: bytes, report: Report) -> bytes:
    content = opened(raw, report.context.budget.limits.held, "avro: a block")
    report.context.budget.expand(len(content))
    return content


_CODECS: Final[Mapping[str, Callable[[bytes, Report], bytes]]] = {
    "null": _plain,
    "deflate": _inflated(lambda: zlib.decompressobj(-15)),
    "bzip2": _inflated(bz2.BZ2Decompressor),
    "xz": _inflated(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    "snappy": _snappy,
    "zstandard": _zstandard,
}
