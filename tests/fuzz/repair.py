"""Checksums made right again after a mutation: without, whatever lies behind one would never be reached.

A repair takes any bytes and gives bytes; what it cannot follow it leaves as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final

from tests.inspect.test_alignments import blocked

_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"  # APPNOTE 4.3.7 and 4.3.12
_BLOCK: Final = 512


def png(content: bytes) -> bytes:
    """CRC-32 of every chunk."""
    out, at = bytearray(content), 8
    while content.startswith(b"\x89PNG") and at + 12 <= len(out):
        size = int.from_bytes(out[at : at + 4], "big")
        if at + 12 + size > len(out):
            break
        end = at + 8 + size
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def stored(content: bytes) -> bytes:
    """CRC-32 of members of an archive that are not compressed, in the directory too."""
    out, right = bytearray(content), dict[int, bytes]()
    at = content.find(_LOCAL)
    while at >= 0 and at + 30 <= len(out):
        size, names = int.from_bytes(out[at + 18 : at + 22], "little"), out[at + 26 : at + 30]
        start = at + 30 + int.from_bytes(names[:2], "little") + int.from_bytes(names[2:], "little")
        if out[at + 8 : at + 10] == b"\0\0" and start + size <= len(out):
            right[at] = zlib.crc32(out[start : start + size]).to_bytes(4, "little")
            out[at + 14 : at + 18] = right[at]
        at = content.find(_LOCAL, at + 30)
    at = content.find(_CENTRAL)
    while at >= 0 and at + 46 <= len(out):
        where = int.from_bytes(out[at + 42 : at + 46], "little")
        out[at + 16 : at + 20] = right.get(where, out[at + 16 : at + 20])
        at = content.find(_CENTRAL, at + 46)
    return bytes(out)


def tar(content: bytes) -> bytes:
    """The sum of every header (POSIX 1003.1, ustar interchange format)."""
    out = bytearray(content)
    for at in range(0, len(out) - _BLOCK + 1, _BLOCK):
        if out[at + 257 : at + 262] == b"ustar":
            out[at + 148 : at + 156] = b" " * 8
            out[at + 148 : at + 156] = b"%06o\0 " % sum(out[at : at + _BLOCK])
    return bytes(out)


def bgzf(content: bytes) -> bytes:
    """What is not in blocks comes into blocks."""
    return content if content.startswith(b"\x1f\x8b") else blocked(content)


REPAIRS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "images": png,
    "packages": stored,
    "pickles": stored,
    "npz": stored,
    "tar": tar,
    "bam": bgzf,
    "bcf": bgzf,
    "genome_indexes": bgzf,
}
