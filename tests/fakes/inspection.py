"""Inspection without processes: the same parsers, here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Self

from gateway.core.classify import FileFindings
from gateway.core.errors import BrokenPromise
from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers import PARSERS
from gateway.inspect.source import MemoryStore
from gateway.ports import Scanned
from gateway.stores.detectors import load_detector_tables
from gateway.wire import Malformed, crypt4gh


class FakeInspection:
    """`before` runs before every file, and may raise."""

    def __init__(self, before: Callable[[str], None] = lambda _path: None) -> None:
        self.before = before
        self.inspected: list[str] = []
        self.stopped = 0

    def reads(self, format_name: str) -> bool:
        return format_name in PARSERS

    def open(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def inspect(self, path: str, parts: Sequence[tuple[BinaryIO, int]], keys: Sequence[bytes]) -> FileFindings:
        self.before(path)
        self.inspected.append(path)
        sealed = b"".join(file.read(size) for file, size in parts)
        try:
            plain = crypt4gh.SegmentOpener(keys).open(sealed)
        except Malformed as wrong:
            raise BrokenPromise("a sealed part in the vault does not open: it was altered") from wrong
        return inspect_file(MemoryStore(plain), path, load_detector_tables())

    def stop(self) -> None:
        self.stopped += 1


class FakeScanner:
    """Finds the EICAR test file's words; `silent` scans nothing."""

    def __init__(self) -> None:
        self.silent = False
        self.scanned = 0

    def scan(self, pieces: Iterable[bytes]) -> Scanned:
        content = b"".join(pieces)
        if self.silent:
            return Scanned("unscanned", "silent")
        self.scanned += 1
        return Scanned("found", "Eicar-Test") if b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE" in content else Scanned("clean")
