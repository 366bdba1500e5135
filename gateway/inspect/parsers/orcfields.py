"""Messages of ORC (orc_proto.proto of Apache ORC format 1.1) as dicts by field number; nothing is skipped.

Every field is a list. Numbers need no row of their own but by number and kind; text is told to whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.orcruns import Stream

Message = dict[int, list[Any]]

_DEPTH: Final = 8
_FIELDS: Final = 5_000_000
# By message and field: `number`, packed or not; `double`; `bits`; `text`; `bound`, text that a column may repeat; another message
_SCHEMA: Final[Mapping[str, Mapping[int, str]]] = {
    "postscript": {1: "number", 2: "number", 3: "number", 4: "number", 5: "number", 6: "number", 7: "number", 8000: "text"},
    "footer": {1: "number", 2: "number", 3: "stripe", 4: "type", 5: "item", 6: "number", 7: "statistics", 8: "number",
               9: "number", 10: "encryption", 11: "number", 12: "text"},
    "stripe": {1: "number", 2: "number", 3: "number", 4: "number", 5: "number", 6: "number", 7: "key"},
    "type": {1: "number", 2: "number", 3: "text", 4: "number", 5: "number", 6: "number", 7: "item", 8: "text", 9: "number"},
    "item": {1: "text", 2: "text"},
    "metadata": {1: "stripe statistics"},
    "stripe statistics": {1: "statistics"},
    "statistics": {1: "number", 2: "numbers", 3: "doubles", 4: "bounds", 5: "numbers", 6: "decimals", 7: "numbers", 8: "numbers",
                   9: "numbers", 10: "number", 11: "number", 12: "numbers"},
    "numbers": dict.fromkeys(range(1, 7), "number"),
    "doubles": {1: "double", 2: "double", 3: "double"},
    "bounds": {1: "bound", 2: "bound", 3: "number", 4: "bound", 5: "bound"},
    "decimals": {1: "bound", 2: "bound", 3: "bound"},
    "stripe footer": {1: "stream", 2: "encoding", 3: "text", 4: "encryption"},
    "stream": {1: "number", 2: "number", 3: "number"},
    "encoding": {1: "number", 2: "number", 3: "number"},
    "row index": {1: "row index entry"},
    "row index entry": {1: "number", 2: "statistics"},
    "bloom filters": {1: "bloom filter"},
    "bloom filter": {1: "number", 2: "bits", 3: "bits"},
}  # fmt: skip


class Fields:
    """Reads messages.

    Args:
        text: Told every text.
        bound: Told every text that a column may repeat.
    """

    def __init__(self, text: Callable[[bytes], None], bound: Callable[[bytes], None]) -> None:
        self._told = {"text": text, "bound": bound}
        self._count = 0

    def read(self, raw: bytes, kind: str, depth: int = 0) -> Message:
        """A message of a kind, to its end.

        Raises:
            Unreadable: It breaks off, or has a field that nobody knows.
        """
        stream, found = Stream(raw), Message()
        while stream.at < len(raw):
            key = stream.varint(35)
            wanted = _SCHEMA[kind].get(key >> 3)
            self._count += 1
            if wanted is None or depth > _DEPTH or self._count > _FIELDS:
                raise Unreadable("orc: a field that is not known, or too many")
            if wanted in ("encryption", "key"):
                raise Unreadable("orc: columns are encrypted", kind="encrypted_content")
            found.setdefault(key >> 3, []).extend(self._values(stream, key & 7, wanted, depth))
        return found

    def _values(self, stream: Stream, wire: int, wanted: str, depth: int) -> list[Any]:
        if wire == 0 and wanted in ("number", "bits"):
            return [stream.varint() & (1 << 64) - 1]
        if wire == 1 and wanted in ("double", "bits"):
            return [stream.take(8)]
        if wire != 2 or wanted == "double":
            raise Unreadable("orc: a field of another kind")
        raw = stream.take(stream.varint(35))
        if wanted == "number":
            packed, numbers = Stream(raw), []
            while packed.at < len(raw):
                numbers.append(packed.varint() & (1 << 64) - 1)
            return numbers
        if wanted in _SCHEMA:
            return [self.read(raw, wanted, depth + 1)]
        if wanted in self._told:
            self._told[wanted](raw)
        return [raw]


def one(message: Message, field: int, default: int = 0) -> int:
    """A number that stands once or not at all.

    Raises:
        Unreadable: It stands twice: readers differ in which they take.
    """
    found = message.get(field, [default])
    if len(found) != 1:
        raise Unreadable("orc: a field stands twice")
    return int(found[0])
