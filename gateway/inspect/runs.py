"""Text that lies in binary records: names, tags, notes, and what somebody hid between numbers.

What it is not: a reading of the records. Parsers that know where text is hand that over; this is for records whose fields
nobody needs one by one, and for numbers that may spell something.
"""

from __future__ import annotations

import re
from typing import Final

_SHORTEST: Final = 8  # characters; no identifier that is looked for has fewer
_WIDE: Final = re.compile(rb"(?:[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}){2,}")
_HIGH: Final = bytes(byte if byte >= 0x80 else 0x20 for byte in range(256))
_LINES: Final = bytes(byte if 0x20 <= byte < 0x7F or byte == 0x09 else 0x0A for byte in range(256))
_BLANKS: Final = bytes(byte if 0x20 <= byte < 0x7F or byte in {0x09, 0x0A} else 0x20 for byte in range(256))


def legible(content: bytes) -> bytes:
    """Runs of at least eight printable ASCII characters, then those of `wide`, a line each."""
    found = [run for run in content.translate(_LINES).split(b"\n") if len(run) >= _SHORTEST]
    found.append(wide(content))
    return b"\n".join(found)


def blanked(content: bytes) -> bytes:
    """ASCII with everything else as blanks: the same length, for text among few bytes of something else."""
    return content.translate(_BLANKS)


def wide(content: bytes) -> bytes:
    """Runs of at least two characters past U+07FF, a line each: what `blanked` leaves out."""
    high = [run for run in content.translate(_HIGH).split() if len(run) >= 6]  # cheaper than the expression by far
    return b"".join(run + b"\n" for run in _WIDE.findall(b" ".join(high)))


__all__ = ["blanked", "legible", "wide"]
