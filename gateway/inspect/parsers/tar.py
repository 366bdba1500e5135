"""TAR: ustar and pax (POSIX.1-2024, pax, "ustar Interchange Format"), and GNU's long names, read as a stream.

Headers are data too: names, links, owners and pax records are classified. Padding and what follows the end of the archive
are covered where they are zeros, as the standard fills them.

Not read: sparse files, parts of volumes. A change must keep: a header whose checksum or fields are wrong ends the reading; an
archive without its end is not whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.decompress import metered
from gateway.inspect.parsers.words import Words, decoded
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_BLOCK: Final = 512
_ZEROS: Final = bytes(_BLOCK)
_PIECE: Final = 1 << 18
_HEADERS: Final = 1 << 20  # bytes of a pax header or long name; the standard sets no bound
_FILES, _EMPTY, _PAX, _LONG = b"07\0", b"123456", b"xg", b"LK"


@dataclass
class Header:
    """One header block with what came before it for this member.

    Attributes:
        name: Of the member.
        kind: Type flag.
        size: Bytes of content.
        sparse: Its content is not the file's.
    """

    name: bytes
    kind: bytes
    size: int
    sparse: bool = False


@dataclass
class Extensions:
    """What pax headers and long names say of the next member."""

    values: dict[bytes, bytes] = field(default_factory=dict)

    def apply(self, header: Header) -> Header:
        """The header as they correct it; pax section "pax Extended Header"."""
        values, self.values = self.values, {}
        header.name = values.get(b"path", header.name)
        if b"size" in values:
            header.size = _decimal(values[b"size"])
        header.sparse = header.kind == b"S" or any(key.startswith(b"GNU.sparse") for key in values)
        return header


class Blocks:
    """The archive in blocks of 512 bytes, with their places."""

    def __init__(self, source: Source | Stream) -> None:
        self._source = source
        self.at = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer at the end of the file."""
        pieces, left = [], size
        while left and (piece := self._source.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        found = b"".join(pieces)
        self.at += len(found)
        return found


class Content:
    """A member's content as a stream, then its padding.

    Attributes:
        left: Bytes not yet read.
    """

    def __init__(self, blocks: Blocks, size: int) -> None:
        self._blocks = blocks
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        wanted = min(self.left, _PIECE if size < 0 else size)
        piece = self._blocks.read(wanted)
        if len(piece) < wanted:
            raise Unreadable("tar: breaks off")
        self.left -= len(piece)
        return piece


class Reader:
    """Reads an archive, header by header."""

    def __init__(self, source: Source | Stream, report: Report) -> None:
        self._blocks = Blocks(source)
        self._report = report
        self._extensions = Extensions()
        self._words = Words(report, "headers")

    def run(self) -> None:
        """To the end of the archive, and on to the end of the file."""
        while True:
            start = self._blocks.at
            block = self._blocks.read(_BLOCK)
            if block == _ZEROS:
                break
            if len(block) < _BLOCK:
                raise Unreadable("tar: breaks off before its end")
            self._member(start, block)
        self._ending(start)

    def _ending(self, start: int) -> None:
        """Two blocks of zeros, then zeros to the end of the record."""
        if self._blocks.read(_BLOCK) != _ZEROS:
            raise Unreadable("tar: breaks off within its end")
        self._report.cover(start, self._blocks.at)
        while True:
            start = self._blocks.at
            piece = self._blocks.read(_PIECE)
            if not piece:
                return
            if not any(piece):
                self._report.cover(start, self._blocks.at)

    def _member(self, start: int, block: bytes) -> None:
        kind = block[156:157]
        header = Header(_name(block), kind, _number(block[124:136]))
        if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20:
            raise Unreadable("tar: a header's checksum is wrong")
        self._header_words(block)
        gnu = block[257:265] == b"ustar  \0"
        self._report.cover(start, start + 345)
        if _is_extension_of_gnu(block) if gnu else _is_ended(block[345:500]) and not any(block[500:]):
            self._report.cover(start + 345, start + _BLOCK)
        if kind in _PAX or kind in _LONG:
            self._extend(kind, header.size)
            return
        header = self._extensions.apply(header)
        if kind in _EMPTY and header.size:  # some tools read on past its content, others do not
            raise Unreadable("tar: a link or folder with content", kind="media_mismatch")
        self._content(header)

    def _content(self, header: Header) -> None:
        name = _decoded(header.name)
        if _leaves(name):
            self._report.found("media_mismatch", "a member name that leaves the folder")
        start = self._blocks.at
        content = Content(self._blocks, header.size)
        stream = metered(content, self._report.context.budget)
        found = self._report.member(name, stream)
        while content.left:
            content.read()
        if header.sparse or header.kind not in _FILES + _EMPTY:
            self._report.unreadable("tar: a member of a kind that is not read (sparse, or part of a volume)")
        elif found.inspectable:
            self._report.cover(start, start + header.size)
        self._padding(header.size)

    def _extend(self, kind: bytes, size: int) -> None:
        if size > _HEADERS:
            raise Unreadable(f"tar: a header of more than {_HEADERS} bytes", kind="archive_limit")
        start = self._blocks.at
        told = self._blocks.read(size)
        if len(told) < size:
            raise Unreadable("tar: breaks off")
        if kind in _PAX:
            read = self._records(told, keep=kind == b"x")
        else:
            read = self._words.add(told)
            if kind == b"L":
                self._extensions.values[b"path"] = told.rstrip(b"\0")
        if read:
            self._report.cover(start, start + size)
        self._padding(size)

    def _records(self, told: bytes, *, keep: bool) -> bool:
        r"""`<length> <keyword>=<value>\n`, one after another."""
        at, read = 0, True
        while at < len(told):
            blank = told.find(b" ", at, at + 20)
            if blank < 0:  # nor would the walk get any further
                raise Unreadable("tar: a pax record is malformed")
            size = _decimal(told[at:blank])
            record = told[blank + 1 : at + size]
            key, sign, value = record[:-1].partition(b"=")
            if not sign or record[-1:] != b"\n" or len(record) + blank + 1 - at != size:
                raise Unreadable("tar: a pax record is malformed")
            read = self._words.add(record[:-1]) and read
            if keep:
                self._extensions.values[key] = value
            elif key in (b"path", b"size"):
                raise Unreadable("tar: one name or size for all members")
            at += size
        return read

    def _header_words(self, block: bytes) -> None:
        """Link, owner and group; the name is the member's."""
        fields = [block[start:end] for start, end in ((0, 100), (157, 257), (265, 297), (297, 329))]
        for each in fields[1:]:
            self._words.add(each.partition(b"\0")[0])
        if not all(map(_is_ended, fields)):
            self._report.unreadable("tar: bytes after the end of a field")

    def _padding(self, size: int) -> None:
        start = self._blocks.at
        padding = self._blocks.read(-size % _BLOCK)
        if len(padding) < -size % _BLOCK:
            raise Unreadable("tar: breaks off")
        if not any(padding):
            self._report.cover(start, self._blocks.at)


def _name(block: bytes) -> bytes:
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _is_ended(text: bytes) -> bool:
    """Whether nothing stands behind the NUL that ends a field."""
    return not any(text.partition(b"\0")[2])


def _is_extension_of_gnu(block: bytes) -> bool:
    """Two times in octal, then nothing: GNU's fields for sparse files and volumes are not read."""
    return not block[345:369].strip(b"01234567 \0") and not any(block[369:])


def _number(digits: bytes) -> int:
    """Octal, or base 256 where the first bit is set (GNU and pax implementations for large values)."""
    if digits[:1] == b"\x80":
        return int.from_bytes(digits[1:], "big")
    plain = digits.strip(b" \0")
    if plain.strip(b"01234567"):
        raise Unreadable("tar: a number is malformed")
    return int(plain or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise Unreadable("tar: a number is malformed")
    return int(digits)


def _decoded(name: bytes) -> str:
    return decoded(name) or name.decode("latin-1")


def _leaves(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def inspect(source: Source | Stream, report: Report) -> None:
    """Every member as an object of its own."""
    Reader(source, report).run()
