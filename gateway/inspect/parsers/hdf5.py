"""HDF5 and what lies in it: single cells (`cells`), raw nanopore signals (`fast5`), and any other file of groups and datasets.

Source: HDF5 file format specification 3.0, read by the HDF Group's library through h5py; every group, attribute and dataset is
visited once. Strings and compound rows go to the classifier; of numbers those that could be an identifier do, and single
bytes as far as they spell something.

Coverage is what the library read: it follows references only, so what nothing refers to is never touched. HDF5 leaves free
space in ordinary files, where what was deleted stays readable. It is covered where it is zero, and where it is as small as
what a structure leaves that grew; text in it is classified. More of it stays a gap, as do bytes behind the last structure
(`h5repack` removes both; decision record 0040). The library reads structures in pieces that may reach a few hundred bytes
past them, so all that is not a dataset's storage is searched for text once more.

A change must keep: external files, external links and virtual datasets are never followed; a filter that cannot be undone
makes the file unreadable; nothing is read that is not allocated, whatever shape it claims.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import h5py
import numpy as np

from gateway.core.classify.nested import joined_spans
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.parsers import cells, fast5, hdf5_heaps
from gateway.inspect.parsers.hdf5_values import Values
from gateway.inspect.report import Report
from gateway.inspect.runs import legible
from gateway.inspect.source import Source

_OBJECTS: Final = 1_000_000
_CHUNKS: Final = 4_000_000
_PIECE: Final = 8 << 20
# deflate, shuffle, fletcher32, szip, n-bit, scale-offset, and LZF, which h5py brings along
_FILTERS: Final = frozenset({1, 2, 3, 4, 5, 6, 32000})
_VBZ: Final = 32020
_FRAGMENT: Final = 4_096  # bytes of one piece of free space: an object header or a heap that was moved when it grew
_FRAGMENTS: Final = 65_536  # of all pieces


def inspect(source: Source, report: Report) -> None:
    """Every object, then people, then the bytes in between."""
    hdf5_heaps.check(source)
    source.forget()
    with h5py.File(source, "r") as file:
        if file.userblock_size:
            report.unreadable("HDF5: a user block, which belongs to no structure")
        kind = cells.kind_of(file) or fast5.kind_of(file)
        if kind:
            report.known_as(kind)
        values = Values(report, rows_are_people=not kind)
        walk = _Walk(report, values, source=source, signals=kind == "fast5")
        walk.all(file)
        if kind == "fast5":
            fast5.tell(file, report)
        elif kind:
            cells.tell(file, kind, report)
        touched = joined_spans(source.touched(), source.size)
    _cover(source, report, touched, joined_spans(walk.storage, source.size))


def _cover(
    source: Source, report: Report, touched: tuple[tuple[int, int], ...], storage: tuple[tuple[int, int], ...]
) -> None:
    """What was read, and free space of zeros; text in all that is no dataset's storage."""
    sink = report.text("structures and free space")
    sink.line("structures")
    for start, end in touched:
        report.cover(start, end)
    reached, spared = 0, _FRAGMENTS
    for start, end in [*touched, (source.size, source.size)]:
        small = start < source.size and start - reached <= min(_FRAGMENT, spared)
        if start > reached and not any(any(piece) for piece in _pieces(source, reached, start)):
            report.cover(reached, start)
        elif start > reached and small:
            report.cover(reached, start)
            spared -= start - reached
        reached = max(reached, end)
    reached = 0
    for start, end in [*storage, (source.size, source.size)]:
        for piece in _pieces(source, reached, start):
            if found := legible(piece):
                sink.raw(found + b"\n")
        reached = max(reached, end)


def _pieces(source: Source, start: int, end: int) -> Iterator[bytes]:
    source.seek(start)
    while start < end and (piece := source.read(min(_PIECE, end - start))):
        start += len(piece)
        yield piece


class _Walk:
    """From object to object.

    Attributes:
        storage: Where the contents of datasets lie.
    """

    def __init__(self, report: Report, values: Values, *, source: Source, signals: bool) -> None:
        self._report = report
        self._source = source
        self._size = source.size
        self._budget: Budget = report.context.budget
        self._values = values
        self._signals = signals
        self._seen: set[int] = set()
        self._names = report.text("names")
        self._names.line("names")
        self.storage: list[tuple[int, int]] = []

    def all(self, file: h5py.File) -> None:
        """Every object once, however many names it has."""
        waiting: list[tuple[str, h5py.Group | h5py.Dataset | h5py.Datatype]] = [("", file["/"])]
        while waiting:
            place, found = waiting.pop()
            address = h5py.h5o.get_info(found.id).addr
            if address in self._seen:
                continue
            self._seen.add(address)
            if len(self._seen) > _OBJECTS:
                raise Unreadable(f"HDF5: more than {_OBJECTS} objects", kind="archive_limit")
            self._attributes(place, found)
            if isinstance(found, h5py.Group):
                waiting += self._members(place, found)
            elif isinstance(found, h5py.Dataset):
                self._dataset(place, found)

    def _members(self, place: str, group: h5py.Group) -> Iterator[tuple[str, Any]]:
        for name in group:
            self._names.line(name)
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                self._report.unreadable("HDF5: a link into another file")
            elif isinstance(link, h5py.SoftLink):
                self._names.line(link.path)  # names an object of this file, which has its own turn
            else:
                yield f"{place}/{name}", group[name]

    def _attributes(self, place: str, found: h5py.Group | h5py.Dataset | h5py.Datatype) -> None:
        for name in found.attrs:
            self._names.line(name)
            attribute = found.attrs.get_id(name)
            if attribute.shape is None or attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
                continue
            self._budget.room(math.prod(attribute.shape) * attribute.dtype.itemsize)
            self._values.attribute(f"{place}@{name}", found.attrs[name])

    # --- datasets ----------------------------------------------------------------------------------------------------

    def _dataset(self, place: str, found: h5py.Dataset) -> None:
        plist = found.id.get_create_plist()
        if found.external or found.is_virtual:
            self._report.unreadable("HDF5: a dataset whose content lies in another file or dataset")
            return
        if found.shape is None:
            return
        filters = {plist.get_filter(at)[0] for at in range(plist.get_nfilters())}
        if _VBZ in filters and self._signals and fast5.is_signal(place):
            self._storage(found)
            fast5.check(found, self._budget)
            return
        if unknown := filters - _FILTERS:
            self._report.unreadable(f"HDF5: a filter that cannot be undone ({min(unknown)})")
            return
        with self._values.of(place, found.dtype, found.shape) as take:
            for part in self._parts(found):
                take(part)

    def _parts(self, found: h5py.Dataset) -> Iterator[Any]:
        """All that is allocated, in pieces that fit in memory."""
        if found.chunks is None:
            yield from self._contiguous(found)
            return
        self._budget.room(math.prod(found.chunks) * found.dtype.itemsize)
        for offset in self._storage(found):
            where = tuple(
                slice(at, min(at + size, most))
                for at, size, most in zip(offset, found.chunks, found.shape, strict=True)
            )
            if any(each.start >= each.stop for each in where):
                raise Unreadable("HDF5: a chunk outside of its dataset")
            part = found[where]
            self._budget.expand(part.nbytes)
            yield part

    def _contiguous(self, found: h5py.Dataset) -> Iterator[Any]:
        self._storage(found)
        layout, held = found.id.get_create_plist().get_layout(), found.id.get_storage_size()
        if layout == h5py.h5d.CONTIGUOUS and found.id.get_offset() is None:
            return  # nothing was ever written
        least = (
            found.dtype.itemsize if found.dtype.kind != "O" else 1
        )  # of what is a reference, its size there is not ours
        if math.prod(found.shape) * least > held or held > self._size:
            raise Unreadable("HDF5: a dataset larger than its storage")
        if not found.shape:
            yield np.asarray(found[()], dtype=found.dtype)
            return
        row = max(math.prod(found.shape[1:]) * found.dtype.itemsize, 1)
        self._budget.room(row)
        step = max(_PIECE // row, 1)
        for at in range(0, found.shape[0], step):
            yield found[at : at + step]

    def _storage(self, found: h5py.Dataset) -> list[tuple[int, ...]]:
        """Note where a dataset's content lies; offsets of its chunks."""
        offsets: list[tuple[int, ...]] = []
        begun = len(self.storage)

        def note(chunk: Any) -> None:
            if len(offsets) >= _CHUNKS:
                raise Unreadable(f"HDF5: more than {_CHUNKS} chunks", kind="archive_limit")
            self.storage.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
            offsets.append(chunk.chunk_offset)

        if found.chunks is not None:
            found.id.chunk_iter(note)
        elif (start := found.id.get_offset()) is not None:
            self.storage.append((start, start + found.id.get_storage_size()))
        if _is_variable(found.dtype) and not found.id.get_create_plist().get_nfilters():
            for start, end in self.storage[begun:]:
                hdf5_heaps.check_references(self._source, start, end)
        return offsets


def _is_variable(dtype: np.dtype[Any]) -> bool:
    string = h5py.check_string_dtype(dtype)
    return h5py.check_vlen_dtype(dtype) is not None or (string is not None and string.length is None)
