"""7z archives: folders unpacked forward, member by member, each held against its size and CRC-32.

Source: 7zFormat.txt of the 7-Zip documentation (18.06). Headers are read by `sevenheader`, coders are `sevencoders`.

A change must keep: a packed stream is covered only where every member that comes out of it was inspectable and whole, and
nothing else came out.
"""

from __future__ import annotations

import io
import zlib
from itertools import pairwise
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import PIECE, Decoded, Readable, metered
from gateway.inspect.parsers.sevencoders import AES, decoder
from gateway.inspect.parsers.sevenheader import Folder, Member, Streams, opened
from gateway.inspect.parsers.words import Words
from gateway.inspect.parsers.zip import Window, judge_names
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_START: Final = 32  # bytes of the signature header
_STEPS: Final = 4  # each may hold a dictionary


class Part:
    """The next `size` bytes of a folder as a stream.

    Args:
        stream: What the folder unpacks to.
        size: Bytes of the member.
    """

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self.left = size
        self.sum = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end, or where the folder ends before it."""
        piece = self._stream.read(min(self.left, PIECE if size < 0 else size)) if self.left else b""
        self.left -= len(piece)
        self.sum = zlib.crc32(piece, self.sum)
        return piece


class Unpacked:
    """What a folder unpacks to; every step but the last pays for what it gives out.

    Raises:
        Unreadable: Its coders are not known, or are no chain.
    """

    def __init__(self, window: Window, packed: int, crc: int | None, folder: Folder, report: Report) -> None:
        chain = folder.chain()
        if chain is None:
            for coder in folder.coders:  # a method that is no chain by itself, such as BCJ2, says more
                decoder(coder.method, coder.properties, packed, 0)
            raise Unreadable("7z: coders that are no chain")
        if len(chain) > _STEPS:
            raise Unreadable(f"7z: more than {_STEPS} coders", kind="archive_limit")
        self._raw = Decoded(window.read, decoder(b"\0", b"", 0, 0), packed, crc)
        self._steps: list[Decoded] = [self._raw]
        stream: Readable = self._raw
        size = packed
        for at in chain:
            if self._steps[1:]:
                stream = metered(stream, report.context.budget)
            coder, last = folder.coders[at], at == chain[-1]
            step = decoder(coder.method, coder.properties, size, folder.sizes[at])
            size = folder.sizes[at]
            stream = Decoded(stream.read, step, size, folder.crc if last else None)
            self._steps.append(stream)
        self.read = self._steps[-1].read

    def fault(self) -> str:
        """Why it is not whole, when all was read; empty where nothing is wrong."""
        for step in reversed(self._steps):
            if not step.whole():
                return step.fault
        return ""


class Archive:
    """An archive whose headers were read.

    Raises:
        Unreadable: They cannot be.

    Attributes:
        members: Files, folders and anti-items.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._names = Words(report, "names")
        self._ranges: list[tuple[int, int]] = []
        source.seek(0)
        head = source.read(_START)
        if len(head) < _START or head[6] or zlib.crc32(head[12:32]) != int.from_bytes(head[8:12], "little"):
            raise Unreadable("7z: the signature header is damaged")
        start, size = (int.from_bytes(head[at : at + 8], "little") for at in (12, 20))
        if start + size + _START > source.size:
            raise Unreadable("7z: the archive breaks off")
        self._claim(_START + start, size)
        self.streams, self.members = Streams(), list[Member]()
        if size:
            report.context.budget.room(size)
            raw = Window(source, _START + start, _START + start + size).read()
            most = report.context.budget.limits.members
            crc = int.from_bytes(head[28:32], "little")
            self.streams, self.members = opened(raw, crc, most, self._header)
        self.packed = self._spread(self.streams)
        if any(end > start for (_, end), (start, _) in pairwise(sorted(self._ranges))):
            raise Unreadable("7z: packed streams that lie over one another", kind="media_mismatch")
        judge_names([member.name for member in self.members], report)
        report.cover(0, _START)
        for begin, end in self._headers:
            report.cover(begin, end)

    @property
    def _headers(self) -> list[tuple[int, int]]:
        """The header, and what it was packed in."""
        return self._ranges[: len(self._ranges) - len(self.packed)]

    def _claim(self, start: int, size: int) -> tuple[int, int]:
        if start + size > self._source.size:
            raise Unreadable("7z: the archive breaks off")
        self._ranges.append((start, start + size))
        return start, start + size

    def _spread(self, streams: Streams) -> list[tuple[int, int]]:
        """Where packed streams lie: one after another."""
        at, found = _START + streams.start, []
        for size in streams.packed:
            found.append(self._claim(at, size))
            at += size
        return found

    def _header(self, streams: Streams) -> bytes:
        if len(streams.folders) != 1 or len(streams.parts[0]) != 1:
            raise Unreadable("7z: a header in several folders")
        budget = self._report.context.budget
        size = streams.parts[0][0][0]
        budget.room(size)
        if any(coder.method == AES for coder in streams.folders[0].coders):
            raise Unreadable("7z: names and members under a password", kind="encrypted_content")
        [(start, end)] = self._spread(streams)
        folder = streams.folders[0]
        content = Unpacked(Window(self._source, start, end), end - start, streams.sums[0], folder, self._report)
        pieces = []
        while piece := content.read(PIECE):
            budget.expand(len(piece))
            pieces.append(piece)
        if content.fault():
            raise Unreadable(f"7z: the packed header is {content.fault()}")
        return b"".join(pieces)

    def read(self) -> None:
        """Every member; folders whose packed streams are understood are covered."""
        streamed = iter([member for member in self.members if member.streamed])
        at = 0
        for folder, parts in zip(self.streams.folders, self.streams.parts, strict=True):
            members = [next(streamed) for _ in parts]
            self._folder(folder, at, list(zip(members, parts, strict=True)))
            at += len(folder.packed)
        for number, member in enumerate(self.members):
            if not member.streamed:
                self._report.member(_named(member, number), io.BytesIO())

    def _folder(self, folder: Folder, at: int, members: list[tuple[Member, tuple[int, int | None]]]) -> None:
        start, end = self.packed[at]
        try:
            content = Unpacked(
                Window(self._source, start, end), end - start, self.streams.sums[at], folder, self._report
            )
        except Unreadable as why:
            if why.kind == "archive_limit":
                raise
            self._report.unreadable(str(why), kind=why.kind)
            self._unread([member for member, _ in members])
            return
        clean = bool(members)
        for number, (member, (size, crc)) in enumerate(members):
            part = Part(content, size)
            found = self._report.member(_named(member, number), metered(part, self._report.context.budget))
            if part.left or (crc is not None and part.sum != crc):
                self._report.unreadable("7z: a member is broken off or not what its checksum says")
                return
            clean = clean and found.inspectable
        if clean and (fault := content.fault()):
            self._report.unreadable(f"7z: a packed stream is {fault}")
        elif clean:
            self._report.cover(start, end)

    def _unread(self, members: list[Member]) -> None:
        """Names are data also of members that stay closed."""
        for member in members:
            self._names.line(member.name)


def _named(member: Member, number: int) -> str:
    name = member.name or f"member {number + 1}"
    return name + "/" if member.folder else name


def inspect(source: Source, report: Report) -> None:
    """Every member as an object of its own."""
    Archive(source, report).read()
