"""Codes with a check character, as records hold them.

What it is not: detection in content (`core.detectors`). Here one code is right or wrong.

Source: GB 32100-2015 (unified social credit code).
"""

from __future__ import annotations

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))


def uscc_is_valid(code: str) -> bool:
    """Whether a unified social credit code has 18 characters of the alphabet and the right check character (GB 32100-2015)."""
    if len(code) != 18 or any(character not in _USCC_ALPHABET for character in code):
        return False
    total = sum(
        _USCC_ALPHABET.index(character) * weight for character, weight in zip(code, _USCC_WEIGHTS, strict=False)
    )
    return _USCC_ALPHABET[(31 - total % 31) % 31] == code[17]
