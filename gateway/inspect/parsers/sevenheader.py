"""Headers of 7z archives: where packed streams lie, how they are unpacked, which members come out.

Source: 7zFormat.txt of the 7-Zip documentation (18.06), whose names of structures are used here. Not here: unpacking
(`seven`, `sevencoders`).

A change must keep: every number is bounded before it is used; a property that is not known, or not used up to its last byte,
makes the header unreadable.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.sevenfields import Fields

END, HEADER, MAIN_STREAMS, FILES, PACK, UNPACK, SUBSTREAMS = 0x00, 0x01, 0x04, 0x05, 0x06, 0x07, 0x08
SIZE, CRC, FOLDER, UNPACK_SIZE, UNPACK_STREAMS = 0x09, 0x0A, 0x0B, 0x0C, 0x0D
EMPTY_STREAM, EMPTY_FILE, ANTI, NAMES, ATTRIBUTES, ENCODED, DUMMY = 0x0E, 0x0F, 0x10, 0x11, 0x15, 0x17, 0x19
_TIMES: Final = frozenset({0x12, 0x13, 0x14})
_CODERS: Final = 32  # of a folder, as many as 7-Zip reads itself
_DIRECTORY: Final = 0x10  # FILE_ATTRIBUTE_DIRECTORY


@dataclass(frozen=True)
class Coder:
    """One step of unpacking."""

    method: bytes
    properties: bytes
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Folder:
    """Coders that make one stream of packed ones.

    Attributes:
        coders: As listed.
        binds: (input, output) streams that are one, by their numbers over all coders.
        packed: Numbers of inputs that are packed streams.
        sizes: Bytes that come out of each output.
        crc: CRC-32 of what comes out at last; None where it is not told.
    """

    coders: tuple[Coder, ...]
    binds: tuple[tuple[int, int], ...]
    packed: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    crc: int | None = None

    @property
    def last(self) -> int:
        """The output that is bound to no input."""
        bound = {output for _, output in self.binds}
        return next(number for number in range(len(self.sizes)) if number not in bound)

    def chain(self) -> list[int] | None:
        """Coders from the packed stream to what comes out; None where they are no chain of one input each."""
        if any(coder.inputs != 1 or coder.outputs != 1 for coder in self.coders) or len(self.packed) != 1:
            return None
        sources = dict(self.binds)
        order = [self.last]
        while (source := sources.get(order[-1])) is not None:
            if source in order:
                return None
            order.append(source)
        return order[::-1] if len(order) == len(self.coders) and order[-1] == self.packed[0] else None


@dataclass
class Streams:
    """StreamsInfo.

    Attributes:
        start: Of the packed streams, from the end of the signature header on.
        packed: Bytes of each packed stream.
        sums: CRC-32 of each packed stream, where told.
        folders: In the order of their packed streams.
        parts: (size, CRC-32 or None) of what comes out of each folder, in order.
    """

    start: int = 0
    packed: list[int] = field(default_factory=list)
    sums: list[int | None] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    parts: list[list[tuple[int, int | None]]] = field(default_factory=list)


@dataclass(frozen=True)
class Member:
    """A file, folder or anti-item (a name to be deleted)."""

    name: str
    streamed: bool
    folder: bool


def streams_of(fields: Fields) -> Streams:
    """StreamsInfo, after its own identifier."""
    found = Streams()
    part = fields.byte()
    if part == PACK:
        _packed(fields, found)
        part = fields.byte()
    if part == UNPACK:
        _folders(fields, found)
        part = fields.byte()
    if part == SUBSTREAMS:
        _substreams(fields, found)
        part = fields.byte()
    else:
        found.parts = [[(folder.sizes[folder.last], folder.crc)] for folder in found.folders]
    if part != END or sum(len(folder.packed) for folder in found.folders) != len(found.packed):
        raise Unreadable("7z: the streams of the header do not fit its folders")
    return found


def _packed(fields: Fields, found: Streams) -> None:
    found.start = fields.number()
    count = fields.count()
    found.sums = [None] * count
    part = fields.byte()
    if part == SIZE:
        found.packed = [fields.number() for _ in range(count)]
        part = fields.byte()
    if part == CRC:
        found.sums = fields.digests(count)
        part = fields.byte()
    if part != END or len(found.packed) != count:
        raise Unreadable("7z: packed streams without their sizes")


def _folders(fields: Fields, found: Streams) -> None:
    fields.expect(FOLDER)
    count = fields.count()
    fields.expect(0)  # not external
    bare = [_folder(fields) for _ in range(count)]
    fields.expect(UNPACK_SIZE)
    sized = [
        replace(each, sizes=tuple(fields.number() for _ in range(sum(coder.outputs for coder in each.coders))))
        for each in bare
    ]
    part = fields.byte()
    sums: list[int | None] = [None] * count
    if part == CRC:
        sums = fields.digests(count)
        part = fields.byte()
    if part != END:
        raise Unreadable("7z: folders that do not end")
    found.folders = [replace(each, crc=crc) for each, crc in zip(sized, sums, strict=True)]


def _folder(fields: Fields) -> Folder:
    coders = tuple(_coder(fields) for _ in range(_few(fields.number())))
    inputs, outputs = sum(coder.inputs for coder in coders), sum(coder.outputs for coder in coders)
    binds = tuple((fields.number(), fields.number()) for _ in range(_few(outputs) - 1))
    bound = {into for into, _ in binds}
    free = _few(inputs) - len(binds)
    packed = (
        tuple(fields.number() for _ in range(free))
        if free > 1
        else tuple(at for at in range(inputs) if at not in bound)[:1]
    )
    told = (bound | set(packed)) == set(range(inputs)) and len({out for _, out in binds}) == len(binds)
    if free < 1 or not told or any(out >= outputs for _, out in binds):
        raise Unreadable("7z: a folder whose streams are bound to nothing")
    return Folder(coders, binds, packed)


def _few(count: int) -> int:
    if not 1 <= count <= _CODERS:
        raise Unreadable("7z: a folder without coders or with too many")
    return count


def _coder(fields: Fields) -> Coder:
    flags = fields.byte()
    if flags & 0xC0:  # reserved, and alternatives that must not be
        raise Unreadable("7z: a coder of an unknown form")
    method = fields.take(flags & 0x0F)
    inputs, outputs = (_few(fields.number()), _few(fields.number())) if flags & 0x10 else (1, 1)
    return Coder(method, fields.take(fields.number()) if flags & 0x20 else b"", inputs, outputs)


def _substreams(fields: Fields, found: Streams) -> None:
    """Sizes but the last of each folder, which is what is left; digests but of folders whose only stream has one."""
    part = fields.byte()
    counts = [1] * len(found.folders)
    if part == UNPACK_STREAMS:
        counts = [fields.count() for _ in found.folders]
        part = fields.byte()
    if sum(counts) > fields.most:
        raise Unreadable("7z: more streams than members may be", kind="archive_limit")
    told = part == SIZE
    sizes = [_sizes(fields, folder, count, told=told) for folder, count in zip(found.folders, counts, strict=True)]
    part = fields.byte() if told else part
    alone = [count == 1 and folder.crc is not None for folder, count in zip(found.folders, counts, strict=True)]
    open_ = sum(count for count, known in zip(counts, alone, strict=True) if not known)
    sums: list[int | None] = [None] * open_
    if part == CRC:
        sums = fields.digests(open_)
        part = fields.byte()
    if part != END:
        raise Unreadable("7z: streams of folders that do not end")
    left = iter(sums)
    found.parts = [
        [(size, folder.crc if known else next(left)) for size in each]
        for each, folder, known in zip(sizes, found.folders, alone, strict=True)
    ]


def _sizes(fields: Fields, folder: Folder, count: int, *, told: bool) -> list[int]:
    if not count:
        return []
    if count > 1 and not told:
        raise Unreadable("7z: members without sizes")
    sizes = [fields.number() for _ in range(count - 1)]
    rest = folder.sizes[folder.last] - sum(sizes)
    if rest < 0:
        raise Unreadable("7z: members larger than their folder")
    return [*sizes, rest]


def header_of(fields: Fields) -> tuple[Streams, list[Member]]:
    """Header, after its own identifier; to its last byte.

    Raises:
        Unreadable: It is damaged, or has properties or further streams that nobody here knows.
    """
    streams, members = Streams(), list[Member]()
    part = fields.byte()
    if part == MAIN_STREAMS:
        streams = streams_of(fields)
        part = fields.byte()
    if part == FILES:
        members = _members(fields)
        part = fields.byte()
    if part != END or fields.left:
        raise Unreadable("7z: a header with properties that are not known")
    if sum(member.streamed for member in members) != sum(map(len, streams.parts)):
        raise Unreadable("7z: members and their streams are of different numbers")
    return streams, members


def _members(fields: Fields) -> list[Member]:
    count = fields.count()
    empty, names = [False] * count, [""] * count
    attributes = [0] * count
    files: list[bool] = []
    seen: set[int] = set()
    while kind := fields.byte():
        property_ = fields.within(fields.number())
        if kind in seen and kind != DUMMY:
            raise Unreadable("7z: a property that comes twice")
        seen.add(kind)
        if kind == EMPTY_STREAM:
            empty = property_.bits(count)
        elif kind == EMPTY_FILE:
            files = property_.bits(sum(empty))
        elif kind == ANTI:
            property_.bits(sum(empty))
        elif kind == NAMES:
            names = _names(property_, count)
        elif kind in _TIMES or kind == ATTRIBUTES:
            values = _values(property_, count, 4 if kind == ATTRIBUTES else 8)
            attributes = values if kind == ATTRIBUTES else attributes
        elif kind != DUMMY or any(property_.take(property_.left)):
            raise Unreadable("7z: a property of members that is not known")
        property_.finish()
    said = iter(files or [False] * sum(empty))
    folders = [bare and not next(said) for bare in empty]
    return [
        Member(name, not bare, folder or bool(told & _DIRECTORY))
        for name, bare, folder, told in zip(names, empty, folders, attributes, strict=True)
    ]


def _names(fields: Fields, count: int) -> list[str]:
    """UTF-16, each with a zero at its end."""
    fields.expect(0)  # not external
    try:
        names = fields.take(fields.left).decode("utf-16-le").split("\0")
    except UnicodeDecodeError as wrong:
        raise Unreadable("7z: names that are not UTF-16") from wrong
    if len(names) != count + 1 or names[-1]:
        raise Unreadable("7z: members and their names are of different numbers")
    return names[:-1]


def _values(fields: Fields, count: int, width: int) -> list[int]:
    """Times or attributes; 0 where none is told."""
    defined = fields.defined(count)
    fields.expect(0)  # not external
    return [int.from_bytes(fields.take(width), "little") if told else 0 for told in defined]


def opened(raw: bytes, crc: int, most: int, unpack: Callable[[Streams], bytes]) -> tuple[Streams, list[Member]]:
    """The header, unpacked where it is packed.

    Args:
        raw: What the signature header leads to.
        crc: CRC-32 of it.
        most: Members, folders and streams that may be.
        unpack: Makes a header of the one folder that holds it.

    Raises:
        Unreadable: It is damaged or not known.
    """
    if zlib.crc32(raw) != crc:
        raise Unreadable("7z: the header is damaged")
    fields = Fields(raw, most)
    part = fields.byte()
    for _ in range(2):  # 7-Zip packs a header once
        if part != ENCODED:
            break
        streams = streams_of(fields)
        fields.finish()
        fields = Fields(unpack(streams), most)
        part = fields.byte()
    if part != HEADER:
        raise Unreadable("7z: no header")
    return header_of(fields)
