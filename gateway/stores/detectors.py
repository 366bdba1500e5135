"""Reads the detector tables that ship with the package, or a directory that takes their place.

Not here: what the tables mean (`gateway.core.detectors.tables` parses and checks them).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from gateway.core.detectors import DetectorTables
from gateway.core.detectors.pack import FILES, tables_of
from gateway.core.errors import StoreError, Unusable


def read_documents(root: Traversable | None = None) -> dict[str, dict[str, object]]:
    """The TOML documents by file name.

    Args:
        root: Directory that holds them; the packaged `policies/detectors` where not given.

    Raises:
        StoreError: A file cannot be read.
        Unusable: A file is not TOML.
    """
    place = files("policies") / "detectors" if root is None else root
    try:
        return {name: tomllib.loads((place / name).read_text(encoding="utf-8")) for name in FILES}
    except OSError as error:
        raise StoreError(f"detector tables cannot be read: {error}", retry=False) from error
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"a detector table is not TOML: {error}") from error


def load_detector_tables(root: Traversable | None = None) -> DetectorTables:
    """Tables from `root`, or the packaged ones.

    Raises:
        StoreError: A file cannot be read.
        Unusable: A table misses a key or has one that is not known.
    """
    return _packaged() if root is None else _load(root)


@cache
def _packaged() -> DetectorTables:
    return _load(None)


def _load(root: Traversable | None) -> DetectorTables:
    return tables_of(read_documents(root))
