"""Global heaps of HDF5, looked at before the library reads them: in a damaged one it turns in a circle for ever.

And references into them: the library makes room for as many bytes as one claims before it looks at how many there are.

Source: HDF5 file format specification 3.0, section III.E. A collection is `GCOL`, version 1, its size, then objects, each with
its index and size; index 0 is what is free at the end.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from gateway.inspect.limits import Unreadable
from gateway.inspect.source import Source

_COLLECTION: Final = re.compile(rb"GCOL\x01\0\0\0")
_HEAD: Final = 16  # bytes of a collection's header, and of an object's, with sizes of eight bytes
_PIECE: Final = 8 << 20
_OVERLAP: Final = 7
_REFERENCE: Final = 16  # length, address of the collection, index (section IV.A.2.d, "Variable-length" datatypes)


def check(source: Source) -> None:
    """Walk every collection.

    Raises:
        Unreadable: One has an object of no size, or one that is larger than the collection.
    """
    at, left = 0, b""
    while at < source.size:
        source.seek(at)
        piece = left + source.read(_PIECE)
        start = at - len(left)
        for match in _COLLECTION.finditer(piece):
            _walk(source, start + match.start())
        at, left = start + len(piece), piece[-_OVERLAP:]


def _walk(source: Source, at: int) -> None:
    source.seek(at + 8)
    size = int.from_bytes(source.read(8), "little")
    if not _HEAD <= size <= source.size - at:
        raise Unreadable("HDF5: a heap that reaches past the file")
    source.seek(at)
    held = source.read(min(size, _PIECE))
    place = _HEAD
    while place + _HEAD <= len(held):
        index = int.from_bytes(held[place : place + 2], "little")
        own = int.from_bytes(held[place + 8 : place + 16], "little")
        step = own if index == 0 else _HEAD + (own + 7) // 8 * 8
        if step < _HEAD or step > size - place:
            raise Unreadable("HDF5: a heap whose objects do not fit in it")
        place += step


def check_references(source: Source, start: int, end: int) -> None:
    """Lengths of variable-length values, stored without filters.

    Raises:
        Unreadable: One is longer than the file.
    """
    for at in range(start, end, _PIECE):
        source.seek(at)
        held = source.read(min(_PIECE, end - at))
        rows = np.frombuffer(held[: len(held) // _REFERENCE * _REFERENCE], "<u4").reshape(-1, _REFERENCE // 4)
        if (rows[:, 0] > source.size).any():
            raise Unreadable("HDF5: a value longer than its file")
