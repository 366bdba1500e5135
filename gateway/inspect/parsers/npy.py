"""NumPy arrays, .npy of versions 1 to 3 (NEP 1). Arrays of objects are pickles: programs, which nothing here runs.

Numbers of up to two bytes are pixels and samples: they are counted. Others are read as the cells of a table, as
identifiers fit into them.
"""

from __future__ import annotations

import io
import warnings
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy

from gateway.inspect.cursor import Cursor
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_PIECE: Final = 1 << 20
_HEADER: Final = 1 << 16
_WIDE: Final = 4_096  # values in a row
_SAMPLE: Final = 2


def inspect(source: Source, report: Report) -> None:
    """Header, then values."""
    cursor = Cursor(source, report)
    major = cursor.peek(8)[6]
    size = (
        10 + int.from_bytes(cursor.peek(10)[8:], "little")
        if major == 1
        else 12 + int.from_bytes(cursor.peek(12)[8:], "little")
    )
    if size > _HEADER or major not in (1, 2, 3):
        raise Unreadable("npy: a header of another form")
    head = io.BytesIO(cursor.take(size))
    version = npy.read_magic(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # version 3 is version 2 whose names are UTF-8: they come from the header itself below
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, kind = read(head, max_header_size=_HEADER)
    if kind.hasobject:
        raise Unreadable("npy: objects, which are programs")
    count = int(np.prod([int(each) for each in shape], dtype=object))
    if count < 0 or kind.itemsize * count > cursor.left:
        raise Unreadable("npy: breaks off within its values")
    report.text("header").line(head.getvalue()[10:].decode("utf-8", "replace"))
    if kind.kind in "biuf" and kind.itemsize <= _SAMPLE:
        report.cover(cursor.at, cursor.at + kind.itemsize * count)
        return
    width = 1 if len(shape) < 2 or fortran else min(int(np.prod(shape[1:], dtype=object)), _WIDE)
    _values(cursor, report, kind, count, max(width, 1))


def _values(cursor: Cursor, report: Report, kind: np.dtype[Any], count: int, width: int) -> None:
    names = (
        [str(name) for name in kind.names]
        if kind.names
        else [f"column {n}" for n in range(width)]
        if width > 1
        else ["value"]
    )
    sink = report.table("values", names)
    report.context.budget.room(kind.itemsize * width)
    step = max(_PIECE // max(kind.itemsize, 1) // width, 1) * width
    for start in range(0, count, step):
        values = np.frombuffer(cursor.take(kind.itemsize * min(step, count - start)), kind)
        if kind.names:
            sink.extend([_cell(part) for part in row] for row in values.tolist())
        else:
            cells = [_cell(value) for value in values.tolist()]
            sink.extend(cells[at : at + width] for at in range(0, len(cells), width))


def _cell(value: object) -> object:
    return value if isinstance(value, str | int | float | bytes | tuple) or value is None else str(value)
