"""Weights of models as plain tables of tensors: safetensors (its format description) and GGUF (ggml's gguf.md, versions 2, 3).

Headers, metadata and vocabularies are classified. Tensors are weights by nature; their places, types and shapes must account for
every byte. What a model was trained on no file says: its level is unknown, and the transfer is held until that was judged
(rules.md 10.5).

A change must keep: tensors do not overlap, and what none of them refers to is a gap.
"""

from __future__ import annotations

import json
import math
from typing import Final

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, TextSink
from gateway.inspect.source import Source, Stream

_HEADER: Final = 100_000_000  # bytes; the format's own bound
_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
# Weights in a block and its bytes, by ggml's number of the type (ggml.h, enum ggml_type; ggml-common.h)
BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98),
    19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
_NUMBERS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value by its type
_STRING, _ARRAY = 8, 9
_COUNT: Final = 10_000_000
_ALIGNMENT: Final = "general.alignment"


def told(report: Report, where: str) -> None:
    """A model: whose data are in it, its file does not say."""
    report.found("model_weights", where)
    report.classed("model")
    report.levelled("unknown")


def inspect(source: Source | Stream, report: Report) -> None:
    """A safetensors file: length, JSON, tensors."""
    cursor = Cursor(source, report.context.budget, "safetensors")
    (size,) = cursor.unpack("<Q")
    if size > _HEADER:
        raise Unreadable("safetensors: a header of more than 100 MB")
    raw = cursor.take(size)
    try:
        header = json.loads(raw)
    except ValueError as wrong:
        raise Unreadable("safetensors: the header is no JSON") from wrong
    if not isinstance(header, dict):
        raise Unreadable("safetensors: the header is no object")
    report.text("header").line(raw.decode("utf-8", "replace"))
    report.cover(0, cursor.at)
    told(report, "tensors")
    spans = sorted(_span(entry) for name, entry in header.items() if name != "__metadata__")
    _tensors(cursor, spans, report)


def _span(entry: object) -> tuple[int, int]:
    if not isinstance(entry, dict):
        raise Unreadable("safetensors: a tensor without a description")
    shape, span = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    bits = _BITS.get(str(entry.get("dtype")))
    if len(span) != 2 or bits is None:
        raise Unreadable("safetensors: a tensor of a type or place that is not understood")
    if (math.prod(shape) * bits + 7) // 8 != span[1] - span[0]:
        raise Unreadable("safetensors: a tensor of another size than its shape has")
    return span[0], span[1]


def _counts(value: object) -> list[int]:
    if isinstance(value, list) and len(value) <= 32:
        counts = [each for each in value if type(each) is int and 0 <= each < 1 << 48]
        if len(counts) == len(value):
            return counts
    raise Unreadable("safetensors: a shape or place that is no list of counts")


def _tensors(cursor: Cursor, spans: list[tuple[int, int]], report: Report) -> None:
    base = cursor.at
    for start, end in spans:
        if base + start < cursor.at:
            raise Unreadable("tensors overlap")
        cursor.skip(base + start - cursor.at)
        cursor.skip(end - start)
        report.cover(base + start, base + end)


# --- GGUF -----------------------------------------------------------------------------------------------------------------


def inspect_gguf(source: Source | Stream, report: Report) -> None:
    """A GGUF file: metadata, descriptions of tensors, tensors."""
    cursor = Cursor(source, report.context.budget, "gguf")
    magic = cursor.take(4)
    version, tensors, pairs = cursor.unpack("<IQQ")
    if magic != b"GGUF" or version not in {2, 3} or max(tensors, pairs) > _COUNT:
        raise Unreadable("gguf: a version or a count that is not understood")
    sink, alignment = report.text("metadata"), 32
    for _ in range(pairs):
        key = _string(cursor)
        (kind,) = cursor.unpack("<I")
        sink.feed(f"{key}: ")
        value = _value(cursor, kind, sink, 0)
        sink.line("")
        alignment = value if key == _ALIGNMENT and value is not None else alignment
    if not 1 <= alignment <= 1 << 16:
        raise Unreadable("gguf: an alignment that cannot be")
    spans = sorted(_described(cursor, sink) for _ in range(tensors))
    report.cover(0, cursor.at)
    told(report, "tensors")
    _aligned(cursor, spans, alignment, report)


def _string(cursor: Cursor) -> str:
    (size,) = cursor.unpack("<Q")
    return cursor.take(size).decode("utf-8", "replace")


def _value(cursor: Cursor, kind: int, sink: TextSink, depth: int) -> int | None:
    """One value; numbers of four bytes are given back, texts go to the sink."""
    if kind == _STRING:
        sink.feed(_string(cursor) + "\n")
    elif kind == _ARRAY:
        inner, count = cursor.unpack("<IQ")
        if depth > 8:
            raise Unreadable("gguf: lists nested too deeply")
        if inner in _NUMBERS:
            cursor.skip(_NUMBERS[inner] * count)
        elif count > _COUNT:
            raise Unreadable("gguf: a list of more values than can be")
        else:
            for _ in range(count):
                _value(cursor, inner, sink, depth + 1)
    elif kind in _NUMBERS:
        return int.from_bytes(cursor.take(_NUMBERS[kind]), "little")
    else:
        raise Unreadable("gguf: a value of a type that is not known")
    return None


def _described(cursor: Cursor, sink: TextSink) -> tuple[int, int]:
    sink.line(_string(cursor))
    (dimensions,) = cursor.unpack("<I")
    if not dimensions <= 8:
        raise Unreadable("gguf: a tensor of too many dimensions")
    shape = cursor.unpack(f"<{dimensions}Q")
    kind, offset = cursor.unpack("<IQ")
    if kind not in BLOCKS:
        raise Unreadable("gguf: a tensor of a type that is not known")
    block, size = BLOCKS[kind]
    weights = math.prod(shape)
    if weights % block:
        raise Unreadable("gguf: a tensor that does not fill its blocks")
    return offset, offset + weights // block * size


def _aligned(cursor: Cursor, spans: list[tuple[int, int]], alignment: int, report: Report) -> None:
    """Tensors, and zeros before each that bring it to its place (gguf.md, "padding")."""
    base = -(-cursor.at // alignment) * alignment
    for start, end in [*((base + low, base + high) for low, high in spans), (-1, -1)]:
        gap, at = (start - cursor.at if start >= 0 else -cursor.at % alignment), cursor.at
        if gap < 0:
            raise Unreadable("gguf: tensors overlap")
        if start < 0:
            gap = len(cursor.peek(gap))
        clean = gap < alignment and cursor.zeros(gap)
        if clean:
            report.cover(at, at + gap)
        if start >= 0:
            cursor.skip(start - cursor.at)
            cursor.skip(end - start)
            report.cover(start, end)
