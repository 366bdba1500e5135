"""Encodings are told apart by what the text would say, and a doubt is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.encodings import encoding_of, is_binary


@pytest.mark.parametrize(
    ("text", "codec", "expected"),
    [
        ("姓名,身份证号\n张三,1\n", "utf-8", "utf-8"),
        ("姓名,身份证号\n张三,1\n", "gb18030", "gb18030"),
        ("café, naïve\n", "latin-1", ""),
        ("臺灣與香港的繁體中文資料,請勿誤讀為簡體\n" * 3, "big5", "big5hkscs"),
        ("佢哋喺九龍灣返工,冇嘢做。\n" * 3, "big5hkscs", "big5hkscs"),
        ("姓名,身份證號碼,電話\n陳大文,A123456(3),91234567\n", "big5hkscs", "big5hkscs"),
        ("姓名,身份證號碼,電話\n陳大文,A123456(3),91234567\n", "gb18030", "gb18030"),
        ("id,name\n1,abc\n", "utf-16-le", "utf-16-le"),
        ("id,name\n1,abc\n", "utf-16-be", "utf-16-be"),
        ("患者因反复发热、咳嗽三天入院。\n", "utf-16-le", "utf-16-le"),
        ("患者因反复发热、咳嗽三天入院。\n", "utf-16-be", "utf-16-be"),
        ("日本語のテキストです。患者名\n" * 5, "shift_jis", ""),
        ("日本語のテキストです。患者名\n" * 5, "euc_jp", ""),
        ("한국어 환자 이름\n" * 5, "euc_kr", ""),
        ("Привет, как дела\n" * 5, "cp1251", ""),
        ("temperature ℃,±0.5,μm\n", "gb18030", "gb18030"),
        ("plain", "ascii", "utf-8"),
    ],
)
def test_encodings(text, codec, expected):
    assert encoding_of(text.encode(codec)) == expected


SIMPLIFIED = [
    "患者因反复发热、咳嗽三天入院。",
    "姓名,身份证号,诊断\n",
    "张三,男,肺炎\n",
    "欧阳锋",
    "深圳市南山区",
    "2026-03-01,",
    "A,B\n",
]
TRADITIONAL = [
    "病人因持續發燒及咳嗽入院。",
    "姓名,身份證號碼,診斷\n",
    "陳大文,男,肺炎\n",
    "歐陽鋒",
    "九龍灣",
    "2026-03-01,",
    "佢哋喺度",
]


@given(st.lists(st.sampled_from(SIMPLIFIED), min_size=4, max_size=40).map("".join))
def test_simplified_text_is_read_as_it_was_written_or_not_at_all(text):
    assert encoding_of(text.encode("gb18030")) in {"gb18030", "", *(["utf-8"] if text.isascii() else [])}


@given(st.lists(st.sampled_from(TRADITIONAL), min_size=4, max_size=40).map("".join))
def test_traditional_text_is_read_as_it_was_written_or_not_at_all(text):
    assert encoding_of(text.encode("big5hkscs")) in {"big5hkscs", "", *(["utf-8"] if text.isascii() else [])}


@given(
    st.lists(st.sampled_from(SIMPLIFIED + TRADITIONAL), min_size=4, max_size=40).map("".join),
    st.sampled_from(["le", "be"]),
)
def test_sixteen_bits_have_the_order_they_were_written_in_or_none(text, order):
    assert encoding_of(text.encode(f"utf-16-{order}")) in {f"utf-16-{order}", ""}


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(raw):
    encoding = encoding_of(raw)
    assert not encoding or encoding.startswith("utf-16") or not is_binary(raw)


NAMES = {
    "gb18030": "1,毛洁\n2,欧阳琳\n3,帅杰\n4,盖婷\n5,战冬梅\n6,薛兵\n7,张国平\n8,刘淑英\n",
    "big5": "1,鄧仁傑\n2,華家宏\n3,于芯語\n4,常俊佑\n5,殷碧雲\n6,饒秋香\n7,趙佳蓉\n8,蕭苡菲\n",
}


@pytest.mark.parametrize(("codec", "expected"), [("gb18030", "gb18030"), ("big5", "big5hkscs")])
def test_names_alone_tell_by_the_rows_of_their_characters(codec, expected):
    assert encoding_of(NAMES[codec].encode(codec)) == expected


def test_numbers_of_twice_the_width_are_read():
    assert encoding_of("1,１１０１０５１９４９１２３１００２Ｘ\n".encode("big5")) == "big5hkscs"
    assert encoding_of("1,１１０１０５１９４９１２３１００２Ｘ\n".encode("gb18030")) == "gb18030"


def test_korean_is_not_read_as_chinese():
    assert (
        encoding_of(
            "안녕하세요 저는 한국 사람입니다. 오늘 날씨가 좋습니다 환자 번호 이름 주소 생년월일".encode("euc-kr")
        )
        == ""
    )
