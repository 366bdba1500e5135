"""NPZ: a ZIP archive of NPY arrays (numpy.lib.format). Arrays are read by the parser of NPY.

A matrix of floating numbers may be embeddings, numbers made of persons' faces, voices or words: a weak finding.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO, Final

from gateway.inspect.parsers.zip import Archive
from gateway.inspect.report import Report, head_of
from gateway.inspect.source import Source, Stream

_HEADER: Final = re.compile(rb"'descr':\s*'[<>=|]?f(?:2|4|8)'.*?'shape':\s*\((\d{1,12}),\s*(\d{1,6})\)")
_WIDE: Final = 64  # columns from which rows may be embeddings
_ROWS: Final = 2


def inspect(source: Source, report: Report) -> None:
    """Every array as a member."""
    archive = Archive(source, report)
    for entry in archive.entries:
        archive.read(entry, lambda name, stream: _array(name, stream, report))


def _array(name: str, stream: BinaryIO, report: Report) -> bool:
    head = head_of(stream)
    if is_embedding(head):
        report.found("embeddings", f"!/{name}", weak=True)
    return report.member(name, io.BufferedReader(Stream(head, stream))).inspectable


def is_embedding(head: bytes) -> bool:
    """Whether the head of an NPY file describes a wide matrix of floating numbers."""
    match = _HEADER.search(head[:4096]) if head.startswith(b"\x93NUMPY") else None
    return match is not None and int(match[1]) >= _ROWS and int(match[2]) >= _WIDE
