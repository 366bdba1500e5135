"""Digest fields of HTTP (RFC 9530): `Content-Digest`, `Repr-Digest` and their `Want-` counterparts.

What it is not: hashing, or the old `Digest` field of RFC 3230.

A change must keep these:
1. Only sha-256 and sha-512 count, the two that RFC 9530 section 5 calls active; every other algorithm is set aside.
2. A field that names one algorithm twice is refused: RFC 9651 would let the last one win, which a proxy may not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn, cast

import http_sf

from gateway.wire import Malformed

SIZES: Final[Mapping[str, int]] = {"sha-256": 32, "sha-512": 64}
"""Digest bytes of the algorithms that count, strongest last."""

MAX_FIELD: Final = 4_096
MAX_WEIGHT: Final = 10


def parse_digest(header: str) -> dict[str, bytes]:
    """Digests of the algorithms that count; empty when the field has others only.

    Raises:
        Malformed: When this is no dictionary of byte sequences, a digest has the wrong size, or a bound is passed.
    """
    return split_digest(header)[0]


def split_digest(header: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Digests of the algorithms that count, and apart from them those of all others.

    Raises:
        Malformed: As `parse_digest`.
    """
    known: dict[str, bytes] = {}
    others: dict[str, bytes] = {}
    for name, value in _dictionary(header).items():
        if not isinstance(value, bytes):
            raise Malformed("a digest field holds something else than byte sequences")
        if name not in SIZES:
            others[name] = value
        elif len(value) == SIZES[name]:
            known[name] = value
        else:
            raise Malformed(f"a {name} digest has {SIZES[name]} bytes, not {len(value)}")
    return known, others


def format_digest(digests: Mapping[str, bytes]) -> str:
    """A `Content-Digest` or `Repr-Digest` value.

    Raises:
        ValueError: When there is nothing to say, an algorithm does not count, or a digest has the wrong size.
    """
    if not digests or any(len(value) != SIZES.get(name) for name, value in digests.items()):
        raise ValueError(f"a digest field needs digests of {', '.join(SIZES)} in their sizes")
    return http_sf.ser(dict(digests))


def parse_want(header: str) -> dict[str, int]:
    """Weights by algorithm of a `Want-Content-Digest` or `Want-Repr-Digest` value: 0, not wanted, to 10.

    Raises:
        Malformed: When the field is not a dictionary of such weights, or a bound is passed.
    """
    wanted: dict[str, int] = {}
    for name, value in _dictionary(header).items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_WEIGHT:
            raise Malformed("a wanted digest has a weight of 0 to 10")
        wanted[name] = value
    return wanted


def format_want(wanted: Mapping[str, int]) -> str:
    """A `Want-Content-Digest` or `Want-Repr-Digest` value.

    Raises:
        ValueError: When there is nothing to say or a weight is not 0 to 10.
    """
    if not wanted or any(not 0 <= weight <= MAX_WEIGHT for weight in wanted.values()):
        raise ValueError("a wanted digest has a weight of 0 to 10")
    return http_sf.ser(dict(wanted))


def _dictionary(header: str) -> dict[str, object]:
    """Members of a dictionary field without their parameters, which RFC 9530 gives no meaning."""
    if len(header) > MAX_FIELD:
        raise Malformed(f"a field of {len(header)} characters is over the bound of {MAX_FIELD}")
    try:
        members = http_sf.parse(header.encode("ascii"), tltype="dictionary", on_duplicate_key=_duplicate)
    except (http_sf.StructuredFieldError, UnicodeEncodeError) as error:
        raise Malformed(f"not a structured dictionary: {error}") from None
    pairs = cast("http_sf.DictionaryType", members).items()
    return {name: value[0] if isinstance(value, tuple) else value for name, value in pairs}


def _duplicate(name: str, where: str) -> NoReturn:
    raise Malformed(f"{name} stands twice in a {where}")
