"""The Authorization field as strangers write it: bearer tokens, and user names with passwords.

What it is not: a check of either. It reads; `guard` says what a route takes, and `gateway.identity` who it is.

A change must keep these:
1. One field, one scheme, one credential: anything else is none. What cannot be read is refused without a word of it.
2. Nothing here is longer than a line of the request's head, nor than `MAX_BASIC` decoded.

Sources: RFC 9110 section 11.6.2, RFC 6750 section 2.1, RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.core.errors import NotAuthenticated

MAX_BASIC: Final = 512  # bytes of user name, colon and password
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750 section 2.1
_BASIC: Final = re.compile(
    r"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]+={0,2})"
)  # RFC 7617 section 2: token68, of base64 here


@dataclass(frozen=True)
class Bearer:
    """An access token; a secret."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class Basic:
    """A user name and a password; a secret."""

    user: str
    password: str = field(repr=False)


def parse_authorization(fields: Sequence[str]) -> Bearer | Basic | None:
    """What a request's Authorization fields hold; None where there are none.

    Raises:
        NotAuthenticated: There are several, or the one is neither a bearer token nor Basic.
    """
    if not fields:
        return None
    if len(fields) == 1:
        given = fields[0].strip(" \t")
        if found := _BEARER.fullmatch(given):
            return Bearer(found[1])
        if found := _BASIC.fullmatch(given):
            return _basic(found[1])
    raise _unreadable()


def _basic(encoded: str) -> Basic:
    """RFC 7617 section 2: the first colon ends the user name; no control character stands in either; UTF-8 (section 2.1)."""
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise _unreadable() from None
    user, colon, password = decoded.partition(":")
    if not colon or len(decoded) > MAX_BASIC or any(ord(each) < 0x20 or ord(each) == 0x7F for each in decoded):
        raise _unreadable()
    return Basic(user, password)


def _unreadable() -> NotAuthenticated:
    return NotAuthenticated("the Authorization field holds no credential this address takes")
