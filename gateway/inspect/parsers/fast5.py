"""FAST5: raw nanopore signals in HDF5, many reads a file or one: sequencing, and of a human until shown otherwise.

Source: Oxford Nanopore's description of multi-read FAST5 (`read_<id>/Raw/Signal`, `tracking_id`), VBZ compression (registered
HDF5 filter 32020: a size, then Zstandard around StreamVByte). Signals are no text: of VBZ the Zstandard frame is opened, which
checks that it is one, and the samples are not rebuilt.
"""

from __future__ import annotations

from typing import Any, Final

import h5py

from gateway.core.classify.genomes import sample_of_path
from gateway.inspect.limits import Budget, Unreadable
from gateway.inspect.report import Report
from gateway.inspect.zstandard import opened

_SINGLE: Final = frozenset({"Raw", "UniqueGlobalKey"})
_SIZE: Final = 4  # bytes before the frame: what StreamVByte unpacks to


def kind_of(file: h5py.File) -> str:
    """`fast5`, or nothing."""
    names = list(file)
    multiple = any(name.startswith("read_") and "Raw" in file[name] for name in names[:3])
    return "fast5" if multiple or set(names) >= _SINGLE else ""


def is_signal(place: str) -> bool:
    """Whether a dataset holds samples of a signal."""
    return place.endswith("/Signal") and "/Raw" in place


def tell(file: h5py.File, report: Report) -> None:
    """Samples by the tracking ids of reads."""
    names = set[str]()
    for name in file:
        group = file[name]
        if isinstance(group, h5py.Group) and (name.startswith("read_") or name == "UniqueGlobalKey"):
            tracked = group.get("tracking_id")
            names.add(_text(tracked.attrs.get("sample_id", "")) if tracked is not None else "")
    report.genomes({name or sample_of_path(report.path) for name in names or {""}}, sequenced=True, where="tracking_id")


def check(found: h5py.Dataset, budget: Budget) -> None:
    """Open every chunk of a signal under VBZ.

    Raises:
        Unreadable: One is no such chunk.
    """
    offsets: list[tuple[int, ...]] = []
    found.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    for offset in offsets:
        mask, packed = found.id.read_direct_chunk(offset)
        size = 4 * found.chunks[0] + 4096  # StreamVByte takes at most three bytes and a bit for a sample of 16 bits
        budget.room(size)
        if mask:
            raise Unreadable("FAST5: a signal of another filter than it says")
        budget.expand(len(opened(packed[_SIZE:], size, "FAST5: a signal")))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
