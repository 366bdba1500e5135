"""Check digits and shapes as the standards state them, written apart from the gateway's detectors.

The corpus judges the detectors, so nothing of theirs may be imported here. python-stdnum knows areas and days, and is the
oracle in the tests.
"""

from __future__ import annotations

import re

from stdnum.cn import ric

CARD_PREFIXES = re.compile(r"62|4|5[1-5]|2[2-7]|3[0-9]|6[0-9]|81|5[06-9]")
MOBILE = re.compile(r"(?:\+?86|0086)?1[3-9]\d{9}")
CARBON = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: without I, O, S, V and Z


def resident_check(body: str) -> str:
    """GB 11643-1999: weights 2^(17-i) mod 11."""
    return "10X98765432"[sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body)) % 11]


def resident_is_valid(text: str, *, doubtful: bool = False) -> bool:
    """python-stdnum's word; `doubtful` for areas that it lists in part only, where its release 2.2 breaks with a KeyError."""
    try:
        return ric.is_valid(text)
    except KeyError:
        return doubtful


def luhn_check(body: str) -> str:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body))]
    return str(-sum(number // 10 + number % 10 for number in doubled) % 10)


def hkid_check(letters: str, body: str) -> str:
    """Weights 9 to 2 over eight characters, a missing first letter is 36; the sum with the check is 0 mod 11."""
    values = [36, *(ord(letter) - 55 for letter in letters)][-2:] + [int(digit) for digit in body]
    check = -sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True)) % 11
    return "A" if check == 10 else str(check)


def carbon_check(body: str) -> str:
    """GB 32100-2015: weights 3^i mod 31."""
    return CARBON[-sum(CARBON.index(mark) * pow(3, place, 31) for place, mark in enumerate(body)) % 31]


def organisation_check(body: str) -> str:
    """GB 11714-1997 (ISO 7064 MOD 11-2's cousin with listed weights)."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    check = -sum(int(mark, 36) * weight for mark, weight in zip(body, weights, strict=True)) % 11
    return "X" if check == 10 else str(check)


def passes_for_true(text: str) -> bool:
    """Whether a number that is meant as nothing would pass for a person's by every public check; such are drawn again."""
    digits = re.fullmatch(r"\d{13,19}", text)
    return any(
        (
            MOBILE.fullmatch(text),
            resident_is_valid(text, doubtful=True),
            digits and CARD_PREFIXES.match(text) and luhn_check(text[:-1]) == text[-1],
            re.fullmatch(f"[{CARBON}]{{18}}", text) and carbon_check(text[:17]) == text[17],
        )
    )
