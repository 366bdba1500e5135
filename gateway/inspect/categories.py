"""Values of dictionaries that no cell has: categories of rows that were filtered out still travel with the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa


class Categories:
    """Watches the dictionaries of batch after batch, by column."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[pa.Array, np.ndarray[Any, Any]]] = {}

    def see(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        """The next batch; what a dictionary that has been replaced held in vain."""
        for place, column in enumerate(batch.columns):
            yield from self._see(column, (place,))

    def _see(self, array: pa.Array, path: tuple[int, ...]) -> Iterator[pa.Array]:
        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            yield from self._see(array.storage, path)
        elif pa.types.is_dictionary(kind):
            yield from self._mark(array, path)
        elif pa.types.is_struct(kind):
            for place in range(kind.num_fields):
                yield from self._see(array.field(place), (*path, place))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
            yield from self._see(array.values, (*path, 0))

    def _mark(self, array: pa.DictionaryArray, path: tuple[int, ...]) -> Iterator[pa.Array]:
        values = array.dictionary
        known, used = self._known.get(path, (values, np.zeros(len(values), bool)))
        if len(values) > len(known) and values.slice(0, len(known)).equals(known):
            used = np.concatenate([used, np.zeros(len(values) - len(known), bool)])
        elif not values.equals(known):
            yield _unused(known, used)
            used = np.zeros(len(values), bool)
        used[np.asarray(array.indices.drop_null())] = True
        self._known[path] = values, used

    def settle(self) -> Iterator[pa.Array]:
        """Behind the last batch that shares dictionaries with those before it."""
        for values, used in self._known.values():
            yield _unused(values, used)
        self._known = {}


def _unused(values: pa.Array, used: np.ndarray[Any, Any]) -> pa.Array:
    return values.filter(pa.array(~used))
