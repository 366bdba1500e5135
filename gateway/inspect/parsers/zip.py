"""ZIP archives and what is built on them: every member decompressed as a stream and handed on.

`Archive` serves other formats too that are a ZIP (Office, OpenDocument, npz): open it, then `read` its entries, each with a
reader of one's own or as a plain member.

A change must keep: a member's bytes are covered only where its content was inspectable, of the declared size and checksum.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import BinaryIO, Final

from gateway.inspect.parsers.decompress import (
    PIECE,
    Decoded,
    Decoder,
    Inflate,
    Stored,
    bzip2,
    lzma1,
    metered,
    xz,
    zstandard,
)
from gateway.inspect.parsers.words import Words
from gateway.inspect.parsers.zipdirectory import Directory, Entry
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_ESCAPES: Final = re.compile(r"^(?:[/\\]|[A-Za-z]:)|(?:^|[/\\])\.\.(?:[/\\]|$)")  # absolute, or out of the folder
_LZMA: Final = 14
_METHODS: Final[dict[int, Callable[[], Decoder]]] = {0: Stored, 8: Inflate, 12: bzip2, 93: zstandard, 95: xz}

# Reads a member's name and content to its end; whether all of it was interpreted.
Reader = Callable[[str, BinaryIO], bool]


class Archive:
    """A ZIP archive whose structure was checked.

    Raises:
        Unreadable: It cannot be read, or not by all tools in the same way.

    Attributes:
        entries: Its members, in the order in which they lie.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        directory = Directory(source, report)
        self.entries = directory.entries
        words = Words(report, "comments")
        for told in directory.told:
            words.add(told)
        judge_names([entry.name for entry in self.entries], report)

    def read(self, entry: Entry, reader: Reader | None = None) -> bool:
        """Read a member, and say what of it was covered.

        Args:
            entry: One of `entries`.
            reader: Given its name and content; None for a plain member.

        Raises:
            Unreadable: The budget is spent.
        """
        report = self._report
        if entry.locked:
            report.unreadable("a member under a password", kind="encrypted_content")
            return False
        decoder = self._decoder(entry)
        if decoder is None:
            report.unreadable(f"zip: a member under compression method {entry.method}")
            return False
        pull = Window(self._source, entry.data + _skipped(entry), entry.data + entry.packed).read
        content = Decoded(pull, decoder, entry.size, entry.crc)
        stream = metered(content, report.context.budget)
        read = (reader or self._member)(entry.name, stream)
        while stream.read(PIECE):
            pass
        if not content.whole():
            report.unreadable(f"zip: a member is {content.fault}")
            return False
        if read:
            report.cover(entry.data, entry.data + entry.packed)
        return read

    def _member(self, name: str, stream: BinaryIO) -> bool:
        return self._report.member(name, stream).inspectable

    def _decoder(self, entry: Entry) -> Decoder | None:
        if entry.method == _LZMA:  # section 5.8.8: version (2), size of properties (2), properties
            self._source.seek(entry.data)
            return lzma1(self._source.read(9)[4:])
        begin = _METHODS.get(entry.method)
        return begin() if begin else None


class Window:
    """Some bytes of a source as a stream of their own; other readers may seek in between."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._at = start
        self._end = end

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        left = max(self._end - self._at, 0)
        self._source.seek(self._at)
        piece = self._source.read(left if size < 0 else min(size, left))
        self._at += len(piece)
        return piece


def judge_names(names: Sequence[str], report: Report) -> None:
    """Names of members on which tools would differ, or that lead out of the folder."""
    leaving = sum(1 for name in names if _ESCAPES.search(name))
    if leaving:
        report.found("media_mismatch", "member names that leave the folder", count=leaving)
    if len(set(names)) < len(names):
        report.found("media_mismatch", "members of the same name", count=len(names) - len(set(names)))


def _skipped(entry: Entry) -> int:
    return 9 if entry.method == _LZMA else 0


def inspect(source: Source, report: Report) -> None:
    """Every member as an object of its own."""
    archive = Archive(source, report)
    for entry in archive.entries:
        archive.read(entry)


__all__ = ["Archive", "Entry", "Reader", "Window", "inspect", "judge_names"]
