"""The generated corpus: its truth is true, its negatives are nobody's, and a seed makes the same bytes again.

python-stdnum is the oracle; check digits it does not know are held against published examples.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from itertools import islice

import pytest
from stdnum import ean, imei, isbn, luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_2

from tests.architecture.source import ROOT
from tests.bench.corpus.checks import CARD_PREFIXES, MOBILE, hkid_check, organisation_check, resident_is_valid
from tests.bench.corpus.dice import Dice
from tests.bench.corpus.negatives import BESIDE, NEGATIVES
from tests.bench.corpus.plan import DEVELOPMENT, REPORT, corpus
from tests.bench.corpus.shown import MARKS, Page, Sample, Shown
from tests.bench.corpus.values import FORMS, KINDS
from tests.bench.corpus.words import TRUE

DRAWS = 60
ORACLES = {
    "cn_resident_id": resident_is_valid,
    "cn_uscc": uscc.is_valid,
    "bank_card": luhn.is_valid,
    "imei": imei.is_valid,
    "cn_residence_permit": lambda value: ric.calc_check_digit(value) == value[17],
    "hkid": lambda value: hkid_check(value[:-7], value[-7:-1]) == value[-1],
    "cn_org_code": lambda value: organisation_check(value[:8]) == value[8],
    "cn_mobile": lambda value: MOBILE.fullmatch(value) is not None,
}
NEGATIVE = {negative.name: negative for negative in NEGATIVES}


@cache
def development() -> tuple[Sample, ...]:
    return tuple(corpus(DEVELOPMENT))


def draws(form) -> list[Shown]:
    dice = Dice(7, FORMS.index(form))
    return [form.draw(dice) for _ in range(DRAWS)]


def bare(text: str) -> str:
    """Letters and digits of ordinary width, in upper case."""
    return re.sub(r"[^0-9A-Z\u4e00-\u9fff]", "", unicodedata.normalize("NFKC", text).upper())


# ---- truth --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.kind in ORACLES], ids=lambda form: f"{form.kind} {form.name}"
)
def test_what_has_a_check_digit_is_valid(form) -> None:
    for shown in draws(form):
        if form.name != "15 old":  # no check digit
            assert ORACLES[form.kind](shown.value), shown


@pytest.mark.parametrize(
    ("letters", "body", "check"), [("A", "123456", "3"), ("G", "123456", "A"), ("AB", "987654", "3")]
)
def test_hong_kong_check_digits_are_those_of_published_examples(letters: str, body: str, check: str) -> None:
    assert hkid_check(letters, body) == check
    assert sum(hkid_check(letters, body) == digit for digit in "0123456789A") == 1


def test_organisation_codes_check_as_in_a_published_credit_code() -> None:
    assert uscc.is_valid("9144030071526726XG")
    assert organisation_check("71526726") == "X"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.kind} {form.name}")
def test_a_spelling_keeps_the_value(form) -> None:
    """An area code loses its zero behind +86, and nothing else is lost."""
    for shown in draws(form):
        assert bare(shown.value).lstrip("0") in bare(shown.text), shown


def test_every_true_value_stands_where_the_truth_says() -> None:
    for sample in development():
        codec = MARKS.get(sample.encoding, (sample.encoding, b""))[0]
        for sighting in sample.truth:
            text = sample.data[sighting.start : sighting.end].decode(codec)
            assert bare(sighting.value).lstrip("0") in bare(text), (sample.name, sighting)
            before = sample.data[: sighting.start].decode(sample.encoding)
            assert before.count("\n") + 1 == sighting.line, (sample.name, sighting)


def test_no_true_number_is_forgotten() -> None:
    """Whatever of 18 characters validates stands in the truth: negatives and fillers hold none."""
    for sample in development():
        known = {sighting.value.upper() for sighting in sample.truth}
        for token in re.findall(r"(?<![0-9A-Za-z])[0-9A-Za-z]{18}(?![0-9A-Za-z])", sample.text()):
            assert token.upper() in known or not (resident_is_valid(token) or uscc.is_valid(token)), (
                sample.name,
                token,
            )


def test_every_kind_is_met_in_tables_and_in_text() -> None:
    for kind in KINDS:
        for group in ("tables", "text"):
            there = [sample for sample in development() if sample.group == group and kind in sample.counts()]
            assert sum(sample.counts()[kind] for sample in there) >= 30, (kind, group)


def test_tables_without_headers_hold_only_what_is_known_without() -> None:
    context = {f"{form.kind}: {form.name}" for form in FORMS if not form.evident}
    headless = [sample for sample in development() if "headless" in sample.about]
    assert headless
    assert not [sample.about for sample in headless if context & set(sample.about.split(" | ")[0].split(" + "))]


def test_every_encoding_is_met() -> None:
    assert {sample.encoding for sample in development()} == {
        "utf-8",
        "utf-8-sig",
        "gb18030",
        "big5",
        "utf-16",
        "utf-16-be",
    }


def test_names_tell_nothing() -> None:
    assert all(re.fullmatch(r"\d{4}\.[a-z]+", sample.name) for sample in development())


def test_kinds_are_words_of_the_vocabulary() -> None:
    vocabulary = tomllib.loads((ROOT / "policies" / "vocabulary.toml").read_text("utf-8"))["kinds"]
    assert set(KINDS) <= set(vocabulary)
    assert set(TRUE) == set(BESIDE) == set(KINDS)


# ---- negatives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("negative", NEGATIVES, ids=lambda negative: negative.name)
def test_a_negative_is_nobody_s_number(negative) -> None:
    dice = Dice(11, 0)
    for text in (negative.draw(dice) for _ in range(DRAWS)):
        assert not resident_is_valid(text)
        assert not uscc.is_valid(text)
        assert not (re.fullmatch(r"\d{13,19}", text) and CARD_PREFIXES.match(text) and luhn.is_valid(text))
        assert not MOBILE.fullmatch(text)
        assert not re.fullmatch(r"[^@\s]+@[a-z0-9.-]+\.(?:com|cn|hk|net|org|edu)", text)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("resident ID, wrong check digit", lambda text: resident_is_valid(text[:17] + ric.calc_check_digit(text))),
        ("resident ID, no such day", lambda text: ric.calc_check_digit(text) == text[17]),
        ("resident ID, no such area", lambda text: ric.calc_check_digit(text) == text[17] and ric.get_birth_date(text)),
        ("bank card, wrong Luhn digit", lambda text: not luhn.is_valid(text) and CARD_PREFIXES.match(text)),
        ("USCC, wrong check", lambda text: uscc.is_valid(text[:17] + uscc.calc_check_digit(text[:17]))),
        ("HKID, wrong check", lambda text: hkid_check(text[0], text[1:7]) != text[8]),
        ("organisation code, wrong check", lambda text: organisation_check(text[:8]) != text[9]),
        ("ISBN", isbn.is_valid),
        ("EAN", ean.is_valid),
        ("ORCID iD", lambda text: mod_11_2.is_valid(text.replace("-", ""))),
    ],
)
def test_a_negative_is_wrong_in_one_thing_or_right_in_its_own(name: str, holds) -> None:
    dice = Dice(13, 0)
    for text in (NEGATIVE[name].draw(dice) for _ in range(DRAWS)):
        assert holds(text), text


# ---- seeds --------------------------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_bytes_and_another_makes_others() -> None:
    again = list(islice(corpus(DEVELOPMENT), 200))
    assert again == list(development()[:200])
    other = list(islice(corpus(REPORT), 20))
    assert not {sample.data for sample in other} & {sample.data for sample in development()}


def test_a_page_counts_bytes_behind_a_mark_of_byte_order() -> None:
    page = Page()
    page.add("电话：\n", Shown("cn_mobile", "plain", "13800138000", "13800138000"), "。")
    sample = page.close("0000.txt", "utf-16", "text", "")
    (sighting,) = sample.truth
    assert (sighting.start, sighting.end, sighting.line) == (2 + 8, 2 + 8 + 22, 2)
    assert sample.text() == "电话：\n13800138000。"


def test_what_an_encoding_lacks_is_written_in_utf_8() -> None:
    page = Page()
    page.add("粤B12345")
    assert page.fitting("big5") == "utf-8"
    assert page.fitting("gb18030") == "gb18030"
