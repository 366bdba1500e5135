"""The encoding of DICOM data sets: a file's bytes as data elements, one after another (PS3.5 sections 6.2, 7 and annex A).

Read forward and element by element: what is between two elements cannot be overlooked, and pixels of any size are passed
over. Names and value representations come from pydicom's dictionaries (PS3.6).

A change must keep: an element is told only where it is whole; tags ascend (PS3.5 section 7.1), so that what follows the last
one, a second file say, is not taken for elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_keyword, dictionary_VR, private_dictionary_VR

from gateway.inspect.forward import Cursor
from gateway.inspect.limits import Unreadable

UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 section 7.5
_LONG: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})  # table 7.1-1
_SHORT: Final = frozenset(
    {
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    }
)
TEXTS: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_DEPTH: Final = 64
_ELEMENTS: Final = 2_000_000  # of a file, all sequences together
PIXELS: Final = 0x7FE00010


@dataclass(frozen=True)
class Syntax:
    """How elements are written.

    Attributes:
        explicit: The value representation stands in every element.
        order: `<` or `>`, as `struct` says it.
    """

    explicit: bool = True
    order: str = "<"


@dataclass
class Dataset:
    """One level of elements: what later ones need of earlier ones.

    Attributes:
        path: Tags of the sequences it lies in; empty for the file's own.
        charset: (0008,0005), inherited.
        creators: Private blocks of it: (group, block) to creator (PS3.5 section 7.8).
    """

    path: tuple[int, ...] = ()
    charset: tuple[str, ...] = ()
    creators: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Element:
    """One data element whose value is still to be read.

    Attributes:
        tag: group << 16 | element.
        vr: Two letters.
        length: Bytes of the value; UNDEFINED for encapsulated pixels.
        start: Where its first byte is in the data set's stream.
        home: The data set it is in.
    """

    tag: int
    vr: str
    length: int
    start: int
    home: Dataset

    @property
    def private(self) -> bool:
        """Of an odd group."""
        return bool(self.tag >> 16 & 1)


@lru_cache(maxsize=8192)
def place_of(tag: int) -> str:
    """As findings show a tag: `(0010,0010) PatientName`; private ones have no name."""
    name = "" if tag >> 16 & 1 else dictionary_keyword(tag) if _known(tag) else ""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name}".rstrip()


def _known(tag: int) -> bool:
    try:
        dictionary_VR(tag)
    except KeyError:
        return False
    return True


class Elements:
    """Walks a stream of elements.

    Args:
        cursor: At the first element.
        syntax: How they are written.
        take: Called for every element with a value; it reads exactly `length` bytes, or walks what has no length.
        opened: Called for every sequence with items: its tag.
    """

    def __init__(
        self, cursor: Cursor, syntax: Syntax, take: Callable[[Element], None], opened: Callable[[Element], None]
    ) -> None:
        self._cursor = cursor
        self._syntax = syntax
        self._take = take
        self._opened = opened
        self._count = 0

    def walk(self, group: int | None = None) -> int:
        """All elements of the file's own level, to the end of the stream or to where no element follows.

        Args:
            group: Only the elements of this group: the file meta information.

        Returns:
            The place behind the last whole element.
        """
        home, last = Dataset(), -1
        while True:
            head = self._cursor.peek(4)
            if len(head) < 4:
                return self._cursor.at
            tag = self._tag(head, self._syntax)
            if tag <= last or tag >> 16 in {0, 0xFFFE} or (group is not None and tag >> 16 != group):
                return self._cursor.at
            last = tag
            self._element(home, self._syntax)

    def items(self, element: Element, syntax: Syntax, length: int) -> None:
        """The items of a sequence (PS3.5 section 7.5), and the elements in them."""
        cursor = self._cursor
        path = (*element.home.path, element.tag)
        if len(path) > _DEPTH:
            raise Unreadable(f"dicom: more than {_DEPTH} sequences within one another", kind="archive_limit")
        end = None if length == UNDEFINED else cursor.at + length
        told = False
        while end is None or cursor.at < end:
            tag, size = self._item_head(syntax)
            if tag == _SEQUENCE_END and end is None and size == 0:
                return
            if tag != _ITEM:
                raise Unreadable("dicom: a sequence holds something that is no item")
            if not told and size:
                self._opened(element)
                told = True
            self._item(Dataset(path, element.home.charset), syntax, size)
        if cursor.at != end:
            raise Unreadable("dicom: a sequence is longer than its length")

    def _item_head(self, syntax: Syntax) -> tuple[int, int]:
        head = self._cursor.take(8)
        order = "little" if syntax.order == "<" else "big"
        return self._tag(head, syntax), int.from_bytes(head[4:], order)  # type: ignore[arg-type]  # one of two words

    def _item(self, home: Dataset, syntax: Syntax, size: int) -> None:
        cursor = self._cursor
        end = None if size == UNDEFINED else cursor.at + size
        while end is None or cursor.at < end:
            if end is None and self._tag(cursor.peek(4), syntax) == _ITEM_END:
                cursor.take(8)
                return
            self._element(home, syntax)
        if cursor.at != end:
            raise Unreadable("dicom: an item is longer than its length")

    def _element(self, home: Dataset, syntax: Syntax) -> None:
        self._count += 1
        if self._count > _ELEMENTS:
            raise Unreadable(f"dicom: more than {_ELEMENTS} elements", kind="archive_limit")
        cursor = self._cursor
        start = cursor.at
        tag = self._tag(cursor.take(4), syntax)
        vr, length = self._vr_length(home, tag, syntax)
        element = Element(tag, vr, length, start, home)
        inner = Syntax(explicit=False) if vr == "UN" else syntax  # PS3.5 section 6.2.2, note 2
        if vr == "UN" and length not in {0, UNDEFINED}:
            known = self._dictionary_vr(home, tag)
            vr = "SQ" if known == "SQ" and cursor.peek(4) == b"\xfe\xff\x00\xe0" else known
            element = Element(tag, vr, length, start, home)
        if vr == "SQ" or (length == UNDEFINED and tag != PIXELS):
            self.items(element, inner, length)
        else:
            self._take(element)

    def _vr_length(self, home: Dataset, tag: int, syntax: Syntax) -> tuple[str, int]:
        cursor = self._cursor
        if not syntax.explicit:
            return self._dictionary_vr(home, tag), cursor.unpack(syntax.order + "I")[0]
        vr = cursor.take(2).decode("latin-1")
        if vr in _SHORT:
            return vr, cursor.unpack(syntax.order + "H")[0]
        if vr not in _LONG:
            raise Unreadable("dicom: a value representation that PS3.5 does not know")
        reserved, length = cursor.unpack(syntax.order + "HI")
        if reserved:
            raise Unreadable("dicom: reserved bytes that are not zero")
        return vr, length

    def _dictionary_vr(self, home: Dataset, tag: int) -> str:
        group, element = tag >> 16, tag & 0xFFFF
        if group & 1:
            if 0x10 <= element <= 0xFF:
                return "LO"  # a private creator
            creator = home.creators.get((group, element >> 8))
            try:
                vr = private_dictionary_VR(tag, creator) if creator else "UN"
            except KeyError:
                return "UN"
        elif not element:
            return "UL"
        else:
            try:
                vr = dictionary_VR(tag)
            except KeyError:
                return "UN"
        return vr.split(" or ")[0].replace("US", "OW") if " or " in vr else vr

    @staticmethod
    def _tag(head: bytes, syntax: Syntax) -> int:
        if len(head) < 4:
            raise Unreadable("dicom: breaks off")
        order = "little" if syntax.order == "<" else "big"
        group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)  # type: ignore[arg-type]  # one of two words
        return group << 16 | element
