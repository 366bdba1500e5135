"""Canonical JSON objects read back: signed documents, ledger entries, openings.

Only what re-encodes to the same bytes is a document (RFC 8785): two spellings of one document would have two digests.
"""

from __future__ import annotations

from typing import Any

from gateway.core.errors import Unusable
from gateway.wire import Malformed, canonical

MAX_SIZE = 1 << 28
MAX_DEPTH = 16


def parse_document(data: bytes | str, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """A canonical JSON object.

    Args:
        data: UTF-8 bytes, or the text they decode to.
        max_size: Bytes at most.
        max_depth: Nesting at most.

    Raises:
        Unusable: Where it is not canonical JSON, not an object, or passes a bound.
    """
    try:
        given = data.encode() if isinstance(data, str) else data
        body = canonical.decode(given, max_size=max_size, max_depth=max_depth)
    except (Malformed, UnicodeEncodeError) as wrong:
        raise Unusable(f"the document is not canonical JSON: {wrong}") from wrong
    if not isinstance(body, dict):
        raise Unusable("the document is not a JSON object")
    return body
