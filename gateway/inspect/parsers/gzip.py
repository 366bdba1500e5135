"""GZIP (RFC 1952) and BGZF (SAM specification section 4.1): members one after another, each one DEFLATE stream.

Header fields are data too: names and comments are classified, and an extra field may only say the size of a BGZF block. What
stands after the last member belongs to no structure, and stays a gap; zeros there are the padding that tapes leave (RFC 1952
knows none, gzip(1) ignores it). A file of BGZF blocks throughout ends with an empty one (section 4.1.2), or was cut off.

ISA-L inflates, at 2.5 times the speed of zlib; it checks the sums of content and header, and the size.
"""

from __future__ import annotations

from typing import Final

from isal import isal_zlib
from isal.igzip_lib import IsalError

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.bgzf import END
from gateway.inspect.parsers.decompress import metered
from gateway.inspect.parsers.words import Words, decoded
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_PIECE: Final = 1 << 18
_FIRST: Final = 1 << 12  # bytes that a member is fed first, so that tiny members cost what they are; then twice as many
_OUT: Final = 1 << 20  # bytes decompressed at a time, whatever a piece expands to
_MAGIC: Final = b"\x1f\x8b"
_DEFLATE: Final = 8
_EXTRA, _NAME, _COMMENT, _RESERVED = 4, 8, 16, 0xE0
_FIELD: Final = 65_536  # longest name or comment; RFC 1952 sets no bound
_BLOCK: Final = b"\x06\x00BC\x02\x00"  # XLEN 6, one field of two bytes: what of a BGZF block is behind its size


class Members:
    """The decompressed content of all members as one stream (RFC 1952 section 2.2: they are concatenated).

    Args:
        source: The file.
        words: Takes names and comments.

    Attributes:
        covered: Bytes of the file that belong to whole members.
        blocked: All members so far are BGZF blocks.
        marked: The last of them is the empty one that ends a file.
    """

    def __init__(self, source: Source | Stream, words: Words) -> None:
        self._source = source
        self._words = words
        self._held = b""
        self._at = 0
        self._taken = 0  # bytes read from the file
        self._inflate: isal_zlib.Decompress | None = None
        self._feed = _FIRST
        self._ends = 0  # where in the file the block says that it ends; 0 for other members
        self._ended = False
        self.covered = 0
        self.blocked = True
        self.marked = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end.

        Raises:
            Unreadable: A member is damaged, breaks off, or holds more than it should.
        """
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
        self._fill(len(END))
        head = self._held[self._at : self._at + 18]
        if len(head) < 18 or not head.startswith(_MAGIC):
            self._ended = True
            return False
        if head[2] != _DEFLATE or head[3] & _RESERVED:
            raise Unreadable("gzip: a member of an unknown form")
        self.marked = self._held.startswith(END, self._at)
        self._ends = 0
        self._header_fields(head[3])
        self.blocked = self.blocked and self._ends > 0
        self._inflate = isal_zlib.decompressobj(31)
        self._feed = _FIRST
        return True

    def _header_fields(self, flags: int) -> None:
        size = 10
        if flags & _EXTRA:
            if not self._held.startswith(_BLOCK, self._at + size):
                raise Unreadable("gzip: an extra field that is not known")
            self._ends = self.covered + 1 + int.from_bytes(self._held[self._at + 16 : self._at + 18], "little")
            size = 18
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                self._fill(size + _FIELD)
                start = self._at + size
                end = self._held.find(b"\0", start, start + _FIELD)
                if end < 0:
                    raise Unreadable("gzip: a name or comment without an end")
                told = self._held[start:end]
                self._words.line(decoded(told) or told.decode("latin-1"))  # RFC 1952 section 2.3.1: ISO 8859-1
                size = end + 1 - self._at

    def _inflated(self, wanted: int) -> bytes:
        inflate = self._inflate
        assert inflate is not None
        fed = inflate.unconsumed_tail or self._next()
        try:
            piece: bytes = inflate.decompress(fed, wanted)
        except IsalError as wrong:  # type: ignore[misc]  # its stub does not say that it is an exception
            raise Unreadable("gzip: a member is damaged") from wrong
        if inflate.eof:
            self._at -= len(inflate.unused_data)
            self._inflate = None
            self.covered = self._taken - len(self._held) + self._at
            if self._ends not in {0, self.covered}:
                raise Unreadable("gzip: a BGZF block of another size than it says", kind="media_mismatch")
        elif not fed and not piece:
            raise Unreadable("gzip: the last member breaks off")
        return piece

    def _next(self) -> bytes:
        """What the member is fed next; nothing at the end of the file."""
        self._fill(1)
        fed = self._held[self._at : self._at + self._feed]
        self._at += len(fed)
        self._feed = min(self._feed * 2, _PIECE)
        return fed

    def _fill(self, size: int) -> None:
        """At least `size` bytes at hand, where the file has them."""
        while len(self._held) - self._at < size:
            piece = self._source.read(_PIECE)
            if not piece:
                return
            self._taken += len(piece)
            self._held, self._at = self._held[self._at :] + piece, 0


def inspect(source: Source | Stream, report: Report) -> None:
    """All members as one content."""
    members = Members(source, Words(report, "gzip header"))
    found = report.content(metered(members, report.context.budget), _inner(report.path))
    if members.blocked and not members.marked:
        report.unreadable(
            "the end marker is missing: a BGZF file that was cut off; send it again (samtools quickcheck)"
        )
    if found.inspectable:
        report.cover(0, members.covered)


def _inner(path: str) -> str:
    for suffix in (".gz", ".bgz", ".gzip"):
        if path.lower().endswith(suffix):
            return path[: -len(suffix)]
    return path[:-4] + ".tar" if path.lower().endswith(".tgz") else path
