"""ONNX models: protocol buffers by the schema of onnx.proto (IR version 3 to 11), strings classified, tensors passed over.

A change must keep: a field that the schema here does not know stays uncovered, and the model is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.inspect.forward import Cursor, plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.weights import told
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

# By message and field number: a message's name, "text", or "numbers" (packed or raw). Numbers by themselves need no row.
_ENTRY: Final = {1: "text", 2: "text"}
_TENSOR: Final = {1: "numbers", 4: "numbers", 5: "numbers", 6: "text", 7: "numbers", 8: "text", 9: "numbers", 10: "numbers",
                  11: "numbers", 12: "text", 13: "entry", 16: "entry"}  # fmt: skip
_SCHEMA: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {2: "text", 3: "text", 4: "text", 6: "text", 7: "graph", 8: "import", 14: "entry", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "function": {1: "text", 4: "text", 5: "text", 6: "text", 7: "node", 8: "text", 9: "import", 10: "text", 11: "attribute",
                 12: "value", 13: "text", 14: "entry"},
    "graph": {1: "node", 2: "text", 5: "tensor", 10: "text", 11: "value", 12: "value", 13: "value", 14: "quantized", 15: "sparse",
              16: "entry"},
    "node": {1: "text", 2: "text", 3: "text", 4: "text", 5: "attribute", 6: "text", 7: "text", 8: "text", 9: "entry"},
    "attribute": {1: "text", 4: "text", 5: "tensor", 6: "graph", 7: "numbers", 8: "numbers", 9: "text", 10: "tensor", 11: "graph",
                  13: "text", 14: "type", 15: "type", 21: "text", 22: "sparse", 23: "sparse"},
    "tensor": _TENSOR,
    "sparse": {1: "tensor", 2: "tensor", 3: "numbers"},
    "quantized": {1: "text", 2: "entry"},
    "value": {1: "text", 2: "type", 3: "text", 4: "entry"},
    "type": {1: "array", 4: "inner", 5: "map", 6: "text", 8: "array", 9: "inner"},
    "array": {2: "shape"},
    "inner": {1: "type"},
    "map": {2: "type"},
    "shape": {1: "dimension"},
    "dimension": {2: "text", 3: "text"},
    "import": {1: "text"},
    "entry": _ENTRY,
}  # fmt: skip
_DEPTH: Final = 32
_FIELDS: Final = 2_000_000


def inspect(source: Source | Stream, report: Report) -> None:
    """The whole model."""
    _Model(Cursor(source, report.context.budget, "onnx"), report).read()


class _Model:
    """Messages within messages (protobuf.dev, "Encoding")."""

    def __init__(self, cursor: Cursor, report: Report) -> None:
        self._cursor = cursor
        self._report = report
        self._sink = report.text("names")
        self._fields = 0
        self._holes: list[tuple[int, int]] = []

    def read(self) -> None:
        """To the end of the file."""
        while self._cursor.peek(1):
            self._field("model", 0)
        begin = 0
        for start, end in [*self._holes, (self._cursor.at, self._cursor.at)]:
            self._report.cover(begin, start)
            begin = end
        told(self._report, "tensors")

    def _field(self, message: str, depth: int) -> None:
        cursor = self._cursor
        self._fields += 1
        if self._fields > _FIELDS or depth > _DEPTH:
            raise Unreadable("onnx: too many or too deeply nested fields", kind="archive_limit")
        key = self._varint()
        number, wire = key >> 3, key & 7
        if wire == 2:
            size = self._varint()
            self._content(_SCHEMA[message].get(number), size, depth)
            return
        if wire == 0:
            self._varint()
        elif wire in {1, 5}:
            cursor.skip(8 if wire == 1 else 4)
        else:
            raise Unreadable("onnx: a field of a kind that is not known")

    def _content(self, kind: str | None, size: int, depth: int) -> None:
        cursor, start = self._cursor, self._cursor.at
        end = start + size
        if kind is not None and kind in _SCHEMA:
            while cursor.at < end:
                self._field(kind, depth + 1)
            if cursor.at != end:
                raise Unreadable("onnx: a message is longer than its length")
        elif kind == "text":
            text = plain_text(cursor.take(size))
            self._sink.line(text or "")
            self._holes += [(start, end)] if text is None else []
        else:
            cursor.skip(size)
            self._holes += [(start, end)] if kind != "numbers" else []

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._cursor.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Unreadable("onnx: a number without an end")
