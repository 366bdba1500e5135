"""The structure of a ZIP file (PKWARE APPNOTE 6.3.10): directory, local headers, and where everything lies.

Tools disagree about damaged or crafted archives: some believe the central directory, some the local headers. Only archives
on which all must agree are read: one directory at the end, headers that say the same, members that do not overlap.

Not here: what members hold (`zip`). A change must keep: nothing is decompressed before the whole structure was checked;
`cover` is said of bytes only that were parsed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from gateway.core.encodings import encoding_of
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_END, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_END64, _LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
_TAIL: Final = 22 + 65_535  # an end record and the longest comment, section 4.3.16
_U16, _U32 = 0xFFFF, 0xFFFFFFFF  # "look at the ZIP64 record", section 4.4.1.4
ENCRYPTED, DESCRIPTOR, UTF8, HIDDEN = 1, 1 << 3, 1 << 11, 1 << 13  # general purpose bits, section 4.4.4
AES: Final = 99
# Extra fields of numbers only (times, owners, sizes, alignment) and the most bytes they may have; section 4.5, extrafld.txt
_NUMERIC: Final = {0x0001: 28, 0x000A: 32, 0x5455: 13, 0x5855: 12, 0x7855: 4, 0x7875: 24, 0xCAFE: 0, 0x9901: 7}
_WORDS: Final = {0x7075: 5, 0x6375: 5}  # Unicode path and comment, sections 4.6.8 and 4.6.9: text after five bytes
_TORCH_PADDING: Final = 0x4246  # PyTorch aligns storages by "FB" and so many Z (caffe2/serialize/inline_container)
_PADDING: Final = {0xA220: 4, 0xD935: 2}  # Open Packaging and Android alignment: zeros after so many bytes


class Conflict(Unreadable):
    """Two places of an archive say different things: tools would read different members."""

    def __init__(self, message: str) -> None:
        super().__init__(f"zip: {message}", kind="media_mismatch")


@dataclass(frozen=True)
class Entry:
    """A member as the central directory describes it.

    Attributes:
        name: Decoded.
        raw: The name's bytes.
        flags: General purpose bits.
        method: Of compression.
        crc: CRC-32 of the content.
        packed: Bytes as stored.
        size: Bytes of content.
        at: Where its local header begins.
        data: Where its bytes begin; the local header tells.
        end: Where they end, and its data descriptor after them.
        link: Whether its content is the target of a symbolic link.
    """

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int
    data: int = 0
    end: int = 0
    link: bool = False

    @property
    def locked(self) -> bool:
        """Under a password."""
        return bool(self.flags & (ENCRYPTED | HIDDEN)) or self.method == AES


@dataclass(frozen=True)
class Ending:
    """The end of central directory record, ZIP64 included.

    Attributes:
        count: Of members.
        at: Where the central directory begins.
        end: Where it ends.
        shift: Bytes in front of the archive that its offsets do not know of.
        comment: Of the archive.
    """

    count: int
    at: int
    end: int
    shift: int
    comment: bytes


def decoded(raw: bytes, flags: int) -> str:
    """A name or comment: UTF-8 where bit 11 says so or it is plausible, GB 18030 where plausible, else code page 437."""
    encoding = "utf-8" if flags & UTF8 else encoding_of(raw) or "cp437"
    return raw.decode(encoding, "replace")


class Directory:
    """Reads the structure; text in it goes to `told`.

    Args:
        source: The archive.
        report: Is told what was covered.

    Attributes:
        entries: In the order in which their bytes lie.
        told: Comments and names in extra fields.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self.told: list[bytes] = []
        ending = self._ending()
        self.told.append(ending.comment)
        listed = self._central(ending)
        self.entries = [self._placed(entry) for entry in sorted(listed, key=lambda each: each.at)]
        self._check_overlaps(ending)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _ending(self) -> Ending:
        start = max(self._source.size - _TAIL, 0)
        tail = self._bytes(start, self._source.size - start)
        at = self._last_end(tail)
        disk, first_disk, here, count, size, offset, words = struct.unpack_from("<4H2LH", tail, at + 4)
        comment = tail[at + 22 : at + 22 + words]
        if len(comment) < words:
            raise Unreadable("zip: the comment breaks off")
        if (disk, first_disk) != (0, 0) and (disk, first_disk) != (_U16, _U16):
            raise Unreadable("zip: a part of a split archive")
        if here != count:
            raise Conflict("the end record's counts differ")
        self._report.cover(start + at, start + at + 22 + len(comment))
        end, counted = start + at, (count, size, offset)
        if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR:
            end, counted = self._zip64(start + at - 20, counted)
        elif count == _U16 or _U32 in (size, offset):
            raise Unreadable("zip: the ZIP64 record is missing")
        count, size, offset = counted
        shift = end - size - offset
        if shift < 0:
            raise Unreadable("zip: the central directory lies outside of the file")
        return Ending(count, end - size, end, shift, comment)

    def _last_end(self, tail: bytes) -> int:
        """Of several candidates the last that fits the file's end, else the last: what is then left over is a gap."""
        at = tail.rfind(_END)
        fallback = -1
        while at >= 0:
            if len(tail) - at >= 22:
                left = len(tail) - at - 22
                words = int.from_bytes(tail[at + 20 : at + 22], "little")
                if words == left:
                    return at
                fallback = at if fallback < 0 and words < left else fallback
            at = tail.rfind(_END, 0, at)
        if fallback < 0:
            raise Unreadable("zip: no central directory")
        return fallback

    def _zip64(self, locator: int, old: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
        """Section 4.3.14 and 4.3.15; the record stands right before its locator or the archive is not read."""
        record = locator - 56
        if record < 0:
            raise Unreadable("zip: the ZIP64 record breaks off")
        fields = struct.unpack("<4sQ2H2L4Q", self._bytes(record, 56))
        pointed = struct.unpack("<4sLQL", self._bytes(locator, 20))
        if fields[0] != _END64 or fields[1] != 44 or fields[4:6] != (0, 0) or pointed[1] != 0 or pointed[3] > 1:
            raise Unreadable("zip: a ZIP64 record of another kind")
        new = (fields[7], fields[8], fields[9])
        if fields[6] != fields[7] or pointed[2] > record:
            raise Conflict("the ZIP64 record's counts differ")
        if any(short not in (wide, mark) for short, wide, mark in zip(old, new, (_U16, _U32, _U32), strict=True)):
            raise Conflict("the ZIP64 record differs from the end record")
        self._report.cover(record, locator + 20)
        return record, new

    # --- the central directory ---------------------------------------------------------------------------------------

    def _central(self, ending: Ending) -> list[Entry]:
        budget = self._report.context.budget
        if ending.count > budget.limits.members:
            raise Unreadable(f"more than {budget.limits.members} members", kind="archive_limit")
        budget.room(ending.end - ending.at)
        records = self._bytes(ending.at, ending.end - ending.at)
        entries, at = [], 0
        for _ in range(ending.count):
            entry, size = self._record(records, at, ending)
            entries.append(entry)
            at += size
        if at != len(records):
            raise Conflict("the central directory holds more than the members counted")
        return entries

    def _record(self, records: bytes, at: int, ending: Ending) -> tuple[Entry, int]:
        """Section 4.3.12."""
        if len(records) - at < 46 or records[at : at + 4] != _CENTRAL:
            raise Unreadable("zip: the central directory breaks off")
        flags, method = struct.unpack_from("<2H", records, at + 8)
        crc, packed, size, name, extra, words, disk, _, mode, offset = struct.unpack_from("<3L4HHLL", records, at + 16)
        stop = at + 46 + name + extra + words
        if stop > len(records):
            raise Unreadable("zip: the central directory breaks off")
        raw = records[at + 46 : at + 46 + name]
        wide = self._extra(records[at + 46 + name : stop - words], ending.at + at + 46 + name)
        values = _widened(wide, (size, packed, offset))
        if disk not in (0, _U16):
            raise Unreadable("zip: a part of a split archive")
        self._report.cover(ending.at + at, ending.at + at + 46 + name)
        self._report.cover(ending.at + stop - words, ending.at + stop)
        self.told.append(records[stop - words : stop])
        link = mode >> 28 == 0xA  # S_IFLNK in the upper half, as Unix tools store it
        entry = Entry(
            decoded(raw, flags), raw, flags, method, crc, values[1], values[0], values[2] + ending.shift, link=link
        )
        if entry.at + 30 + entry.packed > ending.at:
            raise Unreadable("zip: a member lies outside of the file")
        return entry, stop - at

    def _extra(self, fields: bytes, start: int) -> bytes:
        """Cover what is understood, tell the text; the ZIP64 field's content. Section 4.5."""
        at, wide = 0, b""
        while len(fields) - at >= 4:
            kind, size = struct.unpack_from("<2H", fields, at)
            body = fields[at + 4 : at + 4 + size]
            if len(body) < size:
                break
            if kind in _WORDS:
                self.told.append(body[_WORDS[kind] :])
            if _understood(kind, body):
                self._report.cover(start + at, start + at + 4 + size)
            wide = body if kind == 1 else wide
            at += 4 + size
        return wide

    # --- local headers -----------------------------------------------------------------------------------------------

    def _placed(self, entry: Entry) -> Entry:
        """Section 4.3.7; what it says must be what the central directory says."""
        head = self._bytes(entry.at, 30)
        if len(head) < 30 or head[:4] != _LOCAL:
            raise Unreadable("zip: a member without a local header")
        flags, method = struct.unpack_from("<2H", head, 6)
        crc, packed, size, name, extra = struct.unpack_from("<3L2H", head, 14)
        rest = self._bytes(entry.at + 30, name + extra)
        wide = self._extra(rest[name:], entry.at + 30 + name)
        if (flags, method, rest[:name]) != (entry.flags, entry.method, entry.raw):
            raise Conflict("a local header differs from the central directory")
        size, packed, _ = _widened(wide, (size, packed, 0))
        said = (crc, packed, size)
        if said != (entry.crc, entry.packed, entry.size) and not (flags & DESCRIPTOR and _later(said)):
            raise Conflict("a local header differs from the central directory")
        data = entry.at + 30 + name + extra
        self._report.cover(entry.at, entry.at + 30 + name)
        end = data + entry.packed
        if flags & DESCRIPTOR:
            end += self._descriptor(entry, end, wide=bool(wide))
        return replace(entry, data=data, end=end)

    def _descriptor(self, entry: Entry, at: int, *, wide: bool) -> int:
        """Bytes of the data descriptor, section 4.3.9; none where there is no such thing: then they are a gap."""
        shape = "<L2Q" if wide else "<3L"
        expected = struct.pack(shape, entry.crc, entry.packed, entry.size)
        found = self._bytes(at, len(expected) + 4)
        for signature in (b"PK\x07\x08", b""):
            if found.startswith(signature + expected):
                size = len(signature) + len(expected)
                self._report.cover(at, at + size)
                return size
        raise Conflict("a data descriptor differs from the central directory")

    def _check_overlaps(self, ending: Ending) -> None:
        """Members that share bytes: a bomb (Fifield 2019), or two readings of one file."""
        reached = 0
        for entry in self.entries:
            if entry.at < reached or entry.end > ending.at:
                raise Conflict("members overlap")
            reached = entry.end

    def _bytes(self, at: int, size: int) -> bytes:
        self._source.seek(at)
        return self._source.read(size)


def _later(said: tuple[int, int, int]) -> bool:
    """Whether a local header leaves sizes to the data descriptor (section 4.4.4 bit 3)."""
    return said[0] == 0 and all(value in (0, _U32) for value in said[1:])


def _widened(wide: bytes, values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Values, those that are all ones replaced from the ZIP64 field (section 4.5.3) in their order."""
    found, at = [], 0
    for value in values:
        if value == _U32 and len(wide) >= at + 8:
            found.append(int.from_bytes(wide[at : at + 8], "little"))
            at += 8
        else:
            found.append(value)
    return found[0], found[1], found[2]


def _understood(kind: int, body: bytes) -> bool:
    if kind in _PADDING:
        return not any(body[_PADDING[kind] :])
    if kind == _TORCH_PADDING:
        return not body.strip(b"Z")
    return kind in _WORDS or (kind in _NUMERIC and len(body) <= _NUMERIC[kind])
