"""Snappy blocks (google/snappy, "format_description.txt") that a format holds whole; the length of the content stands first."""

from __future__ import annotations

import pyarrow as pa

from gateway.inspect.limits import Budget, Unreadable


def opened(raw: bytes, budget: Budget, most: int, what: str) -> bytes:
    """The content of a block of at most `most` bytes; the budget pays for it.

    Args:
        raw: All of the block, and nothing else.
        budget: Of the file.
        most: Bytes that the content may have.
        what: Names the block in the message.

    Raises:
        Unreadable: It is damaged or larger.
    """
    size = shift = 0
    for byte in raw[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    budget.room(size)
    if size > most:
        raise Unreadable(f"{what}: larger than it may be")
    budget.expand(size)
    try:
        content: bytes = pa.decompress(raw, size, codec="snappy", asbytes=True)
    except (pa.ArrowException, OSError) as wrong:
        raise Unreadable(f"{what}: does not open") from wrong
    if len(content) != size:
        raise Unreadable(f"{what}: has another size than it says")
    return content


__all__ = ["opened"]
