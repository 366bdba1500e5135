"""GZIP (RFC 1952) and BGZF (SAM specification section 4.1): members one after another, each one DEFLATE stream.

Header fields are data too: the original name and the comment are classified. What stands after the last member belongs to
no structure, and stays a gap; zeros there are the padding that tapes leave (RFC 1952 knows none, gzip(1) ignores it).
"""

from __future__ import annotations

import zlib
from typing import Final

from gateway.inspect.limits import Budget, Metered, Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_PIECE: Final = 1 << 18
_OUT: Final = 1 << 20  # bytes decompressed at a time, whatever a piece expands to
_MAGIC: Final = b"\x1f\x8b"
_EXTRA, _NAME, _COMMENT, _HCRC = 4, 8, 16, 2
_FIELD: Final = 65_536  # longest name or comment; RFC 1952 sets no bound


class Members:
    """The decompressed content of all members as one stream (RFC 1952 section 2.2: they are concatenated)."""

    def __init__(self, source: Source | Stream) -> None:
        self._source = source
        self._left = b""
        self._inflate: zlib._Decompress | None = None
        self._ended = False
        self.told: list[bytes] = []  # names and comments
        self.covered = 0  # bytes of the file that belong to whole members
        self._taken = 0  # bytes read from the file

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        wanted = _OUT if size < 0 else min(size, _OUT)
        while not self._ended:
            if self._inflate is None and not self._begin():
                break
            piece = self._inflated(wanted)
            if piece:
                return piece
        return b""

    def _begin(self) -> bool:
        """The next member's header; False at the end of the file, or where something else follows."""
        if not self._fill(18) or not self._left.startswith(_MAGIC):
            self._ended = True
            return False
        self._header_fields()
        self._inflate = zlib.decompressobj(31)
        return True

    def _header_fields(self) -> None:
        flags, at = self._left[3], 10
        if flags & _EXTRA:
            self._fill(at + 2)
            at += 2 + int.from_bytes(self._left[at : at + 2], "little")
            self._fill(at)
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                self._fill(at + _FIELD)
                end = self._left.find(b"\0", at, at + _FIELD)
                if end < 0:
                    raise Unreadable("gzip: a name or comment without an end")
                if len(self.told) < 2 * 100:  # a member has two; those past a hundred members repeat them
                    self.told.append(self._left[at:end])
                at = end + 1

    def _inflated(self, wanted: int) -> bytes:
        inflate = self._inflate
        assert inflate is not None
        if not self._left and not inflate.unconsumed_tail and not self._fill(1):
            raise Unreadable("gzip: the last member breaks off")
        fed = inflate.unconsumed_tail + self._left
        self._left = b""
        try:
            piece = inflate.decompress(fed, wanted)
        except zlib.error as wrong:
            raise Unreadable("gzip: a member is damaged") from wrong
        if inflate.eof:
            self._left = inflate.unused_data
            self._inflate = None
            self.covered = self._taken - len(self._left)
        return piece

    def _fill(self, size: int) -> bool:
        """At least `size` bytes at hand, where the file has them; False where it has none."""
        while len(self._left) < size:
            piece = self._source.read(_PIECE)
            if not piece:
                return bool(self._left)
            self._taken += len(piece)
            self._left += piece
        return True


def inspect(source: Source | Stream, report: Report) -> None:
    """All members as one content."""
    members = Members(source)
    name = _inner(report.path)
    budget: Budget = report.context.budget
    found = report.content(Metered(members, budget), name)  # type: ignore[arg-type]  # read() is all that is used
    for told in members.told:
        report.text("gzip header").line(told.decode("latin-1"))  # RFC 1952 section 2.3.1: ISO 8859-1
    if found.inspectable:
        report.cover(0, members.covered)


def _inner(path: str) -> str:
    for suffix in (".gz", ".bgz", ".gzip"):
        if path.lower().endswith(suffix):
            return path[: -len(suffix)]
    return path[:-4] + ".tar" if path.lower().endswith(".tgz") else path
