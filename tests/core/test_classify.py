"""Whole files through the streaming classifier: what they hold, how many people, and what was read."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric

from gateway.core.classify import Classifier, FileFindings
from gateway.core.classify.stream import TextStream
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()


def classify(data: bytes | str, name: str = "data.csv", *, piece: int = 1 << 20, **options) -> FileFindings:
    raw = data.encode() if isinstance(data, str) else data
    classifier = Classifier(name, TABLES, **options)
    for at in range(0, len(raw), piece):
        classifier.feed(raw[at : at + piece])
    return classifier.close()


def resident(number: int) -> str:
    body = f"440300{1950 + number % 60}{1 + number % 12:02d}{1 + number % 28:02d}{number % 1000:03d}"
    return body + ric.calc_check_digit(body + "0")  # it leaves the last character out


def mobile(number: int) -> str:
    return f"139{number:08d}"


def card(number: int) -> str:
    body = f"621700{number:09d}"
    return body + luhn.calc_check_digit(body)


def counts(found: FileFindings) -> tuple[int, int, str]:
    return found.persons.sensitive, found.persons.nonsensitive, found.persons.basis


def kinds(found: FileFindings, confidence: str = "strong") -> set[str]:
    return {finding.kind for finding in found.findings if finding.confidence == confidence}


def table(header: str, rows) -> str:
    return "\n".join([header, *rows]) + "\n"


# --- people ----------------------------------------------------------------------------------------------------------


def test_a_resident_number_alone_is_personal_and_not_sensitive():
    found = classify(table("id", (resident(i) for i in range(20))))
    assert (found.personal, found.sensitive, counts(found)) == (True, False, (0, 20, "identifier"))
    assert found.level == "general"


def test_with_a_diagnosis_it_is_sensitive():
    found = classify(table("姓名,身份证号,诊断", (f"张三,{resident(i)},肺癌" for i in range(20))))
    assert (found.sensitive, counts(found)) == (True, (20, 20, "identifier"))
    assert {"cn_resident_id", "person_name", "medical"} <= kinds(found)
    assert "diagnosis" in found.classes


def test_many_rows_about_few_people_are_few_people():
    found = classify(table("seq,id,mobile", (f"{i},{resident(i % 50)},{mobile(i)}" for i in range(3000))))
    assert counts(found) == (0, 50, "identifier")
    row = next(f for f in found.findings if f.kind == "cn_resident_id")
    assert (row.where, row.count, row.distinct) == ("column id", 3000, 50)


def test_identifiers_of_one_row_are_one_person():
    found = classify(table("id,mobile,mail", (f"{resident(i)},{mobile(i)},u{i}@example.com" for i in range(30))))
    assert counts(found) == (0, 30, "identifier")
    assert set(found.identifiers.values) == {"cn_resident_id"}


def test_one_number_among_mobiles_is_one_person_more_at_most():
    rows = (f"{mobile(i % 40)},{resident(i) if i == 3 else ''}" for i in range(80))
    found = classify(table("mobile,id number", rows))
    assert {kind: len(part) for kind, part in found.identifiers.values.items()} == {
        "cn_resident_id": 1,
        "cn_mobile": 40,
    }


def test_padding_with_one_phone_hides_nobody():
    people = [f"{resident(i)},{mobile(1)}" for i in range(40)]
    found = classify(table("证件,电话", people + [f",{mobile(1)}"] * 60))
    assert len(found.identifiers.values["cn_resident_id"]) == 40
    assert counts(found) == (0, 41, "identifier")
    cards = classify(table("卡号,电话", [f"{card(i)},{mobile(1)}" for i in range(40)] + [f",{mobile(1)}"] * 60))
    assert counts(cards)[0] == 41


def test_rows_without_the_key_count_by_what_they_have():
    rows = [f"{resident(i)},{mobile(i)}" for i in range(20)] + [f",{mobile(100 + i)}" for i in range(5)]
    assert counts(classify(table("id,mobile", rows))) == (0, 25, "identifier")


def test_two_persons_in_one_row_are_two():
    found = classify(table("child,parent", (f"{resident(i)},{resident(500 + i)}" for i in range(10))))
    assert counts(found) == (0, 20, "identifier")


def test_names_without_numbers_count_by_rows():
    found = classify("姓名,年龄\n张三,30\n李四,40\n\n王五,50\n")
    assert counts(found) == (0, 3, "rows")


def test_a_named_row_without_a_number_is_one_person_more():
    rows = [f"张三,{resident(i)}" for i in range(10)] + ["李四,", "王五,unknown"]
    assert counts(classify(table("姓名,身份证号", rows))) == (0, 12, "rows")


def test_labels_in_prose_count_who_is_named():
    text = "患者姓名:张三\n诊断:肺癌\n" * 7
    assert counts(classify(text, "notes.txt")) == (7, 7, "rows")
    assert counts(classify(f"患者姓名:张三 身份证号:{resident(1)}\n", "notes.txt")) == (0, 1, "identifier")


def test_nested_objects_with_numbers_are_counted_by_number():
    people = [{"name": "a b", "id": resident(i), "home": {"address": "x"}} for i in range(9)]
    assert counts(classify(json.dumps(people), "x.json")) == (0, 9, "identifier")
    bare = [{"full_name": "a b"} for _ in range(9)]
    assert counts(classify(json.dumps(bare), "x.json")) == (0, 9, "rows")
    xml = "<people>\n" + "<p><patient_name>a</patient_name></p>\n" * 4 + "</people>\n"
    assert counts(classify(xml, "x.xml"))[2] == "rows"


def test_past_the_cap_the_count_is_an_upper_bound_by_rows():
    found = classify(table("id", (resident(i % 300) for i in range(600))), cap=100)
    assert counts(found) == (0, 600, "rows")


def test_a_bank_card_is_sensitive():
    found = classify(table("card no", (card(i) for i in range(5))))
    assert counts(found) == (5, 0, "identifier")


def test_an_organisation_is_no_person():
    found = classify("code\n91110000600037341L\n9144030071526726XG\n")
    assert (found.personal, kinds(found), found.persons.basis) == (False, {"cn_uscc"}, "none")


def test_json_objects_are_records():
    people = [{"id": resident(i), "phone": mobile(i)} for i in range(9)]
    for text in (json.dumps(people), json.dumps(people, indent=1), "\n".join(map(json.dumps, people))):
        assert counts(classify(text, "x.json")) == (0, 9, "identifier")


@pytest.mark.parametrize("columns", [3, 70])
def test_columns_are_told_apart_up_to_a_number(columns):
    found = classify(table(",".join("x" * columns), (",".join(mobile(i) for _ in range(columns)) for i in range(9))))
    mobiles = [finding for finding in found.findings if finding.kind == "cn_mobile"]
    assert [finding.count for finding in mobiles] == ([9] * 3 if columns == 3 else [9 * 70])
    assert counts(found) == (0, 9, "identifier")


def test_records_with_many_different_companies_count_like_few():
    cells = [resident(1), card(1), mobile(1), "A123456(3)", "a@b.com"]
    rows = [",".join(c if pick >> n & 1 else "" for n, c in enumerate(cells)) for pick in range(1, 32)] * 3
    found = classify(table("a,b,c,d,e", rows))
    assert {
        f.kind: f.count for f in found.findings if f.where.startswith("column") and " + " not in f.where
    } == dict.fromkeys(("cn_resident_id", "bank_card", "cn_mobile", "hkid", "email"), 48)
    assert {kind: len(values) for kind, values in found.identifiers.values.items()} == dict.fromkeys(
        ("cn_resident_id", "bank_card", "cn_mobile", "hkid", "email"), 1
    )


def test_tags_and_attributes_of_markup_are_names():
    found = classify('<r a="1" 姓名="x"><patient_name>A</patient_name>\n<v\tdob=\'1990\'/></r>', "a.xml")
    assert {"person_name", "dob"} <= kinds(found)


# --- what only columns tell ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1 << 20, 11])
def test_record_numbers_are_persons_by_how_many_differ(piece):
    rows = [f'{i},"{n}",肺炎' for i, n in enumerate(f"ZY{i % 40:05d}" for i in range(300))] + ["x,,肺炎", "y,NA,肺炎"]
    for block in (300, 1 << 20):
        found = classify(table("n,住院号,诊断", rows), piece=piece, block=block)
        assert (found.sensitive, counts(found)) == (True, (42, 0, "rows"))
        assert [f.distinct for f in found.findings if f.kind == "medical_record" and f.samples] == [40]
    assert not [s for f in found.findings for s in f.samples if "ZY" in s]


def test_a_code_of_few_values_is_no_record_number():
    found = classify(table("seq,医保类型", (f"{i},{'职工' if i % 3 else '居民'}" for i in range(300))))
    assert (found.personal, kinds(found)) == (False, set())


def track(subjects: int, each: int, header: str = "user_id,time,lat,lon") -> str:
    rows = (f"u{n % subjects},2026-03-01 08:{n % 60:02d},22.5{n:04d},114.0{n:04d}" for n in range(subjects * each))
    return table(header, rows)


def test_rows_of_people_with_times_and_places_are_their_tracks():
    found = classify(track(20, 30))
    assert ("track" in kinds(found), found.sensitive, counts(found)) == (True, True, (20, 0, "identifier"))
    numbered = classify(
        table("手机号,时间,经度,纬度", (f"{mobile(n % 9)},08:{n:02d},114.0567{n},22.5123{n}" for n in range(60)))
    )
    assert ("track" in kinds(numbered), counts(numbered)) == (True, (9, 9, "identifier"))


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        (track(20, 2), ""),  # not followed
        (track(20, 30, "user_id,note,lat,lon"), ""),
        (track(20, 30, "station,time,lat,lon"), ""),
        (track(20, 30).replace("22.5", "22,"), ""),
        (track(20, 30, "bird_id,time,lat,lon"), "weak"),  # somebody or something
    ],
)
def test_other_places_are_no_tracks_of_people(text, confidence):
    found = classify(text)
    assert {f.confidence for f in found.findings if f.kind == "track"} == ({confidence} if confidence else set())
    assert not found.personal


def test_people_with_times_and_places_in_json_are_tracks():
    rows = [{"身份证号": resident(i), "time": "08:00", "lat": 22.51234, "lng": 114.05678} for i in range(3)]
    assert "track" in kinds(classify(json.dumps(rows, ensure_ascii=False), "a.json"))
    assert "track" not in kinds(
        classify(json.dumps([{**row, "time": ""} for row in rows]).replace("time", "x"), "a.json")
    )


def test_numbers_that_a_spreadsheet_spoilt_are_noticed():
    rows = [f"{i},{n}" for i, n in enumerate(["4.40301E+17", "1.10105E+17", "440300199001012000"] * 20)]
    bare, headed = classify(table("n,x", rows)), classify(table("n,身份证号", rows))
    assert ({f.kind: (f.count, f.confidence) for f in bare.findings}, bare.personal) == (
        {"excel_damage": (60, "weak")},
        False,
    )
    assert (headed.personal, counts(headed)) == (True, (0, 60, "rows"))
    assert "excel_damage" in kinds(headed)
    floats = classify(table("n,x", (f"{i},{1 + i / 7:.5f}E+{i % 20:02d}" for i in range(100))))
    assert "excel_damage" not in kinds(floats, "weak")


def test_columns_name_what_no_check_digit_does():
    row = f"E12345678,C12345678,H1234567801,12345678,1234567(8),28592111,490154203237518,{resident(1)[:6]}900101123"
    header = "护照号,港澳通行证,回乡证,台胞证,BIR,座机,IMEI,身份证"
    wanted = {
        "cn_passport",
        "exit_permit",
        "home_return_permit",
        "taiwan_permit",
        "mo_bir",
        "landline",
        "imei",
        "cn_resident_id",
    }
    assert wanted <= kinds(classify(table(header, [row] * 3)))
    assert not wanted & {f.kind for f in classify(table("a,b,c,d,e,f,g", [row.rpartition(",")[0]] * 3)).findings}


def test_a_first_line_that_is_a_header_for_sure_names_columns_that_no_word_does():
    text = table("id_x\tref", (f"{resident(i)}\t7" for i in range(9)))
    places = [
        {f.where for f in classify(text, "a.tsv", header=sure).findings if f.kind == "cn_resident_id"}
        for sure in (True, False)
    ]
    assert places == [{"column id_x"}, {"column 1"}]


def test_a_header_that_holds_identifiers_is_shown_to_nobody():
    found = classify(table(f"{resident(1)}\tref", (f"{resident(i)}\t7" for i in range(9))), "a.tsv", header=True)
    assert {f.where for f in found.findings if f.kind == "cn_resident_id"} == {"column 1"}


def test_a_column_and_its_values_are_one_finding():
    found = classify(table("车牌,IMEI,x", ["粤B12345,490154203237518,1"] * 4))
    assert {(f.kind, f.count) for f in found.findings if f.kind in {"vehicle_plate", "imei"}} == {
        ("vehicle_plate", 4),
        ("imei", 4),
    }


def test_a_column_of_passports_holds_no_identity_cards_and_one_of_macao_no_numbers_of_hong_kong():
    found = classify(table("香港护照,澳门电话", ["KJ9876543,66123456", "KJ9876544,66123457"]))
    numbers = {f.kind for f in found.findings if f.distinct and f.samples}
    assert numbers == {"hk_passport", "mo_mobile"}


def test_a_fixed_line_is_strong_behind_a_word_for_telephone_and_weak_without():
    assert "landline" in kinds(classify("电话：0755-26731234\n", "a.txt"))
    assert "landline" in kinds(classify("见 0755-26731234 与 0755-26731235\n", "a.txt"), "weak")


def test_a_plus_in_base64_is_no_shift_of_encodings():
    assert classify("资料 zXCutf+ZQmOu8= 已存档\n", "a.txt").inspectable
    assert not classify("Hi +ZeVnLIqe- there\n", "a.txt").inspectable


def test_permits_among_numbers_of_residents_are_of_the_same_column():
    rows = [resident(i) for i in range(20)] + ["810000199001010019", "911840199001010018"]
    found = classify(table("id,x", (f"{row},1" for row in rows)))
    assert (counts(found), {"cn_residence_permit", "cn_foreigner_permit"} <= kinds(found)) == (
        (0, 22, "identifier"),
        True,
    )


# --- weak and strong -------------------------------------------------------------------------------------------------


def test_a_lone_hit_in_prose_is_weak_and_counts_nobody():
    found = classify(f"The number {resident(1)} stands here.\n", "note.txt")
    assert (found.personal, kinds(found), kinds(found, "weak")) == (False, set(), {"cn_resident_id"})


@pytest.mark.parametrize("before", ["身份证号:", "ID card no ", "证件号码 "])
def test_a_word_before_makes_it_strong(before):
    assert classify(f"{before}{resident(1)}\n", "note.txt").personal


def test_two_hits_are_strong():
    assert counts(classify(f"{resident(1)} and {resident(2)}\n", "note.txt")) == (0, 2, "identifier")


def test_random_numbers_of_the_right_shape_are_chance():
    rng = np.random.default_rng(7)
    eleven = classify(table("order,x", (f"{n},a" for n in rng.integers(10**10, 10**11, 3000))))
    sixteen = classify(table("order,x", (f"{n},a" for n in rng.integers(10**15, 10**16, 3000))))
    codes = classify(table("lab,x", (f"S{n},a" for n in rng.integers(10**6, 10**7, 3000))))
    for found, kind in ((eleven, "cn_mobile"), (sixteen, "bank_card"), (codes, "hkid")):
        assert (found.personal, found.persons.basis) == (False, "none")
        assert kind not in kinds(found) | kinds(found, "weak")


def test_real_numbers_stand_out_from_chance_in_their_own_column():
    rng = np.random.default_rng(8)
    noise = rng.integers(10**10, 10**11, 500)
    found = classify(table("order,tel", (f"{n},{mobile(i)}" for i, n in enumerate(noise))))
    assert counts(found) == (0, 500, "identifier")


def test_ambiguous_headers_need_company():
    assert not classify("name,length\nBRCA1,81189\n", "genes.csv").personal
    assert not classify("species,sex,mass\nAdelie,male,3750\n", "penguins.csv").personal
    assert not classify("disease,cases\nflu,10\n", "table.csv").personal
    assert classify("name,age\nA B,30\n", "people.csv").personal
    assert classify("age,diagnosis\n30,flu\n31,flu\n").sensitive


def test_a_phone_column_makes_eight_digits_numbers():
    rows = [f"a{i},9{i:07d}" for i in range(5)]
    assert counts(classify(table("x,電話", rows))) == (0, 5, "identifier")
    assert not classify(table("x,y", rows)).personal


# --- marks, names, samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "level", "mark"),
    [
        ("机密★5年\n内容", "secret", True),
        ("保守秘密", "general", False),
        ("绝密计划", "important_suspected", False),
        ("内部资料 注意保存", "important_suspected", False),
        ("公开", "general", False),
    ],
)
def test_marks_decide_the_level(text, level, mark):
    found = classify(text, "a.txt")
    assert (found.level, found.secrecy_mark) == (level, mark)
    assert all(not f.samples for f in found.findings if f.kind.endswith("_mark"))


def test_a_word_filling_a_cell_is_for_an_officer():
    assert classify("a,b\n秘密,1\n1,2\n").level == "important_suspected"


def test_a_text_of_nothing_but_marks_ends_and_is_held(monkeypatch):
    monkeypatch.setattr("gateway.core.detectors.marks._FORMS", 5)
    assert classify("秘密" * 20, "a.txt").level == "important_suspected"


def test_names_are_data():
    found = classify(b"x\n", f"张三_{resident(1)}.txt")
    assert counts(found) == (0, 1, "identifier")
    assert {f.where for f in found.findings} == {"name"}
    assert classify(b"x", "机密★10年/a.txt").secrecy_mark


def test_a_header_that_holds_an_identifier_is_data():
    found = classify(table(f"{resident(1)},x", (f"{resident(i)},y" for i in range(2, 5))))
    assert counts(found) == (0, 4, "identifier")
    assert all(resident(1) not in f.where for f in found.findings)


def test_no_full_identifier_leaves():
    secrets = [resident(1), mobile(12345678), card(1), "A123456(3)", "zhangsan@example.com", "110105491231002"]
    found = classify(table("a,b,c,d,e,f", [",".join(secrets)] * 3))
    text = json.dumps(found.to_json("0" * 64)) + repr(found)
    assert len([f for f in found.findings if f.samples]) >= 6
    assert not [secret for secret in secrets if secret in text or secret.replace("(", "").replace(")", "") in text]


def test_the_masked_form_of_a_resident_number():
    found = classify("id card\n11010519491231002X\n")
    assert next(f for f in found.findings if f.samples).samples == ("110105********002X",)


# --- genomes ---------------------------------------------------------------------------------------------------------


def _vcf(tmp_path, *, contig: int = 248956422, samples: int = 3, form: str = "GT") -> bytes:
    import pysam

    header = pysam.VariantHeader()
    header.add_line(f"##contig=<ID=chr1,length={contig}>")
    header.add_line(f'##FORMAT=<ID={form},Number=1,Type=String,Description="x">')
    for number in range(samples):
        header.add_sample(f"S{number}")
    with pysam.VariantFile(str(tmp_path / "a.vcf"), "w", header=header) as out:
        out.write(out.new_record(contig="chr1", start=9, stop=10, alleles=("A", "C")))
    return (tmp_path / "a.vcf").read_bytes()


def test_a_vcf_of_pysam(tmp_path):
    found = classify(_vcf(tmp_path), "a.vcf")
    assert found.hgr.information
    assert not found.hgr.aggregate_only
    assert (found.hgr.subjects, found.hgr.sequencing_subjects) == (3, 3)
    assert counts(found) == (3, 0, "subjects")
    assert found.sensitive
    assert found.coverage == ((0, found.size),)


def test_sites_only_is_aggregate_and_arrays_are_no_sequencing(tmp_path):
    assert classify(_vcf(tmp_path, samples=0), "a.vcf").hgr.aggregate_only
    array = classify(_vcf(tmp_path, form="BAF"), "a.vcf").hgr
    assert (array.subjects, array.sequencing_subjects) == (3, 0)


def test_a_mouse_is_no_human_resource(tmp_path):
    found = classify(_vcf(tmp_path, contig=195154279), "a.vcf")
    assert (found.hgr.information, found.personal) == (False, False)
    assert "genomic_data" in kinds(found, "weak")


def test_both_reads_of_a_sample_are_one_person():
    reads = b"@r1\nACGT\n+\nFFFF\n"
    one, two = (classify(reads, f"d/NA12878_S1_L001_R{n}_001.fastq") for n in (1, 2))
    assert one.hgr.sequencing_subjects == 1
    assert one.identifiers.values["genomic_sample"] == two.identifiers.values["genomic_sample"]
    assert one.identifiers.values["genomic_sample"] != classify(reads, "NA2.fq").identifiers.values["genomic_sample"]


def test_sam_counts_sample_tags_and_assumes_one_without():
    head = "@HD\tVN:1.6\n@SQ\tSN:1\tLN:249250621\n"
    tagged = classify(head + "@RG\tID:a\tSM:x\n@RG\tID:b\tSM:y\n@RG\tID:c\tSM:x\n", "a.sam")
    assert tagged.hgr.subjects == 2
    assert classify(head, "a.sam").hgr.subjects == 1


@pytest.mark.parametrize(
    "head",
    [
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=" + "9" * 5000 + ">\n",
        "@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:" + "9" * 5000 + "\n",
        "##fileformat=VCFv4.2\nchr1\t1",
    ],
)
def test_odd_headers_count_as_human(head):
    assert classify(head, "a.vcf").hgr.information


def test_a_header_line_without_end_is_not_known(monkeypatch):
    monkeypatch.setattr("gateway.core.classify.genomes.HEADER_CAP", 4096)
    found = classify("##fileformat=VCFv4.2\n#CHROM" + "\tS" * 9000, "a.vcf", block=2048)
    assert (found.inspectable, found.coverage) == (False, ())
    assert found.hgr.information


def test_quality_strings_are_no_addresses():
    found = classify("@r1\nACGTACGTACGT\n+\nabc@def.ghij\n" * 50, "a.fastq")
    assert "email" not in kinds(found)


def _blocks(data: bytes, piece: int) -> list[tuple[bytes, bytes, bytes, bool]]:
    stream, found = TextStream("utf-8", 0, block=2048), []
    for at in range(0, len(data), piece):
        found += stream.feed(data[at : at + piece])
    found += stream.finish()
    for block in found:
        assert block.margined is None or block.margined.strip(b"\n") == bytes(block.own).strip(b"\n")
    return [(bytes(block.before), bytes(block.own), bytes(block.after), block.line_ends) for block in found]


@given(
    st.lists(
        st.sampled_from(
            [b"short,1\n", b"\n", b"x" * 700, b"line " * 90 + b"\r\n", b"\\u673a" * 200, "中".encode() * 99]
        ),
        max_size=60,
    ),
    st.integers(1, 9000),
)
def test_blocks_are_the_same_however_the_text_comes(parts, piece):
    data = b"".join(parts) * 3
    blocks = _blocks(data, piece)
    assert blocks == _blocks(data, 1 << 20)
    assert b"".join(own for _, own, _, _ in blocks) == data


def _forged(put: str, line: int, turn: int) -> str:
    """Well-formed FASTQ of full quality, of whose records one has something in its first to fourth line."""
    letters, records = "".join(map(chr, range(33, 74))), []
    for number in range(200):
        quality = (letters * 4)[number % 41 :][:150]
        record = [f"@m:{number % 7}:{number % 11} 1:N:0", "ACGTN" * 30, "+", quality]
        if number == turn:
            record[line] = {0: f"@{put}", 1: f"{put} {record[1]}", 2: f"+{put}", 3: f"#{put}:{quality}"[:150]}[line]
            record[3] = record[3].ljust(len(record[1]), "F")
        records.append("\n".join(record))
    return "\n".join(records) + "\n"


@pytest.mark.parametrize("line", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("put", "kind"),
    [
        ("11010519491231002X", "cn_resident_id"),
        ("13800138000", "cn_mobile"),
        ("A123456(3)", "hkid"),
        ("6217001234567890122", "bank_card"),
        ("tel 91234567", "hk_mobile"),
        ("★机密★10年", "secrecy_mark"),
        ("zhang.wei@example.com", None),  # reads are spared addresses, which their qualities imitate
    ],
)
def test_what_is_put_into_reads_is_found_in_every_line(put, kind, line):
    found = {f.kind for turn in (5, 120) for f in classify(_forged(put, line, turn), "a.fastq").findings}
    assert found == ({"genomic_data", kind} if kind else {"genomic_data"}) | (
        {"level_proposal"} if "★" in put else set()
    )


@given(st.integers(0, 199), st.integers(1, 5000), st.sampled_from([1 << 20, 8192]))
@settings(max_examples=15)
def test_what_is_put_into_reads_is_found_however_they_are_cut(turn, piece, block):
    text = _forged("11010519491231002X", 3, turn)
    found = classify(text, "a.fastq", piece=piece, block=block)
    assert [f.count for f in found.findings if f.kind == "cn_resident_id"] == [1]
    assert found.inspectable


def test_a_fam_file_counts_its_lines():
    assert classify("F1 I1 0 0 1 2\nF1 I2 0 0 2 2\n", "s.fam").hgr.subjects == 2


# --- place -----------------------------------------------------------------------------------------------------------


def test_coordinates_are_precise_from_four_decimals():
    rough = classify("id,lat,lon\na,22.51,114.05\nb,22.52,114.06\n")
    fine = classify("id,lat,lon\na,22.51234,114.05678\nb,22.5,114.0\n")
    assert (rough.precise_geo, fine.precise_geo, fine.level) == (False, True, "general")
    bulk = classify(table("x,纬度,经度", (f"a{i},22.51234,114.05678" for i in range(1200))))
    assert bulk.level == "important_suspected"
    assert classify('[{"lat": 22.51234, "lon": 114.05678}]', "x.json").precise_geo


@pytest.mark.parametrize(
    "pair", ['"22.51234,114.05678"', "114.05678 22.51234", "POINT(114.05678 22.51234)", '"[22.51234, 114.05678]"']
)
def test_a_pair_in_one_cell_is_as_precise(pair):
    found = classify(table("x,经纬度", (f"a{i},{pair}" for i in range(1200))))
    assert (found.precise_geo, found.level) == (True, "important_suspected")
    rough = pair.replace("1234", "1").replace("5678", "5")
    assert not classify(table("x,经纬度", (f"a{i},{rough}" for i in range(3)))).precise_geo
    assert classify(table("用户,时间,坐标", (f"u{i % 3},{i},{pair}" for i in range(30)))).sensitive


def test_geojson_is_as_precise():
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [114.05678, 22.51234]}} for _ in range(3)
    ]
    assert classify(json.dumps({"features": features}), "a.geojson").precise_geo
    assert not classify(json.dumps({"coordinates": [114.05, 22.51]}), "a.geojson").precise_geo


def test_whereabouts_of_people_are_sensitive():
    found = classify(table("id card,lat,lon", (f"{resident(i)},22.51234,114.05678" for i in range(3))))
    assert counts(found) == (3, 3, "identifier")


# --- encodings, breaks, coverage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_every_encoding_gives_the_same_people(codec):
    text = table("姓名,身份证号,备注", (f"张三,{resident(i)},正常" for i in range(50)))
    found = classify(text.encode(codec), piece=777)
    assert (found.inspectable, counts(found)) == (True, (0, 50, "identifier"))
    assert found.coverage == ((0, len(text.encode(codec))),)


@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_the_traditional_script_of_big5_gives_the_same_people(piece):
    text = table("姓名,身份證號碼,診斷", (f"陳大文,{resident(i)},糖尿病及咗" for i in range(50)))
    found = classify(text.encode("big5hkscs"), piece=piece, block=512)
    assert (found.inspectable, found.sensitive, counts(found)) == (True, True, (50, 50, "identifier"))
    late = "id,note\n" + "1,a\n" * 20_000 + "".join(f"{resident(i)},病人身份證與診斷\n" for i in range(30))
    assert counts(classify(late.encode("big5hkscs"), piece=4096, block=8192)) == (0, 30, "identifier")


def test_gb18030_behind_an_ascii_head_is_read():
    text = "id,note\n" + "1,a\n" * 20_000 + "".join(f"{resident(i)},患者身份证与诊断\n" for i in range(30))
    found = classify(text.encode("gb18030"), piece=4096, block=8192)
    assert (found.inspectable, counts(found)) == (True, (0, 30, "identifier"))


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "gb18030"])
def test_bytes_that_break_the_text_are_named(codec):
    good = ("患者一切正常\n" * 9000).encode(codec)
    bad = {"utf-8": b"\xff", "utf-16": b"\x00\xd8\x00\x00", "gb18030": b"\xff"}[codec]
    found = classify(good + bad + b"more\n\n", "a.txt", piece=5000)
    assert not found.inspectable
    assert found.level == "unknown"
    assert found.coverage == ((0, len(good)),)
    assert f"undecodable from byte {len(good)}" in {f.where for f in found.findings}


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "gb18030"])
def test_control_bytes_break_the_text_too(codec):
    good = ("正常\n" * 30_000).encode(codec)
    found = classify(good + "\0\0".encode(codec.replace("16", "16-le")), "a.txt")
    assert (found.inspectable, found.coverage) == (False, ((0, len(good)),))


def test_a_text_cut_inside_a_character_is_not_whole():
    good = ("正常\n" * 30_000).encode()
    assert not classify(good + "正".encode()[:2], "a.txt").inspectable


def test_what_has_no_inspector_is_covered_nowhere():
    found = classify(b"PK\x03\x04" + bytes(200), "a.zip")
    assert (found.inspectable, found.coverage, found.level) == (False, (), "unknown")
    assert "encrypted_content" in kinds(classify(b"crypt4gh\x01\0\0\0", "a.c4gh"))


def test_an_empty_file_is_whole():
    found = classify(b"", "empty.csv")
    assert (found.inspectable, found.coverage, found.level) == (True, (), "general")


# --- escapes and encodings inside the text ---------------------------------------------------------------------------


def escaped(text: str, form: str) -> str:
    if form == "json":
        return json.dumps(text)[1:-1]
    return "".join(f"&#{ord(c)};" if form == "decimal" else f"&#x{ord(c):X};" for c in text)


def unicode_escapes(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def test_python_s_default_json_is_read():
    assert classify(json.dumps([{"密级": "机密★10年"}]), "a.json").secrecy_mark
    people = [{"姓名": "张三", "诊断": "肺癌"}] * 9
    plain, escape = (classify(json.dumps(people, ensure_ascii=wide), "a.json") for wide in (False, True))
    assert (escape.sensitive, counts(escape)) == (True, counts(plain))
    assert kinds(escape) == kinds(plain)
    lines = "\n".join(json.dumps({"姓名": "张三", "病历号": i}) for i in range(9))
    assert counts(classify(lines, "a.ndjson")) == (9, 9, "rows")


@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_escaped_identifiers_count_as_others(piece):
    people = ",".join(f'{{"v":"{unicode_escapes(resident(i))}"}}' for i in range(20))
    assert counts(classify(f"[{people}]", "a.json", piece=piece)) == (0, 20, "identifier")
    assert counts(classify(f"log: {people}", "a.txt", piece=piece)) == (0, 20, "identifier")
    for form in ("decimal", "hex"):
        rows = "".join(f"<v>{escaped(resident(i), form)}</v>" for i in range(20))
        assert counts(classify(f"<r>{rows}</r>", "a.xml", piece=piece)) == (0, 20, "identifier")


@pytest.mark.parametrize("form", ["json", "decimal", "hex"])
def test_an_escaped_mark_is_a_mark(form):
    mark = escaped("机密★10年", form)
    assert classify(f"<p>{mark}</p>", "a.html").secrecy_mark
    assert classify(mark.replace("&", "&amp;").replace("\\", "\\\\"), "a.txt").secrecy_mark
    assert classify("x", f"{mark}.txt").secrecy_mark


def test_a_pair_of_surrogates_is_one_character_and_a_lone_one_is_none():
    digits = "".join(f"\\ud835\\udf{0xCE + int(c):02x}" for c in mobile(5))
    assert "cn_mobile" in kinds(classify(f'["{digits}", "{mobile(6)}"]', "a.json"))
    assert classify('["\\ud835", "\\u12", "&#;", "&#xfffffff;", "\\u', "a.json").inspectable


def test_an_escaped_brace_ends_no_record():
    person = f'{{"id": "{resident(1)}", "x": "\\u007d\\u000a", "tel": "{mobile(1)}"}}'
    assert counts(classify(f"[{person}, {person}]", "a.json")) == (0, 1, "identifier")


@given(
    st.lists(st.sampled_from([resident(3), "机密★", "a", mobile(4), "😀"]), min_size=30, max_size=60),
    st.integers(1200, 1300),
)
@settings(deadline=None, max_examples=30)
def test_a_long_line_of_escapes_is_cut_between_them(parts, block):
    for text in (
        unicode_escapes(" ".join(p for p in parts if p != "😀")),
        json.dumps(" ".join(parts)),
        escaped(" ".join(parts), "hex"),
    ):
        cut, whole = classify(text, "a.json", block=block), classify(text, "a.json")
        assert [(f.kind, f.count, f.distinct) for f in cut.findings] == [
            (f.kind, f.count, f.distinct) for f in whole.findings
        ]


def wrapped(form: str) -> tuple[bytes, str]:
    raw = np.random.default_rng(3).bytes(9000)
    return {
        "mime": (base64.encodebytes(raw), "a.txt"),
        "crlf": (base64.encodebytes(raw).replace(b"\n", b"\r\n"), "a.txt"),
        "hex": (raw.hex().encode(), "a.txt"),
        "cell": (b"k,v\n1," + base64.b64encode(raw) + b"\n", "a.csv"),
        "value": (json.dumps({"v": base64.b64encode(raw).decode()}).encode(), "a.json"),
        "hz": ("说明:机密★10年".encode("hz"), "a.txt"),
        "utf-7": ("机密文件\n".encode("utf-7"), "a.txt"),
        "iso-2022": ("機密★10年".encode("iso2022_jp"), "a.txt"),
    }[form]


@pytest.mark.parametrize("form", ["mime", "crlf", "hex", "cell", "value", "hz", "utf-7", "iso-2022"])
def test_a_text_inside_a_text_is_not_read(form):
    data, name = wrapped(form)
    found = classify(data, name, piece=100)
    assert (found.inspectable, found.coverage, found.level) == (False, (), "unknown")
    assert "uninspectable" in kinds(found)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (">s1\n" + ("ACGTNacgtnRYSWKM" * 5 + "\n") * 200, "a.fa"),
        (">p1\n" + ("MKVLAAGIVGLCAEQWRTYPDSFHN" * 3 + "\n") * 200, "a.faa"),
        ("x,seq\n" + ("1," + "ACGT" * 60 + "\n") * 90, "a.csv"),
        (("ACGT" * 20 + "\n") * 200, "reads.txt"),
        (("@r\n" + "ACGT" * 40 + "\n+\n" + "IIJ+/89A" * 20 + "\n") * 99, "a.fastq"),
        (("0120210" * 30 + "\n") * 99, "matrix.txt"),
        ("word " * 3000, "a.txt"),
        ("a+test-b, 1+abcdef-2, ~{x}, \x1b[31mred\x1b[0m\n" * 300, "a.log"),
        (base64.b64encode(bytes(range(200))).decode() + "\n" + "plain text\n" * 900, "a.txt"),
    ],
)
def test_sequences_and_short_runs_are_text(data, name):
    assert classify(data, name).inspectable


@pytest.mark.parametrize("byte", [0x0E, 0x0F, 0x1A, 0x1F])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_control_bytes_behind_the_head_break_the_text(byte, codec):
    good = ("正常\n" * 30_000).encode(codec)
    found = classify(good + bytes([byte]) + b"more\n", "a.txt")
    assert (found.inspectable, found.coverage) == (False, ((0, len(good)),))


# --- the same for any cutting ----------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        *(f"{resident(i)},{mobile(i)},u{i}@example.com" for i in range(4)),
        '"quoted, comma",13800138000,"a ""b"" c"',
        "A123456(3),+852 9123 4567,机密★10年",
        "１３８００１３８０００,,诊断:肺癌",
        "Tel 9123 4567,x,6217 0000 1000 1234 569",
        "",
        "粤B12345,4.40301E+17,0755-26731234,A001",
        ",810000199001010019,,A002",
        "110105,19491231,002X,A001",
        "护照E12345678,+853 6612 3456,4403 0019 9001 0112 38,A003",
        '"a,b",,,"A004"',
        "IMEI 490154203237518,,,",
        'stray " quote,13800138001,y',
        "91110000600037341L,4111111111111111,z",
    ]
)


@given(
    st.lists(LINES, max_size=60),
    st.lists(st.integers(1, 300), min_size=1, max_size=30),
    st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-le", "big5hkscs"]),
)
@settings(deadline=None)
def test_findings_do_not_depend_on_the_pieces(lines, pieces, codec):
    head = "姓名,手机,备注,住院号\n"
    raw = (head + "\n".join(lines)).encode(codec) if codec != "big5hkscs" else _traditional(head + "\n".join(lines))
    whole = classify(raw)
    classifier, at, turn = Classifier("data.csv", TABLES), 0, 0
    while at < len(raw):
        size = pieces[turn % len(pieces)]
        classifier.feed(raw[at : at + size])
        at, turn = at + size, turn + 1
    assert classifier.close().to_json("") == whole.to_json("")
    assert classify(raw, block=512).to_json("") == whole.to_json("")


@given(
    st.lists(
        st.sampled_from([resident(1), mobile(2), "word ", "字", " ", "机密★", "a@b.com "]), min_size=50, max_size=400
    ),
    st.integers(300, 900),
)
@settings(deadline=None)
def test_one_line_longer_than_a_block_loses_nothing(parts, block):
    raw = " ".join(parts).encode()
    cut, whole = classify(raw, "a.txt", block=block), classify(raw, "a.txt")
    assert [(f.kind, f.count, f.distinct, f.confidence) for f in cut.findings] == [
        (f.kind, f.count, f.distinct, f.confidence) for f in whole.findings
    ]


def _traditional(text: str) -> bytes:
    return text.translate(str.maketrans("机备注号护诊断绝", "機備註號護診斷絕")).replace("粤", "粵").encode("big5hkscs")


def test_columns_go_on_when_a_line_is_cut():
    row = ",".join(["x" * 50] * 40 + [mobile(5)])
    header = ",".join([f"c{n}" for n in range(40)] + ["tel"])
    found = classify(f"{header}\n{row}\n{row}\n", block=600)
    assert [f.where for f in found.findings if f.kind == "cn_mobile"] == ["column tel"]


def test_the_json_is_the_contract():
    found = classify(table("id", (resident(i) for i in range(3)))).to_json("ab" * 32)
    assert list(found) == [
        "path", "size", "sha256", "format", "level", "classes", "inspectable", "coverage", "persons", "hgr", "findings",
    ]  # fmt: skip
    assert found["coverage"] == [[0, found["size"]]]
    assert set(found["findings"][0]) == {"kind", "where", "count", "distinct", "confidence", "samples"}
    assert set(found["hgr"]) == {"information", "sequencing_subjects", "subjects", "aggregate_only"}
    json.dumps(found)


# --- headers behind something else -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "\n姓名,诊断", "# export\n姓名,诊断", "1,2\n姓名,诊断", "姓名,诊断,1", "姓名,诊断," + "x" * 300, "a,b\n姓名,诊断",
        "a title\n\n# x,y\n姓名,诊断", "\u200b姓\u00ad名,诊 断\n姓名,诊断",
    ],
)  # fmt: skip
def test_headers_are_found_among_the_first_lines(head):
    more = ",1" * (head.split("\n")[-1].count(",") - 1)
    found = classify(table(head, (f"王{i},艾滋病{more}" for i in range(50))))
    assert found.sensitive
    assert found.persons.sensitive >= 50


def test_data_below_a_header_name_no_column():
    found = classify("product,price\n人脸识别门锁,x\n手术刀,y\n")
    assert not found.personal
    assert not [f.where for f in found.findings]


VCF_BODY = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\nchr1\t1\t.\tA\tC\t.\t.\t.\tGT\t0/1\t1/1\n"
ALIGNED = "r1\t0\tchr1\t9\t60\t4M\t*\t0\t0\tACGT\tIIII\n"


@pytest.mark.parametrize(
    ("data", "name", "subjects"),
    [
        ("\n@r1\nACGT\n+\nFFFF\n", "a.fastq", 1),
        (VCF_BODY, "a.tsv", 2),
        ("\n##fileformat=VCFv4.2\n" + VCF_BODY, "a.txt", 2),
        ("chr1\t1\t.\tA\tC\n", "a.vcf", 1),
        (ALIGNED * 3, "a.txt", 1),
        ("@CO\tx\n@HD\tVN:1.6\n@RG\tID:a\tSM:S1\n" + ALIGNED, "a.txt", 1),
        ("@CO\tx\n" + ALIGNED, "a.txt", 1),
        ("@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:5\n" + ALIGNED, "a.sam", 1),
    ],
)
def test_genomes_without_their_first_line_are_genomes(data, name, subjects):
    found = classify(data, name)
    assert (found.hgr.information, found.hgr.subjects) == (True, subjects)


@pytest.mark.parametrize(
    ("contigs", "human"),
    [
        ({"chr1": 248956421}, True),
        ({"chr1": 195154279}, False),
        ({"chr1": 195154279, "chr2": 181755017, "chrX": 169476592}, False),
        ({"chr1": 195154279, "chr2": 242193529}, True),
        ({"1": 260522016, "2": 249053267}, False),
        ({"chr1": 200000000, "NC_000002.12": 5}, True),
        ({"contig9": 5}, True),
    ],
)
def test_only_a_far_first_chromosome_alone_is_another_species(contigs, human):
    lines = "".join(f"##contig=<ID={name},length={length}>\n" for name, length in contigs.items())
    assert classify("##fileformat=VCFv4.2\n" + lines + VCF_BODY, "a.vcf").hgr.information == human
