"""Published standards as bytes <-> values: the lowest ring, below the core.

What it is not: it knows no transfer, no rule and no person; nothing here reads a clock, a file or a random number.
Nonces, salts and timestamps are parameters, because a codec that draws them cannot be tested byte for byte.

A change must keep these:
1. A parser bounds its input before it works on it and raises `Malformed`, never anything else, for any bytes.
2. What a parser accepts has one spelling (formatting the value gives the same bytes), or its docstring says why not.
3. A wrong argument from our own code (a key of 31 bytes, too few nonces) is a plain `ValueError`.
"""

from __future__ import annotations


class Malformed(ValueError):
    """These bytes are not what the standard says, or pass a bound this ring sets; the message names the rule."""


class BadSignature(Malformed):
    """The bytes are well-formed, but the signature a caller asked about is not there or does not hold."""


class Unopenable(Malformed):
    """Well-formed, but no key that was given opens it: the wrong key, or bytes changed since they were sealed."""
