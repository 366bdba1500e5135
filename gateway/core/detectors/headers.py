"""Header words: what the names of columns, JSON keys and XML tags say about what they hold.

Not here: what follows from several of them together (`gateway.core.classify`).
A change must keep: a header is compared in one normal form, so that `Patient_Name`, `patientName` and `patient name` are
one; Latin words must be the whole header, Chinese ones may stand anywhere in it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.core.detectors.tables import DetectorTables, HeaderWords

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s_\-./:()()]+")
LONGEST_HEADER = 200  # characters; a longer cell is no header


def normal_form(header: str) -> str:
    """Lower case, quotes gone, camel case and separators as single spaces."""
    if header.isalnum():  # most headers are one word
        return _HUMP.sub(" ", header).lower()
    split = _HUMP.sub(" ", header.strip().strip("\"'\ufeff").strip())
    return _SEPARATORS.sub(" ", split).strip().lower()


def header_kinds(header: str, tables: DetectorTables) -> tuple[HeaderWords, ...]:
    """Every header kind that the text names; none for texts too long to be a header."""
    if len(header) > LONGEST_HEADER:
        return ()
    spaced = normal_form(header)
    plain = header.lower()  # MRN, DOB, eMail, HbA1c
    if not header.isalnum():
        plain = _SEPARATORS.sub(" ", header.strip().strip("\"'\ufeff")).strip().lower()
    known, parts = _vocabulary(tables)
    if spaced not in known and plain not in known and not parts.search(spaced):
        return ()  # most cells: one look in place of one for every kind
    found = [
        words
        for words in tables.headers
        if spaced in words.words or plain in words.words or any(part in spaced for part in words.parts)
    ]
    instead = frozenset[str]().union(*(words.instead for words in found))
    return tuple(words for words in found if words.key not in instead)


@lru_cache(maxsize=8)
def _vocabulary(tables: DetectorTables) -> tuple[frozenset[str], re.Pattern[str]]:
    """Every word that is a whole header, and an expression for every part of one; compiled once for these tables."""
    known = frozenset(word for words in tables.headers for word in words.words)
    parts = [re.escape(part) for words in tables.headers for part in words.parts]
    return known, re.compile("|".join(parts) or "(?!)")
