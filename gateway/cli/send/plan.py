"""What is still to be done, from what lies here and what the gateway says it has.

Pure. A change must keep these:
1. A file counts as received only with the same name, size and SHA-256; nothing less is the same file.
2. What is submitted is exactly what lies here: what the gateway has beyond it goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.cli.dataset import LocalFile


@dataclass(frozen=True)
class Received:
    """A file as the gateway has it."""

    size: int
    sha256: str


def parse_received(listed: Iterable[Mapping[str, Any]]) -> dict[str, Received]:
    """Files by path, from the gateway's list.

    Raises:
        ValueError: It is no such list.
    """
    found: dict[str, Received] = {}
    for each in listed:
        path, size, digest = each.get("path"), each.get("size"), each.get("sha256")
        if not isinstance(path, str) or type(size) is not int or not isinstance(digest, str):
            raise ValueError("a file without path, size or sha256")
        found[path] = Received(size, digest)
    return found


@dataclass(frozen=True)
class Difference:
    """How the gateway's list differs from what lies here.

    Attributes:
        missing: Files here that it does not have, or has otherwise.
        surplus: Paths it has that are not here.
    """

    missing: tuple[LocalFile, ...]
    surplus: tuple[str, ...]


def differ(files: Iterable[LocalFile], sums: Mapping[str, str], received: Mapping[str, Received]) -> Difference:
    """Compare.

    Args:
        files: What lies here.
        sums: SHA-256 of it, hex, by path.
        received: What the gateway says it has.
    """
    here = {file.path: file for file in files}
    missing = [
        file for path, file in here.items() if received.get(path) != Received(file.size, sums.get(path, "unknown"))
    ]
    return Difference(tuple(missing), tuple(sorted(set(received) - set(here))))


def fingerprint(files: Iterable[LocalFile], declaration: Mapping[str, Any]) -> str:
    """What tells one state of the dataset from another without reading it: names, sizes, times, and what is declared."""
    digest = hashlib.sha256(json.dumps(declaration, sort_keys=True, default=str).encode())
    for file in files:
        digest.update(f"\0{file.path}\0{file.size}\0{file.modified}".encode())
    return digest.hexdigest()
