"""Letters in the buffers of Arrow arrays that no cell shows.

A reader never sees them, and still they travel: a slice of a table is written with the first letters of the rows behind
it, up to a multiple of 64 (Arrow C++ pads with what is there). Where the next batch begins with exactly these, as it does
when a table is written in pieces, nothing is hidden; behind the last batch they are. What is not looked at: numbers
beneath missing cells.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

# Of these it is not known what their cells leave out, and no tool of our senders writes them to files.
_ODD: Final = (
    pa.types.is_union,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_run_end_encoded,
)


class Unreferred:
    """Watches batch after batch, as they were read.

    Attributes:
        hidden: Whether something was left out that no later batch shows.
    """

    def __init__(self) -> None:
        self._hidden = False
        self._owed: dict[tuple[int, ...], Any] = {}

    @property
    def hidden(self) -> bool:
        """Ask behind the last batch."""
        return self._hidden or bool(self._owed)

    def add(self, batch: pa.RecordBatch) -> None:
        """The next batch."""
        for place, column in enumerate(batch.columns):
            self._see(column, (place,))

    def _see(self, array: pa.Array, path: tuple[int, ...]) -> None:
        kind, types = array.type, pa.types
        if isinstance(kind, pa.BaseExtensionType):
            self._see(array.storage, path)
        elif types.is_dictionary(kind):
            self._see(array.dictionary, (*path, 0))
        elif types.is_struct(kind):
            for place in range(kind.num_fields):
                self._see(array.field(place), (*path, place))
        elif types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
            self._see_list(array, path)
        elif types.is_fixed_size_list(kind):
            self._hidden = self._hidden or bool(array.null_count)
            self._see(array.values, (*path, 0))
        elif types.is_string_view(kind) or types.is_binary_view(kind):
            self._hidden = self._hidden or _views_outside(array)
        elif any(odd(kind) for odd in _ODD):
            self._hidden = True
        else:
            self._see_letters(array, path)

    def _see_list(self, array: pa.Array, path: tuple[int, ...]) -> None:
        values = array.values
        owed = self._owed.pop(path, None)
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        if first != 0 or (owed is not None and not values.slice(0, len(owed)).equals(owed)):
            self._hidden = True
        if last != len(values):
            self._owed[path] = values.slice(last)
        self._see(values, (*path, 0))

    def _see_letters(self, array: pa.Array, path: tuple[int, ...]) -> None:
        kind, types = array.type, pa.types
        wide = types.is_large_string(kind) or types.is_large_binary(kind)
        if not (wide or types.is_string(kind) or types.is_binary(kind)):
            return
        _, offsets, buffer = array.buffers()
        letters = np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.zeros(0, np.uint8)
        bounds = (
            np.frombuffer(offsets, np.int64 if wide else np.int32)[: len(array) + 1] if len(array) else np.zeros(1, int)
        )
        owed = self._owed.pop(path, None)
        if bounds[0] != 0 or (owed is not None and not np.array_equal(owed, letters[: owed.size])):
            self._hidden = True
        if array.null_count and (np.asarray(array.is_null()) & (np.diff(bounds) > 0)).any():
            self._hidden = True
        rest = letters[int(bounds[-1]) :]
        if rest.any():
            self._owed[path] = rest


def _views_outside(array: pa.Array) -> bool:
    """Views (Columnar format, "Variable-size Binary View"): longer than twelve bytes lie in a buffer at an offset."""
    _, views, *buffers = array.buffers()
    words = np.frombuffer(views, np.int32).reshape(-1, 4)[: len(array)]
    far = words[(words[:, 0] > 12) & ~np.asarray(array.is_null())]
    for number, buffer in enumerate(buffers):
        own = far[far[:, 2] == number].astype(np.int64)
        marks = np.zeros(buffer.size + 1, np.int64)
        np.add.at(marks, own[:, 3], 1)
        np.add.at(marks, own[:, 3] + own[:, 0], -1)
        if np.frombuffer(buffer, np.uint8)[np.cumsum(marks)[:-1] == 0].any():
            return True
    return False
