"""One thing to write down, with the words that may stand beside it, and what else fills a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.corpus.dice import Dice
from tests.bench.corpus.negatives import Negative
from tests.bench.corpus.shown import Piece
from tests.bench.corpus.values import Form
from tests.bench.corpus.words import NEUTRAL, TRUE


@dataclass(frozen=True)
class Field:
    """A column, a key or a labelled word, and what is drawn for it."""

    draw: Callable[[Dice], Piece]
    headers: dict[str, str]
    labels: dict[str, str]
    key: str
    evident: bool


def true_field(dice: Dice, form: Form) -> Field:
    """A field of a form, under one of its kind's names."""
    words = TRUE[form.kind]
    return Field(
        form.draw,
        {lang: dice.pick(names) for lang, names in words.headers.items()},
        {lang: dice.pick(names) for lang, names in words.labels.items()},
        dice.pick(words.keys),
        form.evident,
    )


def false_field(dice: Dice, negative: Negative) -> Field:
    """A field of a negative, under its own name or, one time in three, a name that says nothing."""
    if dice.often(33):
        headers, key = {lang: dice.pick(names) for lang, names in NEUTRAL.headers.items()}, dice.pick(NEUTRAL.keys)
    else:
        headers, key = negative.headers, negative.key
    return Field(negative.draw, headers, headers, key, evident=True)


# ---- fillers: nothing in them is of a scored kind -----------------------------------------------------------------------


def _filler(hans: str, hant: str, en: str, draw: Callable[[Dice], str]) -> Field:
    headers = {"hans": hans, "hant": hant, "en": en}
    return Field(draw, headers, headers, en, evident=True)


def fillers(lang: str) -> tuple[Field, ...]:
    """Columns around the one that matters; words in them are of the language."""
    wards = {
        "hans": ("心内科", "内分泌科", "呼吸科", "骨科"),
        "hant": ("心臟科", "內分泌科", "呼吸科", "骨科"),
        "en": ("cardiology", "endocrine", "respiratory", "orthopaedics"),
    }
    sexes = {"hans": ("男", "女"), "hant": ("男", "女"), "en": ("M", "F")}
    return (
        _filler("年龄", "年齡", "age", lambda dice: str(dice.number(1, 95))),
        _filler("性别", "性別", "sex", lambda dice: dice.pick(sexes[lang])),
        _filler("科室", "科別", "department", lambda dice: dice.pick(wards[lang])),
        _filler("空腹血糖", "空腹血糖", "glucose", lambda dice: f"{dice.number(3, 15)}.{dice.number(0, 9)}"),
        _filler("白细胞", "白血球", "wbc", lambda dice: f"{dice.number(2, 20)}.{dice.digits(2)}"),
        _filler("就诊日期", "就診日期", "visit_date", _date),
        _filler("血压", "血壓", "bp", lambda dice: f"{dice.number(95, 180)}/{dice.number(55, 110)}"),
        _filler("姓名", "姓名", "name", lambda dice: dice.name(lang)),
    )


def _date(dice: Dice) -> str:
    day = dice.date(2022, 2026)
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
