"""What is fuzzed, and what must hold for any bytes whatever. `run` fuzzes it; tests hold the kept corpus against it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from gateway.core.classify import Classifier
from gateway.core.detectors import DetectorTables
from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers import PARSERS
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables
from tests.fuzz.repair import REPAIRS

SMALL = Limits(depth=4, members=200, spared=16 << 20, ratio=50, held=16 << 20, pictures="noted")
# What a format is told by besides its bytes, or what is looked for in a name; other targets are called by their module.
NAMES = {
    "gzip": ("x.csv.gz",),
    "compressed": ("x.csv.xz",),
    "shapefile": ("x.shp", "x.shx"),
    "nifti": ("sub-01_T1w.nii",),
    "geotiff": ("x.tif",),
    "hdf5": ("x.h5ad",),
    "pickles": ("x.pt",),
}


@cache
def tables() -> DetectorTables:
    return load_detector_tables()


def parsed(name: str, content: bytes) -> None:
    """Whatever the bytes: an answer, which covers every byte it vouches for."""
    found = inspect_file(MemoryStore(content), name, tables(), SMALL)
    assert found.size == len(content)
    if found.inspectable:
        covered = 0
        for start, end in found.coverage:
            assert start <= covered
            covered = max(covered, end)
        assert covered >= len(content)
        assert found.level != "unknown" or found.findings
    found.to_json("")


def classified(content: bytes) -> None:
    """The same findings for any cutting of the bytes; the first byte says how to cut."""
    step, content = (content[0] + 1) * 7 if content else 1, content[1:]
    whole, cut = Classifier("x.csv", tables()), Classifier("x.csv", tables())
    whole.feed(content)
    for at in range(0, len(content), step):
        cut.feed(content[at : at + step])
    assert whole.close().to_json("") == cut.close().to_json("")


def names(module: str) -> tuple[str, ...]:
    """What a target's files are called."""
    return NAMES.get(module, (f"x.{module}",))


def _of(module: str) -> Callable[[bytes], None]:
    def target(content: bytes) -> None:
        for each in dict.fromkeys((content, repair(content))):
            for name in names(module):
                parsed(name, each)

    repair = REPAIRS.get(module, bytes)
    return target


# One target a module of parsers, and the text that needs none.
TARGETS: dict[str, Callable[[bytes], None]] = {
    "text": classified,
    **{module: _of(module) for module in sorted({parser.module for parser in PARSERS.values()})},
}
