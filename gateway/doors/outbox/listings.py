"""What a SUBMIT file says: nothing, or the files that must be there.

What it is not: a manifest that is kept. It is compared and forgotten.

A change must keep this: a line that cannot be read refuses the submission. A list that is read half says the wrong thing.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.errors import Unusable
from gateway.core.names import parse_path

MAX_LISTING: Final = 1 << 24
_LINE: Final = re.compile(rb"(?:([0-9a-f]{64}) [ *]|([0-9]{1,18})[ \t]+)(?:\./)?(.+)")


def parse_listing(content: bytes) -> dict[str, int | bytes] | None:
    """Path to SHA-256 or size; None where the file is empty.

    Lines are those of `sha256sum` (also `-b` and `./` before the path), or a size in bytes and a path.

    Raises:
        Unusable: Naming the first line that is neither, or a path that is listed twice.
    """
    if not content.strip():
        return None
    listed: dict[str, int | bytes] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise Unusable(
                f"SUBMIT, line {number}: write `<sha256>  <path>` or `<size> <path>`, or leave the file empty"
            )
        path = parse_path(found[3])
        if path in listed:
            raise Unusable(f"SUBMIT, line {number}: this path is listed twice")
        listed[path] = bytes.fromhex(found[1].decode()) if found[1] else int(found[2])
    return listed
