"""Zstandard frames (RFC 8878) that a format holds whole: opened to their end, to a size that is known before."""

from __future__ import annotations

import sys

from gateway.inspect.limits import Unreadable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def opened(frame: bytes, most: int, what: str) -> bytes:
    """The content of one frame of at most `most` bytes.

    Args:
        frame: All of it, and nothing else.
        most: Bytes that its content may have.
        what: Names it in the message.

    Raises:
        Unreadable: It is damaged, larger, or more than one frame.
    """
    inflate = zstd.ZstdDecompressor()
    try:
        content: bytes = inflate.decompress(frame, most + 1)
    except (zstd.ZstdError, EOFError) as wrong:
        raise Unreadable(f"{what}: does not open") from wrong
    if not inflate.eof or inflate.unused_data or len(content) > most:
        raise Unreadable(f"{what}: is not one frame of the size it says")
    return content
