"""Every detector against its own table, against python-stdnum, and against itself under another cutting of the text."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric, uscc

from gateway.core.classify.stream import Block
from gateway.core.classify.window import fold, window_of
from gateway.core.detectors import MarkFinder, MarkForm, header_kinds, may_hold, open_window, parse_tables, scan
from gateway.core.detectors.digits import LONGEST, find_runs
from gateway.core.detectors.lanes import PAD
from gateway.core.errors import Unusable
from gateway.stores.detectors import load_detector_tables, read_documents

TABLES = load_detector_tables()
DOCUMENTS = read_documents()
IDENTIFIERS, MARKS, HEADERS = DOCUMENTS["identifiers.toml"], DOCUMENTS["marks.toml"], DOCUMENTS["headers.toml"]
DICOM = DOCUMENTS["dicom.toml"]


def _folded(text: str) -> bytes:
    return fold(np.frombuffer(text.encode(), np.uint8)).tobytes()


def _valid(text: str | bytes, key: str) -> list[int]:
    window = open_window(_folded(text) if isinstance(text, str) else text)
    return [int(v) for part in scan(window, TABLES) if part.key == key for v in part.value[part.valid]]


def _examples(document: dict, which: str):
    return [pytest.param(key, text, id=f"{key}:{text}") for key, table in document.items() for text in table[which]]


@pytest.mark.parametrize(("key", "text"), _examples(IDENTIFIERS, "hits"))
def test_hits_are_found(key, text):
    assert _valid(text, key)


@pytest.mark.parametrize(("key", "text"), _examples(IDENTIFIERS, "near_misses"))
def test_near_misses_are_not(key, text):
    assert not _valid(text, key)


def test_every_table_has_hits_near_misses_and_a_citation():
    for document in (IDENTIFIERS, MARKS, HEADERS):
        for key, table in document.items():
            assert len(table["hits"]) >= 2, key
            assert len(table["near_misses"]) >= 2, key
            assert len(table["citation"]) > 5, key


@pytest.mark.parametrize(("kind", "text"), _examples(MARKS, "hits"))
def test_marks_are_found(kind, text):
    form = MarkForm.MARKED if kind == "secrecy_mark" else MarkForm.INTERNAL
    assert form in {mark.form for mark in MarkFinder(TABLES).find(open_window(_folded(text)))}


@pytest.mark.parametrize(("kind", "text"), _examples(MARKS, "near_misses"))
def test_sentences_are_no_marks(kind, text):
    form = MarkForm.MARKED if kind == "secrecy_mark" else MarkForm.INTERNAL
    assert form not in {mark.form for mark in MarkFinder(TABLES).find(open_window(_folded(text)))}


@pytest.mark.parametrize(("kind", "text"), _examples(HEADERS, "hits"))
def test_headers_are_understood(kind, text):
    assert kind in {words.kind for words in header_kinds(text, TABLES)}


@pytest.mark.parametrize(("kind", "text"), _examples(HEADERS, "near_misses"))
def test_other_headers_are_not(kind, text):
    assert kind not in {words.kind for words in header_kinds(text, TABLES)}


def test_the_two_forms_of_a_resident_number_are_one_person():
    assert _valid("440300900101123", "cn_resident_id_15") == _valid("440300199001011238", "cn_resident_id")
    assert _valid("110105 19491231 002X", "cn_resident_id") == _valid("11010519491231002x", "cn_resident_id")


@pytest.mark.parametrize("form", ["13800138000", "+86 13800138000", "138-0013-8000", "8613800138000", "138 0013 8000"])
def test_a_mobile_has_one_value_in_every_form(form):
    assert _valid(form, "cn_mobile") == [8613800138000]


@pytest.mark.parametrize("form", ["+85291234567", "+852 9123 4567", "(852) 91234567", "Tel 9123-4567", "85291234567"])
def test_a_hong_kong_number_has_one_value_in_every_form(form):
    assert _valid(form, "hk_mobile") == [85291234567]


def test_a_card_has_one_value_in_every_form():
    assert _valid("6217 0000 1000 1234 569", "bank_card") == _valid("6217000010001234569", "bank_card")
    assert _valid("A123456(3)", "hkid") == _valid("a1234563", "hkid") != _valid("AB987654(3)", "hkid")
    assert _valid("Zhang.San@Example.com", "email") == _valid("zhang.san@example.COM", "email")


def test_an_address_longer_than_a_lane_is_one_value():
    long = "a" * 40 + "@" + "b" * 40 + ".example.org"
    assert len(_valid(f"{long} {long}", "email")) == 2
    assert len(set(_valid(f"{long} {long}x", "email"))) == 2
    assert not _valid("a" * 70 + "@example.org", "email")


REGIONS = st.sampled_from(["110105", "440300", "310101", "510104", "810000", "830000", "999999", "120225"])


@st.composite
def resident_numbers(draw):
    date = draw(st.sampled_from(["19900101", "19000229", "20000229", "19491231", "20231301", "19991131", "18991231"]))
    return draw(REGIONS) + date + f"{draw(st.integers(1, 999)):03d}" + draw(st.sampled_from("0123456789X"))


@given(resident_numbers())
def test_resident_numbers_agree_with_stdnum(number):
    ours = bool(_valid(f",{number},", "cn_resident_id"))
    # stdnum knows every county and lets years before 1900 pass; where it says yes and the year is in range so must we
    known = ric.is_valid(number)
    if known and number[6:8] in {"19", "20"}:
        assert ours
    if ours:
        assert ric.calc_check_digit(number) == number[-1]
        assert ric.get_birth_date(number)


@given(
    st.text("0123456789", min_size=9, max_size=15), st.sampled_from(["6217", "4111", "5105", "3782", "3530", "9558"])
)
def test_cards_agree_with_stdnum(body, prefix):
    number = prefix + body
    if _valid(number, "bank_card"):
        assert luhn.is_valid(number)
    bits = int(TABLES.issuer_lengths[int(prefix)])
    if luhn.is_valid(number) and bits >> len(number) & 1 and not _valid(number, "cn_resident_id"):
        assert _valid(number, "bank_card")


@given(
    st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9),
    st.sampled_from(["91440300", "91110000", "Y1440300", "51310000"]),
)
def test_credit_codes_agree_with_stdnum(organisation, prefix):
    body = prefix + organisation
    number = body + uscc.calc_check_digit(body)
    if not _valid(number, "cn_resident_id"):
        assert _valid(number, "cn_uscc")
    other = body + ("0" if number[-1] != "0" else "1")
    assert not _valid(other, "cn_uscc")


_GROUPS = re.compile(r"(?<!\d)\d{4}(?=[ -]\d{4}(?!\d))|(?<=(?<!\d)\d{4}[ -])\d{4}(?!\d)", re.ASCII)


@given(st.text(st.sampled_from("0123456789ab ,-."), max_size=400))
def test_runs_are_those_a_plain_search_finds(text):
    runs = find_runs(open_window(text.encode()))
    plain = {m.start(): min(len(m[0]), LONGEST) for m in re.finditer(r"\d{6,}", text)}
    plain |= {m.start(): 4 for m in _GROUPS.finditer(text)}
    assert dict(zip((runs.start - PAD).tolist(), runs.length.tolist(), strict=True)) == plain
    assert runs.start.tolist() == sorted(runs.start.tolist())


@given(st.text(st.sampled_from("0123456789ab ,-.@X"), max_size=60))
def test_a_small_window_without_shapes_holds_nothing(text):
    window = open_window(text.encode())
    big = open_window(text.encode() + b"\n" * 20_000)  # is not looked at before
    assert may_hold(window.raw) == bool(re.search(r"\d{6}|\d{4}[ -]\d{4}|@", text, re.ASCII))
    assert _owned(window) == _owned(big)


PIECES = ["11010519491231002X", "A123456(3)", "+852 9123 4567", "138-0013-8000", "6217 0000 1000 1234 569", "a@b.com"]


@given(
    st.lists(st.sampled_from([*PIECES, "12", "Tel ", ",", "x", "患者", "机密★", " "]), min_size=1, max_size=40),
    st.data(),
)
def test_where_a_line_is_cut_changes_nothing(parts, data):
    text = "".join(parts).encode()
    cut = data.draw(st.integers(0, len(text)))
    whole = _owned(open_window(text))
    low, high = max(cut - 256, 0), min(cut + 256, len(text))
    first = window_of(_block(b"", text[:cut], text[cut:high]), None)
    second = window_of(_block(text[low:cut], text[cut:], b""), None)
    assert sorted(_owned(first) + _owned(second)) == sorted(whole)


@pytest.mark.parametrize("cut", range(1, 7))
def test_an_address_cut_anywhere_is_found_once(cut):
    text = b"a@b.com"
    first, second = _block(b"", text[:cut], text[cut:]), _block(text[:cut], text[cut:], b"")
    assert _owned(window_of(first, None)) == _owned(open_window(text))
    assert _owned(window_of(second, None)) == []


def _block(before: bytes, own: bytes, after: bytes) -> Block:
    return Block(memoryview(before), memoryview(own), memoryview(after), line_ends=True)


def _owned(window):
    hits = [(p.key, int(v)) for p in scan(window, TABLES) for v in p.value[p.valid]]
    return hits + [(mark.form.value, 0) for mark in MarkFinder(TABLES).find(window)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i, _m, _h, _d: i["hkid"].pop("chance"), "chance"),
        (lambda i, _m, _h, _d: i["hkid"].update(surprise=1), "surprise"),
        (lambda i, _m, _h, _d: i["hkid"].update(personal="yes"), "true or false"),
        (lambda i, _m, _h, _d: i.update(hkid=3), "must be a table"),
        (lambda _i, m, _h, _d: m.pop("secrecy_mark"), "secrecy_mark"),
        (lambda _i, _m, h, _d: h["phone"].update(words="tel"), "list of strings"),
        (lambda i, _m, _h, _d: i["bank_card"].update(issuers=[{"from": "62", "to": "623", "lengths": [16]}]), "62-623"),
        (lambda _i, _m, _h, d: d["dicom_identity"].update(tags=["0010,0010 PatientName"]), "PatientName"),
        (lambda _i, _m, _h, d: d.pop("face_image"), "face_image"),
    ],
)
def test_a_table_that_is_not_understood_is_refused(change, says):
    documents = [{k: dict(v) for k, v in document.items()} for document in (IDENTIFIERS, MARKS, HEADERS, DICOM)]
    change(*documents)
    with pytest.raises(Unusable, match=says):
        parse_tables(*documents)


# --- many of one thing cost no more than others ----------------------------------------------------------------------


def _plain_after_word(text: bytes, start: int) -> bool:
    line = text[max(start - 32, 0) : start].lower()
    return any(word in line[line.rfind(b"\n") + 1 :] for word in TABLES.phone_words)


@given(
    st.lists(
        st.sampled_from(
            ["Tel", "tel ", "phone:", "联系方式", "电话", "contact_no", "\n", " ", "x" * 9, "61234567 ", "91234567,"]
        ),
        max_size=60,
    )
)
def test_words_for_telephone_are_those_a_plain_search_finds(parts):
    text = "".join(parts).encode()
    for part in scan(open_window(text), TABLES):
        if part.key == "hk_mobile":
            for start, valid in zip(part.start.tolist(), part.valid.tolist(), strict=True):
                assert valid == _plain_after_word(text, start - 64)


def test_marks_with_more_surroundings_than_are_judged_are_for_an_officer(monkeypatch):
    monkeypatch.setattr("gateway.core.detectors.marks._CONTEXTS", 3)
    marks = MarkFinder(TABLES).find(open_window("".join(f"第{i}个秘密数据" for i in range(9)).encode()))
    assert [mark.form for mark in marks] == [MarkForm.MENTIONED] * 3 + [MarkForm.RARE] * 6


@pytest.mark.parametrize("text", ["41234567 ", "tel 41234567 ", "机密", "机密 ", "内部资料"])
def test_repeated_candidates_are_no_slow_loop(text):
    calls = 0

    def count(*_args):
        nonlocal calls
        calls += 1

    window = open_window(_folded(text * (300_000 // len(text.encode()))))
    finder = MarkFinder(TABLES)
    sys.setprofile(count)
    try:
        scan(window, TABLES)
        finder.find(window)
    finally:
        sys.setprofile(None)
    assert calls < 30_000  # of 33,000 candidates and more, each of which took several
