"""Free text: clinical notes, letters, e-mails, reports of two languages, server logs and program code.

Each thing stands in a sentence: with a word that says what it is, or, where it is evident, half of the time without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench.corpus.dice import Dice
from tests.bench.corpus.entries import Field
from tests.bench.corpus.shown import Page

Sentence = Callable[[Page, Dice, Field], None]


def write(page: Page, dice: Dice, shape: str, fields: Sequence[Field], sentences: int) -> None:
    """So many sentences of each field, in chance's order, in one of `SHAPES`."""
    opening, sentence, filler, closing = SHAPES[shape]
    page.add(opening(dice))
    for field in dice.shuffled([field for field in fields for _ in range(sentences)]):
        sentence(page, dice, field)
        if dice.often(60):
            page.add(filler(dice))
    page.add(closing)


def _around(page: Page, dice: Dice, field: Field, lang: str, named: Sequence[str], bare: Sequence[str]) -> None:
    """A sentence with `{word}` and `{it}`, or one with `{it}` alone."""
    alone = field.evident and dice.often(50)
    before, after = dice.pick(bare if alone else named).replace("{word}", field.labels[lang]).split("{it}")
    before, after = (text.replace("{name}", dice.name(lang)) for text in (before, after))
    page.add(before, field.draw(dice), after)


# ---- clinical note, 简体 --------------------------------------------------------------------------------------------------


def _note_opening(dice: Dice) -> str:
    who = f"{dice.name('hans')}，{dice.pick('男女')}，{dice.number(20, 90)}岁"
    return f"出院小结\n\n患者{who}，因反复胸闷{dice.number(1, 9)}天入院。\n"


def _note(page: Page, dice: Dice, field: Field) -> None:
    _around(
        page,
        dice,
        field,
        "hans",
        (
            "{word}：{it}。",
            "家属{name}，{word}{it}，已告知病情。",
            "{word}:{it}\n",
            "登记时提供的{word}为{it}，经核对无误。",
            "（{word} {it}）",
            "随访联系{name}，{word}：{it}；",
        ),
        ("系统记录{it}，请核对。", "原始登记 {it} 已归档。", "见附页：{it}\n", "{name}（{it}）参加了随访。"),
    )


def _note_filler(dice: Dice) -> str:
    return dice.pick(
        (
            f"查体：体温{dice.number(36, 39)}.{dice.number(0, 9)}℃，血压{dice.number(95, 180)}/{dice.number(55, 110)}mmHg。\n",
            "双肺呼吸音清，未闻及干湿啰音，心律齐。\n",
            f"予阿司匹林{dice.pick((75, 100))}mg每日一次，阿托伐他汀20mg每晚一次。\n",
            f"复查血常规：白细胞{dice.number(3, 12)}.{dice.digits(2)}×10^9/L，血红蛋白{dice.number(90, 160)}g/L。",
            "建议低盐低脂饮食，门诊随诊。",
        )
    )


# ---- letter, 繁體 -------------------------------------------------------------------------------------------------------


def _letter_opening(dice: Dice) -> str:
    return f"轉介信\n\n敬啟者：\n茲轉介{dice.name('hant')}（{dice.number(18, 90)}歲）到貴院專科門診。\n"


def _letter(page: Page, dice: Dice, field: Field) -> None:
    _around(
        page,
        dice,
        field,
        "hant",
        (
            "{word}：{it}。",
            "病人{name}的{word}為{it}。",
            "如有查詢，請聯絡{name}（{word}：{it}）。",
            "{word} {it}\n",
            "陪同人士：{name}，{word}{it}，",
        ),
        ("紀錄所載為{it}。", "有關資料 {it} 已存檔。", "另附：{it}\n"),
    )


def _letter_filler(dice: Dice) -> str:
    return dice.pick(
        (
            "病人有高血壓及糖尿病病史，現服用二甲雙胍。\n",
            f"上次覆診血糖為{dice.number(4, 15)}.{dice.number(0, 9)}mmol/L。",
            "專科醫生建議作進一步檢查。\n",
            "病人同意將研究資料轉交合作院校。",
        )
    )


# ---- e-mail -------------------------------------------------------------------------------------------------------------


def _mail_opening(dice: Dice) -> str:
    return (
        f"From: {dice.name('en')}\nTo: {dice.name('en')}\nSubject: Re: 队列数据交接 / cohort hand-over\n"
        f"Date: Tue, {dice.number(1, 28)} Sep 2026 10:{dice.number(10, 59)}:00 +0800\n\n各位好，\n\n"
    )


def _mail(page: Page, dice: Dice, field: Field) -> None:
    lang = dice.pick(("hans", "en"))
    named = {
        "hans": (
            "请更新{name}的{word}：{it}，谢谢。\n",
            "{word}: {it}\n",
            "> {name}，{word}是{it}\n",
            "- {name} / {word} {it}\n",
        ),
        "en": ("Please note the {word} of {name}: {it}.\n", "{word}: {it}\n", "> his {word} is {it}, as agreed\n"),
    }
    bare = {
        "hans": ("如有问题请回复 {it}，谢谢。\n", "> {name} {it}\n", "抄送：<{it}>\n"),
        "en": ("You can use {it} for this.\n", "- {name}, {it}\n", "> see {it}\n"),
    }
    _around(page, dice, field, lang, named[lang], bare[lang])


def _mail_filler(dice: Dice) -> str:
    return dice.pick(
        (
            "附件是上周的质控结果，共三批。\n",
            "The second batch passes QC; depth is 30x on average.\n",
            "会议改到周四下午两点半，201室。\n",
            f"We still miss {dice.number(2, 40)} of the consent forms.\n\n",
        )
    )


# ---- report, English with Chinese ---------------------------------------------------------------------------------------


def _report_opening(dice: Dice) -> str:
    return f"Follow-up report, site {dice.number(1, 12)} (深圳市人民医院)\n\nSubjects were seen at months 1, 3 and 6. "


def _report(page: Page, dice: Dice, field: Field) -> None:
    _around(
        page,
        dice,
        field,
        "en",
        (
            "The {word} on file is {it}. ",
            "{name} ({word}: {it}) attended all visits. ",
            "{word} {it} was checked against the source document (原始病历). ",
            "* {word}: {it}\n",
            "We recorded {word} = {it}; see appendix. ",
        ),
        ("Entry {it} was corrected on site. ", "{name}, {it}, was lost to follow-up (失访). ", "\n- {it}\n"),
    )


def _report_filler(dice: Dice) -> str:
    return dice.pick(
        (
            f"The hazard ratio was 0.{dice.digits(2)} (95% CI 0.41 to 1.{dice.digits(2)}, p = 0.0{dice.digits(2)}). ",
            "No serious adverse event was seen. ",
            f"Mean HbA1c fell from 8.{dice.number(0, 9)} to 7.{dice.number(0, 9)} percent.\n",
            "空腹血糖与餐后血糖均有下降。",
        )
    )


# ---- server log ---------------------------------------------------------------------------------------------------------


def _moment(dice: Dice) -> str:
    day = f"2026-{dice.number(1, 12):02d}-{dice.number(1, 28):02d}"
    return f"{day}T{dice.number(10, 23)}:{dice.number(10, 59)}:07.{dice.digits(3)}Z"


def _log(page: Page, dice: Dice, field: Field) -> None:
    piece = field.draw(dice)
    patterns = [
        f"{_moment(dice)} INFO  [http-{dice.number(1, 16)}] submit form {field.key}={{it}} status=200\n",
        f"{_moment(dice)} WARN  api.register - duplicate {field.key}: {{it}} (ms={dice.number(2, 900)})\n",
        f'{_moment(dice)} DEBUG payload={{"{field.key}":"{{it}}","retry":{dice.number(0, 3)}}}\n',
    ]
    if (piece if isinstance(piece, str) else piece.text).isalnum():  # others would be percent-encoded in a query
        query = f'"GET /query?{field.key}={{it}}&page={dice.number(1, 9)} HTTP/1.1" 200 {dice.number(90, 9000)}'
        patterns.append(f"10.{dice.number(0, 255)}.4.{dice.number(1, 254)} - - {query}\n")
    before, after = dice.pick(patterns).split("{it}")
    page.add(before, piece, after)


def _log_filler(dice: Dice) -> str:
    figures = f"heap={dice.number(100, 900)}MB gc={dice.number(1, 90)}ms queue={dice.number(0, 99)}"
    return f"{_moment(dice)} INFO  [pool-{dice.number(1, 8)}] {figures}\n"


# ---- code ---------------------------------------------------------------------------------------------------------------


def _code(page: Page, dice: Dice, field: Field) -> None:
    patterns = (
        '{key} = "{it}"\n',
        "    assert lookup({key}='{it}') is not None\n",
        "INSERT_{row} = \"INSERT INTO visits (id, {key}) VALUES ({row}, '{it}')\"\n",
        'records.append({"{key}": "{it}", "arm": {row}})\n',
        "# TEST {key}: {it}\n",
    )
    text = dice.pick(patterns).replace("{row}", str(dice.number(1, 99))).replace("{key}", field.key)
    before, after = text.split("{it}")
    page.add(before, field.draw(dice), after)


def _code_filler(dice: Dice) -> str:
    return dice.pick(
        (
            "\n\ndef mean(values):\n    return sum(values) / len(values)\n\n\n",
            f"THRESHOLD = 0.{dice.digits(3)}\n",
            f"for step in range({dice.number(2, 4096)}):\n    model.update(step, rate=1e-{dice.number(2, 6)})\n",
            "# 先归一化，再求均值\n",
        )
    )


SHAPES: dict[str, tuple[Callable[[Dice], str], Sentence, Callable[[Dice], str], str]] = {
    "note": (_note_opening, _note, _note_filler, "\n医师签名：\n"),
    "letter": (_letter_opening, _letter, _letter_filler, "\n此致\n"),
    "mail": (_mail_opening, _mail, _mail_filler, "\n祝好\n"),
    "report": (_report_opening, _report, _report_filler, "\nEnd of report.\n"),
    "log": (_log_filler, _log, _log_filler, ""),
    "code": (lambda _: '"""Fixtures of the importer."""\n\nimport math\n\n', _code, _code_filler, ""),
}
SUFFIXES = {"note": ".txt", "letter": ".txt", "mail": ".eml", "report": ".txt", "log": ".log", "code": ".py"}
