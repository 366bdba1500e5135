"""Secrecy and internal marks in text.

Source: GB/T 9704-2012 section 7.2.2 (level, star, term, as 机密★10年) and the tables in `policies/detectors/marks.toml`.
A level is *marked* when a star, a label such as 密级, or brackets stand beside it, or when it fills its line. A
word that fills a cell of a table may be an answer as well as a mark: it is *rare*, for an officer to judge. A word in a
sentence is *mentioned* only. No samples are taken of any.

Marks are Chinese: text without wide characters is never searched. Every word is at most 12 bytes and its form is judged
within FORM_REACH bytes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np

from gateway.core.detectors.lanes import Places, Window
from gateway.core.detectors.tables import DetectorTables, Marks

FORM_REACH = 48
_LONGEST = 12
_FORMS = 20_000  # places a window whose form is judged; a text of nothing but marks is for an officer
_THREE_BYTES = np.uint8(0xE0)  # first byte of a character of three bytes or four (RFC 3629)
_TWO_CHARACTERS = np.uint64(0xFFFF_FFFF_FFFF)


class MarkForm(Enum):
    """How a word stands in the text."""

    MARKED = "marked"  # a secrecy level in the form of a mark
    RARE = "rare"  # a bare word that is seldom anything but a mark
    MENTIONED = "mentioned"  # a bare word
    INTERNAL = "internal"  # an owner's mark below the state's levels


@dataclass(frozen=True)
class Mark:
    """A word found at a place of the window."""

    form: MarkForm
    place: int


class MarkFinder:
    """Marks compiled from their tables; stateless."""

    def __init__(self, tables: DetectorTables) -> None:
        marks = tables.marks
        self._levels = tuple(word.encode() for word in marks.levels)
        self._rare = frozenset(word.encode() for word in marks.always)
        self._internal = tuple(word.encode() for word in marks.internal)
        self._heads = np.unique([_head(word) for word in self._levels + self._internal])
        self._seconds = np.zeros(256, np.bool_)  # second bytes of first characters: a cheap first look
        self._seconds[[int(head) >> 8 & 0xFF for head in self._heads]] = True
        self._before, self._after, self._bracketed, self._alone = _forms(marks)

    def find(self, window: Window) -> list[Mark]:
        """Marks that begin in the window's own part, in the order of their places."""
        if not window.has_wide:
            return []
        places = self._candidates(window)
        table = window.delimiter is not None
        near, far = places[:_FORMS], places[_FORMS:]
        found = [mark for at in near.tolist() if (mark := self._mark(window, at, table=table))]
        return found + [Mark(MarkForm.RARE, at) for at in far.tolist()]

    def _candidates(self, window: Window) -> Places:
        """Owned places where the first two characters of a word stand; all words are of three-byte characters."""
        own = window.data[window.low : window.high]
        places = np.flatnonzero(own >= _THREE_BYTES) + window.low
        places = places[np.flatnonzero(self._seconds[window.data[places + 1]])]
        pairs = window.lanes[places] & _TWO_CHARACTERS
        rank = np.minimum(np.searchsorted(self._heads, pairs), self._heads.size - 1)
        found: Places = places[self._heads[rank] == pairs]
        return found

    def _mark(self, window: Window, at: int, *, table: bool) -> Mark | None:
        text = window.text(max(at - FORM_REACH, 0), at + _LONGEST + FORM_REACH)
        here = min(at, FORM_REACH)
        for word in self._internal:
            if text.startswith(word, here):
                return Mark(MarkForm.INTERNAL, at)
        for word in self._levels:
            if text.startswith(word, here):
                return Mark(self._form(text, word, here, table=table), at)
        return None

    def _form(self, text: bytes, word: bytes, at: int, *, table: bool) -> MarkForm:
        before = text[max(at - FORM_REACH, 0) : at].decode("utf-8", "ignore")
        after = text[at + len(word) : at + len(word) + FORM_REACH].decode("utf-8", "ignore")
        if self._before.search(before) or self._after.match(after):
            return MarkForm.MARKED
        beside = f"{before[-4:]}\0{after[:4]}"
        if self._bracketed.search(beside):
            return MarkForm.MARKED
        if self._alone.search(beside):
            return MarkForm.RARE if table else MarkForm.MARKED
        return MarkForm.RARE if word in self._rare else MarkForm.MENTIONED


def _forms(marks: Marks) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    stars = re.escape(marks.stars)
    labels = "|".join(map(re.escape, marks.labels))
    pairs = "|".join(f"{re.escape(a)}\\0{re.escape(b)}" for a, b in map(list, marks.brackets))
    edge_before, edge_after = r'(?:^|[\n\t,;"])[ \t]*', r'[ \t\r]*(?:$|[\n\t,;"])'
    return (
        re.compile(rf"(?:[{stars}]|(?:{labels})[ \t]*[::,\t=]?[ \t\"]*)[ \t]*$"),
        re.compile(rf"[ \t\u3000]*[{stars}]"),
        re.compile(pairs),
        re.compile(rf"{edge_before}\0{edge_after}"),
    )


def _head(word: bytes) -> np.uint64:
    """First two characters as the lane they make."""
    return np.uint64(int.from_bytes(word[:6], "little"))
