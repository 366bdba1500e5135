"""A padded window of bytes and arithmetic on eight of them at a time.

A window is what every detector reads: the bytes it owns and enough neighbours for loads of eight bytes at any place.
Eight ASCII digits lie in one little-endian uint64 lane, the leftmost in the lowest byte; `polynomial` folds them in
three multiplications (the usual SWAR parse), in base 10 for their value and in base 2 for the weights of GB 11643.

A change must keep: every position is an index into `Window.data`; nothing here looks at more than PAD bytes beside one.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gateway.core.detectors.bits import Words, packed, places_in

Bytes = npt.NDArray[np.uint8]
Lanes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

PAD = 64  # bytes of newline around a window: longer than the longest identifier and its neighbours
NEWLINE = 10
_FEW_PAIRS = 8  # are compared one by one in the time that looking up takes
_MARGIN = bytes([NEWLINE]) * PAD

_ZERO, _TEN, _LOWER, _A, _ALPHABET = (np.uint8(n) for n in (48, 10, 32, 97, 26))
_ONE, _THREE, _BEYOND = (np.uint64(n) for n in (1, 3, 63))
_DIGIT_BITS = np.uint64(0x0F0F0F0F0F0F0F0F)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_QUADS = np.uint64(0x0000FFFF0000FFFF)
_WHOLE = np.uint64(0xFFFFFFFF)
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_FIVE_UP = np.uint64(0x7B7B7B7B7B7B7B7B)  # 128 - 5
_FROM_A = np.uint64(0x3F3F3F3F3F3F3F3F)  # 128 - 65
_PAST_Z = np.uint64(0x2525252525252525)  # 128 - 91
_EVEN = np.uint64(0x00FF00FF00FF00FF)
_EVEN_DIGITS = np.uint64(0x000F000F000F000F)


def _of(known: bytes) -> Mask:
    return np.isin(np.arange(256), np.frombuffer(known, np.uint8))


_FEW = 1024  # characters: one lookup takes a fraction of the time in which several operations begin
_LETTERS = _of(string.ascii_letters.encode())
_ALNUMS = _of((string.ascii_letters + string.digits).encode())


def is_digit(characters: Bytes) -> Mask:
    """Shape-preserving; compared, not looked up, because comparisons are vectorised and lookups are not."""
    digit: Mask = (characters - _ZERO) < _TEN
    return digit


def is_letter(characters: Bytes) -> Mask:
    """ASCII letters of either case."""
    if characters.size <= _FEW:
        return _LETTERS.take(characters)
    letter: Mask = ((characters | _LOWER) - _A) < _ALPHABET
    return letter


def is_alnum(characters: Bytes) -> Mask:
    """ASCII letters and digits: what may not stand beside an identifier."""
    if characters.size <= _FEW:
        return _ALNUMS.take(characters)
    return is_digit(characters) | is_letter(characters)


@dataclass(frozen=True)
class Window:
    """Bytes to scan.

    Attributes:
        raw: The text between two paddings of PAD newlines, the second up to 63 longer: sets of its places are whole words.
        low: First owned place; a candidate belongs to the window that owns its first byte.
        high: One past the last owned place.
        delimiter: Byte between the cells of a table, or None where the text is no table.
        plain: Known to be ASCII; spares a look.
    """

    raw: bytes
    low: int
    high: int
    delimiter: int | None = None
    plain: bool = False
    _sets: dict[int | str, Words] = field(default_factory=dict, repr=False, compare=False)
    announced: list[Places] = field(
        default_factory=list, repr=False, compare=False
    )  # see `context`, which fills it once

    @cached_property
    def data(self) -> Bytes:
        """Shape (PAD + n + PAD,): `raw` as numbers, without a copy."""
        return np.frombuffer(self.raw, np.uint8)

    @cached_property
    def lanes(self) -> Loads:
        """The eight bytes from any place on, up to eight before the end."""
        return Loads(self.data.view("<u8"))

    @cached_property
    def has_wide(self) -> bool:
        """Whether any byte of the window lies outside ASCII."""
        return not self.plain and bool(np.bitwise_or.reduce(self.data.view("<u8")) & _TOPS)

    def rows(self, start: Places, width: int) -> Bytes:
        """Shape (n, width): the bytes from every place on, copied row by row: a tenth of what indexing each byte takes."""
        every = np.ndarray(self.data.size - width + 1, f"V{width}", self.raw, 0, 1)
        return every[start].view(np.uint8).reshape(-1, width)

    def places_of(self, byte: int) -> Words:
        """Places of a byte, owned or not; looked for once."""
        return self.kept(byte, lambda: packed(self.data == np.uint8(byte)))

    def kept(self, name: int | str, make: Callable[[], Words]) -> Words:
        """A set of places that is worked out once."""
        if name not in self._sets:
            self._sets[name] = make()
        return self._sets[name]

    def owns(self, text: bytes) -> bool:
        """Whether the owned part holds a text (one byte is searched for at the speed of memory)."""
        return self.raw.find(text, self.low, self.high) >= 0

    def holds(self, text: bytes) -> bool:
        """Whether a text lies in the window, owned or not."""
        return text in self.raw

    def text(self, start: int, end: int) -> bytes:
        """Bytes between two places."""
        return self.raw[start:end]


@dataclass(frozen=True)
class Loads:
    """Eight bytes from any place of a text of whole lanes, by two aligned loads: half of what NumPy takes for one that is not.

    A place must lie more than eight bytes before the end.
    """

    aligned: Lanes

    def __getitem__(self, places: Places) -> Lanes:
        """Shape-preserving; the byte at the place is the lowest."""
        word, shift = places >> 3, (places & 7).view(np.uint64) << _THREE
        low: Lanes = self.aligned.take(word)
        high: Lanes = self.aligned[1:].take(word)
        low >>= shift
        high <<= _ONE
        high <<= _BEYOND - shift  # together 64 - shift, in two steps, since a shift by 64 is none
        low |= high
        return low


def places_of_pairs(text: Bytes, pairs: Sequence[int]) -> Places:
    """Where any of the pairs of bytes stands, the first byte lowest; sorted.

    Two bytes are compared at a time, once from the even places and once from the odd: each pair takes two passes in place
    of four, and more than a few are looked up. The odd half is copied, since comparing what is not aligned takes longer.
    """
    found, table = [], None
    if len(pairs) > _FEW_PAIRS:
        table = np.zeros(1 << 16, np.bool_)
        table[list(pairs)] = True
    for odd in (0, 1):
        halves = text[odd : odd + (text.size - odd) // 2 * 2]
        halves = (halves.copy() if odd else halves).view("<u2")
        here = np.zeros(halves.size, np.bool_) if table is None else table[halves]
        for pair in pairs if table is None else ():
            here |= halves == np.uint16(pair)
        found.append(2 * places_in(here) + odd)
    both = np.concatenate(found)
    both.sort(kind="stable")  # two ascending runs: joined in one pass
    return both


def open_window(text: bytes, *, low: int = 0, high: int | None = None, delimiter: int | None = None) -> Window:
    """Pad a text.

    Args:
        text: What to scan: owned bytes and, around them, bytes that belong to neighbouring windows.
        low: Offset in `text` of the first owned byte.
        high: Offset one past the last owned byte; the end of `text` where not given.
        delimiter: Byte between the cells of a table.
    """
    return padded([text], low, len(text) if high is None else high, delimiter)


def padded(
    parts: Sequence[bytes | memoryview], low: int, high: int, delimiter: int | None, *, plain: bool = False
) -> Window:
    """A window over parts of a text, copied once; `low` and `high` are offsets in all of them together."""
    return Window(margined(parts), PAD + low, PAD + high, delimiter, plain)


def margined(parts: Sequence[bytes | memoryview]) -> bytes:
    """Parts of a text between two paddings, as `Window.raw` has them."""
    more = _MARGIN[: -sum(len(part) for part in parts) % 64]
    return b"".join((_MARGIN, *parts, _MARGIN, more))


def polynomial(lanes: Lanes, base: int) -> Lanes:
    """Sum of digit * base^(7 - i) over the eight digits of every lane; `base` is 2 or 10."""
    return of_pairs(pairs_of(lanes, base), base)


def pairs_of(lanes: Lanes, base: int = 10) -> Lanes:
    """Four numbers of two digits each from the eight digits of every lane, in sixteen bits each, the leftmost lowest."""
    return _folded(lanes & _DIGIT_BITS, base, 8, _PAIRS)


def of_pairs(pairs: Lanes, base: int = 10) -> Lanes:
    """The number that four of two digits make."""
    return _folded(_folded(pairs, base**2, 16, _QUADS), base**4, 32, _WHOLE)


def _folded(lanes: Lanes, factor: int, shift: int, kept: np.uint64) -> Lanes:
    """Neighbours of `shift` bits as one number: the left times the factor, and the right; every other sum is dropped."""
    folded: Lanes = lanes * np.uint64(1 + (factor << shift))
    folded >>= np.uint64(shift)
    folded &= kept
    return folded


def pairs_and_sum(lanes: Lanes, weights: Sequence[int]) -> tuple[Lanes, Lanes]:
    """`pairs_of`, and the sum of digit * weight, for weights of at most 10, in the sixteen highest bits of each lane.

    Every other digit stands in sixteen bits of its own; a product with the weights in reverse adds up in the highest.
    """
    left, right = lanes & _EVEN_DIGITS, lanes >> np.uint64(8)
    right &= _EVEN_DIGITS
    pairs = left * np.uint64(10)
    pairs += right
    left *= _reversed(weights[0::2])
    right *= _reversed(weights[1::2])
    left += right
    return pairs, left


def _reversed(weights: Sequence[int]) -> np.uint64:
    return np.uint64(sum(weight << 16 * (3 - place) for place, weight in enumerate(weights)))


def remainder(lanes: Lanes, divisor: int) -> Lanes:
    """Modulo through the division: NumPy vectorises the one and not the other, which is three times slower."""
    by = np.uint64(divisor)
    rest: Lanes = lanes // by
    rest *= by
    np.subtract(lanes, rest, out=rest)
    return rest


def first_digits(lanes: Lanes, count: int) -> Lanes:
    """Number that the first `count` bytes of every lane make, whatever stands behind them."""
    return polynomial((lanes & _DIGIT_BITS) << np.uint64(8 * (8 - count)), 10)


def in_lower_case(lanes: Lanes) -> Lanes:
    """Capital ASCII letters as small ones, other bytes as they are."""
    low = lanes & _LOW7
    capital = (low + _FROM_A) & ~(low + _PAST_Z) & ~lanes & _TOPS
    return lanes | capital >> np.uint64(2)


def keep_last(lanes: Lanes, count: Lanes) -> Lanes:
    """Digits of the last `count` (1 to 8) bytes of every lane; the bytes before them become zero."""
    drop = (np.uint64(8) - count) << np.uint64(3)
    kept: Lanes = ((lanes & _DIGIT_BITS) >> drop) << drop
    return kept


def luhn_sums(lanes: Lanes) -> Lanes:
    """Luhn sum of eight digits whose rightmost stands at an undoubled place (ISO/IEC 7812-1 annex B)."""
    digits = lanes & _DIGIT_BITS
    doubled = digits & _EVEN  # lowest byte = leftmost of eight = doubled, counted from the right
    large = ((doubled + _FIVE_UP) & _TOPS) >> np.uint64(7)
    folded = (digits & ~_EVEN) + doubled * np.uint64(2) - large * np.uint64(9)
    sums: Lanes = (folded * _ONES) >> np.uint64(56)
    return sums
