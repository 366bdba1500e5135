"""Canonical JSON: RFC 8785 (JCS) out, RFC 8785 or plain I-JSON (RFC 7493) in.

What it is not: a general JSON library. Its values are what `json` gives: None, bool, int, float, str, list, dict.

A change must keep these:
1. What `encode` writes, `decode` reads back; what `decode` accepts, `encode` writes to the same bytes.
2. No integer beyond 2**53 - 1 passes in either direction, however it is spelled: readers in other languages would
   round it and a digest would cover a number nobody meant (RFC 7493 section 2.2).
3. Depth and size are bounded before anything else happens, duplicate names and lone surrogates are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, TypeAlias, cast

import rfc8785

from gateway.wire import Malformed

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A JSON value. Statically any mapping or sequence; at run time only dict, list, tuple and scalars are accepted."""

MAX_SIZE: Final = 1 << 20
"""Default bound on a document in bytes."""

MAX_DEPTH: Final = 32
"""Default bound on nested arrays and objects; far below the interpreter's recursion limit."""

_MAX_INTEGER: Final = 2**53 - 1
_SURROGATES: Final = "\ud800"
_PLAIN: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
"""Writes what `_check` calls plain as RFC 8785 does, several times as fast. Its escapes are those of section
3.2.2.2; names sort by code point, which up to the surrogates is the order of UTF-16 units of section 3.2.3."""

_PLAIN_DIGITS_END: Final = 1e21
"""RFC 8785 section 3.2.2.3 writes floats below this as plain digits, so they come back as integers."""


def encode(value: Json, *, max_depth: int = MAX_DEPTH) -> bytes:
    """The canonical bytes of a value (RFC 8785 section 3.2).

    Args:
        value: Scalars, lists, tuples and dicts with string keys.
        max_depth: Deepest nesting of arrays and objects.

    Raises:
        Malformed: On NaN, infinities, integers beyond 2**53 - 1, lone surrogates, other types or too much depth.
    """
    if _check(value, max_depth):
        return _PLAIN.encode(value).encode()
    return rfc8785.dumps(value)


def decode(data: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> Json:
    """Read bytes that must already be canonical.

    Args:
        data: A whole document, UTF-8.
        max_size: Largest size in bytes.
        max_depth: Deepest nesting of arrays and objects.

    Raises:
        Malformed: When the bytes are not JSON, not canonical or over a bound.
    """
    value = parse(data, max_size=max_size, max_depth=max_depth)
    if encode(value, max_depth=max_depth) != data:
        raise Malformed("JSON is not in canonical form (RFC 8785)")
    return value


def parse(data: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> Json:
    """Read I-JSON (RFC 7493) in any spelling; for documents that strangers wrote.

    Args:
        data: A whole document, UTF-8.
        max_size: Largest size in bytes.
        max_depth: Deepest nesting of arrays and objects.

    Raises:
        Malformed: When the bytes are not I-JSON or over a bound.
    """
    if len(data) > max_size:
        raise Malformed(f"JSON of {len(data)} bytes is over the bound of {max_size}")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {type(error).__name__}") from None
    _check(value, max_depth)
    return cast("Json", value)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("an object names a member twice")
    return found


def _integer(text: str) -> int:
    # The length is looked at first: turning a megabyte of digits into an integer takes quadratic time.
    if len(text) > len(str(-_MAX_INTEGER)):
        raise Malformed("an integer lies beyond 2**53 - 1")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise Malformed(f"{text} is not JSON")


def _check(value: object, depth: int) -> bool:
    """Refuse what has no faithful canonical form; the recursion is bounded by `depth`.

    Returns:
        Whether it is plain: no float in it, and no name whose order depends on how its characters are encoded.
    """
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        _check_float(value)
        return False
    elif isinstance(value, int):
        if abs(value) > _MAX_INTEGER:
            raise Malformed("an integer lies beyond 2**53 - 1")
    elif isinstance(value, dict | list | tuple):
        if depth <= 0:
            raise Malformed("arrays and objects are nested too deeply")
        plain = _check_names(value) if isinstance(value, dict) else True
        for inner in value.values() if isinstance(value, dict) else value:
            plain &= _check(inner, depth - 1)
        return plain
    elif value is not None:
        raise Malformed(f"{type(value).__name__} is not a JSON type")
    return True


def _check_float(value: float) -> None:
    if not math.isfinite(value):
        raise Malformed("NaN and infinities are not JSON")
    if _MAX_INTEGER < abs(value) < _PLAIN_DIGITS_END:
        raise Malformed("an integer lies beyond 2**53 - 1")


def _check_names(value: Mapping[object, object]) -> bool:
    """Whether the order of an object's names is that of their code points."""
    ordered = True
    for name in value:
        if not isinstance(name, str):
            raise Malformed("an object's names must be strings")
        _check_text(name)
        ordered &= name.isascii() or max(name) < _SURROGATES
    return ordered


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("text holds a lone surrogate") from None
