"""One bit for every byte of a window: sets of places, sixty-four in a word.

A comparison gives a byte a place; packed to bits, what it takes to find runs and to count what lies before a place costs
an eighth and less. Bit n of word w is place 64 w + n, so shifting up moves a set to later places.

A change must keep: every function is a function of the set alone; nothing here knows what the places stand for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_NONE, _BIT = np.uint8(0), np.uint8(1)
_ONE, _LAST, _EVERY = np.uint64(1), np.uint64(63), np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_FEW = 8  # one word in so many that holds a place: below, the empty ones are left out
_HANDFUL = 1024  # words that are unpacked in the time that several operations begin
_SELDOM = 4  # one octet in so many that holds a second place: fewer are put in in less time than all are numbered
_MANY = 10  # one place in so many bytes: from there on NumPy's own search takes no branches and is as fast
_SHORT = 1 << 16  # bytes of a mask that is not worth packing


def packed(mask: Mask) -> Words:
    """Set of the places where the mask holds; shape (ceil(n / 64),)."""
    octets = np.packbits(mask, bitorder="little")
    missing = -octets.size % 8
    return (np.append(octets, np.zeros(missing, np.uint8)) if missing else octets).view("<u8")


def later(words: Words, count: int) -> Words:
    """Every place moved `count` (1 to 63) bytes on."""
    moved = words << np.uint64(count)
    moved[1:] |= words[:-1] >> np.uint64(64 - count)
    return moved


def earlier(words: Words, count: int) -> Words:
    """Every place moved `count` (1 to 63) bytes back."""
    moved = words >> np.uint64(count)
    moved[:-1] |= words[1:] << np.uint64(64 - count)
    return moved


def places(words: Words) -> Places:
    """The places, sorted."""
    used = (words != 0).nonzero()[0]
    if used.size * _FEW > words.size:
        return _places(words)
    inside = (_unpacked if used.size < _HANDFUL else _places)(words[used])
    found: Places = (used << 6)[inside >> 6] + (inside & 63)
    return found


def _places(words: Words) -> Places:
    """The lowest place of every eight at once, then the next of those that hold more."""
    octets, total = words.view(np.uint8), count(words)
    if total * _MANY > octets.size * 8:
        return _unpacked(words)
    held = (octets != 0).nonzero()[0]
    left = octets.take(held)
    if total == held.size:
        return _lowest(held, left)
    further = left & (left - _BIT)
    more = (further != 0).nonzero()[0]
    if more.size == total - held.size and more.size * _SELDOM < held.size:  # a second place, and seldom
        return _joined(_lowest(held, left), _lowest(held[more], further[more]))
    found, ones = np.empty(total, np.intp), np.bitwise_count(left)
    to = np.cumsum(ones, dtype=np.intp) - ones
    while held.size:
        found[to] = _lowest(held, left)
        left &= left - _BIT
        more = (left != 0).nonzero()[0]  # of truths: in a third of the time
        held, left, to = held[more], left[more], to[more] + 1
    return found


def _joined(first: Places, second: Places) -> Places:
    """All of two sorted arrays, sorted: two ascending runs, which the stable sort joins in one pass."""
    both = np.concatenate([first, second])
    both.sort(kind="stable")
    return both


def _unpacked(words: Words) -> Places:
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_))


def _lowest(octet: Places, bits: npt.NDArray[np.uint8]) -> Places:
    """Place of the lowest of the bits of each octet."""
    found = octet << 3
    found += np.bitwise_count((bits & (_NONE - bits)) - _BIT)
    return found


def places_in(mask: Mask) -> Places:
    """`np.flatnonzero`, in a third of its time where places are few in a long mask."""
    return places(packed(mask)) if mask.size > _SHORT else np.flatnonzero(mask)


def count(words: Words) -> int:
    """How many places."""
    return int(np.bitwise_count(words).sum())


def united(first: Places, second: Places) -> Places:
    """Sorted distinct places of two sorted arrays."""
    both = _joined(first, second)
    return both if both.size < 2 else both[np.flatnonzero(np.append(both[1:] != both[:-1], np.True_))]


def of_places(places: Places, size: int) -> Words:
    """Set of the places, in `size` words."""
    mask = np.zeros(size * 64, np.bool_)
    mask[places] = True
    return packed(mask)


def from_place(words: Words, low: int) -> Words:
    """The places from `low` on."""
    kept = words.copy()
    kept[: low >> 6] = 0
    kept[low >> 6] &= _EVERY << np.uint64(low & 63)
    return kept


def between(words: Words, low: int, high: int) -> Words:
    """The places from `low` on that lie before `high`, a place of the set's last word or an earlier one."""
    kept = from_place(words, low)
    kept[(high >> 6) + 1 :] = 0
    kept[high >> 6] &= ~(_EVERY << np.uint64(high & 63))
    return kept


def odd_before(words: Words) -> Words:
    """Every place with an odd number of the set's places at it or before it."""
    odd = words.copy()
    for count in (1, 2, 4, 8, 16, 32):
        odd ^= odd << np.uint64(count)
    carried = np.bitwise_xor.accumulate(odd >> _LAST)
    odd[1:] ^= np.uint64(0) - carried[:-1]
    return odd


def next_64(words: Words, start: Places) -> Words:
    """The 64 places from every start on, the first of them lowest."""
    word, shift = start >> 6, (start & 63).astype(np.uint64)
    following = words[np.minimum(word + 1, words.size - 1)]
    sets: Words = words[word] >> shift | following << _ONE << (_LAST - shift)
    return sets


def run_lengths(words: Words, start: Places) -> npt.NDArray[np.uint8]:
    """How many places of the set follow one another from every start on, none of them in the last word; 33 or more where 33 do.

    One load of eight bytes has them all: words are laid out once more for that, one from every fourth byte.
    """
    sets = np.ndarray(2 * words.size - 1, "<u8", words, 0, 4).copy().take(start >> 5)
    sets >>= (start & 31).view(np.uint64)
    sets &= ~(sets + _ONE)
    length: npt.NDArray[np.uint8] = np.bitwise_count(sets)
    return length


def lowest(sets: Words) -> Places:
    """The first place of every word; 64 where it holds none."""
    return np.bitwise_count((sets & (np.uint64(0) - sets)) - _ONE).astype(np.intp)


def highest(sets: Words) -> Places:
    """The last place of every word; -1 where it holds none."""
    filled = sets.copy()
    for count in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(count)
    return np.bitwise_count(filled).astype(np.intp) - 1


@dataclass(frozen=True)
class Spots:
    """Places in the form that ranks are asked by: worked out once, asked of several sets."""

    word: Places
    below: Words  # the bits of that word before the place


def spots(asked: Places) -> Spots:
    """Shape-preserving."""
    return Spots(asked >> 6, (_ONE << (asked & 63).view(np.uint64)) - _ONE)


@dataclass(frozen=True)
class Ranks:
    """How many places of a set lie before any place."""

    words: Words
    before: Places  # those of all earlier words

    def of(self, asked: Places | Spots) -> Places:
        """Shape-preserving."""
        at = asked if isinstance(asked, Spots) else spots(asked)
        held = self.words.take(at.word)  # in two thirds of the time that indexing takes
        held &= at.below
        count: Places = self.before.take(at.word)
        count += np.bitwise_count(held)
        return count


def ranks(words: Words) -> Ranks:
    """Counts once, for many places."""
    before = np.zeros(words.size, np.intp)
    np.cumsum(np.bitwise_count(words[:-1]), out=before[1:])
    return Ranks(words, before)
