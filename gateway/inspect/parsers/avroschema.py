"""Avro schemas as readers of objects (Apache Avro specification 1.12.0, "Schema Declaration" and "Data Serialization").

Records become columns of their own (`address.city`), so do the records of a union; what stands in arrays and maps, and in types
that hold themselves, is one cell, apart by blanks. Bytes are text where they are UTF-8, else files of their own.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report, cell_text

_NESTED: Final = 64  # objects within objects, where a type holds itself
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # as text, in UTC

Read = Callable[["Block", list[object]], None]
Value = Callable[["Block"], object]


@dataclass
class Node:
    """A type: how many columns it fills, what they are called below a name, and how an object is read into cells."""

    width: int
    names: Callable[[str], list[str]]
    read: Read
    flat: bool = True  # one cell, without records


class Block:
    """The bytes of a block as they are read.

    Attributes:
        at: Where the next object begins.
        report: Where members go.
        depth: Objects around the next one.
    """

    def __init__(self, content: bytes, report: Report) -> None:
        self._content = content
        self.at = 0
        self.report = report
        self.depth = 0

    @property
    def left(self) -> int:
        """Bytes to the end."""
        return len(self._content) - self.at

    def take(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            Unreadable: There are fewer.
        """
        found = self._content[self.at : self.at + size]
        if size < 0 or len(found) < size:
            raise Unreadable("avro: an object breaks off")
        self.at += size
        return found

    def long(self) -> int:
        """A number of variable length, zig-zag."""
        value = shift = 0
        while shift < 70:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7
        raise Unreadable("avro: a number without end")


def compiled(schema: object, columns: int) -> Node:
    """A schema as its reader.

    Args:
        schema: As JSON has it.
        columns: The most it may have.

    Raises:
        Unreadable: It is none, or has more.
    """
    return _Schema(columns).node(schema, "", "object")


class _Schema:
    """Named types as they are met."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._named: dict[str, Node | None] = {}  # None: its own fields are being read

    def node(self, schema: object, space: str, place: str) -> Node:
        """The reader of a schema within a namespace; `place` names members."""
        if isinstance(schema, list):
            return self._union(schema, space, place)
        if isinstance(schema, str):
            return self._reference(schema, space, place)
        if not isinstance(schema, Mapping):
            raise Unreadable("avro: a schema that is none")
        kind = schema.get("type")
        if isinstance(kind, list | Mapping):
            return self.node(kind, space, place)
        makers = {"record": self._record, "error": self._record, "enum": self._enum, "fixed": self._fixed,
                  "array": self._array, "map": self._map}  # fmt: skip
        if kind in makers:
            return makers[kind](schema, space, place)
        return _logical(schema, _PRIMITIVES[kind], place) if kind in _PRIMITIVES else self.node(kind, space, place)

    def _reference(self, name: str, space: str, place: str) -> Node:
        if name in _PRIMITIVES:
            return _leaf(_PRIMITIVES[name], place)
        full = _full(name, space)
        if full not in self._named:
            raise Unreadable("avro: a type that is not defined")
        return self._named[full] or _joined(lambda block, cells: self._again(full, block, cells))

    def _again(self, full: str, block: Block, cells: list[object]) -> None:
        """A type that holds itself."""
        node = self._named[full]
        block.depth += 1
        if node is None or block.depth > _NESTED:
            raise Unreadable("avro: objects within objects without end", kind="archive_limit")
        node.read(block, cells)
        block.depth -= 1

    def _define(self, schema: Mapping[str, Any], space: str) -> tuple[str, str]:
        """The full name of a new type and the namespace within it."""
        full = _full(str(schema.get("name", "")), str(schema.get("namespace", space)))
        if full in self._named or full in _PRIMITIVES:
            raise Unreadable("avro: a type that is defined twice")
        self._named[full] = None
        return full, full.rpartition(".")[0]

    def _record(self, schema: Mapping[str, Any], space: str, place: str) -> Node:
        full, space = self._define(schema, space)
        fields = [
            (str(each["name"]), self.node(each["type"], space, f"{place}.{each['name']}")) for each in schema["fields"]
        ]
        readers = [node.read for _, node in fields]

        def read(block: Block, cells: list[object]) -> None:
            for each in readers:
                each(block, cells)

        def names(prefix: str) -> list[str]:
            return [name for field, node in fields for name in node.names(f"{prefix}.{field}" if prefix else field)]

        self._named[full] = found = Node(self._sum(node for _, node in fields), names, read, flat=False)
        return found

    def _sum(self, nodes: Iterable[Node]) -> int:
        width = sum(node.width for node in nodes)
        if width > self._columns:
            raise Unreadable(f"avro: more than {self._columns} columns", kind="archive_limit")
        return width

    def _union(self, schema: list[object], space: str, place: str) -> Node:
        nodes = [self.node(each, space, place) for each in schema]
        flat = all(node.flat for node in nodes)
        width = 1 if flat else self._sum(nodes)
        starts = [0] * len(nodes) if flat else list(accumulate((node.width for node in nodes), initial=0))

        def read(block: Block, cells: list[object]) -> None:
            branch = block.long()
            if not 0 <= branch < len(nodes):
                raise Unreadable("avro: a branch that a union has not")
            cells.extend([None] * starts[branch])
            nodes[branch].read(block, cells)
            cells.extend([None] * (width - starts[branch] - nodes[branch].width))

        def names(prefix: str) -> list[str]:
            return [prefix or "value"] if flat else [name for node in nodes for name in node.names(prefix)]

        return Node(width, names, read, flat)

    def _enum(self, schema: Mapping[str, Any], space: str, place: str) -> Node:  # noqa: ARG002  # as all of them
        full, _ = self._define(schema, space)
        symbols = [str(each) for each in schema["symbols"]]

        def read(block: Block) -> object:
            place = block.long()
            if not 0 <= place < len(symbols):
                raise Unreadable("avro: a symbol that an enumeration has not")
            return symbols[place]

        self._named[full] = found = _leaf(read, "")
        return found

    def _fixed(self, schema: Mapping[str, Any], space: str, place: str) -> Node:
        full, _ = self._define(schema, space)
        size = int(schema["size"])
        self._named[full] = found = _logical(schema, lambda block: block.take(size), place)
        return found

    def _array(self, schema: Mapping[str, Any], space: str, place: str) -> Node:
        items = self.node(schema["items"], space, place)
        return _joined(lambda block, cells: _blocks(block, cells, items.read))

    def _map(self, schema: Mapping[str, Any], space: str, place: str) -> Node:
        values = self.node(schema["values"], space, place)

        def read(block: Block, cells: list[object]) -> None:
            cells.append(block.take(block.long()).decode())
            values.read(block, cells)

        return _joined(lambda block, cells: _blocks(block, cells, read))


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _blocks(block: Block, cells: list[object], read: Read) -> None:
    """Items in blocks, of which a negative count is followed by the bytes they take."""
    while count := block.long():
        size = block.long() if count < 0 else None
        start = block.at
        for _ in range(abs(count)):
            before, met = block.at, len(cells)
            read(block, cells)
            block.report.context.budget.expand(len(cells) - met)
            if block.at == before:
                raise Unreadable("avro: items of nothing")
        if size is not None and block.at != start + size:
            raise Unreadable("avro: items of another size")


def _joined(read: Read) -> Node:
    """Everything in one cell."""

    def joined(block: Block, cells: list[object]) -> None:
        inner: list[object] = []
        read(block, inner)
        cells.append(" ".join(cell_text(each) for each in inner if each is not None))

    return Node(1, lambda prefix: [prefix or "value"], joined)


# --- values --------------------------------------------------------------------------------------------------------------


def _leaf(value: Value, place: str) -> Node:
    """A type of one value; bytes as text where they are some."""

    def read(block: Block, cells: list[object]) -> None:
        found = value(block)
        cells.append(_shown(found, block, place) if isinstance(found, bytes) else found)

    return Node(1, lambda prefix: [prefix or "value"], read)


def _shown(raw: bytes, block: Block, place: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        block.report.member(place, io.BytesIO(raw))
        return ""


def _logical(schema: Mapping[str, Any], value: Value, place: str) -> Node:
    """A value in the meaning that the schema gives it; without one that is known, as it is."""
    meaning = schema.get("logicalType")
    if not isinstance(meaning, str) or meaning not in _MEANINGS:
        return _leaf(value, place)
    told, scale = _MEANINGS[meaning], int(schema.get("scale", 0))
    return _leaf(lambda block: told(value(block), scale), place)


def _moment(parts: int) -> Callable[[Any, int], object]:
    """Days, or parts of a second, since 1970."""

    def moment(value: Any, scale: int) -> object:  # noqa: ARG001  # a decimal has one
        try:
            return _EPOCH + timedelta(microseconds=value * 1_000_000 // parts)
        except (OverflowError, TypeError):
            return value  # no calendar has it

    return moment


def _day(value: Any, scale: int) -> object:  # noqa: ARG001  # a decimal has one
    try:
        return (_EPOCH + timedelta(days=value)).date()
    except (OverflowError, TypeError):
        return value


def _decimal(value: Any, scale: int) -> object:
    if not isinstance(value, bytes) or not 0 <= scale <= 1_000 or len(value) > 1_000:
        return value
    return f"{Decimal(int.from_bytes(value, 'big', signed=True)).scaleb(-scale):f}"


def _duration(value: Any, scale: int) -> object:  # noqa: ARG001  # a decimal has one
    if not isinstance(value, bytes) or len(value) != 12:
        return value
    return " ".join(str(part) for part in struct.unpack("<III", value))  # months, days, milliseconds


_MEANINGS: Final[Mapping[str, Callable[[Any, int], object]]] = {
    "date": _day,
    **{f"{where}timestamp-{name}": _moment(parts) for where in ("", "local-")
       for name, parts in (("millis", 1_000), ("micros", 1_000_000), ("nanos", 1_000_000_000))},
    "decimal": _decimal,
    "duration": _duration,
}  # fmt: skip


def _boolean(block: Block) -> object:
    found = block.take(1)
    if found not in (b"\0", b"\1"):
        raise Unreadable("avro: a truth that is none")
    return found == b"\1"


def _float(block: Block) -> object:
    return struct.unpack("<f", block.take(4))[0]


def _double(block: Block) -> object:
    return struct.unpack("<d", block.take(8))[0]


def _bytes(block: Block) -> object:
    return block.take(block.long())


def _string(block: Block) -> object:
    return block.take(block.long()).decode()


def _null(block: Block) -> object:  # noqa: ARG001  # every type takes one
    return None


_PRIMITIVES: Final[Mapping[Any, Value]] = {
    "null": _null,
    "boolean": _boolean,
    "int": Block.long,
    "long": Block.long,
    "float": _float,
    "double": _double,
    "bytes": _bytes,
    "string": _string,
}
