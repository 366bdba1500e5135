"""Seeded chance for the corpus: one `Dice` a file, so that a file depends on the seed and its number alone.

Faker gives names, companies and addresses. Nothing here may read the clock: Faker's own resident IDs and dates do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
from faker import Faker

LOCALES = {"hans": "zh_CN", "hant": "zh_TW", "en": "en_US"}
T = TypeVar("T")


@cache
def _faker(locale: str) -> Faker:
    return Faker(locale, use_weighting=False)


class Dice:
    """Draws for one file."""

    def __init__(self, seed: int, number: int) -> None:
        self._rng = np.random.default_rng([seed, number])
        self._turn = (seed << 20) + number

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self._rng.integers(low, high + 1))

    def pick(self, of: Sequence[T]) -> T:
        return of[self.number(0, len(of) - 1)]

    def some(self, of: Sequence[T], count: int) -> list[T]:
        """`count` different ones, in chance's order."""
        return [of[int(place)] for place in self._rng.permutation(len(of))[:count]]

    def shuffled(self, of: Sequence[T]) -> list[T]:
        return self.some(of, len(of))

    def often(self, percent: int) -> bool:
        return self.number(1, 100) <= percent

    def digits(self, count: int, alphabet: str = "0123456789") -> str:
        return "".join(alphabet[place] for place in self._rng.integers(0, len(alphabet), count))

    def data(self, count: int) -> bytes:
        return self._rng.bytes(count)

    def date(self, first: int = 1940, last: int = 2018) -> str:
        """YYYYMMDD; day 28 at the most, so that it exists in every month."""
        return f"{self.number(first, last)}{self.number(1, 12):02d}{self.number(1, 28):02d}"

    def faker(self, lang: str) -> Faker:
        """Faker of the language, seeded from this file's numbers."""
        faker = _faker(LOCALES[lang])
        faker.seed_instance(self._turn * 1009 + self.number(0, 1 << 30))
        return faker

    def name(self, lang: str) -> str:
        """A person's name; Faker's Traditional Chinese ones with a sign that Big5 lacks are drawn again."""
        faker = self.faker(lang)
        while not _writable(name := str(faker.name()), lang):
            pass
        return name


def _writable(name: str, lang: str) -> bool:
    return lang != "hant" or name.encode("big5", "ignore").decode("big5") == name
