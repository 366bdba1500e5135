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
from enum import StrEnum
from functools import lru_cache

import numpy as np

from gateway.core.detectors.lanes import Lanes, Mask, Places, Window, places_of_pairs
from gateway.core.detectors.tables import DetectorTables, Marks

FORM_REACH = 48
_LONGEST = 12
_SMALL = 16_384  # bytes of a window that are searched for characters before array operations begin
_FORMS = 4_000  # places a window whose form is judged; a text of nothing but marks is for an officer
_CONTEXTS = 2_000  # of them with different surroundings
_BLANKS = 3  # at most: spaces or tabs between the first two characters of a word
_CHARACTER = np.uint64(0xFF_FFFF)


class MarkForm(StrEnum):
    """How a word stands in the text."""

    MARKED = "marked"  # a secrecy level in the form of a mark
    RARE = "rare"  # a bare word that is seldom anything but a mark
    MENTIONED = "mentioned"  # a bare word
    INTERNAL = "internal"  # an owner's mark below the state's levels


@dataclass(frozen=True)
class Mark:
    """A word found at a place of the window; `count` words from there on where they were not told apart."""

    form: MarkForm
    place: int
    count: int = 1


@lru_cache(maxsize=8)
def mark_finder(tables: DetectorTables) -> MarkFinder:
    """The finder of these tables, compiled once: it is stateless, and small files would pay for it more than for their bytes."""
    return MarkFinder(tables)


class MarkFinder:
    """Marks compiled from their tables; stateless."""

    def __init__(self, tables: DetectorTables) -> None:
        marks = tables.marks
        self._levels = tuple((word.encode(), _spaced(word)) for word in marks.levels)
        self._rare = frozenset(word.encode() for word in marks.always)
        self._internal = tuple(_spaced(word) for word in marks.internal)
        self._formed = tuple((word.encode(), _spaced(word)) for word in marks.formed)
        self._heads = np.unique([_head(word.encode()) for word in marks.levels + marks.internal + marks.formed])
        self._tails = sorted({int(head) >> 32 for head in self._heads})  # last two bytes of second characters
        self._seconds = sorted({word[1].encode() for word in marks.levels + marks.internal + marks.formed})
        self._before, self._after, self._bracketed, self._alone = _forms(marks)

    def find(self, window: Window) -> list[Mark]:
        """Marks that begin in the window's own part, in the order of their places."""
        if not window.has_wide or (len(window.raw) < _SMALL and not self._may_find(window.raw)):
            return []
        places = self._candidates(window)
        table = window.delimiter is not None
        data = window.raw
        forms: dict[bytes, MarkForm | None] = {}
        found = []
        for at in places[:_FORMS].tolist():
            here = min(at, FORM_REACH)
            text = data[at - here : at + _LONGEST + FORM_REACH]
            if text not in forms:
                forms[text] = self._judge(text, here, table=table) if len(forms) < _CONTEXTS else MarkForm.RARE
            form = forms[text]
            if form is not None:
                found.append(Mark(form, at))
        far = places[_FORMS:]
        return [*found, Mark(MarkForm.RARE, int(far[0]), far.size)] if far.size else found

    def _may_find(self, text: bytes) -> bool:
        """Whether the second character of any word is there: in a small text, a fraction of what array operations take."""
        return any(second in text for second in self._seconds)

    def _candidates(self, window: Window) -> Places:
        """Owned places where the first two characters of a word stand; all words are of three-byte characters.

        Found from the second character: words have fewer of them than of first ones, and a blank tells from a character.
        """
        seconds = places_of_pairs(window.data, self._tails) - 1
        second = (window.lanes[seconds] & _CHARACTER) << np.uint64(24)
        found = []
        for gap in range(_BLANKS + 1):
            first = window.lanes[seconds - 3 - gap] & _CHARACTER
            found.append((seconds - 3 - gap)[_within(self._heads, first | second)])
            between = window.data[seconds - 1 - gap]
            asked = np.flatnonzero((between == ord(" ")) | (between == ord("\t")))  # nothing but blanks so far
            seconds, second = seconds[asked], second[asked]
        places = np.sort(np.concatenate(found))
        return places[(places >= window.low) & (places < window.high)]

    def _judge(self, text: bytes, here: int, *, table: bool) -> MarkForm | None:
        for internal in self._internal:
            if internal.match(text, here):
                return MarkForm.INTERNAL
        for word, spaced in self._levels:
            match = spaced.match(text, here)
            if match:
                return self._form(text, word, here, match.end(), table=table)
        for word, spaced in self._formed:
            match = spaced.match(text, here)
            if match and self._form(text, word, here, match.end(), table=table) is MarkForm.MARKED:
                return MarkForm.INTERNAL
        return None

    def _form(self, text: bytes, word: bytes, at: int, end: int, *, table: bool) -> MarkForm:
        before = text[max(at - FORM_REACH, 0) : at].decode("utf-8", "ignore")
        after = text[end : end + FORM_REACH].decode("utf-8", "ignore")
        if self._before.search(before) or self._after.match(after):
            return MarkForm.MARKED
        beside = f"{before[-4:]}\0{after[:4]}"
        if self._bracketed.search(beside):
            return MarkForm.MARKED
        if self._alone.search(beside):
            return MarkForm.RARE if table else MarkForm.MARKED
        return MarkForm.RARE if word in self._rare else MarkForm.MENTIONED


def _forms(marks: Marks) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    stars = re.escape(marks.stars + "*")  # typed where a keyboard has no star
    labels = "|".join(map(re.escape, marks.labels))
    pairs = "|".join(f"{re.escape(a)}\\0{re.escape(b)}" for a, b in map(list, marks.brackets))
    edge_before, edge_after = r'(?:^|[\n\t,;"])[ \t]*', r'[ \t\r]*(?:$|[\n\t,;"])'
    return (
        re.compile(rf"(?:[{stars}]|(?:{labels})[ \t]*[::,\t=]?[ \t\"]*)[ \t]*$"),
        re.compile(rf"[ \t\u3000]*[{stars}]"),
        re.compile(pairs),
        re.compile(rf"{edge_before}\0{edge_after}"),
    )


def _spaced(word: str) -> re.Pattern[bytes]:
    """The word, its characters set apart by up to three blanks as titles are."""
    return re.compile(rb"[ \t]{0,3}".join(character.encode() for character in word))


def _within(known: Lanes, values: Lanes) -> Mask:
    rank = np.minimum(np.searchsorted(known, values), known.size - 1)
    within: Mask = known[rank] == values
    return within


def _head(word: bytes) -> np.uint64:
    """First two characters as the lane they make."""
    return np.uint64(int.from_bytes(word[:6], "little"))
