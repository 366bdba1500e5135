"""Categories of sensitive data, combinations, children, proposed levels: what findings mean, by words that are data."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from importlib.resources import files

import pytest

from gateway.core.classify import on_day, youngest
from gateway.core.detectors import header_kinds
from gateway.core.detectors.sensitivity import parse_sensitivity
from gateway.core.errors import Unusable
from tests.core.test_classify import TABLES, card, classify, counts, kinds, mobile, resident, table

ON = date(2026, 11, 20)
DOCUMENT = tomllib.loads((files("policies") / "detectors" / "sensitivity.toml").read_text("utf-8"))


def born(year: int, month: int, day: int, number: int = 1) -> str:
    from stdnum.cn import ric

    body = f"440300{year:04d}{month:02d}{day:02d}{number:03d}"
    return body + ric.calc_check_digit(body + "0")


def where(found, kind: str) -> list[str]:
    return [each.where for each in found.findings if each.kind == kind]


@pytest.mark.parametrize("kind", DOCUMENT["headers"])
def test_header_words_hit_and_miss(kind):
    words = DOCUMENT["headers"][kind]
    for text in words["hits"]:
        assert kind in {each.kind for each in header_kinds(text, TABLES)}, text
    for text in words["near_misses"]:
        assert kind not in {each.kind for each in header_kinds(text, TABLES)}, text


@pytest.mark.parametrize(
    ("header", "category"),
    [
        ("指纹特征", "biometric"),
        ("步态", "biometric"),
        ("宗教信仰", "religion"),
        ("残疾证号", "specific_identity"),
        ("民族", "specific_identity"),
        ("诊断", "medical_health"),
        ("家族史", "medical_health"),
        ("银行卡号", "financial_account"),
        ("公积金账号", "financial_account"),
        ("行踪轨迹", "whereabouts"),
        ("患儿姓名", "under14"),
        ("基因检测结果", "genetic"),
        ("征信报告", "other_sensitive"),
    ],
)
def test_every_category_beside_a_person(header, category):
    found = classify(table(f"身份证号,{header}", (f"{resident(i)},x" for i in range(9))))
    assert category in found.classes
    assert (found.sensitive, counts(found)[0]) == (True, 9)
    assert category in found.categories
    assert set(DOCUMENT["categories"]) >= set(found.categories)


@pytest.mark.parametrize("header", ["genotype", "blood pressure", "gait", "trajectory", "income", "born"])
def test_words_of_animals_and_machines_make_nobody_a_person(header):
    found = classify(f"mouse,sex,{header}\nm1,f,1\nm2,m,2\n")
    assert (found.personal, found.sensitive, found.categories) == (False, False, {})


def test_combinations_are_findings_of_their_own():
    rows = (f"张三,{resident(i)},{mobile(i)},肺癌,{card(i)},深圳" for i in range(20))
    found = classify(table("姓名,身份证号,手机,诊断,银行卡号,住址", rows))
    assert {
        "identity_with_health",
        "name_with_health",
        "contact_with_health",
        "name_with_account",
        "identity_with_account",
        "identity_profile",
    } <= kinds(found)
    (one,) = [each for each in found.findings if each.kind == "identity_with_health"]
    assert (one.where, one.count, one.samples) == ("column 诊断 + column 身份证号", 20, ())


def test_a_number_alone_or_a_diagnosis_of_nobody_combines_with_nothing():
    alone = classify(table("身份证号", (resident(i) for i in range(20))))
    nobody = classify("disease,cases\nflu,10\n")
    assert not [each for each in (*alone.findings, *nobody.findings) if each.kind in DOCUMENT["combinations"]]


def test_continuous_positions_of_people_are_whereabouts():
    rows = (f"{resident(1)},2026-03-{d:02d},22.5{d:04d},114.0{d:04d}" for d in range(1, 29))
    found = classify(table("身份证号,日期,纬度,经度", rows))
    assert counts(found) == (1, 1, "identifier")  # rules.md 13 case 61
    assert {"track", "identity_with_whereabouts"} <= kinds(found)
    assert "whereabouts" in found.classes


# --- under fourteen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("birth", "on", "minor"),
    [
        ((2012, 11, 20), ON, True),  # the birthday itself: fourteen full years are reached the day after
        ((2012, 11, 19), ON, False),
        ((2012, 11, 21), ON, True),
        ((2012, 2, 29), date(2026, 2, 28), True),
        ((2012, 2, 29), date(2026, 3, 1), False),
    ],
)
def test_under_fourteen_by_the_number_on_a_day(birth, on, minor):
    found = classify(table("身份证号", [born(*birth), *(born(1980, 5, 5, n) for n in range(5))]))
    told = on_day(found, on)
    assert youngest(found) == birth[0] * 10000 + birth[1] * 100 + birth[2]
    assert (len(where(told, "minor")), told.sensitive, "under14" in told.classes) == (minor, minor, minor)
    assert counts(told) == (int(minor), 6, "identifier")  # the child alone has sensitive data
    assert told.minors.count == int(minor)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2015-03-02", 2015_03_02),
        ("2015/3/2", 2015_03_02),
        ("20150302", 2015_03_02),
        ("2015年3月2日", 2015_03_02),
        ("2015.03.02 10:20", 2015_03_02),
        ("02/03/2015", 2015_03_02),
        ("25/12/2015", 2015_12_25),
        ("2015-03", 2015_03_31),
        ("03/2015", 2015_12_31),
        ("2015", 2015_12_31),
        ("1975-03-02", 0),
        ("12015", 0),
    ],
)
def test_days_of_birth_in_columns(text, day):
    found = classify(table("姓名,出生日期,x", [f"张三,{text},2016-01-01"] * 3), piece=7)
    assert (youngest(found), found.births.get(day, 0)) == (day, 3 if day else 0)
    keyed = classify(json.dumps([{"full_name": "a", "birth_date": text, "seen": "2016-01-01"}]), "x.json")
    assert youngest(keyed) == day


def test_children_by_a_column_make_all_of_the_file_sensitive():
    found = on_day(classify("姓名,born_on\n张三,1980-01-01\n李四,2020-01-01\n"), ON)
    assert counts(found) == (2, 2, "rows")
    assert where(found, "minor") == ["days of birth"]
    assert found.identifiers.sensitive
    tag = classify("<r><patient_name>x</patient_name><dob>2021-02-03</dob></r>", "x.xml")
    assert youngest(tag) == 2021_02_03


def test_births_of_animals_are_nobody_s():
    found = classify("tag,born\nA1,2024-05-05\nA2,2024-05-06\n")
    assert (youngest(found), on_day(found, ON)) == (0, found)


def test_numbers_too_many_to_keep_may_be_children_s():
    found = classify(table("身份证号", (born(1980, 5, 5, n) for n in range(1, 400))), cap=100)
    assert "under14" in on_day(found, ON).classes


# --- levels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "level", "reason"),
    [
        ("机密★5年\n", "secret", "secret: secrecy_mark"),
        ("数据级别:核心数据\n内容\n", "core", "core: core_mark"),
        ("密级,数据分级=核心數據\n", "core", "core: core_mark"),
        ("【核心数据】\n", "important_suspected", "important_suspected: core_words"),
        ("标题\n核心数据\n内容\n", "important_suspected", "important_suspected: core_words"),
        ("本研究的核心数据如下。", "important_suspected", "important_suspected: core_words"),
        ("本文件含重要数据。", "important_suspected", "important_suspected: important_mark"),
        ("内部资料 注意保存", "important_suspected", "important_suspected: internal_mark"),
        ("绝密计划", "important_suspected", "important_suspected: secrecy_word"),
    ],
)
def test_a_level_comes_with_its_reason(text, level, reason):
    found = classify(text, "a.txt")
    assert (found.level, reason in where(found, "level_proposal")) == (level, True)


def test_bulk_coordinates_propose_a_level():
    found = classify(table("x,纬度,经度", (f"a{i},22.51234,114.05678" for i in range(1200))))
    assert where(found, "level_proposal") == ["important_suspected: bulk_coordinates"]
    assert not where(classify("公开\n", "a.txt"), "level_proposal")


def test_many_subjects_propose_a_level():
    limit = DOCUMENT["levels"]["many_subjects"]["sensitive"]
    head, row = "姓名,诊断\n", "张三,肺癌\n"
    assert where(classify(head + row * limit), "level_proposal") == ["important_suspected: many_subjects"]
    assert not where(classify(head + row * (limit - 1)), "level_proposal")


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_what_is_secret_is_not_sampled():
    rows = [f"{resident(i)},{mobile(i)}" for i in range(9)]
    found = classify(table("身份证号,手机", [*rows, "机密★10年,"]))
    assert found.secrecy_mark
    assert not [each for each in found.findings if each.samples]
    assert [each for each in classify(table("身份证号,手机", rows)).findings if each.samples]


@pytest.mark.parametrize("address", ["a@example.com", "li@example.com", "abc@example.com", "wanglei@example.com"])
def test_short_values_are_hidden_whole(address):
    found = classify(table("邮箱", [address] * 3))
    (sample,) = next(each.samples for each in found.findings if each.kind == "email")
    local = address.split("@")[0]
    assert sample.count("*") >= 3
    assert sample.endswith("@example.com")
    assert sample.split("@")[0] != local
    assert len(sample.split("@")[0].rstrip("*")) == (1 if len(local) > 3 else 0)


def test_a_first_line_of_data_names_no_column():
    found = classify(f"张三丰,肺部结节,x\n李四,肺癌,{resident(1)}\n王五,流感,{resident(2)}\n")
    assert not [each.where for each in found.findings if "张三丰" in each.where or "结节" in each.where]


# --- the document ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"categories": {"x": {"kinds": ["medical"]}}},
        {"combinations": {"x": {"all": [["medical"]], "sensitive": True, "citation": "y"}}},
        {"levels": {**DOCUMENT["levels"], "more": {"level": "core", "citation": "y"}}},
        {"levels": {**DOCUMENT["levels"], "core_words": {"level": "grave", "citation": "y"}}},
        {"levels": {**DOCUMENT["levels"], "bulk_coordinates": {"level": "core", "citation": "y", "records": 0}}},
        {"births": {"kinds": [], "citation": "y"}},
        {"more": {}},
    ],
)
def test_a_document_that_cannot_be_meant_is_refused(change):
    with pytest.raises(Unusable, match=r"sensitivity\.toml"):
        parse_sensitivity({**DOCUMENT, **change})
