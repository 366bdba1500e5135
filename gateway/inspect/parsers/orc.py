"""Apache ORC (specification v1; orc_proto.proto).

The tail says where everything lies: postscript, footer, statistics, then stripes of index, data and a footer of their own. All of
it is read here, in Python: the reader that pyarrow has crashes on damaged files (record 0039). Bounds in statistics that no cell
repeats are text; numbers in them count as numbers of their column, as those of Parquet do.
"""

from __future__ import annotations

import zlib
from typing import Final

import lz4.block
import pyarrow as pa

from gateway.inspect import snappy, zstandard
from gateway.inspect.columns import WATCHED, Cells
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.orccolumns import INSTANT, LIST, MAP, STRUCT, UNION, Stripe, Type
from gateway.inspect.parsers.orcfields import Fields, Message, one
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_MAGIC: Final = b"ORC"
_NONE, _ZLIB, _SNAPPY, _, _LZ4, _ZSTD = range(6)  # CompressionKind
_CHUNK: Final = 1 << 24  # bytes that a chunk opens to at most
_INDEX, _BLOOM, _BLOOM8 = 6, 7, 8  # kinds of streams
_DATA_KINDS: Final = frozenset({0, 1, 2, 3, 5})
_LOCKED: Final = frozenset({9, 10})
_NESTED: Final = 32
_PIECE: Final = 1 << 20


def inspect(source: Source, report: Report) -> None:
    """Tail, stripes, texts around them."""
    file = _File(source, report)
    footer = file.tail()
    root = _types(footer, report.context.budget.limits.columns)
    cells, end = Cells(report, "rows", file.bounds), len(_MAGIC)
    for stripe in footer.get(3, []):
        end = file.stripe(stripe, root, cells, end)
    file.zeros(end, file.limit)
    if cells.rows != one(footer, 6):
        raise Unreadable("orc: another number of rows than it says")
    sink = report.text("footer")
    for text in dict.fromkeys(file.texts):
        sink.line(text.decode("utf-8", "replace"))
    cells.said()


def _types(footer: Message, most: int) -> Type:
    """The tree of columns: each is named once, by one that stands before it."""
    told = footer.get(4, [])
    if not 0 < len(told) <= most:
        raise Unreadable("orc: no columns, or too many of them", kind="archive_limit")
    types = [Type(number, one(each, 1)) for number, each in enumerate(told)]
    depths, free = [0] * len(types), set(range(1, len(types)))
    for each, message in zip(types, told, strict=True):
        names = [name.decode() for name in message.get(3, [])]
        children = message.get(2, [])
        _fits(each.kind, len(children), len(names))
        for child in children:
            if child not in free or child <= each.number or depths[each.number] >= _NESTED:
                raise Unreadable("orc: columns within columns that are none")
            free.discard(child)
            depths[child] = depths[each.number] + 1
            each.children.append(types[child])
        each.names = names
    if free:
        raise Unreadable("orc: a column of nothing")
    return types[0]


def _fits(kind: int, children: int, names: int) -> None:
    wanted = {LIST: 1, MAP: 2, STRUCT: names, UNION: children}.get(kind, 0)
    if kind > INSTANT or children != wanted or (kind != STRUCT and names):
        raise Unreadable("orc: a column of a kind that is not read")


def _batch(root: Type, rows: pa.Array) -> pa.RecordBatch:
    if root.kind == STRUCT and root.children:
        return pa.RecordBatch.from_arrays(rows.flatten(), names=root.names)
    return pa.RecordBatch.from_arrays([rows], names=["value"])


class _File:
    """Bytes by place, and what is said in messages.

    Attributes:
        texts: Of the footer and of stripes.
        bounds: Of columns, in statistics.
        limit: Where stripes end at the latest.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._budget = report.context.budget
        self._compression = _NONE
        self._block = _CHUNK
        self.texts: list[bytes] = []
        self.bounds: set[bytes] = set()
        self.limit = 0
        self._fields = Fields(self.texts.append, self._watch)

    def _watch(self, bound: bytes) -> None:
        self.bounds.add(bound)
        if len(self.bounds) > WATCHED:
            raise Unreadable(f"orc: more than {WATCHED} bounds", kind="archive_limit")

    def tail(self) -> Message:
        """The footer; postscript and statistics on the way."""
        size = self._source.size
        head = self._read(0, min(len(_MAGIC), size))
        length = self._read(size - 1, 1)[0] if size > len(_MAGIC) else 0
        start = size - 1 - length
        if head != _MAGIC or start < len(_MAGIC):
            raise Unreadable("orc: no postscript")
        script = self._fields.read(self._read(start, length), "postscript")
        self._compression, self._block, _ = one(script, 2), one(script, 3, _CHUNK), one(script, 6)
        if one(script, 7):  # statistics of encrypted columns
            raise Unreadable("orc: columns are encrypted", kind="encrypted_content")
        if self.texts not in ([], [_MAGIC]) or self._block > _CHUNK:  # the first writers left it out
            raise Unreadable("orc: a postscript of another kind")
        footer, metadata = start - one(script, 1), start - one(script, 1) - one(script, 5)
        if metadata < len(_MAGIC):
            raise Unreadable("orc: a tail longer than the file")
        self.limit = metadata
        found = self._fields.read(self._opened(footer, start - footer), "footer")
        self._fields.read(self._opened(metadata, footer - metadata), "metadata")
        self._report.cover(0, len(_MAGIC))
        self._report.cover(metadata, size)
        return found

    def stripe(self, told: Message, root: Type, cells: Cells, end: int) -> int:
        """A stripe behind the place where the one before it ended; where it ends."""
        start, index, data, foot, count = (one(told, field) for field in (1, 2, 3, 4, 5))
        stop = start + index + data + foot
        if not end <= start <= stop <= self.limit:
            raise Unreadable("orc: a stripe lies elsewhere")
        self.zeros(end, start)
        footer = self._fields.read(self._opened(stop - foot, foot), "stripe footer")
        encodings = {place: (one(each, 1), one(each, 2)) for place, each in enumerate(footer.get(2, []))}
        stripe = Stripe(self._streams(footer, start, index + data), encodings, self._budget)
        rows = stripe.array(root, count)
        if any(stripe.streams.values()):
            raise Unreadable("orc: a stream of no column")
        cells.add(_batch(root, rows))
        cells.settle()
        self._report.cover(start, stop)
        return stop

    def _streams(self, footer: Message, at: int, size: int) -> dict[tuple[int, int], bytes]:
        """Those of columns; indexes are read for their texts."""
        found: dict[tuple[int, int], bytes] = {}
        end, held = at + size, 0
        for each in footer.get(1, []):
            kind, column, length = one(each, 1), one(each, 2), one(each, 3)
            if length > end - at:
                raise Unreadable("orc: a stream lies elsewhere")
            raw = self._opened(at, length)
            at, held = at + length, held + len(raw)
            self._budget.room(held)
            if kind in _LOCKED:
                raise Unreadable("orc: columns are encrypted", kind="encrypted_content")
            if kind == _INDEX:
                self._fields.read(raw, "row index")
            elif kind in (_BLOOM, _BLOOM8):
                self._fields.read(raw, "bloom filters")
            elif kind not in _DATA_KINDS or (column, kind) in found:
                raise Unreadable("orc: a stream of no column")
            else:
                found[column, kind] = raw
        if at != end:
            raise Unreadable("orc: a stripe holds more than its streams")
        return found

    def zeros(self, start: int, end: int) -> None:
        """Room that fills a block of the file system; anything else is left a gap."""
        for at in range(start, end, _PIECE):
            if self._read(at, min(_PIECE, end - at)).strip(b"\0"):
                return
        self._report.cover(start, end)

    def _read(self, at: int, size: int) -> bytes:
        self._budget.room(size)
        self._source.seek(at)
        raw = self._source.read(size)
        if len(raw) < size:
            raise Unreadable("orc: breaks off")
        return raw

    def _opened(self, at: int, size: int) -> bytes:
        """Chunks, each behind three bytes of its length and whether it is as it was."""
        raw = self._read(at, size)
        if self._compression == _NONE:
            return raw
        pieces, at = [], 0
        while at < size:
            head = int.from_bytes(raw[at : at + 3], "little")
            chunk = raw[at + 3 : at + 3 + (head >> 1)]
            if at + 3 + (head >> 1) > size:
                raise Unreadable("orc: a chunk breaks off")
            pieces.append(chunk if head & 1 else self._chunk(chunk))
            at += 3 + (head >> 1)
        return b"".join(pieces)

    def _chunk(self, raw: bytes) -> bytes:
        if self._compression == _SNAPPY:
            return snappy.opened(raw, self._budget, self._block, "orc: a chunk")
        if self._compression == _ZLIB:
            inflater = zlib.decompressobj(-15)
            content = inflater.decompress(raw, self._block + 1)
            if not inflater.eof or inflater.unused_data or len(content) > self._block:
                raise Unreadable("orc: a chunk does not open")
        elif self._compression == _ZSTD:
            content = zstandard.opened(raw, self._block, "orc: a chunk")
        elif self._compression == _LZ4:
            content = lz4.block.decompress(raw, uncompressed_size=self._block)
        else:
            raise Unreadable("orc: a compression that is not read")
        self._budget.expand(len(content))
        return bytes(content)
