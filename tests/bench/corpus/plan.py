"""Which files the corpus has: small ones of one kind and one spelling, negatives alone, and mixed ones.

Small files keep misses and false alarms from cancelling where only counts are compared, and name what was missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from tests.bench.corpus import prose, tables
from tests.bench.corpus.dice import Dice
from tests.bench.corpus.entries import Field, false_field, true_field
from tests.bench.corpus.negatives import BESIDE, NEGATIVES, Negative
from tests.bench.corpus.shown import Page, Sample
from tests.bench.corpus.values import FORMS, Form

DEVELOPMENT, REPORT = 1, 20261124

TABLE_SHAPES = ("csv", "ndjson", "tsv", "csv headless", "json", "csv quoted", "tsv headless")
HEADED = tuple(shape for shape in TABLE_SHAPES if "headless" not in shape)
LANGUAGES = ("hans", "hant", "en")
ENCODINGS = {
    "hans": ("utf-8", "gb18030", "utf-8-sig", "utf-16"),
    "hant": ("utf-8", "big5", "utf-16-be", "utf-8"),
    "en": ("utf-8", "utf-8", "gb18030", "utf-16"),
}
TEXT_ENCODINGS = {
    "note": ("utf-8", "gb18030", "utf-16"),
    "letter": ("utf-8", "big5", "utf-8"),
    "mail": ("utf-8", "utf-8", "gb18030"),
    "report": ("utf-8", "utf-8-sig", "gb18030"),
    "log": ("utf-8",),
    "code": ("utf-8",),
}
TABLES_A_FORM, TEXTS_A_FORM = 4, 6
MIXED = 40


def corpus(seed: int) -> Iterator[Sample]:
    """Every file, in order; the same seed makes the same bytes."""
    numbers = count()
    for place, form in enumerate(FORMS):
        for turn in range(TABLES_A_FORM):
            yield _table(
                Dice(seed, number := next(numbers)), number, [form], _beside(form, place, turn), place + 2 * turn
            )
        for turn in range(TEXTS_A_FORM):
            yield _text(Dice(seed, number := next(numbers)), number, [form], _beside(form, place, turn), turn)
    for place, negative in enumerate(NEGATIVES):
        for turn in range(2):
            yield _table(Dice(seed, number := next(numbers)), number, [], [negative], place + 3 * turn)
        for turn in range(len(prose.SHAPES)):
            yield _text(Dice(seed, number := next(numbers)), number, [], [negative], turn)
    for turn in range(MIXED):
        dice = Dice(seed, number := next(numbers))
        yield _table(dice, number, _different(dice), dice.some(NEGATIVES, 3), turn)
        dice = Dice(seed, number := next(numbers))
        yield _text(dice, number, _different(dice), dice.some(NEGATIVES, 4), turn)


def _different(dice: Dice) -> list[Form]:
    """Four forms of four kinds."""
    chosen: dict[str, Form] = {}
    for form in dice.shuffled(FORMS):
        chosen.setdefault(form.kind, form)
    return list(chosen.values())[:4]


def _beside(form: Form, place: int, turn: int) -> list[Negative]:
    """In one file of three, one of the look-alikes of the kind."""
    near = BESIDE[form.kind]
    return [NEGATIVES[near[(place + turn) % len(near)]]] if (place + turn) % 3 == 0 else []


def _table(dice: Dice, number: int, forms: list[Form], negatives: list[Negative], turn: int) -> Sample:
    shapes = TABLE_SHAPES if all(form.evident for form in forms) else HEADED
    shape, lang = shapes[turn % len(shapes)], LANGUAGES[(turn // 2 + number) % 3]
    encoding = "utf-8" if "json" in shape else dice.pick(ENCODINGS[lang])
    page = Page()
    tables.write(page, dice, shape, lang, _fields(dice, forms, negatives), dice.number(6, 14))
    encoding = page.fitting(encoding)
    about = f"{_about(forms, negatives)} | {shape}, {lang}, {encoding}"
    return page.close(f"{number:04d}{tables.SUFFIXES[shape]}", encoding, "tables", about)


def _text(dice: Dice, number: int, forms: list[Form], negatives: list[Negative], turn: int) -> Sample:
    shape = tuple(prose.SHAPES)[turn % len(prose.SHAPES)]
    encoding, page = dice.pick(TEXT_ENCODINGS[shape]), Page()
    prose.write(page, dice, shape, _fields(dice, forms, negatives), dice.number(4, 7) if len(forms) < 2 else 2)
    encoding = page.fitting(encoding)
    about = f"{_about(forms, negatives)} | {shape}, {encoding}"
    return page.close(f"{number:04d}{prose.SUFFIXES[shape]}", encoding, "text", about)


def _fields(dice: Dice, forms: list[Form], negatives: list[Negative]) -> list[Field]:
    return [*(true_field(dice, form) for form in forms), *(false_field(dice, negative) for negative in negatives)]


def _about(forms: list[Form], negatives: list[Negative]) -> str:
    return " + ".join(
        [*(f"{form.kind}: {form.name}" for form in forms), *(f"no {negative.name}" for negative in negatives)]
    )
