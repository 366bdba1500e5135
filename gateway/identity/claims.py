"""The claims of a JWT, read strictly and judged by the gateway's own clock.

What it is not: a signature check (`jwk`) or a policy: which claims must be there is the caller's.

A change must keep these:
1. A claim of the wrong type is refused, not converted; a claim nobody asked for is ignored (RFC 7519 section 4).
2. Times are compared with the Clock port's now, with one leeway for clocks that differ.

Source: RFC 7519 section 4.1.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.wire import Malformed, canonical

LEEWAY = timedelta(seconds=30)
MAX_WORD = 255


@dataclass(frozen=True)
class Claims:
    """A JSON object somebody signed."""

    body: Mapping[str, Any]

    def word(self, name: str) -> str:
        """A claim that must be printable ASCII text of 1 to 255 characters.

        Raises:
            ValueError: Where it is absent or something else.
        """
        value = self.body.get(name)
        if (
            not isinstance(value, str)
            or not 0 < len(value) <= MAX_WORD
            or not (value.isascii() and value.isprintable())
        ):
            raise ValueError(f"{name} must be text")
        return value

    def time(self, name: str) -> float | None:
        """A NumericDate in seconds since the epoch, or None where absent.

        Raises:
            ValueError: Where it is no finite number.
        """
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number of seconds")
        return float(value)

    def audience(self) -> str:
        """The one audience. Several are refused: a token another server may use too can be carried from there to here.

        Raises:
            ValueError: Where there is none, or more than one.
        """
        value = self.body.get("aud")
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            return value
        raise ValueError("aud must name exactly one audience")  # draft-ietf-oauth-rfc7523bis, audience injection

    def check_times(self, now: datetime, longest: timedelta) -> float:
        """The expiry, once all times hold.

        Args:
            now: The current instant.
            longest: How far ahead the expiry may lie.

        Raises:
            ValueError: Where it expired, lasts too long, is not valid yet or comes from the future.
        """
        at, leeway = now.timestamp(), LEEWAY.total_seconds()
        expires = self.time("exp")
        if expires is None or expires <= at - leeway:
            raise ValueError("expired")
        if expires > at + longest.total_seconds() + leeway:
            raise ValueError("lasts too long")
        if any((self.time(name) or 0.0) > at + leeway for name in ("nbf", "iat")):
            raise ValueError("not valid yet")
        return expires


def peek(token: str, max_size: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The header and claims of a compact JWS nobody has verified yet: they may only choose the key that will.

    Raises:
        ValueError: Where it is no compact JWS of two JSON objects, or longer than `max_size` characters.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > max_size or not token.isascii():
        raise ValueError("no compact JWS")
    header, claims = (parse_claims(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    return header.body, claims.body


def parse_claims(payload: bytes) -> Claims:
    """The claims of a verified payload.

    Raises:
        ValueError: Where it is no JSON object, names a claim twice or is over 16 KiB.
    """
    try:
        body = canonical.parse(payload, max_size=1 << 14, max_depth=8)
    except Malformed as wrong:
        raise ValueError(str(wrong)) from wrong
    if isinstance(body, dict):
        return Claims(body)
    raise ValueError("the claims are no object")
