"""Fields of a 7z header: numbers of several widths, vectors of bits, digests.

Source: 7zFormat.txt of the 7-Zip documentation (18.06), "Notes about Notation and encoding" and "Digests". Not here: which
fields there are (`sevenheader`).
"""

from __future__ import annotations

from gateway.inspect.limits import Unreadable


class Fields:
    """Bytes of a header one after another.

    Args:
        raw: Of the header.
        most: Files, folders and streams that it may list.
    """

    def __init__(self, raw: bytes, most: int) -> None:
        self._raw = raw
        self.most = most
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._raw) - self.at

    def take(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            Unreadable: There are fewer.
        """
        if size > self.left:
            raise Unreadable("7z: the header breaks off")
        self.at += size
        return self._raw[self.at - size : self.at]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """UINT64: as many of the first byte's high bits as are set say how many bytes follow."""
        first = self.byte()
        extra = 8 - (first ^ 0xFF).bit_length()
        low = int.from_bytes(self.take(extra), "little")
        return low if extra > 6 else ((first & ((0x80 >> extra) - 1)) << 8 * extra) + low

    def count(self) -> int:
        """How many of something.

        Raises:
            Unreadable: More than may be.
        """
        found = self.number()
        if found > self.most:
            raise Unreadable(f"7z: more than {self.most} members, folders or streams", kind="archive_limit")
        return found

    def expect(self, wanted: int) -> None:
        """This byte."""
        if self.byte() != wanted:
            raise Unreadable("7z: a part of the header is missing or not known")

    def bits(self, count: int) -> list[bool]:
        """A vector of bits, the highest of a byte first; those left over are zero."""
        raw = self.take((count + 7) // 8)
        found = [bool(raw[at // 8] & (0x80 >> at % 8)) for at in range(len(raw) * 8)]
        if any(found[count:]):
            raise Unreadable("7z: bits that belong to nothing")
        return found[:count]

    def defined(self, count: int) -> list[bool]:
        """Which of so many things have a value."""
        return self.bits(count) if not self.byte() else [True] * count

    def digests(self, count: int) -> list[int | None]:
        """Digests: CRC-32 of each stream, None where it is not defined."""
        return [int.from_bytes(self.take(4), "little") if told else None for told in self.defined(count)]

    def within(self, size: int) -> Fields:
        """The next bytes as fields of their own."""
        return Fields(self.take(size), self.most)

    def finish(self) -> None:
        """Nothing is left."""
        if self.left:
            raise Unreadable("7z: a property of the header is longer than what it says")
