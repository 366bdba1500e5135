"""R's serialization, binary form in XDR, versions 2 and 3 (R Internals, section 1.8; `serialize.c` names the numbers).

Reads forward only and builds plain values; nothing is evaluated. Byte code and anything unknown end the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import numpy as np

from gateway.inspect.cursor import decoded
from gateway.inspect.limits import Budget, Unreadable

_DEPTH: Final = 150
_CELLS: Final = 20_000_000  # items of a file
_NA: Final = -(1 << 31)
_EMPTY: Final = frozenset({254, 253, 242, 241, 251, 252, 247})  # nil, environments and marks that everyone has
_SYMBOL, _ENVIRONMENT, _CHARACTERS = 1, 4, 9
_PAIRS: Final = {2: "list", 3: "closure", 5: "promise", 6: "call", 17: "dots"}
_ALTREP: Final = 238


@dataclass
class Item:
    """A value of R.

    Attributes:
        kind: `text`, `numbers`, `items`, `pairs`, `bytes`, `symbol` or `nothing`.
        value: A list for `text`, `items` and `pairs` (of tag and item), an array for `numbers`.
        attributes: By name; `names`, `class`, `levels`, `dim`, labels.
    """

    kind: str
    value: Any = None
    attributes: dict[str, Item] = field(default_factory=dict)


NOTHING: Final = Item("nothing")


class Reader:
    """Items from a stream.

    Attributes:
        taken: Bytes read.
    """

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._references: list[Item] = []
        self._items = 0
        self._held = 0
        self.taken = 0
        self.encoding = ""
        self._vectors: Mapping[int, Callable[[int], Item]] = {
            _CHARACTERS: self._characters, 7: self._builtin, 8: self._builtin, 10: self._integers, 13: self._integers,
            14: self._reals, 15: self._complex, 16: self._texts, 19: self._items_of, 20: self._items_of,
            22: self._external, 23: self._weak, 24: self._raw, 25: self._object,
        }  # fmt: skip

    def take(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            Unreadable: There are fewer, or all together need too much memory.
        """
        self._held += size
        self._budget.room(self._held)
        pieces, left = [], size
        while left and (piece := self._stream.read(min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        if left:
            raise Unreadable("rdata: breaks off")
        self.taken += size
        return b"".join(pieces)

    def number(self) -> int:
        """A signed integer."""
        return int(struct.unpack(">i", self.take(4))[0])

    def length(self) -> int:
        """Of a vector; past 2^31 in two parts."""
        size = self.number()
        if size == -1:
            size = (self.number() << 32) + (self.number() & 0xFFFFFFFF)
        if size < 0:
            raise Unreadable("rdata: a vector of less than nothing")
        return size

    def header(self) -> None:
        """The magic of saved workspaces, format, versions, and the native encoding that version 3 names."""
        magic = self.take(2)
        if magic == b"RD" and self.take(3) in (b"X2\n", b"X3\n"):
            magic = self.take(2)
        if magic != b"X\n":
            raise Unreadable("rdata: a serialization of another form")
        version = self.number()
        self.take(8)
        if version == 3:
            self.encoding = self.take(self.number()).decode("ascii", "replace").lower()
        elif version != 2:
            raise Unreadable("rdata: a serialization of another version")

    def item(self, depth: int = 0) -> Item:
        """The next item with all that is in it."""
        self._items += 1
        if depth > _DEPTH or self._items > _CELLS:
            raise Unreadable("rdata: too many items, or nested too deeply", kind="archive_limit")
        flags = self.number()
        kind = flags & 0xFF
        if kind in _EMPTY:
            return NOTHING
        if kind == 255:
            return self._reference(flags)
        if kind in _PAIRS:
            return self._pairs(flags, depth)
        if kind in (_SYMBOL, _ENVIRONMENT, 249, 250, 248):
            return self._named(kind, depth)
        if kind == _ALTREP:
            return self._alternative(depth)
        read = self._vectors.get(kind)
        if read is None:
            raise Unreadable("rdata: an item of a kind that is not read, such as byte code")
        found = read(depth)
        if flags & 0x200 and kind != _CHARACTERS:
            found.attributes = self._attributes(depth)
        elif flags & 0x200:
            self.item(depth + 1)
        return found

    def _reference(self, flags: int) -> Item:
        place = flags >> 8 or self.number()
        if not 0 < place <= len(self._references):
            raise Unreadable("rdata: a reference to nothing")
        return (
            Item("symbol", self._references[place - 1].value)
            if self._references[place - 1].kind == "symbol"
            else NOTHING
        )

    def _attributes(self, depth: int) -> dict[str, Item]:
        pairs = self.item(depth + 1)
        return dict(pairs.value) if pairs.kind == "pairs" else {}

    def _pairs(self, flags: int, depth: int) -> Item:
        """A chain of cells; its end is another item."""
        found = Item("pairs", [])
        first = True
        while True:
            if flags & 0x200:
                attributes = self._attributes(depth)
                found.attributes = attributes if first else {**found.attributes, **attributes}
            tag = self.item(depth + 1) if flags & 0x400 else NOTHING
            found.value.append((str(tag.value or ""), self.item(depth + 1)))
            first = False
            flags = self.number()
            self._items += 1
            if self._items > _CELLS:
                raise Unreadable("rdata: too many items", kind="archive_limit")
            if flags & 0xFF not in _PAIRS:
                break
        rest = self._rest(flags, depth)
        if rest.kind != "nothing":
            found.value.append(("", rest))
        return found

    def _rest(self, flags: int, depth: int) -> Item:
        """The last cell's end: an item whose flags were read already."""
        stream, self._stream = self._stream, _Again(struct.pack(">i", _signed(flags)), self._stream)  # type: ignore[assignment]  # read() is all that is used
        found = self.item(depth + 1)
        self._stream, self.taken = stream, self.taken - 4
        return found

    def _named(self, kind: int, depth: int) -> Item:
        """What later items may refer to: symbols, environments, namespaces."""
        if kind == _SYMBOL:
            found = Item("symbol", "")
            place = len(self._references)
            name = self.item(depth + 1)
            found.value = name.value
            self._references.insert(place, found)
            return found
        found = Item("items", [])
        self._references.append(found)
        if kind == _ENVIRONMENT:
            self.number()
            found.value = [self.item(depth + 1) for _ in range(4)]
            return found
        self.number()
        found.value = [self.item(depth + 1) for _ in range(min(self.length(), 1000))]
        return found

    def _alternative(self, depth: int) -> Item:
        """Compact forms (`altclasses.c`): sequences, and vectors wrapped with what is known of them."""
        info, state, _ = (self.item(depth + 1) for _ in range(3))
        name = str(info.value[0][1].value) if info.kind == "pairs" else ""
        if name in ("compact_intseq", "compact_realseq") and state.kind == "numbers" and len(state.value) == 3:
            count, start, step = (float(each) for each in state.value)
            self._held += int(count) * 8
            self._budget.room(self._held)
            return Item("numbers", np.arange(int(count)) * step + start)
        if name == "deferred_string" and state.kind == "pairs":
            return self._deferred(state)
        if name.startswith("wrap_"):
            wrapped: Item = state.value[0][1] if state.kind == "pairs" else state.value[0]
            return wrapped
        raise Unreadable("rdata: a compact vector of an unknown kind")

    @staticmethod
    def _deferred(state: Item) -> Item:
        numbers = state.value[0][1]
        shown = [
            None if np.isnan(each) else str(int(each)) if each == int(each) else repr(float(each))
            for each in numbers.value
        ]
        return Item("text", shown)

    # --- vectors ---------------------------------------------------------------------------------------------------------

    def _characters(self, _: int) -> Item:
        size = self.number()
        return Item("symbol", None if size == -1 else decoded(self.take(size), self.encoding))

    def _texts(self, depth: int) -> Item:
        found = []
        for _ in range(self.length()):
            each = self.item(depth + 1)
            if each.kind != "symbol":
                raise Unreadable("rdata: a text of another kind")
            found.append(each.value)
        return Item("text", found)

    def _items_of(self, depth: int) -> Item:
        return Item("items", [self.item(depth + 1) for _ in range(self.length())])

    def _integers(self, _: int) -> Item:
        raw = np.frombuffer(self.take(4 * self.length()), ">i4").astype(np.float64)
        raw[raw == _NA] = np.nan
        return Item("numbers", raw)

    def _reals(self, _: int) -> Item:
        return Item("numbers", np.frombuffer(self.take(8 * self.length()), ">f8").astype(np.float64))

    def _complex(self, _: int) -> Item:
        return Item("numbers", np.frombuffer(self.take(16 * self.length()), ">f8").astype(np.float64))

    def _raw(self, _: int) -> Item:
        return Item("bytes", self.take(self.length()))

    def _builtin(self, _: int) -> Item:
        return Item("symbol", decoded(self.take(self.length())))

    def _object(self, _: int) -> Item:
        return Item("items", [])

    def _external(self, depth: int) -> Item:
        found = Item("items", [])
        self._references.append(found)
        found.value = [self.item(depth + 1), self.item(depth + 1)]
        return found

    def _weak(self, _: int) -> Item:
        found = Item("items", [])
        self._references.append(found)
        return found


class _Again:
    """A stream with some bytes put back before it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._stream.read(size)


def _signed(flags: int) -> int:
    return flags - (1 << 32) if flags >= 1 << 31 else flags
