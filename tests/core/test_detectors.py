"""Every detector against its own table, against python-stdnum, and against itself under another cutting of the text."""

from __future__ import annotations

import re
import sys
from calendar import monthrange
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import imei, luhn
from stdnum.cn import ric, uscc

from gateway.core.classify import Classifier
from gateway.core.classify.stream import Block
from gateway.core.classify.window import fold, window_of
from gateway.core.detectors import MarkFinder, MarkForm, header_kinds, may_hold, open_window, parse_tables, scan
from gateway.core.detectors.digits import LONGEST, find_runs
from gateway.core.detectors.lanes import PAD
from gateway.core.detectors.resident import SAME_FORM
from gateway.core.errors import Unusable
from gateway.stores.detectors import load_detector_tables, read_documents

TABLES = load_detector_tables()
DOCUMENTS = read_documents()
IDENTIFIERS, MARKS, HEADERS = DOCUMENTS["identifiers.toml"], DOCUMENTS["marks.toml"], DOCUMENTS["headers.toml"]
DICOM = DOCUMENTS["dicom.toml"]


def _folded(text: str) -> bytes:
    return fold(np.frombuffer(text.encode(), np.uint8)).tobytes()


def _valid(text: str | bytes, key: str) -> list[int]:
    if key in {"medical_record_number", "track"}:  # known by their columns alone
        classifier = Classifier("a.tsv" if "\t" in str(text) else "a.csv", TABLES)
        classifier.feed(str(text).encode())
        kind = TABLES.detectors[key].kind
        return [f.count for f in classifier.close().findings if f.kind == kind and f.distinct and f.samples]
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
    assert HEADERS[kind].get("reports", kind) in {words.kind for words in header_kinds(text, TABLES)}


@pytest.mark.parametrize(("kind", "text"), _examples(HEADERS, "near_misses"))
def test_other_headers_are_not(kind, text):
    assert HEADERS[kind].get("reports", kind) not in {words.kind for words in header_kinds(text, TABLES)}


def test_the_two_forms_of_a_resident_number_are_one_person():
    assert _valid("身份证440300900101123", "cn_resident_id_15") == _valid("440300199001011238", "cn_resident_id")
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


@pytest.mark.parametrize("year", [1899, 1900, 1999, 2000, 2024, 2049, 2050])
def test_resident_numbers_hold_a_day_of_the_calendar(year):
    days = [(month, day) for month in range(20) for day in range(40)]
    bodies = [f"440300{year}{month:02d}{day:02d}123" for month, day in days]
    text = "\n".join(
        body + "10X98765432"[sum(int(d) * pow(2, 17 - n, 11) for n, d in enumerate(body)) % 11] for body in bodies
    )
    real = [n for n, (month, day) in enumerate(days) if 1900 <= year < 2050 and _is_day(year, month, day)]
    (found,) = [part for part in scan(open_window(text.encode()), TABLES) if part.key == "cn_resident_id"]
    assert ((found.start[found.valid] - PAD) // 19).tolist() == real


def _is_day(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


@given(resident_numbers())
def test_resident_numbers_agree_with_stdnum(number):
    ours = any(_valid(f",{number},", key) for key in SAME_FORM)
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


@given(st.text("0123456789", min_size=15, max_size=15))
def test_device_numbers_agree_with_stdnum(number):
    assert bool(_valid(f"IMEI {number}", "imei")) == luhn.is_valid(number)
    checked = number[:14] + luhn.calc_check_digit(number[:14])
    assert imei.is_valid(checked)
    assert _valid(f"IMEI {checked}", "imei") == [int(checked)]


@given(resident_numbers(), st.sampled_from(["4444 2", "684", "6444", "64224", "6831"]), st.sampled_from(" -"))
def test_groups_are_the_number_that_they_make(number, layout, between):
    sizes = [int(digit) for digit in layout if digit != " "]
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    grouped = between.join(number[a:b] for a, b in pairwise(ends))
    assert _valid(f"x {grouped} y", "cn_resident_id") == _valid(f"x {number} y", "cn_resident_id")


@pytest.mark.parametrize("between", [",", "\t", '","', " "])
def test_a_number_split_over_cells_is_one(between):
    quote = '"' if between == '","' else ""
    for cells in (
        ("110105", "19491231", "002X"),
        ("110105", "1949", "12", "31", "002X"),
        ("110105", "19491231", "002", "X"),
    ):
        text = f"a\n{quote}{between.join(cells)}{quote}\n".encode()
        window = open_window(text, delimiter=ord("\t" if between == "\t" else ","))
        found = [
            int(v) for part in scan(window, TABLES) if part.key == "cn_resident_id" for v in part.value[part.valid]
        ]
        assert found == [11010519491231002]


@pytest.mark.parametrize(
    ("key", "number"), [("cn_passport", "E12345678"), ("cn_passport", "EA1234567"), ("hk_passport", "KJ1234567")]
)
def test_a_passport_is_one_document_in_its_line_and_in_words(key, number):
    line = f"{number}{_mrz_check(number)}CHN9001011M3001019<<<<<<<"
    assert len(_valid(line, key)) == 1
    assert _valid(line, key) == _valid(f"passport {number}", key)


@given(
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<", min_size=9, max_size=9), st.dates(), st.dates(), st.integers(0, 2)
)
def test_machine_readable_lines_hold_by_their_checks(number, born, until, flaw):
    parts = [number, born.strftime("%y%m%d"), until.strftime("%y%m%d")]
    checks = [_mrz_check(part) for part in parts]
    line = f"{number}{checks[0]}UTO{parts[1]}{checks[1]}F{parts[2]}{checks[2]}<<<<<<<"
    assert len(_valid(line, "passport_mrz")) == 1
    checks[flaw] = (checks[flaw] + 1) % 10
    wrong = f"{number}{checks[0]}UTO{parts[1]}{checks[1]}F{parts[2]}{checks[2]}<<<<<<<"
    assert not _valid(wrong, "passport_mrz")


def _mrz_check(text: str) -> int:
    """ICAO Doc 9303 part 3 section 4.9, character by character."""
    values = [0 if c == "<" else int(c, 36) for c in text]
    return sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values)) % 10


@given(st.lists(st.sampled_from([*"粤京ABDI017· 港", "粤B12345", "京D"]), max_size=30).map("".join))
def test_plates_are_those_a_plain_search_finds(text):
    window = open_window(_folded(text))
    found = [part for part in scan(window, TABLES) if part.key == "vehicle_plate"]
    places = [(int(s), int(e)) for part in found for s, e in zip(part.start, part.end, strict=True)]
    assert [window.text(*place).decode() for place in places] == _plain_plates(window.raw.decode())


def _plain_plates(text: str) -> list[str]:
    found = []
    for head in re.finditer("[粤京][A-Z] ?", text):
        rest = text[head.end() :]
        for form in ("[DF][A-HJ-NP-Z0-9][0-9]{4}", "[0-9]{5}[DF]", "[A-HJ-NP-Z0-9]{5}", "[A-HJ-NP-Z0-9]{4}港"):
            match = re.match(form + ("(?![A-Za-z0-9])" if form[-1] != "港" else ""), rest, re.ASCII)
            if match and (form[-1] == "]" or sum(c.isdigit() for c in match[0]) >= (2 if form[-1] == "港" else 3)):
                found.append(head[0] + match[0])
                break
    return found


_FOUND = [text for table in IDENTIFIERS.values() for text in table["hits"]]


@given(st.text(st.sampled_from("0123456789X@.+-E \n()<abA粤患"), max_size=90), st.sampled_from(_FOUND))
def test_what_is_found_has_a_shape_on_its_own_line(text, number):
    """So that a line without any need not be scanned (`classify.names`)."""
    window = open_window(_folded(text + number + text[::-1]))
    for part in scan(window, TABLES):
        for start in part.start[part.valid].tolist():
            line = window.raw[window.raw.rfind(b"\n", 0, start) + 1 : window.raw.find(b"\n", start)]
            assert may_hold(line)


_GROUPS = re.compile(r"(?<!\d)\d{4}(?=[ -]\d{4}(?!\d))|(?<=(?<!\d)\d{4}[ -])\d{4}(?!\d)", re.ASCII)


@given(st.text(st.sampled_from("0123456789ab ,-."), max_size=400))
def test_runs_are_those_a_plain_search_finds(text):
    runs = find_runs(open_window(text.encode()))
    plain = {m.start(): min(len(m[0]), LONGEST) for m in re.finditer(r"\d{6,}", text)}
    plain |= {m.start(): 4 for m in _GROUPS.finditer(text)}
    assert dict(zip((runs.start - PAD).tolist(), runs.length.tolist(), strict=True)) == plain
    assert runs.start.tolist() == sorted(runs.start.tolist())


@given(st.text(st.sampled_from("0123456789ab ,-.@XB粤患机密绝"), max_size=60))
def test_a_small_window_without_shapes_holds_nothing(text):
    window = open_window(text.encode())
    big = open_window(text.encode() + b"\n" * 20_000)  # is not looked at before
    assert may_hold(window.raw) == bool(re.search(r"\d{6}|\d{4}[ -]\d{4}|@|[粤患机密绝][A-HJ-NP-Z]", text, re.ASCII))
    assert may_hold(window.raw, reads=True) == bool(re.search(r"\d{6}|\d{4}[ -]\d{4}", text, re.ASCII))
    assert _owned(window) == _owned(big)
    assert _owned(window, reads=True) == _owned(big, reads=True)


PIECES = [
    "11010519491231002X", "A123456(3)", "+852 9123 4567", "138-0013-8000", "6217 0000 1000 1234 569", "a@b.com", "粤B12345",
    "粤BD12345", "4403 0019 9001 0112 38", "440300-1990-01-01-1238", "810000199001010019", "911840199001010018", "4.40301E+17",
    "0755-26731234", "+853 6612 3456", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "护照E12345678", "IMEI 490154203237518",
    "台胞证12345678", "BIR No. 1234567(8)",
]  # fmt: skip


@given(
    st.lists(
        st.sampled_from([*PIECES, "12", "Tel ", "护照", "E12345678", ",", "x", "患者", "机密★", " ", "\n"]),
        min_size=1,
        max_size=40,
    ),
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


def _owned(window, *, reads=False):
    hits = [(p.key, int(v)) for p in scan(window, TABLES, reads=reads) for v in p.value[p.valid]]
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
    said = text[max(start - 48, 0) : start].lower().replace(b"_", b" ").replace(b"-", b" ")
    said = re.sub(rb"(?<=[0-9]) (?=[0-9])", b"0", said)
    said = re.split(rb"\n|[\"'],|, ?\"", said)[-1]
    numbers = list(re.finditer(rb"[0-9]{6,}", said))
    if numbers and re.search(rb"[a-z\x80-\xff]", said[numbers[-1].end() :]):
        said = said[numbers[-1].end() - 5 :]
    return any(word in said for word in TABLES.context["hk_mobile"])


@given(
    st.lists(
        st.sampled_from(
            [
                "Tel",
                "tel ",
                "phone:",
                "联系方式",
                "电话",
                "contact_no",
                "\n",
                " ",
                "x" * 9,
                "61234567 ",
                "91234567,",
                "、",
                '"',
                ",",
                "'",
            ]
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
